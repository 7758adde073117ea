"""Every built-in venue keeps the contract, and the kit notices venues that do not."""

import numpy as np
import pytest

from tradeworthy.core.events import Kind
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.live.venues.simulated import SimulatedMarket
from tradeworthy.testing.contract import ContractBroken
from tradeworthy.testing.venues import VENUE_CHECKS, check_venue


def paper(instruments):
    return Paper(PaperSettings(), instruments)


def partial_paper(instruments):
    return Paper(PaperSettings(participation_max=0.000001), instruments)


def simulated(instruments):
    simulation = simulate(SimulatedSettings(regimes=(Regime(bars=5),)), instruments, np.random.default_rng(1))
    return SimulatedMarket(simulation, instruments, clock=VirtualClock())


VENUES = [
    (paper, Kind.BAR),
    (paper, Kind.QUOTE),
    (paper, Kind.TRADE),
    (partial_paper, Kind.BAR),
    (simulated, Kind.QUOTE),
]


@pytest.mark.parametrize("check", VENUE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("make", "kind"), VENUES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_built_in_venues_keep_the_contract(make, kind, check):
    """Each promise holds for each built-in venue, on each kind of event it fills on."""
    check(make, kind)


class Answering(Paper):
    """A paper venue whose answers are changed on the way out."""

    def __init__(self, instruments, change) -> None:
        super().__init__(PaperSettings(), instruments)
        self._change = change

    def observe(self, event):
        answers = super().observe(event)
        return self._change(answers) if len(answers) else answers


def write(name, value, place=None):
    """Return a change that overwrites one field, or one of its values."""

    def change(answers) -> np.ndarray:
        target = answers[name] if place is None else answers[name][:, place]
        target[:] = value
        return answers

    return change


class Forgetful(Paper):
    """A paper venue that forgets cancels."""

    def cancel(self, order_id):
        del order_id


class Boundless(Paper):
    """A paper venue that ignores limit prices."""

    def submit(self, orders):
        free = orders.copy()
        free["limit_price"] = np.where(free["quantity"] > 0, np.inf, 0.0)
        super().submit(free)


BROKEN = {
    "half fills": lambda desk: Answering(desk, lambda a: write("values", a["values"][:, 0] / 2, 0)(a)),
    "wrong references": lambda desk: Answering(desk, write("reference", 77)),
    "wrong instruments": lambda desk: Answering(desk, write("instrument", 1)),
    "free prices": lambda desk: Answering(desk, write("values", 0.0, 1)),
    "unknown fees": lambda desk: Answering(desk, write("values", np.nan, 2)),
    "answers from the past": lambda desk: Answering(desk, write("ts_event_ns", 0)),
    "a written frame": lambda desk: Answering(desk, write("sequence", 1)),
    "padding that is no NaN": lambda desk: Answering(desk, write("values", 0.0, 4)),
    "answers given twice": lambda desk: Answering(desk, lambda a: np.concatenate([a, a])),
    "lost answers": lambda desk: Answering(desk, lambda a: a[:0]),
    "forgotten cancels": lambda desk: Forgetful(PaperSettings(), desk),
    "prices beyond the limit": lambda desk: Boundless(PaperSettings(), desk),
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_the_kit_notices_broken_venues(flaw):
    """A venue with one flaw does not pass."""
    with pytest.raises(ContractBroken):
        check_venue(BROKEN[flaw])
