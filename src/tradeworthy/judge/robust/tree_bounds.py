"""A certificate for trees: between which scores a row stays, whatever an outsider does within a box.

Idea:   within one tree the reachable leaves are found exactly (`reachable`); the lowest and highest leaves of all trees
        are then added. Different trees may need different values of one feature for their extremes, so the sum is a
        relaxation: it proves, but does not refute. It costs microseconds; `tree_boxes` decides what it leaves open.
Sound:  the interval holds every score of every row in the box, rounding included.
Reference: Törnblom and Nadjm-Tehrani (2019), An abstraction-refinement approach to formal verification of tree
        ensembles (interval abstraction).
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

import numpy as np

from tradeworthy.core.kernel import kernel, leaf
from tradeworthy.judge.robust.levers import Floats, Levers
from tradeworthy.judge.robust.reachable import Reach, Roots, Turns, index_turns, reach_row, room_for
from tradeworthy.model.predictors.tree_table import Link, TreeTable, score_of, soften
from tradeworthy.model.predictors.trees import Trees

_UNIT_ROUNDING = 2.220446049250313e-16
_SHARE_SLACK = 1e-12  # far above what the exponentials and their sum may round
_SOFTMAX = int(Link.SOFTMAX)


@leaf
def sum_slack(trees: int, size: float) -> float:
    """Return more than a sum of leaves may round, whose absolute values add up to `size`."""
    return 4.0 * (trees + 8) * _UNIT_ROUNDING * size


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
def bound_row(table: TreeTable, turns: Turns, reach: Reach, margins: Floats) -> tuple[float, float]:
    """Return the lowest and highest score of what is left around a row; `margins` (3, k) is scratch."""
    least, most, size = margins[0], margins[1], margins[2]
    for output in range(table.bases.shape[0]):
        least[output] = most[output] = table.bases[output]
        size[output] = abs(table.bases[output])
    for tree in range(reach.root.shape[0]):
        output, root = turns.output[tree], reach.nodes[reach.root[tree]]
        least[output] += root.least
        most[output] += root.most
        size[output] += max(abs(root.least), abs(root.most))
    for output in range(table.bases.shape[0]):
        slack = sum_slack(reach.root.shape[0], size[output])
        least[output] -= slack
        most[output] += slack
    return score_bounds(table, least, most)


@kernel
def bound_rows(
    table: TreeTable, roots: Roots, turns: Turns, levers: Levers, reach: Reach, rows: Floats, low: Floats, high: Floats
) -> None:
    """Write the lowest and highest score that the levers can give each of (m, n) rows into `low` and `high` (m,)."""
    margins = np.empty((3, table.bases.shape[0]))
    for number in range(rows.shape[0]):
        reach_row(table, roots, turns, levers, rows[number], reach)
        low[number], high[number] = bound_row(table, turns, reach, margins)


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
    turns, reach = index_turns(trees, levers), room_for(trees, levers)
    bound_rows(trees.table, trees.roots, turns, levers, reach, rows, low, high)
    return low, high
