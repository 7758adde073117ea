"""A look at a live feed before it is relied on: whether the exchange answers, and whether the clocks agree."""

import asyncio
from pathlib import Path

from tradeworthy.apps.commands.settings import Settings
from tradeworthy.apps.feed.trading import make_feed
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import SystemClock
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed

ANSWER_WITHIN_S = 5.0
LOOK_EVERY_S = 0.05
OFFSET_MS_MAX = 1_000.0


def look_at_feed(folder: Path, settings: Settings) -> tuple[bool, str, str]:
    """Connect, wait for the first news, and return whether all is well, what was found, and what to do.

    A quiet market has no news for a while: an open connection that refuses nothing is well too.
    """
    try:
        return asyncio.run(_look(folder, settings))
    except TradeworthyError as error:
        return False, str(error), "mend [feed]"


async def _look(folder: Path, settings: Settings) -> tuple[bool, str, str]:
    feed = make_feed(folder, settings, SystemClock())
    reading = asyncio.create_task(_read(feed))
    for _ in range(int(ANSWER_WITHIN_S / LOOK_EVERY_S)):
        await asyncio.sleep(LOOK_EVERY_S)
        if reading.done() or feed.figures.clock_offset_ms is not None:
            break
    figures = feed.figures
    found, connected = figures.words(), figures.connected
    feed.close()
    await reading
    if not connected:
        return False, found, "look at [feed] url, the network, and whether the exchange is up"
    offset_ms = figures.clock_offset_ms
    if offset_ms is not None and abs(offset_ms) > OFFSET_MS_MAX:
        return False, f"{found}; its clock is {offset_ms:.0f} ms ahead of ours", "synchronise this machine's clock"
    return True, found, ""


async def _read(feed: ExchangeFeed) -> None:
    """Read until somebody closes the feed."""
    async for _ in feed.events():
        pass
