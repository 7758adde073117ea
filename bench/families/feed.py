"""A live feed: from an exchange's message in our hands to the decision on the tape, and messages read in bulk."""

import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop
from desks import BARS, SILENT, BenchDesk, desk, version_of
from harness import Aim, Report, Setting
from jobs import ETH, eth_bars
from measure import Floats, Samples, median_of, rates, ratio_of, times_us

from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import NS_PER_S, SystemClock
from tradeworthy.live.feeds.exchange.binance import Binance
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed, Hearer, Line
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.market import Listed, Market
from tradeworthy.live.feeds.exchange.settings import FeedSettings
from tradeworthy.testing.exchange.script import News, TrueBook, walk_book, writer

AIMS = {
    "feed_reaction_us_p50": Aim("us", "lower", 30.0),
    "feed_reaction_ratio": Aim("times", "lower", 2.5),
    "feed_bar_messages_per_s": Aim("messages/s", "higher", 100_000.0),
    "feed_book_messages_per_s": Aim("messages/s", "higher", 20_000.0),
}
WARM, CHANGES = 1_000, 2_000
SETTINGS = FeedSettings(kind="exchange", symbols={"ETH": "ETHUSDT"}, period="30m", silence_s_max=3_600.0)


class _Dial:
    """Nobody to talk to: the bench says what is heard."""

    async def open(self, url: str, hearer: Hearer) -> Line:
        """Connect to nobody."""
        del hearer
        raise ConnectionError(url)

    async def fetch(self, url: str) -> bytes:
        """Fetch nothing."""
        raise ConnectionError(url)


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    events = eth_bars(BARS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        version = version_of(folder / "versions", signal=SILENT)
        loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with desk(folder / "live", [version]) as live, desk(folder / "other", [version]) as other, loop as runner:
            taken = runner.run(_react(setting, live, other, events))
    _report_reaction(report, *taken)
    _report_bulk(setting, report, bar_messages(events[: CHANGES + 1]))


def bar_messages(events: EventBatch) -> list[bytes]:
    """Return bars as an exchange says them."""
    say, half_hour_ns, said = writer("binance"), SETTINGS.period_ns, []
    for number, event in enumerate(events, 1):
        opened, high, low, close, volume = event["values"][:5].tolist()
        prices = [f"{price:.2f}" for price in (opened, high, low, close)]
        stamp = int(event["ts_event_ns"])
        texts = (*prices, f"{volume:.8f}")
        news = News("bar", "ETHUSDT", stamp, number, texts, open_ns=stamp - half_hour_ns)
        said.append(say.news(news, number, stamp))
    return said


def _market(figures: Figures, width: int, channels: tuple[str, ...] = ("bar",)) -> Market:
    return Market(
        [Listed(0, ETH, "ETHUSDT")], channels, period_ns=SETTINGS.period_ns, levels=5, figures=figures, width=width
    )


async def _react(setting: Setting, live: BenchDesk, other: BenchDesk, events: EventBatch) -> tuple[Samples, Samples]:
    """Time messages through a feed and a desk, and in turn events that are ready through another."""
    messages, stamps = bar_messages(events), events["ts_event_ns"].tolist()
    figures = Figures()
    feed = ExchangeFeed(
        SETTINGS,
        _market(figures, live.engine.desk.config.width),
        dialect=Binance(),
        dial=_Dial(),
        clock=SystemClock(),
        figures=figures,
        rng=np.random.default_rng(setting.seed),
        deliver=live.engine.consume,
    )
    advance, heard, direct = live.clock.advance_to, feed.heard, other.consumer(events)

    def say(i: int) -> None:
        advance(stamps[i])
        heard(messages[i])

    times_us(say, WARM)
    times_us(direct, WARM)
    count, first = setting.count(1_000), WARM
    taken: list[Floats] = []
    ready: list[Floats] = []
    for _ in range(setting.repeats(9)):
        for call, kept in ((say, taken), (direct, ready)):
            kept.append(times_us(lambda i, call=call, first=first: call(first + i), count))  # type: ignore[misc]
        first += count
    if figures.unreadable or figures.events < first:
        raise RuntimeError(f"{first} messages were said; {figures}")
    return Samples(np.array(taken)), Samples(np.array(ready))


def _report_reaction(report: Report, fed: Samples, ready: Samples) -> None:
    floor = ready.quantile(0.5).value
    job = "one bar of Binance's words, parsed, checked, decided, on the tape"
    note = f"{job}; floor: the same desk is handed the event ready made"
    report.add("feed_reaction_us_p50", fed.quantile(0.5), floor=floor, note=note)
    report.add("feed_reaction_ratio", ratio_of(fed.medians, ready.medians), floor=1.0, note="to that floor, in turn")


def _report_bulk(setting: Setting, report: Report, bars: list[bytes]) -> None:
    rng = np.random.default_rng(setting.seed)
    news = walk_book("ETHUSDT", CHANGES, rng, start_ns=NS_PER_S, step_ns=NS_PER_S // 10)
    say, dialect = writer("binance"), Binance()
    changes = [say.news(each, each.number, each.ts_ns) for each in news]

    def read(messages: list[bytes], channels: tuple[str, ...], shown: bytes = b"") -> int:
        market = _market(Figures(), 20, channels)
        market.take(dialect.read(messages[0]), 0)
        if shown:
            market.take([dialect.read_snapshot("ETHUSDT", shown)], 0)
        for raw in messages[1:]:
            market.take(dialect.read(raw), 0)
        return len(market.drain())

    book = TrueBook()
    book.change(news[0])
    shown = say.snapshot("ETHUSDT", book, 0, 0)
    taken = rates(
        {"bar": lambda: read(bars[:CHANGES], ("bar",)), "book": lambda: read(changes, ("book",), shown)},
        repeats=setting.repeats(9),
        clock=time.process_time_ns,
    )
    note = "read, checked against what came before, as event records; a second is one of the processor's"
    report.add("feed_bar_messages_per_s", median_of(taken["bar"]), note=f"bars; {note}")
    changed = sum(len(each.bids) + len(each.asks) for each in news) / len(news)
    report.add(
        "feed_book_messages_per_s", median_of(taken["book"]), note=f"{changed:.0f} levels changed a message; {note}"
    )
