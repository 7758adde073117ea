"""A clustering series without change, to be drawn again and again: GARCH(1, 1) with resampled shocks.

Idea:   how wild a series is wanders by itself, for weeks, and more upwards than downwards. An autoregression of sizes
        knows too little of that; a volatility that feeds on its own shocks knows it. Each history is drawn with
        coefficients of its own, in proportion to how well they explain the reference. Weeks that are wilder than even
        that explains are added as slow levels of the sizes' logarithm (`null`).
Flow:   innovations -> likelihood over a grid of coefficients -> weights -> histories -> log sizes -> slow levels.
Reference: Bollerslev (1986); Pascual, Romo and Ruiz (2006), the GARCH bootstrap with parameter uncertainty.
"""

import numpy as np

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.control_charts.chart_table import Floats

REACTIONS: Floats = np.geomspace(0.01, 0.4, 14)
"""How much of the last shock enters the variance."""

LAPSES: Floats = np.geomspace(0.002, 0.3, 14)
"""How much of the variance's excess is forgotten at each event: one less the persistence."""

BURN = 1_000

SIZE_LEAST = 1e-3
"""Added to a size before its logarithm, in robust scales: a value in the very middle is no abyss."""


@kernel
def garch_likelihood(series: Floats, reaction: float, lapse: float, variances: Floats) -> float:
    """Return the Gaussian log likelihood of a (n,) series of unit variance, and write its conditional variances."""
    keep, variance, total = 1.0 - lapse - reaction, 1.0, 0.0
    for i in range(len(series)):
        variances[i] = variance
        total -= 0.5 * (np.log(variance) + series[i] * series[i] / variance)
        variance = lapse + reaction * series[i] * series[i] + keep * variance
    return float(total)


@kernel
def draw_garch(shocks: Floats, coefficients: Floats, rho: float, histories: Floats, rng: np.random.Generator) -> None:
    """Fill (runs, n) histories with shocks drawn anew, each with its own (runs, 2) reaction and lapse."""
    runs, n = histories.shape
    for run in range(runs):
        reaction, lapse = coefficients[run, 0], coefficients[run, 1]
        keep, variance, level = 1.0 - lapse - reaction, 1.0, 0.0
        for i in range(-BURN, n):
            value = np.sqrt(variance) * shocks[int(rng.integers(0, len(shocks)))]
            variance = lapse + reaction * value * value + keep * variance
            level = rho * level + value
            if i >= 0:
                histories[run, i] = level


def garch_histories(series: Floats, rho: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return (runs, n) histories of a centred (n,) series whose innovations cluster.

    Parameters
    ----------
    series : (n,) float64
        Centred.
    rho : float
        Correlation of neighbours.
    shape : (runs, n)
        How many to draw, and how long.
    rng : numpy.random.Generator
        Where randomness comes from.
    """
    innovations = series[1:] - rho * series[:-1]
    scale = float(np.sqrt(np.mean(innovations**2)))
    unit, variances = innovations / scale, np.empty(len(innovations))
    grid = np.array([(a, b) for a in REACTIONS for b in LAPSES if a + b < 1.0])
    fits = np.array([garch_likelihood(unit, a, b, variances) for a, b in grid])
    best = grid[int(fits.argmax())]
    garch_likelihood(unit, float(best[0]), float(best[1]), variances)
    shocks = unit / np.sqrt(variances)
    shocks /= np.sqrt(np.mean(shocks**2))
    temper = max(1.0, (float(np.mean(shocks**4)) - 1.0) / 2.0)  # heavy tails tell less than the likelihood thinks
    weights = np.exp((fits - fits.max()) / temper)
    chosen = rng.choice(len(grid), shape[0], p=weights / weights.sum())
    histories = np.empty(shape)
    draw_garch(shocks, grid[chosen], rho, histories, rng)
    histories *= scale
    return histories


def log_sizes(series: Floats) -> Floats:
    """Return the logarithm of the sizes of centred values, in robust scales."""
    sizes: Floats = np.log(np.abs(series) + SIZE_LEAST)
    return sizes
