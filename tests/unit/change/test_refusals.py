"""Versions that were stopped are told as findings, each reason once."""

import pytest
from change_desk import desk

from tradeworthy.change.release.refusals import Refusals, gate_words, refusal
from tradeworthy.core import facts
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

BAD = "b" * 16


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def told(home):
    """Return all findings in the ledger."""
    return [entry.fact.finding for entry in home.ledger.facts(facts.FindingRaised)]


def test_a_refusal_is_told_once(home):
    """An engine refuses the same version at every look; people hear of it once, and again for another reason."""
    refusals = Refusals(home.ledger)
    for why in ("BundleRefused: a byte changed", "BundleRefused: a byte changed", "NotFound: no bundle."):
        refusals.tell({BAD: why}, now_ns=5, sequence=7)
    first, second = told(home)
    assert (first.kind, first.subject, first.severity, first.sequence) == ("release", BAD, "critical", 7)
    assert first.sentence == (
        f"Version {BAD} was stopped: the engine does not let it in: BundleRefused: a byte changed. The version before "
        f"goes on as it was. Take it back with tradeworthy rollback, a shadow with promote {BAD} --to retired."
    )
    assert "no bundle. The version" in second.sentence


def test_what_the_gate_found_stands_in_the_finding():
    """Each check that stopped the version with what it found and what it requires, three of them; others by number."""
    results = [
        CheckResult(name=name, requirement=f"{name} is small.", measured=f"{name} of {n}.", verdict=verdict)
        for n, (name, verdict) in enumerate(
            [
                ("latency", "fail"),
                ("auc", "pass"),
                ("after_costs", "missing"),
                ("c", "fail"),
                ("d", "fail"),
                ("e", "fail"),
            ]
        )
    ]
    report = GateReport(version=BAD, profile="quick", passed=False, results=results[:3], created_ns=1)
    assert gate_words(report) == (
        "the gate did not pass it (latency found latency of 0; required is latency is small. "
        "after costs found after_costs of 2; required is after_costs is small)"
    )
    many = GateReport(version=BAD, profile="quick", passed=False, results=results, created_ns=1)
    assert gate_words(many).endswith("required is c is small; and 2 more)")


def test_nothing_refused_is_nothing_told(home):
    """A desk at rest has no findings about deployments."""
    Refusals(home.ledger).tell({}, now_ns=5, sequence=7)
    assert told(home) == []


def test_a_finding_names_the_version_by_its_beginning():
    """Sixteen characters are what people see everywhere else."""
    found = refusal("c" * 64, "it was slow", now_ns=9)
    assert found.subject == "c" * 16
    assert (found.severity, found.since_ns) == ("warning", 9)
