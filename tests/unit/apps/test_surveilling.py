"""``tradeworthy surveil``: news is told once, every look is a fact, and what a person settles stays settled."""

import json

import pytest
from command_words import tell
from small_project import ADA, BOB, at, looked_at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.reports.rts6 import assess
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import ConductSurveilled, FindingRaised
from tradeworthy.core.time import iso

QUIET = "\n[surveillance]\nclose_share_max = 1.0\nclose_window_s = 1e-3\nclose_utc = '00:07'\n"


@pytest.fixture
def project(tmp_path):
    """A project that has traded, at the ends of days too."""
    return at("traded", tmp_path)


def facts_of(project, kind):
    """Return the facts of a kind."""
    return [entry.fact for entry in project.ledger.facts(kind)]


def article(project):
    """Return the lines on surveillance of this year's self-assessment."""
    document = assess(project, int(iso(project.clock.now_ns())[:4]))
    [part] = [part for part in document.parts if part.name.startswith("Article 13")]
    return {line.name: line for line in part.lines}


def test_what_is_new_is_told_once(project):
    """The second look finds the same, and tells nothing again; both looks are facts."""
    first, second = project.surveil(actor=ADA), project.surveil(actor=ADA)
    assert len(first.alerts) == len(facts_of(project, FindingRaised)) > 0
    assert (second.alerts, second.ok, second.after_sequence) == ([], True, first.through_sequence)
    assert [each.alerts for each in second.rules] == [each.alerts for each in first.rules]
    assert [sum(fact.alerts.values()) for fact in facts_of(project, ConductSurveilled)] == [len(first.alerts), 0]


def test_alerts_of_one_rule_are_one_case_that_a_person_settles(project):
    """A dismissed alert is kept with its reason, and the self-assessment shows it."""
    project.surveil(actor=ADA)
    [case] = project.findings().cases
    assert (case.kind, case.monitor, case.count) == ("surveillance", "marking the close", 10)
    project.close_finding(case.number, actor=BOB, reason="the market's volume is simulated")
    told = article(project)
    assert told["our own orders were looked at, rule by rule"].verdict == "evidence"
    assert f"{BOB}: {case.number} (the market's volume is simulated)" in told["alerts that were settled, and why"].said


def test_before_any_look_the_evidence_is_missing(project):
    """Nobody looked is not nothing found."""
    told = article(project)
    assert told["our own orders were looked at, rule by rule"].verdict == "missing"
    assert told["alerts that were settled, and why"].said == "none"


def test_an_alert_tells_its_delay_from_when_it_was_found(project):
    """Orders of years ago were looked at now: the delay of an alert counts from the look."""
    before_ns = project.clock.now_ns()
    project.surveil(actor=ADA)
    assert all(fact.ts_origin_ns >= before_ns for fact in facts_of(project, FindingRaised))


def test_nothing_to_ask_about_leaves_with_zero(project, capsys):
    """0 without news, 1 with; JSON holds the rules and their highest figures."""
    folder = project.folder
    code, out, _ = tell(capsys, "surveil", "--project", folder, "--json")
    assert code == 1
    assert {each["rule"] for each in json.loads(out)["rules"]} == {
        "wash trade",
        "layering",
        "marking the close",
        "quote stuffing",
    }
    assert tell(capsys, "surveil", "--project", folder)[0] == 0


def test_limits_come_from_the_settings(project):
    """Another end of the day, at which this desk never trades, asks about nothing."""
    path = project.folder / "tradeworthy.toml"
    path.write_text(path.read_text("utf-8") + QUIET, "utf-8")
    assert Project(project.folder).surveil(actor=ADA).ok


def test_a_desk_that_never_ran_has_no_conduct():
    """The refusal says what to do."""
    with pytest.raises(NotFound, match="tradeworthy run"):
        looked_at("promoted").surveil(actor=ADA)
