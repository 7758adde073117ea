"""Bars and trades that nobody heard, asked for over HTTPS, before the stream goes on.

Idea:   a bar is a bar, whether it came on the stream or was asked for: it is delivered as an event, with its own close
        and our time of arrival, so it is on the tape and replays; so is a trade. What the stream says meanwhile is
        held, and follows; what is said twice is known by its close or number.
Flow:   connected → hold bars → the first message, so that the stream has what comes from here on → ask, page by page,
        until nothing is missing → deliver → let go of what was held. Trades are held where their numbers have a hole.
Failure: an answer that does not come, or cannot be read, is asked for again, no sooner than the exchange allows, until
        `backfill_s_max` is over; then what was held is let go, and what is still missing is told as lost, as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.market import Market
from tradeworthy.live.feeds.exchange.messages import ShowsPast, Traded
from tradeworthy.live.feeds.exchange.pauses import Fetch, Pauses
from tradeworthy.live.feeds.exchange.settings import FeedSettings

SETTLED_NS = 2 * NS_PER_S
"""A bar that closed this long ago is believed to be closed; a younger one only if a later one is there."""

Sleep = Callable[[float], Awaitable[None]]


class Backfill:
    """Asks for the bars and trades that one feed has missed.

    Parameters
    ----------
    settings : FeedSettings
    market : Market
        Knows what is missing, and delivers.
    dialect : ShowsPast
    dial : Fetch
    clock : Clock
    figures : Figures
        Counted in.
    pauses : Pauses
        Between attempts in vain.
    hand_over : callable
        Gives the engine what the market has delivered.
    failed : callable
        Told of an error that nobody expected.
    sleep : callable
        How to wait, in seconds.
    """

    def __init__(
        self,
        settings: FeedSettings,
        market: Market,
        *,
        dialect: ShowsPast,
        dial: Fetch,
        clock: Clock,
        figures: Figures,
        pauses: Pauses,
        hand_over: Callable[[], None],
        failed: Callable[[BaseException], None],
        sleep: Sleep,
    ) -> None:
        self._settings, self._market, self._dialect, self._dial = settings, market, dialect, dial
        self._clock, self._figures, self._pauses, self._sleep = clock, figures, pauses, sleep
        self._hand_over, self._failed = hand_over, failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: list[str] = []

    def hold(self) -> None:
        """Hold back bars, where they are asked for; call it when connected, before anything is heard."""
        self._waiting = self._market.hold_bars() if self._settings.bars_asked_max else []

    def ask(self) -> None:
        """Ask for the bars and trades before those that are held; call it when something was heard."""
        waiting, self._waiting = self._waiting, []
        for symbol in waiting:
            self._begin(f"bars of {symbol}", self._fill_bars(symbol))
        for symbol in self._market.trades_wanted():
            if (what := f"trades of {symbol}") not in self._tasks:
                self._begin(what, self._fill_trades(symbol))

    def _begin(self, what: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[what] = task = asyncio.create_task(work)
        task.add_done_callback(partial(self._done, what))

    def cancel(self) -> None:
        """Ask no more: the connection is gone, and what was held with it."""
        self._waiting = []
        for task in self._tasks.values():
            task.cancel()

    async def ended(self) -> None:
        """Return when nothing is asked for any more."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _done(self, what: str, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(what) is task:
            del self._tasks[what]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)

    async def _until_whole(self, what: str, page: Callable[[], Awaitable[bool]]) -> None:
        """Ask for page after page, until one says that nothing is missing or the time is over."""
        clock = self._clock
        until_ns = clock.monotonic_ns() + int(self._settings.backfill_s_max * NS_PER_S)
        while clock.monotonic_ns() < until_ns:
            try:
                if await page():
                    return
            except (OSError, TimeoutError, DataInvalid) as problem:
                self._figures.said = f"the {what} did not come: {problem or 'no answer in time'}"
                left_s = (until_ns - clock.monotonic_ns()) / NS_PER_S
                await self._sleep(min(self._pauses.next_s(problem), max(left_s, 0.0)))

    async def _fetch(self, path: str) -> bytes:
        url = self._settings.history_url.rstrip("/") + path
        return await asyncio.wait_for(self._dial.fetch(url), self._settings.open_s_max)

    # -- trades --------------------------------------------------------------------------------------------------

    async def _fill_trades(self, symbol: str) -> None:
        """Ask for the trades of a hole; then the stream goes on."""
        found: dict[int, Traded] = {}
        await self._until_whole(f"trades of {symbol}", partial(self._ask_for_trades, symbol, found))
        trades = [found[number] for number in sorted(found)]
        self._figures.backfilled += self._market.release_trades(symbol, trades, self._clock.now_ns())
        self._hand_over()

    async def _ask_for_trades(self, symbol: str, found: dict[int, Traded]) -> bool:
        """Ask for a page of trades and keep those that are missing; say whether all are there."""
        missing = self._market.trades_missing(symbol)
        if missing is None or (hole := missing.without(found)).missing == 0:
            return True
        shown = self._dialect.read_trades(symbol, await self._fetch(self._dialect.trades_path(symbol, hole)))
        new = {each.number: each for each in shown if hole.after < each.number < hole.before}
        if not new.keys() - found.keys():
            raise DataInvalid(f"of {hole.missing} that are missing none was among {len(shown)}")
        found |= new
        self._pauses.reset()
        return False

    # -- bars ----------------------------------------------------------------------------------------------------

    async def _fill_bars(self, symbol: str) -> None:
        """Ask for bars from the last that is known on; then the stream goes on."""
        settings, clock = self._settings, self._clock
        from_ns = clock.now_ns() - settings.backfill_bars * settings.period_ns
        from_ns = max(from_ns, self._market.bars_closed_ns(symbol))

        async def page() -> bool:
            nonlocal from_ns
            if clock.now_ns() - from_ns < settings.period_ns:
                return True
            from_ns = await self._ask_for_bars(symbol, from_ns)
            return False

        await self._until_whole(f"bars of {symbol}", page)
        self._market.release_bars(symbol, clock.now_ns())
        self._hand_over()

    async def _ask_for_bars(self, symbol: str, from_ns: int) -> int:
        """Ask for a page of bars and deliver it; return from when on the next is to be asked for."""
        settings, now_ns = self._settings, self._clock.now_ns()
        raw = await self._fetch(self._dialect.bars_path(symbol, settings.period_ns, from_ns))
        shown = sorted(self._dialect.read_bars(symbol, raw, settings.period_ns), key=lambda bar: bar.open_ns)
        closed_before_ns = max(now_ns - SETTLED_NS, shown[-1].open_ns if shown else 0)
        closed = [bar for bar in shown if bar.close_ns <= closed_before_ns]
        self._figures.backfilled += self._market.show_bars(symbol, closed, self._clock.now_ns())
        self._pauses.reset()
        self._hand_over()
        return max(from_ns + self._dialect.bars_max * settings.period_ns, self._market.bars_closed_ns(symbol))
