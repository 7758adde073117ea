"""How cost grows: with history and instruments (it must not), with trees and features (in proportion)."""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from desks import BARS, LIMITS, SILENT, version_of
from harness import KEPT, Aim, Report, Setting, installed
from jobs import ETH, FEATURES, booster, eth_bars, many_features, rows_of
from measure import Floats, median_of, rates

from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.version import Version

AIMS = {
    "scaling_history_ratio": Aim("times", "lower", 1.1),
    "scaling_history_bytes_per_event": Aim("bytes", "lower", 1.0),
    "scaling_instruments_100_ratio": Aim("times", "lower", 1.25),
    "scaling_instruments_10000_ratio": Aim("times", "lower", 2.0),
    "scaling_instrument_bytes": Aim("bytes", "lower", 65_536),
    "scaling_trees_ratio": Aim("times", "lower", 1.1),
    "scaling_features_ratio": Aim("times", "lower", 1.1),
}
SPAN_NS = 1_800_000_000_000 * BARS
STRETCH = 10_000
WARM_BARS = 100


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        version = version_of(Path(name), signal=SILENT)
    _history(setting, report, version)
    _instruments(setting, report, version)
    _trees(setting, report)
    _features(setting, report)


def _history(setting: Setting, report: Report, version: Version) -> None:
    """Decide ten million events through one pipeline; compare the last tenth with the first."""
    events, total = eth_bars(BARS), 100_000 if setting.quick else 10_000_000
    pipeline = Pipeline.alone(version, [ETH], LIMITS)
    rounds = max(10, total // BARS)
    took, before = [], 0
    for turn in range(rounds):
        if turn == max(1, rounds // 10):
            before = _memory()
        took.append(1 / rates_once(lambda: _decide(pipeline, events)))
        events["ts_event_ns"] += SPAN_NS
        events["ts_recv_ns"] += SPAN_NS
    tenth = max(1, rounds // 10)
    ratio = np.median(took[-tenth:]) / np.median(took[1 : tenth + 1])
    note = f"{rounds * BARS:,} events through one pipeline: the last tenth against the first"
    report.add("scaling_history_ratio", float(ratio), note=note)
    grown = max(0, _memory() - before) / (rounds * BARS)
    report.add(
        "scaling_history_bytes_per_event", grown, note=f"growth of resident memory over {rounds * BARS:,} events"
    )


def _decide(pipeline: Pipeline, events: EventBatch) -> int:
    place = 0
    while place < len(events):
        _, place = pipeline.many(events[:BARS], place)
    return place


def rates_once(call: Callable[[], int]) -> float:
    """Return things a second of processor time, taken once."""
    start = time.process_time_ns()
    return call() / (time.process_time_ns() - start) * 1e9


def _memory() -> int:
    """Return this process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def _instruments(setting: Setting, report: Report, version: Version) -> None:
    """Give the same events to desks of 1, 100 and 10,000 instruments, in turn."""
    calls: dict[str, Callable[[], int]] = {}
    states: dict[int, int] = {}
    for count in (1, 100, 10_000):
        listed = [Instrument(symbol=f"I{k}") for k in range(count)]
        pipeline = Pipeline.alone(version, listed, LIMITS)
        states[count] = sum(array.nbytes for array in pipeline.dump().values())
        states[count] += sum(array.nbytes for array in pipeline.desk)
        calls[str(count)] = _round_robin(pipeline, count)
    taken = rates(calls, repeats=setting.repeats(9))
    us = {name: 1e6 / median_of(found).value for name, found in taken.items()}
    words = ", ".join(f"{int(name):,}: {value:.2f} us" for name, value in us.items())
    for count in (100, 10_000):
        ratio = median_of(np.array(taken["1"]) / np.array(taken[str(count)]))
        report.add(f"scaling_instruments_{count}_ratio", ratio, note=f"an event on a desk of so many: {words}")
    each = (states[10_000] - states[1]) / 9_999
    report.add("scaling_instrument_bytes", each, note="state that each further instrument needs (16 features)")


def _round_robin(pipeline: Pipeline, count: int) -> Callable[[], int]:
    """Give every instrument the same bars in turn; first until each has whole rows."""
    bars = eth_bars(BARS)
    given = 0

    def take(events: int) -> int:
        nonlocal given
        numbers = np.arange(given, given + events)
        given += events
        part, rounds = bars[numbers // count % BARS], numbers // count // BARS
        part["instrument"] = numbers % count
        part["ts_event_ns"] += rounds * SPAN_NS
        part["ts_recv_ns"] += rounds * SPAN_NS
        return pipeline.many(part)[1]

    for _ in range(WARM_BARS):
        take(count)
    return lambda: take(STRETCH)


def _ratio(report: Report, name: str, calls: Mapping[int, Callable[[], int]], what: str, repeats: int) -> None:
    """Report how far cost is from being in proportion, largest job against smallest."""
    taken = rates({str(size): call for size, call in calls.items()}, repeats=repeats)
    us = {int(size): 1e6 / median_of(found).value for size, found in taken.items()}
    small, large = min(us), max(us)
    growth = np.array(taken[str(small)]) / np.array(taken[str(large)]) / (large / small)
    words = ", ".join(f"{size}: {value:.2f} us" for size, value in us.items())
    report.add(name, median_of(growth), note=f"{what}; {words}; 1 is in proportion, less is better")


def _trees(setting: Setting, report: Report) -> None:
    rows, calls = rows_of(1_000), dict[int, Callable[[], int]]()
    for count in (50, 100, 200, 400):
        calls[count] = _scoring(count, rows)
    _ratio(report, "scaling_trees_ratio", calls, "a row, by trees", setting.repeats(15))


def _scoring(count: int, rows: Floats) -> Callable[[], int]:
    path = KEPT / f"scaling-{installed('lightgbm')}-{count}.txt"
    if not path.exists():
        booster(400).save_model(str(path), num_iteration=count)
    trees = import_model(path, FEATURES)
    return lambda: len(trees.many(rows))


def _features(setting: Setting, report: Report) -> None:
    events, every = eth_bars(20_000), many_features()
    calls: dict[int, Callable[[], int]] = {}
    for count in (8, 16, 32):
        chosen = dict(list(every.items())[:count])
        calls[count] = _folding(FeatureState(compile_program(chosen), [ETH]), events)
    _ratio(report, "scaling_features_ratio", calls, "an event, by features", setting.repeats(15))


def _folding(state: FeatureState, events: EventBatch) -> Callable[[], int]:
    def call() -> int:
        state.many(events)
        return len(events)

    return call
