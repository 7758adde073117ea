"""How much of a track record is luck: Sharpe ratios deflated by how often one tried, and selection that overfits.

Idea:      of many trials without any skill the best still looks good. The deflated Sharpe ratio asks whether a Sharpe
           ratio passes what the best of that many would reach by chance; cross-validation by symmetric combinations
           asks how often the trial that is best in one half of time is below the median in the other.
Units:     Sharpe ratios are those of one period, not annualised; kurtosis is 3 for a normal distribution.
Undefined: NaN for fewer than three periods, or where returns do not vary.
Reference: Bailey and López de Prado (2012), The Sharpe ratio efficient frontier; the same (2014), The deflated Sharpe
           ratio; Bailey, Borwein, López de Prado and Zhu (2017), The probability of backtest overfitting.
"""

import itertools
import math
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EULER = 0.5772156649015329
NORMAL = NormalDist()
SLICES = 16


class SharpeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A Sharpe ratio a period, and the moments that say how sure it is."""

    periods: int
    sharpe: float
    skewness: float
    kurtosis: float

    @property
    def error(self) -> float:
        """Standard error of the Sharpe ratio, for returns that are independent but not normal."""
        if self.periods < 3:
            return math.nan
        spread = 1.0 - self.skewness * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2
        return math.sqrt(spread / (self.periods - 1)) if spread > 0.0 else math.nan


def sharpe_statistics(returns: npt.ArrayLike) -> SharpeStatistics:
    """Return the Sharpe ratio of (n,) returns, one a period, and their moments."""
    r = np.asarray(returns, np.float64)
    spread = float(r.std(ddof=1)) if len(r) > 2 else 0.0
    if not spread > 0.0:
        return SharpeStatistics(periods=len(r), sharpe=math.nan, skewness=math.nan, kurtosis=math.nan)
    z = (r - r.mean()) / r.std()
    return SharpeStatistics(
        periods=len(r),
        sharpe=float(r.mean()) / spread,
        skewness=float(np.mean(z**3)),
        kurtosis=float(np.mean(z**4)),
    )


def probabilistic_sharpe(found: SharpeStatistics, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio passes `benchmark`, both of one period."""
    error = found.error
    return math.nan if math.isnan(error) else NORMAL.cdf((found.sharpe - benchmark) / error)


def expected_best_sharpe(trials: int, spread: float) -> float:
    """Return the Sharpe ratio that the best of so many trials without skill is expected to show.

    Parameters
    ----------
    trials : int
        Independent trials.
    spread : float
        Standard deviation of Sharpe ratios among them.
    """
    if trials < 2:
        return 0.0
    first, second = NORMAL.inv_cdf(1.0 - 1.0 / trials), NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return spread * ((1.0 - EULER) * first + EULER * second)


def deflated_sharpe(found: SharpeStatistics, trials: int, spread: float) -> float:
    """Return the probability that the true Sharpe ratio passes what the best of `trials` shows by luck."""
    return probabilistic_sharpe(found, expected_best_sharpe(trials, spread))


def track_record_min(found: SharpeStatistics, confidence: float = 0.95, benchmark: float = 0.0) -> float:
    """Return how many periods it takes to be so confident that the Sharpe ratio passes the benchmark.

    Infinite where it does not pass it at all.
    """
    if math.isnan(found.error):
        return math.nan
    if found.sharpe <= benchmark:
        return math.inf
    spread = found.error**2 * (found.periods - 1)
    return 1.0 + spread * (NORMAL.inv_cdf(confidence) / (found.sharpe - benchmark)) ** 2


def backtest_overfitting(returns: Floats, slices: int = SLICES) -> float:
    """Return the probability that the trial which is best in one half of time is below the median in the other.

    Parameters
    ----------
    returns : (periods, trials) float64
        Of trials over the same periods, in the order of time.
    slices : int
        Even number of slices of time; every choice of half of them is tried.

    Returns
    -------
    float
        From 0 to 1; 1/2 for trials without skill; NaN for fewer than two trials or two periods a slice.
    """
    periods, trials = returns.shape
    length = periods // slices
    if trials < 2 or length < 2:
        return math.nan
    cut = returns[: length * slices].reshape(slices, length, trials)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    half, below = slices // 2, []
    for chosen in itertools.combinations(range(slices), half):
        inside = np.zeros(slices, bool)
        inside[list(chosen)] = True
        best = int(np.argmax(_sharpes(sums[inside], squares[inside], half * length)))
        outside = _sharpes(sums[~inside], squares[~inside], half * length)
        rank = (np.sum(outside < outside[best]) + 0.5 * (np.sum(outside == outside[best]) + 1.0)) / (trials + 1.0)
        below.append(1.0 if rank < 0.5 else 0.5 if rank == 0.5 else 0.0)
    return float(np.mean(below))


def _sharpes(sums: Floats, squares: Floats, periods: int) -> Floats:
    """Return each trial's Sharpe ratio from sums over slices; 0 where returns do not vary."""
    mean = sums.sum(axis=0) / periods
    variance = np.maximum(squares.sum(axis=0) / periods - mean**2, 0.0)
    found: Floats = np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0.0)
    return found
