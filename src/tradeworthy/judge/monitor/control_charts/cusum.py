"""Two-sided CUSUM charts over many series at once: kernels over whole slices of rows.

Idea:   a chart sums bounded scores (`views`) beyond an allowance and forgets below zero.
Flow:   rows -> a tile of columns -> one chart's scores -> its sums, in registers. A tile in which a chart alarms is run
        again from where it began, up to that row, so that every chart stands at the row of the alarm.
State:  O(1) a chart. The change is dated at the row where the sum last left zero.
Undefined: a value that is not finite is skipped; its chart stands still.
Reference: Page (1954).
"""

import numpy as np

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    ALLOWANCE,
    AWAKE,
    LIMIT_DOWN,
    LIMIT_UP,
    N_UP,
    QUIET,
    SINCE_UP,
    SUM_DOWN,
    SUM_UP,
    TOTAL_UP,
    ChartState,
    ChartTable,
    Floats,
    Longs,
    Scored,
)
from tradeworthy.judge.monitor.control_charts.views import fill_columns, write_scores

TILE = 256
"""Rows whose scores are held at once: few enough to stay in the nearest cache."""


@kernel
def _pass_quietly(counts: Longs, scores: Floats) -> int:
    """Let known scores pass while the chart is quiet; return the first that it shall hear, or how many there are."""
    at = 0
    while counts[QUIET] > 0 and at < len(scores):
        if not np.isnan(scores[at]):
            counts[QUIET] -= 1
        at += 1
    return at


@kernel
def _date(state: ChartState, side: int, reached: float, scored: Scored, heard: tuple[int, int, int]) -> None:
    """Say of one side's excursion since when it lasts and what its values add up to; nothing of a sum of zero.

    `state` is one chart's (SUMS,) and (COUNTS,); `heard` are the first of the scores that it heard, the one after the
    last, and the last at which the sum was zero, or -1.
    """
    (sums, counts), (start, stop, last_zero) = state, heard
    total, seen, since = sums[TOTAL_UP + side], counts[N_UP + side], counts[SINCE_UP + side]
    if last_zero >= 0 or sums[SUM_UP + side] == 0.0:
        total, seen, since = 0.0, 0, 0
    for i in range(max(start, last_zero + 1), stop if reached > 0.0 else 0):
        if not np.isnan(scored.scores[i]):
            since = scored.ts_ns[i] if seen == 0 else since
            total += scored.told[i]
            seen += 1
    sums[SUM_UP + side], sums[TOTAL_UP + side] = reached, total
    counts[N_UP + side], counts[SINCE_UP + side] = seen, since


@kernel
def run_chart(own: Floats, sums: Floats, counts: Longs, scored: Scored) -> int:
    """Move one chart through (n,) scores; return the score at which it alarms (consumed), or n.

    The loop moves both sums alone; what else is told of an excursion is added up afterwards, from where it began.
    """
    scores, n = scored.scores, len(scored.scores)
    allowance, limit_up, limit_down = own[ALLOWANCE], own[LIMIT_UP], own[LIMIT_DOWN]
    up, down, awake, place = sums[SUM_UP], sums[SUM_DOWN], counts[AWAKE], n
    zero_up, zero_down, start = -1, -1, _pass_quietly(counts, scores)
    for i in range(start, n):
        score = scores[i]
        if np.isnan(score):
            continue
        awake += 1
        up, down = up + (score - allowance), down + (-score - allowance)
        up, zero_up = (up, zero_up) if up > 0.0 else (0.0, i)
        down, zero_down = (down, zero_down) if down > 0.0 else (0.0, i)
        if up > limit_up or down > limit_down:
            place = i
            break
    state, stop = ChartState(sums, counts), min(n, place + 1)
    _date(state, 0, up, scored, (start, stop, zero_up))
    _date(state, 1, down, scored, (start, stop, zero_down))
    counts[AWAKE], counts[ALARM] = awake, 0
    if place < n:
        counts[ALARM] = 1 if up / limit_up >= down / limit_down else -1
    return place


@kernel
def _run_tile(table: ChartTable, state: ChartState, columns: Floats, ts_ns: Longs, n: int) -> int:
    """Move all charts through the first n rows of a tile; return the first row at which one alarms, or n.

    Charts that come before the one that alarms may have gone further.
    """
    scores, told, first = np.empty(n), np.empty(n), n
    for chart in range(len(table.constants)):
        stop = min(n, first + 1)
        sums, counts = state.sums[chart], state.counts[chart]
        scored = Scored(scores[:stop], told[:stop], ts_ns)
        write_scores(table, chart, sums, columns, scored)
        place = run_chart(table.constants[chart], sums, counts, scored)
        if place < stop:
            first = int(place)
    return first


@kernel
def watch(table: ChartTable, state: ChartState, rows: Floats, ts_ns: Longs, start: int) -> int:
    """Step all charts through rows until one or more raise an alarm.

    Parameters
    ----------
    table, state
        Constants and memory of q charts.
    rows : (n, p) float64
        One value a column.
    ts_ns : (n,) int64
        Event times.
    start : int
        First row to consume.

    Returns
    -------
    int
        The row that raised alarms (wholly consumed; directions in column ALARM), or n.
    """
    n, p, at = len(rows), rows.shape[1], int(start)
    columns = np.empty((p + 1, min(TILE, max(1, n - at))))
    sums, counts = state.sums.copy(), state.counts.copy()
    while at < n:
        size = min(n - at, columns.shape[1])
        fill_columns(table, rows[at : at + size], columns)
        first = _run_tile(table, state, columns, ts_ns[at : at + size], size)
        if first < size:
            state.sums[:], state.counts[:] = sums, counts
            _run_tile(table, state, columns, ts_ns[at : at + size], first + 1)
            return int(at + first)
        sums[:], counts[:] = state.sums, state.counts
        at += size
    return n


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
