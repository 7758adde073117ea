"""Event to decision on the tape, one by one through the live engine: alone, with shadows, beside other work."""

import gc
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
from desks import BARS, BenchDesk, desk, version_of
from floors import bare_file
from harness import HERE, Aim, Report, Setting
from helpers import beside, syncer
from jobs import ETH, eth_bars
from measure import Floats, Samples, median_of, rates, times_us

from tradeworthy.core.decisions import DECISION
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.version import Version

AIMS = {
    "decision_us_p50": Aim("us", "lower", 15.0),
    "decision_us_p99": Aim("us", "lower", 60.0),
    "decision_us_p99_while_retraining": Aim("us", "lower", 90.0),
    "decision_retraining_p99_ratio": Aim("times", "lower", 1.5),
    "decision_us_p99_while_watched": Aim("us", "lower", 90.0),
    "decision_watched_p99_ratio": Aim("times", "lower", 1.5),
    "decision_shadow_us_p50": Aim("us", "lower", 12.0),
    "decision_cycles_per_1000_events": Aim("objects", "lower", 0.0),
}
PACE_NS = 100_000  # 10,000 events a second
WARM = 1_000
JOB = "16 features, 200 trees x 31 leaves, checks, paper orders, records; 10,000 events a second, a syncer beside"


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    events = eth_bars(BARS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        versions = [version_of(folder / "versions", name=f"v{k}", trees=200 - k) for k in range(2)]
        floor_us = _floor_us(setting, versions[0], folder)
        with desk(folder / "alone", versions[:1]) as alone, syncer(folder / "alone" / "tape"):
            turns = Turns(alone.consumer(events), len(events))
            _alone(setting, report, turns, folder, floor_us)
        with desk(folder / "shadowed", versions) as shadowed, desk(folder / "other", versions[:1]) as single:
            _shadow(setting, report, shadowed, single)
            _cycles(report, single)


class Turns:
    """Hands over events in order, so many a turn, at a steady pace.

    Attributes
    ----------
    whole : (m,) float64
        Of the last turn, the times during which the system did not give the core to another program.
    """

    def __init__(self, call: Callable[[int], None], count: int) -> None:
        self._call, self._left, self._next = call, count, 0
        self.whole = np.empty(0)
        self.take(WARM)

    def take(self, count: int) -> Floats:
        """Time the next events; (count,) microseconds."""
        us, clock, call, first = np.empty(count), time.perf_counter_ns, self._call, self._next
        lost = np.empty((2, count), np.int64)
        if first + count > self._left:
            raise RuntimeError(f"the job has {self._left} events, {first + count} were asked for")
        self._next += count
        due = clock()
        for i in range(count):
            due = max(due + PACE_NS, clock())
            while clock() < due:
                pass
            lost[0, i] = getrusage(RUSAGE_SELF).ru_nivcsw
            start = clock()
            call(first + i)
            us[i] = (clock() - start) / 1e3
            lost[1, i] = getrusage(RUSAGE_SELF).ru_nivcsw
        self.whole = us[lost[0] == lost[1]]
        return us


def _floor_us(setting: Setting, version: Version, folder: Path) -> float:
    """Return what one event costs without an engine: its features and trees in batches, two bare writes."""
    events, state = eth_bars(20_000), FeatureState(version.program, [ETH])
    rows, _ = state.many(events)
    taken = rates(
        {
            "features": lambda: len(events) if state.many(events) else 0,
            "trees": lambda: len(version.predictor.many(rows)),
        },
        repeats=setting.repeats(9),
    )
    records = [events[:1].copy(), np.zeros(1, DECISION)]
    with bare_file(folder / "bare", 1 << 20) as write:
        writes = times_us(lambda _: [write(each) for each in records], setting.count(10_000))
    return sum(1e6 / median_of(each).value for each in taken.values()) + float(np.median(writes))


def _alone(setting: Setting, report: Report, turns: Turns, folder: Path, floor_us: float) -> None:
    tape, version = folder / "alone" / "tape", folder / "versions" / "v0"
    helpers = {
        "retraining": [str(HERE / "beside.py"), "retrain"],
        "watched": [str(HERE / "beside.py"), "watch", str(tape), str(version), str(folder / "versions" / "trust")],
    }
    taken: dict[str, list[Floats]] = {"quiet": [], **{name: [] for name in helpers}}
    whole: list[Floats] = []
    count, repeats = setting.count(1_000), setting.repeats(9)
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(beside(command, warm_s=3.0 if setting.quick else 8.0))
            for name, command in helpers.items()
        }
        for process in running.values():
            _pause(process)
        for _ in range(repeats):
            taken["quiet"].append(turns.take(count))
            whole.append(turns.whole)
            for name, process in running.items():
                process.send_signal(signal.SIGCONT)
                time.sleep(0.1)
                taken[name].append(turns.take(count))
                _pause(process)
        for process in running.values():
            process.send_signal(signal.SIGCONT)
    _report(report, {name: Samples(np.array(us)) for name, us in taken.items()}, whole, floor_us)


def _pause(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.02)


def _report(report: Report, taken: dict[str, Samples], whole: list[Floats], floor_us: float) -> None:
    quiet = taken["quiet"]
    note = f"{JOB}; floor: its features and trees in batches and two bare writes, without an engine"
    report.add("decision_us_p50", quiet.quantile(0.5), floor=floor_us, note=note)
    kept = sum(map(len, whole)) / quiet.us.size
    p99 = median_of([np.quantile(us, 0.99) for us in whole]).value
    note = f"{JOB}; of the {kept:.1%} during which no other program was given the core, {p99:.1f} us"
    report.add("decision_us_p99", quiet.quantile(0.99), note=note)
    beside_what = {
        "retraining": "a training in another process, on the other core",
        "watched": "a reader, the standing monitors and explanations in another process, on the other core",
    }
    for name, what in beside_what.items():
        both = [np.quantile(samples.us, 0.99, axis=1) for samples in (taken[name], quiet)]
        report.add(f"decision_us_p99_while_{name}", median_of(both[0]), note=f"beside {what}")
        report.add(
            f"decision_{name}_p99_ratio", median_of(both[0] / both[1]), note="against the turn before without it"
        )


def _shadow(setting: Setting, report: Report, shadowed: BenchDesk, single: BenchDesk) -> None:
    events = eth_bars(BARS)
    turns = [Turns(each.consumer(events[: BARS // 2]), BARS // 2) for each in (shadowed, single)]
    count = setting.count(1_500)
    more = [np.median(turns[0].take(count)) - np.median(turns[1].take(count)) for _ in range(setting.repeats(9))]
    report.add("decision_shadow_us_p50", median_of(more), note="what one shadow adds to an event, after the decision")


def _cycles(report: Report, single: BenchDesk) -> None:
    """Count what the collector would find after a thousand events: nothing, if there are no reference cycles."""
    call = single.consumer(eth_bars(BARS)[BARS // 2 : BARS // 2 + 2_000])
    for i in range(1_000):
        call(i)
    gc.collect()
    gc.disable()
    for i in range(1_000, 2_000):
        call(i)
    report.add("decision_cycles_per_1000_events", float(gc.collect()), note="unreachable objects that only gc frees")
    gc.enable()
