"""Trades that were missed, asked for where their numbers have a hole: whole, once, in order; or told as lost."""

import asyncio

import pytest
from exchange_desk import DIALECTS, feed_settings, make_feed, make_market, opened, read

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.time import NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import WAITING_MAX, Known
from tradeworthy.live.feeds.exchange.messages import Hole, Traded
from tradeworthy.testing.exchange.script import News, writer
from tradeworthy.testing.exchange.server import Exchange

START_NS = 1_700_000_000 * NS_PER_S
PACE_S = 0.005


def trades(count, step_ms=100):
    """Return trades, `step_ms` apart, of prices and sizes that tell which is which."""
    return [
        News(
            "trade",
            "ETHUSDT",
            START_NS + n * step_ms * NS_PER_MS,
            n,
            (f"{300 + n / 100:.2f}", f"{n}.5"),
            side=1 - 2 * (n % 2),
        )
        for n in range(1, count + 1)
    ]


def follow(news, dialect, *, said=0, known=None, settings=None, **exchange: object):
    """Return the events up to the last trade, the feed and the exchange."""

    async def run() -> object:
        at_work = Exchange(news, dialect, pace_s=PACE_S, waits=True, **exchange)
        at_work.said = said
        async with opened(at_work):
            words = {"channels": ("trade",), "backfill_trades": 100_000, **(settings or {})}
            feed = make_feed(feed_settings(dialect, port=at_work.port, **words), known=known)
            return await read(feed, until=lambda events: numbers(events)[-1:] == [news[-1].number]), feed, at_work

    return asyncio.run(run())


def of_trades(events):
    """Return the trades among events."""
    return [event for event in events if event["kind"] == Kind.TRADE]


def numbers(events):
    """Return the numbers of the trades delivered, in order."""
    return [int(event["reference"]) for event in of_trades(events)]


def lost(events):
    """Return how many trades each loss misses."""
    gaps = [event["values"] for event in events if event["kind"] == Kind.GAP]
    return [float(missed) for cause, _, missed in (values[:3] for values in gaps) if cause == Gap.LOST]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["cut", "half", "drop"])
def test_a_cut_or_a_message_that_got_lost_loses_no_trade(dialect, wrong):
    """Every trade once, in order, with its own time, price, size and side; only the cut is told."""
    news = trades(60)
    events, feed, _ = follow(news, dialect, faults={20: wrong, 21: wrong, 40: wrong})
    assert numbers(events) == [each.number for each in news]
    assert lost(events) == []
    assert feed.figures.backfilled >= 1
    for event, each in zip(of_trades(events), news, strict=True):
        assert event["ts_event_ns"] == each.ts_ns
        assert event["values"][:3].tolist() == [float(each.texts[0]), float(each.texts[1]), each.side]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_after_a_restart_what_the_tape_lacks_comes_page_by_page(dialect):
    """Two and a half thousand trades in pages of a thousand at most, from the tape's last one on."""
    news = trades(2_600)
    known = {(0, Kind.TRADE): Known(news[49].ts_ns, 50)}
    events, feed, exchange = follow(news, dialect, said=2_590, known=known)
    assert numbers(events) == list(range(51, 2_601))
    assert lost(events) == []
    assert (exchange.histories >= 3, feed.figures.backfilled >= 2_540) == (True, True)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["429", "500", "malformed", "wrong type", "empty"])
def test_an_answer_in_error_is_asked_for_again(dialect, wrong):
    """Too many requests, a failure, half an answer, none of what is missing: asked again, and nothing is lost."""
    news = trades(40)
    known = {(0, Kind.TRADE): Known(news[9].ts_ns, 10)}
    events, feed, exchange = follow(news, dialect, said=30, known=known, answers=[wrong, wrong])
    assert numbers(events) == list(range(11, 41))
    assert lost(events) == []
    assert exchange.histories >= 3
    assert "the trades of ETHUSDT did not come" in feed.figures.said


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("wrong", ["shuffled", "twice", "hole"])
def test_pages_in_disorder_that_overlap_or_have_holes_are_put_together(dialect, wrong):
    """Each trade counts once, by its number; what a page lacks is asked for again."""
    news = trades(1_500)
    known = {(0, Kind.TRADE): Known(news[9].ts_ns, 10)}
    events, *_ = follow(news, dialect, said=1_490, known=known, answers=[wrong, wrong])
    assert numbers(events) == list(range(11, 1_501))
    assert lost(events) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hole_larger_than_wanted_is_told_as_lost_at_once(dialect):
    """Nobody is asked; the stream goes on with the count of what is missing."""
    news = trades(40)
    known = {(0, Kind.TRADE): Known(news[9].ts_ns, 10)}
    events, _, exchange = follow(news, dialect, said=30, known=known, settings={"backfill_trades": 19})
    assert lost(events) == [20.0]
    assert numbers(events) == list(range(31, 41))
    assert exchange.histories == 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_exchange_that_never_shows_them_holds_the_stream_for_so_long_and_no_longer(dialect):
    """What was held follows then, and the loss is told before it."""
    news = trades(40)
    known = {(0, Kind.TRADE): Known(news[9].ts_ns, 10)}
    settings = {"backfill_s_max": 0.3}
    events, feed, _ = follow(news, dialect, said=30, known=known, answers=["500"] * 10_000, settings=settings)
    assert lost(events) == [20.0]
    assert numbers(events) == list(range(31, 41))
    assert feed.figures.backfilled == 0


def test_more_trades_in_a_second_than_a_page_holds_are_told_as_lost_where_only_time_can_be_asked_for():
    """Coinbase shows the newest thousand of whole seconds: those of a second before that never come."""
    news = trades(1_300, step_ms=0)
    known = {(0, Kind.TRADE): Known(news[0].ts_ns, 1)}
    events, *_ = follow(news, "coinbase", said=1_290, known=known, settings={"backfill_s_max": 0.5})
    assert sum(lost(events)) == 1_300 - 1 - len(numbers(events))
    assert numbers(events) == sorted(set(numbers(events)))
    assert numbers(events)[-10:] == list(range(1_291, 1_301))


def test_a_first_start_asks_for_no_trade():
    """Where the tape has none there is no hole."""
    news = trades(40)
    events, _, exchange = follow(news, "binance", said=20)
    assert (numbers(events), exchange.histories) == (list(range(21, 41)), 0)


# -- the market alone --------------------------------------------------------------------------------------------------


def said(number, price="300.00"):
    """Return a trade as the stream says it."""
    return Traded("ETHUSDT", START_NS + number, number, price, "1.0", 1.0)


def market_after(number, **changed: object):
    """Return a market whose tape ends with a trade, and its figures."""
    settings, figures = feed_settings(channels=("trade",), backfill_trades=100_000, **changed), Figures()
    known = {(0, Kind.TRADE): Known(START_NS + number, number)}
    return make_market(settings.speaker(), settings, known, figures), figures


def test_trades_behind_a_hole_wait_for_those_in_it():
    """Nothing is delivered until what is missing was shown; late and repeated ones count once."""
    market, figures = market_after(10)
    market.take([said(14), said(15), said(14), said(9)], START_NS)
    assert not market.has_events
    assert market.trades_wanted() == ["ETHUSDT"]
    assert market.trades_missing("ETHUSDT") == Hole(10, START_NS + 10, 14, START_NS + 14)
    assert market.release_trades("ETHUSDT", [said(number) for number in (11, 12, 13, 14)], START_NS) == 4
    events = market.drain()
    assert (numbers(events), lost(events)) == ([11, 12, 13, 14, 15], [])
    assert (market.trades_wanted(), market.trades_missing("ETHUSDT")) == ([], None)
    market.take([said(16)], START_NS)
    assert numbers(market.drain()) == [16]
    assert figures.unreadable == 0


def test_a_trade_of_the_past_that_cannot_be_read_is_lost_and_counted():
    """A price that is no number: those around it are delivered, with the loss of one between."""
    market, figures = market_after(10)
    market.take([said(14)], START_NS)
    assert market.release_trades("ETHUSDT", [said(11), said(12, "many"), said(13)], START_NS) == 2
    events = market.drain()
    assert (numbers(events), lost(events), figures.unreadable) == ([11, 13, 14], [1.0], 1)


def test_a_cut_forgets_what_was_held_and_the_next_trade_shows_the_whole_hole():
    """They are missing like the others; nothing is delivered out of its order."""
    market, _ = market_after(10)
    market.take([said(14), said(15)], START_NS)
    market.cut(START_NS)
    assert numbers(market.drain()) == []
    market.take([said(20)], START_NS)
    assert market.trades_missing("ETHUSDT") == Hole(10, START_NS + 10, 20, START_NS + 20)


def test_no_more_is_held_than_there_is_room_for():
    """An exchange that shows nothing while much is traded: the loss is told, and the stream goes on."""
    market, _ = market_after(10)
    market.take([said(12 + place) for place in range(WAITING_MAX + 5)], START_NS)
    events = market.drain()
    assert lost(events) == [1.0]
    assert len(numbers(events)) == WAITING_MAX + 5
    assert market.trades_wanted() == []


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ((), (10, 20)),
        ((11, 12), (12, 20)),
        ((19, 18), (10, 18)),
        ((11, 15, 19), (11, 19)),
        (range(11, 20), (19, 20)),
    ],
)
def test_a_hole_shrinks_from_both_ends(found, left):
    """With the times of what bounds it; what was found in its middle stays in it."""
    hole = Hole(10, START_NS + 10, 20, START_NS + 20).without({number: said(number) for number in found})
    assert (hole.after, hole.before) == left
    assert (hole.after_ns, hole.before_ns) == (START_NS + left[0], START_NS + left[1])
    assert hole.missing == left[1] - left[0] - 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[[]]", b"\xff", b'{"trades": [{"trade_id": "x"}]}', b"[" * 10_000, b"null"]
)
def test_an_answer_that_holds_no_trades_cannot_be_read(dialect, raw):
    """Whatever comes in the place of trades is one typed error."""
    with pytest.raises(DataInvalid, match="the trades of ETHUSDT cannot be read"):
        feed_settings(dialect).speaker().read_trades("ETHUSDT", raw)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_was_asked_for_reads_as_what_the_stream_says(dialect):
    """Number, time, price, size and side are the same, however a trade came."""
    news, speaker = trades(5), feed_settings(dialect).speaker()
    hole = Hole(0, START_NS, 6, START_NS + NS_PER_S)
    shown = speaker.read_trades("ETHUSDT", writer(dialect).trades(speaker.trades_path("ETHUSDT", hole), news))
    told = [
        message
        for place, each in enumerate(news)
        for message in speaker.read(writer(dialect).news(each, place, each.ts_ns))
        if isinstance(message, Traded)
    ]
    assert sorted(shown, key=lambda trade: trade.number) == told


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ({}, 9),
        ({"url": "", "snapshot_url": ""}, 9),
        ({"snapshot_url": ""}, 0),  # a stream of one's own, and nobody knows where its past is
        ({"backfill_trades": 0}, 0),
        ({"channels": ("bar",)}, 0),
    ],
)
def test_trades_are_never_asked_of_another_market(words, asked):
    """A stream that leads elsewhere has its past elsewhere too, or none."""
    assert feed_settings(**{"channels": ("trade",), "backfill_trades": 9, **words}).trades_asked_max == asked
