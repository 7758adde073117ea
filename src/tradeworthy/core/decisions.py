"""Engine outputs: one decision for every event that asks for one, and the orders that follow.

Shape:  fixed-width records; the frame is the tape's. A decision's id is its tape sequence; an order's id is the
        sequence of its decision.
Units:  quantities in units of the instrument, positive is long; prices and values in its currency.
"""

from enum import IntEnum

import numpy as np

from tradeworthy.core.events import FRAME

SHORT = 16
"""Characters of a digest by which people, decisions and folders name a version: its 64-bit number."""

ROWS = "rows-"
"""What the tape's streams of feature rows begin with; a version's name follows."""


class Role(IntEnum):
    """What a version's decision may do: a champion acts, a canary as a champion does; a shadow only watches."""

    CHAMPION = 1
    SHADOW = 2


class Rule(IntEnum):
    """What decides in the champion's place; no rule reads its score, and none but `BASE_RATE` needs a model at all.

    `FLAT` wants no position, `HOLD` the one that there is; `BASE_RATE` acts as if every score were the mean label of
    the champion's training rows.
    """

    NONE = 0
    FLAT = 1
    HOLD = 2
    BASE_RATE = 3


LATE, RULED = 1, 2
"""Flags of a decision: made after a restart, about an event from before; made by a rule in the champion's place."""

THRESHOLD_BITS = 2
"""Above those two: the number of the threshold that its score was held against, 0 for the version's common one."""

DECISION = np.dtype(
    [
        *FRAME,
        ("input_sequence", "<u8"),  # the input that asked for it
        ("ts_event_ns", "<i8"),  # of that input
        ("ts_decided_ns", "<i8"),  # our clock when the decision stood
        ("version", "<u8"),  # first 64 bits of the version's digest
        ("score", "<f8"),  # model output; NaN where there is none
        ("target", "<f8"),  # wanted position (the intent)
        ("position", "<f8"),  # filled plus in flight, before this decision
        ("price", "<f8"),  # reference price
        ("quantity", "<f8"),  # of the order sent; 0 for none
        ("observed", "<f8"),  # of the check that refused; NaN for none
        ("limit", "<f8"),  # of that check; NaN for none
        ("instrument", "<u4"),
        ("verdict", "<u2"),  # core.denials.DenialCode; 0 where nothing was refused
        ("role", "u1"),
        ("flags", "u1"),  # see LATE and `threshold_number`
    ]
)

ORDER = np.dtype(
    [
        *FRAME,
        ("decision", "<u8"),  # sequence of its decision: the client order id
        ("ts_sent_ns", "<i8"),
        ("version", "<u8"),
        ("quantity", "<f8"),  # signed
        ("limit_price", "<f8"),  # worst price accepted
        ("reference_price", "<f8"),
        ("instrument", "<u4"),
        ("reserved", "<u4"),
    ]
)


def row_dtype(n_features: int, n_scores: int) -> np.dtype[np.void]:
    """Return the record type of one version's feature rows and scores.

    `decision` is the sequence of the decision that they led to.
    """
    return np.dtype([*FRAME, ("decision", "<u8"), ("row", "<f8", (n_features,)), ("scores", "<f8", (n_scores,))])


def threshold_number(flags: int) -> int:
    """Return which of its version's thresholds a decision was held against; 0 is the common one.

    >>> threshold_number(0b1001)
    2
    """
    return int(flags) >> THRESHOLD_BITS


def version_name(version: int) -> str:
    """Write a version's 64-bit number as the first `SHORT` characters of its digest."""
    return f"{version:0{SHORT}x}"


INPUTS, DECISIONS, ORDERS = "inputs", "decisions", "orders"
"""The streams of a desk's tape, beside those of each version's rows."""


def rows_stream(version: int) -> str:
    """Return the name of the tape's stream of one version's feature rows and scores."""
    return f"{ROWS}{version_name(version)}"


def version_number(digest: str) -> int:
    """Return the 64-bit number of a version's hexadecimal digest (or its first 16 characters)."""
    return int(digest[:SHORT], 16)
