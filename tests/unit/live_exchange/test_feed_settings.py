"""What `[feed]` may say, how long the pauses are, how clocks are compared, and what `doctor` finds."""

import asyncio
import itertools

import numpy as np
import pytest
from exchange_desk import book_news, feed_settings, make_feed

from tradeworthy.apps.commands.doctor import examine
from tradeworthy.apps.commands.settings import load_settings
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.exchange.figures import WINDOW_NS, Figures, Timing
from tradeworthy.live.feeds.exchange.pauses import Pauses
from tradeworthy.live.feeds.exchange.settings import FeedSettings
from tradeworthy.testing.exchange.script import bars_news
from tradeworthy.testing.exchange.server import Exchange, serving
from tradeworthy.testing.projects import write_project


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"symbols": {}}, "name what to follow"),
        ({"channels": ()}, "name what to follow"),
        ({"symbols": {"A": "X", "B": "X"}}, "the same market twice"),
        ({"silence_s_max": 0.0}, "silence_s_max is 0.0, allowed is a positive number"),
        ({"open_s_max": float("nan")}, "open_s_max is nan"),
        ({"retry_s_min": 2.0, "retry_s_max": 1.0}, "allowed is at least 2.0"),
        ({"book_levels": 11}, "allowed is 1 to 10"),
        ({"period": "soon"}, "period is 'soon'"),
        ({"url": "https://example.org"}, "begins with wss://"),
        ({"url": "ws://example.org/stream"}, "for this machine only"),
        ({"snapshot_url": "http://example.org"}, "for this machine only"),
        ({"snapshot_url": "file:///etc/passwd"}, "begins with https://"),
    ],
)
def test_a_section_that_could_not_be_followed_is_refused(changed, said):
    """The message says what was found and what is allowed."""
    with pytest.raises(ValueError, match=said):
        feed_settings(**changed)


def test_the_public_addresses_are_the_dialects():
    """Encrypted, and in place unless others are named."""
    for dialect in ("binance", "coinbase"):
        settings = FeedSettings(kind="exchange", dialect=dialect, symbols={"ETH": "X"})
        assert settings.stream_url.startswith("wss://")
        assert settings.history_url.startswith("https://")
        assert dialect in type(settings.speaker()).__name__.lower()


def test_without_the_section_files_are_traded():
    """A project of before needs nothing new."""
    assert FeedSettings().kind == "files"


def test_an_instrument_that_the_desk_lacks_is_refused(tmp_path):
    """With the nearest one that it has."""
    folder = write_project(tmp_path / "project", bars=50)
    with (folder / "tradeworthy.toml").open("a", encoding="utf-8") as file:
        file.write('\n[feed]\nkind = "exchange"\nsymbols = { ABD = "ABCUSDT" }\n')
    with pytest.raises(SettingsInvalid, match=r"\[feed\] symbols: instrument 'ABD' is not declared \(near: 'ABC'\)"):
        load_settings(folder)


def test_pauses_double_up_to_the_longest_and_are_drawn():
    """Between half and the whole of each; the same seed pauses alike, another one otherwise."""
    drawn = [[Pauses(0.5, 8.0, np.random.default_rng(seed)).next_s() for _ in range(1)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    pauses = Pauses(0.5, 8.0, np.random.default_rng(3))
    found = [pauses.next_s() for _ in range(200)]
    for wait_s, whole_s in zip(found, itertools.chain([0.5, 1.0, 2.0, 4.0], itertools.repeat(8.0)), strict=False):
        assert 0.5 * whole_s <= wait_s <= whole_s
    pauses.reset()
    assert pauses.next_s() <= 0.5


def test_offset_and_lag_are_told_apart():
    """An exchange 2 s ahead over a way of 20 ms: the offset is 2 s, a message held up by 300 ms is 300 ms later."""
    figures = Figures()
    timing = Timing(figures)
    timing.answered(0, 40 * NS_PER_MS)
    ahead_ns, way_ns = 2 * NS_PER_S, 20 * NS_PER_MS
    for second in range(1, 30):
        at_ns = second * NS_PER_S
        timing.heard(at_ns + ahead_ns, at_ns + way_ns, at_ns)
    assert figures.clock_offset_ms == pytest.approx(2_000.0)
    assert figures.lag_ms == pytest.approx(20.0)
    timing.heard(31 * NS_PER_S + ahead_ns, 31 * NS_PER_S + way_ns + 300 * NS_PER_MS, 31 * NS_PER_S)
    assert figures.lag_ms == figures.lag_ms_max == pytest.approx(320.0)
    assert figures.clock_offset_ms == pytest.approx(2_000.0)


def test_a_clock_that_drifts_is_followed_within_two_windows():
    """What was the least once does not rule for ever."""
    figures = Figures()
    timing = Timing(figures)
    timing.heard(NS_PER_S, NS_PER_S, NS_PER_S)
    for at_ns in range(2 * NS_PER_S, 3 * WINDOW_NS, NS_PER_S):
        timing.heard(at_ns - 500 * NS_PER_MS, at_ns, at_ns)
    assert figures.clock_offset_ms == pytest.approx(-500.0)


def test_a_mistake_of_whoever_takes_the_events_ends_the_feed_with_it():
    """An error in the socket's own call is raised where the feed is read, not swallowed."""

    def refuse(_: object) -> None:
        raise ZeroDivisionError("no")

    async def run() -> None:
        exchange = Exchange(book_news(30), pace_s=0.01)
        await exchange.open()
        playing = asyncio.create_task(exchange.play())
        feed = make_feed(feed_settings(port=exchange.port), deliver=refuse)
        try:
            async for _ in feed.events():
                pass
        finally:
            playing.cancel()
            await exchange.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(run(), 20.0))


def project_with_feed(tmp_path, port):
    folder = write_project(tmp_path / "project", bars=50)
    with (folder / "tradeworthy.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[feed]\nkind = "exchange"\nurl = "ws://127.0.0.1:{port}/stream"\nsymbols = {{ ABC = "ABCUSDT" }}\n'
            'period = "1s"\n'
        )
    return folder


def feed_item(folder):
    return next(item for item in examine(folder).items if item.name == "feed")


def test_doctor_says_that_the_exchange_answers(tmp_path):
    """It connects, hears the first news and compares clocks: these bars are of years ago."""
    news = bars_news("ABCUSDT", [300.0] * 200, start_ns=1_700_000_000 * NS_PER_S, period_ns=NS_PER_S)
    with serving(Exchange(news, pace_s=0.02)) as exchange:
        item = feed_item(project_with_feed(tmp_path, exchange.port))
    assert not item.ok
    assert "connected" in item.found
    assert "ahead of ours" in item.found
    assert item.advice == "synchronise this machine's clock"


def test_doctor_says_that_nobody_answers_and_that_a_symbol_is_refused(tmp_path):
    """Each in words, with what to do."""
    with serving(Exchange(book_news(5), refuses=True)) as exchange:
        refused = feed_item(project_with_feed(tmp_path, exchange.port))
    assert (refused.ok, refused.advice) == (False, "mend [feed]")
    assert "Invalid request" in refused.found
    gone = feed_item(tmp_path / "project")
    assert not gone.ok
    assert "cannot be reached" in gone.found
