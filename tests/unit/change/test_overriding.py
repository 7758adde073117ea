"""A check that refused a version is set aside by two people, for a time, on the record; never in silence."""

import msgspec
import pytest
from change_desk import desk

from tradeworthy.change.release.overriding import DAYS_MAX, override, overrides_in_force
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.errors import NotFound, ReleaseRefused
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

WHY = {"reason": "the venue halves its fees on Monday"}


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def refused(home, *stops: str):
    """Register a version and record that the gate refused it for these checks."""
    digest = home.registered()
    judge_again(home, digest, *stops)
    return digest


def judge_again(home, digest, *stops: str):
    """Record a full report in which these checks fail, and one passes."""
    home.clock.advance_to(home.clock.now_ns() + 1)
    results = [
        CheckResult(name=name, requirement="more", measured="less", verdict="fail" if name in stops else "pass")
        for name in ("latency", *stops)
    ]
    report = GateReport(
        version=digest, profile="full", passed=not stops, results=results, created_ns=home.clock.now_ns()
    )
    home.registry.record_gate(report, actor="ada", reason="a test")


def asked(home, digest, check="after_costs", *, actor, days=7.0, **words: str):
    """Set a check aside for some days."""
    until = home.clock.now_ns() + int(days * NS_PER_DAY)
    return override(home.registry, digest, check, until_ns=until, actor=actor, **{**WHY, **words})


def test_one_person_cannot_set_a_check_aside(home):
    """The first person's word is on the record, counts for nothing yet, and says what is to be done."""
    digest = refused(home, "after_costs")
    told = asked(home, digest, actor="ada")
    assert (told.given_by, told.in_force, told.still_stops) == (["ada"], False, ["after_costs"])
    assert "another person runs: tradeworthy override" in told.next
    with pytest.raises(ReleaseRefused, match=r"ada has set after_costs .* aside already; another person must"):
        asked(home, digest, actor="ada")
    with pytest.raises(ReleaseRefused, match="the gate did not pass"):
        home.release.promote(digest, "shadow", actor="ada", reason="a test")


def test_two_people_can_and_every_reader_of_the_report_is_told(home):
    """With the second word the report is judged anew: overridden, by whom, why, until when; each word is a fact."""
    digest = refused(home, "after_costs")
    asked(home, digest, actor="ada", days=9.0)
    told = asked(home, digest, actor="bob", days=7.0, reason="agreed with risk")
    assert (told.given_by, told.in_force, told.still_stops) == (["ada", "bob"], True, [])
    report = GateReport.from_json(home.registry.gate_report(digest))
    (found,) = (result for result in report.results if result.name == "after_costs")
    assert (found.verdict, report.passed, report.overridden) == ("overridden", True, ["after_costs"])
    assert found.measured.startswith("fail: less; set aside until")
    assert "by ada (the venue halves its fees on Monday) and bob (agreed with risk)" in found.measured
    assert report.outcome == "passed with overrides (after_costs)"
    assert report.until_ns == home.clock.now_ns() + 7 * NS_PER_DAY, "the earlier of the two days counts"
    written = [(entry.actor, entry.fact.check) for entry in home.ledger.facts(facts.CheckOverridden)]
    assert written == [("ada", "after_costs"), ("bob", "after_costs")]
    (line,) = home.registry.list()
    assert line.gate == "overridden"
    home.release.promote(digest, "shadow", actor="ada", reason="a test")


def test_an_override_ends(home):
    """After its last moment the version takes no role, the engine lets it in no more, and words count anew."""
    digest = refused(home, "after_costs")
    for actor in ("ada", "bob"):
        asked(home, digest, actor=actor)
    home.release.promote(digest, "shadow", actor="ada", reason="a test")
    home.release.permit(version_number(digest), Role.SHADOW)
    home.clock.advance_to(home.clock.now_ns() + 7 * NS_PER_DAY)
    with pytest.raises(ReleaseRefused, match="passed only while after_costs was set aside, which ended at"):
        home.release.promote(digest, "champion", actor="ada", reason="a test")
    with pytest.raises(ReleaseRefused, match="passed only while"):
        home.release.permit(version_number(digest), Role.SHADOW)
    with pytest.raises(ReleaseRefused, match="an override has expired; judge it again"):
        asked(home, digest, actor="cid")
    assert overrides_in_force(home.registry.standing(), digest, home.clock.now_ns()) == {}
    judge_again(home, digest, "after_costs")
    told = asked(home, digest, actor="ada")
    assert not told.in_force, "what bob said has expired with what he said it for"


def test_what_was_not_set_aside_still_stops(home):
    """Two faults need two overrides; the report says what is left, and ends with the earlier one."""
    digest = refused(home, "after_costs", "poisoning")
    for actor in ("ada", "bob"):
        told = asked(home, digest, actor=actor, days=5.0)
    assert (told.in_force, told.still_stops, told.next) == (True, ["poisoning"], "still stopped by poisoning")
    with pytest.raises(ReleaseRefused, match=r"the gate did not pass .*: poisoning"):
        home.release.promote(digest, "shadow", actor="ada", reason="a test")
    for actor in ("bob", "cid"):
        told = asked(home, digest, "poisoning", actor=actor, days=20.0)
    assert told.still_stops == []
    report = GateReport.from_json(home.registry.gate_report(digest))
    assert report.overridden == ["after_costs", "poisoning"]
    assert report.until_ns == home.clock.now_ns() + 5 * NS_PER_DAY


def test_a_signature_is_never_set_aside(home):
    """What is not as it was signed is not run, whoever says so."""
    digest = refused(home, "artifact_safety")
    with pytest.raises(ReleaseRefused, match="artifact_safety cannot be set aside"):
        asked(home, digest, "artifact_safety", actor="ada")


@pytest.mark.parametrize(
    ("check", "days", "words", "said"),
    [
        ("after_cost", 7.0, {}, "'after_cost' does not stop version .*after_costs"),
        ("latency", 7.0, {}, "'latency' does not stop version .*what does: after_costs"),
        ("after_costs", -1.0, {}, "allowed is after .* and within 92 days"),
        ("after_costs", DAYS_MAX + 1.0, {}, "a requirement to change in"),
        ("after_costs", 7.0, {"reason": " "}, "every override is recorded with who and why"),
    ],
)
def test_what_may_not_be_asked_is_refused_in_words(home, check, days, words, said):
    """A misspelt check, one that passed, a day past or too far, no reason: each is refused, and nothing is kept."""
    digest = refused(home, "after_costs")
    with pytest.raises(ReleaseRefused, match=said):
        asked(home, digest, check, actor="ada", days=days, **words)
    assert [*home.ledger.facts(facts.CheckOverridden)] == []


def test_a_version_that_was_never_judged_has_nothing_to_set_aside(home):
    """Without a report there is no check that refused."""
    with pytest.raises(NotFound, match="no gate report"):
        asked(home, home.registered(), actor="ada")


def test_reports_of_before_read_as_they_were():
    """A report without a word of overrides, as older releases wrote it, is one that has none."""
    old = {"version": "ab" * 32, "profile": "quick", "passed": True, "results": [], "created_ns": 1}
    report = GateReport.from_json(msgspec.json.encode(old))
    assert (report.overridden, report.until_ns, report.outcome) == ([], None, "passed")
