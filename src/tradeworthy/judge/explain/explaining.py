"""From a version to an explanation of one of its scores: the right method for the predictor."""

from collections.abc import Sequence

import numpy as np

from tradeworthy.judge.explain.attribution import Explainer, Explanation, Floats
from tradeworthy.judge.explain.permutation import PermutationShapley
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.base import Predictor, as_row
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile

REFERENCES = 32


def make_explainer(predictor: Predictor, profile: Profile, *, seed: int = 0) -> Explainer:
    """Return the explainer for a predictor: exact for trees, permutation walks for the rest.

    Make it once for many rows: what does not depend on a row is prepared here.

    Parameters
    ----------
    predictor : Predictor
        What is explained.
    profile : Profile
        Gives the reference rows of permutation walks: 32, spread evenly over the sample.
    seed : int
        Of permutation walks.
    """
    if isinstance(predictor, Trees):
        return TreeShap(predictor)
    places = np.linspace(0, len(profile.sample) - 1, min(REFERENCES, len(profile.sample))).astype(np.int64)
    return PermutationShapley(predictor, profile.sample[places], seed=seed)


def explain_row(
    predictor: Predictor, row: Floats, names: Sequence[str], profile: Profile, *, explainer: Explainer | None = None
) -> Explanation:
    """Explain the score of one (n,) row.

    Parameters
    ----------
    predictor : Predictor
        The version's.
    row : (n,) float64
        What it saw.
    names : sequence of str
        The features' names, in order.
    profile : Profile
        The version's.
    explainer : Explainer, optional
        From `make_explainer`, where many rows are explained.
    """
    row = as_row(row, predictor.n_features)
    found = (explainer or make_explainer(predictor, profile)).explain(row[None, :])
    return Explanation(
        method=found.method,
        baseline=found.baseline,
        margin=float(found.explained[0]),
        score=float(found.scores[0]),
        names=tuple(names),
        values=tuple(row.tolist()),
        contributions=tuple(found.contributions[0].tolist()),
        errors=tuple(found.errors[0].tolist()),
    )
