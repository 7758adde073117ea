"""Two-sided CUSUM charts over many series at once: one kernel, constants in a table, memory in a state.

Idea:   each value becomes a bounded score of mean 0 and spread 1; the chart sums scores beyond an allowance and
        forgets below zero. Where a series clusters (quiet days, wild days), it is first divided by its recent scale.
        Scores are clipped, so that one wild value cannot raise an alarm.
State:  O(1) a series. The change is dated at the row where the sum last left zero.
Time:   the recent scale at a row comes from earlier rows only.
Undefined: a value that is not finite is skipped; its chart stands still.
Reference: Page (1954), the chart; RiskMetrics (1996), the exponentially weighted scale.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# Columns of `ChartTable.constants`: what a chart knows.
CENTRE, SCALE, RHO, INNOVATION, DECAY, CLIP, OFFSET, SPREAD, ALLOWANCE, LIMIT_UP, LIMIT_DOWN, FORGET = range(12)
CONSTANTS = 12

# Columns of `ChartState.sums` and `ChartState.counts`: what a chart remembers.
RECENT, LAST, SUM_UP, SUM_DOWN, TOTAL_UP, TOTAL_DOWN = range(6)
SUMS = 6
SINCE_UP, SINCE_DOWN, N_UP, N_DOWN, QUIET, AWAKE, REPEATS, ALARM = range(8)
COUNTS = 8

RECENT_MIN = 0.05
"""The recent scale never falls below this share of its usual square."""

LONG = 1 << 40
"""Events since the last alarm, where there was none."""

SHOCK_MAX = 16.0
"""One innovation counts at most this many times the recent square."""


class ChartTable(NamedTuple):
    """Constants of p charts, (p, CONSTANTS) float64."""

    constants: Floats


class ChartState(NamedTuple):
    """Memory of p charts: (p, SUMS) float64 and (p, COUNTS) int64."""

    sums: Floats
    counts: Longs


def empty_state(n_charts: int) -> ChartState:
    """Return the memory of charts that have seen nothing."""
    state = ChartState(np.zeros((n_charts, SUMS)), np.zeros((n_charts, COUNTS), np.int64))
    state.sums[:, RECENT] = 1.0
    state.counts[:, AWAKE] = LONG
    return state


@kernel
def bounded_score(constants: Floats, sums: Floats, chart: int, value: float) -> float:
    """Return one value's clipped score, neither centred nor scaled yet; the recent scale moves on."""
    z = (value - constants[chart, CENTRE]) / constants[chart, SCALE]
    score = z
    if constants[chart, DECAY] > 0.0:
        recent = sums[chart, RECENT]
        score = z / np.sqrt(recent)
        innovation = z - constants[chart, RHO] * sums[chart, LAST]
        shock = min(innovation * innovation * constants[chart, INNOVATION], SHOCK_MAX * recent)
        recent += (1.0 - constants[chart, DECAY]) * (shock - recent)
        sums[chart, RECENT] = max(recent, RECENT_MIN)
        sums[chart, LAST] = z
    clip = constants[chart, CLIP]
    bounded: float = min(max(score, -clip), clip)
    return bounded


@kernel
def score_series(table: ChartTable, state: ChartState, chart: int, series: Floats, scores: Floats) -> None:
    """Write the (n,) clipped scores of one chart's series."""
    for i in range(series.shape[0]):
        scores[i] = bounded_score(table.constants, state.sums, chart, series[i])


@kernel
def _advance(state: ChartState, chart: int, side: int, step: float, value: float) -> None:
    """Move one side of a chart by a step; a sum that leaves zero starts a new count."""
    before = state.sums[chart, SUM_UP + side]
    after = before + step
    if after <= 0.0:
        state.sums[chart, SUM_UP + side] = 0.0
        return
    if before == 0.0:
        state.sums[chart, TOTAL_UP + side] = 0.0
        state.counts[chart, N_UP + side] = 0
    state.sums[chart, SUM_UP + side] = after
    state.sums[chart, TOTAL_UP + side] += value
    state.counts[chart, N_UP + side] += 1


@kernel
def step(table: ChartTable, state: ChartState, chart: int, value: float, ts_ns: int) -> int:
    """Step one chart by one value; return 1 or -1 for an alarm up or down, else 0."""
    constants, sums, counts = table.constants, state.sums, state.counts
    score = (bounded_score(constants, sums, chart, value) - constants[chart, OFFSET]) / constants[chart, SPREAD]
    if counts[chart, QUIET] > 0:
        counts[chart, QUIET] -= 1
        return 0
    counts[chart, AWAKE] += 1
    for side in range(2):
        toward = score if side == 0 else -score
        if sums[chart, SUM_UP + side] == 0.0:
            counts[chart, SINCE_UP + side] = ts_ns
        _advance(state, chart, side, toward - constants[chart, ALLOWANCE], value)
    if sums[chart, SUM_UP] > constants[chart, LIMIT_UP] or sums[chart, SUM_DOWN] > constants[chart, LIMIT_DOWN]:
        over_up = sums[chart, SUM_UP] / constants[chart, LIMIT_UP]
        return 1 if over_up >= sums[chart, SUM_DOWN] / constants[chart, LIMIT_DOWN] else -1
    return 0


@kernel
def watch(table: ChartTable, state: ChartState, rows: Floats, ts_ns: Longs, start: int) -> int:
    """Step all charts through rows until one or more raise an alarm.

    Parameters
    ----------
    table, state
        Constants and memory of p charts.
    rows : (n, p) float64
        One value a chart.
    ts_ns : (n,) int64
        Event times.
    start : int
        First row to consume.

    Returns
    -------
    int
        The row that raised alarms (wholly consumed; directions in column ALARM), or n.
    """
    for i in range(start, rows.shape[0]):
        alarms = 0
        for chart in range(rows.shape[1]):
            value = rows[i, chart]
            if np.isfinite(value):
                direction = step(table, state, chart, value, ts_ns[i])
                state.counts[chart, ALARM] = direction
                alarms += direction != 0
            else:
                state.counts[chart, ALARM] = 0
        if alarms > 0:
            return i
    return len(rows)


@kernel
def excursions(scores: Floats, allowance: float, lowest: float, peaks: Floats) -> int:
    """Write the peaks above `lowest` of a one-sided chart's excursions from zero; return how many.

    `scores` is (r, n): r independent runs, each from zero. Peaks beyond the room in `peaks` are not written.
    """
    found = 0
    for run in range(scores.shape[0]):
        total = 0.0
        peak = 0.0
        for i in range(scores.shape[1]):
            total += scores[run, i] - allowance
            peak = max(peak, total)
            if total <= 0.0 or i == scores.shape[1] - 1:
                if peak > lowest and found < peaks.shape[0]:
                    peaks[found] = peak
                    found += 1
                total = 0.0
                peak = 0.0
    return found
