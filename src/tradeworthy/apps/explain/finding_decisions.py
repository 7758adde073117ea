"""Which recorded decision a word means: a tape sequence, an order, a UTC time, or ``largest``."""

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISIONS, INPUTS, ORDERS, Role
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind
from tradeworthy.core.time import NS_PER_S, iso
from tradeworthy.record.reader import TapeReader

LARGEST, ORDER = "largest", "order:"
_NUMBER = re.compile(r"[0-9]{1,30}")


def find_decision(reader: TapeReader, which: str) -> np.void:
    """Return the decision record that a word names.

    Parameters
    ----------
    reader : TapeReader
        The tape, archived parts included.
    which : str
        A decision's tape sequence; ``order:N``, where N is an order's id (its decision's sequence) or its own tape
        sequence; a UTC time such as ``2019-10-01T14:32:07.123``, for the champion's last decision up to then; or
        ``largest``, for the filled trade of the highest value.

    Raises
    ------
    NotFound
        There is none.
    """
    if which == LARGEST:
        return reader.find(DECISIONS, largest_trade(reader.read(INPUTS)))
    if _NUMBER.fullmatch(which):
        return _of_sequence(reader, int(which))
    if which.startswith(ORDER):
        return _of_sequence(reader, _decision_of_order(reader, which.removeprefix(ORDER)))
    last: np.void | None = None
    until = utc_ns(which)
    for made in reader.scan(DECISIONS):
        found = np.flatnonzero((made["role"] == Role.CHAMPION) & (made["ts_event_ns"] <= until))
        last = made[found[-1]] if found.size else last
    if last is None:
        first = _made(reader)["ts_event_ns"][0]
        raise NotFound(f"no decision was made up to {which}; the first is of {iso(int(first))}")
    return last


def largest_trade(inputs: npt.NDArray[Any]) -> int:
    """Return the order id of the fill of the highest value.

    Raises
    ------
    NotFound
        Nothing was traded.
    """
    fills = inputs[inputs["kind"] == Kind.FILL]
    if not fills.size:
        raise NotFound("nothing was traded; name a decision by its sequence or its time")
    values = np.abs(fills["values"][:, 0] * fills["values"][:, 1])
    return int(fills["reference"][np.argmax(values)])


def utc_ns(text: str) -> int:
    """Read an ISO 8601 time; one without an offset is UTC.

    >>> utc_ns("1970-01-01T00:00:07.123")
    7123000000
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotFound(
            f"{text!r} is no decision; allowed are a tape sequence, a UTC time such as 2019-01-05T14:30:00Z, "
            f"{ORDER}N, or {LARGEST}"
        ) from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return round(at.replace(microsecond=0).timestamp()) * NS_PER_S + at.microsecond * 1_000


def _of_sequence(reader: TapeReader, sequence: int) -> np.void:
    """Return the decision with a tape sequence; every record has one, so most numbers are no decision's."""
    found = reader.read(DECISIONS, after=sequence - 1, limit=1)
    if not found.size or found["sequence"][0] != sequence:
        made = _made(reader)
        near = int(made["sequence"][np.argmin(np.abs(made["sequence"].astype(np.float64) - sequence))])
        raise NotFound(
            f"tape sequence {sequence} is no decision's; the nearest is {near}, "
            f"they lie between {made['sequence'][0]} and {made['sequence'][-1]}"
        )
    decision: np.void = found[0]
    return decision


def _made(reader: TapeReader) -> npt.NDArray[Any]:
    """Return all decisions, of which there is one at least."""
    made = reader.read(DECISIONS)
    if not made.size:
        raise NotFound("nothing was decided yet; run: tradeworthy run")
    return made


def _decision_of_order(reader: TapeReader, text: str) -> int:
    """Return the sequence of the decision that an order was made by."""
    orders: npt.NDArray[Any] = reader.read(ORDERS) if ORDERS in reader.streams() else np.empty(0)
    if not _NUMBER.fullmatch(text) or not orders.size:
        found = "no order was made yet" if not orders.size else f"{text!r} is no order's number"
        raise NotFound(f"{found}; an order is named by {ORDER}N, N being the sequence of its decision")
    number = int(text)
    own = orders[(orders["decision"] == number) | (orders["sequence"] == number)]
    if not own.size:
        near = int(orders["decision"][np.argmin(np.abs(orders["decision"].astype(np.float64) - number))])
        raise NotFound(f"there is no order {number}; the nearest is {ORDER}{near}")
    return int(own["decision"][0])
