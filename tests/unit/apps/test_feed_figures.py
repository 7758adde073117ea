"""A live feed's figures are written beside the loop in which events are decided."""

import asyncio
import os
import threading
from types import SimpleNamespace

import msgspec

from tradeworthy.apps.feed import figures
from tradeworthy.apps.feed.trading import make_feed
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import SystemClock
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.settings import FeedSettings


def running_in(folder):
    """Return what of a run writes figures: a folder of the feed, and a feed that has not connected."""
    feed = FeedSettings(kind="exchange", symbols={"ABC": "ABCUSDT"})
    settings = SimpleNamespace(feed=feed, instrument=[Instrument(symbol="ABC")])
    project = SimpleNamespace(places=SimpleNamespace(feed=folder))
    return SimpleNamespace(project=project, feed=make_feed(folder, settings, SystemClock()))


async def release(path):
    """Let a writer of a pipe go on; return whether it was still waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        await asyncio.sleep(0.1)
        return bool(os.read(descriptor, 1 << 16))
    finally:
        os.close(descriptor)


async def come(path):
    """Wait until a file is there."""
    while not path.exists():  # noqa: ASYNC110  # a file tells nobody that it comes
        await asyncio.sleep(0.01)


def test_a_disk_that_hangs_holds_no_event_up(tmp_path):
    """While a write waits, the loop turns; when it goes on, both files are there."""
    folder = tmp_path / "feed"
    folder.mkdir()
    pipe = folder / f"{figures.FILE}.new"
    os.mkfifo(pipe)  # whoever opens it for writing waits until somebody reads
    rescue = threading.Timer(10.0, lambda: os.close(os.open(pipe, os.O_RDONLY)))  # of a loop that waits itself
    rescue.start()

    async def turn() -> None:
        running = running_in(folder)
        running.feed.figures.messages = 7
        writing = asyncio.create_task(figures.write_figures(running))
        await asyncio.sleep(0.1)
        assert not (folder / figures.JSON_FILE).exists()
        assert await release(pipe)
        rescue.cancel()
        await come(folder / figures.JSON_FILE)
        writing.cancel()

    asyncio.run(turn())
    assert msgspec.json.decode((folder / figures.JSON_FILE).read_bytes(), type=Figures).messages == 7


def test_figures_are_written_into_a_folder_that_is_not_there_yet(tmp_path):
    """The first run of a desk makes the folder."""
    folder = tmp_path / "state" / "feed"

    async def turn() -> None:
        writing = asyncio.create_task(figures.write_figures(running_in(folder)))
        await come(folder / figures.JSON_FILE)
        writing.cancel()

    asyncio.run(turn())
    assert (folder / figures.FILE).read_text("utf-8").startswith("# ")
