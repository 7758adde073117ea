"""What a reader found in a model file, and how it becomes a table.

Idea:   readers know their library's rules and write them down as `Forest`: plain arrays of nodes, with each split's
        reading of its feature. `layout` turns them, whatever their order, into the one order of the table: tree by
        tree, level by level, the two children of a node side by side.
Units:  `cover` is the weight of training rows that reached a node (rows or hessian, as the library counts).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.tree_table import NODE, SLOT, Link, Reading

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FIRST_NODE = 2  # nodes 0 and 1 are the empty leaf's
_CAN_BE_MISSING = (int(Reading.PLAIN), int(Reading.ZERO_IS_MISSING), int(Reading.FLOAT32))


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Trees as a library wrote them, one entry a node.

    Attributes
    ----------
    tree : (n,) int64
        The tree of each node, ascending; the first node of a tree is its root.
    left, right : (n,) int64
        Places of the children among all nodes; -1 in a leaf. Left is taken where ``x <= threshold``, or where the
        category is *not* in the set.
    feature, reading : (n,) int64
        What a split looks at, and its `Reading` (without `NEGATED`).
    missing_left : (n,) bool
        Where a missing number goes (for readings that can be missing).
    threshold, value, cover : (n,) float64
        The split; the leaf; the weight of training rows.
    category : (n,) int64
        Place of the split's set in `sets`; -1 for a number.
    sets : list of (k,) int64
        Sets of categories.
    outputs : tuple of str
        Names of the scores, in order.
    output : (trees,) int64, optional
        The output that each tree adds to; all to the first if left out.
    bases : tuple of float
        What each output begins with.
    """

    source: str
    n_features: int
    tree: Ints
    left: Ints
    right: Ints
    feature: Ints
    reading: Ints
    missing_left: Bools
    threshold: Floats
    value: Floats
    cover: Floats
    category: Ints
    sets: list[Ints] = field(default_factory=list)
    outputs: tuple[str, ...] = ("score",)
    output: Ints | None = None
    bases: tuple[float, ...] = (0.0,)
    scale: float = 1.0
    link: Link = Link.IDENTITY


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A forest in the order of the table; see `tree_table` for the arrays."""

    nodes: npt.NDArray[np.void]
    slots: npt.NDArray[np.void]
    categories: npt.NDArray[np.uint32]
    roots: npt.NDArray[np.uint32]
    covers: Floats
    output: npt.NDArray[np.uint32]  # of each tree


def layout(forest: Forest) -> Layout:
    """Put the nodes in the order of the table and fold the library's rules into slots and thresholds.

    Raises
    ------
    ModelMismatch
        Some node is reached twice or never: the file does not hold trees.
    """
    orient = _orient(forest)
    position = _positions(forest, orient.first, orient.second)
    slots, categories, slot = _slots(forest, orient.reading)
    nodes = np.zeros(FIRST_NODE + len(forest.tree), NODE)
    covers = np.zeros(len(nodes))
    leaf = forest.left < 0
    nodes["threshold"][position] = np.where(leaf, forest.value, orient.threshold)
    nodes["slot"][position] = np.where(leaf, 0, slot)
    nodes["child"][position] = np.where(leaf, position - 1, position[orient.first])
    covers[position] = forest.cover
    roots = position[np.unique(forest.tree, return_index=True)[1]].astype(np.uint32)
    output = np.zeros(len(roots), np.uint32) if forest.output is None else forest.output.astype(np.uint32)
    return Layout(nodes=nodes, slots=slots, categories=categories, roots=roots, covers=covers, output=output)


@dataclass(frozen=True)
class _Oriented:
    first: Ints
    second: Ints
    reading: Ints
    threshold: Floats


def _orient(forest: Forest) -> _Oriented:
    """Swap children where a missing number goes left, so that NaN, which fails every comparison, goes second.

    x > t is -x < -t is -x <= the float before -t; where t is infinite nothing is above it, and NaN says "never".
    """
    split = forest.left >= 0
    negate = split & forest.missing_left & np.isin(forest.reading, _CAN_BE_MISSING)
    below = np.where(np.isposinf(forest.threshold), np.nan, np.nextafter(-forest.threshold, -np.inf))
    return _Oriented(
        first=np.where(negate, forest.right, forest.left),
        second=np.where(negate, forest.left, forest.right),
        reading=np.where(negate, forest.reading | Reading.NEGATED, forest.reading),
        threshold=np.where(forest.category >= 0, 0.5, np.where(negate, below, forest.threshold)),
    )


def _positions(forest: Forest, first: Ints, second: Ints) -> Ints:
    """Return each node's place in the table: trees in order, levels in order, siblings adjacent."""
    count = len(forest.tree)
    order, level = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    front = np.unique(forest.tree, return_index=True)[1].astype(np.int64)
    depth = seen = 0
    while len(front):
        if seen + len(front) > count or np.any(level[front] >= 0) or len(np.unique(front)) != len(front):
            raise ModelMismatch(f"{forest.source} model: a node has two parents, so these are not trees")
        order[front] = np.arange(seen, seen + len(front))
        level[front] = depth
        inner = front[first[front] >= 0]
        seen, depth = seen + len(front), depth + 1
        front = np.stack([first[inner], second[inner]], axis=1).ravel()
    if seen != count:
        raise ModelMismatch(f"{forest.source} model: {count - seen} of {count} nodes are not reached from any root")
    position = np.empty(count, np.int64)
    position[np.lexsort((order, level, forest.tree))] = np.arange(FIRST_NODE, FIRST_NODE + count)
    return position


def _slots(forest: Forest, reading: Ints) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint32], Ints]:
    """Return the distinct slots, the bit words of their sets, and each split's slot (0 in leaves)."""
    words = [_bit_words(members) for members in forest.sets]
    category, words = _distinct_sets(forest.category, words)
    starts = np.concatenate([[0], np.cumsum([len(word) for word in words])]).astype(np.int64)
    split = np.flatnonzero(forest.left >= 0)
    keys = np.stack([forest.feature[split], reading[split], category[split]], axis=1)
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    slots = np.zeros(1 + len(distinct), SLOT)
    slots["feature"][1:], slots["reading"][1:] = distinct[:, 0], distinct[:, 1]
    has_set = distinct[:, 2] >= 0
    chosen = np.where(has_set, distinct[:, 2], 0)
    lengths = np.diff(starts) if words else np.zeros(1, np.int64)
    slots["first"][1:] = np.where(has_set, starts[chosen], 0)
    slots["words"][1:] = np.where(has_set, lengths[chosen], 0)
    slot = np.zeros(len(forest.tree), np.int64)
    slot[split] = inverse.ravel() + 1
    return slots, np.concatenate([*words, np.zeros(1, np.uint32)]), slot


def _distinct_sets(category: Ints, words: list[npt.NDArray[np.uint32]]) -> tuple[Ints, list[npt.NDArray[np.uint32]]]:
    """Keep one of each equal set, so that splits on it share a slot."""
    kept: dict[bytes, int] = {}
    renamed = np.array([kept.setdefault(word.tobytes(), len(kept)) for word in words] + [-1], np.int64)
    return renamed[category], [np.frombuffer(word, np.uint32) for word in kept]


def _bit_words(members: Ints) -> npt.NDArray[np.uint32]:
    words = np.zeros(int(members.max(initial=0)) // 32 + 1, np.uint32)
    np.bitwise_or.at(words, members // 32, (np.uint64(1) << (members % 32).astype(np.uint64)).astype(np.uint32))
    return words
