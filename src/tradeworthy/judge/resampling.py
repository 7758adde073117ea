"""Resampling of dependent series: how long a block must be.

Idea:      neighbouring market observations are alike, so a draw takes whole blocks; inside a block dependence is kept.
Reference: Politis and Romano (1994), the stationary bootstrap; Politis and White (2004) with the correction of Patton,
           Politis and White (2009), the block length chosen from the data.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def autocovariance(series: Floats, lags: int) -> Floats:
    """Return the autocovariances of a (n,) series at lags 0 to `lags`, each divided by n."""
    centred = series - series.mean()
    n = len(centred)
    return np.array([centred[lag:] @ centred[: n - lag] / n for lag in range(min(lags, n - 1) + 1)])


def _significant_lag(correlation: Floats, n: int) -> int:
    """Return the lag after which a run of correlations is within noise."""
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    noise = 2.0 * math.sqrt(math.log10(n) / n)
    quiet = 0
    for lag in range(1, len(correlation)):
        quiet = quiet + 1 if abs(correlation[lag]) < noise else 0
        if quiet == run:
            return lag - run
    return len(correlation) - 1


def block_length(series: Floats, kind: Literal["stationary", "circular"] = "stationary") -> float:
    """Choose the block length for a dependent bootstrap of the series' mean.

    Parameters
    ----------
    series : (n,) float64
        Consecutive observations without NaN.
    kind : {"stationary", "circular"}
        Blocks of random (geometric) or of fixed length.

    Returns
    -------
    float
        Mean block length, from 1 to n / 4; 1 for a constant or very short series.
    """
    n = len(series)
    if n < 16 or float(np.ptp(series)) == 0.0:
        return 1.0
    cap = n / 4.0
    covariance = autocovariance(series, min(n - 1, max(20, int(8 * math.sqrt(n)))))
    last = _significant_lag(covariance / covariance[0], n)
    window = min(2 * max(last, 1), len(covariance) - 1)
    lags = np.arange(1, window + 1)
    taper = np.clip(2.0 * (1.0 - lags / window), 0.0, 1.0)
    spread = 2.0 * float(np.sum(taper * lags * covariance[1 : window + 1]))
    density = float(covariance[0] + 2.0 * np.sum(taper * covariance[1 : window + 1]))
    if density <= 0.0:
        return min(cap, float(max(last, 1)))
    constant = 2.0 if kind == "stationary" else 4.0 / 3.0
    length = (2.0 * spread**2 / (constant * density**2)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(np.clip(length, 1.0, cap))
