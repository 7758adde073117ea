"""The audit of roles: every form of the page and every call of the interface that does something has its action.

The table below is compared with the routes of the application itself, so that a new one cannot be left out.
"""

import pytest
from page_visitors import EVERYBODY, ask, do, visiting
from small_project import at
from test_page_doors import STEPS, filled, routes

from tradeworthy.change.access.roles import ACTIONS

CALLS = {path: (action, body) for action, (path, body) in STEPS.items()} | {
    "/api/v1/fallback": ("resize", {"to": "flat", "reason": "x"}),
    "/api/v1/keys/newest/revoke": ("keys", {"reason": "x"}),
    "/api/v1/findings/1/explain": ("see", {}),
    "/api/v1/verify": ("see", {}),
}
FORMS = {
    "/do/halt": "halt",
    "/do/resume": "resume",
    "/do/rollback": "rollback",
    "/do/resize": "resize",
    "/do/fallback": "resize",
    "/do/versions/newest/approve": "approve",
    "/do/versions/newest/promote": "promote",
    "/do/versions/newest/override": "set_aside",
    "/do/decisions/1/override": "override",
    "/do/watch/1/acknowledge": "acknowledge",
    "/do/watch/1/close": "close",
    "/do/watch/1/explain": "see",
    "/do/record/verify": "see",
    "/do/record/query": "query",
    "/do/settings/limits": "limits",
    "/do/settings/limits/review": "limits",
    "/do/settings/policy": "policy",
    "/do/settings/policy/review": "policy",
    "/do/settings/keys/create": "keys",
    "/do/settings/keys/revoke": "keys",
    "/do/settings/people/add": "people",
    "/do/settings/people/remove": "people",
    "/do/settings/alerts/test": "alerts",
}
OWN_SESSION = {"/signin", "/signout"}
FIELDS = {
    "reason": "x",
    "scope": "all",
    "share": "0.5",
    "to": "flat",
    "role": "shadow",
    "check": "x",
    "until": "2027-01-31",
    "minutes": "5",
    "sql": "SELECT 1",
    "name": "x",
    "key": "x",
    "owner": "x",
    "password": "x" * 20,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return at("promoted", tmp_path_factory.mktemp("audit"))


def test_every_route_that_does_something_is_audited(project):
    """No form and no call is missing from the tables, none is there that is gone, and every action has its route."""
    changing = {filled(path) for path, methods in routes(project) if "POST" in methods}
    assert changing == CALLS.keys() | FORMS.keys() | OWN_SESSION
    assert {action for action, _ in CALLS.values()} | {*FORMS.values()} == ACTIONS.keys()


@pytest.mark.parametrize("name", EVERYBODY)
def test_who_lacks_the_role_does_nothing(project, name):
    """Each form and each call that the person's role does not allow is refused with who could; no fact is added."""
    (role,) = EVERYBODY[name]
    tried = 0
    with visiting(project, name) as client:
        before = project.ledger.head()
        for path, (action, body) in CALLS.items():
            if role not in ACTIONS[action]:
                answer, tried = ask(client, path, **body), tried + 1
                assert (answer.status_code, "ask somebody" in answer.text) == (403, True), path
        for path, action in FORMS.items():
            if role not in ACTIONS[action]:
                answer, tried = do(client, path, **FIELDS), tried + 1
                assert (answer.status_code, "ask somebody" in client.get("/halt").text) == (303, True), path
        assert project.ledger.head() == before
    assert tried >= 10
