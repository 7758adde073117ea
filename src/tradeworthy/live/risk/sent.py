"""The messages sent lately: what the message rate and the duplicate check look back on.

State:  a ring of the last `SENT_MAX` messages; a cancel is a message without a quantity.
Time:   work grows with the messages inside the window, which the message limit itself bounds.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel

SENT = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("instrument", "<i8"),
        ("quantity", "<f8"),  # signed; 0 for a cancel
        ("limit_price", "<f8"),
    ]
)

SENT_MAX = 4096

Records = npt.NDArray[np.void]

_NS_PER_MINUTE = 60_000_000_000
_NS_PER_MS = 1_000_000.0


@kernel
def note_message(sent: Records, count: int, ts_ns: int, instrument: int, quantity: float, limit_price: float) -> None:
    """Remember message number `count` (counted from 0)."""
    message = sent[count % SENT_MAX]
    message["ts_ns"] = ts_ns
    message["instrument"] = instrument
    message["quantity"] = quantity
    message["limit_price"] = limit_price


@kernel
def messages_last_minute(sent: Records, count: int, now_ns: int) -> float:
    """Return how many messages the last minute would hold with one more.

    Infinite where the ring is too short to know. Messages from a future, after the clock was set back, count.
    """
    found = 0
    while found < count and found < SENT_MAX:
        if now_ns - sent[(count - 1 - found) % SENT_MAX]["ts_ns"] >= _NS_PER_MINUTE:
            return found + 1.0
        found += 1
    return np.inf if found == SENT_MAX else found + 1.0


@kernel
def twin_age_ms(
    sent: Records, count: int, now_ns: int, window_ms: float, instrument: int, quantity: float, limit_price: float
) -> float:
    """Return how long ago the same order (instrument, side and size, price) was sent; infinite for never.

    The search ends at the first message older than the window. NaN for an order that is not a number.
    """
    if not (np.isfinite(quantity) and np.isfinite(limit_price)):
        return np.nan
    for back in range(min(count, SENT_MAX)):
        message = sent[(count - 1 - back) % SENT_MAX]
        age = (now_ns - message["ts_ns"]) / _NS_PER_MS
        if age >= window_ms:
            break
        same = message["instrument"] == instrument and message["quantity"] == quantity
        if same and message["limit_price"] == limit_price:
            return float(age)
    return np.inf
