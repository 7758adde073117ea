"""Between score and margin: what trees add up, and what a threshold on the score is on that scale.

Idea:   contributions add up on the margin (log-odds for a binary classifier), thresholds are set on the score. The link
        between them rises everywhere, so a threshold has one place on the margin's scale.
Bits:   the margin and score of a row are those of the predictor, whatever rows stand beside it.
"""

import math

import numpy as np

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.explain.attribution import Floats
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.tree_table import Link, TreeTable, output_margin, read_slots
from tradeworthy.model.predictors.trees import Trees


@kernel
def fill_margins(table: TreeTable, rows: Floats, margins: Floats) -> None:
    """Write the (m,) margins of the first output for (m, n) rows."""
    numbers = np.empty(table.slots.shape[0], np.float64)
    for place in range(rows.shape[0]):
        read_slots(table, rows[place], numbers)
        margins[place] = output_margin(table, 0, numbers)


def margins_and_scores(trees: Trees, rows: Floats) -> tuple[Floats, Floats]:
    """Return the (m,) margins and (m,) first scores of (m, n) rows."""
    margins = np.empty(len(rows))
    fill_margins(trees.table, rows, margins)
    return margins, np.ascontiguousarray(trees.many(rows)[:, 0])


def margin_of(predictor: Predictor, score: float) -> float:
    """Return where a score lies on the scale on which contributions add up; infinite where no margin reaches it.

    NaN for a share among several classes, whose place depends on the margins of the others.

    >>> from tradeworthy.testing.predictors import random_forest
    >>> trees = Trees.from_forest(random_forest(np.random.default_rng(0)))
    >>> margin_of(trees, 0.5)
    0.0
    """
    if not isinstance(predictor, Trees):
        return score
    link, scale = predictor.table.link, predictor.table.scale
    if link == Link.SOFTMAX:
        return math.nan
    if link == Link.SIGMOID:
        return _logit(score) / scale
    if link == Link.EXP:
        return math.log(score) if score > 0.0 else -math.inf
    if link == Link.SIGNED_SQUARE:
        return math.copysign(math.sqrt(abs(score)), score)
    return score


def _logit(score: float) -> float:
    """Return the log-odds of a probability."""
    if score <= 0.0 or score >= 1.0:
        return -math.inf if score <= 0.0 else math.inf
    return math.log(score) - math.log1p(-score)
