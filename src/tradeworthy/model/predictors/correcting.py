"""The same predictor with other odds: how a prior correction becomes part of a model.

Idea:   trees add log-odds up and squash the sum, so a correction is a higher or lower start of that sum; it costs
        nothing and the kernels know nothing of it. Any other model gets four operators behind its output. Either way
        the result is a predictor like any other.
"""

import math

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.prior import PriorCorrection


def corrected(predictor: Predictor, prior: PriorCorrection) -> Predictor:
    """Return a predictor whose scores are right for another share of class 1.

    Raises
    ------
    ModelMismatch
        Its score is not the probability of one class of two, or does not come from log-odds.
    """
    if predictor.n_outputs != 1:
        raise ModelMismatch(f"the model has {predictor.n_outputs} scores; one, of two classes, can be corrected")
    if isinstance(predictor, Trees):
        return predictor.shifted(margin_shift(predictor, prior))
    if isinstance(predictor, Onnx):
        from tradeworthy.model.predictors.readers.onnx_odds import times_odds  # noqa: PLC0415 - needs onnx

        return Onnx(times_odds(predictor.data, math.exp(prior.log_odds)))
    raise ModelMismatch(f"a {type(predictor).__name__} cannot be corrected; allowed are trees and ONNX")


def margin_shift(trees: Trees, prior: PriorCorrection) -> float:
    """Return what a correction adds to the sum of the leaves, on their own scale.

    Raises
    ------
    ModelMismatch
        The trees' scores do not come from log-odds.
    """
    if trees.table.link != Link.SIGMOID:
        raise ModelMismatch(
            f"the trees' link is {Link(trees.table.link).name.lower()}, so they add up no log-odds that could be "
            "shifted; train boosted trees with a log loss, or a model that is served as ONNX"
        )
    return prior.log_odds / trees.table.scale
