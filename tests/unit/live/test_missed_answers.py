"""Answers that came while the engine was down: taken up once, in order, from a venue that recalls them."""

import numpy as np
import pytest

from tradeworthy.core.events import Kind
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.live.venues.paper import PaperSettings
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market
from tradeworthy.testing.simulation.exchange import Exchange

EVENTS = market(150, seed=4)
SETTINGS = EngineSettings(stage_in_background=False)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.make(0)
    return shelf


class Prompt(Exchange):
    """An exchange that answers at once, and says nothing strange."""

    def observe(self, event):
        return self.deliver(event)


def resting(folder, shelf, costs):
    """Run until an order is open at an exchange, and die; return the exchange and the next event's place."""
    exchange = Prompt(costs, INSTRUMENTS, lambda _: None, np.random.default_rng(1))
    small = SmallDesk(folder, shelf=shelf, venue=exchange, settings=SETTINGS)
    place = 0
    while not small.engine.summary().open_orders:
        small.engine.consume(EVENTS[place : place + 1].copy())
        place += 1
    small.tape.close()
    return exchange, place


@pytest.mark.parametrize("share", [None, 0.01])
def test_fills_that_came_meanwhile_are_taken_up_once(tmp_path, shelf, share):
    """An order that filled while the engine was down, wholly or in part, is in the position when it is back."""
    exchange, place = resting(tmp_path, shelf, PaperSettings(participation_max=share))
    for event in EVENTS[place : place + 4]:
        exchange.match(event)
    exchange.disconnect()
    truth = exchange.filled()
    assert truth != 0.0
    with SmallDesk(tmp_path, shelf=shelf, venue=exchange, settings=SETTINGS) as small:
        assert small.engine.summary().positions["ETH"] == pytest.approx(truth)
        small.run(EVENTS[place + 4 :])
        assert small.engine.summary().positions["ETH"] == pytest.approx(exchange.filled())
    assert replay(tmp_path / "tape", shelf.load).identical


def test_what_was_heard_before_is_not_taken_up_again(tmp_path, shelf):
    """Of an order filled in parts, only those parts are new that the record does not have."""
    exchange, place = resting(tmp_path, shelf, PaperSettings(participation_max=0.005))
    with SmallDesk(tmp_path, shelf=shelf, venue=exchange, settings=SETTINGS) as small:
        while not exchange.filled():
            small.engine.consume(EVENTS[place : place + 1].copy())
            place += 1
        small.tape.close()
    heard = exchange.filled()
    with SmallDesk(tmp_path, shelf=shelf, venue=exchange, settings=SETTINGS) as small:
        assert small.engine.summary().positions["ETH"] == pytest.approx(heard)
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    assert inputs["values"][inputs["kind"] == Kind.FILL, 0].sum() == pytest.approx(heard)
