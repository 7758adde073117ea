"""From an exchange's messages to event records, with gaps told wherever something is missing.

Flow:   message → lane → event, before it a gap of cause ``LOST`` if the lane misses some; a cut tells ``CUT`` of every
        lane. What cannot be read changes nothing, and is found missing by what follows it.
Time:   `ts_recv_ns` is our clock when the message came, and never goes back.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import BOOK_LEVEL_FIELDS, WIDTH_MIN, EventBatch, Gap, Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.exchange.exact import TickGrid
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import (
    BarLane,
    BookLane,
    Event,
    Known,
    QuoteLane,
    StreamBroken,
    TradeLane,
)
from tradeworthy.live.feeds.exchange.messages import (
    BookChanged,
    BookShown,
    Candle,
    Hole,
    Message,
    Numbered,
    Quoted,
    Traded,
    Unknown,
)

_NEWS = (Traded, Quoted, Candle, BookChanged, BookShown)
KIND_OF: Mapping[str, Kind] = {"bar": Kind.BAR, "trade": Kind.TRADE, "quote": Kind.QUOTE, "book": Kind.BOOK}
"""The kinds of events of a feed's channels."""


class Listed(NamedTuple):
    """An instrument of the desk, its number, and the exchange's name of it."""

    number: int
    instrument: Instrument
    symbol: str


class Lanes(NamedTuple):
    """One instrument's lanes."""

    number: int
    trades: TradeLane
    quotes: QuoteLane
    bars: BarLane
    book: BookLane


class Market:
    """Turns messages into events.

    Parameters
    ----------
    listed : sequence of Listed
    channels : sequence of str
        Of `KIND_OF`, as subscribed.
    period_ns : int
        Of bars.
    levels : int
        Of books.
    figures : Figures
        Counted in.
    known : mapping of (int, Kind) to Known
        What the tape has last, of each instrument and kind.
    width : int
        Values an event carries.
    asks : bool
        Whether whole books are asked for; otherwise they come first on the stream, and only there.
    trades_asked_max : int
        Of a hole that is asked for; a larger one is told as lost.
    """

    def __init__(
        self,
        listed: Sequence[Listed],
        channels: Sequence[str],
        *,
        period_ns: int,
        levels: int,
        figures: Figures,
        known: Mapping[tuple[int, Kind], Known] | None = None,
        width: int = WIDTH_MIN,
        asks: bool = True,
        trades_asked_max: int = 0,
    ) -> None:
        self._asks = asks
        self._figures, self._kinds = figures, [KIND_OF[channel] for channel in channels]
        self._width = max(width, levels * BOOK_LEVEL_FIELDS if Kind.BOOK in self._kinds else WIDTH_MIN)
        self._dtype, self._buffer = event_dtype(self._width), bytearray()
        self._packers = [struct.Struct(f"<16xqqQIBBH{count}d") for count in range(self._width + 1)]
        self._padding = [struct.pack(f"<{self._width - count}d", *[math.nan] * (self._width - count))
                         for count in range(self._width + 1)]  # fmt: skip
        self._recv_ns, self._number = 0, -1
        self._cut_off: set[tuple[int, Kind]] = set()
        found = known or {}
        self._lanes = {
            each.symbol: _lanes(
                each, period_ns, levels, {kind: found.get((each.number, kind)) for kind in Kind}, trades_asked_max
            )
            for each in listed
        }

    def take(self, messages: Sequence[Message], recv_ns: int) -> None:
        """Take in what one message of the stream said.

        Raises
        ------
        StreamBroken
            The stream cannot be followed any more.
        DataInvalid
            A number in it cannot be read; it changed nothing.
        """
        self._recv_ns = max(self._recv_ns, recv_ns)
        for message in messages:
            if isinstance(message, Numbered):
                if not self._is_next(message):
                    return
            elif isinstance(message, Unknown):
                self._figures.unknown += 1
            elif isinstance(message, _NEWS):
                lanes = self._lanes.get(message.symbol)
                if lanes is None:
                    self._figures.unknown += 1
                else:
                    self._said(lanes, message)

    def cut(self, recv_ns: int) -> None:
        """Tell of every lane that nothing comes any more."""
        self._recv_ns, self._number = max(self._recv_ns, recv_ns), -1
        for lanes in self._lanes.values():
            lanes.trades.cut()
            lanes.quotes.cut()
            lanes.bars.cut()
            lanes.book.lose()
            for kind in self._kinds:
                self._cut(lanes.number, kind)

    def books_wanted(self) -> list[str]:
        """Return the symbols whose books have to be shown whole."""
        if Kind.BOOK not in self._kinds or not self._asks:
            return []
        return [symbol for symbol, lanes in self._lanes.items() if lanes.book.waits]

    def hold_bars(self) -> list[str]:
        """Keep back what the stream says of bars, and return the symbols whose bars are to be asked for."""
        for lanes in self._lanes.values():
            lanes.bars.hold()
        return list(self._lanes)

    def bars_closed_ns(self, symbol: str) -> int:
        """Return when the last bar that is known closed; 0 for none."""
        return self._lanes[symbol].bars.closed_ns

    def show_bars(self, symbol: str, bars: Sequence[Candle], recv_ns: int) -> int:
        """Deliver bars of the past, in their order, and return how many were news.

        Raises
        ------
        DataInvalid
            A number in one cannot be read; those before it are delivered.
        """
        self._recv_ns = max(self._recv_ns, recv_ns)
        lanes = self._lanes[symbol]
        events = (lanes.bars.show(bar) for bar in bars)
        return sum(self._deliver(lanes.number, Kind.BAR, event) for event in events if event is not None)

    def release_bars(self, symbol: str, recv_ns: int) -> None:
        """Deliver what the stream said meanwhile, and let it go on."""
        self._recv_ns = max(self._recv_ns, recv_ns)
        lanes = self._lanes[symbol]
        for bar in lanes.bars.release():
            try:
                self._said(lanes, bar)
            except DataInvalid:
                self._figures.unreadable += 1

    def trades_wanted(self) -> list[str]:
        """Return the symbols of whose trades some are to be asked for."""
        return [symbol for symbol, lanes in self._lanes.items() if lanes.trades.is_held]

    def trades_missing(self, symbol: str) -> Hole | None:
        """Return which trades are missing before those that are held; None where none are held."""
        return self._lanes[symbol].trades.hole

    def release_trades(self, symbol: str, found: Sequence[Traded], recv_ns: int) -> int:
        """Deliver trades of the past, in their order, and those that the stream said meanwhile; it goes on.

        Returns
        -------
        int
            How many of the past were news.
        """
        self._recv_ns = max(self._recv_ns, recv_ns)
        lanes = self._lanes[symbol]
        held = lanes.trades.release()
        shown = sum(self._show_trade(lanes, trade) for trade in found)
        for trade in held:
            self._show_trade(lanes, trade)
        return shown

    def _show_trade(self, lanes: Lanes, trade: Traded) -> bool:
        try:
            return self._deliver(lanes.number, Kind.TRADE, lanes.trades.show(trade))
        except DataInvalid:
            self._figures.unreadable += 1
            return False

    @property
    def has_events(self) -> bool:
        """Whether `drain` would return any."""
        return bool(self._buffer)

    def drain(self) -> EventBatch:
        """Return the events since the last call; they belong to the caller."""
        taken, self._buffer = self._buffer, bytearray()
        return np.frombuffer(taken, self._dtype)

    def _is_next(self, message: Numbered) -> bool:
        """Tell whether a message is news; a hole before it breaks the stream."""
        before, self._number = self._number, max(self._number, message.number)
        if before >= 0 and message.number > before + 1:
            raise StreamBroken(f"{message.number - before - 1} messages are missing before number {message.number}")
        self._figures.repeated += message.number <= before
        return message.number > before

    def _said(self, lanes: Lanes, message: Traded | Quoted | Candle | BookChanged | BookShown) -> None:
        if isinstance(message, Traded):
            event = lanes.trades.take(message)
            if event is not None or not lanes.trades.is_held:
                self._deliver(lanes.number, Kind.TRADE, event)
            elif lanes.trades.is_full:
                self.release_trades(message.symbol, (), self._recv_ns)
        elif isinstance(message, Quoted):
            self._deliver(lanes.number, Kind.QUOTE, lanes.quotes.take(message, self._recv_ns))
        elif isinstance(message, Candle):
            event = lanes.bars.take(message)
            if event is not None or (message.is_closed and not lanes.bars.is_held):
                self._deliver(lanes.number, Kind.BAR, event)
        else:
            self._book(lanes, message)

    def _book(self, lanes: Lanes, message: BookChanged | BookShown) -> None:
        was_whole, book = lanes.book.is_whole, lanes.book
        try:
            event = book.take(message) if isinstance(message, BookChanged) else book.show(message)
        except DataInvalid as problem:
            book.lose()
            if not self._asks:
                raise StreamBroken(f"the book of {message.symbol} cannot be read: {problem}") from None
            raise
        finally:
            if was_whole and not book.is_whole:
                self._cut(lanes.number, Kind.BOOK)
        if not book.is_whole and not self._asks and (was_whole or isinstance(message, BookShown)):
            raise StreamBroken(f"the book of {message.symbol} cannot be followed any more")
        if event is not None or (was_whole and book.is_whole):
            self._deliver(lanes.number, Kind.BOOK, event)

    def _deliver(self, number: int, kind: Kind, event: Event | None) -> bool:
        """Write an event, after a gap if it misses some; nothing is news that was known already."""
        if event is None:
            self._figures.repeated += 1
            return False
        self._cut_off.discard((number, kind))
        if event.missed != 0.0:
            self._figures.losses += 1
            self._gap(number, kind, Gap.LOST, event.missed)
        self._write(number, kind, event.ts_event_ns, event.reference, event.values)
        return True

    def _cut(self, number: int, kind: Kind) -> None:
        """Tell once that a lane is cut off, until something comes of it."""
        if (number, kind) not in self._cut_off:
            self._cut_off.add((number, kind))
            self._gap(number, kind, Gap.CUT, math.nan)

    def _gap(self, number: int, kind: Kind, cause: Gap, missed: float) -> None:
        self._write(number, Kind.GAP, self._recv_ns, 0, (float(cause), float(kind), missed))

    def _write(self, number: int, kind: Kind, ts_event_ns: int, reference: int, values: tuple[float, ...]) -> None:
        self._figures.events += 1
        count = len(values)
        self._buffer += self._packers[count].pack(ts_event_ns, self._recv_ns, reference, number, kind, 0, 0, *values)
        self._buffer += self._padding[count]


def _lanes(
    listed: Listed, period_ns: int, levels: int, known: Mapping[Kind, Known | None], trades_asked_max: int
) -> Lanes:
    grid = TickGrid(listed.instrument.tick)
    return Lanes(
        number=listed.number,
        trades=TradeLane(grid, known[Kind.TRADE], trades_asked_max),
        quotes=QuoteLane(grid, known[Kind.QUOTE]),
        bars=BarLane(grid, period_ns, known[Kind.BAR]),
        book=BookLane(grid, levels, known[Kind.BOOK]),
    )
