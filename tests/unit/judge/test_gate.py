"""The gate passes what every check passes, and its report says the same in every format."""

from xml.etree import ElementTree as ET

import msgspec
import pytest
from gate_evidence import GOOD, spoiled, without

from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.evidence import Evidence
from tradeworthy.judge.validate.gate import GateReport, GateSettings, judge
from tradeworthy.judge.validate.latency import Latency, LatencySettings
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.judge.validate.report import to_junit, to_markdown

CLOCK = VirtualClock(1_500_000_000_000_000_000)


class Forbidding(msgspec.Struct, frozen=True):
    """A user's own check that nothing passes."""

    name: str = "house_rule"
    requirement: str = "never on a <Friday> | ever"

    def judge(self, evidence):  # noqa: ARG002  # it judges nothing
        return CheckResult(name=self.name, requirement=self.requirement, measured="it is\nFriday\x00", verdict="fail")


def test_a_version_passes_when_every_check_does():
    """Every check passes: the report passes, with the clock's time."""
    report = judge(GOOD, clock=CLOCK)
    assert (report.passed, report.failed) == (True, [])
    assert len(report.results) == len(GateSettings().checks("quick"))
    assert report.created_ns == CLOCK.now_ns()
    assert (report.version, report.profile) == (GOOD.version, "quick")


def test_missing_evidence_stops_a_version():
    """A part that was not gathered refuses the version as a failure does."""
    report = judge(without(Latency), clock=CLOCK)
    assert (report.passed, report.failed) == (False, ["latency"])


def test_nothing_gathered_passes_nothing():
    """Empty evidence leaves every check missing."""
    report = judge(Evidence(version="00"), clock=CLOCK)
    assert {result.verdict for result in report.results} == {"missing", "info"}
    assert not report.passed


def test_a_users_own_check_counts():
    """A further check can refuse what the built-in ones pass."""
    assert judge(GOOD, clock=CLOCK, extra=[Forbidding()]).failed == ["house_rule"]


def test_settings_reach_the_checks():
    """A tighter requirement refuses the same evidence."""
    assert judge(GOOD, GateSettings(latency=LatencySettings(us_p99_max=1.0)), clock=CLOCK).failed == ["latency"]


def test_a_report_survives_json():
    """The stored report reads back equal, and its digest names its bytes."""
    report = judge(spoiled(Performance, auc_low=0.49), clock=CLOCK)
    again = GateReport.from_json(report.to_json())
    assert again == report
    assert again.digest == report.digest
    assert judge(GOOD, clock=CLOCK).digest != report.digest


@pytest.fixture(scope="module")
def refused():
    """Return a report with a pass, a failure, a missing part and hostile text."""
    return judge(without(Latency), clock=CLOCK, extra=[Forbidding()])


def test_junit_counts_failures_and_missing_evidence(refused):
    """A CI system reads one case a check; fail is a failure, missing an error."""
    suite = ET.fromstring(to_junit(refused))  # noqa: S314  # our own text
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(refused.results)), "1", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["house_rule"]
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["latency"]
    assert suite.get("skipped") == "4"
    assert {"after_costs", "costs_borne", "change", "surrogate"} == {
        each.get("name") for each in suite if each.find("skipped") is not None
    }


def test_markdown_has_one_table_row_a_check_whatever_the_text(refused):
    """Pipes, line breaks and tags in a text do not break the table or become markup."""
    text = to_markdown(refused)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(refused.results)
    assert "\\|" in rows[-1]
    assert "&lt;Friday&gt;" in rows[-1]
    assert "refused (latency, house\\_rule)" in text or "refused (latency, house_rule)" in text
