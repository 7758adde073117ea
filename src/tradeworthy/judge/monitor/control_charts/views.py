"""What a chart looks at in a row: a level, a spread, a tail, a pair, a category; each as a bounded score.

Idea:   a view turns the values of a column (or two) into scores whose mean moves when what it looks at moves. All
        charts share the rest: the sums, the limits, the null model.
        level     value / its recent scale where the series clusters, clipped
        spread    |z| / (1 + |z|): the distance from the centre, on the scale of its logarithm
        tail      1 where the (recently scaled) value lies beyond an edge that the reference seldom passed
        pair      1 where two values are on the same side of their middles: do they still move together?
        category  1 where the value is one certain code
Time:   the recent scale at a row comes from earlier rows only.
Undefined: the score of a value that is not finite is NaN; the recent scale stands still.
Units:  `told` is what the view says in natural units: the value, its distance from the centre, or a share.
Reference: RiskMetrics (1996), the exponentially weighted scale.
"""

import numpy as np

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.control_charts.chart_table import (
    CENTRE,
    CLIP,
    COLUMN,
    DECAY,
    INNOVATION,
    LAST,
    OFFSET,
    PARTNER,
    RECENT,
    RHO,
    SCALE,
    SPREAD,
    VIEW,
    ChartTable,
    Floats,
    Scored,
)

LEVEL, WIDTH, TAIL, PAIR, CATEGORY = range(5)
"""Views, as in column VIEW."""

RECENT_MIN = 0.05
"""The recent scale never falls below this share of its usual square."""

SHOCK_MAX = 16.0
"""One innovation counts at most this many times the recent square."""

BOUND = 4.0
"""Values of a row taken together are cut here, in robust scales."""

SIZE_USUAL, SIZE_MIN = 0.8, 0.25
"""Mean distance of a row's values from their middles, in robust scales: usual, and the least that counts."""


@kernel
def fill_columns(table: ChartTable, rows: Floats, columns: Floats) -> None:
    """Turn (n, p) rows into (c, n) columns, with the mean distance along the axes last, where there are axes."""
    n, p = rows.shape
    for i in range(n):
        for j in range(p):
            columns[j, i] = rows[i, j]
    if table.axes.shape[0] > 0:
        _write_distance(table, columns, n, p)


@kernel
def _write_distance(table: ChartTable, columns: Floats, n: int, p: int) -> None:
    """Write the mean bounded distance of each row along the axes into column p, in units of the row's own size.

    So a wild day, on which all columns are far out together, is not odd by itself.
    """
    axes, distance = table.axes, columns[p]
    along, z, sizes = np.empty(n), np.empty((p, n)), np.zeros(n)
    for j in range(p):
        centre, scale = table.constants[j, CENTRE], 1.0 / table.constants[j, SCALE]
        for i in range(n):
            value = columns[j, i]
            z[j, i] = min(max((value - centre) * scale, -BOUND), BOUND) if np.isfinite(value) else np.nan
            sizes[i] += abs(z[j, i]) / p
    distance[:n] = 0.0
    for k in range(axes.shape[0]):
        along[:] = 0.0
        for j in range(p):
            weight = axes[k, j]
            for i in range(n):
                along[i] += weight * z[j, i]
        for i in range(n):
            size = abs(along[i]) * SIZE_USUAL / max(sizes[i], SIZE_MIN)
            distance[i] += size / (1.0 + size) / axes.shape[0]


@kernel
def _scale_recently(own: Floats, sums: Floats, z: Floats) -> None:
    """Divide (n,) standardised values by their recent scale, in place; the scale moves on."""
    recent, last = sums[RECENT], sums[LAST]
    rho, innovation, fresh = own[RHO], own[INNOVATION], 1.0 - own[DECAY]
    for i in range(len(z)):
        value = z[i]
        if np.isfinite(value):
            z[i] = value / np.sqrt(recent)
            miss = value - rho * last
            shock = min(miss * miss * innovation, SHOCK_MAX * recent)
            recent = max(recent + fresh * (shock - recent), RECENT_MIN)
            last = value
    sums[RECENT], sums[LAST] = recent, last


@kernel
def write_scores(table: ChartTable, chart: int, sums: Floats, columns: Floats, scored: Scored) -> None:
    """Write the scores of one chart, and what they say in natural units; `sums` is that chart's memory."""
    own, scores, told = table.constants[chart], scored.scores, scored.told
    values, centre, scale = columns[int(own[COLUMN])], own[CENTRE], 1.0 / own[SCALE]
    for i in range(len(scores)):
        scores[i] = (values[i] - centre) * scale
        told[i] = values[i]
    if own[DECAY] > 0.0:
        _scale_recently(own, sums, scores)
    if own[VIEW] == PAIR:
        _write_sides(table.constants[int(own[PARTNER])], columns, scores, told)
    else:
        _look(own, scores, told)
    offset, spread = own[OFFSET], 1.0 / own[SPREAD]
    for i in range(len(scores)):
        scores[i] = (scores[i] - offset) * spread if np.isfinite(values[i]) else np.nan


@kernel
def _look(own: Floats, scores: Floats, told: Floats) -> None:
    """Turn standardised values into the scores of a view of one column."""
    view, clip, centre = own[VIEW], own[CLIP], own[CENTRE]
    if view == LEVEL:
        for i in range(len(scores)):
            scores[i] = min(max(scores[i], -clip), clip)
    elif view == WIDTH:
        for i in range(len(scores)):
            size = abs(scores[i])
            scores[i], told[i] = size / (1.0 + size), abs(told[i] - centre)
    elif view == TAIL:
        for i in range(len(scores)):
            scores[i] = told[i] = 1.0 if abs(scores[i]) > clip else 0.0
    else:
        for i in range(len(scores)):
            scores[i] = told[i] = 1.0 if told[i] == centre else 0.0


@kernel
def _write_sides(partner: Floats, columns: Floats, scores: Floats, told: Floats) -> None:
    """Turn standardised scores into whether they are on the same side as the partner's, whose constants are given."""
    others, centre = columns[int(partner[COLUMN])], partner[CENTRE]
    for i in range(len(scores)):
        same = (scores[i] >= 0.0) == (others[i] >= centre)
        scores[i] = told[i] = (1.0 if same else 0.0) if np.isfinite(others[i]) else np.nan
