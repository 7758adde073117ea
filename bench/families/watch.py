"""Watching: what the standing monitors cost, and what they hear on streams whose change points are known.

The table of every stream goes to `bench/watch.json`; the figures here are its worst and its typical lines. Streams are
drawn with seeds on which nothing was tuned (`watch_streams.REPORTED`).
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from alert_path import alert_delays
from harness import HERE, Aim, Peer, Report, Setting, context, unpin
from jobs import ETH, FEATURES, HALF_HOUR_NS, Floats
from measure import Estimate, median_of, rates
from watch_detection import RIVER, WATCHED, WINDOW, changes, curves, nulls, river
from watch_streams import REPORTED

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.base import Monitor, State
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept
from tradeworthy.judge.monitor.standing import resume, standing_set

AIMS = {
    "watch_standing_events_per_s": Aim("events/s", "higher", 1_000_000),
    "watch_drift_events_per_s": Aim("events/s", "higher", 1_000_000),
    "watch_look_us": Aim("us", "lower", 1_000),
    "watch_alert_s_p50": Aim("s", "lower", 5.0),
    "watch_alert_s_max": Aim("s", "lower", 5.0),
    "watch_false_alarms_worst_per_10k": Aim("per 10,000", "lower", 2.0),
    "watch_delay_mean_half_sd_p50": Aim("events", "lower", 60),
    "watch_delay_error_45_55_p50": Aim("events", "lower", 250),
    "watch_delay_error_10_25_p50": Aim("events", "lower", 80),
    "watch_overlap20_45_55_share": Aim("share", "higher", 0.95),
    "watch_overlap20_45_55_delay_p50": Aim("events", "lower", 1_300),
}

OUT = HERE / "watch.json"
VERSION = 7
REFERENCE = 5_000
LOOK = 20


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    events = 30_000 if not setting.quick else 10_000
    throughput(setting, report, events)
    seeds = REPORTED[:6] if setting.quick else REPORTED
    peers = setting.peers and RIVER.exists()
    with tempfile.TemporaryDirectory() as folder, calibrations_kept(Path(folder)):
        lines, curve = [*nulls(seeds, peers=peers), *changes(seeds, peers=peers)], [*curves(seeds)]
    alerts(report)
    about = {
        "seeds": [seeds[0], seeds[-1]],
        "reference": REFERENCE,
        "watched": WATCHED,
        "window": WINDOW,
        "asked_per_10k": 1.0,
        "quick": setting.quick,
        "taken": context(quick=setting.quick, realtime=False)["taken"],
        "peers": "river" if peers else None,
    }
    figures = {name: figure.record() for name, figure in report.figures.items()}
    record = {"about": about, "throughput": figures, "detection": lines, "curve": curve}
    OUT.write_text(json.dumps(record, indent=1) + "\n")
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


def alerts(report: Report) -> None:
    """Say how late alerts are, from the event to their receiver, beside a running engine; every core is used."""
    unpin()
    with tempfile.TemporaryDirectory() as folder:
        delays, monitors = alert_delays(Path(folder))
    note = f"{len(delays)} alerts of the {len(monitors)} monitors of a deployment as init makes it, on real prices, "
    note += "beside its engine; from before the record to the receiver; "
    note += f"a load of {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    report.add("watch_alert_s_p50", float(np.median(delays)) if delays else None, note=note)
    report.add("watch_alert_s_max", max(delays, default=None), note=note)


# What it costs.


def throughput(setting: Setting, report: Report, n: int) -> None:
    """Time the standing set, and its drift monitor alone, over slices as a watcher takes them."""
    streams, monitors = tape(n), standing()
    fresh = {name: monitor.state() for name, monitor in monitors.items()}
    parts = [stream[i : i + 20_000] for i in range(0, n, 20_000) for stream in streams]
    looks = [stream[i : i + LOOK] for i in range(0, 100 * LOOK, LOOK) for stream in streams]
    calls: dict[str, Callable[[], int]] = {
        "look": lambda: observe(monitors, fresh, looks, 100),
        "set": lambda: observe(monitors, fresh, parts, n),
        "drift": lambda: observe({"drift": monitors["drift"]}, fresh, parts, n),
        "floor": lambda: floor_call(streams[2]["row"]),
    }
    taken = rates(calls, repeats=setting.repeats(9), clock=time.process_time_ns)
    floor = median_of(taken["floor"]).value
    drift: Any = monitors["drift"]
    charts = len(drift.charts.operating)
    note = f"{len(monitors)} monitors, {FEATURES} features in {charts} charts, slices of 20,000; processor time"
    report.add("watch_standing_events_per_s", median_of(taken["set"]), floor=floor, note=note)
    look = median_of(taken["look"])
    us = Estimate(1e6 / look.value, 1e6 / look.high, 1e6 / look.low)
    report.add("watch_look_us", us, note=f"a look at {LOOK} events with their decisions and rows; processor time")
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
    closes = np.round(100.0 * np.exp(np.cumsum(1e-3 * rng.standard_normal(n))), 2)  # on the grid, as a market's are
    bars["values"][:, :4], bars["values"][:, 4] = closes[:, None], 1.0
    decisions["sequence"], decisions["input_sequence"] = bars["sequence"] + 1, bars["sequence"]
    decisions["ts_event_ns"], decisions["ts_decided_ns"] = times, times + 20_000
    decisions["version"], decisions["role"], decisions["price"] = VERSION, 1, closes
    decisions["score"] = rng.random(n)
    rows["sequence"], rows["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    rows["row"] = related_rows(rng, n)
    return bars, decisions, rows


def standing() -> dict[str, Monitor]:
    """Return the standing set of a version of 32 features whose labels the market decides."""
    from tradeworthy.model.features.expressions import bar  # noqa: PLC0415
    from tradeworthy.model.features.labels import forward_direction  # noqa: PLC0415
    from tradeworthy.model.season import Season  # noqa: PLC0415

    rng = np.random.default_rng(2)
    sample = related_rows(rng, REFERENCE)
    profile = SimpleNamespace(
        sample=sample,
        sample_places=np.arange(REFERENCE),
        sample_times=np.empty(0, np.int64),
        season=Season.unknown(FEATURES),
        minimum=sample.min(axis=0),
        maximum=sample.max(axis=0),
    )
    names = tuple(f"f{place}" for place in range(FEATURES))
    program = SimpleNamespace(names=names, row_fields=())
    predictor = SimpleNamespace(many=lambda rows: np.full((len(rows), 1), 0.5))
    version: Any = SimpleNamespace(number=VERSION, program=program, profile=profile, predictor=predictor)
    walk = rng.random(3_000), (rng.random(3_000) < 0.5).astype(np.float64)
    return standing_set(version, [ETH], label=forward_direction(bar.close, 6), walk=walk)


def related_rows(rng: np.random.Generator, n: int) -> Floats:
    """Return (n, FEATURES) rows, every second column related to the one before it."""
    rows = rng.standard_normal((n, FEATURES))
    rows[:, 1::2] = 0.6 * rows[:, ::2] + 0.8 * rows[:, 1::2]
    return rows


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
