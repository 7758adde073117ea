"""A change of champion: nobody waits for monitors that are being calibrated, and these miss nothing."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from change_desk import Recorder, desk, market
from change_facts import finding
from change_watching import watch_job

from tradeworthy.change.watch.watch import Watch
from tradeworthy.change.watch.watcher import Watcher
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import NS_PER_S, SystemClock
from tradeworthy.judge.monitor.base import are_decisions, are_events
from tradeworthy.record.reader import TapeReader

EVERY = 40


class Counting:
    """A monitor that finds something at every fortieth decision of its version, and that knows of the desk's inputs."""

    def __init__(self, name: str, version: int) -> None:
        self.name, self.version, self.found = name, version, []
        self.decisions, self.inputs, self.inherited = 0, 0, -1

    def observe(self, records):
        """Count decisions and inputs."""
        if are_events(records):
            self.inputs += len(records)
        elif are_decisions(records):
            for sequence in records["sequence"][records["version"] == self.version]:
                self.decisions += 1
                if self.decisions % EVERY == 0:
                    self.found.append(finding(sequence=int(sequence), subject=f"{self.name} {self.decisions}"))

    def findings(self):
        """Give what was found, once."""
        found, self.found = self.found, []
        return found

    def state(self):
        """Everything that was counted."""
        return {"counts": np.array([self.decisions, self.inputs, self.inherited])}

    def restore(self, state):
        """Go on from counts."""
        self.decisions, self.inputs, self.inherited = state["counts"].tolist()

    def inherit(self, before):
        """Take over how many inputs the desk had seen."""
        self.inherited = int(before["counts"][1])


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


@pytest.fixture
def versions(home):
    """Two versions that decide on the same events."""
    return home.registry.load(home.champion()), home.registry.load(home.registered(2))


@pytest.fixture
def recorder(home, versions):
    """Their tape."""
    first, second = versions
    made = Recorder(home.folder / "tape", {first: Role.CHAMPION, second: Role.SHADOW})
    yield made
    made.close()


def watch(home, versions, names=("first", "second"), **changes: Any):
    """Open the watch of a deployment, as after a restart."""
    of = {version.number: name for version, name in zip(versions, names, strict=True)}
    given = {"clock": home.clock, "batch": 64} | changes
    return Watch(
        home.folder / "watcher",
        home.folder / "tape",
        home.ledger,
        lambda number: {"counting": Counting(of[number], number)},
        **given,
    )


def drain(watched, version, **ready: bool):
    """Look until nothing is left."""
    while watched.step(version.number, **ready):
        pass


def raised(home):
    """Return what was told, in order."""
    return [entry.fact for entry in home.ledger.facts(facts.FindingRaised)]


def told(home, name):
    """Return how many decisions of a version its findings told of."""
    subjects = [fact.finding.subject for fact in raised(home)]
    return [int(each.split()[1]) for each in subjects if each.startswith(name)]


def test_monitors_at_work_go_on_while_others_are_calibrated(home, versions, recorder):
    """A finding of what is watched does not wait for what is not yet."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first)
    recorder.record(market(100, start=100))
    drain(watched, second, ready=False)
    assert watched.version == first.number
    assert told(home, "first") == [40, 80, 120, 160]
    assert told(home, "second") == []


def test_new_monitors_begin_where_their_version_became_champion(home, versions, recorder):
    """What was decided while they were calibrated is read by them too, neither more nor less."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first)
    for start in (100, 200):
        recorder.record(market(100, start=start))
        drain(watched, second, ready=False)
    recorder.record(market(50, start=300))
    drain(watched, second)
    assert watched.version == second.number
    assert told(home, "second") == [40, 80, 120, 160, 200, 240]
    assert watched.monitors["counting"].decisions == 250
    assert told(home, "first") == [40, 80, 120, 160, 200, 240, 280]
    recorder.record(market(50, start=350))
    drain(watched, second)
    assert watched.monitors["counting"].decisions == 300


def test_it_is_as_if_nobody_had_waited(home, versions, recorder):
    """Calibrated at once or late, the new monitors find the same."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first)
    changed = watched.reached
    watched.step(second.number, ready=False)
    recorder.record(market(200, start=100))
    drain(watched, second, ready=False)
    drain(watched, second)
    late = told(home, "second")
    at_once = Counting("second", second.number)
    for stream in ("inputs", "decisions"):
        at_once.observe(TapeReader(home.folder / "tape").read(stream, after=changed))
    assert watched.monitors["counting"].decisions == at_once.decisions
    assert late == [int(each.subject.split()[1]) for each in at_once.findings()]


def test_the_desk_is_taken_over_as_it_was_at_the_change(home, versions, recorder):
    """Profit counts from the change on, not from the end of a calibration."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first)
    seen = watched.monitors["counting"].inputs
    watched.step(second.number, ready=False)
    recorder.record(market(100, start=100))
    drain(watched, second, ready=False)
    before = watched.monitors["counting"].inputs
    drain(watched, second)
    mine = watched.monitors["counting"]
    assert mine.inherited == seen < before
    assert mine.inputs == before - seen


def test_a_restart_in_between_changes_nothing(home, versions, recorder):
    """The place of the change, what the desk held there and what was told are on the disk."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first)
    seen = watched.monitors["counting"].inputs
    for start in (100, 200):
        watched.step(second.number, ready=False)
        recorder.record(market(100, start=start))
        drain(watched, second, ready=False)
        watched.save()
        watched = watch(home, versions)
        assert watched.version == first.number
    drain(watched, second)
    assert told(home, "second") == [40, 80, 120, 160, 200]
    assert told(home, "first") == [40, 80, 120, 160, 200, 240, 280]
    assert watched.monitors["counting"].inherited == seen
    assert watch(home, versions).monitors["counting"].decisions == 200


def test_what_was_told_meanwhile_is_not_told_again(home, versions, recorder):
    """Monitors before and after that find the same of the desk tell it once."""
    first, second = versions
    watched = watch(home, versions, names=("same", "same"))
    drain(watched, first)
    watched.step(second.number, ready=False)
    recorder.record(market(140))
    drain(watched, second, ready=False)
    assert told(home, "same") == [40, 80, 120]
    recorder.record(market(60, start=140))
    drain(watched, second)
    assert told(home, "same") == [40, 80, 120, 160]


def test_a_champion_that_is_taken_back_leaves_no_trace(home, versions, recorder):
    """Rolled back before its monitors stood, a version is forgotten; the next change begins anew."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, second)
    watched.step(first.number, ready=False)
    recorder.record(market(100, start=100))
    drain(watched, first, ready=False)
    drain(watched, second)
    assert told(home, "second") == [40, 80, 120, 160]
    recorder.record(market(40, start=200))
    drain(watched, second)
    drain(watched, first)
    assert watched.monitors["counting"].decisions == 0
    recorder.record(market(40, start=240))
    drain(watched, first)
    assert told(home, "first") == [40]


def test_a_third_champion_begins_at_its_own_change(home, versions, recorder):
    """Who was champion only while another calibrated is not watched, and its place is not taken for the next one's."""
    first, second = versions
    watched = watch(home, versions)
    recorder.record(market(60))
    drain(watched, first)
    watched.step(999, ready=False)
    recorder.record(market(100, start=60))
    drain(watched, SimpleNamespace(number=999), ready=False)
    watched.step(second.number, ready=False)
    recorder.record(market(100, start=160))
    drain(watched, second, ready=False)
    drain(watched, second)
    assert watched.monitors["counting"].decisions == 100


def test_late_findings_count_all_of_their_delay(home, versions, recorder):
    """In a market of the past, what new monitors find in what they missed is late since before it was on the tape."""
    first, second = versions
    watched = watch(home, versions, market_past=True)
    recorder.record(market(30))
    drain(watched, first)
    caught_up_ns = watched.caught_up_ns
    for start in (30, 130):
        home.clock.advance_to(home.clock.now_ns() + NS_PER_S)
        watched.step(second.number, ready=False)
        recorder.record(market(100, start=start))
        drain(watched, second, ready=False)
    assert watched.caught_up_ns > caught_up_ns
    home.clock.advance_to(home.clock.now_ns() + NS_PER_S)
    drain(watched, second)
    origins = [fact.ts_origin_ns for fact in raised(home) if fact.finding.subject.startswith("second")]
    assert set(origins) == {caught_up_ns}


def test_the_first_champion_may_be_waited_for_too(home, versions, recorder):
    """With nobody at work records are passed by, and read when its monitors stand."""
    first, _ = versions
    watched = watch(home, versions)
    recorder.record(market(100))
    drain(watched, first, ready=False)
    assert (watched.version, told(home, "first")) == (0, [])
    drain(watched, first)
    assert told(home, "first") == [40, 80]


def test_a_watcher_goes_on_while_the_next_champion_is_calibrated(home, recorder, versions):
    """The process reads the tape with the monitors it has; the new ones are put to work once they can be made."""
    first, second = versions
    watcher = Watcher(watch_job(home), clock=SystemClock())
    states = {"now": "running"}
    watcher._maker.prepare = lambda _: None
    watcher._maker.state = lambda _: states["now"]
    watcher.step()
    recorder.record(market(50))
    while watcher.step():
        pass
    home.champion(2)
    recorder.record(market(50, start=50))
    while watcher.step():
        pass
    assert not watcher.is_ready
    assert watcher._watch.version == first.number
    assert watcher._watch.sequence == TapeReader(home.folder / "tape").read("inputs")["sequence"][-1]
    states["now"] = "done"
    watcher.step()
    assert watcher.is_ready
    assert watcher._watch.version == second.number
    watcher.close()
