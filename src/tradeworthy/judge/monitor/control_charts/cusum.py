"""Two-sided CUSUM charts over many series at once: kernels over whole slices of rows.

Idea:   a chart sums bounded scores (`views`) beyond an allowance and forgets below zero.
Flow:   row -> scores -> all charts a step, eight at once (`lanes`) -> the row at which one or more alarm.
State:  O(1) a chart. The change is dated at the row where the sum last left zero.
Undefined: a value that is not finite is skipped; its chart stands still.
Reference: Page (1954).
"""

import numpy as np

from tradeworthy.core.kernel import inlined, kernel, leaf, side_by_side
from tradeworthy.judge.monitor.control_charts.chart_table import ChartState, ChartTable, Floats, Longs
from tradeworthy.judge.monitor.control_charts.lanes import (
    ALLOWANCE,
    AWAKE,
    BEGAN,
    CENTRE,
    CHART,
    COUNT,
    EDGE,
    HEAD,
    LANES,
    LIMIT_DOWN,
    LIMIT_UP,
    OFFSET,
    PER_SPREAD,
    QUIET,
    SCALED,
    STANDARD,
    SUM,
    TOTAL,
    VALUE,
    Lanes,
    packed,
    unpack,
)
from tradeworthy.judge.monitor.control_charts.views import (
    beyond,
    clipped,
    distance_of,
    is_known,
    look,
    read_row,
    same_side,
    sized,
)

SPREAD, TAILS = HEAD + CHART, HEAD + 2 * CHART
"""Where the spread and the tail charts of a block begin."""


@inlined
def _step_side(block: Floats, at: int, gain: float, told: float, when: tuple[bool, float, float]) -> float:
    """Move one side's sum, and what is told of its excursion; return the sum.

    A row that is not heard (1 or 0) gains and tells nothing. A sum of zero has told nothing and begins with the next.
    """
    heard, once, row = when
    before, count, total, began = block[at + SUM], block[at + COUNT], block[at + TOTAL], block[at + BEGAN]
    gained, counted, summed = before + gain, count + once, total + told
    fresh = gained if heard else before
    grown = fresh > 0.0
    block[at + SUM] = after = fresh if grown else 0.0
    block[at + COUNT] = counted if grown else 0.0
    block[at + TOTAL] = summed if grown else 0.0
    block[at + BEGAN] = began if before > 0.0 else row
    return float(after)


@inlined
def _step(block: Floats, at: int, raw: float, told: float, when: tuple[bool, float]) -> int:
    """Move one lane's chart by a score, if it is known at this row and not quiet; return whether it alarms."""
    (known, row), quiet = when, block[at + QUIET]
    heard, less = known & (quiet <= 0.0), quiet - 1.0
    once, heard_of = 1.0 if heard else 0.0, told if heard else 0.0
    block[at + QUIET] = (max(0.0, less)) if known else quiet
    block[at + AWAKE] += once
    score, allowance = (raw - block[at + OFFSET]) * block[at + PER_SPREAD], block[at + ALLOWANCE]
    up = _step_side(block, at, score - allowance, heard_of, (heard, once, row))
    down = _step_side(block, at + LANES, -score - allowance, heard_of, (heard, once, row))
    return 1 if (up > block[at + LIMIT_UP]) | (down > block[at + LIMIT_DOWN]) else 0


@inlined
def _step_level(block: Floats, lane: int, row: float) -> int:
    """Move the level chart of one lane's column."""
    at, value = HEAD + lane, block[VALUE + lane]
    return _step(block, at, clipped(block[SCALED + lane], block[at + EDGE]), value, (is_known(value), row))


@inlined
def _step_levels(block: Floats, width: int, row: float) -> int:
    """Move the level charts of a block's first columns; return whether one alarms."""
    alarms = 0
    for lane in range(width):
        alarms |= _step_level(block, lane, row)
    return alarms


@leaf
def _step_columns(block: Floats, row: float) -> int:
    """Move the level, spread and tail charts of a block of columns; return whether one alarms."""
    alarms = 0
    for lane in range(LANES):
        value = block[VALUE + lane]
        known, far = is_known(value), beyond(block[SCALED + lane], block[TAILS + EDGE + lane])
        alarms |= _step_level(block, lane, row)
        distance = abs(value - block[CENTRE + lane])
        alarms |= _step(block, SPREAD + lane, sized(block[STANDARD + lane]), distance, (known, row))
        alarms |= _step(block, TAILS + lane, far, far, (known, row))
    return alarms


@inlined
def _score_others(table: ChartTable, lanes: Lanes) -> None:
    """Put what the charts of no single column score and tell where a level chart has its scaled value and its value."""
    value, standard, scaled = lanes.flat, lanes.flat[STANDARD:], lanes.flat[SCALED:]
    distance = distance_of(lanes) if lanes.n_axes else np.nan
    for i in range(len(lanes.others)):
        at = lanes.others[i, 1]
        scaled[at], value[at] = look(table, lanes, int(lanes.others[i, 0]), distance)
    for i in range(len(lanes.pairs)):
        at, one, two = lanes.pairs[i]
        told = same_side(standard[one], standard[two])
        scaled[at] = value[at] = told if is_known(value[one]) else np.nan


@inlined
def _step_row(table: ChartTable, lanes: Lanes, row: float) -> int:
    """Move all charts by the row that was read; return whether one alarms."""
    alarms, first = 0, lanes.n_column_blocks
    _score_others(table, lanes)  # first, so that what was written one by one has settled when lanes read it
    for b in range(first):
        if lanes.levels_only:
            alarms |= _step_levels(lanes.blocks[b], min(LANES, lanes.width - b * LANES), row)
        else:
            alarms |= _step_columns(lanes.blocks[b], row)
    for b in range(first, len(lanes.blocks)):
        alarms |= _step_levels(lanes.blocks[b], min(LANES, lanes.n_others - (b - first) * LANES), row)
    return alarms


@side_by_side
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
    n, at, alarms = len(rows), int(start), 0
    lanes = packed(table, state, rows.shape[1])
    while at < n and alarms == 0:
        read_row(lanes, rows[at])
        alarms = _step_row(table, lanes, float(at))
        at += 1
    unpack(lanes, table, state, ts_ns)
    return at - 1 if alarms else n


@side_by_side
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
