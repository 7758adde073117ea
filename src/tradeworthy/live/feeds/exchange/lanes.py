"""What a feed knows of each lane (one instrument, one kind of event): what came last, and what may come next.

Idea:   whether something is missing is told by identity, not by time: trades and changes of a book are counted by the
        exchange, a bar begins where the one before closed. So a short cut that lost nothing costs nothing.
Flow:   each `take` answers with the events to deliver, a count of missing ones (NaN where nobody can know) before them.
State:  after a restart, what the tape holds last of the lane.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_S
from tradeworthy.live.feeds.exchange.book import Book, Level
from tradeworthy.live.feeds.exchange.exact import TickGrid, size_of
from tradeworthy.live.feeds.exchange.messages import BookChanged, BookShown, Candle, Hole, Quoted, TextLevels, Traded

WAITING_MAX = 10_000
"""Changes of a book that are kept while its snapshot is on the way, and trades while those before them are."""


class Event(NamedTuple):
    """One event to deliver; `missed` are lost just before it."""

    ts_event_ns: int
    reference: int
    values: tuple[float, ...]
    missed: float = 0.0


class Known(NamedTuple):
    """The last event of a lane on the tape."""

    ts_event_ns: int
    reference: int


class StreamBroken(Exception):
    """The stream cannot be followed any more: connect anew. Said by lanes, heard by the feed."""


class TradeLane:
    """Trades, counted by the exchange without holes.

    A hole of at most `asked_max` is kept open, and what follows it held, until `release`: they are being asked for.
    """

    def __init__(self, grid: TickGrid, known: Known | None, asked_max: int) -> None:
        self._grid, self._asked_max = grid, asked_max
        self._last = known or Known(0, 0)
        self._held: list[Traded] = []

    @property
    def is_held(self) -> bool:
        """Whether what comes is kept."""
        return bool(self._held)

    @property
    def is_full(self) -> bool:
        """Whether no more can be kept."""
        return len(self._held) >= WAITING_MAX

    @property
    def hole(self) -> Hole | None:
        """What is missing before what is held."""
        if not self._held:
            return None
        first, last = self._held[0], self._last
        return Hole(last.reference, last.ts_event_ns, first.number, first.ts_event_ns)

    def take(self, said: Traded) -> Event | None:
        """Return the trade, unless it or a later one came already, or it is held."""
        missed = said.number - self._last.reference - 1
        if self._held or (self._last.reference and 0 < missed <= self._asked_max):
            if missed >= 0:
                self._held.append(said)
            return None
        return self.show(said)

    def show(self, said: Traded) -> Event | None:
        """Return a trade, held ones or not, unless it or a later one came already."""
        before = self._last.reference
        if said.number <= before:
            return None
        values = (self._grid.price(self._grid.ticks(said.price)), size_of(said.size), said.side)
        self._last = Known(said.ts_event_ns, said.number)
        return Event(said.ts_event_ns, said.number, values, float(said.number - before - 1 if before else 0))

    def release(self) -> list[Traded]:
        """Return what was kept, and keep no more."""
        held, self._held = self._held, []
        return sorted(held, key=lambda said: said.number)

    def cut(self) -> None:
        """Take in that nobody listens any more: what was held is missing too, and found so by what comes next."""
        self._held = []


class QuoteLane:
    """Best quotes: each replaces the one before, but those that changed while nobody listened are lost."""

    def __init__(self, grid: TickGrid, known: Known | None) -> None:
        self._grid, self._last, self._missed = grid, 0, math.nan if known else 0.0

    def take(self, said: Quoted, recv_ns: int) -> Event | None:
        """Return the quote, unless a later one came already; where the exchange gives no time, ours counts."""
        if said.number <= self._last:
            return None
        missed, self._missed = self._missed, math.nan  # this one too, if it cannot be read
        prices = (self._grid.price(self._grid.ticks(text)) for text in (said.bid, said.ask))
        values = (*prices, size_of(said.bid_size), size_of(said.ask_size))
        self._missed, self._last = 0.0, said.number
        return Event(said.ts_event_ns or recv_ns, said.number, values, missed)

    def cut(self) -> None:
        """Take in that nobody listens any more."""
        self._last, self._missed = 0, math.nan


class BarLane:
    """Bars, delivered when they are closed: because the exchange says so or, where it never says, by a later one."""

    def __init__(self, grid: TickGrid, period_ns: int, known: Known | None) -> None:
        self._grid, self._period_ns = grid, period_ns
        self.closed_ns = known.ts_event_ns if known else 0
        self._growing: Candle | None = None
        self._held: list[Candle] | None = None

    def hold(self) -> None:
        """Keep what comes, until `release`: bars before it are being asked for."""
        self._held = []

    @property
    def is_held(self) -> bool:
        """Whether what comes is kept."""
        return self._held is not None

    def release(self) -> list[Candle]:
        """Return what was kept, to be taken again, and keep no more."""
        held, self._held = self._held or [], None
        return held

    def show(self, bar: Candle) -> Event | None:
        """Return a bar of the past, unless it or a later one came already."""
        self._check(bar)
        return self._close(bar)

    def take(self, said: Candle) -> Event | None:
        """Return the bar that this message closes, if any."""
        self._check(said)
        if self._held is not None:
            self._held.append(said)
            return None
        if said.is_closed is not None:
            return self._close(said) if said.is_closed else None
        before, is_older = self._growing, self._growing is not None and said.open_ns < self._growing.open_ns
        if said.open_ns < self.closed_ns or is_older:
            return None
        self._growing = said
        return self._close(before) if before is not None and before.open_ns < said.open_ns else None

    def _check(self, said: Candle) -> None:
        if said.close_ns - said.open_ns != self._period_ns:
            found_s, wanted_s = (said.close_ns - said.open_ns) / NS_PER_S, self._period_ns / NS_PER_S
            raise DataInvalid(f"a bar of {found_s:g} s, {wanted_s:g} expected")

    def _close(self, bar: Candle) -> Event | None:
        if bar.close_ns <= self.closed_ns:
            return None
        prices = (self._grid.price(self._grid.ticks(text)) for text in (bar.open, bar.high, bar.low, bar.close))
        values = (*prices, size_of(bar.volume))
        missed = (bar.open_ns - self.closed_ns) / self._period_ns if self.closed_ns else 0.0
        self.closed_ns = bar.close_ns
        return Event(bar.close_ns, 0, values, max(missed, 0.0))

    def cut(self) -> None:
        """Take in that nobody listens any more: what was growing is not known to be whole."""
        self._growing = self._held = None


class BookLane:
    """A book: whole from a snapshot, then changed without holes; nothing is delivered unless it is both."""

    def __init__(self, grid: TickGrid, levels: int, known: Known | None) -> None:
        self._grid, self._levels = grid, levels
        self._book, self._last, self._waiting = Book(), 0, list[BookChanged]()
        self._missed = math.nan if known else 0.0
        self.is_whole = False

    @property
    def waits(self) -> bool:
        """Whether changes have come that a whole book has to be shown for."""
        return bool(self._waiting)

    def take(self, said: BookChanged) -> Event | None:
        """Return the changed book; nothing while it waits for a snapshot, or where the change is known already.

        Raises
        ------
        DataInvalid
            A level cannot be read.
        """
        if not self.is_whole:
            self._wait(said)
            return None
        if said.first and said.last <= self._last:
            return None
        if said.first > self._last + 1:
            self.lose()
            self._wait(said)
            return None
        self._apply(said)
        return self._event(said.ts_event_ns)

    def show(self, said: BookShown) -> Event | None:
        """Begin from a whole book and the changes that came while it was on its way.

        Nothing is returned, and the book stays as it is, if the snapshot is older than the first of them; nor if the
        exchange does not say when the book was so, until a change that fits shows that it is not an old one.
        """
        waiting = [change for change in self._waiting if change.last > said.last]
        if waiting and waiting[0].first > said.last + 1:
            return None
        self._book.replace(self._read(said.bids), self._read(said.asks))
        self._last, self.is_whole, self._waiting = said.last, True, []
        ts_event_ns = said.ts_event_ns
        for change in waiting:
            self._apply(change)
            ts_event_ns = change.ts_event_ns
        return self._event(ts_event_ns) if ts_event_ns else None

    def lose(self) -> None:
        """Take in that the book is not known any more: a change is missing, or nobody listens."""
        self.is_whole, self._missed, self._waiting = False, math.nan, []

    def _wait(self, said: BookChanged) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise StreamBroken(f"no whole book of {said.symbol} within {WAITING_MAX} changes")
        last = self._waiting[-1].last if self._waiting else 0
        if said.first > last + 1:
            self._waiting.clear()  # a hole: only what follows it can be used
        if said.last > last:
            self._waiting.append(said)

    def _apply(self, said: BookChanged) -> None:
        bids, asks = self._read(said.bids), self._read(said.asks)
        self._book.change(bids, asks)
        self._last = said.last

    def _read(self, levels: TextLevels) -> list[Level]:
        return [(self._grid.ticks(price), size_of(size)) for price, size in levels]

    def _event(self, ts_event_ns: int) -> Event | None:
        if not self._book.is_sound:
            self.lose()
            return None
        bids, asks = self._book.top(self._levels)
        missed, self._missed = self._missed, 0.0
        return Event(ts_event_ns, self._last, tuple(self._values(bids, asks)), missed)

    def _values(self, bids: list[Level], asks: list[Level]) -> Iterable[float]:
        price = self._grid.price
        for level in range(max(len(bids), len(asks))):
            bid = bids[level] if level < len(bids) else None
            ask = asks[level] if level < len(asks) else None
            yield price(bid[0]) if bid else math.nan
            yield price(ask[0]) if ask else math.nan
            yield bid[1] if bid else 0.0
            yield ask[1] if ask else 0.0
