"""Positions: a projection of fills, orders in flight beside them."""

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.live.positions import (
    ACCOUNT,
    HEARD,
    OPEN_ORDER,
    OPEN_ORDERS_MAX,
    book_fill,
    check_fill,
    close_order,
    find_order,
    held_quantity,
    land,
    mark_position,
    new_positions,
    note_heard,
    on_grid,
    place_order,
    revalue,
    was_heard,
)

LOT = 0.001


@pytest.fixture
def account():
    return np.zeros(1, ACCOUNT)


@pytest.fixture
def positions():
    return new_positions(2)


@pytest.fixture
def orders():
    return np.zeros(OPEN_ORDERS_MAX, OPEN_ORDER)


def fill(position, quantity, price, fee=0.0, multiplier=1.0):
    book_fill(position, LOT, multiplier, quantity, price, fee)


def test_new_positions_have_no_mark(positions):
    """Before the first price nothing can be valued."""
    assert np.isnan(positions["mark"]).all()


@pytest.mark.parametrize(
    ("steps", "step", "exact"), [(303, 0.01, 3.03), (7, 0.1, 0.7), (3, 0.001, 0.003), (4, 0.25, 1.0)]
)
def test_grid_points_are_the_nearest_floats(steps, step, exact):
    """A multiple of a tick is the very float that a person would write."""
    assert on_grid(steps, step) == exact


def test_grid_of_a_step_above_one():
    """A lot of 25 units has multiples of 25."""
    assert on_grid(3.0, 25.0) == 75.0


def test_fills_average_the_price_while_the_position_grows(positions):
    """Two buys at 100 and 110 stand at 105."""
    fill(positions[0], 1.0, 100.0)
    fill(positions[0], 1.0, 110.0)
    assert positions["average_price"][0] == 105.0
    assert positions["realised"][0] == 0.0


def test_closing_realises_the_gain(positions):
    """Selling half of what was bought realises half of the gain, and keeps the average."""
    fill(positions[0], 2.0, 100.0)
    fill(positions[0], -1.0, 110.0)
    assert positions["realised"][0] == 10.0
    assert positions["average_price"][0] == 100.0
    assert positions["quantity"][0] == 1.0


def test_short_gains_when_the_price_falls(positions):
    """A short position realises the opposite."""
    fill(positions[0], -2.0, 100.0, multiplier=5.0)
    fill(positions[0], 2.0, 90.0, multiplier=5.0)
    assert positions["realised"][0] == 100.0
    assert positions["quantity"][0] == 0.0
    assert positions["average_price"][0] == 0.0


def test_flip_realises_and_starts_again_at_the_fill_price(positions):
    """One fill from long to short closes the long part and opens at its own price."""
    fill(positions[0], 1.0, 100.0)
    fill(positions[0], -3.0, 120.0)
    assert positions["realised"][0] == 20.0
    assert positions["quantity"][0] == -2.0
    assert positions["average_price"][0] == 120.0


def test_many_small_fills_stay_on_the_grid(positions):
    """Ten thousand fills of a tenth of a lot grid do not drift."""
    for _ in range(500):
        fill(positions[0], 0.003, 100.0)
    for _ in range(500):
        fill(positions[0], -0.003, 100.0)
    assert positions["quantity"][0] == 0.0


def test_equity_is_profit_after_fees(positions, account):
    """Fees count at once; the unrealised part follows the mark."""
    fill(positions[0], 2.0, 100.0, fee=1.0)
    revalue(positions[0], account[0], 1.0)
    assert account["equity"][0] == -1.0
    mark_position(positions[0], account[0], 1.0, 103.0, 5)
    assert account["equity"][0] == 5.0
    assert account["peak"][0] == 5.0
    mark_position(positions[0], account[0], 1.0, 90.0, 6)
    assert account["equity"][0] == -21.0
    assert account["peak"][0] == 5.0
    assert positions["ts_mark_ns"][0] == 6


def test_equity_adds_instruments(positions, account):
    """The account is the sum over all instruments."""
    for place, price in enumerate((100.0, 200.0)):
        fill(positions[place], 1.0, price)
        mark_position(positions[place], account[0], 1.0, price + 7.0, 1)
    assert account["equity"][0] == 14.0


def test_held_counts_what_is_in_flight(positions, account, orders):
    """An approved order counts before anybody has filled it."""
    place_order(positions, account[0], orders, 0, 2.0)
    place_order(positions, account[0], orders, 0, -0.5)
    assert held_quantity(positions[0], LOT) == 1.5
    assert (positions["buying"][0], positions["selling"][0]) == (2.0, 0.5)


def test_less_than_half_a_lot_is_nothing(positions):
    """Dust does not keep a side open."""
    positions["quantity"][0] = LOT / 3
    assert held_quantity(positions[0], LOT) == 0.0


def test_landing_removes_what_flew(positions, account, orders):
    """What lands is no longer in flight, on either side, and dust lands too."""
    place_order(positions, account[0], orders, 0, 0.3)
    land(positions[0], 0.1, LOT)
    land(positions[0], 0.2, LOT)
    assert positions["buying"][0] == 0.0
    place_order(positions, account[0], orders, 0, -0.3)
    land(positions[0], -0.3, LOT)
    assert positions["selling"][0] == 0.0


def test_orders_are_found_by_name_and_packed(positions, account, orders):
    """Closing one order keeps the others findable."""
    for name in (11, 12, 13):
        orders["order"][place_order(positions, account[0], orders, 0, 1.0)] = name
    close_order(account[0], orders, find_order(account[0], orders, 11))
    assert account["open_orders"][0] == 2
    assert find_order(account[0], orders, 11) == -1
    assert {int(name) for name in orders["order"][:2]} == {12, 13}
    close_order(account[0], orders, 1)
    close_order(account[0], orders, 0)
    assert account["open_orders"][0] == 0


@pytest.mark.parametrize(
    ("quantity", "price", "fee", "code"),
    [
        (1.0, 100.0, 0.1, DenialCode.NONE),
        (2.0, 100.0, -0.1, DenialCode.NONE),
        (np.nan, 100.0, 0.0, DenialCode.INPUT_NOT_FINITE),
        (1.0, np.inf, 0.0, DenialCode.INPUT_NOT_FINITE),
        (1.0, 100.0, np.nan, DenialCode.INPUT_NOT_FINITE),
        (1.0, 0.0, 0.0, DenialCode.INPUT_NOT_POSITIVE),
        (1.0, -5.0, 0.0, DenialCode.INPUT_NOT_POSITIVE),
        (2.1, 100.0, 0.0, DenialCode.INPUT_INCONSISTENT),
        (-1.0, 100.0, 0.0, DenialCode.INPUT_INCONSISTENT),
        (0.0, 100.0, 0.0, DenialCode.INPUT_INCONSISTENT),
    ],
)
def test_fill_must_fit_its_order(positions, account, orders, quantity, price, fee, code):
    """A fill that is no number, on the wrong side or too large is not believed."""
    place = place_order(positions, account[0], orders, 0, 2.0)
    assert check_fill(orders[place], LOT, 7, quantity, price, fee, np.nan) == code


def test_booked_fills_are_remembered_by_number():
    """A ring of the last ones: each order has numbers of its own, and the oldest is forgotten when it is full."""
    heard = np.zeros(4, HEARD)
    for count in range(5):
        note_heard(heard, count, 7, float(count + 1))
    assert [was_heard(heard, 5, 7, number) for number in (1.0, 2.0, 5.0, 6.0)] == [False, True, True, False]
    assert not was_heard(heard, 5, 8, 2.0)
    assert not was_heard(heard, 0, 7, 2.0)


def test_same_fill_again_is_a_duplicate(positions, account, orders):
    """The same time, quantity and price mean the same fill."""
    place = place_order(positions, account[0], orders, 0, 2.0)
    orders["ts_fill_ns"][place], orders["fill_quantity"][place], orders["fill_price"][place] = 7, 1.0, 100.0
    assert check_fill(orders[place], LOT, 7, 1.0, 100.0, 0.0, np.nan) == DenialCode.INPUT_DUPLICATE
    assert check_fill(orders[place], LOT, 8, 1.0, 100.0, 0.0, np.nan) == DenialCode.NONE
    assert check_fill(orders[place], LOT, 7, 1.0, 100.0, 0.0, 3.0) == DenialCode.NONE
