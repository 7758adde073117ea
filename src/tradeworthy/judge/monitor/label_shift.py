"""The class mix behind unlabelled scores: BBSE and MLLS, with calibrated scores and intervals.

Idea:   if only the mix of classes changed (label shift), then scores of each class look as before. BBSE inverts the
        matrix of how often a class is predicted as which; MLLS finds the mix under which the scores are likeliest.
        Where the two disagree, more than the mix has changed; so too where the mean of the scores lies outside the
        means of both classes, between which every mix brings it.
Intervals: a bootstrap of blocks, of the labelled reference and of the new scores alike, as long as scores persist or
        labels overlap.
Undefined: a class that the reference does not show, or predictions that tell nothing of the class: NaN.
Reference: Lipton, Wang and Smola (2018), BBSE; Saerens, Latinne and Decaestecker (2002), the EM of MLLS; Alexandari,
        Kundaje and Shrikumar (2020), why scores are calibrated first; Platt (1999), the calibration.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf
from tradeworthy.judge.resampling import block_length

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

EDGE = 1e-6
DRAWS = 200
LEVEL = 0.95


class Platt(NamedTuple):
    """A calibration of binary scores: probability = logistic(slope * logit(score) + shift)."""

    slope: float
    shift: float

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Return calibrated probabilities."""
        p = np.array(scores, np.float64)
        calibrate(p.ravel(), self.slope, self.shift)
        return p


@leaf
def calibrate(p: Floats, slope: float, shift: float) -> None:
    """Replace (n,) scores by logistic(slope * logit(score) + shift), in place."""
    for i in range(len(p)):
        bounded = min(max(p[i], EDGE), 1.0 - EDGE)
        p[i] = 1.0 / (1.0 + np.exp(-(slope * np.log(bounded / (1.0 - bounded)) + shift)))


class Mix(NamedTuple):
    """An estimated class mix, (k,) shares, with the (k,) ends of its interval."""

    shares: Floats
    low: Floats
    high: Floats


class Unmixed(NamedTuple):
    """A mean of scores that no mix of the classes makes, and the means between which all mixes lie."""

    mean: float
    least: float
    most: float


def fit_platt(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: Floats | None = None) -> Platt:
    """Fit a calibration to (n,) scores and labels of 0 and 1, by damped Newton steps on the smoothed likelihood.

    Where (n,) weights are given, of mean 1, a case counts as often as they say.
    """
    x, y = log_odds(np.asarray(scores, np.float64)), np.asarray(labels, np.float64) > 0.5
    w = np.ones(len(y)) if weights is None else weights
    n_yes, n = float(w[y].sum()), len(y)
    target = np.where(y, (n_yes + 1.0) / (n_yes + 2.0), 1.0 / (n - n_yes + 2.0))
    scale = max(float(x.std()), EDGE)
    design, beta = np.column_stack([x / scale, np.ones(n)]), np.zeros(2)
    for _ in range(50):
        p = _logistic(design @ beta)
        hessian = design.T @ (design * (w * p * (1.0 - p))[:, None]) + 1e-9 * n * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (w * (target - p)))
        while (
            _loss(design @ (beta + step), target, w) > _loss(design @ beta, target, w) + 1e-12
            and np.abs(step).max() > 1e-12
        ):
            step = step / 2.0
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return Platt(float(beta[0]) / scale, float(beta[1]))


def bbse(predicted: Longs, labels: Longs, now: Longs, k: int) -> Floats:
    """Return the (k,) class mix behind `now`, predictions without labels.

    Parameters
    ----------
    predicted, labels : (n,) int
        Predictions and classes of the reference, 0 to k - 1.
    now : (m,) int
        Predictions whose classes are unknown.
    k : int
        Classes.
    """
    joint = np.bincount(predicted * k + labels, minlength=k * k).reshape(k, k).astype(np.float64)
    seen = joint.sum(axis=0)
    if (seen == 0.0).any() or len(now) == 0:
        return np.full(k, np.nan)
    rates = joint / seen
    if np.linalg.cond(rates) > 1e6:
        return np.full(k, np.nan)
    shares = np.linalg.solve(rates, np.bincount(now, minlength=k) / len(now))
    shares = np.clip(shares, 0.0, None)
    mix: Floats = shares / shares.sum()
    return mix


class LabelShift:
    """Estimates the share of class 1 behind binary scores, by both ways.

    Parameters
    ----------
    scores, labels : (n,) array
        The labelled reference: out-of-fold scores, labels of 0 and 1, in time order.
    cut : float
        Scores above predict class 1.
    block : int
        Events of a bootstrap block, at least: the horizon of overlapping labels. Scores that persist need longer ones.
    rng : numpy.random.Generator
        Draws the bootstrap of the reference, once.
    """

    def __init__(
        self,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        rng: np.random.Generator,
        cut: float = 0.5,
        block: int = 1,
        draws: int = DRAWS,
    ) -> None:
        self._scores, self._labels = np.asarray(scores, np.float64), (np.asarray(labels) > 0.5).astype(np.int64)
        self._cut, self._block = cut, max(block, round(block_length(self._scores, "circular")))
        self.calibration = fit_platt(self._scores, self._labels)
        self.prior = float(self._labels.mean())
        self._redrawn = [_places(len(self._labels), self._block, rng) for _ in range(draws)]
        self._platts = [fit_platt(self._scores[at], self._labels[at]) for at in self._redrawn]
        self._means = np.array([_class_means(self._scores[at], self._labels[at] == 1) for at in self._redrawn])
        self._seeds = rng.integers(0, 2**63, draws)

    def by_confusion(self, scores: npt.ArrayLike) -> Mix:
        """Return the mix by BBSE."""
        now = (np.asarray(scores) > self._cut).astype(np.int64)
        predicted = (self._scores > self._cut).astype(np.int64)
        drawn = [
            bbse(predicted[at], self._labels[at], now[_seeded(len(now), self._block, seed)], 2)
            for at, seed in zip(self._redrawn, self._seeds, strict=True)
        ]
        return _mix(bbse(predicted, self._labels, now, 2), drawn)

    def by_likelihood(self, scores: npt.ArrayLike) -> Mix:
        """Return the mix by MLLS."""
        now = np.asarray(scores, np.float64)
        drawn = [
            self._likeliest(now[_seeded(len(now), self._block, seed)], platt, float(self._labels[at].mean()))
            for at, platt, seed in zip(self._redrawn, self._platts, self._seeds, strict=True)
        ]
        return _mix(self._likeliest(now, self.calibration, self.prior), drawn)

    def unmixed(self, scores: npt.ArrayLike) -> Unmixed | None:
        """Say that no mix of the classes makes such scores; nothing where one may, or where a class is not known."""
        now, yes = np.asarray(scores, np.float64), self._labels == 1
        if len(now) == 0 or yes.all() or not yes.any():
            return None
        means = np.array([now[_seeded(len(now), self._block, seed)].mean() for seed in self._seeds])
        beyond = np.column_stack([self._means.min(axis=1) - means, means - self._means.max(axis=1)])
        if (np.nanquantile(beyond, (1.0 - LEVEL) / 2.0, axis=0) <= 0.0).all():
            return None
        least, most = sorted(_class_means(self._scores, yes))
        return Unmixed(float(now.mean()), least, most)

    def _likeliest(self, scores: Floats, platt: Platt, prior: float) -> Floats:
        """Return the likeliest binary mix: the root of the slope of a concave likelihood, by halving."""
        if len(scores) == 0 or not 0.0 < prior < 1.0:
            return np.full(2, np.nan)
        p = platt(scores)
        gain = p / prior - (1.0 - p) / (1.0 - prior)
        base = (1.0 - p) / (1.0 - prior)
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = 0.5 * (low + high)
            rising = float(np.sum(gain / (base + middle * gain))) > 0.0
            low, high = (middle, high) if rising else (low, middle)
        share = 0.5 * (low + high)
        return np.array([1.0 - share, share])


def _mix(estimate: Floats, drawn: list[Floats]) -> Mix:
    """Return an estimate with its percentile interval; NaN where nothing could be drawn."""
    kept = np.array([each for each in drawn if np.isfinite(each).all()])
    if len(kept) < 0.9 * len(drawn) or not len(kept):
        return Mix(estimate, np.full(len(estimate), np.nan), np.full(len(estimate), np.nan))
    low, high = np.quantile(kept, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=0)
    return Mix(estimate, low, high)


def _class_means(scores: Floats, yes: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the mean scores of both classes; NaN where one is not there."""
    if yes.all() or not yes.any():
        return np.nan, np.nan
    return float(scores[~yes].mean()), float(scores[yes].mean())


def _places(n: int, block: int, rng: np.random.Generator) -> Longs:
    """Return (n,) places of a circular block bootstrap; four blocks at least, so that something is drawn."""
    block = max(1, min(block, n // 4))
    starts = rng.integers(0, n, -(-n // block))
    places: Longs = ((starts[:, None] + np.arange(block)) % n).ravel()[:n]
    return places


def _seeded(n: int, block: int, seed: int) -> Longs:
    """Return places that depend on the seed alone, so that an estimate is the same after a restart."""
    return _places(n, block, np.random.default_rng(int(seed))) if n else np.empty(0, np.int64)


def log_odds(p: Floats) -> Floats:
    """Return the logarithms of odds of probabilities, none infinite."""
    bounded = np.clip(p, EDGE, 1.0 - EDGE)
    odds: Floats = np.log(bounded / (1.0 - bounded))
    return odds


def _loss(logits: Floats, target: Floats, weights: Floats) -> float:
    """Return the weighted mean negative log likelihood of logits against shares."""
    return float(np.mean(weights * (np.logaddexp(0.0, logits) - target * logits)))


def _logistic(x: Floats) -> Floats:
    squashed: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0)))
    return squashed
