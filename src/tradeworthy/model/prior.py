"""A prior correction: the scores of a model that learned under one mix of classes, made right for another.

Idea:   if only the mix of classes has changed, the odds of every score change by one and the same factor. So the
        correction is one number on the scale of log-odds; it moves every score the same way and orders none anew.
Where:  it is part of the predictor's own files (`predictors.correcting`): the live path, the tape and replay know
        nothing of it. The manifest says what was done, for people, the gate and explanations.
Reference: Saerens, Latinne and Decaestecker (2002), Adjusting the outputs of a classifier to new a priori
        probabilities.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class PriorCorrection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which share of class 1 to which other scores were moved.

    Attributes
    ----------
    learned : float
        The share among the labels that the model was taught, between 0 and 1.
    share : float
        The share that scores are right for now.

    >>> prior = PriorCorrection(learned=0.5, share=0.75)
    >>> [round(score, 3) for score in prior.applied(np.array([0.2, 0.5, 0.9])).tolist()]
    [0.429, 0.75, 0.964]
    """

    learned: float
    share: float

    def __post_init__(self) -> None:
        """Refuse shares of which one class is all there is."""
        for name, value in (("learned", self.learned), ("share", self.share)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"a prior correction's {name} is {value}, allowed is a share between 0 and 1")

    @property
    def log_odds(self) -> float:
        """What is added to the log-odds of every score."""
        return _logit(self.share) - _logit(self.learned)

    def applied(self, scores: Floats) -> Floats:
        """Return probabilities under the new share, of (n,) right under the learned one."""
        return _times_odds(scores, math.exp(self.log_odds))

    def undone(self, scores: Floats) -> Floats:
        """Return what `applied` was given, up to rounding."""
        return _times_odds(scores, math.exp(-self.log_odds))


def _times_odds(scores: Floats, factor: float) -> Floats:
    """Return probabilities whose odds are `factor` times those of scores; 0 and 1 stay."""
    up: Floats = factor * scores
    return up / (up + (1.0 - scores))


def _logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)
