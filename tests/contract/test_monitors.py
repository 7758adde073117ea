"""The built-in monitors keep the promise of the contract kit."""

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.judge.monitor.drift import DriftMonitor, calibrate_drift
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin
from tradeworthy.judge.monitor.performance import PerformanceMonitor, PerformanceSettings, performance_reference
from tradeworthy.testing.monitors import (
    check_findings_are_told_once,
    check_monitor,
    check_restart_changes_nothing,
    check_slicing_changes_nothing,
    run,
)

VERSION = 0xABCDEF
HALF_HOUR = 30 * NS_PER_MINUTE
LATE = 6


def tape(seed, n=3_000):
    """Return bars, decisions, rows and outcomes of two instruments whose first feature and errors shift half way."""
    rng = np.random.default_rng(seed)
    decisions, rows = np.zeros(n, DECISION), np.zeros(n, row_dtype(2, 1))
    decisions["sequence"] = 10 * np.arange(n) + 11
    decisions["input_sequence"] = decisions["sequence"] - 1
    decisions["ts_event_ns"] = np.arange(n) // 2 * HALF_HOUR
    decisions["instrument"] = np.arange(n) % 2
    decisions["version"] = VERSION
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = rng.standard_normal((n, 2))
    rows["row"][n // 2 :, 0] += 1.0
    labels = (rng.random(n) < 0.5).astype(float)
    right = rng.random(n) < np.where(np.arange(n) < n // 2, 0.8, 0.3)
    decisions["score"] = np.where(right, 0.2 + 0.6 * labels, 0.8 - 0.6 * labels)
    rows["scores"][:, 0] = decisions["score"]
    outcomes = np.zeros(n - 2 * LATE, event_dtype())
    outcomes["kind"], outcomes["reference"] = Kind.OUTCOME, decisions["sequence"][: -2 * LATE]
    outcomes["values"][:, 0] = labels[: -2 * LATE]
    outcomes["sequence"] = decisions["sequence"][2 * LATE :] + 2
    outcomes["ts_event_ns"] = decisions["ts_event_ns"][2 * LATE :]
    return decisions, rows, outcomes


def slices(streams, size=250):
    """Return the streams read in turn, as a watcher polls them; rows and outcomes sometimes come first."""
    parts = [[s[i : i + size] for i in range(0, len(s), size)] for s in streams]
    turns = []
    for turn in range(max(map(len, parts))):
        order = parts if turn % 2 else parts[::-1]
        turns += [part[turn] for part in order if turn < len(part)]
    return turns


def drift_factory():
    """Return a maker of drift monitors and the slices they find drift in."""
    charts = calibrate_drift(np.random.default_rng(1).standard_normal((1_500, 2)), ["momentum", "volume"])

    return lambda: DriftMonitor(charts, VERSION, ["ETH", "BTC"]), slices(tape(2)[:2])


def performance_factory():
    """Return a maker of performance monitors and the slices they find harm in."""
    rng = np.random.default_rng(3)
    labels = (rng.random(1_500) < 0.5).astype(float)
    scores = np.where(rng.random(1_500) < 0.8, 0.2 + 0.6 * labels, 0.8 - 0.6 * labels)
    settings = PerformanceSettings(loss="error")
    reference = performance_reference(scores, labels, horizon=LATE, settings=settings)
    decisions, _, outcomes = tape(4)
    return lambda: PerformanceMonitor(OutcomeJoin(versions=[VERSION]), reference, settings), slices(
        (decisions, outcomes)
    )


FACTORIES = {"drift": drift_factory, "performance": performance_factory}


@pytest.fixture(scope="module", params=FACTORIES)
def monitor_and_tape(request):
    return FACTORIES[request.param]()


def test_a_built_in_monitor_keeps_every_promise(monitor_and_tape):
    """Every check of the kit passes on a tape with a change in it."""
    check_monitor(*monitor_and_tape)


def test_the_tape_of_these_checks_holds_something_to_find(monitor_and_tape):
    """The change in the tape is found for both instruments, after it happened, and is not told again and again."""
    make, parts = monitor_and_tape
    found = run(make(), parts)
    assert 2 <= len(found) <= 5
    assert all(f.ts_event_ns >= 700 * HALF_HOUR for f in found)


class Forgetful(DriftMonitor):
    """A monitor that loses its memories when it is restored."""

    def restore(self, state):
        super().restore({k: v for k, v in state.items() if not k.startswith("sums.")})


class Nagging(DriftMonitor):
    """A monitor that tells its findings again and again."""

    def findings(self):
        self.told = getattr(self, "told", []) + super().findings()
        return list(self.told)


class Hasty(DriftMonitor):
    """A monitor that judges every slice afresh."""

    def observe(self, records):
        self._memories.clear()
        super().observe(records)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Forgetful, check_restart_changes_nothing),
        (Nagging, check_findings_are_told_once),
        (Hasty, check_slicing_changes_nothing),
    ],
)
def test_the_kit_catches_a_monitor_that_breaks_its_promise(broken, check):
    """A monitor that forgets, nags or depends on slicing fails the check for it."""
    good, parts = drift_factory()
    charts = good().charts
    with pytest.raises(AssertionError):
        check(lambda: broken(charts, VERSION, ["ETH", "BTC"]), parts)
