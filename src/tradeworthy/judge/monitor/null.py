"""A series without change, to be drawn again and again: an autoregression with resampled residuals.

Idea:   the autoregression carries persistence, blocks of its residuals carry what it leaves (clustering, overlap).
        Each history is drawn with its own coefficients, spread as the reference leaves them uncertain.
Flow:   least squares, order by BIC -> roots kept inside the unit circle -> stationary bootstrap of residuals.
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


def _least_squares(series: Floats, breaks: Places, order: int, skip: int) -> Regression:
    """Return an autoregression of a given order on the values that have `skip` predecessors in their stretch."""
    usable = _usable(breaks, len(series), skip)
    values = series[skip:][usable]
    if order == 0:
        return Regression(np.empty(0), values, np.empty((0, 0)))
    past = _lagged(series, order, skip)[usable]
    coefficients = np.asarray(np.linalg.lstsq(past, values, rcond=None)[0], np.float64)
    return Regression(coefficients, values - past @ coefficients, np.asarray(np.linalg.pinv(past.T @ past)))


def autoregression(series: Floats, breaks: Places = NO_BREAKS) -> Regression:
    """Return the autoregression that BIC prefers.

    Parameters
    ----------
    series : (n,) float64
        Centred; consecutive but for the breaks.
    breaks : (b,) int64
        Places at which a new stretch begins.
    """
    top = min(ORDER_MAX, len(series) // 20)
    best, order = math.inf, 0
    for candidate in range(top + 1):
        residuals = _least_squares(series, breaks, candidate, top).residuals
        n = len(residuals)
        score = n * math.log(max(float(residuals @ residuals) / n, 1e-300)) + candidate * math.log(n)
        if score < best - 1e-9:
            best, order = score, candidate
    return _least_squares(series, breaks, order, order)


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
    drawn = rng.multivariate_normal(fit.coefficients, spread, runs, method="svd")
    return NullModel(np.array([_tame(row) for row in drawn]), residuals, block)


@kernel
def draw_histories(model: NullModel, histories: Floats, rng: np.random.Generator) -> None:
    """Fill (runs, n) `histories`, each with its own autoregression; the start is thrown away."""
    runs, n = histories.shape
    order = model.coefficients.shape[1]
    size = model.residuals.shape[0]
    past = np.zeros(order + 1)
    for run in range(runs):
        past[:] = 0.0
        at = rng.integers(0, size)
        for i in range(-BURN, n):
            at = rng.integers(0, size) if rng.random() * model.block < 1.0 else (at + 1) % size
            value = model.residuals[at]
            for lag in range(order):
                value += model.coefficients[run, lag] * past[lag]
            for lag in range(order - 1, 0, -1):
                past[lag] = past[lag - 1]
            past[0] = value
            if i >= 0:
                histories[run, i] = value
