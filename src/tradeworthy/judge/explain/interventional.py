"""Exact Shapley values of tree ensembles against chosen baseline rows: interventional TreeSHAP.

Idea:   mix the explained row x with one baseline row b, feature by feature. A leaf is reached by some mixes: those that
        take u features from x and v from b, whatever the others are. Its share of the Shapley value is then known in
        closed form: (u - 1)! v! / (u + v)! for a feature taken from x, minus u! (v - 1)! / (u + v)! for one taken from
        b. Only where x and b part, on a feature not decided above, does the walk visit both children; so the visit is
        short. The mean over baselines is exact as well.
Sum:    the mean margin of the baselines plus all contributions is the margin of x. With one baseline, contributions
        say exactly how the margin moved from b to x.
Bits:   trees outside, rows inside, baselines innermost, each in one order: one row and many give the same bits.
Reference: Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees;
        Janzing, Minorics, Bloebaum (2020), Feature relevance quantification (why interventional).
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.core.kernel import entry, kernel, leaf
from tradeworthy.judge.explain.attribution import Attributions, Floats
from tradeworthy.judge.explain.margins import margins_and_scores
from tradeworthy.model.predictors.base import as_rows
from tradeworthy.model.predictors.tree_table import TreeTable, read_slots
from tradeworthy.model.predictors.trees import Trees

METHOD = "exact interventional Shapley values of the margin; baseline: {baseline}"

FROM_ROW, FROM_BASELINE = 1, 2


class Walk(NamedTuple):
    """Room for the walk of one tree, one entry a split at which x and b part.

    Attributes
    ----------
    feature, other : (depth,) uint64
        The split's feature, and the child on the baseline's side.
    taken, left : (depth,) uint64
        Features taken from x, and from b, above the split.
    gain, loss : (depth,) float64
        What the leaves on the row's side add to a feature taken from x, and from b.
    at_other : (depth,) uint8
        Whether the walk is on the baseline's side already.
    decided : (n_features,) uint8
        0 undecided, 1 taken from x, 2 taken from b.
    """

    feature: npt.NDArray[np.uint64]
    other: npt.NDArray[np.uint64]
    taken: npt.NDArray[np.uint64]
    left: npt.NDArray[np.uint64]
    gain: Floats
    loss: Floats
    at_other: npt.NDArray[np.uint8]
    decided: npt.NDArray[np.uint8]


@leaf
def _add_tree(
    forest: TreeTable, root: int, row: Floats, base: Floats, shares: Floats, walk: Walk, contributions: Floats
) -> None:
    """Add to (n,) contributions what one tree says of a row against a baseline, both given as slot numbers."""
    nodes, slots, one = forest.nodes, forest.slots, np.uint64(1)
    at, depth, taken, left = np.uint64(root), np.uint64(0), np.uint64(0), np.uint64(0)
    while True:
        node = nodes[at]
        while node.slot != 0:
            slot, child = np.uint64(node.slot), np.uint64(node.child)
            x_side = child + np.uint64(0 if row[slot] <= node.threshold else 1)
            b_side = child + np.uint64(0 if base[slot] <= node.threshold else 1)
            at = x_side
            if x_side != b_side:
                feature = np.uint64(slots[slot].feature)
                decided = walk.decided[feature]
                if decided == FROM_BASELINE:
                    at = b_side
                elif decided == 0:
                    walk.decided[feature] = FROM_ROW
                    walk.feature[depth], walk.other[depth] = feature, b_side
                    walk.taken[depth], walk.left[depth], walk.at_other[depth] = taken, left, 0
                    depth, taken = depth + one, taken + one
            node = nodes[at]
        gain, loss = node.threshold * shares[taken, left], node.threshold * shares[left, taken]
        while depth != 0 and walk.at_other[depth - one] == 1:
            depth -= one
            feature = walk.feature[depth]
            contributions[feature] += walk.gain[depth] - loss
            gain, loss = gain + walk.gain[depth], loss + walk.loss[depth]
            walk.decided[feature] = 0
        if depth == 0:
            return
        top = depth - one
        walk.gain[top], walk.loss[top], walk.at_other[top] = gain, loss, 1
        walk.decided[walk.feature[top]] = FROM_BASELINE
        at, taken, left = walk.other[top], walk.taken[top], walk.left[top] + one


@kernel
def add_interventional(
    forest: TreeTable,
    roots: npt.NDArray[np.uint32],
    rows: Floats,
    baselines: Floats,
    shares: Floats,
    contributions: Floats,
) -> None:
    """Add to (m, n) contributions the mean over (r, n) baselines of what all trees say about (m, n) rows."""
    count, width, depth = rows.shape[0], forest.slots.shape[0], shares.shape[0]
    numbers, bases = np.empty((count, width)), np.empty((baselines.shape[0], width))
    for place in range(count):
        read_slots(forest, rows[place], numbers[place])
    for place in range(baselines.shape[0]):
        read_slots(forest, baselines[place], bases[place])
    walk = Walk(
        np.empty(depth, np.uint64),
        np.empty(depth, np.uint64),
        np.empty(depth, np.uint64),
        np.empty(depth, np.uint64),
        np.empty(depth),
        np.empty(depth),
        np.empty(depth, np.uint8),
        np.zeros(rows.shape[1], np.uint8),
    )
    for tree in range(roots.shape[0]):
        for place in range(count):
            for base in range(bases.shape[0]):
                _add_tree(forest, roots[tree], numbers[place], bases[base], shares, walk, contributions[place])
    for place in range(count):
        for feature in range(rows.shape[1]):
            contributions[place, feature] /= baselines.shape[0]


class InterventionalShap:
    """Explains `Trees` exactly against baseline rows.

    Parameters
    ----------
    trees : Trees
        What is explained; cover is not needed.
    baselines : (r, n) float64
        At least one row; what "no feature known" means.
    name : str
        What the baselines are, in words; named with every explanation.

    Raises
    ------
    ModelMismatch
        There is no baseline, or it has another width.
    """

    def __init__(self, trees: Trees, baselines: Floats, *, name: str = "") -> None:
        self._trees = trees
        self._baselines = as_rows(baselines, trees.n_features)
        if not len(self._baselines):
            raise ModelMismatch("found no baseline row, needed is one or more; take them from the reference profile")
        self._method = METHOD.format(baseline=name or f"mean margin of {len(self._baselines)} rows")
        self._shares = shapley_shares(_most_players(trees))
        self.baseline = float(np.mean([trees.margin(row) for row in self._baselines]))
        base = self._baselines
        self._roots = trees.roots[trees.output == 0]  # those that add to the score that the desk acts on
        self._add = entry(add_interventional, trees.table, self._roots, base, base, self._shares, np.zeros(base.shape))

    def explain(self, rows: Floats) -> Attributions:
        """Return the contributions for (m, n) rows; they add up to the margins."""
        rows = as_rows(rows, self._trees.n_features)
        contributions = np.zeros(rows.shape)
        for first in range(0, len(rows), 256):
            block = slice(first, first + 256)
            self._add(self._trees.table, self._roots, rows[block], self._baselines, self._shares, contributions[block])
        margins, scores = margins_and_scores(self._trees, rows)
        return Attributions(
            method=self._method,
            baseline=self.baseline,
            explained=margins,
            scores=scores,
            contributions=contributions,
            errors=np.zeros(rows.shape),
        )


def shapley_shares(players: int) -> Floats:
    """Return (u - 1)! v! / (u + v)! at [u, v], for up to so many players together; zero where u is zero.

    >>> shapley_shares(2)[1]
    array([1.        , 0.5       , 0.33333333])
    """
    shares, v = np.zeros((players + 1, players + 1)), np.arange(players + 1)
    if players:
        shares[1] = 1.0 / (1.0 + v)
    for u in range(2, players + 1):
        shares[u] = shares[u - 1] * (u - 1) / (u + v)
    return shares


def _most_players(trees: Trees) -> int:
    """Return how many features can be decided on one path: no more than its splits, or the features there are."""
    return int(min(trees.table.groups[:, 0].max(initial=0), trees.n_features))
