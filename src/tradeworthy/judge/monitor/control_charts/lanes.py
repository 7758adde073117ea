"""Charts side by side: columns of rows, and all charts that look at them, in lanes that a processor steps at once.

Idea:   a chart's sums go from row to row one after the other, so many charts are stepped through a row together. A
        block is one line of memory: eight columns, then the level, spread and tail charts of each; blocks of eight
        more charts follow, of pairs, codes and all columns together. Fields stand at fixed places, eight lanes wide,
        so that a loop over the lanes of a block becomes vector instructions.
Flow:   constants and memory -> `packed` -> a kernel steps the lanes -> `unpack` -> memory.
Time:   where an excursion began is a row of this call, -1 for one that goes on from before.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.control_charts import chart_table as t
from tradeworthy.judge.monitor.control_charts.chart_table import ChartState, ChartTable, Floats, Longs

LANES = 8
VECTOR = 4
"""Lanes that one instruction steps."""

AXES_MAX = 8
"""Directions that are followed at most."""

LEVEL, WIDTH, TAIL, PAIR, CATEGORY = range(5)
"""Views, as in column VIEW."""

# Fields of a block's eight columns. Other charts are stepped as levels of what they tell, scaled to what they score.
VALUE, STANDARD, SCALED, CENTRE, PER_SCALE, RHO, INNOVATION, FRESH, RECENT, LAST = range(0, 10 * LANES, LANES)
HEAD = 10 * LANES

# Fields of eight charts, from where they begin; those of a lower side follow those of the upper one.
EDGE, OFFSET, PER_SPREAD, ALLOWANCE, LIMIT_UP, LIMIT_DOWN = range(0, 6 * LANES, LANES)
SUM, TOTAL, COUNT, BEGAN, QUIET, AWAKE = (lane * LANES for lane in (6, 8, 10, 12, 14, 15))
CHART = 16 * LANES
BLOCK = HEAD + 3 * CHART


Places = npt.NDArray[np.uint64]
"""Without a sign, so that none can count from the end: reading there takes no test for that."""


class Lanes(NamedTuple):
    """q charts in blocks of lanes.

    blocks: (b, BLOCK) float64; flat: the same, end to end; homes (q, 2): the block of each chart, and its place there;
    pairs (k, 3): where in `flat` the lanes of a chart of a pair and of both its columns stand; others (m, 2): all other
    charts that do not look at one column's level, spread or tail, and where their lanes stand; n_others: lanes of both,
    in whole vectors; width: how many columns, and how many blocks are of them; clusters: whether any has a recent
    scale; levels_only: whether levels are all that is looked at; axes: (columns, AXES_MAX) directions, `n_axes` of
    them; cut: room for a row's bounded values.
    """

    blocks: Floats
    flat: Floats
    homes: Longs
    pairs: Places
    others: Places
    n_others: int
    width: int
    n_column_blocks: int
    clusters: bool
    levels_only: bool
    axes: Floats
    n_axes: int
    cut: Floats


@kernel
def _homes(table: ChartTable, p: int, homes: Longs) -> int:
    """Give each chart a place; return how many are of no single column."""
    others, first = 0, (p + LANES - 1) // LANES
    for chart in range(len(homes)):
        view, column = int(table.constants[chart, t.VIEW]), int(table.constants[chart, t.COLUMN])
        if view <= TAIL and column < p:
            homes[chart, 0], homes[chart, 1] = column // LANES, HEAD + view * CHART + column % LANES
        else:
            homes[chart, 0], homes[chart, 1] = first + others // LANES, HEAD + others % LANES
            others += 1
    return others


@kernel
def _pack_columns(table: ChartTable, sums: Floats, p: int, blocks: Floats) -> bool:
    """Write what levels, the first p charts, know of their columns; return whether any has a recent scale."""
    clusters = False
    for j in range(p):
        own, block, lane = table.constants[j], blocks[j // LANES], j % LANES
        block[CENTRE + lane], block[PER_SCALE + lane] = own[t.CENTRE], 1.0 / own[t.SCALE]
        block[RHO + lane], block[INNOVATION + lane] = own[t.RHO], own[t.INNOVATION]
        block[RECENT + lane], block[LAST + lane] = sums[j, t.RECENT], sums[j, t.LAST]
        if own[t.DECAY] > 0.0:
            block[FRESH + lane] = 1.0 - own[t.DECAY]
            clusters = True
    return clusters


@kernel
def _pack_chart(own: Floats, sums: Floats, counts: Longs, block: Floats, at: int) -> None:
    """Write one chart's constants and memory; of a sum of zero nothing is told."""
    block[at + EDGE], block[at + OFFSET], block[at + PER_SPREAD] = own[t.CLIP], own[t.OFFSET], 1.0 / own[t.SPREAD]
    block[at + ALLOWANCE] = own[t.ALLOWANCE]
    block[at + LIMIT_UP], block[at + LIMIT_DOWN] = own[t.LIMIT_UP], own[t.LIMIT_DOWN]
    block[at + QUIET], block[at + AWAKE] = counts[t.QUIET], counts[t.AWAKE]
    for side in range(2):
        place = at + side * LANES
        block[place + SUM], block[place + BEGAN] = sums[t.SUM_UP + side], -1.0
        if sums[t.SUM_UP + side] > 0.0:
            block[place + TOTAL], block[place + COUNT] = sums[t.TOTAL_UP + side], counts[t.N_UP + side]


@kernel
def _place(lane: int) -> int:
    """Return where a lane stands in blocks that lie end to end."""
    return lane // LANES * BLOCK + lane % LANES


@kernel
def _find_others(table: ChartTable, homes: Longs, p: int) -> tuple[Places, Places]:
    """Return where the charts of pairs have their lanes, and all others of no single column; see `Lanes`."""
    q, k, m = len(homes), 0, 0
    pairs, others = np.empty((q, 3), np.uint64), np.empty((q, 2), np.uint64)
    for chart in range(q):
        own, place = table.constants[chart], homes[chart, 0] * BLOCK + homes[chart, 1] - HEAD
        if own[t.VIEW] == PAIR:
            partner = table.constants[int(own[t.PARTNER])]
            pairs[k, 0], pairs[k, 1], pairs[k, 2] = place, _place(int(own[t.COLUMN])), _place(int(partner[t.COLUMN]))
            k += 1
        elif homes[chart, 0] >= (p + LANES - 1) // LANES:
            others[m, 0], others[m, 1] = chart, place
            m += 1
    return pairs[:k], others[:m]


@kernel
def packed(table: ChartTable, state: ChartState, p: int) -> Lanes:
    """Return the charts of a table over p columns in lanes, with their memory; lanes without a chart never alarm."""
    q, first = len(table.constants), (p + LANES - 1) // LANES
    homes = np.empty((q, 2), np.int64)
    n_others = _homes(table, p, homes)
    blocks = np.zeros((first + (n_others + LANES - 1) // LANES, BLOCK))
    blocks[:, RECENT : RECENT + LANES] = 1.0
    for view in range(3):
        limits = HEAD + view * CHART + LIMIT_UP
        blocks[:, limits : limits + 2 * LANES] = np.inf
    clusters, levels_only = _pack_columns(table, state.sums, p, blocks), True
    for chart in range(q):
        block, at = homes[chart]
        _pack_chart(table.constants[chart], state.sums[chart], state.counts[chart], blocks[block], at)
        levels_only = levels_only and table.constants[chart, t.VIEW] == LEVEL
        if block >= first:
            blocks[block, at + EDGE] = np.inf
    pairs, others = _find_others(table, homes, p)
    n_axes = table.axes.shape[0]
    axes = np.zeros((first * LANES, AXES_MAX))
    axes[: table.axes.shape[1], :n_axes] = table.axes.T
    flat, cut, n_others = blocks.reshape(-1), np.empty(len(axes)), (n_others + VECTOR - 1) // VECTOR * VECTOR
    return Lanes(blocks, flat, homes, pairs, others, n_others, p, first, clusters, levels_only, axes, n_axes, cut)


@kernel
def unpack(lanes: Lanes, table: ChartTable, state: ChartState, ts_ns: Longs) -> None:
    """Write the lanes' memory back to that of the charts; `ts_ns` are the times of the rows of this call."""
    for chart in range(len(lanes.homes)):
        block, at = lanes.blocks[lanes.homes[chart, 0]], lanes.homes[chart, 1]
        sums, counts, own = state.sums[chart], state.counts[chart], table.constants[chart]
        counts[t.QUIET], counts[t.AWAKE] = int(block[at + QUIET]), int(block[at + AWAKE])
        if own[t.DECAY] > 0.0:
            lane = int(own[t.COLUMN]) % LANES
            sums[t.RECENT], sums[t.LAST] = block[RECENT + lane], block[LAST + lane]
        for side in range(2):
            place = at + side * LANES
            sums[t.SUM_UP + side], sums[t.TOTAL_UP + side] = block[place + SUM], block[place + TOTAL]
            count, began = int(block[place + COUNT]), int(block[place + BEGAN])
            counts[t.N_UP + side] = count
            if count == 0:
                counts[t.SINCE_UP + side] = 0
            elif began >= 0:
                counts[t.SINCE_UP + side] = ts_ns[began]
        up, down = sums[t.SUM_UP] / own[t.LIMIT_UP], sums[t.SUM_DOWN] / own[t.LIMIT_DOWN]
        counts[t.ALARM] = 0
        if sums[t.SUM_UP] > own[t.LIMIT_UP] or sums[t.SUM_DOWN] > own[t.LIMIT_DOWN]:
            counts[t.ALARM] = 1 if up >= down else -1
