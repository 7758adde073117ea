"""Bars of the past, asked for at the start and after a cut: whole, once, in order; or told as lost."""

import asyncio
import time

import numpy as np
import pytest
from exchange_desk import DIALECTS, feed_settings, make_feed, make_market, opened, read

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_MS, NS_PER_S, VirtualClock
from tradeworthy.live.feeds.exchange.backfill import Backfill
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import Known
from tradeworthy.live.feeds.exchange.pauses import Pauses
from tradeworthy.testing.exchange.script import bars_news, writer
from tradeworthy.testing.exchange.server import Exchange

PACE_S = 0.01


def bars(count, dialect="binance"):
    """Return bars of which the last closed a period ago at least."""
    period_ns = (5 if dialect == "coinbase" else 1) * NS_PER_MINUTE
    start_ns = (time.time_ns() // period_ns - count - 1) * period_ns
    return bars_news("ETHUSDT", [300.0 + n / 10 for n in range(count)], start_ns=start_ns, period_ns=period_ns)


def lost(events):
    """Return how many events each loss misses."""
    gaps = events[events["kind"] == Kind.GAP]["values"]
    return gaps[gaps[:, 0] == Gap.LOST, 2].tolist()


def follow(news, dialect="binance", *, said=0, known=None, dial=None, settings=None, **exchange: object):
    """Return the events up to the last bar that a dialect tells, the feed and the exchange."""
    last_ns = news[-1].ts_ns

    def done(events) -> bool:
        return events[-1]["kind"] == Kind.BAR and events[-1]["ts_event_ns"] >= last_ns

    async def run() -> object:
        at_work = Exchange(news, dialect, pace_s=PACE_S, waits=True, **exchange)
        at_work.said = said
        async with opened(at_work):
            words = {"channels": ("bar",), "backfill_bars": 500, **(settings or {})}
            feed = make_feed(feed_settings(dialect, port=at_work.port, **words), known=known)
            if dial is not None:
                feed._backfill._dial = dial
            return await read(feed, until=done, seconds=60.0), feed, at_work

    return asyncio.run(run())


def closes(events):
    """Return the closes of the bars delivered."""
    return events[events["kind"] == Kind.BAR]["ts_event_ns"].tolist()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_feed_that_starts_brings_what_was_before_it(dialect):
    """Thirty bars that closed before anybody listened come first, then those of the stream; nothing is lost."""
    news = bars(40, dialect)
    events, feed, _ = follow(news, dialect, said=30)
    assert closes(events) == [each.ts_ns for each in news]
    assert lost(events) == []
    assert feed.figures.backfilled >= 30
    assert feed.figures.unreadable == 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_after_a_restart_only_what_the_tape_lacks_comes(dialect):
    """The tape's last bar is where it goes on, without a gap."""
    news = bars(40, dialect)
    events, *_ = follow(news, dialect, said=30, known={(0, Kind.BAR): Known(news[9].ts_ns, 0)})
    assert closes(events) == [each.ts_ns for each in news[10:]]
    assert lost(events) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["cut", "half"])
def test_a_cut_loses_no_bar(dialect, wrong):
    """What closed while nobody listened is asked for: every bar once, in order, and only the cut is told."""
    news = bars(60, dialect)
    events, feed, _ = follow(news, dialect, faults={20: wrong, 40: wrong})
    assert closes(events) == [each.ts_ns for each in news]
    assert lost(events) == []
    assert feed.figures.cuts >= 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["429", "500", "malformed", "wrong type"])
def test_an_answer_in_error_is_asked_for_again(dialect, wrong):
    """Too many requests, a failure, half an answer: asked again after a pause, and nothing is lost."""
    news = bars(40, dialect)
    events, feed, exchange = follow(news, dialect, said=30, answers=[wrong, wrong])
    assert closes(events) == [each.ts_ns for each in news]
    assert exchange.histories >= 3
    assert "the bars of ETHUSDT did not come" in feed.figures.said


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_exchange_that_asks_for_silence_is_left_alone_for_so_long(dialect):
    """After 429 with Retry-After nobody asks before that time is over, however short the pauses; nothing is lost."""
    news, begun_ns = bars(40, dialect), time.monotonic_ns()
    events, feed, exchange = follow(news, dialect, said=30, answers=["429"], retry_after="1")
    assert closes(events) == [each.ts_ns for each in news]
    assert (feed.figures.silenced, exchange.histories >= 2) == (1, True)
    assert time.monotonic_ns() - begun_ns >= NS_PER_S


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["shuffled", "twice"])
def test_an_answer_in_disorder_is_put_in_order(dialect, wrong):
    """Bars in any order, or each of them again, are each delivered once, as they closed."""
    news = bars(40, dialect)
    events, *_ = follow(news, dialect, said=30, answers=[wrong])
    assert closes(events) == [each.ts_ns for each in news]
    assert lost(events) == []


def test_what_the_answer_lacks_is_told_as_lost():
    """A bar that the exchange does not show is a loss of one, just before the next."""
    news = bars(40)
    events, *_ = follow(news, said=30, answers=["hole"])
    assert lost(events) == [1.0]
    assert len(closes(events)) == 39


def test_an_exchange_that_shows_nothing_is_believed_and_the_loss_is_told():
    """After an empty answer the stream goes on, with the count of what is missing."""
    news = bars(40)
    events, *_ = follow(news, said=30, known={(0, Kind.BAR): Known(news[9].ts_ns, 0)}, answers=["empty"])
    assert len(lost(events)) == 1
    assert lost(events)[0] >= 20.0
    assert closes(events)[-1] == news[-1].ts_ns


class Silent:
    """An address at which nobody ever answers."""

    async def fetch(self, _):
        await asyncio.Event().wait()


def test_an_exchange_that_never_answers_holds_the_stream_for_so_long_and_no_longer():
    """What was held follows then, and the loss is told before it."""
    news = bars(40)
    known = {(0, Kind.BAR): Known(news[9].ts_ns, 0)}
    short = {"backfill_s_max": 0.3, "open_s_max": 0.1}
    events, feed, _ = follow(news, said=20, known=known, dial=Silent(), settings=short)
    assert lost(events) == [10.0]
    assert closes(events) == [each.ts_ns for each in news[20:]]
    assert feed.figures.backfilled == 0


def test_a_feed_that_wants_no_past_asks_for_none():
    """With `backfill_bars = 0` nobody is asked."""
    news = bars(20)
    events, _, exchange = follow(news, said=10, settings={"backfill_bars": 0})
    assert exchange.histories == 0
    assert closes(events) == [each.ts_ns for each in news[10:]]


# -- one backfill alone, on a clock that stands ------------------------------------------------------------------------


class Past:
    """An exchange's answers, from bars that it has, and the one that grows."""

    def __init__(self, news, dialect="binance") -> None:
        self.news, self.writer, self.asked = news, writer(dialect), []

    async def fetch(self, url):
        self.asked.append(url)
        return self.writer.history(url, self.news)


def filled(past, now_ns, *, backfill_bars=500, known=None, dialect="binance"):
    """Run a backfill to its end; return the events and the figures."""
    settings = feed_settings(dialect, channels=("bar",), backfill_bars=backfill_bars)
    speaker, figures, failures = settings.speaker(), Figures(), []

    async def run() -> object:
        market = make_market(speaker, settings, known, figures)
        backfill = Backfill(
            settings,
            market,
            dialect=speaker,
            dial=past,
            clock=VirtualClock(now_ns),
            figures=figures,
            pauses=Pauses(0.01, 0.02, np.random.default_rng(1)),
            hand_over=lambda: None,
            failed=failures.append,
            sleep=asyncio.sleep,
        )
        backfill.hold()
        backfill.ask()
        backfill.ask()
        await backfill.ended()
        return market.drain() if market.has_events else np.zeros(0, market.drain().dtype)

    events = asyncio.run(run())
    assert failures == []
    return events, figures


START_NS = 1_700_000_040 * NS_PER_S // NS_PER_MINUTE * NS_PER_MINUTE


def past_bars(count, period_ns=NS_PER_MINUTE):
    """Return bars from `START_NS` on."""
    return bars_news("ETHUSDT", [300.0 + n / 100 for n in range(count)], start_ns=START_NS, period_ns=period_ns)


@pytest.mark.parametrize(("count", "pages"), [(999, 1), (1_000, 1), (2_500, 3)])
def test_many_bars_come_page_by_page(count, pages):
    """An answer that does not reach the present is followed by another request, from where it ended."""
    past = Past(past_bars(count))
    events, figures = filled(past, START_NS + count * NS_PER_MINUTE + 30 * NS_PER_S, backfill_bars=count + 1)
    assert closes(events) == [each.ts_ns for each in past.news]
    assert (len(past.asked), figures.backfilled) == (pages, count)


def test_coinbase_pages_end_where_they_say():
    """Eight hundred bars of five minutes come in three answers of at most 350."""
    past = Past(past_bars(800, 5 * NS_PER_MINUTE), "coinbase")
    now_ns = past.news[-1].ts_ns + 30 * NS_PER_S
    events, _ = filled(past, now_ns, backfill_bars=801, dialect="coinbase")
    assert closes(events) == [each.ts_ns for each in past.news]
    assert len(past.asked) == 3


def test_no_more_than_wanted_is_asked_for():
    """Of a hundred bars, the last ten and the one that began before; with more missing, the loss is told first."""
    past = Past(past_bars(100))
    now_ns = past.news[-1].ts_ns + 5 * NS_PER_S
    events, _ = filled(past, now_ns, backfill_bars=10)
    assert closes(events) == [each.ts_ns for each in past.news[-9:]]
    events, _ = filled(past, now_ns, backfill_bars=10, known={(0, Kind.BAR): Known(past.news[49].ts_ns, 0)})
    assert lost(events) == [41.0]
    assert len(closes(events)) == 9


@pytest.mark.parametrize(("after_ms", "whole"), [(-500, False), (0, False), (1_999, False), (2_000, True)])
def test_a_bar_that_may_still_grow_is_not_delivered(after_ms, whole):
    """The newest bar counts as closed two seconds after its end; until then a later one has to be there."""
    past = Past(past_bars(10))
    events, _ = filled(past, past.news[-1].ts_ns + after_ms * NS_PER_MS)
    assert closes(events) == [each.ts_ns for each in past.news[: 10 if whole else 9]]


def test_nothing_is_asked_for_where_nothing_can_be_missing():
    """Half a period after the last bar that is known, there is none to ask for."""
    past = Past(past_bars(10))
    events, _ = filled(past, past.news[-1].ts_ns + 30 * NS_PER_S, known={(0, Kind.BAR): Known(past.news[-1].ts_ns, 0)})
    assert (len(events), past.asked) == (0, [])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[[]]", b"\xff", b'{"candles": [{"start": "x"}]}', b"[" * 10_000, b"null"]
)
def test_an_answer_that_holds_no_bars_cannot_be_read(dialect, raw):
    """Whatever comes in the place of bars is one typed error."""
    with pytest.raises(DataInvalid, match="the bars of ETHUSDT cannot be read"):
        feed_settings(dialect).speaker().read_bars("ETHUSDT", raw, NS_PER_MINUTE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backfill_bars", -1),
        ("backfill_bars", 100_001),
        ("backfill_trades", -1),
        ("backfill_trades", 100_001),
        ("backfill_s_max", 0.0),
    ],
)
def test_settings_that_could_not_be_followed_are_refused(name, value):
    """The message names the key, what was found and what is allowed."""
    with pytest.raises(ValueError, match=rf"feed {name} is {value}, allowed is "):
        feed_settings(**{name: value})


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ({}, True),
        ({"url": "", "snapshot_url": ""}, True),
        ({"snapshot_url": ""}, False),  # a stream of one's own, and nobody knows where its past is
        ({"backfill_bars": 0}, False),
        ({"channels": ("trade",)}, False),
    ],
)
def test_the_past_is_never_asked_of_another_market(words, asks):
    """A stream that leads elsewhere has its past elsewhere too, or none."""
    settings = feed_settings(**{"channels": ("bar",), "backfill_bars": 9, **words})
    assert settings.bars_asked_max == (9 if asks else 0)
