"""How sure a metric is: confidence intervals that stay honest when labels overlap.

Idea:      a label with a horizon of h events shares h - 1 of them with its neighbour, so rows are no independent
           draws; a moving block bootstrap redraws whole stretches of time, and the interval widens as it should.
Flow:      block length from the data (of the metric's influence values), at least twice the horizon; percentiles of
           the redrawn metric, mirrored around the estimate where it is skewed (bias-corrected percentiles).
Reference: Kuensch (1989); Politis and White (2004); Efron (1987) for the bias correction.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.metrics import auc, labelled
from tradeworthy.judge.resampling import block_length

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class _Ranking(NamedTuple):
    """Rows in the order of their scores: their places, which is the last of a tie, and (by place) which is positive."""

    order: Counts
    last_of_tie: npt.NDArray[np.bool_]
    positive: npt.NDArray[np.bool_]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with the interval that covers the truth in a share `level` of repetitions."""

    estimate: float
    low: float
    high: float
    level: float
    block: int
    draws: int


@kernel
def _draw_counts(counts: Counts, block: int, rng: np.random.Generator) -> None:
    """Write how often each of n places is in one circular block draw of n places."""
    n = counts.shape[0]
    counts[:] = 0
    left = n
    while left > 0:
        start = rng.integers(0, n)
        for step in range(min(block, left)):
            at = start + step
            counts[at - n if at >= n else at] += 1
        left -= block


@kernel
def _auc_of_counts(ranking: _Ranking, counts: Counts) -> float:
    """Return the AUC when the row at each place counts as often as `counts` says."""
    below = 0.0
    wins = 0.0
    tied_positive = 0.0
    tied_negative = 0.0
    positives = 0.0
    for i in range(len(ranking.order)):
        at = ranking.order[i]
        if ranking.positive[at]:
            tied_positive += counts[at]
        else:
            tied_negative += counts[at]
        if ranking.last_of_tie[i]:
            wins += tied_positive * (below + 0.5 * tied_negative)
            below += tied_negative
            positives += tied_positive
            tied_positive = 0.0
            tied_negative = 0.0
    return wins / (positives * below)


@kernel
def _auc_draws(ranking: _Ranking, block: int, rng: np.random.Generator, draws: Array) -> None:
    """Fill `draws` with the AUC of block-bootstrap draws."""
    counts = np.zeros(len(ranking.order), np.int64)
    for i in range(draws.shape[0]):
        _draw_counts(counts, block, rng)
        draws[i] = _auc_of_counts(ranking, counts)


@kernel
def _mean_draws(values: Array, block: int, rng: np.random.Generator, draws: Array) -> None:
    """Fill `draws` with the mean of block-bootstrap draws."""
    counts = np.zeros(values.shape[0], np.int64)
    for i in range(draws.shape[0]):
        _draw_counts(counts, block, rng)
        total = 0.0
        for at in range(values.shape[0]):
            total += counts[at] * values[at]
        draws[i] = total / values.shape[0]


def auc_influence(scores: Array, labels: Array) -> Array:
    """Return the (n,) first-order effect of each row on the AUC; they sum to about zero."""
    positive = labels > 0.5
    up, down = np.sort(scores[positive]), np.sort(scores[~positive])
    beats = (np.searchsorted(down, scores, "left") + np.searchsorted(down, scores, "right")) / (2.0 * len(down))
    beaten = 1.0 - (np.searchsorted(up, scores, "left") + np.searchsorted(up, scores, "right")) / (2.0 * len(up))
    whole = float(beats[positive].mean())
    share = len(up) / len(scores)
    result: Array = np.where(positive, (beats - whole) / share, (beaten - whole) / (1.0 - share))
    return result


def _limits(draws: Array, estimate: float, level: float) -> tuple[float, float]:
    """Return bias-corrected percentile limits."""
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return math.nan, math.nan
    below = (np.sum(draws < estimate) + 0.5 * np.sum(draws == estimate)) / len(draws)
    normal = NormalDist()
    shift = normal.inv_cdf(float(np.clip(below, 0.5 / len(draws), 1.0 - 0.5 / len(draws))))
    reach = normal.inv_cdf((1.0 + level) / 2.0)
    shares = [normal.cdf(2.0 * shift - reach), normal.cdf(2.0 * shift + reach)]
    low, high = np.quantile(draws, shares)
    return float(low), float(high)


def _block(influence: Array, horizon: int) -> int:
    """Return the block length for a metric with these influence values."""
    chosen = max(2 * horizon, math.ceil(block_length(influence, "circular")))
    return max(1, min(chosen, len(influence) // 4))


def auc_interval(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    horizon: int,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 1000,
) -> Interval:
    """Return the AUC with a confidence interval valid under overlapping labels.

    Parameters
    ----------
    scores, labels : (n,) array
        In time order; pairs with a NaN are left out.
    horizon : int
        Over how many rows a label looks ahead; 1 for labels that do not overlap.
    rng : numpy.random.Generator
        Where randomness comes from.
    level : float
        Share of repetitions in which the interval should cover the truth.
    draws : int
        Bootstrap draws.

    Returns
    -------
    Interval
        NaN throughout if a class is absent.
    """
    s, y = labelled(scores, labels)
    estimate = auc(s, y)
    if math.isnan(estimate):
        return Interval(estimate=math.nan, low=math.nan, high=math.nan, level=level, block=0, draws=0)
    block = _block(auc_influence(s, y), horizon)
    order = np.argsort(s, kind="stable")
    ranked = s[order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    redrawn = np.empty(draws)
    _auc_draws(_Ranking(order, last_of_tie, y > 0.5), block, rng, redrawn)
    low, high = _limits(redrawn, estimate, level)
    return Interval(estimate=estimate, low=low, high=high, level=level, block=block, draws=draws)


def mean_interval(
    values: npt.ArrayLike, *, horizon: int, rng: np.random.Generator, level: float = 0.95, draws: int = 1000
) -> Interval:
    """Return a mean (of losses, profits, errors) with an interval valid under overlapping labels.

    Parameters
    ----------
    values : (n,) array
        In time order, without NaN.
    horizon, rng, level, draws
        As in `auc_interval`.
    """
    v = np.asarray(values, np.float64)
    if len(v) == 0:
        return Interval(estimate=math.nan, low=math.nan, high=math.nan, level=level, block=0, draws=0)
    estimate, block = float(v.mean()), _block(v, horizon)
    redrawn = np.empty(draws)
    _mean_draws(v, block, rng, redrawn)
    low, high = _limits(redrawn, estimate, level)
    return Interval(estimate=estimate, low=low, high=high, level=level, block=block, draws=draws)
