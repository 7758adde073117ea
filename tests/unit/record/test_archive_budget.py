"""The alarm before the disk is full."""

import pytest

from tradeworthy.core.time import NS_PER_HOUR, SystemClock, VirtualClock
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.budget import GB, Usage, storage_findings, usage
from tradeworthy.testing.tapes import write_small

NOW = 1_000 * NS_PER_HOUR + 5


@pytest.fixture
def tape(tmp_path):
    write_small(tmp_path / "tape", (300, 50, 500, 120))
    return tmp_path / "tape"


def found(tape, *, tape_gb=0.0, archive_gb=0.0, free_gb=1000.0, day_gb=0.0, **settings: float):
    now = Usage(
        tape_bytes=int(tape_gb * GB),
        archive_bytes=int(archive_gb * GB),
        free_bytes=int(free_gb * GB),
        day_bytes=int(day_gb * GB),
    )
    return storage_findings(tape, ArchiveSettings(**settings), now, now_ns=NOW)


def test_usage_counts_tape_and_archive_apart(tape):
    """What moves to the archive leaves the tape's count; both are what the disk really holds."""
    now_ns = SystemClock().now_ns()
    before = usage(tape, now_ns=now_ns)
    archive_tape(tape, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**18))
    after = usage(tape, now_ns=now_ns)
    assert before.archive_bytes == 0 < after.archive_bytes
    assert after.tape_bytes < before.tape_bytes
    assert before.free_bytes > 0
    assert before.day_bytes > after.day_bytes > 0


def test_usage_of_an_archive_elsewhere(tape, tmp_path):
    """An archive behind a link is counted as well."""
    archive_tape(tape, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**18), folder=tmp_path / "far")
    assert usage(tape, now_ns=0).archive_bytes > 0


def test_no_alarm_below_the_share(tape):
    """Under the share of the budget, with room on the disk, nothing is said."""
    assert found(tape, tape_gb=3.0, archive_gb=4.9, budget_gb=10.0) == []


def test_the_budget_raises_an_alarm_with_the_hours_left(tape):
    """At the share a warning says what is used, of what, and when it is full."""
    (finding,) = found(tape, tape_gb=3.0, archive_gb=5.5, day_gb=0.5, budget_gb=10.0)
    assert (finding.kind, finding.subject, finding.severity) == ("storage", "budget", "warning")
    assert (finding.observed, finding.reference, finding.unit) == (8.5, 10.0, "GB")
    assert finding.statistic == pytest.approx(0.85)
    assert finding.threshold == 0.8
    assert "full in 72 hours" in finding.sentence
    assert "tradeworthy archive" in finding.sentence


def test_less_than_a_day_is_critical(tape):
    """An alarm whose limit is reached within a day is critical, and so is one that was passed."""
    (soon,) = found(tape, tape_gb=9.0, day_gb=2.0, budget_gb=10.0)
    (passed,) = found(tape, tape_gb=11.0, budget_gb=10.0)
    assert (soon.severity, passed.severity) == ("critical", "critical")
    assert "nothing is left" in passed.sentence


def test_a_record_that_stands_still_says_so(tape):
    """Without growth there is no hour to name."""
    (finding,) = found(tape, tape_gb=9.0, budget_gb=10.0)
    assert "does not grow" in finding.sentence
    assert finding.severity == "warning"


def test_the_disk_itself_is_a_limit(tape):
    """Without a budget, too little free disk raises the alarm: what must stay free is not to be used."""
    (finding,) = found(tape, tape_gb=80.0, free_gb=12.0, free_min_gb=2.0)
    assert finding.subject == "free disk"
    assert finding.reference == pytest.approx(90.0)
    assert found(tape, tape_gb=1.0, free_gb=0.5, free_min_gb=2.0)[0].severity == "critical"


def test_one_finding_an_hour(tape):
    """Findings of one hour carry the same beginning, so that repeats can be told."""
    (finding,) = found(tape, tape_gb=9.0, budget_gb=10.0)
    assert finding.since_ns == 1_000 * NS_PER_HOUR
    assert finding.ts_event_ns == NOW
