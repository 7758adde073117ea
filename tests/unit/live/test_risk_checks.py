"""The guard: each check alone, then the list of them on a desk."""

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.live.risk import checks
from tradeworthy.live.risk.judge import (
    CHECKS,
    PASSED,
    first_refusal,
    judge_order,
    latch_if_repeated,
    refusal_code,
    send_cancel,
    send_order,
)
from tradeworthy.live.risk.sent import SENT_MAX, messages_last_minute, note_message, twin_age_ms
from tradeworthy.live.state import SENT, hold_desk, new_desk

NOW = 10**18
SECOND = 10**9
LIMITS = Limits(
    price_collar_bps_max=200.0,
    order_value_max=1_000.0,
    order_quantity_max=5.0,
    orders_per_minute_max=3.0,
    repeated_orders_max=2.0,
    duplicate_window_ms=1_000.0,
    position_quantity_max=6.0,
    position_value_max=1_200.0,
    drawdown_value_max=50.0,
    market_age_ms_max=500.0,
)


def desk_with(limits=LIMITS, price=100.0):
    """Return a desk whose instrument has just been priced."""
    desk = new_desk([Instrument(symbol="ETH")], limits)
    desk.positions["mark"], desk.positions["ts_mark_ns"] = price, NOW
    return desk


def ask(desk, quantity=1.0, limit_price=100.0, reference=100.0, now=NOW):
    """Return the code of an order's refusal, or NONE."""
    denied = judge_order(desk, 0, quantity, limit_price, reference, now)
    return DenialCode.NONE if denied is None else denied.code


def test_each_check_stands_at_the_place_of_its_limit():
    """The table of checks and the limits are one list, so that neither can be forgotten."""
    assert tuple(check.limit for check in CHECKS) == LIMIT_FIELDS
    assert len({check.code for check in CHECKS}) == len(CHECKS)


def test_collar_is_the_distance_in_basis_points():
    """Either direction counts."""
    assert checks.price_collar_bps(101.0, 100.0) == pytest.approx(100.0)
    assert checks.price_collar_bps(98.0, 100.0) == pytest.approx(200.0)


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0])
def test_collar_and_values_need_positive_prices(bad):
    """NaN, zero and negative references observe NaN, which refuses."""
    for observed in (
        checks.price_collar_bps(bad, 100.0),
        checks.price_collar_bps(100.0, bad),
        checks.order_value(1.0, bad, 100.0, 1.0),
        checks.order_value(1.0, 100.0, bad, 1.0),
        checks.exposure_value(1.0, bad, 100.0, 1.0),
    ):
        assert np.isnan(observed)


def test_order_value_takes_the_worse_price():
    """A sell is valued at the reference, a buy at its limit price."""
    assert checks.order_value(2.0, 101.0, 100.0, 10.0) == 2020.0
    assert checks.order_value(-2.0, 99.0, 100.0, 10.0) == 2000.0


def test_order_of_nothing_is_no_order():
    """Zero and NaN are refused like a missing reference."""
    assert np.isnan(checks.order_quantity(0.0))
    assert np.isnan(checks.order_quantity(np.nan))
    assert checks.order_quantity(-2.0) == 2.0


@pytest.mark.parametrize(
    ("quantity", "filled", "buying", "selling", "exposure"),
    [
        (1.0, 2.0, 3.0, 0.0, 6.0),
        (1.0, 2.0, 3.0, 9.0, 6.0),
        (-1.0, 2.0, 3.0, 0.0, 0.0),
        (-4.0, 2.0, 3.0, 1.0, 3.0),
        (5.0, -5.0, 0.0, 0.0, 0.0),
        (6.0, -5.0, 0.0, 0.0, 1.0),
    ],
)
def test_exposure_assumes_that_everything_on_the_side_fills(quantity, filled, buying, selling, exposure):
    """Orders in flight on the other side may never fill, so they are no comfort."""
    assert checks.exposure_quantity(quantity, filled, buying, selling) == exposure


def test_exposure_of_nan_is_nan():
    """No comparison turns an unknown exposure into zero."""
    assert np.isnan(checks.exposure_quantity(np.nan, 1.0, 0.0, 0.0))
    assert np.isnan(checks.exposure_quantity(1.0, np.nan, 0.0, 0.0))


def test_drawdown_lets_reducing_orders_through():
    """A desk over its loss limit may still close, but not turn or grow."""
    assert checks.drawdown_value(-80.0, 10.0, 1.0, 2.0) == 90.0
    assert checks.drawdown_value(-80.0, 10.0, -2.0, 2.0) == 0.0
    assert checks.drawdown_value(-80.0, 10.0, -2.1, 2.0) == 90.0
    assert np.isnan(checks.drawdown_value(np.nan, 10.0, -2.0, 2.0))


def test_age_of_a_price_counts_in_both_directions():
    """A price from after now, when the clock was set back, is as doubtful as an old one."""
    assert checks.market_age_ms(NOW, NOW - 5_000_000) == 5.0
    assert checks.market_age_ms(NOW, NOW + 5_000_000) == 5.0
    assert np.isnan(checks.market_age_ms(NOW, 0))


def test_repeats_count_orders_on_one_side():
    """The other side starts again; a latched strategy observes infinity."""
    assert checks.repeated_orders(1.0, 1.0, 4, 0) == 5.0
    assert checks.repeated_orders(-1.0, 1.0, 4, 0) == 1.0
    assert checks.repeated_orders(-1.0, 1.0, 4, 1) == np.inf
    assert np.isnan(checks.repeated_orders(0.0, 1.0, 4, 0))


def sent_at(*times: int):
    """Return a ring with messages at these times."""
    sent = np.zeros(SENT_MAX, SENT)
    for count, ts in enumerate(times):
        note_message(sent, count, ts, 0, 1.0, 100.0)
    return sent


def test_rate_counts_the_last_minute_and_one_more():
    """A message exactly a minute ago is out; one from the future is in."""
    sent = sent_at(NOW - 60 * SECOND, NOW - 59 * SECOND, NOW, NOW + SECOND)
    assert messages_last_minute(sent, 4, NOW) == 4.0
    assert messages_last_minute(sent, 0, NOW) == 1.0


def test_rate_is_infinite_when_the_ring_cannot_tell():
    """A full ring of fresh messages says nothing of those before, so it refuses."""
    sent = np.zeros(SENT_MAX, SENT)
    sent["ts_ns"] = NOW
    assert messages_last_minute(sent, SENT_MAX, NOW) == np.inf


def test_twin_is_the_same_instrument_size_and_price():
    """Anything else differing makes it another order."""
    sent = sent_at(NOW - 5_000_000)
    assert twin_age_ms(sent, 1, NOW, 1_000.0, 0, 1.0, 100.0) == 5.0
    assert twin_age_ms(sent, 1, NOW, 1_000.0, 1, 1.0, 100.0) == np.inf
    assert twin_age_ms(sent, 1, NOW, 1_000.0, 0, -1.0, 100.0) == np.inf
    assert twin_age_ms(sent, 1, NOW, 1_000.0, 0, 1.0, 100.1) == np.inf
    assert np.isnan(twin_age_ms(sent, 1, NOW, 1_000.0, 0, np.nan, 100.0))


def test_twin_hides_behind_nothing():
    """An order between the two does not hide the first."""
    sent = sent_at(NOW - 9_000_000, NOW - 5_000_000)
    sent["quantity"][1] = 7.0
    assert twin_age_ms(sent, 2, NOW, 1_000.0, 0, 1.0, 100.0) == 9.0
    assert twin_age_ms(sent, 2, NOW, 6.0, 0, 1.0, 100.0) == np.inf


def test_first_refusal_is_the_first_in_the_list():
    """Later refusals are not looked at."""
    limits = LIMITS.as_array()
    fine = np.where(np.array([check.at_least for check in CHECKS]), np.inf, 0.0)
    assert first_refusal(fine, limits) == PASSED
    fine[[3, 7]] = np.inf
    assert first_refusal(fine, limits) == 3


@pytest.mark.parametrize("place", range(len(CHECKS)))
def test_nan_on_either_side_refuses(place):
    """What was not measured and what is not limited are both refused, under their own codes."""
    limits = LIMITS.as_array()
    observed = np.where(np.array([check.at_least for check in CHECKS]), np.inf, 0.0)
    observed[place] = np.nan
    assert first_refusal(observed, limits) == place
    assert refusal_code(np.nan, limits[place], place) == DenialCode.REFERENCE_MISSING
    limits[place] = np.nan
    assert refusal_code(1.0, limits[place], place) == DenialCode.LIMIT_MISSING
    assert refusal_code(1.0, 0.0, place) == CHECKS[place].code


def test_good_order_passes():
    """Within every limit nothing is refused."""
    assert ask(desk_with()) == DenialCode.NONE


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"limit_price": 103.0}, DenialCode.PRICE_COLLAR),
        ({"quantity": 5.0, "limit_price": 202.0, "reference": 201.0}, DenialCode.ORDER_VALUE),
        ({"quantity": 5.5}, DenialCode.ORDER_QUANTITY),
        ({"now": NOW + 501_000_000}, DenialCode.MARKET_STALE),
        ({"quantity": 0.0}, DenialCode.REFERENCE_MISSING),
        ({"quantity": np.nan}, DenialCode.REFERENCE_MISSING),
        ({"reference": np.nan}, DenialCode.REFERENCE_MISSING),
        ({"limit_price": np.inf}, DenialCode.PRICE_COLLAR),
    ],
)
def test_bad_orders_are_refused_with_their_code(order, code):
    """One thing wrong gives that one code."""
    assert ask(desk_with(), **order) == code


@pytest.mark.parametrize("name", LIMIT_FIELDS)
def test_missing_limit_refuses(name):
    """There is no default: a limit that nobody set refuses every order."""
    limits = Limits(**{field: getattr(LIMITS, field) for field in LIMIT_FIELDS if field != name})
    assert ask(desk_with(limits)) == DenialCode.LIMIT_MISSING


def test_in_flight_counts_before_any_fill():
    """Two orders sent at once are judged as if both had filled."""
    desk = desk_with()
    held = hold_desk(desk)
    send_order(held, 0, 4.0, 100.0, NOW)
    assert ask(desk, quantity=3.0, limit_price=101.0) == DenialCode.POSITION_QUANTITY
    assert ask(desk, quantity=2.0, limit_price=101.0) == DenialCode.NONE


def test_position_value_has_its_own_limit():
    """The same quantity at a higher price is worth more."""
    desk = desk_with(price=250.0)
    send_order(hold_desk(desk), 0, 3.0, 250.0, NOW)
    assert ask(desk, quantity=2.0, limit_price=251.0, reference=250.0) == DenialCode.POSITION_VALUE


def test_message_rate_counts_orders_and_cancels():
    """Amends and cancels are messages too."""
    desk = desk_with()
    held = hold_desk(desk)
    send_order(held, 0, 1.0, 100.0, NOW - 2 * SECOND)
    send_cancel(held, 0, NOW - 2 * SECOND)
    assert ask(desk, quantity=-1.0) == DenialCode.NONE
    send_cancel(held, 0, NOW - 2 * SECOND)
    assert ask(desk, quantity=-1.0) == DenialCode.MESSAGE_RATE
    desk.positions["ts_mark_ns"] = NOW + 60 * SECOND
    assert ask(desk, quantity=-1.0, now=NOW + 60 * SECOND) == DenialCode.NONE


def test_duplicate_is_refused_within_the_window_only():
    """The same order a second later is a decision; at once it is a mistake."""
    desk = desk_with()
    send_order(hold_desk(desk), 0, 1.0, 100.0, NOW - 999_000_000)
    assert ask(desk) == DenialCode.DUPLICATE_ORDER
    desk = desk_with()
    send_order(hold_desk(desk), 0, 1.0, 100.0, NOW - SECOND)
    assert ask(desk) == DenialCode.NONE


def test_repeats_latch_until_resumed():
    """Once too often on one side, and everything is off, however long one waits."""
    desk = desk_with()
    held = hold_desk(desk)
    for step in (4, 3):
        send_order(held, 0, 1.0, 100.0 + step, NOW - step * 40 * SECOND)
    assert ask(desk) == DenialCode.REPEATED_EXECUTION
    latch_if_repeated(held, DenialCode.REPEATED_EXECUTION)
    desk.positions["ts_mark_ns"] = later = NOW + 10**6 * SECOND
    assert ask(desk, quantity=-1.0, now=later) == DenialCode.REPEATED_EXECUTION


@pytest.mark.parametrize("code", [code for code in DenialCode if code != DenialCode.REPEATED_EXECUTION])
def test_no_other_refusal_latches(code):
    """Only repeated execution switches a strategy off."""
    desk = desk_with()
    latch_if_repeated(hold_desk(desk), code)
    assert desk.account["latched"][0] == 0


def test_drawdown_refuses_growth_and_allows_closing():
    """After a loss over the limit only the way out is open."""
    desk = desk_with()
    desk.account["equity"], desk.account["peak"] = -30.0, 21.0
    desk.positions["quantity"] = 2.0
    assert ask(desk) == DenialCode.DRAWDOWN
    assert ask(desk, quantity=-2.0) == DenialCode.NONE


def test_full_table_of_open_orders_refuses():
    """A venue that never answers cannot make the desk forget an order."""
    desk = desk_with()
    desk.account["open_orders"] = len(desk.orders)
    assert ask(desk) == DenialCode.MESSAGE_RATE


@pytest.mark.parametrize("where", ["account", "positions"])
def test_halt_comes_before_every_check(where):
    """A halted desk or instrument refuses even what every check would allow."""
    desk = desk_with()
    getattr(desk, where)["halted"] = 1
    assert ask(desk) == DenialCode.HALTED


def test_refusal_reads_well():
    """A person sees what was observed, in which unit, and what was allowed."""
    denied = judge_order(desk_with(), 0, 5.5, 100.0, 100.0, NOW)
    assert str(denied) == "ORDER_QUANTITY: the order's quantity is over the limit (observed 5.5 units, limit 5)"
