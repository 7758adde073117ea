"""A book that the feed delivers is the exchange's own at that change, whatever goes wrong on the way."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.exchange.binance import Binance
from tradeworthy.live.feeds.exchange.coinbase import Coinbase
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import StreamBroken
from tradeworthy.live.feeds.exchange.market import Listed, Market
from tradeworthy.testing.exchange.script import TrueBook, walk_book, writer
from tradeworthy.testing.exchange.server import spoilt

START_NS = 1_700_000_000 * NS_PER_S
CHANGES = 40
LEVELS = 5
WRONG = ["drop", "twice", "swap", "old", "malformed", "wrong type", "unknown", "crossed", "text", "cut"]
FAULTS = st.dictionaries(st.integers(1, CHANGES - 6), st.sampled_from(WRONG), max_size=12)
CALM = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Wire:
    """What stands between the exchange's book and the feed's: messages, answers over HTTP, reconnections."""

    def __init__(self, dialect, news, faults, delay, stale) -> None:
        self.news, self.faults, self.writer = news, faults, writer(dialect)
        self.dialect = Binance() if dialect == "binance" else Coinbase()
        self.asks = dialect == "binance"
        self.true, self.delay, self.stale = TrueBook(), delay, stale
        self.figures = Figures()
        listed = [Listed(0, Instrument(symbol="ETH"), "ETH")]
        self.market = Market(listed, ["book"], period_ns=NS_PER_S, levels=LEVELS, figures=self.figures, asks=self.asks)
        self.sequence, self.answers, self.held, self.sent = 0, [], [], []
        self.reference, self.events, self.connections = {}, [], 0

    def connect(self):
        self.connections += 1
        self.sequence = 0
        if not self.asks:
            self.say(self.writer.snapshot("ETH", self.true, 0, START_NS + (self.true.last - 1) * 100 * NS_PER_MS))

    def reconnect(self):
        self.market.cut(START_NS)
        self.answers, self.held, self.sent = [], [], []
        self.connect()

    def say(self, raw):
        try:
            self.market.take(self.dialect.read(raw), START_NS)
        except DataInvalid:
            self.figures.unreadable += 1
        except StreamBroken:
            self.reconnect()

    def step(self, place):
        """Let one change happen, tell it with its fault, and let answers arrive that are due."""
        news, wrong = self.news[place], self.faults.get(place)
        self.true.change(news)
        self.reference[news.ts_ns] = self.true.levels(LEVELS)
        if wrong == "cut":
            self.reconnect()
        self.sequence += 1
        raw = self.writer.news(news, self.sequence, news.ts_ns)
        held, self.held = self.held, []
        connection = self.connections
        for message in [*self.spoil(place, raw, wrong), *held]:
            if self.connections == connection:  # what was said belongs to its connection
                self.say(message)
        if self.connections == connection:
            self.sent.append(raw)
        self.answer(place)

    def spoil(self, place, raw, wrong):
        if wrong == "drop":
            return []
        if wrong == "twice":
            return [raw, raw]
        if wrong == "swap":
            self.held = [raw]
            return []
        if wrong == "old":
            return [raw, *self.sent[-3:-2]]
        if wrong == "unknown":
            self.sequence += 1
            return [spoilt(raw, wrong), self.writer.news(self.news[place], self.sequence, self.news[place].ts_ns)]
        return [raw] if wrong in (None, "cut") else [spoilt(raw, wrong)]

    def answer(self, place):
        """Answer requests for whole books, late; the first ones with an old book."""
        for due, raw in [each for each in self.answers if each[0] <= place]:
            self.answers.remove((due, raw))
            self.market.take([self.dialect.read_snapshot("ETH", raw)], START_NS)
        if self.market.books_wanted() and not self.answers:
            book = self.true
            if self.stale > 0:
                self.stale, book = self.stale - 1, TrueBook()
                for news in self.news[: max(place - 8, 1)]:
                    book.change(news)
            self.answers.append((place + self.delay, self.writer.snapshot("ETH", book, 0, 0)))

    def play(self):
        self.true.change(self.news[0])
        self.reference[self.news[0].ts_ns] = self.true.levels(LEVELS)
        self.connect()
        for place in range(1, len(self.news)):
            self.step(place)
            if self.market.has_events:
                self.events.extend(self.market.drain())
        return self.events


def delivered(event):
    """Return a delivered book as pairs of floats, best first."""
    quads = event["values"][: 4 * LEVELS].reshape(LEVELS, 4)
    bids = [(bid, size) for bid, _, size, _ in quads if not np.isnan(bid)]
    asks = [(ask, size) for _, ask, _, size in quads if not np.isnan(ask)]
    return bids, asks


def as_floats(levels):
    return [(float(price), float(size)) for price, size in levels]


@pytest.mark.parametrize("dialect", ["binance", "coinbase"])
@CALM
@given(seed=st.integers(0, 10**6), faults=FAULTS, delay=st.integers(0, 3), stale=st.integers(0, 2))
def test_every_delivered_book_is_the_exchanges_at_that_change(dialect, seed, faults, delay, stale):
    """Levels to the bit, in every dialect, under any sequence of faults; a gap is told before a book after a loss."""
    news = walk_book("ETH", CHANGES, np.random.default_rng(seed), start_ns=START_NS, step_ns=100 * NS_PER_MS)
    wire = Wire(dialect, news, faults, delay, stale)
    events = wire.play()
    known, last = True, 0
    for event in events:
        if event["kind"] == Kind.GAP:
            known = event["values"][0] == Gap.LOST
            continue
        assert known, "a book was delivered after a cut without saying that changes were lost"
        bids, asks = wire.reference[int(event["ts_event_ns"])]
        assert delivered(event) == (as_floats(bids), as_floats(asks))
        assert event["ts_event_ns"] >= last
        last = event["ts_event_ns"]


@pytest.mark.parametrize("dialect", ["binance", "coinbase"])
@CALM
@given(seed=st.integers(0, 10**6), faults=FAULTS, delay=st.integers(0, 2))
def test_after_the_last_fault_the_book_is_whole_again(dialect, seed, faults, delay):
    """Within a few changes the last one is delivered, exact."""
    news = walk_book("ETH", CHANGES + 10, np.random.default_rng(seed), start_ns=START_NS, step_ns=100 * NS_PER_MS)
    wire = Wire(dialect, news, faults, delay, 0)
    events = wire.play()
    bids, asks = wire.true.levels(LEVELS)
    assert events[-1]["kind"] == Kind.BOOK
    assert events[-1]["ts_event_ns"] == news[-1].ts_ns
    assert delivered(events[-1]) == (as_floats(bids), as_floats(asks))
