"""The moves of levers that are worth trying around one row, and what they make of its score.

Idea:   a score changes only where a feature crosses a threshold that is left within reach, so for each lever the
        positions worth trying are known: at rest, and just beyond each of these thresholds (on its steps, where it has
        any). They stand in ascending order, so a split is a cut among them: one walk of what is left of a tree tells
        what it says at *all* positions of a lever, and sums over trees are running sums.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple

import numpy as np

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Floats, Ints, Levers
from tradeworthy.judge.robust.reachable import LEAF, SET, Reach, Turns
from tradeworthy.model.predictors.tree_table import TreeTable, read_slot

_BEYOND = 1.8e-15
"""How far beyond a threshold a move ends, as a share of the numbers: what computing it may round."""


class Moves(NamedTuple):
    """Room for one row's moves.

    Attributes
    ----------
    first : (l + 1,) int64
        Where each lever's room begins in `position` and `change`.
    size : (l,) int64, position : (p,) float64
        How many positions each lever has, and they, ascending.
    cut : (k,) int64
        For each of `Turns.turn` within reach, how many of its lever's positions lie on its low side; of a lever that
        moves the feature the other way, on its high side.
    change : (p,) float64
        What the trees say at each position, then summed up.
    tree_first : (l + 1,) int64, tree : (t,) int64
        The trees in which something of each lever is left.
    stack : (room, 3) int64
        Scratch of a walk.
    now : (l,) int64
        The place among its positions where each lever is.
    rank : (e,) int64, row : (n,) float64
        Where that puts its features.
    """

    first: Ints
    size: Ints
    position: Floats
    cut: Ints
    change: Floats
    tree_first: Ints
    tree: Ints
    stack: Ints
    now: Ints
    rank: Ints
    row: Floats


def room_for_moves(turns: Turns, levers: Levers, trees: int, reach: Reach, width: int) -> Moves:
    """Make the room that `list_moves` writes into."""
    count, turns_of = len(levers.low), np.diff(turns.first)
    room = [1 + int(turns_of[levers.first[each] : levers.first[each + 1]].sum()) for each in range(count)]
    first = np.cumsum([0, *room]).astype(np.int64)
    return Moves(
        first=first,
        size=np.zeros(count, np.int64),
        position=np.zeros(first[-1]),
        cut=np.zeros(len(turns.turn), np.int64),
        change=np.zeros(first[-1] + 1),
        tree_first=np.zeros(count + 1, np.int64),
        tree=np.zeros(min(len(reach.nodes), trees * count), np.int64),
        stack=np.zeros((len(reach.stack), 3), np.int64),
        now=np.zeros(count, np.int64),
        rank=np.zeros(len(levers.feature), np.int64),
        row=np.zeros(width),
    )


@leaf
def _beyond(levers: Levers, lever: int, axis: int, x: float, turn: float) -> float:
    """Return the lever's position nearest to rest at which its feature has left the turn behind; on a step, in the box.

    NaN where there is none.
    """
    scale, step = levers.scale[axis], levers.step[lever]
    position = (turn - x) / scale
    away = (1.0 if turn >= x else -1.0) * (1.0 if scale > 0.0 else -1.0)
    position += away * _BEYOND * (abs(turn) + abs(x)) / abs(scale)
    if step > 0.0:
        position = (np.ceil(position / step) if away > 0.0 else np.floor(position / step)) * step
        return position if levers.low[lever] <= position <= levers.high[lever] else np.nan
    return float(min(max(position, levers.low[lever]), levers.high[lever]))


@kernel
def list_moves(turns: Turns, levers: Levers, row: Floats, reach: Reach, moves: Moves) -> None:
    """Write the positions worth trying of each lever, and where the turns within reach cut them."""
    for lever in range(levers.low.shape[0]):
        first = moves.first[lever]
        moves.position[first], end = 0.0, first + 1
        for axis in range(levers.first[lever], levers.first[lever + 1]):
            for rank in range(reach.low[axis], reach.high[axis]):
                turn = turns.turn[turns.first[axis] + rank]
                position = _beyond(levers, lever, axis, row[levers.feature[axis]], turn)
                if not np.isnan(position):
                    moves.position[end], end = position, end + 1
        moves.position[first:end].sort()
        moves.size[lever] = end - first
        for axis in range(levers.first[lever], levers.first[lever + 1]):
            _cut_positions(turns, levers, axis, row, reach, moves.position[first:end], moves.cut)


@leaf
def _cut_positions(
    turns: Turns, levers: Levers, axis: int, row: Floats, reach: Reach, positions: Floats, cuts: Ints
) -> None:
    x, scale, place, count = row[levers.feature[axis]], levers.scale[axis], 0, positions.shape[0]
    low, high, first = reach.low[axis], reach.high[axis], turns.first[axis]
    for step in range(max(0, high - low)):
        at = first + (low + step if scale > 0.0 else high - 1 - step)
        turn = turns.turn[at]
        while place < count and (x + scale * positions[place] <= turn) == (scale > 0.0):
            place += 1
        cuts[at] = place


@leaf
def list_trees(turns: Turns, reach: Reach, end: int, moves: Moves) -> None:
    """Write in which trees something of each lever is left; `end` is where the nodes end."""
    first, count = moves.tree_first, moves.size.shape[0]
    first[:] = 0
    _visit_trees(turns, reach, end, moves, fill=False)
    for lever in range(count):
        first[lever + 1] += first[lever]
    _visit_trees(turns, reach, end, moves, fill=True)
    for lever in range(count, 0, -1):
        first[lever] = first[lever - 1]
    first[0] = 0


@leaf
def _visit_trees(turns: Turns, reach: Reach, end: int, moves: Moves, fill: bool) -> None:  # noqa: FBT001 - a kernel
    """Count the trees of each lever one place on, or write them where they belong and move that place on."""
    seen, trees = moves.now, reach.root.shape[0]
    seen[:] = -1
    for tree in range(trees):
        for place in range(reach.root[tree], reach.root[tree + 1] if tree + 1 < trees else end):
            axis = np.int64(reach.nodes[place].axis)
            if axis == LEAF:
                continue
            lever = turns.lever[turns.axis_of_slot[reach.nodes[place].rank] if axis == SET else axis]
            if seen[lever] == tree:
                continue
            seen[lever] = tree
            if fill:
                moves.tree[moves.tree_first[lever]] = tree
            moves.tree_first[lever + (0 if fill else 1)] += 1


@leaf
def place_lever(
    turns: Turns, levers: Levers, origin: Floats, reach: Reach, moves: Moves, lever: int, place: int
) -> None:
    """Put a lever on one of its positions."""
    moves.now[lever] = place
    position = moves.position[moves.first[lever] + place]
    for axis in range(levers.first[lever], levers.first[lever + 1]):
        x = origin[levers.feature[axis]] + levers.scale[axis] * position
        moves.row[levers.feature[axis]] = x
        if reach.high[axis] >= 0:
            moves.rank[axis] = np.searchsorted(turns.turn[turns.first[axis] : turns.first[axis + 1]], x)


@leaf
def sum_over_moves(table: TreeTable, turns: Turns, levers: Levers, reach: Reach, moves: Moves, lever: int) -> None:
    """Write into `change` what the trees say with one lever at each of its positions, the others where they are."""
    count, stack, nodes = moves.size[lever], moves.stack, reach.nodes
    moves.change[: count + 1] = 0.0
    for entry in range(moves.tree_first[lever], moves.tree_first[lever + 1]):
        tree = moves.tree[entry]
        weight = turns.weight[tree]
        stack[0, 0], stack[0, 1], stack[0, 2], top = reach.root[tree], 0, count, 1
        while top > 0:
            top -= 1
            place, start, stop = stack[top, 0], stack[top, 1], stack[top, 2]
            while nodes[place].axis != LEAF:
                node = nodes[place]
                axis = np.int64(node.axis)
                if axis == SET:
                    low = read_slot(table, node.rank, moves.row) <= node.value
                elif turns.lever[axis] == lever:
                    cut, up = moves.cut[turns.first[axis] + node.rank], levers.scale[axis] > 0.0
                    if start < cut < stop:
                        stack[top, 0], stack[top, 1], stack[top, 2] = (node.high if up else node.low), cut, stop
                        top, stop = top + 1, cut
                    low = (start < cut) == up
                else:
                    low = moves.rank[axis] <= node.rank
                place = np.int64(node.low if low else node.high)
            moves.change[start] += weight * nodes[place].value
            moves.change[stop] -= weight * nodes[place].value
    for place in range(1, count):
        moves.change[place] += moves.change[place - 1]
