"""A mean that may be looked at as often as one likes: confidence sequences for dependent series.

Idea:      an interval of fixed size is spoilt by looking again until it pleases. A confidence sequence covers the
           truth at all sizes at once, so that an answer may be taken as soon as the data allow.
Flow:      values → means of blocks of at least twice the horizon, which overlapping labels leave nearly independent
           → the running mean of blocks, its variance with the covariance of neighbours, the bound at each block's end.
Undefined: NaN before `BLOCKS_MIN` blocks. The bound is asymptotic: few blocks of wild values say too much, so it waits.
Reference: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory: Gaussian mixture
           boundary with the variance estimated as one goes. Narrowest at the size that it is tuned for.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCKS_MIN = 25
BLOCK_MIN = 8
"""Values in a block at least: what is wanted now is mostly what was wanted a moment ago."""
POINTS = 60
"""So many looks of a path are kept."""


class Look(msgspec.Struct, frozen=True, array_like=True):
    """What was known after `n` values."""

    n: int
    estimate: float
    low: float
    high: float


class Anytime(msgspec.Struct, frozen=True, kw_only=True):
    """A mean so far, with bounds that hold at all times together in a share `level` of repetitions.

    Attributes
    ----------
    n : int
        Values looked at: those of whole blocks.
    estimate, low, high : float
        NaN before there are enough blocks; the estimate as soon as there is one.
    level : float
        0 to 1.
    block : int
        Values in a block.
    path : list of Look
        How it came about, oldest first, thinned out.
    """

    n: int
    estimate: float
    low: float
    high: float
    level: float
    block: int
    path: list[Look] = []


def anytime_mean(values: npt.ArrayLike, *, horizon: int, tuned_for: int, level: float = 0.95) -> Anytime:
    """Return the mean of a growing series with bounds that are valid whenever one looks.

    Parameters
    ----------
    values : (n,) array
        In time order, finite.
    horizon : int
        Over how many values a label looks ahead; 1 for values that do not overlap.
    tuned_for : int
        At how many values the bounds shall be narrowest.
    level : float
        Share of repetitions in which the truth is never outside.
    """
    block = max(2 * horizon, BLOCK_MIN)
    v = np.asarray(values, np.float64)
    count = len(v) // block
    if count == 0:
        return Anytime(n=0, estimate=math.nan, low=math.nan, high=math.nan, level=level, block=block)
    means = v[: count * block].reshape(count, block).mean(axis=1)
    running = np.cumsum(means) / np.arange(1, count + 1)
    reach = np.sqrt(_variances(means)) * _boundary(count, max(1, tuned_for // block), 1.0 - level)
    reach[: BLOCKS_MIN - 1] = math.nan
    kept = np.unique(np.linspace(min(BLOCKS_MIN, count) - 1, count - 1, POINTS).astype(np.int64)).tolist()
    bounds = np.column_stack([running, running - reach, running + reach]).tolist()
    path = [Look((at + 1) * block, *bounds[at]) for at in kept]
    last = path[-1]
    return Anytime(n=last.n, estimate=last.estimate, low=last.low, high=last.high, level=level, block=block, path=path)


def _variances(means: Floats) -> Floats:
    """Return, after each block, the long-run variance of a block's mean: its own, and its neighbour's part in it."""
    count = np.arange(1, len(means) + 1)
    centre = np.cumsum(means) / count
    own = np.maximum(np.cumsum(means**2) / count - centre**2, 0.0)
    products = np.concatenate([[0.0], np.cumsum(means[1:] * means[:-1])])
    edges = centre * (2.0 * np.cumsum(means) - means[0] - means)
    shared = (products - edges + (count - 1) * centre**2) / count
    whole: Floats = own * count / np.maximum(count - 1, 1) + 2.0 * np.maximum(shared, 0.0)
    return whole


def _boundary(count: int, tuned_for: int, alpha: float) -> Floats:
    """Return the bound after each of `count` blocks, in standard deviations of a block's mean."""
    t = np.arange(1, count + 1)
    wide = -2.0 * math.log(alpha)
    scaled = t * (wide + math.log(wide) + 1.0) / tuned_for
    bound: Floats = np.sqrt(2.0 * (scaled + 1.0) / (t * scaled) * np.log(np.sqrt(scaled + 1.0) / alpha))
    return bound
