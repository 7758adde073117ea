"""Prepared events arrive as if they were live."""

import asyncio
import math

import numpy as np
import pytest

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.live.feeds.replay import ReplayFeed


class HandClock:
    """A clock that a fake sleep moves."""

    def __init__(self, now_ns=1_000 * NS_PER_S) -> None:
        self.now = now_ns
        self.slept = []

    def now_ns(self):
        return self.now

    def monotonic_ns(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * NS_PER_S)


def trades(n, recv_late_ns=0):
    times = np.arange(1, n + 1, dtype=np.int64) * 10
    columns = {"price": np.arange(1.0, n + 1), "size": np.ones(n), "side": np.zeros(n)}
    return events_from_columns(Kind.TRADE, 0, times, columns, ts_recv_ns=times + recv_late_ns)


async def collect(feed, stop_after=None):
    batches = []
    async for batch in feed.events():
        batches.append(batch)
        if stop_after is not None and sum(map(len, batches)) >= stop_after:
            feed.close()
    return batches


def test_every_event_arrives_once_in_order():
    """As fast as possible, batches hold all events in order, none above the maximum."""
    events = trades(1_000)
    batches = asyncio.run(collect(ReplayFeed(events, clock=VirtualClock(), batch_max=64)))
    assert max(map(len, batches)) == 64
    assert np.concatenate(batches)["values"].tobytes() == events["values"].tobytes()


def test_a_virtual_clock_moves_with_the_events():
    """Under a virtual clock the arrival is the recorded one, and the clock stands at the last."""
    clock = VirtualClock()
    batches = asyncio.run(collect(ReplayFeed(trades(5, recv_late_ns=3), clock=clock, batch_max=2)))
    assert np.concatenate(batches)["ts_recv_ns"].tolist() == [13, 23, 33, 43, 53]
    assert clock.now_ns() == 53


def test_a_virtual_clock_that_is_ahead_is_never_put_back():
    """Events before the clock arrive now, not in the past."""
    clock = VirtualClock(25)
    batches = asyncio.run(collect(ReplayFeed(trades(4), clock=clock, batch_max=9)))
    assert batches[0]["ts_recv_ns"].tolist() == [25, 25, 30, 40]


def test_a_live_clock_stamps_the_arrival():
    """Under a running clock the arrival is the time of delivery; the event time stays."""
    clock = HandClock()
    batches = asyncio.run(collect(ReplayFeed(trades(3), clock=clock, sleep=clock.sleep)))
    assert batches[0]["ts_recv_ns"].tolist() == [clock.now] * 3
    assert batches[0]["ts_event_ns"].tolist() == [10, 20, 30]


def test_the_pace_is_kept():
    """A hundred events at ten a second take ten seconds, less the one that is due at once."""
    clock = HandClock()
    start = clock.now
    asyncio.run(collect(ReplayFeed(trades(100), clock=clock, pace=lambda: 10.0, sleep=clock.sleep)))
    assert (clock.now - start) / NS_PER_S == pytest.approx(9.9, abs=0.05)


def test_the_pace_can_be_turned_while_events_flow():
    """A pause delivers nothing, and what was missed in it is not made up for at once."""
    clock = HandClock()
    asked = []

    def pace() -> float:
        asked.append(None)
        return 0.0 if len(asked) < 50 else math.inf

    batches = asyncio.run(collect(ReplayFeed(trades(500), clock=clock, pace=pace, sleep=clock.sleep, batch_max=50)))
    assert [len(batch) for batch in batches[:2]] == [1, 50]
    assert clock.now - 1_000 * NS_PER_S >= 0.9 * NS_PER_S


def test_a_slow_reader_gets_at_most_a_batch():
    """After a long stop of the reader, what is due is at most one batch, so memory stays bounded."""
    clock = HandClock()

    async def read_slowly() -> list:
        sizes = []
        async for batch in ReplayFeed(
            trades(100), clock=clock, pace=lambda: 1_000.0, sleep=clock.sleep, batch_max=8
        ).events():
            sizes.append(len(batch))
            clock.now += NS_PER_S
        return sizes

    sizes = asyncio.run(read_slowly())
    assert max(sizes) == 8
    assert sum(sizes) == 100


def test_closing_ends_after_the_batch_in_hand():
    """No batch comes after `close`, and the position tells how far the feed got."""
    feed = ReplayFeed(trades(100), clock=VirtualClock(), batch_max=10)
    batches = asyncio.run(collect(feed, stop_after=25))
    assert (sum(map(len, batches)), feed.position, len(feed)) == (30, 30, 100)


def test_the_source_is_never_changed():
    """Stamping the arrival happens in copies."""
    events = trades(10)
    before = events.tobytes()
    for batch in asyncio.run(collect(ReplayFeed(events, clock=VirtualClock(10**6)))):
        batch["values"] = 0.0
    assert events.tobytes() == before


@pytest.mark.parametrize("rate", [-1.0, math.nan])
def test_an_impossible_pace_is_refused(rate):
    """A pace below zero, or none at all, is the caller's mistake, named."""
    clock = HandClock()
    with pytest.raises(SettingsInvalid, match="zero \\(paused\\) or more"):
        asyncio.run(collect(ReplayFeed(trades(1), clock=clock, pace=lambda: rate, sleep=clock.sleep)))


def test_bad_arguments_are_refused():
    """A batch of none and an array of two dimensions are refused."""
    with pytest.raises(SettingsInvalid, match="batch_max is 0"):
        ReplayFeed(trades(1), clock=VirtualClock(), batch_max=0)
    with pytest.raises(DataInvalid, match="2 dimensions"):
        ReplayFeed(trades(4).reshape(2, 2), clock=VirtualClock())


def test_no_events_end_at_once():
    """An empty array is a feed that ends."""
    assert asyncio.run(collect(ReplayFeed(trades(0), clock=VirtualClock()))) == []
