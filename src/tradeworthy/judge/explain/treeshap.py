"""Exact Shapley values of tree ensembles: path-dependent TreeSHAP by quadrature.

Idea:   along a leaf's path each feature j either lets the row through (o = 1) or not (o = 0), and lets the share z of
        training cover through. The Shapley weight of a feature is an integral over t in 0..1 of the product of
        z + (o - z) t over the other features: a polynomial, so Gauss-Legendre with half as many points as the path has
        features gives it exactly. One sweep down a tree makes the products, one sweep up adds what each split gains.
        Everything that does not depend on the row is a factor per node, state and point, made once. Six points at a
        time (lanes) are exact for paths of up to twelve different features; deeper trees take more passes.
Bits:   points are lanes that never mix until the end; no reordering, so one row and many give the same bits.
Time:   linear in nodes; trees outside, rows inside, so that a tree's factors stay in the cache.
Reference: Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees;
        Bifet, Read, Xu (2022), Linear TreeSHAP (the polynomial view).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.core.kernel import inlined, kernel, leaf
from tradeworthy.judge.explain.attribution import Attributions, Floats
from tradeworthy.judge.explain.margins import margins_and_scores
from tradeworthy.model.predictors.base import as_rows
from tradeworthy.model.predictors.tree_table import TreeTable, read_slots
from tradeworthy.model.predictors.trees import Trees

METHOD = "exact path-dependent Shapley values of the margin; baseline: the mean over training cover"

LANES = 6
STATES = 3
NODES_PER_CHUNK = 50_000
FACTOR_BYTES_KEPT = 256 * 1024 * 1024

EDGE = np.dtype(
    [
        ("threshold", "<f8"),
        ("value", "<f8"),  # of the leaf; 0 in a split
        ("slot", "<u4"),  # of the split above
        ("feature", "<u4"),  # of the split above
        ("parent", "<i4"),  # counted from the tree's root
        ("previous", "<i4"),  # nearest edge above on the same feature, counted from the root; -1 for none
        ("first", "<u4"),  # 1 if this is the split's first child
        ("unused", "<u4"),
    ],
    align=True,
)
"""A node seen from the split above it."""


class ShapTable(NamedTuple):
    """A run of trees as edges.

    Attributes
    ----------
    edges : (n,) EDGE
        Parents before children; a root stands first in its tree.
    starts : (trees + 1,) int64
        Where each tree begins, and the end.
    down, up : (n, 3, 6) float64
        By node, state and point: the factor of the product on the way down, and the gain of a split on the way up.
        State 0: an earlier split on the same feature already went elsewhere; 1: this one does; 2: neither.
    weights : (6,) float64
        Of the points.
    """

    edges: npt.NDArray[np.void]
    starts: npt.NDArray[np.int64]
    down: Floats
    up: Floats
    weights: Floats


# The helpers name their lanes one by one, and read all before they write any: so the compiler keeps them in registers.


@inlined
def _multiply(left: Floats, right: Floats, result: Floats) -> None:
    """Write the product of two sets of lanes into `result`."""
    v0, v1, v2, v3, v4, v5 = (
        left[0] * right[0],
        left[1] * right[1],
        left[2] * right[2],
        left[3] * right[3],
        left[4] * right[4],
        left[5] * right[5],
    )
    result[0], result[1], result[2], result[3], result[4], result[5] = v0, v1, v2, v3, v4, v5


@inlined
def _scale(factor: float, lanes: Floats, result: Floats) -> None:
    """Write `factor` times `lanes` into `result`."""
    v0, v1, v2, v3, v4, v5 = (
        factor * lanes[0],
        factor * lanes[1],
        factor * lanes[2],
        factor * lanes[3],
        factor * lanes[4],
        factor * lanes[5],
    )
    result[0], result[1], result[2], result[3], result[4], result[5] = v0, v1, v2, v3, v4, v5


@inlined
def _add_product(result: Floats, left: Floats, right: Floats) -> None:
    """Add the product of two sets of lanes to `result`."""
    v0, v1, v2, v3, v4, v5 = (
        result[0] + left[0] * right[0],
        result[1] + left[1] * right[1],
        result[2] + left[2] * right[2],
        result[3] + left[3] * right[3],
        result[4] + left[4] * right[4],
        result[5] + left[5] * right[5],
    )
    result[0], result[1], result[2], result[3], result[4], result[5] = v0, v1, v2, v3, v4, v5


@inlined
def _add(result: Floats, lanes: Floats) -> None:
    """Add `lanes` to `result`."""
    v0, v1, v2, v3, v4, v5 = (
        result[0] + lanes[0],
        result[1] + lanes[1],
        result[2] + lanes[2],
        result[3] + lanes[3],
        result[4] + lanes[4],
        result[5] + lanes[5],
    )
    result[0], result[1], result[2], result[3], result[4], result[5] = v0, v1, v2, v3, v4, v5


class Scratch(NamedTuple):
    """Room for one tree: by node, the product so far (n, 6), what leaves below add (n, 6), and the state (n,)."""

    products: Floats
    sums: Floats
    states: npt.NDArray[np.uint8]


@leaf
def _sweep_down(table: ShapTable, tree: int, numbers: Floats, scratch: Scratch) -> None:
    """Fill the products along every path of one tree, what its leaves add, and each node's state."""
    products, states = scratch.products, scratch.states
    start = np.uint64(table.starts[tree])
    _scale(1.0, table.weights, products[0])
    for local in range(1, table.starts[tree + 1] - table.starts[tree]):
        here = np.uint64(local)
        edge = table.edges[start + here]
        went = np.uint64((numbers[np.uint64(edge.slot)] <= edge.threshold) == (edge.first == 1))
        state = np.uint64(1) + went
        if edge.previous >= 0 and states[np.uint64(edge.previous)] != 2:
            state = np.uint64(0)
        states[here] = state
        _multiply(products[np.uint64(edge.parent)], table.down[start + here, state], products[here])
        _scale(edge.value, products[here], scratch.sums[here])


@leaf
def _sweep_up(table: ShapTable, tree: int, scratch: Scratch, gains: Floats) -> None:
    """Add what every split of one tree gains to `gains` (features, lanes), leaves first."""
    start = np.uint64(table.starts[tree])
    for local in range(table.starts[tree + 1] - table.starts[tree] - 1, 0, -1):
        here = np.uint64(local)
        edge = table.edges[start + here]
        factors = table.up[start + here, np.uint64(scratch.states[here])]
        _add_product(gains[np.uint64(edge.feature)], scratch.sums[here], factors)
        _add(scratch.sums[np.uint64(edge.parent)], scratch.sums[here])


@kernel
def add_contributions(table: ShapTable, forest: TreeTable, rows: Floats, widest: int, contributions: Floats) -> None:
    """Add to (m, n) contributions what the trees of one `ShapTable` say about (m, n) rows.

    `widest` is the number of nodes of the largest tree.
    """
    count, n_features = rows.shape
    numbers = np.empty((count, forest.slots.shape[0]), np.float64)
    gains = np.zeros((count, n_features, LANES), np.float64)
    products, sums = np.empty((widest, LANES), np.float64), np.zeros((widest, LANES), np.float64)
    scratch = Scratch(products, sums, np.full(widest, 2, np.uint8))
    for place in range(count):
        read_slots(forest, rows[place], numbers[place])
    for tree in range(table.starts.shape[0] - 1):
        for place in range(count):
            _sweep_down(table, tree, numbers[place], scratch)
            _sweep_up(table, tree, scratch, gains[place])
    for place in range(count):
        for feature in range(n_features):
            total = 0.0
            for q in range(LANES):
                total += gains[place, feature, q]
            contributions[place, feature] += total


@dataclass(frozen=True, eq=False)
class _Paths:
    """What follows from the structure and cover alone, one entry a node."""

    edges: npt.NDArray[np.void]
    starts: npt.NDArray[np.int64]
    share: Floats  # of cover that all splits on the edge's feature, down to here, let through
    share_before: Floats  # the same without this edge
    baseline: float
    features: npt.NDArray[np.int64]  # most different features on one path, one entry a tree


class TreeShap:
    """Explains `Trees` exactly.

    Parameters
    ----------
    trees : Trees
        With cover, as readers give it.

    Raises
    ------
    ModelMismatch
        The trees have no cover, so that no baseline is defined.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._paths = _paths(trees)
        self._explained = trees.output == 0  # the others' trees do not move the score that the desk acts on
        sizes = np.diff(self._paths.starts)
        self._widest = int(sizes.max())
        blocks = _blocks(self._paths.features)
        bytes_all = int(np.sum(sizes * blocks)) * STATES * LANES * 16
        self._kept = tuple(self._make_tables()) if bytes_all <= FACTOR_BYTES_KEPT else None

    @property
    def baseline(self) -> float:
        """Return the mean margin over the training cover."""
        return self._paths.baseline

    def tables(self) -> Iterable[ShapTable]:
        """Return every run of trees, once a block of points; large forests' are made again each time."""
        return self._make_tables() if self._kept is None else self._kept

    def explain(self, rows: Floats) -> Attributions:
        """Return the contributions for (m, n) rows; they add up to the margins."""
        rows = as_rows(rows, self._trees.n_features)
        contributions = np.zeros(rows.shape)
        for table in self.tables():
            for first in range(0, len(rows), 256):
                block = slice(first, first + 256)
                add_contributions(table, self._trees.table, rows[block], self._widest, contributions[block])
        margins, scores = margins_and_scores(self._trees, rows)
        return Attributions(
            method=METHOD,
            baseline=self.baseline,
            explained=margins,
            scores=scores,
            contributions=contributions,
            errors=np.zeros(rows.shape),
        )

    def _make_tables(self) -> Iterator[ShapTable]:
        """Yield every tree as often as it needs blocks of points, a chunk of trees at a time."""
        paths, blocks = self._paths, _blocks(self._paths.features)
        for count in np.unique(blocks):
            points, weights = _unit_legendre(int(count) * LANES)
            for chunk in _chunks(np.flatnonzero((blocks == count) & self._explained), np.diff(paths.starts)):
                nodes = np.concatenate([np.arange(paths.starts[tree], paths.starts[tree + 1]) for tree in chunk])
                starts = np.append(0, np.cumsum(np.diff(paths.starts)[chunk]))
                for first in range(0, len(points), LANES):
                    lanes = slice(first, first + LANES)
                    down, up = _factors(paths.share[nodes], paths.share_before[nodes], points[lanes])
                    yield ShapTable(paths.edges[nodes], starts, down, up, weights[lanes])


def _blocks(features: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many blocks of lanes are exact for paths with so many different features."""
    return np.maximum(1, -(-features // (2 * LANES)))


def _unit_legendre(count: int) -> tuple[Floats, Floats]:
    """Return the points and weights of Gauss-Legendre quadrature on 0 to 1."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1.0) / 2.0, weights / 2.0


def _chunks(trees: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Cut a list of trees into runs of about `NODES_PER_CHUNK` nodes."""
    run = np.cumsum(sizes[trees]) // NODES_PER_CHUNK
    return np.split(trees, np.flatnonzero(np.diff(run)) + 1)


def _factors(share: Floats, before: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Return the factors down and up, each (n, 3, points); see `ShapTable`.

    Where a factor is zero (no cover, and the row goes elsewhere) every product below is zero, and so is every gain.
    """
    passed_before = np.array([0.0, 1.0, 1.0])[None, :, None]
    passed = np.array([0.0, 0.0, 1.0])[None, :, None]
    z, z_before, t = share[:, None, None], before[:, None, None], points[None, None, :]
    here, above = z + (passed - z) * t, z_before + (passed_before - z_before) * t
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.where(above > 0.0, here / above, 0.0)
        up = np.where(here > 0.0, (passed - z) / here, 0.0) - np.where(
            above > 0.0, (passed_before - z_before) / above, 0
        )
    return np.ascontiguousarray(down), np.ascontiguousarray(up)


def _paths(trees: Trees) -> _Paths:
    nodes, covers = trees.table.nodes, trees.covers
    roots = trees.roots.astype(np.int64)
    if not (covers[roots] > 0).all():
        raise ModelMismatch("the trees carry no cover, so path-dependent Shapley values are not defined; import again")
    first, count = int(roots[0]), len(nodes)
    split = np.flatnonzero(nodes["slot"] != 0)
    split = split[split >= first]
    child = nodes["child"].astype(np.int64)
    parent = np.full(count, -1, np.int64)
    parent[child[split]], parent[child[split] + 1] = split, split
    edges = np.zeros(count, EDGE)
    below = np.flatnonzero(parent >= 0)
    above = parent[below]
    root_of = roots[np.searchsorted(roots, np.arange(count), side="right") - 1]
    edges["slot"][below], edges["threshold"][below] = nodes["slot"][above], nodes["threshold"][above]
    edges["feature"][below] = trees.table.slots["feature"][nodes["slot"][above]]
    edges["first"][below] = child[above] == below
    edges["parent"][below] = above - root_of[below]
    edges["value"] = np.where(nodes["slot"] == 0, nodes["threshold"], 0.0)
    previous, depth = _previous(parent, edges["feature"].astype(np.int64))
    edges["previous"] = np.where(previous >= 0, previous - root_of, -1)
    passed = np.ones(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        passed[below] = np.where(covers[above] > 0, covers[below] / covers[above], 0.5)
    share, before, reach, distinct = _shares(parent, previous, passed, depth)
    edges["value"][first:] *= np.repeat(trees.output == 0, np.diff(np.append(roots, count)))
    baseline = float(trees.table.bases[0]) + float(np.sum(edges["value"][first:] * reach[first:]))
    starts = np.append(roots, count) - first
    features = np.maximum.reduceat(distinct, roots)
    return _Paths(edges[first:], starts, share[first:], before[first:], baseline, features)


def _previous(
    parent: npt.NDArray[np.int64], feature: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each node's nearest edge above on the same feature (-1 for none), and its depth."""
    previous, depth = np.full(len(parent), -1, np.int64), np.zeros(len(parent), np.int64)
    waiting = np.flatnonzero(parent >= 0)
    here = parent[waiting]
    while len(waiting):
        depth[waiting] += 1
        inner = parent[here] >= 0
        same = inner & (feature[here] == feature[waiting]) & (previous[waiting] < 0)
        previous[waiting[same]] = here[same]
        waiting, here = waiting[inner], parent[here[inner]]
    return previous, depth


def _shares(
    parent: npt.NDArray[np.int64], previous: npt.NDArray[np.int64], passed: Floats, depth: npt.NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
    """Return, level by level: cover shares with and without the node's edge, reach from the root, features so far."""
    share, before, reach = np.ones(len(parent)), np.ones(len(parent)), np.ones(len(parent))
    distinct = np.zeros(len(parent), np.int64)
    for level in range(1, int(depth.max(initial=0)) + 1):
        here = np.flatnonzero(depth == level)
        earlier = previous[here] >= 0
        before[here] = np.where(earlier, share[previous[here]], 1.0)
        share[here] = before[here] * passed[here]
        reach[here] = reach[parent[here]] * passed[here]
        distinct[here] = distinct[parent[here]] + ~earlier
    return share, before, reach, distinct
