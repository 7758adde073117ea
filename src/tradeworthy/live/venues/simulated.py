"""The simulated market as the engine meets it: a feed and a venue in one.

Idea:   events come from `feeds.simulated.simulate`; orders are filled against those very quotes (or bars, where
        quotes are left out) by the paper venue, so a day of trading is one object made from one seed.
Time:   on a virtual clock a day passes as fast as the engine can take it.
"""

from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock
from tradeworthy.live.feeds.replay import ReplayFeed, as_fast_as_possible
from tradeworthy.live.feeds.simulated import Simulation
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.paper import Paper, PaperSettings

_FRESH_MS = 1_000.0


def simulated_costs(simulation: Simulation) -> PaperSettings:
    """Return costs that suit a simulation: quotes and books carry their own spread, and an old one fills nothing."""
    kinds = np.unique(simulation.events["kind"])
    if Kind.QUOTE in kinds or Kind.BOOK in kinds:
        return PaperSettings(fill_on=("quote", "book"), age_ms_max=_FRESH_MS)
    return PaperSettings(fill_on=("bar",))


class SimulatedMarket:
    """Deliver a simulation's events and fill orders against them.

    Parameters
    ----------
    simulation : Simulation
        The market and the truth about it.
    instruments : sequence of Instrument
        The desk's list, the same as simulated.
    clock : Clock
        Stamps arrivals; usually a `VirtualClock`.
    costs : PaperSettings, optional
        Costs of trading; `simulated_costs` if left out.
    pace : callable returning float
        Events per second; not asked on a virtual clock.
    batch_max : int
        The most events delivered at once.
    """

    def __init__(
        self,
        simulation: Simulation,
        instruments: Sequence[Instrument],
        *,
        clock: Clock,
        costs: PaperSettings | None = None,
        pace: Callable[[], float] = as_fast_as_possible,
        batch_max: int = 256,
    ) -> None:
        self.simulation = simulation
        self._feed = ReplayFeed(simulation.events, clock=clock, pace=pace, batch_max=batch_max)
        self._venue = Paper(costs or simulated_costs(simulation), instruments)

    @property
    def pending(self) -> int:
        """How many orders and answers are outstanding."""
        return self._venue.pending

    def events(self) -> AsyncIterator[EventBatch]:
        """Yield the market's events in order of arrival."""
        return self._feed.events()

    def close(self) -> None:
        """End the market after the batch in hand."""
        self._feed.close()

    def submit(self, orders: OrderBatch) -> None:
        """Take orders; they fill at the next quote."""
        self._venue.submit(orders)

    def cancel(self, order_id: int) -> None:
        """Withdraw what is left of an order."""
        self._venue.cancel(order_id)

    def observe(self, event: np.void) -> EventBatch:
        """Return the answers that one event causes."""
        return self._venue.observe(event)
