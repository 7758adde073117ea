"""The smallest change of a row that brings trees past a margin: an exact search over boxes.

Idea:   a box of feature values bounds the margin from above: each tree's largest leaf that the box can still reach. The
        cheapest box is looked at first, its cost being the distance of its nearest point from the row; if that point
        passes, nothing cheaper can, because every box left costs at least as much. Otherwise the box is cut in two at a
        split that its trees have not decided. Boxes whose bound does not reach the margin are dropped; where a box has
        moved as many features as may move, the others are the row's, which makes its bound tight.
Cost:   sum over features of the distance moved, in widths of the middle 90% of training.
Undefined: a missing number and a category are left as they are.
Time:   trees' reachable nodes for each box; at most `boxes_max` boxes, then what is known is the bound so far.
Reference: Chen et al. (2019), Robustness verification of tree-based models (the bound); Land, Doig (1960).
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

import heapq
import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.explain.attribution import Floats
from tradeworthy.judge.explain.margins import margins_and_scores
from tradeworthy.model.predictors.tree_table import ZERO_MAX, Reading, TreeTable, read_slot
from tradeworthy.model.predictors.trees import Trees

SLACK = 1e-9
_CATEGORIES = (Reading.CATEGORY, Reading.CATEGORY_FLOAT32)


class Found(NamedTuple):
    """The cheapest row past the margin; `row` is None where there is none in the box.

    `lower` is proven: no passing row costs less. `proven` says that `row` is the cheapest (or that there is none).
    """

    row: Floats | None
    cost: float
    lower: float
    proven: bool
    boxes: int


class Wanted(NamedTuple):
    """What is searched for: margins of at least `margin` (at most, where `sign` is -1), from a row, inside limits.

    At most `features_max` features move.
    """

    row: Floats
    margin: float
    sign: float
    low: Floats
    high: Floats
    width: Floats
    features_max: int


@leaf
def _fill_box(table: TreeTable, low: Floats, high: Floats, least: Floats, most: Floats) -> None:
    """Write what slots can read in a box of features; NaN where always missing, everything where perhaps missing."""
    for place in range(table.slots.shape[0]):
        slot = table.slots[place]
        first, second = read_slot(table, place, low), read_slot(table, place, high)
        if slot.reading & 16:
            first, second = second, first
        if (slot.reading & 15) == 3:
            down, up = low[np.uint64(slot.feature)], high[np.uint64(slot.feature)]
            if down <= ZERO_MAX and up >= -ZERO_MAX and (down < -ZERO_MAX or up > ZERO_MAX):
                first, second = -np.inf, np.nan  # NaN is at most nothing, so both children may be reached
        least[place], most[place] = first, second


@kernel
def box_bound(
    table: TreeTable, roots: npt.NDArray[np.uint32], low: Floats, high: Floats, sign: float, room: Floats
) -> tuple[float, int]:
    """Return the most that ``sign * margin`` can be in a box, and a node whose split the box does not decide (or 0).

    Of all trees, the node is the first undecided one of the tree whose reachable leaves differ most. `room` (2, slots).
    """
    least, most = room[0], room[1]
    _fill_box(table, low, high, least, most)
    stack = np.empty(table.nodes.shape[0], np.uint64)
    total, widest, chosen = sign * table.bases[0], 0.0, np.uint64(0)
    for tree in range(roots.shape[0]):
        stack[0], count, first = np.uint64(roots[tree]), 1, np.uint64(0)
        highest, lowest = -np.inf, np.inf
        while count > 0:
            count -= 1
            at = stack[count]
            node = table.nodes[at]
            while node.slot != 0:
                slot, child = np.uint64(node.slot), np.uint64(node.child)
                if most[slot] <= node.threshold:
                    at = child
                elif not least[slot] <= node.threshold:
                    at = child + np.uint64(1)
                else:
                    first = at if first == 0 else first
                    stack[count] = child + np.uint64(1)
                    count += 1
                    at = child
                node = table.nodes[at]
            value = sign * node.threshold
            highest, lowest = max(highest, value), min(lowest, value)
        total += highest
        if first != 0 and (chosen == 0 or highest - lowest > widest):
            widest, chosen = highest - lowest, first
    return total, int(chosen)


def movable(trees: Trees, row: Floats, immutable: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return (n,) whether a feature may be moved: it is a number, no split reads it as a category, none forbids it."""
    slots = trees.table.slots[1:]
    may = np.isfinite(row)
    may[slots["feature"][np.isin(slots["reading"] & 15, _CATEGORIES)]] = False
    may[list(immutable)] = False
    return may


def cut(reading: int, threshold: float) -> tuple[float, float]:
    """Return the two neighbouring feature values between which a split decides otherwise.

    >>> cut(Reading.PLAIN, 1.5)
    (1.5, 1.5000000000000002)
    """
    kind, negated = reading & 15, bool(reading & 16)
    at = -threshold if negated else threshold
    if kind == Reading.FLOAT32:
        single = np.float32(at)
        if negated:
            single = single if float(single) >= at else np.nextafter(single, np.float32(np.inf))
            return float(np.nextafter(single, np.float32(-np.inf))), float(single)
        single = single if float(single) <= at else np.nextafter(single, np.float32(-np.inf))
        return float(single), float(np.nextafter(single, np.float32(np.inf)))
    return (float(np.nextafter(at, -np.inf)), at) if negated else (at, float(np.nextafter(at, np.inf)))


def cost_of(wanted: Wanted, row: Floats) -> float:
    """Return how far a row is from the one explained, in widths of features."""
    return float(np.sum(np.abs(row - wanted.row)[np.isfinite(wanted.row)] / wanted.width[np.isfinite(wanted.row)]))


def cheapest(trees: Trees, wanted: Wanted, *, boxes_max: int) -> Found:
    """Return the cheapest row past the margin, or how cheap it might still be when `boxes_max` boxes were looked at."""
    search = _Search(trees, wanted)
    best = search.one_feature()
    cost = np.inf if best is None else cost_of(wanted, best)
    search.push(wanted.low, wanted.high, cost)
    for looked in range(boxes_max):
        if not search.heap or search.heap[0][0] >= cost:
            return Found(best, cost, cost, proven=True, boxes=looked)
        lower, _, low, high, node = heapq.heappop(search.heap)
        point = np.clip(wanted.row, low, high)
        if search.passes(point):
            return Found(point, lower, lower, proven=True, boxes=looked + 1)
        for part in search.halves(low, high, node):
            search.push(*part, cost)
    return Found(best, cost, min(search.heap[0][0] if search.heap else cost, cost), proven=False, boxes=boxes_max)


class _Search:
    """The boxes still to be looked at, the cheapest first."""

    def __init__(self, trees: Trees, wanted: Wanted) -> None:
        self.trees, self.wanted = trees, wanted
        self.heap: list[tuple[float, int, Floats, Floats, int]] = []
        self._number = itertools.count()
        self._room = np.empty((2, len(trees.table.slots)))
        self._least = wanted.sign * wanted.margin - SLACK * (1.0 + abs(wanted.margin))

    def passes(self, row: Floats) -> bool:
        """Tell whether a row is past the margin."""
        return bool(self.wanted.sign * self.trees.margin(row) >= self.wanted.sign * self.wanted.margin)

    def push(self, low: Floats, high: Floats, cost_max: float) -> None:
        """Keep a box if it is cheaper than the best row known, and if a row in it may pass."""
        row = self.wanted.row
        moved = (low > row) | (high < row)
        cost, count = cost_of(self.wanted, np.clip(row, low, high)), np.count_nonzero(moved)
        if cost >= cost_max or count > self.wanted.features_max:
            return
        if count == self.wanted.features_max:
            low, high = np.where(moved, low, row), np.where(moved, high, row)
        table, roots = self.trees.table, self.trees.roots[self.trees.output == 0]
        bound, node = box_bound(table, roots, low, high, self.wanted.sign, self._room)
        if bound >= self._least:
            heapq.heappush(self.heap, (cost, next(self._number), low, high, node))

    def halves(self, low: Floats, high: Floats, node: int) -> list[tuple[Floats, Floats]]:
        """Cut a box in two at a node's split; a box that its trees decide everywhere has none."""
        if node == 0:
            return []
        split = self.trees.table.nodes[node]
        slot = self.trees.table.slots[int(split["slot"])]
        feature, reading = int(slot["feature"]), int(slot["reading"])
        below, above = self._pair(reading, float(split["threshold"]), low[feature], high[feature])
        left, right = high.copy(), low.copy()
        left[feature], right[feature] = max(below, low[feature]), min(above, high[feature])
        return [(low, left), (right, high)]

    @staticmethod
    def _pair(reading: int, threshold: float, low: float, high: float) -> tuple[float, float]:
        """Return where to cut; first around zero, where a split takes zero for missing."""
        if reading & 15 == Reading.ZERO_IS_MISSING and low <= ZERO_MAX and high >= -ZERO_MAX:
            if low < -ZERO_MAX:
                return float(np.nextafter(-ZERO_MAX, -np.inf)), -ZERO_MAX
            if high > ZERO_MAX:
                return ZERO_MAX, float(np.nextafter(ZERO_MAX, np.inf))
        return cut(reading, threshold)

    def one_feature(self) -> Floats | None:
        """Return the cheapest passing row that differs in one feature: every cell of every feature is tried."""
        wanted, table = self.wanted, self.trees.table
        inner = table.nodes[table.nodes["slot"] != 0]
        slots = table.slots[inner["slot"]]
        rows = []
        for feature in np.flatnonzero(wanted.low < wanted.high):
            own = slots["feature"] == feature
            asked = set(zip(slots["reading"][own].tolist(), inner["threshold"][own].tolist(), strict=True))
            values = {value for pair in itertools.starmap(cut, asked) for value in pair}
            inside = [value for value in values if wanted.low[feature] <= value <= wanted.high[feature]]
            moved = np.repeat(wanted.row[None, :], len(inside), axis=0)
            moved[:, feature] = inside
            rows.append(moved)
        tried = np.concatenate(rows) if rows else np.empty((0, len(wanted.row)))
        passed = tried[wanted.sign * margins_and_scores(self.trees, tried)[0] >= wanted.sign * wanted.margin]
        return min(passed, key=lambda row: cost_of(wanted, row), default=None)
