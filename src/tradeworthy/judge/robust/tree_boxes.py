"""Whether any row within a box crosses a cut: an exact search that halves the box until it knows.

Idea:   the sum of every tree's best leaf bounds what a box of ranks can score, though the trees may want one feature in
        different places. Where the bound does not reach the cut, nothing in the box does. Where it does, one row is
        tried: tree after tree takes its best leaf that agrees with those before it. Else the box is cut in two at the
        split whose sides differ most over all trees, and both halves are bounded more tightly. What costs more than the
        budget, lies between steps, or asks one lever to be in two places, is left out.
Sound:  bounds include what sums round. An answer is a move, a proof that there is none, or neither, where the search
        had looked at as many boxes as it may.
Reference: Kantchelian, Tygar, Joseph (2016), Evasion and hardening of tree ensemble classifiers (the exact problem);
        Land, Doig (1960), branch and bound.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Floats, Ints, Levers
from tradeworthy.judge.robust.reachable import LEAF, Reach, Turns
from tradeworthy.judge.robust.tree_bounds import score_bounds, sum_slack
from tradeworthy.judge.robust.tree_moves import Moves, place_lever
from tradeworthy.model.predictors.tree_table import TreeTable, first_score, read_slots

FOUND, NONE, UNKNOWN = 1, 0, -1
HALVINGS_MAX = 512
"""Boxes that may wait; a search that needs more gives up."""

_NEARLY = 1e-9
"""Costs and positions are compared with this much room, so that rounding proves nothing."""


class Boxes(NamedTuple):
    """Room for a search.

    Attributes
    ----------
    low, high : (HALVINGS_MAX, e) int64
        Boxes of ranks that wait, then the one that is looked at.
    fall : (k, 2) float64
        What the bound loses on the low and on the high side of each of `Turns.turn`.
    seen : (trees,) int64
        Turns with an entry in `fall`.
    extreme, size : (outputs,) float64
        The outputs' margins at their best for the cut, and the sum of what was added, for its rounding.
    stack : (room,) int64
        Scratch of a walk.
    """

    low: Ints
    high: Ints
    fall: Floats
    seen: Ints
    extreme: Floats
    size: Floats
    stack: Ints


def room_for_boxes(turns: Turns, axes: int, trees: int, outputs: int, depth: int) -> Boxes:
    """Make the room that `search_boxes` works in."""
    return Boxes(
        low=np.zeros((HALVINGS_MAX, axes), np.int64),
        high=np.zeros((HALVINGS_MAX, axes), np.int64),
        fall=np.zeros((len(turns.turn), 2)),
        seen=np.zeros(trees, np.int64),
        extreme=np.zeros(outputs),
        size=np.zeros(outputs),
        stack=np.zeros(depth, np.int64),
    )


@leaf
def _best_leaf(nodes: npt.NDArray[np.void], root: int, low: Ints, high: Ints, sign: float, stack: Ints) -> int:
    """Return the leaf with the largest ``sign * value`` that a box reaches below `root`."""
    stack[0], top, best, chosen = root, 1, -np.inf, root
    while top > 0:
        top -= 1
        place = stack[top]
        while True:
            node = nodes[place]
            if (node.most if sign > 0.0 else -node.least) <= best:
                break
            if node.axis == LEAF:
                best, chosen = sign * node.value, place
                break
            down, up = np.int64(node.low), np.int64(node.high)
            if not node.open and high[node.axis] <= node.rank:
                place = down
            elif not node.open and low[node.axis] > node.rank:
                place = up
            else:
                first = nodes[down].most >= nodes[up].most if sign > 0.0 else nodes[down].least <= nodes[up].least
                stack[top], top = (up if first else down), top + 1
                place = down if first else up
    return chosen


@leaf
def _bound(turns: Turns, reach: Reach, boxes: Boxes, at: int, sign: float) -> int:
    """Add every tree's best leaf in a box to `extreme`; return the turn whose sides differ most, or -1."""
    nodes, low, high, count = reach.nodes, boxes.low[at], boxes.high[at], 0
    for tree in range(reach.root.shape[0]):
        output = turns.output[tree]
        push = sign if output == 0 else -sign
        place = int(reach.root[tree])
        while nodes[place].axis != LEAF and not nodes[place].open:
            node = nodes[place]
            if high[node.axis] <= node.rank:
                place = int(node.low)
            elif low[node.axis] > node.rank:
                place = int(node.high)
            else:
                break
        node = nodes[place]
        if node.axis == LEAF or node.open:
            value = nodes[_best_leaf(nodes, place, low, high, push, boxes.stack)].value
        else:
            down = nodes[_best_leaf(nodes, node.low, low, high, push, boxes.stack)].value
            up = nodes[_best_leaf(nodes, node.high, low, high, push, boxes.stack)].value
            value = max(down, up) if push > 0.0 else min(down, up)
            turn = int(turns.first[node.axis]) + int(node.rank)
            if boxes.fall[turn, 0] == 0.0 and boxes.fall[turn, 1] == 0.0:
                boxes.seen[count], count = turn, count + 1
            weight = abs(turns.weight[tree])
            boxes.fall[turn, 0] += weight * abs(value - down) + 1e-300
            boxes.fall[turn, 1] += weight * abs(value - up)
        boxes.extreme[output] += value
        boxes.size[output] += abs(value)
    chosen, most = -1, -1.0
    for entry in range(count):
        turn = int(boxes.seen[entry])
        less, more = boxes.fall[turn, 0], boxes.fall[turn, 1]
        worth = max(min(less, more), 1e-6) * max(less, more, 1e-6)
        if worth > most:
            chosen, most = turn, worth
        boxes.fall[turn, 0] = boxes.fall[turn, 1] = 0.0
    return chosen


@leaf
def _dive(reach: Reach, boxes: Boxes, turns: Turns, at: int, sign: float) -> None:
    """Narrow a box tree after tree to the best leaf that agrees with the trees before."""
    nodes, low, high = reach.nodes, boxes.low[at], boxes.high[at]
    for tree in range(reach.root.shape[0]):
        push = sign if turns.output[tree] == 0 else -sign
        place = _best_leaf(nodes, reach.root[tree], low, high, push, boxes.stack)
        while nodes[place].parent >= 0:
            parent = int(nodes[place].parent)
            axis, rank = nodes[parent].axis, np.int64(nodes[parent].rank)
            if axis >= 0 and nodes[parent].low == place:
                high[axis] = min(high[axis], rank)
            elif axis >= 0:
                low[axis] = max(low[axis], rank + 1)
            place = parent


@leaf
def _least_cost(turns: Turns, levers: Levers, origin: Floats, reach: Reach, boxes: Boxes, at: int) -> float:
    """Return a cost that no move into a box is below; infinite where no position of a lever leads into it."""
    total = 0.0
    for lever in range(levers.low.shape[0]):
        least, most = levers.low[lever], levers.high[lever]
        for axis in range(levers.first[lever], levers.first[lever + 1]):
            if reach.high[axis] < 0:
                continue
            x, scale, first = origin[levers.feature[axis]], levers.scale[axis], turns.first[axis]
            low, high = boxes.low[at, axis], boxes.high[at, axis]
            one = (turns.turn[first + low - 1] - x) / scale if low > reach.low[axis] else -np.inf * scale
            other = (turns.turn[first + high] - x) / scale if high < reach.high[axis] else np.inf * scale
            least, most = max(least, min(one, other)), min(most, max(one, other))
        slack = _NEARLY * (abs(least) + abs(most) + 1e-9)
        least, most, step = least - slack, most + slack, levers.step[lever]
        if step > 0.0:
            least, most = np.ceil(least / step - _NEARLY) * step, np.floor(most / step + _NEARLY) * step
        if least > most:
            return np.inf
        total += levers.cost[lever] * max(0.0, least, -most)
    return total


@leaf
def _stands(
    turns: Turns,
    levers: Levers,
    origin: Floats,
    reach: Reach,
    moves: Moves,
    boxes: Boxes,
    at: int,
    budget: float,
) -> bool:
    """Put each lever where it leads into a box, nearest to rest; tell whether that can be, within budget."""
    spent = 0.0
    for lever in range(levers.low.shape[0]):
        start, stop, first = 0, moves.size[lever], moves.first[lever]
        for axis in range(levers.first[lever], levers.first[lever + 1]):
            low, high, up = boxes.low[at, axis], boxes.high[at, axis], levers.scale[axis] > 0.0
            if low > reach.low[axis]:
                cut = moves.cut[turns.first[axis] + low - 1]
                start, stop = (max(start, cut), stop) if up else (start, min(stop, cut))
            if high < reach.high[axis]:
                cut = moves.cut[turns.first[axis] + high]
                start, stop = (start, min(stop, cut)) if up else (max(start, cut), stop)
        if start >= stop:
            return False
        rest = np.searchsorted(moves.position[first : first + moves.size[lever]], 0.0)
        place = min(max(rest, start), stop - 1)
        spent += levers.cost[lever] * abs(moves.position[first + place])
        place_lever(turns, levers, origin, reach, moves, lever, place)
    return spent <= budget


@kernel
def search_boxes(
    table: TreeTable,
    turns: Turns,
    levers: Levers,
    origin: Floats,
    reach: Reach,
    moves: Moves,
    boxes: Boxes,
    sign: float,
    cut: float,
    budget: float,
    boxes_max: int,
) -> int:
    """Look for a move that brings the score to the cut (`sign` 1) or below it (-1); `moves` holds it where found."""
    boxes.low[0], boxes.high[0], top, proves = reach.low, reach.high, 1, True
    for _ in range(boxes_max):
        if top == 0:
            break
        top -= 1
        cost = _least_cost(turns, levers, origin, reach, boxes, top)
        if np.isinf(cost) or cost > budget * (1.0 + _NEARLY):
            continue
        boxes.extreme[:], boxes.size[:] = table.bases, np.abs(table.bases)
        turn = _bound(turns, reach, boxes, top, sign)
        for output in range(boxes.extreme.shape[0]):
            push = sign if output == 0 else -sign
            boxes.extreme[output] += push * sum_slack(reach.root.shape[0], boxes.size[output])
        low, high = score_bounds(table, boxes.extreme, boxes.extreme)
        if high < cut if sign > 0.0 else low >= cut:
            continue
        if top + 3 > HALVINGS_MAX:
            return UNKNOWN
        boxes.low[top + 2], boxes.high[top + 2] = boxes.low[top], boxes.high[top]
        _dive(reach, boxes, turns, top + 2, sign)
        if _stands(turns, levers, origin, reach, moves, boxes, top + 2, budget):
            read_slots(table, moves.row, reach.numbers)
            score = first_score(table, reach.numbers)
            if score >= cut if sign > 0.0 else score < cut:
                return FOUND
        if turn < 0:
            proves = False
            continue
        axis = np.searchsorted(turns.first, turn, side="right") - 1
        rank = turn - turns.first[axis]
        boxes.low[top + 1], boxes.high[top + 1] = boxes.low[top], boxes.high[top]
        low_last = boxes.high[top + 2, axis] <= rank  # the half of the row that was tried is looked at first
        boxes.high[top + (1 if low_last else 0), axis] = rank
        boxes.low[top + (0 if low_last else 1), axis] = rank + 1
        top += 2
    return NONE if top == 0 and proves else UNKNOWN
