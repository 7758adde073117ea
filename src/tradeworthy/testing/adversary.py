"""Harm on purpose: somebody has learned to foresee a version, and moves prices against whatever it holds.

Idea:   a feed around another one. While a position is shown to it, every bar of the instrument closes a little further
        against that position than it would have; where none is shown, prices go on from the level they were moved to.
        The harm is real: it costs what it says, on the record, and replay meets it again in the recorded inputs.
Units:  `step_bps` are basis points of the price a bar.
"""

from collections.abc import AsyncIterator, Callable

import numpy as np

from tradeworthy.core.events import FIELDS, EventBatch, Kind
from tradeworthy.live.desk import Desk
from tradeworthy.live.feeds.base import Feed

PRICES = [FIELDS[Kind.BAR].index(name) for name in ("open", "high", "low", "close")]
OPEN, HIGH, LOW, CLOSE = range(4)
BPS = 10_000.0


def wanted_by(version: int, desk: Desk, instrument: int = 0) -> float:
    """Return what a desk holds or has ordered while a version, by number, acts; 0 while another one does."""
    if desk.champion is None or desk.champion.number != version:
        return 0.0
    position = desk.state.positions[instrument]
    return float(position["quantity"] + position["buying"] - position["selling"])


class Adversary:
    """A feed whose bars are moved against a position.

    Parameters
    ----------
    feed : Feed
        Whose events are moved.
    position : callable
        What is wanted now, such as `wanted_by` says; 0 leaves prices alone. Asked for every event once he has begun.
    instrument : int
        Whose bars.
    step_bps : float
        How far each bar is moved.
    """

    def __init__(
        self, feed: Feed, position: Callable[[], float], *, instrument: int = 0, step_bps: float = 50.0
    ) -> None:
        self._feed, self._position = feed, position
        self._instrument, self._step = instrument, step_bps / BPS
        self._level = 1.0
        self.moved = 0
        """How many bars were moved so far."""

    async def events(self) -> AsyncIterator[EventBatch]:
        """Yield the feed's batches, with bars moved; from the first one on event by event, to see what each led to."""
        async for batch in self._feed.events():
            if self._position() == 0.0 and self.moved == 0:
                yield batch
                continue
            for place in range(len(batch)):
                yield self._press(batch[place : place + 1])

    def close(self) -> None:
        """End the feed."""
        self._feed.close()

    def _press(self, event: EventBatch) -> EventBatch:
        """Return one event; a bar at the level that it was moved to, closing a step further."""
        if event["kind"][0] != Kind.BAR or event["instrument"][0] != self._instrument:
            return event
        side, moved = float(np.sign(self._position())), event.copy()
        opened, self._level = self._level, self._level * (1.0 - side * self._step)
        values = moved["values"][0]
        values[PRICES[OPEN]] *= opened
        values[[PRICES[HIGH], PRICES[LOW], PRICES[CLOSE]]] *= self._level
        four = values[PRICES]
        values[PRICES[HIGH]], values[PRICES[LOW]] = four.max(), four.min()
        self.moved += side != 0.0
        return moved
