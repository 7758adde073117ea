"""Which part of the past a training learns from, and how it is weighted: chosen by what each choice foresaw.

Idea:   all of history, its latest half or quarter, what came after the estimated change, each plain or weighted towards
        what is usual now, walk forward side by side. In each fold those scores count that come from the choice that was
        best in the folds before it: out-of-fold scores stay honest although a choice was made. The final fit takes the
        choice that was best in all of them.
Weights: importance weights, by the rows of a fold's own past only: the latest `RECENT` of them stand for now. They are
        put into force by repeating rows, so that every train function can be weighted.
Undefined: a choice that leaves too few rows, or labels that are all alike, has no loss in that fold and is not taken.
Units:  losses are log losses in nats, or squared errors of a forward return, a row.
Reference: Shimodaira (2000), Improving predictive inference under covariate shift; Kish (1965) for the effective size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tradeworthy.change.train.dataset import Dataset, Floats, Places
from tradeworthy.change.train.folds import Fold
from tradeworthy.core.time import iso
from tradeworthy.judge.metrics import log_losses

Window = Literal["full", "validated"]
Weights = Literal["none", "covariate", "label"]
Model = Callable[[Floats], Floats]
"""Scores of rows."""

FitModel = Callable[[Places], Model]
"""Fits on the rows at some places; a place that stands there twice counts twice."""

ROWS_MIN = 100
"""A choice with fewer rows is not tried."""
RECENT = 0.1
"""The latest part of a fold's past that stands for what is usual now."""
WEIGHT_MAX = 10.0
"""No row counts more than so many: a few rows that look like now must not be all that is learned from."""
SHARES = {"latest half": 0.5, "latest quarter": 0.25}
_RIDGE, _STEPS = 1.0, 20


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to take the past: its latest share, or what came after a moment, and how rows are weighted."""

    name: str
    share: float = 1.0
    since_ns: int | None = None
    weights: Weights = "none"

    def taken(self, places: Places, times: npt.NDArray[np.int64]) -> Places:
        """Return the rows that it learns from, of those at `places`; `times` (n,) are of all rows, ascending."""
        if self.since_ns is not None:
            return places[times[places] >= self.since_ns]
        return places[len(places) - math.ceil(self.share * len(places)) :]


@dataclass(frozen=True, slots=True)
class Tried:
    """How one choice fared.

    Attributes
    ----------
    losses : (folds,) float64
        Its mean loss in each fold; NaN where it could not be tried.
    rows, effective_rows : float
        That its final fit would learn from, and what they are worth after weighting.
    """

    choice: Choice
    losses: Floats
    rows: int
    effective_rows: float


@dataclass(frozen=True, slots=True)
class Walked:
    """A walk-forward of several choices.

    Attributes
    ----------
    scores : (m,) float64
        Out of fold, in each fold by the choice that was best before it.
    best : Choice
        Over all folds.
    tried : list of Tried
    """

    scores: Floats
    best: Choice
    tried: list[Tried]


def choices_of(window: Window, weights: Weights, changed_ns: int | None) -> list[Choice]:
    """Return what is to be tried: all of history alone, unless a choice is asked for."""
    windows = [Choice("full")]
    if window == "validated":
        windows += [Choice(name, share) for name, share in SHARES.items()]
        windows += [] if changed_ns is None else [Choice(f"since {iso(changed_ns)[:16]}", since_ns=changed_ns)]
    weighted = [Choice(f"{each.name}, {weights} weights", each.share, each.since_ns, weights) for each in windows]
    return windows if weights == "none" else [*windows, *weighted]


def walk_choices(
    fit: FitModel, dataset: Dataset, folds: Sequence[Fold], choices: Sequence[Choice], tell: Callable[[int], None]
) -> Walked:
    """Fit every choice on each fold's past, score its future, and let those scores count that were to be trusted.

    Parameters
    ----------
    fit : callable
        Fits a model on rows, by their places.
    dataset : Dataset
    folds : sequence of Fold
        In the order of time.
    choices : sequence of Choice
        The first is taken until another has shown that it is better.
    tell : callable
        Told the number of each fold that begins.
    """
    losses, scores = np.full((len(choices), len(folds)), np.nan), []
    binary = bool(np.isin(dataset.labels, (0.0, 1.0)).all())
    for at, fold in enumerate(folds):
        tell(at)
        best, made = _best(losses[:, :at]), {}
        for number, choice in enumerate(choices):
            places, _ = learned(choice, dataset, fold.train)
            if number and (len(places) < ROWS_MIN or np.ptp(dataset.labels[places]) == 0.0):
                continue
            made[number] = fit(places)(dataset.rows[fold.test])
            losses[number, at] = _loss(made[number], dataset.labels[fold.test], binary=binary)
        scores.append(made.get(best, made[0]))
    tried = []
    for choice, own in zip(choices, losses, strict=True):
        places, worth = learned(choice, dataset, every_row(dataset))
        tried.append(Tried(choice, own, len(places), worth))
    return Walked(np.concatenate(scores), choices[_best(losses)], tried)


def every_row(dataset: Dataset) -> Places:
    """Return the places of all rows."""
    return np.arange(len(dataset), dtype=np.int64)


def effective_size(weights: Floats) -> float:
    """Return what (n,) weighted rows are worth, in rows of equal weight (Kish).

    >>> effective_size(np.ones(8)), effective_size(np.array([1.0, 0.0]))
    (8.0, 1.0)
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())


def repeated(weights: Floats) -> Places:
    """Return as many places as there are (n,) weights, each repeated as its weight says, in order and without a draw.

    >>> repeated(np.array([1.0, 3.0, 0.0, 0.0])).tolist()
    [0, 1, 1, 1]
    """
    n = len(weights)
    ends = np.cumsum(weights) / weights.sum()
    places: Places = np.minimum(np.searchsorted(ends, (np.arange(n) + 0.5) / n), n - 1)
    return places


def covariate_weights(rows: Floats, recent: Floats) -> Floats:
    """Return how much likelier each of (n, k) rows is among (m, k) recent ones: by a ridge logistic regression."""
    both = np.concatenate([rows, recent])
    spread = both.std(axis=0)
    scaled = (both - both.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    design = np.column_stack([np.ones(len(both)), scaled])
    is_recent = np.repeat([0.0, 1.0], [len(rows), len(recent)])
    penalty = np.diag([1e-9, *np.full(scaled.shape[1], _RIDGE)])
    slope = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ slope, -30.0, 30.0)))
        curve = design.T @ (design * (p * (1.0 - p))[:, None]) + penalty
        slope += np.linalg.solve(curve, design.T @ (is_recent - p) - penalty @ slope)
    odds = np.exp(np.clip(design[: len(rows)] @ slope, -30.0, 30.0))
    return _tamed(odds * len(rows) / len(recent))


def label_weights(labels: Floats, recent: Floats) -> Floats:
    """Return how much more frequent each of (n,) labels is among (m,) recent ones; 0 for a class not among them."""
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        own = labels == label
        weights[own] = np.mean(recent == label) / np.mean(own)
    return _tamed(weights)


def _tamed(weights: Floats) -> Floats:
    """Bound weights, and bring their mean to 1; all alike where none is left."""
    bounded = np.minimum(weights, WEIGHT_MAX * weights.mean())
    return bounded / bounded.mean() if bounded.mean() > 0.0 else np.ones(len(weights))


def learned(choice: Choice, dataset: Dataset, past: Places) -> tuple[Places, float]:
    """Return the places of a past that a choice learns from, repeated as they are weighted, and what they are worth."""
    taken = choice.taken(past, dataset.ts_event_ns)
    if choice.weights == "none" or len(taken) < ROWS_MIN:
        return taken, float(len(taken))
    recent = past[-max(1, int(RECENT * len(past))) :]
    of_rows = choice.weights == "covariate"
    values, weigh = (dataset.rows, covariate_weights) if of_rows else (dataset.labels, label_weights)
    weights = weigh(values[taken], values[recent])
    return taken[repeated(weights)], effective_size(weights)


def _best(losses: Floats) -> int:
    """Return the choice with the lowest mean loss over the folds that the first and it were both tried in.

    Every other choice is compared with the first on the same folds, so that an easy fold is nobody's merit.
    """
    gains = losses - losses[:1]
    known = np.isfinite(gains)
    means = np.where(known, gains, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return int(np.argmin(np.where(known.any(axis=1), means, np.inf)))


def _loss(scores: Floats, labels: Floats, *, binary: bool) -> float:
    return float((log_losses(scores, labels) if binary else np.square(scores - labels)).mean())
