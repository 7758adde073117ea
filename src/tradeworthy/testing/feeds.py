"""What every feed promises, as checks that run on a feed of your own.

Idea:   a check takes a function that makes a fresh feed, because a feed is read once. Your feed should be short: the
        checks read it to its end.

>>> import numpy as np
>>> from tradeworthy.core.events import Kind, events_from_columns
>>> from tradeworthy.core.time import VirtualClock
>>> from tradeworthy.live.feeds.replay import ReplayFeed
>>> trade = {"price": [100.0], "size": [1.0], "side": [1.0]}
>>> events = events_from_columns(Kind.TRADE, 0, np.array([1]), trade)
>>> check_feed(lambda: ReplayFeed(events, clock=VirtualClock()), n_instruments=1)
"""

import asyncio
from collections.abc import Callable

import numpy as np

from tradeworthy.core.events import FIELDS, EventBatch, Kind, event_dtype
from tradeworthy.live.feeds.base import Feed
from tradeworthy.testing.contract import require

MakeFeed = Callable[[], Feed]
FeedCheck = Callable[[MakeFeed, int], None]

_KINDS = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW, Kind.OUTCOME, Kind.GAP)


async def _drain(feed: Feed, batches_max: int | None = None) -> list[EventBatch]:
    """Read a feed to its end, closing it after `batches_max` batches."""
    batches = []
    async for batch in feed.events():
        batches.append(batch)
        if batches_max is not None and len(batches) == batches_max:
            feed.close()
    return batches


def drain(feed: Feed) -> list[EventBatch]:
    """Return every batch of a feed that ends by itself."""
    return asyncio.run(_drain(feed))


def batches_are_event_records(make: MakeFeed, n_instruments: int) -> None:
    """Every batch is a non-empty, one-dimensional array of event records of one width."""
    del n_instruments
    batches = drain(make())
    require(batches, "a feed yields at least one batch before it ends")
    for batch in batches:
        require(isinstance(batch, np.ndarray) and batch.ndim == 1, "a batch is a one-dimensional array")
        require(len(batch), "a batch is not empty")
        require("values" in (batch.dtype.names or ()), f"a batch holds event records, found {batch.dtype}")
        width = batch.dtype["values"].shape[0]
        require(batch.dtype == event_dtype(width), "a batch has the record type of core.events.event_dtype")
        require(batch.dtype == batches[0].dtype, "all batches of a feed have one width")


def events_are_of_the_market(make: MakeFeed, n_instruments: int) -> None:
    """Every event is of a kind that feeds bring, of a known instrument, with an untouched frame and NaN padding."""
    for batch in drain(make()):
        require(np.isin(batch["kind"], _KINDS).all(), f"kinds are those of feeds, found {np.unique(batch['kind'])}")
        require((batch["instrument"] < n_instruments).all(), "an event's instrument is a place in the desk's list")
        for name in ("sequence", "crc", "epoch"):
            require((batch[name] == 0).all(), f"{name} belongs to the tape and is zero in a feed")
        for kind, fields in FIELDS.items():
            padding = batch["values"][batch["kind"] == kind, len(fields) :]
            require(np.isnan(padding).all(), f"values beyond the fields of a {kind.name.lower()} are NaN")


def arrival_never_goes_back(make: MakeFeed, n_instruments: int) -> None:
    """`ts_recv_ns` never goes back within or between batches, and no time is before 1970."""
    del n_instruments
    events = np.concatenate(drain(make()))
    require((np.diff(events["ts_recv_ns"]) >= 0).all(), "ts_recv_ns never goes back")
    require((events["ts_event_ns"] >= 0).all() and (events["ts_recv_ns"] >= 0).all(), "times are since 1970")


def batches_belong_to_the_reader(make: MakeFeed, n_instruments: int) -> None:
    """No batch changes when another is written into, nor does what a fresh feed brings."""
    del n_instruments

    async def spoil() -> list[EventBatch]:
        kept = []
        async for batch in make().events():
            kept.append(batch.copy())
            batch["values"] = -1.0
            batch["sequence"] = 7
        return kept

    spoiled = asyncio.run(spoil())
    fresh = drain(make())
    for batch in (*spoiled, *fresh):
        require((batch["sequence"] == 0).all(), "a batch belongs to the reader: writing into it changes no other")
    before, after = np.concatenate(spoiled)["values"], np.concatenate(fresh)["values"]
    length = min(len(before), len(after))
    same = np.array_equal(before[:length], after[:length], equal_nan=True)
    require(same, "a fresh feed brings the same values, whatever a reader wrote into an earlier batch")


def close_ends_the_feed(make: MakeFeed, n_instruments: int) -> None:
    """`close()` ends the feed after the batch in hand, before or while it is read, once or twice."""
    del n_instruments
    feed = make()
    require(len(asyncio.run(_drain(feed, batches_max=1))) == 1, "a closed feed yields no further batch")
    feed.close()
    unread = make()
    unread.close()
    require(not drain(unread), "a feed closed before it is read yields nothing")


FEED_CHECKS: tuple[FeedCheck, ...] = (
    batches_are_event_records,
    events_are_of_the_market,
    arrival_never_goes_back,
    batches_belong_to_the_reader,
    close_ends_the_feed,
)


def check_feed(make: MakeFeed, n_instruments: int) -> None:
    """Run every check on feeds made by `make`.

    Parameters
    ----------
    make : callable returning Feed
        Makes a fresh, short feed that ends by itself.
    n_instruments : int
        Length of the desk's list of instruments.

    Raises
    ------
    ContractBroken
        The first promise that is not kept.
    """
    for check in FEED_CHECKS:
        check(make, n_instruments)
