"""Lags of inputs and decisions are those that a list says, on streams as bad as streams get."""

import numpy as np
import pytest
from tape_slices import bars, decisions_on

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.events import Kind
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.judge.monitor.latency import LAGS, LatencyMonitor, LatencySettings

N, LEARN = 900, 60
DESK = ["ETH", "BTC"]
SETTINGS = LatencySettings(learn=LEARN, quiet=50, false_alarms_per_10k=5.0)


def tape(seed=0):
    """Return inputs of three instruments, one of them unknown, and decisions; lags grow at two thirds."""
    rng = np.random.default_rng(seed)
    events, late = bars(np.full(N, 100.0)), np.arange(N) > 2 * N // 3
    events["instrument"] = rng.integers(0, 3, N)
    events["kind"][rng.random(N) < 0.1] = Kind.CONTROL
    events["ts_recv_ns"] += (NS_PER_MS * rng.gamma(2.0, np.where(late, 9.0, 1.0))).astype(np.int64)
    decisions = decisions_on(events, 0.5)
    asked = np.maximum.accumulate(np.clip(np.arange(N) - rng.integers(0, 3, N), 0, None))
    decisions["input_sequence"] = events["sequence"][asked] + (rng.random(N) < 0.05)  # some of nothing on the tape
    decisions["ts_decided_ns"] = events["ts_recv_ns"][asked] + rng.integers(0, NS_PER_MS, N) * np.where(late, 40, 1)
    return events, decisions[rng.random(N) < 0.8]


def plainly(events, decisions):
    """Return the lags in milliseconds of each lag of each instrument, in order."""
    found = {(symbol, lag): [] for symbol in DESK for lag in LAGS}
    for event in events:
        if event["kind"] == Kind.BAR and event["instrument"] < len(DESK):
            lag_ns = int(event["ts_recv_ns"]) - int(event["ts_event_ns"])
            found[DESK[event["instrument"]], LAGS[0]].append(lag_ns / NS_PER_MS)
    seen = dict(zip(events["sequence"].tolist(), events["ts_recv_ns"].tolist(), strict=True))
    for each in decisions:
        if int(each["input_sequence"]) in seen and each["instrument"] < len(DESK):
            lag_ns = int(each["ts_decided_ns"]) - seen[int(each["input_sequence"])]
            found[DESK[each["instrument"]], LAGS[1]].append(lag_ns / NS_PER_MS)
    return found


def read(events, decisions, *, step=N, decisions_first=False, restarts=False):
    """Return a monitor that has read slices of both streams in turn, and what it found."""
    monitor, found = LatencyMonitor(DESK, SETTINGS), []
    for first in range(0, N, step):
        parts = [events[first : first + step], decisions[first : first + step], np.zeros(3, ORDER), events[:0]]
        for part in parts[::-1] if decisions_first else parts:
            monitor.observe(part)
        if restarts:
            state = monitor.state()
            monitor = LatencyMonitor(DESK, SETTINGS)
            monitor.restore(state)
        found += monitor.findings()
    return monitor, sorted(found, key=lambda finding: (finding.sequence, finding.subject))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("decisions_first", [False, True])
@pytest.mark.parametrize("step", [4, 33, N])
def test_lags_are_what_a_list_says_however_streams_are_cut(step, decisions_first, restarts):
    """Count, mean, worst and the learned limit of every lag, whichever stream comes first, and across restarts."""
    events, decisions = tape()
    monitor, _ = read(events, decisions, step=step, decisions_first=decisions_first, restarts=restarts)
    expected = plainly(events, decisions)
    assert [(each.instrument, each.lag) for each in monitor.summary()] == list(expected)
    for each in monitor.summary():
        lags = expected[each.instrument, each.lag]
        assert (each.count, each.worst_ms) == (len(lags), max(lags))
        assert each.mean_ms == pytest.approx(np.mean(lags), rel=1e-12)
        assert each.slow_ms == pytest.approx(max(1.5 * float(np.quantile(lags[:LEARN], 0.99)), SETTINGS.least_ms))


@pytest.mark.parametrize("step", [4, 33, 100])
def test_slow_lags_are_told_alike_however_streams_are_cut(step):
    """Findings are the same to the last word, with a restart after every slice."""
    events, decisions = tape(1)
    _, whole = read(events, decisions)
    assert {finding.subject for finding in whole} == {f"{symbol} {lag}" for symbol in DESK for lag in LAGS}
    assert all(finding.ts_event_ns > events["ts_event_ns"][2 * N // 3] for finding in whole)
    assert read(events, decisions, step=step, restarts=True)[1] == whole


def test_decisions_that_ask_in_falling_order_are_measured():
    """Each finds its own input; what is left waiting is what nobody has read yet."""
    events = bars(np.full(6, 100.0))
    decisions = decisions_on(events, 0.5)
    decisions["input_sequence"] = decisions["input_sequence"][[2, 0, 1, 4, 3, 5]]
    decisions["ts_decided_ns"] = events["ts_recv_ns"][[2, 0, 1, 4, 3, 5]] + 2 * NS_PER_MS
    monitor = LatencyMonitor(DESK, SETTINGS)
    monitor.observe(decisions)
    monitor.observe(events[:5])
    feed, decided = monitor.summary()
    assert (feed.count, decided.count, decided.mean_ms, decided.worst_ms) == (5, 5, 2.0, 2.0)
    assert monitor.state()["decisions"]["sequence"].tolist() == [int(decisions["sequence"][5])]


def test_a_limit_that_is_not_learned_yet_is_nan():
    """With too few lags nothing is slow, and the summary says that there is no limit."""
    events, decisions = tape()
    monitor = LatencyMonitor(DESK, LatencySettings(learn=10_000))
    monitor.observe(events)
    monitor.observe(decisions)
    assert all(np.isnan(each.slow_ms) and each.count > 0 for each in monitor.summary())
    assert monitor.findings() == []
