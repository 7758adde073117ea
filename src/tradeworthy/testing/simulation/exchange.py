"""Venues that watch the desk: one on paper that dies with it, one that outlives it and owes it nothing.

Idea:   whoever takes an order is the best witness of what was sent. Both tell each order to `told` before they take it.
The exchange matches by itself, delays and repeats answers, sends answers to nobody's orders, and forgets what it said
        to a desk that was not there; asked, it recalls what it answered about an order.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.paper import Paper, PaperSettings

Told = Callable[[OrderBatch], None]


class WatchedPaper(Paper):
    """The paper venue, telling what it is sent."""

    def __init__(self, settings: PaperSettings, instruments: Sequence[Instrument], told: Told) -> None:
        super().__init__(settings, instruments)
        self._told = told

    def submit(self, orders: OrderBatch) -> None:
        """Tell the orders, then take them."""
        self._told(orders)
        super().submit(orders)

    def restore(self, orders: OrderBatch) -> None:
        """Take orders back without telling: they were sent before."""
        Paper.submit(self, np.sort(orders, order="decision"))


class Exchange:
    """A venue that goes on while the desk is down.

    Parameters
    ----------
    settings : PaperSettings
        How orders fill.
    instruments : sequence of Instrument
    told : callable
        Is shown every order submitted.
    rng : numpy Generator
        Decides about delays, repeats and foreign answers.
    """

    def __init__(
        self, settings: PaperSettings, instruments: Sequence[Instrument], told: Told, rng: np.random.Generator
    ) -> None:
        self._book = Paper(settings, instruments)
        self._told, self._rng = told, rng
        self._outbox: list[EventBatch] = []
        self._last = np.zeros(0, event_dtype())
        self.said = np.zeros(0, event_dtype())
        self._seen: dict[tuple[int, int], int] = {}

    @property
    def pending(self) -> int:
        """Open orders, and answers on their way."""
        return self._book.pending + len(self._outbox)

    def submit(self, orders: OrderBatch) -> None:
        """Tell the orders, then take them."""
        self._told(orders)
        self._book.submit(orders)

    def cancel(self, order_id: int) -> None:
        """Withdraw what is left of an order."""
        self._book.cancel(order_id)

    def match(self, event: np.void) -> None:
        """Let the market move; what a feed delivers again moves nothing here."""
        lane, happened_ns = (int(event["instrument"]), int(event["kind"])), int(event["ts_event_ns"])
        is_market = event["kind"] in (Kind.BAR, Kind.QUOTE, Kind.TRADE, Kind.BOOK)
        if is_market and happened_ns <= self._seen.get(lane, happened_ns - 1):
            return
        if is_market:
            self._seen[lane] = happened_ns
        answers = self._book.observe(event)
        if len(answers):
            self.said = np.concatenate([self.said, answers])
            self._outbox.append(answers)

    def observe(self, event: np.void) -> EventBatch:
        """Return what reaches the desk now: perhaps nothing yet, perhaps the last answer again, or a stranger's."""
        self.match(event)
        if self._rng.random() < 0.2:
            return np.zeros(0, event.dtype)
        fresh, self._outbox = self._outbox, []
        parts = [self._last] if self._rng.random() < 0.1 else []
        if fresh:
            self._last = fresh[-1].copy()
        if self._rng.random() < 0.05:
            parts.append(self._strange(event))
        return np.concatenate([np.zeros(0, event.dtype), *parts, *(batch.copy() for batch in fresh)])

    def deliver(self, event: np.void) -> EventBatch:
        """Return all that is on its way, now."""
        self.match(event)
        fresh, self._outbox = self._outbox, []
        return np.concatenate([np.zeros(0, event.dtype), *fresh])

    def disconnect(self) -> None:
        """Lose what was on its way to a desk that died."""
        self._outbox.clear()
        self._last = self._last[:0]

    def open_orders(self) -> OrderBatch:
        """Return what is still open."""
        return self._book.open_orders()

    def answers_of(self, orders: npt.NDArray[np.uint64]) -> EventBatch:
        """Return every answer that these orders ever had."""
        return self.said[np.isin(self.said["reference"], orders)].copy()

    def filled(self) -> float:
        """Return the sum of all fills: the position that the exchange believes we have in the first instrument."""
        return float(self.said["values"][self.said["kind"] == Kind.FILL, 0].sum())

    def _strange(self, event: np.void) -> EventBatch:
        """Return a fill of an order that nobody here sent."""
        answer = np.zeros(1, event.dtype)
        answer["values"] = np.nan
        answer["ts_event_ns"], answer["ts_recv_ns"] = event["ts_event_ns"], event["ts_recv_ns"]
        answer["kind"], answer["reference"] = int(Kind.FILL), 1 << 60
        answer["values"][0, :3] = 5.0, 300.0, 0.1
        return answer
