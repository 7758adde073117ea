"""A watch that dies at every kind of moment, again and again, tells what one that lives tells, and each thing once."""

import numpy as np
import pytest
from change_desk import INSTRUMENTS, Recorder, desk, market
from change_watching import CHARTS

from tradeworthy.change.watch.monitors import monitors_of
from tradeworthy.change.watch.watch import Watch
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.monitor.class_balance import BalanceSettings
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.estimated import EstimatedSettings
from tradeworthy.judge.monitor.latency import LatencySettings
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings
from tradeworthy.judge.monitor.reliability import ReliabilitySettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.record.ledger import Ledger

MONITORS = MonitorSettings(
    off=(),
    drift=DriftSettings(quiet_rows=100, charts=CHARTS),
    performance=PerformanceSettings(charts=CHARTS),
    reasons=ReasonSettings(quiet_rows=100, charts=CHARTS),
    class_balance=BalanceSettings(charts=CHARTS),
    estimated=EstimatedSettings(charts=CHARTS),
    reliability=ReliabilitySettings(charts=CHARTS),
    latency=LatencySettings(learn=200, quiet=100),
)


class Killed(BaseException):
    """What a SIGKILL is to the process that gets it: nothing after it runs."""


class Life:
    """Ends at the n-th moment at which something was about to be kept, or has just been."""

    def __init__(self, moments) -> None:
        self.left = moments

    def moment(self):
        """Live through one more moment, or die."""
        self.left -= 1
        if self.left == 0:
            raise Killed


class MortalLedger(Ledger):
    """A ledger that may be the last thing its process writes."""

    life = Life(0)

    def append(self, fact, *, actor, reason):
        """Append, with a moment before and one after."""
        self.life.moment()
        entry = super().append(fact, actor=actor, reason=reason)
        self.life.moment()
        return entry


class MortalWatch(Watch):
    """A watch that may die before or after its state is saved."""

    life = Life(0)

    def save(self):
        """Save, with a moment before and one after."""
        self.life.moment()
        super().save()
        self.life.moment()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A deployment whose tape has a change in it, and whose calibrations are kept; and its champion."""
    made = desk(tmp_path_factory.mktemp("killed") / "desk")
    champion = made.registry.load(made.champion())
    recorder = Recorder(made.folder / "tape", {champion: Role.CHAMPION})
    calm, wild = market(400, seed=8), market(900, seed=9, start=400, scale=4.0)
    wild["ts_recv_ns"] += 5 * NS_PER_S
    recorder.record(np.concatenate([calm, wild]))
    recorder.close()
    with calibrations_kept(made.folder / "kept"):
        yield made, champion.number
    made.close()


def told_by(home, name, moments, batch=150):
    """Follow the tape to its end, in lives of so many moments each (0 for ever); return findings and deaths."""
    (home, champion), deaths, done = home, 0, False
    ledger = MortalLedger(f"{home.folder / name}.db", clock=home.clock)
    while not done:
        ledger.life = Life(moments)
        watch_class = type("OneLife", (MortalWatch,), {"life": ledger.life})
        try:
            watched = watch_class(
                home.folder / name,
                home.folder / "tape",
                ledger,
                lambda number: monitors_of(home.registry, number, INSTRUMENTS, MONITORS),
                clock=home.clock,
                batch=batch,
                save_every_ns=0,
            )
            while watched.step(champion):
                pass
            done = True
        except Killed:
            deaths += 1
    found = [entry.fact.finding for entry in ledger.facts(facts.FindingRaised)]
    ledger.close()
    return found, deaths


@pytest.fixture(scope="module")
def undisturbed(home):
    """What a watch that never dies tells."""
    found, deaths = told_by(home, "undisturbed", 0)
    assert deaths == 0
    return found


def test_every_monitor_that_there_is_is_at_work_here(home):
    """None is left out of what follows: those that are off by default, and those that cost much, are on too."""
    made, champion = home
    known = set(MonitorSettings.__struct_fields__) - {"false_alarms_per_day", "off"}
    assert set(monitors_of(made.registry, champion, INSTRUMENTS, MONITORS)) == known


@pytest.mark.parametrize("moments", [2, 5])
def test_dying_at_any_moment_changes_no_finding(home, undisturbed, moments):
    """Before and after a save, before and after a fact: nothing is lost, doubled or told otherwise."""
    found, deaths = told_by(home, f"dies-{moments}", moments)
    assert deaths >= 5
    assert len(undisturbed) >= 3
    assert {finding.monitor for finding in undisturbed} >= {"drift", "range", "reasons", "class_balance", "latency"}
    assert found == undisturbed


def test_how_much_is_read_at_once_changes_no_finding(home, undisturbed):
    """A watch that reads all at once tells the same; only the order between monitors of one look is its own."""
    found, _ = told_by(home, "at-once", 0, batch=20_000)
    key = [(finding.sequence, finding.monitor, finding.sentence) for finding in undisturbed]
    assert sorted(key) == sorted((finding.sequence, finding.monitor, finding.sentence) for finding in found)
