"""The guide to the page says what the code does."""

from source_tree import ROOT

from tradeworthy.apps.dashboard.layout import VIEWS
from tradeworthy.change.access.roles import ACTIONS, ROLES

TEXT = (ROOT / "docs" / "page.md").read_text("utf-8")
WORDS = {
    "see": "see, halt",
    "halt": "see, halt",
    "acknowledge": "acknowledge a finding",
    "close": "close a finding",
    "rollback": "roll back",
    "resume": "resume, let something else decide, change limits, size and the policy",
    "resize": "resume, let something else decide, change limits, size and the policy",
    "limits": "resume, let something else decide, change limits, size and the policy",
    "policy": "resume, let something else decide, change limits, size and the policy",
    "set_aside": "set a check of the gate aside: two people",
    "approve": "approve, promote",
    "promote": "approve, promote",
    "override": "let a refused order pass, two of them",
    "query": "ask the record",
    "people": "people and their roles, keys",
    "keys": "people and their roles, keys",
    "alerts": "try where alerts go",
}


def test_the_table_of_roles_is_the_one_in_the_code():
    """Every action stands there with its roles, in their usual order."""
    for action, roles in ACTIONS.items():
        listed = ", ".join(role for role in ROLES if role in roles)
        assert f"| {WORDS[action]} | {listed} |" in TEXT, action


def test_every_view_is_described():
    """The table of views has a line for each way in the navigation."""
    for _, name in VIEWS:
        assert f"\n| {name} | " in TEXT
