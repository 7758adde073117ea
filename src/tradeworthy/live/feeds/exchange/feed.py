"""A feed from an exchange's public stream: connected as long as it can be, and honest while it is not.

Flow:   connect → subscribe → messages become events as they come → cut off, silent or broken → gaps are told → a
        pause → connect anew. While the engine is busy, messages wait in the socket.
Speed:  whoever gives `deliver` has the events within the socket's own call: a turn of the loop costs more than to read
        a message. Then `events()` brings none, and only keeps the connection.
I/O:    a `Dial` owns sockets and hands every message to `heard`; nothing here knows of a network.
Time:   stamps from the clock, durations from its monotonic time; pauses are drawn from the generator given.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from tradeworthy.core.errors import DataInvalid, FeedRefused
from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.feeds.exchange.backfill import Backfill
from tradeworthy.live.feeds.exchange.figures import Figures, Timing
from tradeworthy.live.feeds.exchange.lanes import StreamBroken
from tradeworthy.live.feeds.exchange.market import Market
from tradeworthy.live.feeds.exchange.messages import Dialect, Refused, ShowsBooks, ShowsPast, Wanted, sent_ns
from tradeworthy.live.feeds.exchange.pauses import Asking, Pauses
from tradeworthy.live.feeds.exchange.settings import FeedSettings

LOOKS = 8
"""How often, within the longest silence allowed, the stream is looked at and pinged."""


class Hearer(Protocol):
    """Who hears a connection."""

    def heard(self, raw: bytes) -> None:
        """Take a whole message."""

    def answered(self) -> None:
        """Take in that the last ping was answered."""

    def ended(self, why: str) -> None:
        """Take in that the connection is no more."""


class Line(Protocol):
    """One open connection."""

    def send(self, raw: bytes) -> None:
        """Send a message."""

    def ping(self) -> None:
        """Ask whether anybody is there."""

    def close(self) -> None:
        """End it; nothing is heard of it any more, and calling it again changes nothing."""


class Dial(Protocol):
    """How connections are made; both raise `OSError` where they cannot be."""

    async def open(self, url: str, hearer: Hearer) -> Line:
        """Connect."""

    async def fetch(self, url: str) -> bytes:
        """Return what is there."""


class ExchangeFeed:
    """Brings an exchange's market events until it is closed.

    Parameters
    ----------
    settings : FeedSettings
    market : Market
        Turns messages into events.
    dialect : Dialect
        Reads messages.
    dial : Dial
        Makes connections.
    clock : Clock
        The machine's.
    figures : Figures
        Where it is counted; shared with `market`.
    rng : numpy Generator
        Draws pauses.
    deliver : callable, optional
        Takes events at once, such as `Engine.consume`; if left out, `events()` brings them.
    sleep : callable
        How to wait, in seconds.
    """

    def __init__(
        self,
        settings: FeedSettings,
        market: Market,
        *,
        dialect: Dialect,
        dial: Dial,
        clock: Clock,
        figures: Figures,
        rng: np.random.Generator,
        deliver: Callable[[EventBatch], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings, self._market, self._dialect, self._dial = settings, market, dialect, dial
        self._clock, self._sleep, self.figures, self._deliver = clock, sleep, figures, deliver
        self._asking = Asking(dial, clock, figures)
        self._shows_books = dialect if isinstance(dialect, ShowsBooks) else None
        self._timing = Timing(figures)
        self._pauses, self._book_pauses = (Pauses(settings.retry_s_min, settings.retry_s_max, rng) for _ in range(2))
        self._backfill = self._backfill_of(dialect, Pauses(settings.retry_s_min, settings.retry_s_max, rng))
        self._wake, self._ended, self._closed = asyncio.Event(), asyncio.Event(), False
        self._line: Line | None = None
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._heard_ns = self._pinged_ns = 0
        self._failure: BaseException | None = None

    def _backfill_of(self, dialect: Dialect, pauses: Pauses) -> Backfill | None:
        """Return what asks for bars and trades that were missed; None where they are not wanted."""
        wanted = self._settings.bars_asked_max or self._settings.trades_asked_max
        if not (wanted and isinstance(dialect, ShowsPast)):
            return None
        return Backfill(
            self._settings,
            self._market,
            dialect=dialect,
            dial=self._asking,
            clock=self._clock,
            figures=self.figures,
            pauses=pauses,
            hand_over=self._hand_over,
            failed=self._fail,
            sleep=self._sleep,
        )

    # -- for the engine ------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[EventBatch]:
        """Yield events as they come.

        Raises
        ------
        FeedRefused
            The exchange refused the subscription before it ever sent anything.
        """
        keeping = asyncio.create_task(self._keep_connected())
        keeping.add_done_callback(lambda _: self._wake.set())
        try:
            while not self._closed and not keeping.done():
                await self._wake.wait()
                self._wake.clear()
                if self._market.has_events and not self._closed:
                    yield self._market.drain()
            if keeping.done():
                keeping.result()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, *self._fetching.values(), return_exceptions=True)
            if self._backfill is not None:
                await self._backfill.ended()

    def close(self) -> None:
        """End `events()`; calling it again changes nothing."""
        self._closed = True
        self._wake.set()
        self._ended.set()

    # -- for the connection --------------------------------------------------------------------------------------

    def heard(self, raw: bytes) -> None:
        """Take a whole message to events; what still comes of a stream that is given up is not believed."""
        if self._ended.is_set():
            return
        figures, recv_ns, now_ns = self.figures, self._clock.now_ns(), self._clock.monotonic_ns()
        self._heard_ns = now_ns
        figures.messages += 1
        figures.bytes += len(raw)
        try:
            try:
                self._take(raw, recv_ns, now_ns)
            except DataInvalid:
                figures.unreadable += 1
            except StreamBroken as problem:
                self.ended(str(problem))
            if self._market.has_events:
                self._pauses.reset()
                self._hand_over()
            self._ask_for_books()
            if self._backfill is not None and not self._ended.is_set():
                self._backfill.ask()
        except Exception as error:  # noqa: BLE001  # a socket's callback has no caller: `events` raises it
            self._fail(error)

    def _hand_over(self) -> None:
        """Give the engine what there is: now, or in the loop's next turn."""
        if self._deliver is None:
            self._wake.set()
        elif self._market.has_events:
            self._deliver(self._market.drain())

    def _fail(self, error: BaseException) -> None:
        """End the feed with an error that `events` raises."""
        self._failure = error
        self.ended(f"{type(error).__name__}: {error}")

    def _take(self, raw: bytes, recv_ns: int, now_ns: int) -> None:
        messages = self._dialect.read(raw)
        if messages and (said_ns := sent_ns(messages[0])):
            self._timing.heard(said_ns, recv_ns, now_ns)
        self._market.take(messages, recv_ns)
        for message in messages:
            if isinstance(message, Refused):
                self._refused(message.said)

    def answered(self) -> None:
        """Take in that the last ping was answered."""
        self._timing.answered(self._pinged_ns, self._clock.monotonic_ns())

    def ended(self, why: str) -> None:
        """Take in that the connection is no more, or is of no use any more."""
        if not self._ended.is_set():
            self.figures.said = why
            self._ended.set()

    def _refused(self, said: str) -> None:
        if not self.figures.events:
            self._failure = FeedRefused(f"the exchange refused: {said}. Look at [feed] symbols and channels")
        self.ended(f"the exchange refused: {said}")

    # -- connections ---------------------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        """Connect, stay, connect anew, until closed or refused."""
        settings = self._settings
        wanted = Wanted(
            symbols=tuple(settings.symbols.values()), channels=tuple(settings.channels), period_ns=settings.period_ns
        )
        greeting = self._dialect.greeting(wanted)
        while not self._closed:
            try:
                self._ended.clear()
                line = await asyncio.wait_for(self._dial.open(settings.stream_url, self), settings.open_s_max)
            except (OSError, TimeoutError) as problem:
                self.figures.said = f"{settings.stream_url} cannot be reached: {problem or 'no answer in time'}"
            else:
                await self._stay(line, greeting)
            if self._failure is not None:
                raise self._failure
            if not self._closed:
                await self._sleep(self._pauses.next_s())

    async def _stay(self, line: Line, greeting: Sequence[bytes]) -> None:
        """Subscribe, and look after a connection until it ends."""
        figures, market = self.figures, self._market
        figures.connections += 1
        figures.connected = True
        self._heard_ns = self._clock.monotonic_ns()
        try:
            if self._backfill is not None:
                self._backfill.hold()
            for message in greeting:
                line.send(message)
            while not self._ended.is_set() and not self._closed:
                self._look(line)
                await _within(self._ended, self._settings.silence_s_max / LOOKS)
        finally:
            line.close()
            figures.connected = False
            for task in self._fetching.values():
                task.cancel()
            if self._backfill is not None:
                self._backfill.cancel()
            if not self._closed:
                figures.cuts += 1
                market.cut(self._clock.now_ns())
                self._hand_over()

    def _look(self, line: Line) -> None:
        """Give a silent stream up; ping the others."""
        self._pinged_ns = now_ns = self._clock.monotonic_ns()
        silent_s = (now_ns - self._heard_ns) / NS_PER_S
        if silent_s > self._settings.silence_s_max:
            self.ended(f"nothing came for {silent_s:.1f} s, allowed are {self._settings.silence_s_max:g}")
        else:
            line.ping()

    # -- books ---------------------------------------------------------------------------------------------------

    def _ask_for_books(self) -> None:
        """Ask for every whole book that is wanted and not on its way."""
        if self._shows_books is None or self._ended.is_set():
            return
        for symbol in self._market.books_wanted():
            if symbol not in self._fetching:
                task = asyncio.create_task(self._fetch(symbol, self._shows_books))
                self._fetching[symbol] = task
                task.add_done_callback(partial(self._fetched, symbol))

    def _fetched(self, symbol: str, task: "asyncio.Task[None]") -> None:
        self._fetching.pop(symbol, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    async def _fetch(self, symbol: str, dialect: ShowsBooks) -> None:
        """Ask for one whole book, after a pause if asking again."""
        url = self._settings.history_url.rstrip("/") + dialect.snapshot_path(symbol)
        self.figures.resyncs += 1
        pause_s = 0.0
        try:
            raw = await asyncio.wait_for(self._asking.fetch(url), self._settings.open_s_max)
            shown = dialect.read_snapshot(symbol, raw)
            self._market.take([shown], self._clock.now_ns())
            self._hand_over()
        except (OSError, TimeoutError, DataInvalid) as problem:
            self.figures.said = f"the book of {symbol} did not come: {problem or 'no answer in time'}"
            pause_s = self._book_pauses.next_s(problem)
        if symbol in self._market.books_wanted():
            await self._sleep(pause_s or self._book_pauses.next_s())
        else:
            self._book_pauses.reset()


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
