"""What an explanation is: how much each feature moved one score away from a baseline.

Idea:   contributions add up: baseline + sum of contributions = what is explained (the margin of trees, the score of
        other models). The method and the baseline are named with every explanation, because different baselines answer
        different questions.
Units:  margin units: log-odds for a binary classifier, the label's own unit for a regression.
"""

from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attributions:
    """Contributions for many rows.

    Attributes
    ----------
    method : str
        How they were found, and against which baseline.
    baseline : float
        The value with no feature known.
    explained : (m,) float64
        What the contributions add up to, less the baseline: margins, or scores.
    scores : (m,) float64
        The predictor's scores.
    contributions : (m, n) float64
        Of each feature.
    errors : (m, n) float64
        Standard error of each contribution; zero where the method is exact.
    """

    method: str
    baseline: float
    explained: Floats
    scores: Floats
    contributions: Floats
    errors: Floats


class Explainer(Protocol):
    """Attributes scores to features."""

    def explain(self, rows: Floats) -> Attributions:
        """Return the contributions for (m, n) rows."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why one score is what it is.

    Attributes
    ----------
    method : str
        How it was found, and against which baseline.
    baseline, margin, score : float
        ``baseline + prior + sum(contributions)`` is `margin`, from which the score follows; for models without a
        margin, margin and score are the same.
    prior : float
        What a prior correction adds to every score of the version; 0 without one.
    names, values, contributions, errors : tuple
        One entry a feature: its name, its value in the row, its contribution, and that one's standard error.
    """

    method: str
    baseline: float
    margin: float
    score: float
    names: tuple[str, ...]
    values: tuple[float, ...]
    contributions: tuple[float, ...]
    errors: tuple[float, ...]
    prior: float = 0.0

    @property
    def sum_error(self) -> float:
        """Return how far the contributions are from adding up to the margin."""
        return abs(self.baseline + self.prior + float(np.sum(self.contributions)) - self.margin)

    def by_size(self) -> tuple[int, ...]:
        """Return the features' places, the largest contribution first."""
        return tuple(int(place) for place in np.argsort(-np.abs(self.contributions), kind="stable"))
