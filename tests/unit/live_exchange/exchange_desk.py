"""A feed on a local exchange, in one loop, for tests: what it delivers, and what it counts."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from tradeworthy.apps.feed.sockets import Sockets
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_MS, NS_PER_S, SystemClock
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.market import Listed, Market
from tradeworthy.live.feeds.exchange.messages import ShowsBooks
from tradeworthy.live.feeds.exchange.settings import FeedSettings
from tradeworthy.testing.exchange.script import bars_news, walk_book
from tradeworthy.testing.exchange.server import Exchange

START_NS = 1_700_000_000 * NS_PER_S
DIALECTS = ("binance", "coinbase")
ETH = Instrument(symbol="ETH")


def book_news(changes, seed=1):
    """Return a walk of one book, a change every 100 ms."""
    rng = np.random.default_rng(seed)
    return walk_book("ETHUSDT", changes, rng, start_ns=START_NS, step_ns=100 * NS_PER_MS)


def bars_of_minutes(count):
    """Return bars of a minute, one after the other."""
    return bars_news("ETHUSDT", [300.0 + n / 10 for n in range(count)], start_ns=START_NS, period_ns=NS_PER_MINUTE)


def make_sockets(**changed: object):
    """Return what makes connections."""
    return Sockets(**{"bytes_max": 1_000_000, "timeout_s": 30.0, **changed})


def make_market(dialect, settings, known=None, figures=None):
    """Return a market of ETH alone."""
    return Market(
        [Listed(0, ETH, "ETHUSDT")],
        settings.channels,
        period_ns=settings.period_ns,
        levels=settings.book_levels,
        figures=figures or Figures(),
        known=known,
        asks=isinstance(dialect, ShowsBooks),
        trades_asked_max=settings.trades_asked_max,
    )


def feed_settings(dialect="binance", *, port=1, channels=("book",), tls=False, **changed: object):
    scheme, secure = ("https", "wss") if tls else ("http", "ws")
    period = "5m" if dialect == "coinbase" else "1m"
    told = {
        "kind": "exchange",
        "dialect": dialect,
        "url": f"{secure}://127.0.0.1:{port}/stream",
        "snapshot_url": f"{scheme}://127.0.0.1:{port}",
        "symbols": {"ETH": "ETHUSDT"},
        "channels": tuple(channels),
        "period": period,
        "retry_s_min": 0.01,
        "retry_s_max": 0.05,
        "silence_s_max": 60.0,
        "backfill_bars": 0,
        "backfill_trades": 0,
    }
    return FeedSettings(**{**told, **changed})


def make_feed(settings, *, known=None, authority=None, seed=1, deliver=None, **other: object):
    dialect, figures = settings.speaker(), Figures()
    return ExchangeFeed(
        settings,
        make_market(dialect, settings, known, figures),
        dialect=dialect,
        dial=other.pop("dial", Sockets(bytes_max=settings.message_bytes_max, timeout_s=5.0, authority=authority)),
        clock=SystemClock(),
        figures=figures,
        rng=np.random.default_rng(seed),
        deliver=deliver,
        **other,
    )


@asynccontextmanager
async def opened(exchange, port=0):
    """Run an exchange for a while."""
    await exchange.open(port)
    playing = asyncio.create_task(exchange.play())
    try:
        yield exchange
    finally:
        playing.cancel()
        await exchange.close()


async def read(feed, *, until, seconds=60.0):
    """Return the events that a feed delivers until a condition on them holds."""
    events = []

    async def drain() -> None:
        async for batch in feed.events():
            events.extend(batch)
            if until(events):
                feed.close()

    await asyncio.wait_for(drain(), seconds)
    return np.array(events)


def follow(news, dialect="binance", *, channels=("book",), until=None, known=None, seconds=60.0, **wrong: object):
    """Return the events of a feed that follows an exchange to the end of its news, the feed and the exchange."""
    changed = wrong.pop("settings", {})
    last = news[-1].ts_ns
    done = until or (lambda events: events[-1]["kind"] != Kind.GAP and events[-1]["ts_event_ns"] >= last)

    async def run() -> tuple[np.ndarray, ExchangeFeed, Exchange]:
        async with opened(Exchange(news, dialect, waits=True, **wrong)) as exchange:
            feed = make_feed(feed_settings(dialect, port=exchange.port, channels=channels, **changed), known=known)
            return await read(feed, until=done, seconds=seconds), feed, exchange

    return asyncio.run(run())


def gaps(events):
    """Return cause and kind of every gap."""
    found = events[events["kind"] == Kind.GAP]
    return [(int(cause), int(kind)) for cause, kind in found["values"][:, :2]]
