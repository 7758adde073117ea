"""A certificate for trees: between which scores a row stays, whatever an outsider does within a box.

Idea:   within one tree the reachable leaves are found exactly, where it reads a feature in one way only (a split
        narrows the interval that deeper splits of the same slot see); the lowest and highest leaves of all trees are
        then added. Different trees may need different values of one feature for their extremes, so the sum is a
        relaxation: it proves, but does not refute.
Sound:  the interval holds every score of every row in the box, rounding included. What is neither proved safe nor
        broken by an attack stays undecided, and is counted.
Reference: Törnblom and Nadjm-Tehrani (2019), An abstraction-refinement approach to formal verification of tree
        ensembles (interval abstraction).
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Levers
from tradeworthy.model.predictors.tree_table import ZERO_MAX, Link, TreeTable, read_slot, score_of, soften
from tradeworthy.model.predictors.trees import Trees

Floats = npt.NDArray[np.float64]
Roots = npt.NDArray[np.uint32]

_UNIT_ROUNDING = 2.220446049250313e-16
_SHARE_SLACK = 1e-12  # far above what the exponentials and their sum may round
_SOFTMAX = int(Link.SOFTMAX)
_RESTORE = -1


@leaf
def slot_bounds(table: TreeTable, row: Floats, reach: Floats, bounds: Floats) -> None:
    """Write each slot's lowest and highest number, and 1 where it may be NaN, into `bounds` (slots, 3).

    `reach` (n, 2) is how far each feature of the row may go down and up. A slot that is NaN for certain has NaN bounds.
    """
    for place in range(table.slots.shape[0]):
        slot = table.slots[place]
        code = slot.reading
        kind = code & 15
        x = row[slot.feature]
        low, high, unsure = x - reach[slot.feature, 0], x + reach[slot.feature, 1], 0.0
        if low == high or np.isnan(x):
            low = read_slot(table, place, row)
            high = low
        elif kind >= 5:  # a category that moves may be in any set
            low, high = 0.0, 1.0
        else:
            if kind == 3 and low <= ZERO_MAX and high >= -ZERO_MAX:
                unsure = 1.0
            if kind == 4:
                low, high = np.float64(np.float32(low)), np.float64(np.float32(high))
            if code & 16:
                low, high = -high, -low
        bounds[place, 0], bounds[place, 1], bounds[place, 2] = low, high, unsure


@leaf
def tree_bounds(table: TreeTable, root: int, bounds: Floats, stack: Floats) -> tuple[float, float]:
    """Return the lowest and highest leaf that a row within `bounds` can reach in one tree.

    `stack` (room, 4) is scratch: a node to visit with the interval of its parent's slot, or (-1) an interval to put
    back when both of a split's sides are done.
    """
    lowest, highest = np.inf, -np.inf
    top = 0
    place = root
    while True:
        node = table.nodes[place]
        slot, threshold = node.slot, node.threshold
        if slot != 0:
            low, high, unsure = bounds[slot, 0], bounds[slot, 1], bounds[slot, 2]
            left, right = low <= threshold, unsure != 0.0 or not high <= threshold
            if left and right and unsure == 0.0:
                stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = _RESTORE, slot, low, high
                top += 1
                stack[top, 0], stack[top, 1] = node.child + 1, slot
                stack[top, 2], stack[top, 3] = np.nextafter(threshold, np.inf), high
                top += 1
                bounds[slot, 1] = threshold
            elif left and right:
                stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = node.child + 1, slot, low, high
                top += 1
            place = node.child if left else node.child + 1
            continue
        lowest, highest = min(lowest, threshold), max(highest, threshold)
        place = _RESTORE
        while top > 0 and place == _RESTORE:
            top -= 1
            place, slot = int(stack[top, 0]), int(stack[top, 1])
            bounds[slot, 0], bounds[slot, 1] = stack[top, 2], stack[top, 3]
        if place == _RESTORE:
            return lowest, highest


@leaf
def lever_reach(levers: Levers, reach: Floats) -> None:
    """Write how far each feature may go down and up, in its own units, into `reach` (n, 2)."""
    reach[:] = 0.0
    for lever in range(levers.low.shape[0]):
        for at in range(levers.first[lever], levers.first[lever + 1]):
            one, other = levers.scale[at] * levers.low[lever], levers.scale[at] * levers.high[lever]
            reach[levers.feature[at], 0] = -min(one, other)
            reach[levers.feature[at], 1] = max(one, other)


@kernel
def score_bounds(table: TreeTable, least: Floats, most: Floats) -> tuple[float, float]:
    """Return the lowest and highest first score of margins between `least` and `most` (k,)."""
    if table.link != _SOFTMAX:
        one, other = score_of(table, least[0]), score_of(table, most[0])
        return min(one, other), max(one, other)
    lowest, highest = most.copy(), least.copy()  # its own margin moves the first score up, every other one down
    lowest[0], highest[0] = least[0], most[0]
    soften(lowest)
    soften(highest)
    return max(0.0, lowest[0] * (1.0 - _SHARE_SLACK)), min(1.0, highest[0] * (1.0 + _SHARE_SLACK))


@kernel
def bound_rows(
    table: TreeTable, roots: Roots, outputs: Roots, levers: Levers, rows: Floats, low: Floats, high: Floats
) -> None:
    """Write the lowest and highest score that the levers can give each of (m, n) rows into `low` and `high` (m,)."""
    bounds = np.empty((table.slots.shape[0], 3), np.float64)
    depth = np.int64(0)
    for place in range(table.groups.shape[0]):
        depth = max(depth, np.int64(table.groups[place, 0]))
    stack = np.empty((2 * depth + 4, 4), np.float64)
    reach = np.zeros((rows.shape[1], 2), np.float64)
    least, most, size = np.empty_like(table.bases), np.empty_like(table.bases), np.empty_like(table.bases)
    lever_reach(levers, reach)
    for number in range(rows.shape[0]):
        slot_bounds(table, rows[number], reach, bounds)
        least[:], most[:], size[:] = table.bases, table.bases, np.abs(table.bases)
        for tree in range(roots.shape[0]):
            lowest, highest = tree_bounds(table, int(roots[tree]), bounds, stack)
            least[outputs[tree]] += lowest
            most[outputs[tree]] += highest
            size[outputs[tree]] += max(abs(lowest), abs(highest))
        least -= 4.0 * (roots.shape[0] + 8) * _UNIT_ROUNDING * size
        most += 4.0 * (roots.shape[0] + 8) * _UNIT_ROUNDING * size
        low[number], high[number] = score_bounds(table, least, most)


def certify(trees: Trees, levers: Levers, rows: Floats) -> tuple[Floats, Floats]:
    """Return the scores between which each row stays while the levers move within their box.

    Parameters
    ----------
    trees : Trees
    levers : Levers
        At one epsilon (`Levers.at`).
    rows : (m, n) float64

    Returns
    -------
    low, high : (m,) float64
        Sound: no row in the box has a score outside.
    """
    rows = np.ascontiguousarray(rows, np.float64)
    low, high = np.empty(len(rows)), np.empty(len(rows))
    bound_rows(trees.table, trees.roots, trees.output, levers, rows, low, high)
    return low, high
