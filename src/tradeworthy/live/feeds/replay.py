"""Recorded or prepared events, delivered again as if they were live.

Idea:   the engine cannot tell a replay from a live feed; only the clock and the pace differ.
Time:   each event's `ts_recv_ns` becomes the clock's time at delivery. A virtual clock is moved by the events
        themselves (to the recorded arrival, or the event time if that is later) and is never waited for; a market
        clock is moved in the same way, but keeps to the pace. Both stand at a batch's first arrival when it is
        delivered and at its last once it was taken, so that nobody inside a batch reads a time that is still to come.
Units:  `pace()` is in events per second; infinity does not wait, zero pauses.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import NS_PER_S, Clock, MarketClock, VirtualClock

_WAIT_S_MAX = 0.02  # how soon a changed pace or a close is noticed


def as_fast_as_possible() -> float:
    """Return the pace that never waits."""
    return math.inf


class ReplayFeed:
    """Deliver an array of events at a chosen pace.

    Parameters
    ----------
    events : (n,) event records
        In the order of delivery; copied batch by batch, never changed.
    clock : Clock
        Stamps the arrival; a `VirtualClock` or `MarketClock` is moved by the events.
    pace : callable returning float
        Events per second, asked again while waiting, so that a person can turn it.
    batch_max : int
        The most events delivered at once. With a pace, batches hold what is due.
    sleep : callable
        How to wait, in seconds.

    Raises
    ------
    SettingsInvalid
        `batch_max` is below one.
    DataInvalid
        `events` is not one-dimensional.
    """

    def __init__(
        self,
        events: EventBatch,
        *,
        clock: Clock,
        pace: Callable[[], float] = as_fast_as_possible,
        batch_max: int = 256,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if batch_max < 1:
            raise SettingsInvalid(f"batch_max is {batch_max}, allowed is at least 1")
        if events.ndim != 1:
            raise DataInvalid(f"events have {events.ndim} dimensions, allowed is 1; pass a flat array of records")
        self._events, self._clock, self._pace = events, clock, pace
        self._batch_max, self._sleep = batch_max, sleep
        self._position, self._closed = 0, False

    @property
    def position(self) -> int:
        """How many events were delivered."""
        return self._position

    def __len__(self) -> int:
        return len(self._events)

    async def events(self) -> AsyncIterator[EventBatch]:
        """Yield the events that are due, at most `batch_max` at once."""
        owed, seen_ns = 1.0, self._clock.monotonic_ns()
        while not self._closed and self._position < len(self._events):
            rate, now_ns = self._rate(), self._clock.monotonic_ns()
            owed = self._owed(owed, rate, now_ns - seen_ns)
            seen_ns = now_ns
            if owed < 1.0:
                await self._sleep(_WAIT_S_MAX if rate == 0 else min(_WAIT_S_MAX, (1.0 - owed) / rate))
                continue
            batch = self._next(owed)
            owed -= len(batch)
            yield batch
            self._pass_time(batch)
            await self._sleep(0.0)

    def close(self) -> None:
        """End `events()` after the batch in hand."""
        self._closed = True

    def _rate(self) -> float:
        if isinstance(self._clock, VirtualClock):
            return math.inf
        rate = self._pace()
        if math.isnan(rate) or rate < 0:
            raise SettingsInvalid(f"pace is {rate}, allowed is zero (paused) or more events per second")
        return rate

    def _owed(self, owed: float, rate: float, elapsed_ns: int) -> float:
        """Return how many events are due; never more than a batch, so that a pause is not made up for."""
        grown = rate if math.isinf(rate) else owed + rate * elapsed_ns / NS_PER_S
        return min(grown, float(self._batch_max))

    def _next(self, owed: float) -> EventBatch:
        start = self._position
        batch = self._events[start : start + int(owed)].copy()
        self._position += len(batch)
        batch["ts_recv_ns"] = self._arrivals(batch)
        return batch

    def _arrivals(self, batch: EventBatch) -> object:
        """Return when the batch was seen: (n,) int64 under a virtual clock, else one time for all."""
        clock = self._clock
        if not isinstance(clock, VirtualClock | MarketClock):
            return clock.now_ns()
        times = np.maximum(batch["ts_recv_ns"], batch["ts_event_ns"])
        arrivals = np.maximum.accumulate(np.maximum(times, clock.now_ns()))
        clock.advance_to(int(arrivals[0]))
        return arrivals

    def _pass_time(self, batch: EventBatch) -> None:
        """Move a clock that follows the events past a batch that was taken."""
        if isinstance(self._clock, VirtualClock | MarketClock):
            self._clock.advance_to(int(batch["ts_recv_ns"][-1]))
