"""Refusals: the closed set of codes, and the value that carries one.

A refusal is recorded and counted, never raised. Codes are for ever: a number is never used again for another
meaning. 100s refuse an event, 200s refuse a score, 300s refuse an order.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class DenialCode(IntEnum):
    """Why something was refused; the text says it to a person."""

    text: str

    def __new__(cls, value: int, text: str = "") -> Self:
        """Keep the text beside the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    NONE = 0, "nothing was refused"

    INPUT_NOT_FINITE = 101, "a value of the event is NaN or infinite"
    INPUT_NOT_POSITIVE = 102, "a price is zero or negative, or a size is negative"
    INPUT_INCONSISTENT = 103, "the bar's high is below, or its low above, one of its own prices"
    INPUT_CROSSED = 104, "the bid is above the ask"
    INPUT_OUT_OF_ORDER = 105, "the event happened before one already consumed for its instrument"
    INPUT_DUPLICATE = 106, "the same event was already consumed"
    INPUT_JUMP = 107, "the price jumped further than the desk believes"
    INPUT_UNKNOWN_INSTRUMENT = 108, "the desk does not know the instrument"
    INPUT_STALE = 109, "the event is older, or further in the future, than allowed when it is seen"
    INPUT_UNKNOWN_KIND = 110, "a feed may not bring events of this kind"
    INPUT_NOT_AN_ANSWER = 111, "a venue may answer with fills and rejects only"
    INPUT_UNSORTED = 112, "the book's levels do not lead away from the best price, or one behind a missing one is there"

    FEATURES_WARMING = 201, "the features have not seen enough history yet"
    FEATURES_NOT_FINITE = 202, "a feature is NaN or infinite after warm-up"
    FEATURES_OUT_OF_RANGE = 203, "a feature lies outside the range validated for this version"
    SCORE_NOT_FINITE = 204, "the model's score is NaN or infinite"

    HALTED = 301, "trading is halted"
    LIMIT_MISSING = 302, "a limit that this check needs is not set"
    REFERENCE_MISSING = 303, "there is no usable reference price"
    PRICE_COLLAR = 304, "the order's price is too far from the reference price"
    ORDER_VALUE = 305, "the order's value is over the limit"
    ORDER_QUANTITY = 306, "the order's quantity is over the limit"
    MESSAGE_RATE = 307, "too many orders were sent in the last minute"
    REPEATED_EXECUTION = 308, "the strategy repeated itself too often and is off until a person re-enables it"
    DUPLICATE_ORDER = 309, "the same order was sent a moment ago"
    POSITION_QUANTITY = 310, "filled and in-flight quantity would pass the limit"
    POSITION_VALUE = 311, "filled and in-flight value would pass the limit"
    DRAWDOWN = 312, "the loss from the highest equity is over the limit"
    MARKET_STALE = 313, "the market data behind the order is too old"


@dataclass(frozen=True, slots=True)
class Denied:
    """Why something was refused. Recorded and counted; never raised."""

    code: DenialCode
    observed: float
    limit: float
    unit: str

    def __str__(self) -> str:
        """Say what was observed and what was allowed."""
        return f"{self.code.name}: {self.code.text} (observed {self.observed:g} {self.unit}, limit {self.limit:g})"
