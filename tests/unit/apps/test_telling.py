"""Facts in words: each kind says what happened, and a change of limits says what it changed."""

import typing

import pytest

from tradeworthy.apps.dashboard.telling import _WORDS, difference, said_of, told
from tradeworthy.core import facts
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import SystemClock
from tradeworthy.record.ledger import Ledger

DIGEST = "ab" * 32


def test_every_kind_of_fact_has_words():
    """No fact of this release is shown as the name of its class."""
    assert set(_WORDS) == set(typing.get_args(facts.AnyFact))


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (
            facts.GateJudged(
                version=DIGEST,
                profile="full",
                passed=True,
                failed_checks=[],
                report_path="",
                report_digest="",
                overridden=["after_costs"],
                until_ns=0,
            ),
            "passed version abababab, with after costs set aside.",
        ),
        (
            facts.CheckOverridden(version=DIGEST, check="poisoning", until_ns=0, report_digest=""),
            "poisoning of version abababab was set aside until 1970-01-01",
        ),
        (facts.PolicyChanged(policy={"budget": 5}), "Policy: budget 3 → 5."),
        (facts.PolicyChanged(policy={}), "Policy: nothing differs."),
        (facts.VersionPromoted(version=DIGEST, role="canary", env="live", share=0.1), "became canary on live at 10%"),
        (facts.VersionPromoted(version=DIGEST, role="champion", env="paper"), "became champion on paper."),
        (facts.VersionRolledBack(version=DIGEST, to="cd" * 32), "from version abababab to cdcdcdcd"),
        (facts.RolesGiven(person="tom", roles=[]), "tom lost every role"),
        (facts.RetrainEnded(version=None, error="no rows"), "Retraining failed: no rows"),
        (facts.FindingAnswered(finding=7, did="halt", dry_run=True), "would have answered finding 7: halt"),
        (facts.LegalHoldPlaced(name="case 1", streams=["orders"], from_ns=0), "case 1 on orders from 1970-01-01"),
        (
            facts.GateJudged(
                version=DIGEST,
                profile="full",
                passed=False,
                failed_checks=["after_costs"],
                report_path="",
                report_digest="",
            ),
            "(full) refused version abababab by after costs",
        ),
    ],
)
def test_a_fact_says_what_happened(fact, said):
    """Versions by the beginning of their digest, shares in percent, what failed by its name."""
    assert said in said_of(fact)


def test_a_change_of_limits_says_what_it_changed(tmp_path):
    """Each scope is compared with its own last limits; what stayed is not repeated."""
    ledger = Ledger(tmp_path / "ledger.db", clock=SystemClock())
    for scope, limits in (
        ("desk", Limits(order_value_max=5_000.0, order_quantity_max=10.0)),
        ("instrument:ABC", Limits(order_value_max=100.0)),
        ("desk", Limits(order_value_max=4_000.0, order_quantity_max=10.0)),
        ("desk", Limits(order_quantity_max=10.0)),
    ):
        ledger.append(facts.LimitsChanged(scope=scope, limits=limits), actor="rita", reason="test")
    said = told(ledger.facts())
    assert "order value max not set → 100" in said[1]
    assert said[2] == "Limits of desk: order value max 5,000 → 4,000."
    assert said[3] == "Limits of desk: order value max 4,000 → not set."


def test_no_difference_says_so():
    """The same limits again are no list of nothing."""
    assert difference(Limits(), Limits()) == "nothing differs"
