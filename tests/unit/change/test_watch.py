"""Monitors over a growing tape: every finding in the ledger once, whatever is cut off where."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from change_desk import INSTRUMENTS, Recorder, desk, market
from change_facts import finding

from tradeworthy.change.watch.watch import STATE_FILE, Watch
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.monitor.base import are_decisions
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.standing import MonitorSettings, standing_set
from tradeworthy.record.ledger import Ledger

EVERY = 40


class EveryFortieth:
    """A monitor that finds something at every fortieth decision of its version."""

    def __init__(self, version: int) -> None:
        self.version, self.count, self.found = version, 0, []

    def observe(self, records):
        """Count decisions."""
        if not are_decisions(records):
            return
        for sequence in records["sequence"][records["version"] == self.version]:
            self.count += 1
            if self.count % EVERY == 0:
                self.found.append(finding(sequence=int(sequence), subject=f"decision {self.count}"))

    def findings(self):
        """Give what was found, once."""
        found, self.found = self.found, []
        return found

    def state(self):
        """Only the count needs to survive."""
        return {"count": np.array([self.count])}

    def restore(self, state):
        """Go on from a count."""
        self.count = int(state["count"][0])


class Failing:
    """A ledger that stops the process at its n-th use, before or after doing what was asked."""

    def __init__(self, ledger: Ledger, fails_at: int) -> None:
        self.ledger, self.left = ledger, fails_at

    def _use(self, call: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Killed
        result = call()
        self.left -= 1
        if self.left == 0:
            raise Killed
        return result

    def head(self):
        """Return the newest entry, unless stopped."""
        return self._use(self.ledger.head)

    def facts(self, *types: type, after: int = 0):
        """Return entries, unless stopped."""
        return self._use(lambda: self.ledger.facts(*types, after=after))

    def append(self, fact, *, actor, reason):
        """Append, unless stopped before or after."""
        return self._use(lambda: self.ledger.append(fact, actor=actor, reason=reason))


class Killed(BaseException):
    """The process was killed."""


@pytest.fixture
def home(tmp_path):
    """A paper deployment with a champion and a tape."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


@pytest.fixture
def champion(home):
    """The champion that decides on the tape."""
    return home.registry.load(home.champion())


@pytest.fixture
def recorder(home, champion):
    """A tape of the champion's decisions."""
    made = Recorder(home.folder / "tape", {champion: Role.CHAMPION})
    yield made
    made.close()


def watch(home, ledger=None, **changes: Any):
    """Open the watch of a deployment, as after a restart."""
    folder, tape = home.folder / "watcher", home.folder / "tape"
    given = {"clock": home.clock, "batch": 64} | changes
    return Watch(folder, tape, ledger or home.ledger, lambda number: {"every": EveryFortieth(number)}, **given)


def told(home):
    """Return the subjects of the findings in the ledger."""
    return [entry.fact.finding.subject for entry in home.ledger.facts(facts.FindingRaised)]


def expected(decisions):
    """Return the subjects of all findings among so many decisions."""
    return [f"decision {count}" for count in range(EVERY, decisions + 1, EVERY)]


def test_findings_go_to_the_ledger(home, champion, recorder):
    """What monitors find while the tape grows is told in order."""
    watched = watch(home)
    for part in np.array_split(market(400), 7):
        recorder.record(part)
        while watched.step(champion.number):
            pass
    assert told(home) == expected(388)
    assert watched.decisions == 388
    entry = home.ledger.facts(facts.FindingRaised)[0]
    assert (entry.actor, entry.reason) == ("watcher", entry.fact.finding.sentence)


@pytest.mark.parametrize("fails_at", range(1, 24))
def test_a_kill_at_any_use_of_the_ledger_loses_and_doubles_nothing(home, champion, recorder, fails_at):
    """Killed before or after any call, then again and again, each finding is told once."""
    recorder.record(market(400))
    for _ in range(60):
        try:
            watched = watch(home, Failing(home.ledger, fails_at))
            while watched.step(champion.number):
                pass
            break
        except Killed:
            continue
    last = watch(home)
    while last.step(champion.number):
        pass
    assert told(home) == expected(388)


def test_a_kill_between_two_saves_observes_again(home, champion, recorder):
    """Without findings the state is saved once a second; what was observed since is observed again."""
    recorder.record(market(60)[:30])
    first = watch(home)
    first.step(champion.number)
    again = watch(home)
    assert (again.decisions, first.decisions) == (0, 18)
    recorder.record(market(60)[30:])
    while again.step(champion.number):
        pass
    assert (again.decisions, told(home)) == (48, expected(48))


def test_the_state_is_saved_when_it_is_due(home, champion, recorder):
    """After a second of new records the offsets are on disk, findings or not."""
    recorder.record(market(30))
    watched = watch(home)
    watched.step(champion.number)
    home.clock.advance_to(home.clock.now_ns() + NS_PER_S)
    recorder.record(market(2, start=30))
    watched.step(champion.number)
    assert watch(home).sequence == watched.sequence > 0


def test_a_new_champion_gets_monitors_of_its_own(home, champion, recorder):
    """From a promotion on, only the new champion's decisions are watched."""
    recorder.record(market(100))
    watched = watch(home)
    while watched.step(champion.number):
        pass
    assert watched.version == champion.number
    watched.step(version_number("b" * 16))
    recorder.record(market(100, start=100))
    while watched.step(version_number("b" * 16)):
        pass
    assert told(home) == expected(88)
    assert watch(home).version == version_number("b" * 16)


def test_a_tape_that_does_not_exist_yet_is_waited_for(home, champion):
    """A watcher may start before its engine."""
    assert watch(home).step(champion.number) == 0


def test_a_half_written_state_is_never_read(home, champion, recorder):
    """A file left over from a save that was cut off changes nothing."""
    recorder.record(market(100))
    watched = watch(home)
    while watched.step(champion.number):
        pass
    (home.folder / "watcher" / f"{STATE_FILE}.new").write_bytes(b"half")
    again = watch(home)
    while again.step(champion.number):
        pass
    assert told(home) == expected(88)


def test_the_real_monitors_go_on_after_a_restart(home, champion, recorder):
    """Cut in two by a restart, the standing set finds what it finds in one go."""
    candidate = home.registry.candidate(champion.digest)
    walk = (candidate.walk.scores, candidate.walk.labels)
    charts = ChartSettings(runs=20, run_length=2_000)
    settings = MonitorSettings(drift=DriftSettings(charts=charts), performance=PerformanceSettings(charts=charts))
    make = partial(standing_set, instruments=INSTRUMENTS, label=candidate.label, walk=walk, settings=settings)
    events = market(1_200, seed=9, scale=4.0)
    recorder.record(events)
    whole = Watch(home.folder / "one", home.folder / "tape", home.ledger, lambda _: make(champion), clock=home.clock)
    while whole.step(champion.number):
        pass
    once = told(home)
    assert once
    parts, left = 0, 1
    while left:
        part = Watch(
            home.folder / "two",
            home.folder / "tape",
            home.ledger,
            lambda _: make(champion),
            clock=home.clock,
            batch=400,
        )
        left = part.step(champion.number)
        part.save()
        parts += 1
    assert parts > 3
    assert sorted(told(home)[len(once) :]) == sorted(once)
