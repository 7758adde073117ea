"""A series without change, to be drawn again and again: an autoregression with resampled residuals.

Idea:   the autoregression carries persistence, blocks of its residuals carry what it leaves (clustering, overlap).
        Each history is drawn with its own coefficients, spread as the reference leaves them uncertain.
Flow:   least squares, order by BIC -> roots kept inside the unit circle -> stationary bootstrap of residuals -> slow
        levels, where means of long stretches differ by more than all this explains.
Reference: Bühlmann (1997), the sieve bootstrap; Andrews and Monahan (1992), prewhitening; Politis and White (2004).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.resampling import autocovariance, block_length

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

NO_BREAKS: Places = np.empty(0, np.int64)

ORDER_MAX = 12
ROOT_MAX = 0.999
"""No drawn history is more persistent than this largest root."""

BURN = 1_000
"""Values drawn and thrown away before a history counts."""

CLOCKWORK = 1e-6
"""Misses below this share of the series' deviation are as good as none."""

STRETCHES = 10
STRETCH_EXCESS = 1.88
"""The 95% point of the variance of ten stretches' means, in units of its expectation (chi-square with 9 degrees)."""

CLUSTER_LAGS = 20
CLUSTER_MIN = 45.3
"""The 99.9% point of chi-square with 20 degrees of freedom."""


class Regression(NamedTuple):
    """An autoregression: (order,) coefficients, the residuals it leaves, and (order, order) inverse of past @ past."""

    coefficients: Floats
    residuals: Floats
    inverse: Floats


class NullModel(NamedTuple):
    """Autoregressions (runs, order), one a history, and the (n,) residuals to draw in blocks of mean `block`."""

    coefficients: Floats
    residuals: Floats
    block: float


def _lagged(series: Floats, order: int, skip: int) -> Floats:
    """Return the (n - skip, order) matrix of earlier values."""
    return np.column_stack([series[skip - lag : len(series) - lag] for lag in range(1, order + 1)])


def _usable(breaks: Places, n: int, order: int) -> npt.NDArray[np.bool_]:
    """Return the (n - order,) values whose `order` predecessors belong to their own stretch."""
    usable = np.ones(n, np.bool_)
    for start in breaks:
        usable[start : start + order] = False
    return usable[order:]


def _least_squares(series: Floats, breaks: Places, order: int) -> Regression:
    """Return the autoregression of a given order."""
    usable = _usable(breaks, len(series), order)
    values = series[order:][usable]
    if order == 0:
        return Regression(np.empty(0), values, np.empty((0, 0)))
    past = _lagged(series, order, order)[usable]
    inverse = np.asarray(np.linalg.pinv(past.T @ past))
    coefficients = np.asarray(np.linalg.lstsq(past.T @ past, past.T @ values, rcond=None)[0], np.float64)
    return Regression(coefficients, values - past @ coefficients, inverse)


def _best_order(series: Floats, breaks: Places) -> int:
    """Return the order that BIC prefers; all orders are judged on the same values, from one matrix of products."""
    top = min(ORDER_MAX, len(series) // 20)
    usable = _usable(breaks, len(series), top)
    past, values = _lagged(series, top, top)[usable], series[top:][usable]
    products, with_values, n = past.T @ past, past.T @ values, len(values)
    left = [float(values @ values)]
    for order in range(1, top + 1):
        fit = np.linalg.lstsq(products[:order, :order], with_values[:order], rcond=None)[0]
        left.append(float(values @ values - with_values[:order] @ fit))
    floor = max(1e-12 * left[0], 1e-300)
    scores = [n * math.log(max(rest, floor) / n) + order * math.log(n) for order, rest in enumerate(left)]
    return int(np.argmin(scores))


def autoregression(series: Floats, breaks: Places = NO_BREAKS) -> Regression:
    """Return the autoregression that BIC prefers.

    Parameters
    ----------
    series : (n,) float64
        Centred; consecutive but for the breaks.
    breaks : (b,) int64
        Places at which a new stretch begins.
    """
    return _least_squares(series, breaks, _best_order(series, breaks))


def clusters(residuals: Floats) -> bool:
    """Whether quiet and wild stretches alternate: the residuals' sizes are correlated in time."""
    sizes = np.minimum(np.abs(residuals), 4.0 * float(np.median(np.abs(residuals))) + 1e-300)
    n = len(sizes)
    covariance = autocovariance(sizes, CLUSTER_LAGS)
    if covariance[0] <= 0.0 or len(covariance) <= CLUSTER_LAGS:
        return False
    correlation = covariance[1:] / covariance[0]
    return bool(n * (n + 2) * np.sum(correlation**2 / (n - np.arange(1, CLUSTER_LAGS + 1))) > CLUSTER_MIN)


def _largest_root(coefficients: Floats) -> float:
    """Return the modulus of the slowest root; below 1 is stationary."""
    return float(np.abs(np.roots(np.concatenate([[1.0], -coefficients]))).max())


def _tame(coefficients: Floats) -> Floats:
    """Shrink an autoregression until its slowest root is inside the allowed circle."""
    root = _largest_root(coefficients)
    if root <= ROOT_MAX:
        return coefficients
    powers = np.arange(1, len(coefficients) + 1)
    result: Floats = coefficients * (ROOT_MAX / root) ** powers
    return result


def fit_null(series: Floats, runs: int, rng: np.random.Generator, breaks: Places = NO_BREAKS) -> NullModel:
    """Fit the model from which histories without change are drawn.

    Parameters
    ----------
    series : (n,) float64
        Centred reference values, consecutive but for the breaks.
    runs : int
        How many sets of coefficients to draw.
    rng : numpy.random.Generator
        Where randomness comes from.
    breaks : (b,) int64
        Places at which a new stretch begins.
    """
    fit = autoregression(series, breaks)
    residuals = fit.residuals - fit.residuals.mean()
    block = max(block_length(residuals), block_length(np.abs(residuals)))
    if len(fit.coefficients) == 0:
        return NullModel(np.empty((runs, 0)), residuals, block)
    spread = fit.inverse * float(residuals @ residuals) / len(residuals)
    drawn = rng.multivariate_normal(fit.coefficients, spread, runs, method="svd", check_valid="ignore")
    return NullModel(np.array([_tame(row) for row in drawn]), residuals, block)


def is_clockwork(series: Floats) -> bool:
    """Whether a value follows exactly from the two before it but for rare jumps, as time of day does.

    The rule is fitted again without its worst twentieth, so that gaps in the clock do not hide it.
    """
    if len(series) < CLUSTER_LAGS or float(np.ptp(series)) == 0.0:
        return False
    past, values = np.column_stack([_lagged(series, 2, 2), np.ones(len(series) - 2)]), series[2:]
    kept = np.ones(len(values), np.bool_)
    for _ in range(4):
        rule = np.linalg.lstsq(past[kept].T @ past[kept], past[kept].T @ values[kept], rcond=None)[0]
        misses = np.abs(values - past @ rule)
        kept = misses <= np.quantile(misses, 0.95)
    return float(misses[kept].max()) < CLOCKWORK * float(series.std())


@kernel
def draw_histories(model: NullModel, histories: Floats, rng: np.random.Generator) -> None:
    """Fill (runs, n) `histories`, each with its own autoregression; the start is thrown away."""
    runs, n = histories.shape
    order = model.coefficients.shape[1]
    size = model.residuals.shape[0]
    past = np.zeros(order + 1)
    for run in range(runs):
        past[:] = 0.0
        at = int(rng.integers(0, size))
        for i in range(-BURN, n):
            at += 1
            if at == size:
                at = 0
            if rng.random() * model.block < 1.0:
                at = int(rng.integers(0, size))
            value = model.residuals[at]
            for lag in range(order):
                value += model.coefficients[run, lag] * past[lag]
            for lag in range(order - 1, 0, -1):
                past[lag] = past[lag - 1]
            past[0] = value
            if i >= 0:
                histories[run, i] = value


def slow_levels(series: Floats, histories: Floats, rng: np.random.Generator) -> float:
    """Add to histories the slow wandering of the level that an autoregression cannot know of.

    Real markets live through regimes of weeks: means of long stretches differ by more than the drawn histories' do.
    Where that is significant, each stretch of a history gets a level of its own, of the spread that is missing. Ten
    stretches know that spread badly, so each history has one of its own too.

    Parameters
    ----------
    series : (n,) float64
        The reference.
    histories : (runs, m) float64
        Drawn without slow levels; changed in place.
    rng : numpy.random.Generator
        Where randomness comes from.

    Returns
    -------
    float
        The middle standard deviation of the levels added; 0 if the autoregression explains the stretches.
    """
    length = len(series) // STRETCHES
    seen = float(_stretch_means(series[None, :], length).var(ddof=1))
    explained = float(_stretch_means(histories, length).var(ddof=1, axis=1).mean())
    if seen <= STRETCH_EXCESS * explained or seen <= 0.0:
        return 0.0
    spread = math.sqrt(seen - explained)
    runs, m = histories.shape
    for run in range(runs):
        own = spread * math.sqrt((STRETCHES - 1) / rng.chisquare(STRETCHES - 1))
        levels = np.repeat(rng.normal(0.0, own, m // length + 2), length)
        start = int(rng.integers(0, length))
        histories[run] += levels[start : start + m]
    return spread


def _stretch_means(rows: Floats, length: int) -> Floats:
    """Return the (runs, stretches) means of whole stretches of rows."""
    whole = rows.shape[1] // length * length
    means: Floats = rows[:, :whole].reshape(rows.shape[0], -1, length).mean(axis=2)
    return means
