"""The contract of a venue: whatever takes orders and answers with fills and rejects.

Flow:   the engine shows the venue each market event while anything is pending; the answers that it causes are events,
        consumed as inputs before the market event itself. An exchange that answers by itself buffers into `observe`.
State:  an order is named by its decision's sequence number; names only grow, and one seen before is ignored.
"""

from enum import IntEnum
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch

OrderBatch = npt.NDArray[np.void]
"""A one-dimensional array of `core.decisions.ORDER` records."""


class RejectCode(IntEnum):
    """Why a venue did not fill an order; the value `code` of a reject event.

    Codes are for ever: a number is never used again for another meaning.
    """

    text: str

    def __new__(cls, value: int, text: str) -> Self:
        """Keep the text beside the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    PRICE_BEYOND_LIMIT = 1, "the market price was worse than the order's limit price"
    CANCELLED = 2, "the order was cancelled"
    UNKNOWN_INSTRUMENT = 3, "the venue does not trade the instrument"
    QUANTITY_INVALID = 4, "the quantity is zero, not finite or not a whole number of lots"
    LIMIT_PRICE_MISSING = 5, "the order has no limit price"


class Venue(Protocol):
    """Where orders go.

    `pending` is the number of open orders and of answers not yet given; while it is zero, events need not be shown.
    """

    @property
    def pending(self) -> int:
        """How many orders and answers are outstanding."""

    def submit(self, orders: OrderBatch) -> None:
        """Accept orders; each is answered by a later `observe`, never here."""

    def cancel(self, order_id: int) -> None:
        """Withdraw what is left of an order; one that is not open is left alone."""

    def observe(self, event: np.void) -> EventBatch:
        """Return the fills and rejects caused by one event (or ready by now), of the event's own record type."""
