"""The order path's controls: tiny pure functions, each returning what it observed.

Idea:   a check does not decide. It returns a number, and `risk.judge` compares that with one limit. What is measured,
        how it is compared and what the limit is can each be read, tested and changed alone.
Undefined: NaN where a reference is missing or zero or negative; NaN never passes a comparison, so it refuses.
Units:  basis points, currency, units of the instrument, messages, orders, milliseconds, as each name says.
"""

import numpy as np

from tradeworthy.core.kernel import kernel

_BPS_PER_ONE = 10_000.0
_NS_PER_MS = 1_000_000.0


@kernel
def price_collar_bps(limit_price: float, reference_price: float) -> float:
    """Return how far an order's price lies from the reference price."""
    if not (reference_price > 0.0 and limit_price > 0.0):
        return np.nan
    return abs(limit_price - reference_price) / reference_price * _BPS_PER_ONE


@kernel
def order_value(quantity: float, limit_price: float, reference_price: float, multiplier: float) -> float:
    """Return an order's value at the worse of its two prices."""
    if not (reference_price > 0.0 and limit_price > 0.0):
        return np.nan
    return abs(quantity) * max(limit_price, reference_price) * multiplier


@kernel
def order_quantity(quantity: float) -> float:
    """Return an order's quantity without its sign; an order of nothing is no order."""
    return abs(quantity) if quantity != 0.0 else np.nan


@kernel
def repeated_orders(side: float, repeated_side: float, repeated: int, latched: int) -> float:
    """Return how many orders in a row would be on one side; infinite while the strategy is switched off."""
    if latched != 0:
        return np.inf
    if not abs(side) > 0.0:
        return np.nan
    return repeated + 1.0 if side == repeated_side else 1.0


@kernel
def exposure_quantity(quantity: float, filled: float, buying: float, selling: float) -> float:
    """Return the largest position on the order's side if everything in flight on that side fills.

    An order that only brings a position nearer to zero observes 0: it may always be sent.
    """
    exposure = filled + buying + quantity if quantity > 0.0 else selling - filled - quantity
    return 0.0 if exposure <= 0.0 else exposure  # noqa: FURB136  # max would make NaN 0 and pass it


@kernel
def exposure_value(exposure: float, limit_price: float, reference_price: float, multiplier: float) -> float:
    """Return the value of an exposure at the worse of the order's two prices."""
    if exposure == 0.0:
        return 0.0
    return order_value(exposure, limit_price, reference_price, multiplier)


@kernel
def drawdown_value(equity: float, peak: float, quantity: float, held: float) -> float:
    """Return the loss from the highest equity; an order that only reduces what is held may still be sent."""
    loss = peak - equity
    if loss > 0.0 and quantity * held < 0.0 and abs(quantity) <= abs(held):
        return 0.0
    return loss


@kernel
def market_age_ms(now_ns: int, ts_mark_ns: int) -> float:
    """Return how old the price behind an order is; NaN if there never was one.

    A price from the future, after the clock was set back, is as doubtful as an old one.
    """
    if ts_mark_ns <= 0:
        return np.nan
    return abs(now_ns - ts_mark_ns) / _NS_PER_MS
