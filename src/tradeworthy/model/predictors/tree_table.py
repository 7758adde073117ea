"""Trees as one flat table, and the kernels that walk it.

Idea:   every split becomes one branchless question ``slot <= threshold``. What makes libraries differ (where NaN goes,
        zero as missing, float32 rounding, sets of categories) is moved out of the walk into *slots*: numbers derived
        once a row from its features. A split that sends NaN left reads the negated feature with its children swapped,
        because a comparison with NaN is always false. Two children stand next to each other; a leaf reads slot 0,
        which is always NaN, and so points at itself. Eight trees of like depth are walked side by side, which hides
        the latency of memory behind seven other trees.
Outputs: a class of several has trees of its own; the groups of one output stand together, and `ends` parts them.
Bits:   a row's groups are added in one order, alone or in a batch, so one and many agree to the last bit.
State:  none; tables are immutable and may be shared by threads.
Reference: Asadi, Lin, de Vries (2014), Runtime optimizations for tree-based machine learning models (predication and
        interleaving).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import inlined, kernel, leaf

TREES_PER_GROUP = 8
ROWS_PER_BLOCK = 32

NODE = np.dtype([("threshold", "<f8"), ("slot", "<u4"), ("child", "<u4")], align=True)
"""One node: go to `child` if the slot's number is at most `threshold`, else to ``child + 1``.
In a leaf, `slot` is 0, `threshold` is the leaf's value, and ``child + 1`` is the leaf itself."""

SLOT = np.dtype([("feature", "<u4"), ("reading", "<u4"), ("first", "<u4"), ("words", "<u4")], align=True)
"""One derived number of a row; `first` and `words` place its set of categories in the bit words."""


class Reading(IntEnum):
    """How a slot's number follows from its feature x."""

    LEAF = 0  # always NaN; slot 0 only
    PLAIN = 1  # x
    MISSING_IS_ZERO = 2  # 0 where x is NaN
    ZERO_IS_MISSING = 3  # NaN where x is within 1e-35 of 0
    FLOAT32 = 4  # x rounded to float32
    CATEGORY = 5  # 1 if x, cut to an integer, is in the set
    CATEGORY_FLOAT32 = 6  # the same; anything below zero is in no set
    NEGATED = 16  # a flag beside PLAIN, ZERO_IS_MISSING and FLOAT32: minus that number
    MISSING_IN_SET = 32  # a flag beside categories: NaN counts as in the set


class Link(IntEnum):
    """How scores follow from margins (the sums of the leaves)."""

    IDENTITY = 0
    SIGMOID = 1
    EXP = 2
    SIGNED_SQUARE = 3
    SOFTMAX = 4  # over the margins of all outputs


class TreeTable(NamedTuple):
    """What the kernels read; see the module's idea.

    Attributes
    ----------
    nodes : (nodes,) NODE
        Nodes of all trees; node 1 is an empty leaf with which the last group is filled up.
    groups : (groups, 9) uint32
        Number of steps to the deepest leaf, then eight roots.
    slots : (slots,) SLOT
        The numbers that splits ask for.
    categories : (words,) uint32
        Sets of categories as bits.
    bases : (outputs,) float64
        Added to each output's leaves.
    ends : (outputs,) int64
        Where each output's groups end.
    scale : float
        Factor of the margin inside the sigmoid.
    link : int
        A `Link`.
    """

    nodes: npt.NDArray[np.void]
    groups: npt.NDArray[np.uint32]
    slots: npt.NDArray[np.void]
    categories: npt.NDArray[np.uint32]
    bases: npt.NDArray[np.float64]
    ends: npt.NDArray[np.int64]
    scale: float
    link: int


ZERO_MAX = float(np.float32(1e-35))
CATEGORY_MAX = 2.0**31


@leaf
def read_category(words: npt.NDArray[np.uint32], first: int, count: int, number: float) -> float:
    """Return 1.0 if the category is in the set of `count` words from `first`, else 0.0."""
    if not 0.0 <= number < CATEGORY_MAX:
        return 0.0
    place = int(number)
    if place // 32 >= count:
        return 0.0
    word = np.uint64(words[np.uint64(first + place // 32)])
    return 1.0 if (word >> np.uint64(place % 32)) & np.uint64(1) else 0.0


@inlined
def read_slot(table: TreeTable, place: int, row: npt.NDArray[np.float64]) -> float:
    """Return the number that splits on slot `place` compare."""
    slot = table.slots[place]
    code = slot.reading
    kind = code & 15
    number: float = row[np.uint64(slot.feature)]
    if kind == 1:
        pass
    elif kind == 2:
        number = 0.0 if np.isnan(number) else number
    elif kind == 3:
        number = np.nan if -ZERO_MAX <= number <= ZERO_MAX else number
    elif kind == 4:
        number = np.float64(np.float32(number))
    elif kind == 0:
        return np.nan
    else:
        if np.isnan(number):
            return 1.0 if code & 32 else 0.0
        cut = np.trunc(number) if kind == 5 else np.float64(np.float32(number))
        return read_category(table.categories, slot.first, slot.words, cut)
    return -number if code & 16 else number


@leaf
def read_slots(table: TreeTable, row: npt.NDArray[np.float64], numbers: npt.NDArray[np.float64]) -> None:
    """Fill `numbers` (slots,) with what the splits compare for this row."""
    for place in range(table.slots.shape[0]):
        numbers[place] = read_slot(table, place, row)


@inlined
def next_node(
    nodes: npt.NDArray[np.void], numbers: npt.NDArray[np.float64], first: np.uint64, place: np.uint64
) -> np.uint64:
    """Return the node after this one; a leaf returns itself. The row's numbers stand from `first`."""
    node = nodes[place]
    number = numbers[first + np.uint64(node.slot)]
    return np.uint64(node.child) + np.uint64(0 if number <= node.threshold else 1)


@leaf
def group_sum(table: TreeTable, place: int, numbers: npt.NDArray[np.float64], first: int) -> float:
    """Walk the eight trees of one group side by side and return the sum of the leaves that they reach.

    The row's numbers stand in `numbers` from `first`.
    """
    nodes, roots, at = table.nodes, table.groups, np.uint64(place)
    start = np.uint64(first)
    a, b, c, d = np.uint64(roots[at, 1]), np.uint64(roots[at, 2]), np.uint64(roots[at, 3]), np.uint64(roots[at, 4])
    e, f, g, h = np.uint64(roots[at, 5]), np.uint64(roots[at, 6]), np.uint64(roots[at, 7]), np.uint64(roots[at, 8])
    for _ in range(roots[at, 0]):
        a, b = next_node(nodes, numbers, start, a), next_node(nodes, numbers, start, b)
        c, d = next_node(nodes, numbers, start, c), next_node(nodes, numbers, start, d)
        e, f = next_node(nodes, numbers, start, e), next_node(nodes, numbers, start, f)
        g, h = next_node(nodes, numbers, start, g), next_node(nodes, numbers, start, h)
    left = (nodes[a].threshold + nodes[b].threshold) + (nodes[c].threshold + nodes[d].threshold)
    right = (nodes[e].threshold + nodes[f].threshold) + (nodes[g].threshold + nodes[h].threshold)
    return float(left + right)


@leaf
def output_margin(table: TreeTable, output: int, numbers: npt.NDArray[np.float64]) -> float:
    """Return an output's base plus the sum of its leaves that a row reaches; the row's numbers are read."""
    margin = table.bases[output]
    for place in range(table.ends[output - 1] if output > 0 else 0, table.ends[output]):
        margin += group_sum(table, place, numbers, 0)
    return float(margin)


@kernel
def margin_row(table: TreeTable, row: npt.NDArray[np.float64]) -> float:
    """Return the first output's base plus the sum of all its leaves that one (n,) row reaches."""
    numbers = np.empty(table.slots.shape[0], np.float64)
    read_slots(table, row, numbers)
    return output_margin(table, 0, numbers)


@leaf
def score_of(table: TreeTable, margin: float) -> float:
    """Return the score that belongs to a margin, where it depends on no other."""
    if table.link == 1:
        return float(1.0 / (1.0 + np.exp(-table.scale * margin)))
    if table.link == 2:
        return float(np.exp(margin))
    if table.link == 3:
        return margin * abs(margin)
    return margin


@leaf
def first_score(table: TreeTable, numbers: npt.NDArray[np.float64]) -> float:
    """Return the first score of a row whose numbers are read, for searches: its last bits may differ from `one`'s."""
    margin, others = output_margin(table, 0, numbers), 0.0
    if table.link != 4:
        return score_of(table, margin)
    for output in range(1, table.bases.shape[0]):
        others += np.exp(output_margin(table, output, numbers) - margin)
    return 1.0 / (1.0 + others)


@leaf
def soften(scores: npt.NDArray[np.float64]) -> None:
    """Turn (k,) margins into shares that add up to one: exponentials over their sum, the largest taken out before."""
    largest, total = scores[0], 0.0
    for output in range(1, scores.shape[0]):
        largest = max(largest, scores[output])
    for output in range(scores.shape[0]):
        scores[output] = np.exp(scores[output] - largest)
        total += scores[output]
    for output in range(scores.shape[0]):
        scores[output] /= total


@leaf
def score_with(
    table: TreeTable,
    row: npt.NDArray[np.float64],
    numbers: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
) -> None:
    """Write the scores of one (n,) row into `scores` (k,); `numbers` (slots,) is scratch, so nothing is allocated."""
    read_slots(table, row, numbers)
    for output in range(scores.shape[0]):
        scores[output] = score_of(table, output_margin(table, output, numbers))
    if table.link == 4:
        soften(scores)


@kernel
def score_row(table: TreeTable, row: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> None:
    """Write the scores of one (n,) row into `scores` (k,)."""
    score_with(table, row, np.empty(table.slots.shape[0], np.float64), scores)


@kernel
def score_rows(table: TreeTable, rows: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> None:
    """Write the scores of (m, n) rows into `scores` (m, k).

    A block of rows walks one group of trees before the next, so that the group's nodes stay in the nearest cache.
    """
    width = table.slots.shape[0]
    numbers = np.empty(ROWS_PER_BLOCK * width, np.float64)
    margins = np.empty(ROWS_PER_BLOCK, np.float64)
    for start in range(0, rows.shape[0], ROWS_PER_BLOCK):
        count, place = min(ROWS_PER_BLOCK, rows.shape[0] - start), 0
        for offset in range(count):
            read_slots(table, rows[start + offset], numbers[offset * width : (offset + 1) * width])
        for output in range(scores.shape[1]):
            margins[:count] = table.bases[output]
            while place < table.ends[output]:
                for offset in range(count):
                    margins[offset] += group_sum(table, place, numbers, offset * width)
                place += 1
            for offset in range(count):
                scores[start + offset, output] = score_of(table, margins[offset])
        if table.link == 4:
            for offset in range(count):
                soften(scores[start + offset])
