"""What the monitors hear: streams whose change points are known, run through the charts as a watcher runs them.

Idea:   a stream is (n, p) rows, (n, 1) errors or (n, 2) scores with labels; the first part is the reference, what
        follows is watched. Ours and the peers get the very same values after the reference; the peers only where there
        is one column.
Units:  delays in events after the change; false alarms per 10,000 events.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from harness import HERE, PEERS, digits
from jobs import Floats
from measure import quantile_interval
from watch_reasons import alarms_of_reasons
from watch_streams import correlated, errors, feature, labelled, promised, with_code

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.class_balance import BalanceSettings, ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.calibration import Charts
from tradeworthy.judge.monitor.control_charts.chart_table import ALARM, QUIET, SUM_UP
from tradeworthy.judge.monitor.control_charts.cusum import watch
from tradeworthy.judge.monitor.control_charts.harm import empty_harm, reset, watch_losses
from tradeworthy.judge.monitor.drift import DriftSettings, calibrate_drift
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.performance import (
    PerformanceReference,
    PerformanceSettings,
    loss_tests,
    performance_reference,
)
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, ReliabilitySettings
from tradeworthy.live.feeds.crypto import read_crypto

REFERENCE, WATCHED, CHANGE = 5_000, 10_000, 1_000
WINDOW = 5_000
"""A change counts as detected if an alarm comes within so many events of it."""

FAR = 1e9
"""In the place of a delay without an end."""

AT, TOTAL = REFERENCE + CHANGE, REFERENCE + CHANGE + WINDOW
LAWS = ("gauss", "t3", "garch", "ar1", "regimes")
COINS = ("ETH", "BTC", "LTC")
RIVER = PEERS / "river" / "bin" / "python"
QUIET_EVENTS = 500
HORIZONS = (1, 6, 20)
PEER_RUNS = 2
ERROR_SEEDS = range(100, 160)
"""Streams of errors are cheap, and their delays vary widely."""

NEAR_GOAL, NEAR_GOAL_SEEDS = "gauss mean +0.5 sd", range(100, 400)
"""A change whose goal is next to what is possible: so many runs tell the two apart."""

CURVE_RATES = (0.3, 1.0, 3.0)
"""What is asked per 10,000 where the operating curve is drawn."""

WIDER = ("spread x1.5", "spread x2")

Hear = Callable[[Floats], list[int]]
"""Gives the rows of (m, p) watched ones at which a monitor alarms."""

Fit = Callable[[Floats], Hear]
"""Calibrates a monitor on a reference."""

Line = dict[str, Any]


def of_rows(reference: Floats, rate: float = 1.0) -> Hear:
    """Calibrate the charts of a drift monitor, with everything that it watches, to a rate per 10,000."""
    settings = DriftSettings(false_alarms_per_10k=rate)
    charts = calibrate_drift(reference, [f"f{place}" for place in range(reference.shape[1])], settings)
    return lambda rows: alarms_of(charts, rows)


def of_errors(horizon: int) -> Fit:
    """Return what calibrates both tests of a performance monitor on errors."""
    settings = PerformanceSettings(loss="error")

    def fit(reference: Floats) -> Hear:
        errors, scores = reference[:, 0], np.full(len(reference), 0.4)  # a wrong call: below one half, the label is 1
        made = performance_reference(scores, errors, horizon=horizon, settings=settings)
        return lambda rows: harms_of(made, settings, np.ascontiguousarray(rows[:, 0]))

    return fit


def of_mix(reference: Floats) -> Hear:
    """Calibrate a monitor of the class mix on scores and labels; the labels are known at once."""
    settings = BalanceSettings(false_alarms_per_10k=1.0)

    def hear(rows: Floats) -> list[int]:
        monitor = ClassBalanceMonitor(reference[:, 0], reference[:, 1], version=1, settings=settings)
        decisions, joined = np.zeros(len(rows), DECISION), np.zeros(len(rows), JOINED)
        for records in (decisions, joined):
            records["sequence"], records["version"] = np.arange(len(rows)), 1
        decisions["score"], joined["label"] = rows[:, 0], rows[:, 1]
        monitor.observe(decisions)
        monitor.observe(joined)
        return sorted({finding.sequence for finding in monitor.findings()})

    return hear


def of_reasons(reference: Floats) -> Hear:
    """Train trees on four columns, and calibrate a monitor of their reasons."""
    return lambda rows: alarms_of_reasons(reference, rows)


def of_promises(reference: Floats) -> Hear:
    """Calibrate a reliability monitor on scores and labels."""
    settings = ReliabilitySettings(false_alarms_per_10k=1.0, quiet=QUIET_EVENTS)
    monitor = ReliabilityMonitor(reference[:, 0], reference[:, 1], version=1, settings=settings)

    def hear(rows: Floats) -> list[int]:
        told = monitor.told_of(np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]))
        return sorted({place for places in told.values() for place in places})

    return hear


def harms_of(made: PerformanceReference, settings: PerformanceSettings, losses: Floats) -> list[int]:
    """Return the losses at which either test alarms; both are quiet for a while, as a monitor keeps them."""
    tests = loss_tests(made, settings, made.charts.start(), empty_harm())
    times, alarms = np.column_stack([np.arange(len(losses)), np.arange(len(losses)) + made.horizon]), list[int]()
    at = watch_losses(tests, losses, times, 0)
    while at < len(losses):
        alarms.append(at)
        tests.chart.sums[0, SUM_UP : SUM_UP + 2] = 0.0
        reset(tests.harm)
        at = watch_losses(tests, losses, times, at + 1 + QUIET_EVENTS)
    return alarms


def alarms_of(charts: Charts, rows: Floats) -> list[int]:
    """Return the rows at which charts alarm; one that alarmed is quiet for a while, as a monitor keeps it."""
    state, alarms, at, stamps = charts.start(), list[int](), 0, np.arange(len(rows))
    rows = np.ascontiguousarray(rows)
    while at < len(rows):
        at = watch(charts.table, state, rows, stamps, at)
        if at < len(rows):
            alarms.append(at)
            told = state.counts[:, ALARM] != 0
            state.sums[told, SUM_UP : SUM_UP + 2], state.counts[told, QUIET] = 0.0, QUIET_EVENTS
        at += 1
    return alarms


@lru_cache
def coin_returns(coin: str) -> Floats:
    """Return the log returns of a coin's half-hour bars, in percent."""
    bars, _ = read_crypto([Instrument(symbol=coin)])
    returns = np.diff(np.log(bars["values"][:, 3])) * 100.0
    known: Floats = returns[np.isfinite(returns)]
    return known


def resampled_returns(coin: str, n: int, seed: int) -> Floats:
    """Return n bar returns of a coin, redrawn in blocks of a week: real prices without a lasting change."""
    returns = coin_returns(coin)
    starts = np.random.default_rng([3, seed]).integers(0, len(returns) - 336, n // 336 + 1)
    return np.concatenate([returns[start : start + 336] for start in starts])[:n]


def series_of(law: str, n: int, seed: int) -> Floats:
    """Return (n, 1) values of a law, or of a coin's redrawn returns."""
    values = resampled_returns(law, n, seed) if law in COINS else feature(law, n, seed)
    return values[:, None]


def _four(law: str, n: int, seed: int) -> Floats:
    """Return (n, 4) columns of a law, or of coins, which have nothing to do with each other."""
    laws = (*COINS, COINS[0]) if law == "coins" else (law,) * 4
    return np.column_stack([series_of(each, n, 1_000 * seed + place)[:, 0] for place, each in enumerate(laws)])


def nulls(seeds: Sequence[int], *, peers: bool) -> Iterator[Line]:
    """Yield the lines of streams without change."""
    n = REFERENCE + WATCHED
    for law in (*LAWS, *COINS):
        name = f"{law} returns, weeks redrawn" if law in COINS else law
        yield from null_line(name, [series_of(law, n, seed) for seed in seeds], of_rows, peers=peers)
    yield from null_line("six features and a code", [_mixed(n, seed) for seed in seeds], of_rows, peers=False)
    for law in ("garch", "coins"):
        four = [_four(law, n, seed) for seed in seeds]
        yield from null_line(f"reasons of trees over four of {law}", four, of_reasons, peers=False)
    for horizon in HORIZONS:
        streams = [errors(0.45, horizon, n, seed)[:, None] for seed in ERROR_SEEDS]
        yield from null_line(f"errors 45%, horizon {horizon}", streams, of_errors(horizon), peers=peers)
    mixes = [labelled(0.5, n, seed) for seed in seeds]
    yield from null_line("half of the labels 1", mixes, of_mix, peers=False)
    kept = [promised(n, seed) for seed in seeds]
    yield from null_line("scores that keep their promise", kept, of_promises, peers=False)


def null_line(name: str, streams: list[Floats], fit: Fit, *, peers: bool) -> Iterator[Line]:
    """Yield how often each detector alarms on streams without change."""
    for who, alarms in _told(streams, fit, peers=peers).items():
        yield {"stream": name, "detector": who, **rate_of([len(run) for run in alarms])}


def curves(seeds: Sequence[int]) -> Iterator[Line]:
    """Yield what hearing spreads that grow costs in false alarms where volatility clusters, rate by rate."""
    for law in ("garch", *COINS):
        calm = [series_of(law, REFERENCE + WATCHED, seed) for seed in seeds]
        wider = {words: [SPOILS[words](s[:TOTAL], AT) for s in calm] for words in WIDER}
        for rate in CURVE_RATES:
            hears = [of_rows(s[:REFERENCE], rate) for s in calm]
            counts = [len(hear(s[REFERENCE:])) for hear, s in zip(hears, calm, strict=True)]
            told = {
                words: heard([hear(s[REFERENCE:]) for hear, s in zip(hears, streams, strict=True)])
                for words, streams in wider.items()
            }
            yield {"stream": law, "asked_per_10k": rate, **rate_of(counts), "heard": told}


def rate_of(counts: Sequence[int]) -> Line:
    """Return the mean of false alarms of runs per 10,000 events, and where there are many, its 95% interval."""
    rates = 1e4 / WATCHED * np.array(counts, np.float64)
    line: Line = {"runs": len(rates), "false_alarms_per_10k": digits(rates.mean())}
    if len(rates) > PEER_RUNS:
        half = 1.96 * float(rates.std(ddof=1)) / math.sqrt(len(rates))
        line["interval"] = [digits(max(0.0, float(rates.mean()) - half)), digits(float(rates.mean()) + half)]
    return line


def _told(streams: list[Floats], fit: Fit, *, peers: bool) -> dict[str, list[list[int]]]:
    """Return the alarms of each detector in each stream; the slower peers get the first streams only."""
    told = {"ours": [fit(s[:REFERENCE])(s[REFERENCE:]) for s in streams]}
    if peers:
        told |= river("alarms", {"streams": [s[REFERENCE:, 0].tolist() for s in streams[:PEER_RUNS]]})["alarms"]
    return told


def changes(seeds: Sequence[int], *, peers: bool) -> Iterator[Line]:
    """Yield the lines of streams that change at a known event."""
    for law in (*LAWS[:4], *COINS):
        for words, spoil in SPOILS.items():
            name = f"{law} {words}"
            drawn = NEAR_GOAL_SEEDS if name == NEAR_GOAL else seeds
            streams = [spoil(series_of(law, TOTAL, seed), AT) for seed in drawn]
            yield from change_line(name, streams, of_rows, peers=peers)
    for words, mix in MIXES.items():
        yield from change_line(words, [mix(seed) for seed in seeds], of_rows, peers=False)
    for before, after, horizon in ERRORS:
        streams = [errors(before, horizon, TOTAL, seed, change=AT, after=after)[:, None] for seed in ERROR_SEEDS]
        name = f"errors {100 * before:.0f} to {after:.0%}, horizon {horizon}"
        yield from change_line(name, streams, of_errors(horizon), peers=peers)
    for share in (0.6, 0.7):
        mixes = [labelled(0.5, TOTAL, seed, change=AT, after=share) for seed in seeds]
        yield from change_line(f"prior 50 to {share:.0%}, scores and labels", mixes, of_mix, peers=False)
    for words, broken in BROKEN.items():
        streams = [promised(TOTAL, seed, change=AT, **broken) for seed in seeds]
        yield from change_line(words, streams, of_promises, peers=False)


def change_line(name: str, streams: list[Floats], fit: Fit, *, peers: bool) -> Iterator[Line]:
    """Yield which share of changes each detector hears, and how late; early alarms are false and do not count."""
    for who, alarms in _told(streams, fit, peers=peers).items():
        yield {"stream": name, "detector": who, **heard(alarms)}


def heard(alarms: list[list[int]]) -> Line:
    """Return the share of runs with an alarm after the change, and the median delay of all runs (None if unheard)."""
    delays = [min((place - CHANGE + 1 for place in run if place >= CHANGE), default=math.inf) for run in alarms]
    middle = float(np.sort(delays)[(len(delays) - 1) // 2])
    around = quantile_interval(np.minimum(delays, FAR), 0.5)
    early = sum(place < CHANGE for run in alarms for place in run)
    return {
        "runs": len(alarms),
        "detected": digits(float(np.mean(np.isfinite(delays)))),
        "median_delay": middle if math.isfinite(middle) else None,
        "interval": [around.low, around.high if around.high < FAR else None],
        "false_alarms_before": early,
    }


def _moved(rows: Floats, at: int, by: float) -> Floats:
    return np.concatenate([rows[:at], rows[at:] + by * rows[:at].std()])


def _widened(rows: Floats, at: int, by: float) -> Floats:
    return np.concatenate([rows[:at], rows[at:] * by])


def _drifting(rows: Floats, at: int) -> Floats:
    slope = np.clip((np.arange(len(rows)) - at) / 1_000.0, 0.0, 1.0)
    return rows + 0.5 * rows[:at].std() * slope[:, None]


SPOILS: Mapping[str, Callable[[Floats, int], Floats]] = {
    "mean +0.5 sd": lambda s, at: _moved(s, at, 0.5),
    "mean +0.1 sd": lambda s, at: _moved(s, at, 0.1),
    "mean +0.5 sd within 1,000": _drifting,
    "spread x1.5": lambda s, at: _widened(s, at, 1.5),
    "spread x2": lambda s, at: _widened(s, at, 2.0),
}
"""Changes of one column by name."""


def _mixed(n: int, seed: int) -> Floats:
    return with_code(correlated(n, seed), seed)


MIXES: Mapping[str, Callable[[int], Floats]] = {
    "correlation 0.8 to -0.8 of two in seven": lambda seed: with_code(correlated(TOTAL, seed, flip=AT), seed),
    "rotation of three in seven": lambda seed: with_code(correlated(TOTAL, seed, turn=AT), seed),
    "code 50/30/20 to 40/30/30%": lambda seed: with_code(correlated(TOTAL, seed), seed, change=AT),
}
"""Changes among several columns by name; each column by itself has the same law as before, but for the code's."""

BROKEN: Mapping[str, Mapping[str, float]] = {
    "5 points less than promised": {"less": 0.05},
    "10 points less than promised": {"less": 0.1},
    "scores half as sure as they say": {"slope": 0.5},
}
"""Promises of scores that are broken."""

ERRORS = (
    (0.45, 0.55, 1),
    (0.10, 0.25, 1),
    (0.20, 0.80, 1),
    (0.48, 0.50, 1),
    (0.45, 0.50, 1),
    (0.45, 0.55, 6),
    (0.45, 0.55, 20),
)
"""Rates of errors before and after a change (20 to 80%: labels flipped), and over how many events labels overlap."""


def river(job: str, arguments: Mapping[str, Any]) -> Any:
    """Ask river, in its own environment, for its alarms or its speed."""
    command = [str(RIVER), str(HERE / "peers" / "river_drift.py"), job]
    done = subprocess.run(command, input=json.dumps(arguments), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise RuntimeError(f"river's {job} ended with code {done.returncode}")
    return json.loads(done.stdout)
