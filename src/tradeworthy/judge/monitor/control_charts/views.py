"""What a chart looks at in a row: a level, a spread, a tail, a pair, a category; each as a bounded score.

Idea:   a view turns the values of a column (or two) into scores whose mean moves when what it looks at moves. All
        charts share the rest: the sums, the limits, the null model.
        level     value / its recent scale where the series clusters, clipped
        spread    |z| / (1 + |z|): the distance from the centre, on the scale of its logarithm
        tail      1 where the (recently scaled) value lies beyond an edge that the reference seldom passed
        pair      1 where two values are on the same side of their middles: do they still move together?
        category  1 where the value is one certain code
        All columns together: the mean bounded distance along the axes, in units of the row's own size, as a level.
Flow:   a row -> `standardise` each block of eight columns -> views of one column (in lanes), `look` for all others.
Time:   the recent scale at a row comes from earlier rows only.
Undefined: the score of a value that is not finite is NaN; the recent scale stands still.
Units:  what is told is in natural units: the value, its distance from the centre, or a share.
Reference: RiskMetrics (1996), the exponentially weighted scale.
"""

import numpy as np

from tradeworthy.core.kernel import inlined, kernel, side_by_side
from tradeworthy.judge.monitor.control_charts import chart_table as t
from tradeworthy.judge.monitor.control_charts.chart_table import ChartState, ChartTable, Floats
from tradeworthy.judge.monitor.control_charts.lanes import (
    AXES_MAX,
    CENTRE,
    FRESH,
    INNOVATION,
    LANES,
    LAST,
    LEVEL,
    PAIR,
    PER_SCALE,
    RECENT,
    RHO,
    SCALED,
    STANDARD,
    TAIL,
    VALUE,
    WIDTH,
    Lanes,
    packed,
    unpack,
)

RECENT_MIN = 0.05
"""The recent scale never falls below this share of its usual square."""

SHOCK_MAX = 16.0
"""One innovation counts at most this many times the recent square."""

BOUND = 4.0
"""Values of a row taken together are cut here, in robust scales."""

ORIGIN = np.zeros(AXES_MAX)

Eight = tuple[float, float, float, float, float, float, float, float]

SIZE_USUAL, SIZE_MIN = 0.8, 0.25
"""Mean distance of a row's values from their middles, in robust scales: usual, and the least that counts."""


@inlined
def is_known(value: float) -> bool:
    """Whether a value is finite; without a branch."""
    return (value - value) == 0.0


@inlined
def clipped(value: float, edge: float) -> float:
    """Return a value between an edge and its opposite."""
    above = max(-edge, value)
    return min(edge, above)


@inlined
def sized(z: float) -> float:
    """Return a distance from the middle, bounded by one."""
    size = abs(z)
    return size / (1.0 + size)


@inlined
def beyond(z: float, edge: float) -> float:
    """Return 1 where a value lies beyond an edge on either side."""
    return 1.0 if abs(z) > edge else 0.0


@inlined
def standardise(block: Floats, lane: int) -> None:
    """Centre and scale one lane's value; without a recent scale of its own."""
    z = (block[VALUE + lane] - block[CENTRE + lane]) * block[PER_SCALE + lane]
    block[STANDARD + lane] = z
    block[SCALED + lane] = z


@inlined
def scale_recently(block: Floats, lane: int) -> None:
    """Divide one lane's standard value by its recent scale, which moves on."""
    z, recent, last, fresh = block[STANDARD + lane], block[RECENT + lane], block[LAST + lane], block[FRESH + lane]
    block[SCALED + lane] = z / np.sqrt(recent)
    miss, most = z - block[RHO + lane] * last, SHOCK_MAX * recent
    shock = miss * miss * block[INNOVATION + lane]
    moved = recent + fresh * ((min(most, shock)) - recent)
    moves = is_known(block[VALUE + lane]) & (fresh > 0.0)
    block[RECENT + lane] = (max(RECENT_MIN, moved)) if moves else recent
    block[LAST + lane] = z if moves else last


@inlined
def read_row(lanes: Lanes, row: Floats) -> None:
    """Put the (p,) values of a row into the blocks of columns, standardised and recently scaled."""
    for b in range(lanes.n_column_blocks):
        block, first = lanes.blocks[b], b * LANES
        if lanes.width - first >= LANES:
            for lane in range(LANES):
                block[VALUE + lane] = row[first + lane]
            for lane in range(LANES):
                standardise(block, lane)
        else:
            for lane in range(lanes.width - first):
                block[VALUE + lane] = row[first + lane]
                standardise(block, lane)
        if lanes.clusters:
            for lane in range(LANES):
                scale_recently(block, lane)


@inlined
def follow(row: Floats, axes: Floats, start: Floats) -> Eight:
    """Return where a (p,) row lies along (p, 8) axes, from the (8,) start: written out, so that all are one vector."""
    a0, a1, a2, a3, a4, a5, a6, a7 = start[0], start[1], start[2], start[3], start[4], start[5], start[6], start[7]
    for j in range(len(row)):
        x, d = row[j], axes[j]
        a0, a1, a2, a3 = a0 + x * d[0], a1 + x * d[1], a2 + x * d[2], a3 + x * d[3]
        a4, a5, a6, a7 = a4 + x * d[4], a5 + x * d[5], a6 + x * d[6], a7 + x * d[7]
    return a0, a1, a2, a3, a4, a5, a6, a7


@inlined
def distance_of(lanes: Lanes) -> float:
    """Return the mean bounded distance of a row along the axes, in units of its own size; NaN if a value is not known.

    So a wild day, on which all columns are far out together, is not odd by itself.
    """
    sizes, missing, cut = 0.0, 0, lanes.cut
    for b in range(lanes.n_column_blocks):
        block = lanes.blocks[b]
        for lane in range(LANES):
            cut[b * LANES + lane] = z = clipped(block[STANDARD + lane], BOUND)
            missing += 0 if is_known(block[VALUE + lane]) else 1
            sizes += abs(z)
    if missing > 0:
        return np.nan
    a = follow(cut, lanes.axes, ORIGIN)
    unit = SIZE_USUAL / max(sizes / lanes.width, SIZE_MIN)
    first = sized(a[0] * unit) + sized(a[1] * unit) + sized(a[2] * unit) + sized(a[3] * unit)
    last = sized(a[4] * unit) + sized(a[5] * unit) + sized(a[6] * unit) + sized(a[7] * unit)
    return (first + last) / lanes.n_axes


@inlined
def same_side(one: float, other: float) -> float:
    """Return 1 where two distances from their middles have the same sign; the second is NaN where it is not known."""
    return (1.0 if (one >= 0.0) == (other >= 0.0) else 0.0) if is_known(other) else np.nan


@inlined
def look(table: ChartTable, lanes: Lanes, chart: int, distance: float) -> tuple[float, float]:
    """Return what one chart makes of the row that was read, without its offset and spread, and what it tells.

    `distance` is that of all columns together. Both are NaN where a value is not known.
    """
    own = table.constants
    view, column = own[chart, t.VIEW], int(own[chart, t.COLUMN])
    if column == lanes.width:
        score = clipped((distance - own[chart, t.CENTRE]) * (1.0 / own[chart, t.SCALE]), own[chart, t.CLIP])
        return (score, distance) if is_known(distance) else (np.nan, np.nan)
    block, lane, told = lanes.blocks[column // LANES], column % LANES, np.nan
    value = block[VALUE + lane]
    if not is_known(value):
        return np.nan, np.nan
    if view == PAIR:
        partner = int(own[chart, t.PARTNER])
        column = int(own[partner, t.COLUMN])
        told = same_side(block[STANDARD + lane], lanes.blocks[column // LANES, STANDARD + column % LANES])
        return told, told
    if view == LEVEL:
        return clipped(block[SCALED + lane], own[chart, t.CLIP]), value
    if view == WIDTH:
        return sized(block[STANDARD + lane]), abs(value - own[chart, t.CENTRE])
    if view == TAIL:
        told = beyond(block[SCALED + lane], own[chart, t.CLIP])
    else:
        told = 1.0 if value == own[chart, t.CENTRE] else 0.0
    return told, told


@side_by_side
@kernel
def write_scores(table: ChartTable, state: ChartState, rows: Floats, scores: Floats, told: Floats) -> None:
    """Write the (q, n) scores of all charts, and what they tell, of (n, p) rows; recent scales move on in memory."""
    lanes = packed(table, state, rows.shape[1])
    for i in range(len(rows)):
        read_row(lanes, rows[i])
        distance = distance_of(lanes) if lanes.n_axes else np.nan
        for chart in range(len(table.constants)):
            score, told[chart, i] = look(table, lanes, chart, distance)
            scores[chart, i] = (score - table.constants[chart, t.OFFSET]) * (1.0 / table.constants[chart, t.SPREAD])
    unpack(lanes, table, state, np.empty(0, np.int64))
