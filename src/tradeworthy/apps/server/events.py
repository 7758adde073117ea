"""Events as JSON, and decisions as JSON: the port's own words for what the engine consumes and makes.

Shape:  an event is an object with `kind` (bar, trade, quote, book, row), `instrument` and the fields of its kind; a
        decision is what the tape holds of it, NaN as null.
Time:   `ts_event_ns` is the caller's, now if left out; when it was received is always ours.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Annotated, Any, NoReturn

import msgspec
import numpy as np

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.apps.server.rows import NO_MORE, Group, RowColumns, RowLayout
from tradeworthy.core.decisions import Role, threshold_number, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import UNDECODABLE, near
from tradeworthy.core.events import BOOK_LEVEL_FIELDS, BOOK_LEVELS_MAX, Kind
from tradeworthy.core.time import Clock
from tradeworthy.live.desk import Desk
from tradeworthy.live.inbox import TS_EVENT

_KIND_SHIFT = 32
_HEADER = 8 * TS_EVENT
LEVELS_SENT_MAX = 1_000
_decision = Struct("<Q16x2qQ7d4xH2B").unpack_from
"""Reads what is told of a `DECISION`: a third of the cost of `record.item()`."""
_SAID = {int(code): (code.name, code.text) for code in DenialCode}
_short = lru_cache(version_name)
_ROLES = {int(role): role.name.lower() for role in Role}


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number that the record can hold."""


class _Event(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every event has; `sequence` is the venue's own number, or a row's entity."""

    instrument: str
    ts_event_ns: Int64 | None = None
    sequence: Int64 = 0


class BarEvent(_Event, kw_only=True, tag="bar"):
    """A bar at its close."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class TradeEvent(_Event, kw_only=True, tag="trade"):
    """A trade; `side` is 1 where the buyer took, -1 where the seller did."""

    price: float
    size: float
    side: float


class QuoteEvent(_Event, kw_only=True, tag="quote"):
    """The best bid and ask."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float


Level = tuple[float, float]
"""Price and size."""


class BookEvent(_Event, kw_only=True, tag="book"):
    """Levels of both sides, the best first; the desk takes as many as its versions read."""

    bids: Annotated[list[Level], msgspec.Meta(max_length=LEVELS_SENT_MAX)]
    asks: Annotated[list[Level], msgspec.Meta(max_length=LEVELS_SENT_MAX)]


class RowEvent(_Event, kw_only=True, tag="row"):
    """Features computed elsewhere, by name or in the order of the version's fields; `groups` are read by none."""

    values: dict[str, float] | list[float]
    groups: dict[str, Group] = {}


AnyEvent = BarEvent | TradeEvent | QuoteEvent | BookEvent | RowEvent
_one = msgspec.json.Decoder(AnyEvent).decode
_many = msgspec.json.Decoder(list[AnyEvent]).decode


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, or that none was asked for (then `decision` is null).

    Attributes
    ----------
    decision : int or None
        Its id: its sequence on the tape.
    verdict : str
        A denial code's name; ``NONE`` where nothing was refused.
    said : str
        What the verdict means.
    threshold : int
        Which of the version's thresholds by group its score is held against; 0 for the common one.
    """

    decision: int | None
    version: str
    role: str
    instrument: str
    ts_event_ns: int
    ts_decided_ns: int | None
    score: float | None
    target: float | None
    position: float | None
    price: float | None
    quantity: float
    verdict: str
    said: str
    observed: float | None = None
    limit: float | None = None
    threshold: int = 0


def read_events(body: bytes, count_max: int) -> tuple[list[AnyEvent], bool]:
    """Return the events of a body, and whether they came as a list.

    Raises
    ------
    RequestRefused
        It is no event, or too many.
    """
    listed = body[:1] != b"{" and body.lstrip()[:1] == b"["
    try:
        events: list[AnyEvent] = _many(body) if listed else [_one(body)]
    except UNDECODABLE as problem:
        raise RequestRefused(400, f"the event cannot be read: {problem}") from problem
    if not 0 < len(events) <= count_max:
        raise RequestRefused(400, f"{len(events)} events, allowed are 1 to {count_max} in one request")
    return events, listed


class Incoming:
    """Writes callers' events where a desk reads them: as the first of its inbox.

    Parameters
    ----------
    desk : Desk
    clock : Clock
        Stamps what is received.
    columns : RowColumns, optional
        What stands in rows; only what a version reads, if left out.
    """

    def __init__(self, desk: Desk, clock: Clock, columns: RowColumns = NO_MORE) -> None:
        self._desk, self._clock, self._columns = desk, clock, columns
        self._layouts: dict[int, RowLayout] = {}
        self._numbers = {instrument.symbol: place for place, instrument in enumerate(desk.config.instruments)}
        self._symbols = list(self._numbers)
        self._levels = min(desk.config.width // BOOK_LEVEL_FIELDS, BOOK_LEVELS_MAX)
        self._inbox = desk.inbox.data
        self._packers = [_packer(count, desk.config.width) for count in range(desk.config.width + 1)]

    def take(self, event: AnyEvent) -> None:
        """Write an event.

        Raises
        ------
        RequestRefused
            The instrument is unknown, a row has not the fields that the champion reads, or a group is not known.
        """
        values: Sequence[float]
        symbol = event.instrument
        number = self._numbers[symbol] if symbol in self._numbers else self._refuse(symbol)
        if isinstance(event, BarEvent):
            values, kind = (event.open, event.high, event.low, event.close, event.volume), Kind.BAR
        elif isinstance(event, RowEvent):
            values, kind = self._row(event), Kind.ROW
        elif isinstance(event, TradeEvent):
            values, kind = (event.price, event.size, event.side), Kind.TRADE
        elif isinstance(event, QuoteEvent):
            values, kind = (event.bid, event.ask, event.bid_size, event.ask_size), Kind.QUOTE
        else:
            values, kind = self._book(event), Kind.BOOK
        self._fill(kind, number, event.ts_event_ns, event.sequence, values)

    def take_outcome(self, decision: int, instrument: int, ts_event_ns: int | None, label: float, value: float) -> None:
        """Write a late label."""
        self._fill(Kind.OUTCOME, instrument, ts_event_ns, decision, (label, value))

    def symbol(self, number: int) -> str:
        """Return an instrument's symbol."""
        return self._symbols[number]

    def _fill(
        self, kind: Kind, instrument: int, ts_event_ns: int | None, reference: int, values: Sequence[float]
    ) -> None:
        now_ns = self._clock.now_ns()
        ts_event_ns, packed = now_ns if ts_event_ns is None else ts_event_ns, instrument | kind << _KIND_SHIFT
        pack_into, rest = self._packers[len(values)]
        pack_into(self._inbox, _HEADER, ts_event_ns, now_ns, reference, packed, *values, *rest)

    def _book(self, event: BookEvent) -> tuple[float, ...]:
        """Return the levels side by side, as many as the desk has room for; missing ones have no price and no size."""
        room = self._levels
        none = [(math.nan, 0.0)] * room
        pairs = zip((event.bids + none)[:room], (event.asks + none)[:room], strict=True)
        return tuple(number for bid, ask in pairs for number in (bid[0], ask[0], bid[1], ask[1]))

    def _refuse(self, symbol: str) -> NoReturn:
        hint, allowed = near(symbol, self._numbers), ", ".join(self._numbers)
        raise RequestRefused(400, f"instrument {symbol!r} is unknown{hint}; allowed are {allowed}")

    def _row(self, event: RowEvent) -> Sequence[float]:
        version = self._desk.leading.version
        layout = self._layouts.get(version.number)
        if layout is None:
            layout = self._layouts[version.number] = RowLayout(version, self._columns)
        return layout.values(event.values, event.groups)


def _packer(count: int, width: int) -> tuple[Callable[..., None], tuple[float, ...]]:
    """Return what writes the words of an event of `count` values, and what stands behind those: NaN."""
    return Struct(f"<4q{width}d").pack_into, (math.nan,) * (width - count)


def decided(data: bytes | memoryview, symbol: str) -> Decided:
    """Return the `DECISION` record with which `data` begins, as it is told."""
    (
        sequence, ts_event_ns, ts_decided_ns, version, score, target, position, price, quantity, observed, limit,
        verdict, role, flags,
    ) = _decision(data)  # fmt: skip
    name, said = _SAID[verdict]
    return Decided(
        decision=sequence,
        version=_short(version),
        role=_ROLES[role],
        instrument=symbol,
        ts_event_ns=ts_event_ns,
        ts_decided_ns=ts_decided_ns,
        score=score,
        target=target,
        position=position,
        price=price,
        quantity=quantity,
        verdict=name,
        said=said,
        observed=observed,
        limit=limit,
        threshold=threshold_number(flags),
    )


def undecided(version: str, event: AnyEvent, record: np.void) -> Decided:
    """Return what is told of an event that asked for no decision: whether it was believed."""
    code = DenialCode(int(record["flags"]))
    nothing: dict[str, Any] = dict.fromkeys(("ts_decided_ns", "score", "target", "position", "price"))
    return Decided(
        decision=None,
        version=version,
        role="champion",
        instrument=event.instrument,
        ts_event_ns=int(record["ts_event_ns"]),
        quantity=0.0,
        verdict=code.name,
        said=code.text,
        **nothing,
    )
