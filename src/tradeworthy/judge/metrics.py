"""How right scores were: classification and ranking metrics.

Idea:      plain functions of (n,) arrays; `classification` gathers all of them from one pass over the data.
Undefined: NaN, where a metric needs a class or a prediction that is absent.
Units:     all are shares from 0 to 1, but log loss is in nats.
Reference: names and values as in scikit-learn (tests/peers compares them); AUC with ties as Hanley and McNeil (1982).
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SCORE_EDGE = float(np.finfo(np.float64).eps)
"""Probabilities are moved this far away from 0 and 1 before a logarithm is taken."""


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of predicted against true classes."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def n(self) -> int:
        """How many were counted."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def accuracy(self) -> float:
        """Share of predictions that were right."""
        return _share(self.true_positive + self.true_negative, self.n)

    @property
    def precision(self) -> float:
        """Share of predicted positives that were positive."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of positives that were predicted."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Share of negatives that were predicted."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of recall and specificity."""
        return (self.recall + self.specificity) / 2.0


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """Every classification metric of one set of scores; NaN is undefined."""

    n: int
    positives: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    balanced_accuracy: float
    auc: float
    brier: float
    log_loss: float


def _share(part: int, whole: int) -> float:
    """Return part / whole, or NaN of nothing."""
    return part / whole if whole else math.nan


def labelled(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Array]:
    """Return the scores and labels of the pairs in which both are known, as float64.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    s, y = np.asarray(scores, np.float64).ravel(), np.asarray(labels, np.float64).ravel()
    if len(s) != len(y):
        raise ValueError(f"{len(s)} scores but {len(y)} labels; give one label a score")
    known = np.isfinite(s) & np.isfinite(y)
    return s[known], y[known]


def confusion(scores: npt.ArrayLike, labels: npt.ArrayLike, cut: float = 0.5) -> Confusion:
    """Count predictions (score > cut) against labels (label > 0.5).

    Parameters
    ----------
    scores, labels : (n,) array
        Pairs with a NaN are left out.
    cut : float
        A score above it predicts the positive class.
    """
    s, y = labelled(scores, labels)
    said, is_so = s > cut, y > 0.5
    return Confusion(
        true_positive=int(np.sum(said & is_so)),
        false_positive=int(np.sum(said & ~is_so)),
        true_negative=int(np.sum(~said & ~is_so)),
        false_negative=int(np.sum(~said & is_so)),
    )


def midranks(values: Array) -> Array:
    """Return the (n,) ranks from 1 of the values; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Array = (last - (count - 1) / 2.0)[place]
    return ranks


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the chance that a positive scores above a negative; ties count half.

    Parameters
    ----------
    scores, labels : (n,) array
        Pairs with a NaN are left out.

    Returns
    -------
    float
        NaN if a class is absent.
    """
    s, y = labelled(scores, labels)
    positive = y > 0.5
    n_positive = int(positive.sum())
    n_negative = len(y) - n_positive
    if n_positive == 0 or n_negative == 0:
        return math.nan
    rank_sum = float(midranks(s)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def brier(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the mean squared distance of probabilities from 0/1 labels."""
    s, y = labelled(scores, labels)
    return float(np.mean((s - (y > 0.5)) ** 2)) if len(s) else math.nan


def log_losses(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Array:
    """Return the (n,) negative log-likelihoods of 0/1 labels under the probabilities, in nats."""
    s, y = labelled(scores, labels)
    p = np.clip(s, SCORE_EDGE, 1.0 - SCORE_EDGE)
    losses: Array = -np.where(y > 0.5, np.log(p), np.log1p(-p))
    return losses


def log_loss(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the mean negative log-likelihood of 0/1 labels under the probabilities, in nats."""
    losses = log_losses(scores, labels)
    return float(losses.mean()) if len(losses) else math.nan


def hit_rate(scores: npt.ArrayLike, values: npt.ArrayLike, cut: float = 0.5) -> float:
    """Return the share of moves (value not 0) whose direction the score called.

    Parameters
    ----------
    scores : (n,) array
        Above `cut` calls a rise, below or equal a fall.
    values : (n,) array
        What the market then did, for example forward log returns.
    """
    s, v = labelled(scores, values)
    moved = v != 0.0
    return float(np.mean((s > cut)[moved] == (v > 0.0)[moved])) if moved.any() else math.nan


def classification(scores: npt.ArrayLike, labels: npt.ArrayLike, cut: float = 0.5) -> Classification:
    """Return every classification metric.

    Parameters
    ----------
    scores : (n,) array
        Probabilities of the positive class.
    labels : (n,) array
        1 positive, 0 negative, NaN not known (left out).
    cut : float
        A score above it predicts the positive class.
    """
    s, y = labelled(scores, labels)
    counts = confusion(s, y, cut)
    return Classification(
        n=counts.n,
        positives=counts.true_positive + counts.false_negative,
        accuracy=counts.accuracy,
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        balanced_accuracy=counts.balanced_accuracy,
        auc=auc(s, y),
        brier=brier(s, y),
        log_loss=log_loss(s, y),
    )
