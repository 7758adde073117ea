"""From a version to an explanation of one of its scores: the right method for the predictor."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tradeworthy.judge.explain.attribution import Explainer, Explanation, Floats
from tradeworthy.judge.explain.interventional import InterventionalShap
from tradeworthy.judge.explain.permutation import PermutationShapley
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.base import Predictor, as_row
from tradeworthy.model.predictors.correcting import margin_shift
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.profile import LEVELS, Profile

REFERENCES = 32
WALKS = 16

Against = Literal["training", "background", "typical"]
"""What "no feature known" means: the mean over all training rows, over 32 rows of the profile, or one ordinary row."""


def make_explainer(
    predictor: Predictor, profile: Profile, *, against: Against = "training", seed: int = 0
) -> Explainer:
    """Return the explainer for a predictor: exact for trees, permutation walks with a stated error for the rest.

    Make it once for many rows: what does not depend on a row is prepared here.

    Parameters
    ----------
    predictor : Predictor
        What is explained.
    profile : Profile
        Gives the baseline rows.
    against : {'training', 'background', 'typical'}
        The baseline. ``training`` is path-dependent for trees (by training cover), which no other predictor has: there
        it is ``background``.
    seed : int
        Of permutation walks.
    """
    if against == "training" and isinstance(predictor, Trees):
        return TreeShap(predictor)
    rows = typical_row(profile)[None, :] if against == "typical" else background(profile)
    name = "the most ordinary row of training" if against == "typical" else f"mean over {len(rows)} rows of training"
    return explainer_against(predictor, rows, name=name, seed=seed)


def explainer_against(predictor: Predictor, rows: Floats, *, name: str, seed: int = 0) -> Explainer:
    """Return an explainer against (r, n) baseline rows that `name` describes.

    A single baseline row of a predictor that is not trees is walked from 16 times, back and forth.
    """
    if isinstance(predictor, Trees):
        return InterventionalShap(predictor, rows, name=name)
    walked = np.repeat(rows, WALKS, axis=0) if len(rows) == 1 else rows
    return PermutationShapley(predictor, walked, seed=seed, name=name)


def background(profile: Profile, count: int = REFERENCES) -> Floats:
    """Return (count, n) training rows, spread evenly over the profile's sample and so over the training span."""
    places = np.linspace(0, len(profile.sample) - 1, min(count, len(profile.sample))).astype(np.int64)
    return profile.sample[places]


def typical_row(profile: Profile) -> Floats:
    """Return the (n,) row of the profile's sample that lies nearest to the median of every feature.

    A row that was really seen: medians of single features together may be a state that the market never was in.
    Distances are in widths of each feature's middle 90%.
    """
    far = np.abs(profile.sample - np.median(profile.sample, axis=0)) / width_of(profile)
    row: Floats = profile.sample[int(np.argmin(far.sum(axis=1)))]
    return row


def width_of(profile: Profile) -> Floats:
    """Return the (n,) width of the middle 90% of training, by feature; its whole range where that is zero, else 1."""
    middle = profile.quantiles[LEVELS.searchsorted(0.95)] - profile.quantiles[LEVELS.searchsorted(0.05)]
    whole = profile.maximum - profile.minimum
    return np.where(middle > 0, middle, np.where(whole > 0, whole, 1.0))


def explain_row(
    predictor: Predictor,
    row: Floats,
    names: Sequence[str],
    profile: Profile,
    *,
    explainer: Explainer | None = None,
    prior: PriorCorrection | None = None,
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
    prior : PriorCorrection, optional
        The version's, told as a term of its own.
    """
    row = as_row(row, predictor.n_features)
    found = (explainer or make_explainer(predictor, profile)).explain(row[None, :])
    shift = prior_term(predictor, prior, found.baseline)
    return Explanation(
        method=found.method,
        baseline=found.baseline - shift,
        prior=shift,
        margin=float(found.explained[0]),
        score=float(found.scores[0]),
        names=tuple(names),
        values=tuple(row.tolist()),
        contributions=tuple(found.contributions[0].tolist()),
        errors=tuple(found.errors[0].tolist()),
    )


def prior_term(predictor: Predictor, prior: PriorCorrection | None, baseline: float) -> float:
    """Return what a prior correction does to every score, on the scale on which contributions add up.

    Of trees it is the same for every row; of other models, whose scores are explained, what it does to the baseline.
    """
    if prior is None:
        return 0.0
    if isinstance(predictor, Trees):
        return margin_shift(predictor, prior)
    return baseline - float(prior.undone(np.array([baseline]))[0])
