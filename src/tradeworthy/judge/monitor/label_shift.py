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
STEPS_MAX, STEP_MIN = 60, 1e-12
"""A mix is found once a step moves it less; halving alone would take forty."""

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


def confusion(predicted: Longs, labels: Longs, k: int) -> Floats:
    """Return how often, (k, k), each class is predicted (rows) of each class (columns), 0 to k - 1."""
    return np.bincount(predicted * k + labels, minlength=k * k).reshape(k, k).astype(np.float64)


def bbse(joint: Floats, now: Floats) -> Floats:
    """Return the (k,) class mix behind predictions whose classes are unknown.

    Parameters
    ----------
    joint : (k, k) float64
        The `confusion` of the reference.
    now : (k,) float64
        How often each class is predicted now.
    """
    seen = joint.sum(axis=0)
    if (seen == 0.0).any() or now.sum() == 0.0:
        return np.full(len(now), np.nan)
    rates = joint / seen
    if np.linalg.cond(rates) > 1e6:
        return np.full(len(now), np.nan)
    shares = np.clip(np.linalg.solve(rates, now / now.sum()), 0.0, None)
    mix: Floats = shares / shares.sum()
    return mix


@leaf
def likeliest(gain: Floats, base: Floats) -> float:
    """Return where sum of log(base + share * gain) is highest between 0 and 1: Newton steps that a bracket holds.

    Parameters
    ----------
    gain, base : (n,) float64
        What is likelier of a score in class 1 than in class 0, and its likelihood in class 0.
    """
    low, high, share = 0.0, 1.0, 0.5
    for _ in range(STEPS_MAX):
        slope, bend = 0.0, 0.0
        for i in range(len(gain)):
            part = gain[i] / (base[i] + share * gain[i])
            slope += part
            bend += part * part
        low, high = (share, high) if slope > 0.0 else (low, share)
        wished = share + slope / bend if bend > 0.0 else low
        moved = wished if low < wished < high else 0.5 * (low + high)
        if abs(moved - share) < STEP_MIN:
            return moved
        share = moved
    return share


@leaf
def redrawn_shares(odds: Floats, places: Longs, fits: Floats, room: Floats, shares: Floats) -> None:
    """Write the likeliest share of class 1 among each of (d, n) redrawn scores, given as logarithms of odds.

    Parameters
    ----------
    odds : (m,) float64
        Of all scores.
    places : (d, n) int64
        Which are drawn.
    fits : (d, 3) float64
        Of each draw of the reference the slope and shift of its calibration, and its share of class 1; NaN is written
        where it shows one class alone.
    room : (2, n) float64
        To work in.
    shares : (d,) float64
        Written.
    """
    gain, base = room[0], room[1]
    for d in range(len(places)):
        slope, shift, prior = fits[d]
        for i in range(places.shape[1]):
            p = 1.0 / (1.0 + np.exp(-(slope * odds[places[d, i]] + shift)))
            base[i] = (1.0 - p) / (1.0 - prior)
            gain[i] = p / prior - base[i]
        shares[d] = likeliest(gain, base) if 0.0 < prior < 1.0 and len(gain) > 0 else np.nan


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
        predicted, redrawn = (
            self._predict(self._scores),
            [_places(len(self._labels), self._block, rng) for _ in range(draws)],
        )
        self._confusion = confusion(predicted, self._labels, 2)
        self._confusions = [confusion(predicted[at], self._labels[at], 2) for at in redrawn]
        self._fits = np.array(
            [[*fit_platt(self._scores[at], self._labels[at]), self._labels[at].mean()] for at in redrawn]
        )
        self._means = np.array([_class_means(self._scores[at], self._labels[at] == 1) for at in redrawn])
        self._seeds = rng.integers(0, 2**63, draws)
        self._drawn = np.empty((draws, 0), np.int64)

    def by_confusion(self, scores: npt.ArrayLike) -> Mix:
        """Return the mix by BBSE."""
        now = self._predict(np.asarray(scores, np.float64))
        yes, n = now[self._places(len(now))].sum(axis=1).astype(np.float64), float(len(now))
        drawn = [bbse(joint, np.array([n - y, y])) for joint, y in zip(self._confusions, yes, strict=True)]
        return _mix(bbse(self._confusion, np.array([n - now.sum(), now.sum()])), drawn)

    def by_likelihood(self, scores: npt.ArrayLike) -> Mix:
        """Return the mix by MLLS."""
        odds = log_odds(np.asarray(scores, np.float64))
        shares, whole, room = np.empty(len(self._seeds)), np.empty(1), np.empty((2, len(odds)))
        redrawn_shares(odds, self._places(len(odds)), self._fits, room, shares)
        redrawn_shares(odds, np.arange(len(odds))[None], np.array([[*self.calibration, self.prior]]), room, whole)
        return _mix(np.array([1.0 - whole[0], whole[0]]), [np.array([1.0 - share, share]) for share in shares])

    def unmixed(self, scores: npt.ArrayLike) -> Unmixed | None:
        """Say that no mix of the classes makes such scores; nothing where one may, or where a class is not known."""
        now, yes = np.asarray(scores, np.float64), self._labels == 1
        if len(now) == 0 or yes.all() or not yes.any():
            return None
        means = now[self._places(len(now))].mean(axis=1)
        beyond = np.column_stack([self._means.min(axis=1) - means, means - self._means.max(axis=1)])
        if (np.nanquantile(beyond, (1.0 - LEVEL) / 2.0, axis=0) <= 0.0).all():
            return None
        least, most = sorted(_class_means(self._scores, yes))
        return Unmixed(float(now.mean()), least, most)

    def _predict(self, scores: Floats) -> Longs:
        return (scores > self._cut).astype(np.int64)

    def _places(self, n: int) -> Longs:
        """Return (draws, n) places that depend on the seeds alone, so that an estimate is the same after a restart."""
        if self._drawn.shape[1] != n:
            drawn = [_places(n, self._block, np.random.default_rng(int(seed))) for seed in self._seeds]
            self._drawn = np.array(drawn)
        return self._drawn


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


def log_odds(p: Floats) -> Floats:
    """Return the logarithms of odds of probabilities, none infinite."""
    bounded = np.minimum(np.maximum(p, EDGE), 1.0 - EDGE)
    odds: Floats = np.log(bounded / (1.0 - bounded))
    return odds


def _loss(logits: Floats, target: Floats, weights: Floats) -> float:
    """Return the weighted mean negative log likelihood of logits against shares."""
    return float(np.mean(weights * (np.logaddexp(0.0, logits) - target * logits)))


def _logistic(x: Floats) -> Floats:
    squashed: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0)))
    return squashed
