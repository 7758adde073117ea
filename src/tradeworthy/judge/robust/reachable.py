"""What is left of trees within the box around one row: the splits that an outsider can turn, and nothing else.

Idea:   most splits do not lie within reach: the box decides them. What remains of a tree of 31 leaves is one leaf, or
        three or four; searching those costs a fraction of searching the tree. A feature's thresholds are sorted once,
        so that "where is the feature" is a *rank*, an integer, and every split a comparison of ranks: exact, however
        a library rounds.
Sound:  a leaf is left out only if no row in the box reaches it. A split that is no comparison of numbers within the
        box (a category that moves, zero read as missing) is *open*: both of its sides stay.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf
from tradeworthy.judge.robust.levers import Floats, Ints, Levers
from tradeworthy.model.predictors.tree_table import ZERO_MAX, Link, Reading, TreeTable, read_slots
from tradeworthy.model.predictors.trees import Trees

Roots = npt.NDArray[np.uint32]

LEAF, SET, _DECIDED = -1, -2, -3
_RESTORE = -1
_FLOAT32_END = 2.0**128
"""The next number that float32 would have after its largest; what lies halfway there, or beyond, is infinite."""

_CATEGORY, _ZERO_IS_MISSING = int(Reading.CATEGORY), int(Reading.ZERO_IS_MISSING)

LEFT = np.dtype(
    [(name, "<f8") for name in ("value", "least", "most")]
    + [(name, "<i4") for name in ("axis", "rank", "low", "high", "parent", "open")],
    align=True,
)
"""One node of what is left. In a leaf `axis` is -1 and `value` the leaf's value. In a split `axis` is the lever feature
that it reads: `low` follows while that feature's rank is at most `rank`, else `high`; where it is `open`, that is only
nearly so. An open split of categories has axis -2, its slot as `rank` and its threshold as `value`. `least` and `most`
are the lowest and highest leaf below."""


class Turns(NamedTuple):
    """Where the splits of a forest turn, for each of the e features that levers move.

    Attributes
    ----------
    first : (e + 1,) int64, turn : (k,) float64
        For each feature, ascending, the highest values that belong to a split's low side.
    lever : (e,) int64
        The lever that moves it.
    axis_of_slot : (slots,) int64
        Which of these features a slot reads; -1 where no lever moves it.
    rank : (nodes,) int64
        Of each split on these features, its place among the feature's turns; -1 where it never turns.
    output : (trees,) uint32, weight : (trees,) float64
        The output that a tree adds to, and which way its leaves move the first score: 1 for its own, less than 0 where
        it competes for shares.
    """

    first: Ints
    turn: Floats
    lever: Ints
    axis_of_slot: Ints
    rank: Ints
    output: npt.NDArray[np.uint32]
    weight: Floats


class Reach(NamedTuple):
    """Room for what is left around one row.

    Attributes
    ----------
    low, high : (e,) int64
        Ranks between which each lever feature stays.
    numbers : (slots,) float64
        What the splits compare where the row stands.
    open : (slots,) bool
        Slots that are no comparison of numbers within the box.
    nodes : (room,) LEFT, root : (trees,) int64
        What is left of each tree.
    stack : (room, 4) int64
        Scratch of a walk.
    """

    low: Ints
    high: Ints
    numbers: Floats
    open: npt.NDArray[np.bool_]
    nodes: npt.NDArray[np.void]
    root: Ints
    stack: Ints


def index_turns(trees: Trees, levers: Levers) -> Turns:
    """Sort the thresholds of the features that levers move."""
    table, count = trees.table, len(levers.feature)
    axis_of_feature = np.full(trees.n_features, -1)
    axis_of_feature[levers.feature] = np.arange(count)
    axis_of_slot = axis_of_feature[table.slots["feature"].astype(np.int64)]
    axis_of_slot[0] = -1
    slot = table.nodes["slot"]
    own = np.flatnonzero(axis_of_slot[slot] >= 0)
    axis, values = axis_of_slot[slot[own]], low_sides(table.slots["reading"][slot[own]], table.nodes["threshold"][own])
    order = np.lexsort((values, axis))
    order = order[~np.isnan(values[order])]
    axis, values = axis[order], values[order]
    new = np.ones(len(axis), np.bool_)
    new[1:] = (axis[1:] != axis[:-1]) | (values[1:] != values[:-1])
    first = np.searchsorted(axis[new], np.arange(count + 1))
    rank = np.full(len(slot), -1, np.int64)
    rank[own[order]] = np.cumsum(new) - 1 - first[axis]
    competes = -1.0 / max(trees.n_outputs - 1, 1) if table.link == Link.SOFTMAX else 0.0
    return Turns(
        first=first.astype(np.int64),
        turn=values[new],
        lever=np.repeat(np.arange(len(levers.low)), np.diff(levers.first)),
        axis_of_slot=axis_of_slot.astype(np.int64),
        rank=rank,
        output=np.ascontiguousarray(trees.output),
        weight=np.where(trees.output == 0, 1.0, competes),
    )


def low_sides(reading: npt.NDArray[np.uint32], threshold: Floats) -> Floats:
    """Return the highest feature value on the low side of each split: the exact double at which its answer turns.

    The low side is the left child, or the right one where the slot reads the negated feature. NaN where one side is
    always taken.
    """
    negated = (reading & int(Reading.NEGATED)) != 0
    with np.errstate(all="ignore"):
        plain = np.where(negated, np.nextafter(-threshold, -np.inf), threshold)
    plain[negated & (threshold == np.inf)] = np.nan
    sides: Floats = np.where((reading & 15) == int(Reading.FLOAT32), _rounds_to_at_most(plain), plain)
    return sides


def _rounds_to_at_most(values: Floats) -> Floats:
    """Return the highest doubles that round, as float32, to no more than the values."""
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
        single = np.where(single > values, np.nextafter(single, np.float32(-np.inf)), single)
        at = np.maximum(single.astype(np.float64), -_FLOAT32_END)
        above = np.minimum(np.nextafter(single, np.float32(np.inf)).astype(np.float64), _FLOAT32_END)
        half = 0.5 * (at + above)
        rounded = np.where(half.astype(np.float32) == single, half, np.nextafter(half, -np.inf))
    return np.where(values == np.inf, values, rounded)


def room_for(trees: Trees, levers: Levers) -> Reach:
    """Make the room that `reach_row` writes into."""
    table, count = trees.table, len(levers.feature)
    depth = int(table.groups[:, 0].max(initial=0))
    return Reach(
        low=np.zeros(count, np.int64),
        high=np.zeros(count, np.int64),
        numbers=np.zeros(len(table.slots)),
        open=np.zeros(len(table.slots), np.bool_),
        nodes=np.zeros(len(table.nodes), LEFT),
        root=np.zeros(len(trees.roots), np.int64),
        stack=np.zeros((2 * depth + 4, 5), np.int64),
    )


@leaf
def _see(table: TreeTable, turns: Turns, levers: Levers, row: Floats, reach: Reach) -> None:
    """Write between which ranks the lever features of a row stay, and which slots are open."""
    for lever in range(levers.low.shape[0]):
        for axis in range(levers.first[lever], levers.first[lever + 1]):
            one, other = levers.scale[axis] * levers.low[lever], levers.scale[axis] * levers.high[lever]
            turn = turns.turn[turns.first[axis] : turns.first[axis + 1]]
            x = row[levers.feature[axis]]
            reach.low[axis] = np.searchsorted(turn, x + min(one, other))
            reach.high[axis] = np.searchsorted(turn, x + max(one, other))
            if np.isnan(x) or x + one == x + other:
                reach.high[axis] = -1  # stays where it is: `numbers` decide
    for place in range(table.slots.shape[0]):
        axis, kind = turns.axis_of_slot[place], table.slots[place].reading & 15
        reach.open[place] = False
        if axis >= 0 and reach.high[axis] >= 0:
            lever, x = turns.lever[axis], row[levers.feature[axis]]
            one, other = levers.scale[axis] * levers.low[lever], levers.scale[axis] * levers.high[lever]
            near_zero = x + min(one, other) <= ZERO_MAX and x + max(one, other) >= -ZERO_MAX
            reach.open[place] = kind >= _CATEGORY or (kind == _ZERO_IS_MISSING and near_zero)


@leaf
def _asked(table: TreeTable, turns: Turns, reach: Reach, place: int) -> tuple[int, int, int]:
    """Return a node's axis, rank, and its child on the low side: what the node is where nothing decides it.

    Where something does, the axis is -3 and the child is the one that follows.
    """
    node = table.nodes[place]
    slot, child = int(node.slot), int(node.child)
    if slot == 0:
        return LEAF, 0, 0
    axis, rank, reading = int(turns.axis_of_slot[slot]), int(turns.rank[place]), table.slots[slot].reading
    swap = 1 if reading & 16 else 0
    if reach.open[slot]:
        return (SET, slot, child) if reading & 15 >= _CATEGORY else (axis, rank, child + swap)
    if axis < 0 or rank < 0 or reach.high[axis] < 0:
        return _DECIDED, 0, child + (0 if reach.numbers[slot] <= node.threshold else 1)
    if reach.high[axis] <= rank or reach.low[axis] > rank:
        return _DECIDED, 0, child + (swap if reach.high[axis] <= rank else 1 - swap)
    return axis, rank, child + swap


@leaf
def _keep(table: TreeTable, reach: Reach, place: int, axis: int, rank: int, parent: int, at: int) -> None:
    """Write a node to `at` and hang it from its parent: the low side comes first."""
    kept, node = reach.nodes, table.nodes[place]
    kept[at].axis, kept[at].rank, kept[at].parent, kept[at].value = axis, rank, parent, node.threshold
    kept[at].open = reach.open[node.slot]
    kept[at].least = kept[at].most = node.threshold
    kept[at].low = kept[at].high = -1
    if parent >= 0 and kept[parent].low < 0:
        kept[parent].low = at
    elif parent >= 0:
        kept[parent].high = at


@leaf
def _reach_tree(table: TreeTable, turns: Turns, reach: Reach, root: int, first: int) -> int:
    """Write what is left of one tree from `first` on; return where it ends.

    A stack entry is a node to visit with the node that it hangs from, or (-1) an axis whose ranks are put back.
    """
    stack, low, high = reach.stack, reach.low, reach.high
    end, top, place, parent = first, 0, root, -1
    while True:
        axis, rank, child = _asked(table, turns, reach, place)
        if axis == _DECIDED:
            place = child
            continue
        _keep(table, reach, place, axis, rank, parent, end)
        parent, end = end, end + 1
        if axis != LEAF:
            other = 2 * int(table.nodes[place].child) + 1 - child
            narrows = not reach.nodes[parent].open
            if narrows:
                stack[top, 0], stack[top, 2], stack[top, 3], stack[top, 4] = _RESTORE, axis, low[axis], high[axis]
                top += 1
            stack[top, 0], stack[top, 1], stack[top, 2] = other, parent, axis if narrows else -1
            if narrows:
                stack[top, 3], stack[top, 4], high[axis] = rank + 1, high[axis], rank
            top, place = top + 1, child
            continue
        place = _RESTORE
        while top > 0 and place == _RESTORE:
            top -= 1
            place, parent = stack[top, 0], stack[top, 1]
            if stack[top, 2] >= 0:
                low[stack[top, 2]], high[stack[top, 2]] = stack[top, 3], stack[top, 4]
        if place == _RESTORE:
            _summarize(reach.nodes, first, end)
            return end


@leaf
def _summarize(nodes: npt.NDArray[np.void], first: int, end: int) -> None:
    """Write the lowest and highest leaf below each split of one tree; children stand behind their parents."""
    for place in range(end - 1, first - 1, -1):
        if nodes[place].axis != LEAF:
            low, high = nodes[nodes[place].low], nodes[nodes[place].high]
            nodes[place].least, nodes[place].most = min(low.least, high.least), max(low.most, high.most)


@leaf
def reach_row(table: TreeTable, roots: Roots, turns: Turns, levers: Levers, row: Floats, reach: Reach) -> int:
    """Write what is left of all trees around one (n,) row into `reach`; return how many nodes that are."""
    read_slots(table, row, reach.numbers)
    _see(table, turns, levers, row, reach)
    end = 0
    for tree in range(roots.shape[0]):
        reach.root[tree] = end
        end = _reach_tree(table, turns, reach, int(roots[tree]), end)
    return end
