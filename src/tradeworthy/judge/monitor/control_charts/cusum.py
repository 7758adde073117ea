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
    N_DOWN,
    N_UP,
    QUIET,
    SINCE_DOWN,
    SINCE_UP,
    SUM_DOWN,
    SUM_UP,
    TOTAL_DOWN,
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
def run_chart(own: Floats, sums: Floats, counts: Longs, scored: Scored) -> int:
    """Move one chart through (n,) scores; return the score at which it alarms (consumed), or n."""
    scores, told, ts_ns, n = scored.scores, scored.told, scored.ts_ns, len(scored.scores)
    allowance, limit_up, limit_down = own[ALLOWANCE], own[LIMIT_UP], own[LIMIT_DOWN]
    up, down, total_up, total_down = sums[SUM_UP], sums[SUM_DOWN], sums[TOTAL_UP], sums[TOTAL_DOWN]
    n_up, n_down, since_up, since_down = counts[N_UP], counts[N_DOWN], counts[SINCE_UP], counts[SINCE_DOWN]
    quiet, awake, place = counts[QUIET], counts[AWAKE], n
    for i in range(n):
        score, value = scores[i], told[i]
        if np.isnan(score):
            continue
        if quiet > 0:
            quiet -= 1
            continue
        awake += 1
        before, up = up, max(0.0, up + (score - allowance))
        since_up = ts_ns[i] if before == 0.0 else since_up
        total_up = total_up if up == 0.0 else value + (0.0 if before == 0.0 else total_up)
        n_up = n_up if up == 0.0 else 1 + (0 if before == 0.0 else n_up)
        before, down = down, max(0.0, down + (-score - allowance))
        since_down = ts_ns[i] if before == 0.0 else since_down
        total_down = total_down if down == 0.0 else value + (0.0 if before == 0.0 else total_down)
        n_down = n_down if down == 0.0 else 1 + (0 if before == 0.0 else n_down)
        if up > limit_up or down > limit_down:
            place = i
            break
    sums[SUM_UP], sums[SUM_DOWN], sums[TOTAL_UP], sums[TOTAL_DOWN] = up, down, total_up, total_down
    counts[N_UP], counts[N_DOWN], counts[SINCE_UP], counts[SINCE_DOWN] = n_up, n_down, since_up, since_down
    counts[QUIET], counts[AWAKE], counts[ALARM] = quiet, awake, 0
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
