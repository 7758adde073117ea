"""Harm on purpose: prices that move against whatever is held."""

import asyncio

import numpy as np
import pytest

from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.testing.adversary import Adversary, wanted_by
from tradeworthy.testing.desks import START_NS, SmallDesk, market


def moved(position, *, bars=40, step_bps=100.0, batch_max=1):
    """Return the market's bars as they come from the adversary, and him."""
    feed = ReplayFeed(market(bars), clock=VirtualClock(START_NS), batch_max=batch_max)
    adversary = Adversary(feed, position, step_bps=step_bps)

    async def read() -> list[EventBatch]:
        return [batch async for batch in adversary.events()]

    return np.concatenate(asyncio.run(read())), adversary


def closes(events, instrument=0):
    """Return the closes of one instrument's bars."""
    return events["values"][events["instrument"] == instrument][:, 3]


@pytest.mark.parametrize(("position", "step"), [(5.0, 0.99), (-0.1, 1.01)])
def test_each_bar_closes_a_step_further_against_the_position(position, step):
    """A long one sees prices fall, a short one sees them rise, step by step; the other instrument is left alone."""
    found, adversary = moved(lambda: position)
    np.testing.assert_allclose(closes(found) / closes(market(40)), step ** np.arange(1, 41))
    assert np.array_equal(closes(found, 1), closes(market(40), 1))
    assert adversary.moved == 40


@pytest.mark.parametrize("batch_max", [1, 7, 64])
def test_bars_stay_bars(batch_max):
    """High and low still enclose open and close, and an open is where the level was."""
    found, _ = moved(lambda: 1.0, batch_max=batch_max)
    values = found["values"][found["instrument"] == 0]
    assert (values[:, 1] >= values[:, [0, 3]].max(axis=1)).all()
    assert (values[:, 2] <= values[:, [0, 3]].min(axis=1)).all()


def test_without_a_position_nothing_is_moved_and_the_level_stays():
    """Flat from the start: the market's own bytes. Flat later: prices go on from where they were moved to."""
    found, adversary = moved(lambda: 0.0)
    assert found["values"].tobytes() == market(40)["values"].tobytes()
    assert adversary.moved == 0
    left = iter([1.0] * 21)
    later, adversary = moved(lambda: next(left, 0.0))
    ratio = closes(later) / closes(market(40))
    assert 5 <= adversary.moved <= 20
    np.testing.assert_allclose(ratio[20:], 0.99**adversary.moved)


def test_what_each_bar_led_to_is_seen():
    """A desk that turns at every bar is pressed at every bar, however many come at once."""
    sides = iter([1.0, *([1.0, -1.0] * 20)])
    found, _ = moved(lambda: next(sides, 0.0), bars=20, batch_max=256)
    ratio = closes(found) / closes(market(20))
    np.testing.assert_allclose(ratio[::2], 0.99 * (0.99 * 1.01) ** np.arange(10))


def test_only_the_version_that_was_foreseen_is_pressed(tmp_path):
    """What another version holds is none of his business; an order in flight is what is wanted."""
    with SmallDesk(tmp_path) as small:
        small.run(market(120))
        desk = small.engine.desk
        desk.state.positions["quantity"][0], desk.state.positions["buying"][0] = 2.0, 1.5
        assert wanted_by(small.numbers[0], desk) == 3.5
        assert wanted_by(small.numbers[0] + 1, desk) == 0.0
