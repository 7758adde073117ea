"""How much money it made: profit, risk and activity of a position or an equity curve.

Shape:     one value a period, in time order; `positions[t]` is held while `price_changes[t]` happens.
Undefined: NaN for fewer than two periods, or where the spread of returns is zero.
Units:     profit and equity in the currency; Sharpe a year; turnover in values traded over capital.
Reference: Sharpe (1994); drawdown is measured from the highest equity so far.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Drawdown(msgspec.Struct, frozen=True, kw_only=True):
    """The deepest fall of an equity curve below its own peak."""

    value: float
    share: float
    peak: int
    trough: int


class Trading(msgspec.Struct, frozen=True, kw_only=True):
    """Money metrics of one equity curve."""

    periods: int
    pnl: float
    sharpe: float
    drawdown_value: float
    drawdown_share: float
    turnover: float
    hit_rate: float


def pnl(positions: npt.ArrayLike, price_changes: npt.ArrayLike, costs: npt.ArrayLike = 0.0) -> Array:
    """Return the (n,) profit of each period: position times price change, less costs."""
    profit: Array = np.asarray(positions, np.float64) * np.asarray(price_changes, np.float64)
    result: Array = profit - np.asarray(costs, np.float64)
    return result


def sharpe(returns: npt.ArrayLike, periods_per_year: float) -> float:
    """Return mean over standard deviation of per-period returns, annualised.

    Parameters
    ----------
    returns : (n,) array
        Returns or profits, one a period; overlapping periods would flatter it.
    periods_per_year : float
        For example 17,520 half hours for a market that never closes.
    """
    r = np.asarray(returns, np.float64)
    spread = float(r.std(ddof=1)) if len(r) > 1 else 0.0
    return float(r.mean()) / spread * math.sqrt(periods_per_year) if spread > 0.0 else math.nan


def drawdown(equity: npt.ArrayLike) -> Drawdown:
    """Return the deepest fall below the highest equity so far.

    Parameters
    ----------
    equity : (n,) array
        Equity after each period; `share` is of the peak (NaN if the peak is not positive).
    """
    curve = np.asarray(equity, np.float64)
    if len(curve) == 0:
        return Drawdown(value=math.nan, share=math.nan, peak=0, trough=0)
    peaks = np.maximum.accumulate(curve)
    trough = int(np.argmax(peaks - curve))
    peak = int(np.argmax(curve[: trough + 1]))
    value = float(curve[peak] - curve[trough])
    share = value / float(curve[peak]) if curve[peak] > 0.0 else math.nan
    return Drawdown(value=value, share=share, peak=peak, trough=trough)


def turnover(quantities: npt.ArrayLike, prices: npt.ArrayLike, capital: float) -> float:
    """Return the value traded, either way, over the capital."""
    value = np.abs(np.asarray(quantities, np.float64) * np.asarray(prices, np.float64)).sum()
    return float(value) / capital if capital > 0.0 else math.nan


def trading(
    profits: npt.ArrayLike, *, capital: float, periods_per_year: float, value_traded: float = math.nan
) -> Trading:
    """Return the money metrics of per-period profits on a fixed capital.

    Parameters
    ----------
    profits : (n,) array
        Profit after costs, one a period.
    capital : float
        What the profits are measured against.
    periods_per_year : float
        To annualise the Sharpe ratio.
    value_traded : float
        Sum of absolute order values, for the turnover.
    """
    p = np.asarray(profits, np.float64)
    fall = drawdown(capital + np.concatenate([[0.0], np.cumsum(p)]))
    active = p[p != 0.0]
    return Trading(
        periods=len(p),
        pnl=float(p.sum()),
        sharpe=sharpe(p / capital, periods_per_year),
        drawdown_value=fall.value,
        drawdown_share=fall.share,
        turnover=value_traded / capital,
        hit_rate=float(np.mean(active > 0.0)) if len(active) else math.nan,
    )
