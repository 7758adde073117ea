"""Watching: what the standing monitors cost, and what they hear on streams whose change points are known.

The table of every stream goes to `bench/watch.json`; the figures here are its worst and its typical lines. Streams are
drawn with seeds on which nothing was tuned (`watch_streams.REPORTED`).
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from harness import HERE, PEERS, Aim, Peer, Report, Setting, context, digits
from jobs import ETH, FEATURES, HALF_HOUR_NS, Floats, eth_bars
from measure import median_of, rates
from watch_streams import REPORTED, errors, feature

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.base import Monitor, State
from tradeworthy.judge.monitor.drift import DriftSettings, calibrate_drift
from tradeworthy.judge.monitor.performance import PerformanceSettings, performance_reference
from tradeworthy.judge.monitor.series import SeriesWatch
from tradeworthy.judge.monitor.standing import resume, standing_set

AIMS = {
    "watch_standing_events_per_s": Aim("events/s", "higher", 1_000_000),
    "watch_drift_events_per_s": Aim("events/s", "higher", 1_000_000),
    "watch_false_alarms_worst_per_10k": Aim("per 10,000", "lower", 2.0),
    "watch_delay_mean_half_sd_p50": Aim("events", "lower", 60),
    "watch_delay_error_45_55_p50": Aim("events", "lower", 250),
    "watch_delay_error_10_25_p50": Aim("events", "lower", 80),
    "watch_overlap20_45_55_share": Aim("share", "higher", 0.95),
    "watch_overlap20_45_55_delay_p50": Aim("events", "lower", 1_300),
}

OUT = HERE / "watch.json"
VERSION = 7
REFERENCE, WATCHED, CHANGE = 5_000, 10_000, 1_000
WINDOW = 5_000
"""A change counts as detected if an alarm comes within so many events of it."""

NULLS = ("gauss", "t3", "garch", "ar1", "regimes")
RIVER = PEERS / "river" / "bin" / "python"


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    events = 30_000 if not setting.quick else 10_000
    throughput(setting, report, events)
    seeds = REPORTED[:4] if setting.quick else REPORTED[:12]
    peers = setting.peers and RIVER.exists()
    lines = [*nulls(seeds, peers=peers), *changes(seeds, peers=peers)]
    about = {
        "seeds": [seeds[0], seeds[-1]],
        "reference": REFERENCE,
        "watched": WATCHED,
        "asked_per_10k": 1.0,
        "quick": setting.quick,
        "taken": context(quick=setting.quick, realtime=False)["taken"],
        "peers": "river" if peers else None,
    }
    figures = {name: figure.record() for name, figure in report.figures.items()}
    OUT.write_text(json.dumps({"about": about, "throughput": figures, "detection": lines}, indent=1) + "\n")
    tell(report, lines)


def tell(report: Report, lines: Sequence[Mapping[str, Any]]) -> None:
    """Put the worst and the typical lines of the table into the report."""
    by = {line["stream"]: line for line in lines if line["detector"] == "ours"}
    alarms = {name: line["false_alarms_per_10k"] for name, line in by.items() if "false_alarms_per_10k" in line}
    worst = max(alarms, key=lambda name: alarms[name])
    report.add("watch_false_alarms_worst_per_10k", alarms[worst], note=f"asked 1; the worst stream is {worst}")
    asked = (
        ("watch_delay_mean_half_sd_p50", "gauss mean +0.5 sd", "median_delay"),
        ("watch_delay_error_45_55_p50", "errors 45 to 55%, horizon 1", "median_delay"),
        ("watch_delay_error_10_25_p50", "errors 10 to 25%, horizon 1", "median_delay"),
        ("watch_overlap20_45_55_share", "errors 45 to 55%, horizon 20", "detected"),
        ("watch_overlap20_45_55_delay_p50", "errors 45 to 55%, horizon 20", "median_delay"),
    )
    for name, stream, key in asked:
        line = by[stream]
        note = f"{stream}; detected {line['detected']:.0%} of {line['runs']} runs within {WINDOW:,} events"
        report.add(name, line[key], note=note)


# What it costs.


def throughput(setting: Setting, report: Report, n: int) -> None:
    """Time the standing set, and its drift monitor alone, over slices as a watcher takes them."""
    streams, monitors = tape(n), standing()
    fresh = {name: monitor.state() for name, monitor in monitors.items()}
    parts = [stream[i : i + 20_000] for i in range(0, n, 20_000) for stream in streams]
    calls: dict[str, Callable[[], int]] = {
        "set": lambda: observe(monitors, fresh, parts, n),
        "drift": lambda: observe({"drift": monitors["drift"]}, fresh, parts, n),
        "floor": lambda: floor_call(streams[2]["row"]),
    }
    taken = rates(calls, repeats=setting.repeats(9), clock=time.process_time_ns)
    floor = median_of(taken["floor"]).value
    note = f"{len(monitors)} monitors, {FEATURES} features, each event with its decision and row; processor time"
    report.add("watch_standing_events_per_s", median_of(taken["set"]), floor=floor, note=note)
    peer = river("speed", {"rows": 300, "features": FEATURES}) if setting.peers and RIVER.exists() else None
    report.add(
        "watch_drift_events_per_s",
        median_of(taken["drift"]),
        floor=floor,
        peer=Peer("river ADWIN", peer["version"], peer["rows_per_s"]) if peer else None,
        note="the drift monitor alone; floor: CUSUM and moving average of every feature in one loop; processor time",
    )


def observe(monitors: Mapping[str, Monitor], fresh: Mapping[str, State], parts: list[Any], n: int) -> int:
    """Run monitors over all parts, from the start."""
    resume(monitors, fresh)
    for part in parts:
        for monitor in monitors.values():
            monitor.observe(part)
    return n


def tape(n: int) -> tuple[Any, Any, Any]:
    """Return n bars with their decisions and rows, without change."""
    rng, times = np.random.default_rng(1), HALF_HOUR_NS * (1 + np.arange(n))
    bars, decisions, rows = np.zeros(n, event_dtype()), np.zeros(n, DECISION), np.zeros(n, row_dtype(FEATURES, 1))
    bars["kind"], bars["sequence"] = Kind.BAR, 3 * np.arange(n) + 1
    bars["ts_event_ns"] = bars["ts_recv_ns"] = times
    closes = 100.0 * np.exp(np.cumsum(1e-3 * rng.standard_normal(n)))
    bars["values"][:, :4], bars["values"][:, 4] = closes[:, None], 1.0
    decisions["sequence"], decisions["input_sequence"] = bars["sequence"] + 1, bars["sequence"]
    decisions["ts_event_ns"], decisions["ts_decided_ns"] = times, times + 20_000
    decisions["version"], decisions["role"], decisions["price"] = VERSION, 1, closes
    decisions["score"] = rng.random(n)
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = rng.standard_normal((n, FEATURES))
    return bars, decisions, rows


def standing() -> dict[str, Monitor]:
    """Return the standing set of a version of 32 features whose labels the market decides."""
    from tradeworthy.model.features.expressions import bar  # noqa: PLC0415
    from tradeworthy.model.features.labels import forward_direction  # noqa: PLC0415

    rng = np.random.default_rng(2)
    sample = rng.standard_normal((REFERENCE, FEATURES))
    profile = SimpleNamespace(
        sample=sample, sample_places=np.arange(REFERENCE), minimum=sample.min(axis=0), maximum=sample.max(axis=0)
    )
    names = tuple(f"f{place}" for place in range(FEATURES))
    program = SimpleNamespace(names=names)
    version: Any = SimpleNamespace(number=VERSION, program=program, profile=profile, predictor=None)
    walk = rng.random(3_000), (rng.random(3_000) < 0.5).astype(np.float64)
    return standing_set(version, [ETH], label=forward_direction(bar.close, 6), walk=walk)


@kernel
def floor_loop(rows: Floats, sums: Floats) -> float:
    """Run a two-sided CUSUM and a moving average over every feature: the least that watching takes."""
    highest: float = 0.0
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            x = rows[i, j]
            sums[j, 0] = max(0.0, sums[j, 0] + x - 0.25)
            sums[j, 1] = max(0.0, sums[j, 1] - x - 0.25)
            sums[j, 2] += 0.06 * (x * x - sums[j, 2])
            highest = max(highest, sums[j, 0], sums[j, 1])
    return highest


def floor_call(rows: Floats) -> int:
    """Run the floor and return how many rows there were."""
    floor_loop(np.ascontiguousarray(rows), np.zeros((rows.shape[1], 3)))
    return len(rows)


# What it hears.


def feature_watch(reference: Floats) -> SeriesWatch:
    """Return our chart of one feature, calibrated as the drift monitor's."""
    return SeriesWatch(calibrate_drift(reference[:, None], ["f"], DriftSettings()), quiet=500)


def error_watch(reference: Floats, horizon: int) -> SeriesWatch:
    """Return our chart of errors, calibrated as the performance monitor's, without its slower second test."""
    settings = PerformanceSettings(loss="error")
    scores, labels = np.full(len(reference), 0.4), reference  # a wrong call: below one half, and the label is 1
    return SeriesWatch(performance_reference(scores, labels, horizon=horizon, settings=settings).charts, quiet=500)


def alarms_of(watch: SeriesWatch, series: Floats) -> list[int]:
    """Return the events at which a watch alarms."""
    return [alarm.place for alarm in watch.watch(0, series, np.arange(len(series)))]


def resampled_returns(n: int, seed: int) -> Floats:
    """Return n bar returns of ETH, redrawn in blocks of a week: real prices without a lasting change."""
    closes = eth_bars(60_000)["values"][:, 3]
    returns = np.diff(np.log(closes))
    returns = returns[np.isfinite(returns)]
    starts = np.random.default_rng([3, seed]).integers(0, len(returns) - 336, n // 336 + 1)
    return np.concatenate([returns[start : start + 336] for start in starts])[:n] * 100.0


def nulls(seeds: Sequence[int], *, peers: bool) -> list[dict[str, Any]]:
    """Return the lines of streams without change."""
    makers: dict[str, Callable[[int], Floats]] = {
        law: (lambda seed, law=law: feature(law, REFERENCE + WATCHED, seed))  # type: ignore[misc]
        for law in NULLS
    }
    makers["ETH returns, weeks redrawn"] = lambda seed: resampled_returns(REFERENCE + WATCHED, seed)
    lines = []
    for name, make in makers.items():
        lines.append(null_line(name, [make(seed) for seed in seeds], feature_watch, peers=peers))
    for horizon in (1, 6, 20):
        series = [errors(0.45, horizon, REFERENCE + WATCHED, seed) for seed in seeds]
        name = f"errors 45%, horizon {horizon}"
        lines.append(null_line(name, series, lambda past, h=horizon: error_watch(past, h), peers=peers))  # type: ignore[misc]
    return [line for group in lines for line in group]


def null_line(
    name: str, streams: list[Floats], make: Callable[[Floats], SeriesWatch], *, peers: bool
) -> list[dict[str, Any]]:
    """Return how often each detector alarms on streams without change."""
    told = {"ours": sum(len(alarms_of(make(s[:REFERENCE]), s[REFERENCE:])) for s in streams)}
    if peers:
        found = river("alarms", {"streams": [s[REFERENCE:].tolist() for s in streams]})["alarms"]
        told |= {who: sum(map(len, alarms)) for who, alarms in found.items()}
    n = len(streams) * WATCHED
    return [
        {"stream": name, "detector": who, "runs": len(streams), "false_alarms_per_10k": digits(1e4 * count / n)}
        for who, count in told.items()
    ]


def changes(seeds: Sequence[int], *, peers: bool) -> list[dict[str, Any]]:
    """Return the lines of streams that change at a known event."""
    total, at = REFERENCE + CHANGE + WINDOW, REFERENCE + CHANGE
    lines: list[dict[str, Any]] = []
    for law in ("gauss", "t3", "garch", "ar1"):
        for words, spoil in SPOILS.items():
            streams = [spoil(feature(law, total, seed), at) for seed in seeds]
            lines += change_line(f"{law} {words}", streams, feature_watch, peers=peers)
    for before, after, horizon in ERRORS:
        streams = [errors(before, horizon, total, seed, change=at, after=after) for seed in seeds]
        name = f"errors {before:.0%}"[:-1] + f" to {after:.0%}, horizon {horizon}"
        lines += change_line(name, streams, lambda past, h=horizon: error_watch(past, h), peers=peers)  # type: ignore[misc]
    return lines


def _moved(series: Floats, at: int, by: float) -> Floats:
    return np.concatenate([series[:at], series[at:] + by])


def _widened(series: Floats, at: int, by: float) -> Floats:
    return np.concatenate([series[:at], series[at:] * by])


def _drifting(series: Floats, at: int) -> Floats:
    slope = np.clip((np.arange(len(series)) - at) / 1_000.0, 0.0, 1.0)
    return series + 0.5 * slope


SPOILS: Mapping[str, Callable[[Floats, int], Floats]] = {
    "mean +0.5 sd": lambda s, at: _moved(s, at, 0.5),
    "mean +0.1 sd": lambda s, at: _moved(s, at, 0.1),
    "mean +0.5 sd within 1,000": _drifting,
    "spread x1.5": lambda s, at: _widened(s, at, 1.5),
}
"""Changes by name."""

ERRORS = ((0.45, 0.55, 1), (0.10, 0.25, 1), (0.48, 0.50, 1), (0.45, 0.55, 6), (0.45, 0.55, 20))
"""Rates of errors before and after a change, and over how many events labels overlap."""


def change_line(
    name: str, streams: list[Floats], make: Callable[[Floats], SeriesWatch], *, peers: bool
) -> list[dict[str, Any]]:
    """Return which share of changes each detector hears, and how late; early alarms are false and do not count."""
    told = {"ours": [alarms_of(make(s[:REFERENCE]), s[REFERENCE:]) for s in streams]}
    if peers:
        told |= river("alarms", {"streams": [s[REFERENCE:].tolist() for s in streams]})["alarms"]
    return [{"stream": name, "detector": who, **heard(alarms)} for who, alarms in told.items()]


def heard(alarms: list[list[int]]) -> dict[str, Any]:
    """Return the share of runs with an alarm after the change, and the median delay of all runs (None if unheard)."""
    delays = [min((place - CHANGE + 1 for place in run if place >= CHANGE), default=math.inf) for run in alarms]
    middle = float(np.sort(delays)[(len(delays) - 1) // 2])
    early = sum(place < CHANGE for run in alarms for place in run)
    return {
        "runs": len(alarms),
        "detected": digits(float(np.mean(np.isfinite(delays)))),
        "median_delay": middle if math.isfinite(middle) else None,
        "false_alarms_before": early,
    }


def river(job: str, arguments: Mapping[str, Any]) -> Any:
    """Ask river, in its own environment, for its alarms or its speed."""
    command = [str(RIVER), str(HERE / "peers" / "river_drift.py"), job]
    done = subprocess.run(command, input=json.dumps(arguments), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise RuntimeError(f"river's {job} ended with code {done.returncode}")
    return json.loads(done.stdout)
