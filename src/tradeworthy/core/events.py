"""Engine inputs: everything the engine consumes, as fixed-width records of one shape.

Idea:   market data, rows, outcomes, fills and control changes are one record type, told apart by `kind`. So the tape
        keeps them in one stream, in the order consumed, and replay reads a single file from front to back.
Shape:  a frame (`sequence`, `crc`, `epoch`, owned by the tape), the header below, then `values`, one float64 a field
        of the kind (`FIELDS`), padded with NaN to the desk's width.
Time:   `ts_event_ns` happened at the venue, `ts_recv_ns` seen by us; UTC nanoseconds. A bar is emitted at its close.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, near

EventBatch = npt.NDArray[np.void]
"""A one-dimensional array of event records, in the order in which they arrived."""

FRAME: list[tuple[str, str]] = [("sequence", "<u8"), ("crc", "<u4"), ("epoch", "<u4")]
"""The first 16 bytes of every record on the tape; the tape writes them, nobody else."""


class Kind(IntEnum):
    """What an event is about."""

    BAR = 1
    TRADE = 2
    QUOTE = 3
    BOOK = 4
    ROW = 5
    OUTCOME = 6
    FILL = 7
    REJECT = 8
    CONTROL = 9
    TIMER = 10
    GAP = 11


class Gap(IntEnum):
    """What a feed says of a lane (one instrument, one kind of event) that it cannot vouch for: a gap event's `cause`.

    `CUT`: nothing comes any more, so its price is not known until the next event. `LOST`: events are missing for ever,
    so features that read the lane begin anew, beside that.
    """

    CUT = 1
    LOST = 2


class Word(IntEnum):
    """What a control event changes; its `reference` or second value holds the argument.

    `SIZE` sets the share of full size that the champion takes (its second value, 0 to 1); `RULE` names the
    `core.decisions.Rule` that decides in its place.
    `OVERRIDE` lets one order of the instrument in its third value exceed the limit at the place in its fourth, up to
    its second value; `reference` is the decision that was refused. `OVERRIDE_ENDED` ends it, see `live.overrides.End`.
    `CANARY` lets the version in `reference` act, once it is champion, on the instrument in its second value alone,
    beside those so named before, and the champion before it on all others; NaN begins with none, version 0 with all.
    `LIMIT + i` sets the i-th of `core.limits.LIMIT_FIELDS`: the desk's where the event's `reference` is 0, that of
    instrument n where it is 1 + n.
    """

    HALT = 1
    RESUME = 2
    CHAMPION = 3
    SHADOW_ADDED = 4
    SHADOW_REMOVED = 5
    STARTED = 6
    SIZE = 7
    RULE = 8
    OVERRIDE = 9
    OVERRIDE_ENDED = 10
    CANARY = 11
    LIMIT = 100


BOOK_LEVELS_MAX = 10
"""Most levels of a book; an event carries the best so many of them as its desk is wide enough for."""


def book_fields(levels: int = BOOK_LEVELS_MAX) -> tuple[str, ...]:
    """Return the names of a book's values, level after level, the best first; level 1 is laid out as a quote.

    Where a side has fewer levels than the book, its price is NaN there and its size 0.

    >>> book_fields(1)
    ('bid_1', 'ask_1', 'bid_size_1', 'ask_size_1')
    """
    sides = ("bid", "ask", "bid_size", "ask_size")
    return tuple(f"{side}_{level}" for level in range(1, levels + 1) for side in sides)


BOOK_LEVEL_FIELDS = len(book_fields(1))
"""How many values one level of a book has."""

FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.BAR: ("open", "high", "low", "close", "volume"),
    Kind.TRADE: ("price", "size", "side"),
    Kind.QUOTE: ("bid", "ask", "bid_size", "ask_size"),
    Kind.BOOK: book_fields(),
    Kind.OUTCOME: ("label", "value"),
    Kind.FILL: ("quantity", "price", "fee", "execution"),
    Kind.REJECT: ("code",),
    Kind.CONTROL: ("word", "value"),
    Kind.TIMER: (),
    Kind.GAP: ("cause", "kind", "missed"),
}
"""The names of `values`, by kind. A row's names are declared by the desk (`RowSchema`).

A gap's `kind` is that of the lane, `missed` how many events of it are missing (NaN where nobody can know).

A fill's `execution` is the venue's number of it, a whole number above 0 that no other fill of its order has; NaN where
the venue gives none. `reference` is the decision's sequence in an outcome, the order's id in a fill or reject, a
version in a control event, the entity's id in a row, and the venue's own sequence (0 if it has none) in market data."""

OUR_REJECTS = 100.0
"""From this `code` on a reject is our own, after a restart, and no answer of the venue."""

WIDTH_MIN = 5


def event_dtype(width: int = WIDTH_MIN) -> np.dtype[np.void]:
    """Return the record type of events that carry `width` float64 values."""
    if width < WIDTH_MIN:
        raise ValueError(f"width is {width}, allowed is at least {WIDTH_MIN}")
    header: list[Any] = [
        *FRAME,
        ("ts_event_ns", "<i8"),
        ("ts_recv_ns", "<i8"),
        ("reference", "<u8"),
        ("instrument", "<u4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("reserved", "<u2"),
        ("values", "<f8", (width,)),
    ]
    return np.dtype(header)


def events_from_columns(
    kind: Kind,
    instrument: int | npt.NDArray[np.uint32],
    ts_event_ns: npt.NDArray[np.int64],
    columns: Mapping[str, npt.ArrayLike],
    *,
    ts_recv_ns: npt.NDArray[np.int64] | None = None,
    names: Sequence[str] | None = None,
    width: int = WIDTH_MIN,
) -> EventBatch:
    """Build a batch of one kind from columns.

    Parameters
    ----------
    kind : Kind
        The kind of every event.
    instrument : int or (n,) uint32
        Place in the desk's list of instruments.
    ts_event_ns : (n,) int64
        UTC nanoseconds; a bar's close.
    columns : mapping of str to (n,) array
        One float column for each field of the kind.
    ts_recv_ns : (n,) int64, optional
        When seen by us; the event time if left out.
    names : sequence of str, optional
        The fields, for kinds that declare their own (rows, and books of fewer levels).
    width : int
        Values an event can carry; at least the number of fields.

    Raises
    ------
    DataInvalid
        A column is missing or unknown.
    """
    fields = tuple(names) if names is not None else FIELDS[kind]
    for name in columns:
        if name not in fields:
            raise DataInvalid(f"column {name!r} is not a field of {kind.name.lower()}{near(name, fields)}")
    batch = np.zeros(len(ts_event_ns), event_dtype(max(width, len(fields), WIDTH_MIN)))
    batch["values"] = np.nan
    for place, name in enumerate(fields):
        if name not in columns:
            raise DataInvalid(f"column {name!r} of {kind.name.lower()} is missing; found {sorted(columns)}")
        batch["values"][:, place] = columns[name]
    batch["kind"] = kind
    batch["instrument"] = instrument
    batch["ts_event_ns"] = ts_event_ns
    batch["ts_recv_ns"] = ts_event_ns if ts_recv_ns is None else ts_recv_ns
    return batch


def widened(batch: EventBatch, width: int) -> EventBatch:
    """Return a copy whose records carry at least `width` values; the new ones are NaN."""
    had = batch.dtype["values"].shape[0]
    wide = np.zeros(len(batch), event_dtype(max(width, had)))
    for name in batch.dtype.names or ():
        if name != "values":
            wide[name] = batch[name]
    wide["values"] = np.nan
    wide["values"][:, :had] = batch["values"]
    return wide


def merge(batches: Sequence[EventBatch]) -> EventBatch:
    """Join batches into one of the widest's width, ordered by event time; equal times keep the order given."""
    width = max((batch.dtype["values"].shape[0] for batch in batches), default=WIDTH_MIN)
    joined = np.concatenate([widened(batch, width) for batch in batches])
    return joined[np.argsort(joined["ts_event_ns"], kind="stable")]


def field(batch: EventBatch, kind: Kind, name: str) -> npt.NDArray[np.float64]:
    """Return one named field of every event in a batch of one kind, as a (n,) float64 view."""
    values: npt.NDArray[np.float64] = batch["values"]
    return values[:, FIELDS[kind].index(name)]
