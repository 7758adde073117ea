"""FAULTS 2, 7, 8 as the watcher tells them: records that a power cut took, a slow disk, a clock that was set."""

import shutil
from dataclasses import dataclass

import pytest

from tradeworthy.change.watch.health import Cut, RecordHealth
from tradeworthy.change.watch.watch import Watch
from tradeworthy.core import facts
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.tapes import SAMPLE, VERSION, open_small, samples, write_trading

HOUR_S = 3_600.0


@dataclass
class TwoClocks:
    """A wall clock and a monotonic one that a test sets."""

    wall_ns: int = 10**18
    steady_ns: int = 5 * NS_PER_S

    def now_ns(self):
        return self.wall_ns

    def monotonic_ns(self):
        return self.steady_ns

    def pass_s(self, seconds, *, set_by_s=0.0):
        """Let time pass, and set the wall clock meanwhile."""
        self.steady_ns += int(seconds * NS_PER_S)
        self.wall_ns += int((seconds + set_by_s) * NS_PER_S)


class Counts:
    """A monitor that remembers which records it saw."""

    def __init__(self) -> None:
        self.seen = []

    def observe(self, records):
        self.seen += records["sequence"].tolist()

    def findings(self):
        return []

    def state(self):
        return {}

    def restore(self, state):
        """Have nothing to restore."""


def told(ledger):
    return [entry.fact.finding for entry in ledger.facts(facts.FindingRaised)]


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.db", clock=VirtualClock(1))
    yield made
    made.close()


def watching(tmp_path, ledger, counts):
    return Watch(tmp_path / "watcher", tmp_path / "tape", ledger, lambda _: {"counts": counts}, clock=VirtualClock(1))


def test_records_that_a_power_cut_took_are_told_and_left_behind(tmp_path, ledger):
    """A watcher that had read further than the tape now goes says so once, and reads what is written in their place."""
    tape = tmp_path / "tape"
    write_trading(tape, 20)
    shutil.copytree(tape, tmp_path / "durable")
    kept = TapeReader(tape).last_sequence()
    write_trading(tape, 15, first=20)
    reached = TapeReader(tape).last_sequence()
    watch = watching(tmp_path, ledger, Counts())
    while watch.step(VERSION):
        pass
    assert watch.reached == reached
    market_ns = watch.market_ns
    watch.save()
    shutil.copyfile(tape / "epochs.log", tmp_path / "durable" / "epochs.log")  # synced when the tape was opened
    shutil.rmtree(tape)
    shutil.copytree(tmp_path / "durable", tape)
    write_trading(tape, 3, first=20)
    counts = Counts()
    watch = watching(tmp_path, ledger, counts)
    while watch.step(VERSION):
        pass
    (finding,) = told(ledger)
    assert (finding.kind, finding.severity, finding.sequence) == ("storage", "critical", kept)
    assert f"Records {kept + 1} to {reached} were read" in finding.sentence
    assert finding.observed == reached - kept
    assert finding.ts_event_ns == market_ns > 0, "the market's time before the cut, though nothing was read since"
    assert min(counts.seen) == kept + 1
    assert watch.reached == TapeReader(tape).last_sequence()
    watch.save()
    watching(tmp_path, ledger, Counts()).step(VERSION)
    assert len(told(ledger)) == 1


def test_a_restart_without_loss_is_no_finding(tmp_path, ledger):
    """Openings that found every record that was read are nothing to tell."""
    write_trading(tmp_path / "tape", 20)
    watch = watching(tmp_path, ledger, Counts())
    watch.step(VERSION)
    write_trading(tmp_path / "tape", 10, first=20)
    while watch.step(VERSION):
        pass
    assert told(ledger) == []
    assert watch.reached == TapeReader(tmp_path / "tape").last_sequence()


def test_a_watcher_of_an_earlier_release_knows_no_opening_and_suspects_none(tmp_path):
    """Without an opening known from before there is nothing to compare with."""
    write_trading(tmp_path, 5)
    assert RecordHealth(tmp_path, clock=TwoClocks()).cut(0, 10**6) == (1, None)
    assert RecordHealth(tmp_path, clock=TwoClocks()).cut(1, 10**6) == (1, None)
    write_trading(tmp_path, 5, first=5)
    kept = TapeReader(tmp_path).last_sequence()
    epoch, cut = RecordHealth(tmp_path, clock=TwoClocks()).cut(1, 10**6)
    assert epoch == 2
    assert cut is not None
    assert cut.kept < kept


@pytest.mark.parametrize(("set_by_s", "way"), [(HOUR_S, "forward"), (-24 * HOUR_S, "back"), (1.5, "forward")])
def test_a_clock_that_was_set_is_told_once(tmp_path, set_by_s, way):
    """An hour ahead or a day back: one finding with the size of the jump, then quiet on the new time."""
    clock = TwoClocks()
    health = RecordHealth(tmp_path, clock=clock)
    clock.pass_s(2.0, set_by_s=set_by_s)
    (finding,) = health.findings(7, None, 1)
    assert (finding.kind, finding.subject, finding.sequence) == ("clock", "wall clock", 7)
    assert finding.observed == pytest.approx(set_by_s)
    assert f"was set {way} by" in finding.sentence
    clock.pass_s(2.0)
    assert health.findings(7, None, 1) == []


def test_a_clock_that_is_slewed_is_no_jump(tmp_path):
    """What a time service corrects within a look stays under the limit."""
    clock = TwoClocks()
    health = RecordHealth(tmp_path, clock=clock)
    for _ in range(50):
        clock.pass_s(1.0, set_by_s=0.0005)
        assert health.findings(0, None, 1) == []


def test_a_slow_disk_is_measured_and_told_once(tmp_path):
    """While a writer lives and its records wait for the disk, their age grows; too old is a finding; a sync ends it."""
    clock = TwoClocks()
    with open_small(tmp_path) as tape:
        tape.stream("a", SAMPLE).append(samples(1, 5))
        health = RecordHealth(tmp_path, clock=clock)
        assert health.findings(5, None, 1) == []
        clock.pass_s(3.0)
        assert health.findings(5, None, 1) == []
        assert health.behind_ns == 3 * NS_PER_S
        clock.pass_s(3.0)
        (finding,) = health.findings(5, None, 1)
        assert (finding.kind, finding.subject, finding.observed) == ("storage", "disk", 6.0)
        clock.pass_s(1.0)
        assert health.findings(5, None, 1) == []
        tape.sync()
        assert health.findings(5, None, 1) == []
        assert health.behind_ns == 0


def test_records_of_a_desk_that_stopped_wait_for_nobody(tmp_path):
    """Without a writer nothing is late: whoever opens the tape next makes it durable."""
    clock = TwoClocks()
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(1, 5))
    health = RecordHealth(tmp_path, clock=clock)
    health.findings(50, None, 1)
    tape.close()
    clock.pass_s(60.0)
    assert health.findings(50, None, 1) == []


def test_a_cut_and_a_jump_are_two_findings(tmp_path):
    """Both are told when both happened, the loss first."""
    clock = TwoClocks()
    health = RecordHealth(tmp_path, clock=clock)
    clock.pass_s(1.0, set_by_s=HOUR_S)
    assert [each.kind for each in health.findings(9, Cut(2, 4), 1)] == ["storage", "clock"]
