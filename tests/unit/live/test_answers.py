"""Answers of the venue: booked once, or recorded with the reason why not."""

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.live.desk import Desk, desk_config
from tradeworthy.live.risk.judge import send_order
from tradeworthy.live.state import CheckSettings, hold_desk
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.testing.desks import INSTRUMENTS, market
from tradeworthy.testing.venues import order

ORDER = 42


def answer(kind, *values: float, order=ORDER, ts=1):
    """Return one answer."""
    event = np.zeros(1, event_dtype())
    event["kind"], event["reference"], event["ts_event_ns"] = kind, order, ts
    event["values"] = np.nan
    event["values"][0, : len(values)] = values
    return event


@pytest.fixture
def desk():
    """A desk with one buy of 2 in flight."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 16))
    send_order(hold_desk(desk.state), 0, 2.0, 300.0, 1)
    desk.name_order(ORDER)
    return desk


def position(desk):
    """Return filled, buying and open orders."""
    first = desk.state.positions[0]
    return first["quantity"], first["buying"], desk.state.account["open_orders"][0]


def test_fill_moves_quantity_from_flight_to_position(desk):
    """A whole fill closes the order."""
    assert desk.settle(answer(Kind.FILL, 2.0, 300.0, 0.6)) == 1
    assert position(desk) == (2.0, 0.0, 0)
    assert desk.state.account["equity"][0] == -0.6


def test_partial_fills_add_up(desk):
    """The rest stays in flight until it fills too."""
    desk.settle(answer(Kind.FILL, 0.5, 300.0, 0.1))
    assert position(desk) == (0.5, 1.5, 1)
    desk.settle(answer(Kind.FILL, 1.5, 301.0, 0.1, ts=2))
    assert position(desk) == (2.0, 0.0, 0)
    assert desk.state.positions["average_price"][0] == pytest.approx(300.75)


def test_reject_lands_what_is_left(desk):
    """A reject after a partial fill keeps the filled part."""
    desk.settle(answer(Kind.FILL, 0.5, 300.0, 0.1))
    desk.settle(answer(Kind.REJECT, 2.0))
    assert position(desk) == (0.5, 0.0, 0)


@pytest.mark.parametrize("again", [answer(Kind.FILL, 0.5, 300.0, 0.1), answer(Kind.FILL, 0.5, 300.0, 0.2)])
def test_same_fill_twice_counts_once(desk, again):
    """Time, quantity and price tell a fill; a venue that repeats itself changes nothing."""
    desk.settle(answer(Kind.FILL, 0.5, 300.0, 0.1))
    assert desk.settle(again) == 0
    assert again["flags"][0] == DenialCode.INPUT_DUPLICATE
    assert position(desk) == (0.5, 1.5, 1)


def test_answer_to_a_closed_order_is_a_duplicate(desk):
    """After the last fill nothing more is believed of the order."""
    desk.settle(answer(Kind.FILL, 2.0, 300.0, 0.6))
    for late in (answer(Kind.FILL, 2.0, 300.0, 0.6, ts=9), answer(Kind.REJECT, 2.0)):
        assert desk.settle(late) == 0
        assert late["flags"][0] == DenialCode.INPUT_DUPLICATE
    assert position(desk) == (2.0, 0.0, 0)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (answer(Kind.FILL, 2.5, 300.0, 0.0), DenialCode.INPUT_INCONSISTENT),
        (answer(Kind.FILL, -1.0, 300.0, 0.0), DenialCode.INPUT_INCONSISTENT),
        (answer(Kind.FILL, np.nan, 300.0, 0.0), DenialCode.INPUT_NOT_FINITE),
        (answer(Kind.FILL, 1.0, 0.0, 0.0), DenialCode.INPUT_NOT_POSITIVE),
        (answer(Kind.FILL, 1.0, 300.0, 0.0, order=7), DenialCode.INPUT_DUPLICATE),
        (answer(Kind.BAR, 1.0, 300.0, 0.0), DenialCode.INPUT_NOT_AN_ANSWER),
        (answer(Kind.CONTROL, 2.0, 0.0), DenialCode.INPUT_NOT_AN_ANSWER),
    ],
)
def test_unbelievable_answers_change_nothing(desk, bad, code):
    """The flags say why, and the count goes up."""
    before = [array.copy() for array in (desk.state.positions, desk.state.account, desk.state.orders)]
    event = bad.copy()
    assert desk.settle(event) == 0
    assert event["flags"][0] == code
    assert desk.state.denials[code] == 1
    for old, new in zip(before, (desk.state.positions, desk.state.account, desk.state.orders), strict=True):
        assert old.tobytes() == new.tobytes()


def test_more_answers_than_room_are_all_settled(desk):
    """A venue that answers in a flood loses nothing."""
    flood = np.concatenate([answer(Kind.FILL, 0.05, 300.0, 0.0, ts=ts) for ts in range(1, 41)])
    assert desk.settle(flood) == 40
    assert position(desk) == (2.0, 0.0, 0)
    assert not flood["flags"].any()


def test_answers_are_no_longer_than_they_came(desk):
    """Narrow answers are settled on a wide desk, and wide ones keep their type."""
    wide = np.zeros(1, event_dtype(9))
    wide["kind"], wide["reference"], wide["values"][0, :3] = Kind.FILL, ORDER, (2.0, 300.0, 0.1)
    assert desk.settle(wide) == 1
    assert wide.dtype == event_dtype(9)


def test_equal_partial_fills_with_numbers_of_their_own_both_count(desk):
    """Two fills of one nanosecond, quantity and price are two where the venue numbers them."""
    fills = np.concatenate([answer(Kind.FILL, 0.5, 300.0, 0.1, number) for number in (11.0, 12.0)])
    assert desk.settle(fills) == 2
    assert position(desk) == (1.0, 1.0, 1)


def test_an_earlier_fill_repeated_is_not_believed_again(desk):
    """A venue that repeats the first of several fills, late, changes nothing."""
    first = answer(Kind.FILL, 0.5, 300.0, 0.1, 11.0)
    desk.settle(first.copy())
    desk.settle(answer(Kind.FILL, 0.5, 301.0, 0.1, 12.0, ts=2))
    again = first.copy()
    assert desk.settle(again) == 0
    assert again["flags"][0] == DenialCode.INPUT_DUPLICATE
    assert position(desk) == (1.0, 1.0, 1)


def test_numbers_belong_to_their_order(desk):
    """Another order may have a fill of the same number; they come out of order too."""
    send_order(hold_desk(desk.state), 0, 1.0, 300.0, 2)
    desk.name_order(43)
    fills = [answer(Kind.FILL, 0.5, 300.0, 0.1, 2.0), answer(Kind.FILL, 0.5, 300.0, 0.1, 1.0)]
    assert desk.settle(np.concatenate([*fills, answer(Kind.FILL, 0.5, 300.0, 0.1, 2.0, order=43)])) == 3
    assert position(desk) == (1.5, 1.5, 2)


def test_numbers_survive_a_checkpoint_and_may_be_missing_in_an_older_one(desk):
    """What was booked is known after a restart; a checkpoint from before fills had numbers restores all the same."""
    first = answer(Kind.FILL, 0.5, 300.0, 0.1, 11.0)
    desk.settle(first.copy())
    arrays = desk.dump()
    copy = Desk(desk.config)
    copy.restore(arrays, lambda _: None)
    assert copy.settle(first.copy()) == 0
    older = {name: array for name, array in arrays.items() if not name.startswith(("desk/heard", "desk/suspicions"))}
    copy = Desk(desk.config)
    copy.restore(older, lambda _: None)
    assert position(copy) == position(desk)
    assert copy.settle(answer(Kind.FILL, 1.5, 300.0, 0.1, 12.0, ts=2)) == 1


def test_a_paper_order_fills_to_its_end_though_the_feed_delivers_again(desk):
    """After a crash the paper venue fills the rest from the very event that filled a part before: both parts count."""
    settings = PaperSettings(participation_max=0.01)
    event = market(1, seed=3)[1:].copy()
    event["values"][0, 4] = 100.0
    venue = Paper(settings, INSTRUMENTS)
    venue.submit(order(ORDER, 2.0, limit_price=900.0))
    assert desk.settle(venue.observe(event[0])) == 1
    assert position(desk) == (1.0, 1.0, 1)
    venue = Paper(settings, INSTRUMENTS)
    venue.restore(order(ORDER, 1.0, limit_price=900.0))
    assert desk.settle(venue.observe(event[0])) == 1
    assert position(desk) == (2.0, 0.0, 0)
    assert venue.pending == 0
