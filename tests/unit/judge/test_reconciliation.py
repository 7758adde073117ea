"""Two accounts of the same orders: what agrees is passed over, whatever one side lacks or says otherwise is told."""

import msgspec
import pytest

from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.reconciliation import Account, StatedFill, compare

INSTRUMENTS = {"ETH": Instrument(symbol="ETH"), "BTC": Instrument(symbol="BTC", tick=0.5, lot=0.1)}


def fill(order, quantity, price, fee=0.1, instrument="ETH"):
    """Return a stated fill."""
    return StatedFill(order=order, instrument=instrument, quantity=quantity, price=price, fee=fee)


def account(*fills: StatedFill, positions=None, open_orders=None):
    """Return an account."""
    return Account(fills=list(fills), positions=positions, open_orders=open_orders)


def differences(ours, venues, sent=(1, 2, 3)):
    """Return the differences' kinds, orders and both figures."""
    found = compare(ours, venues, sent=frozenset(sent), instruments=INSTRUMENTS)
    return [(each.kind, each.order, each.ours, each.venues) for each in found]


def test_accounts_that_agree_differ_in_nothing():
    """The same fills in another order, and in other parts, are the same account."""
    ours = account(fill(1, 2.0, 100.0, 0.2), fill(2, -1.0, 101.0), positions={"ETH": 1.0}, open_orders=[3])
    venues = account(
        fill(2, -1.0, 101.0), fill(1, 1.0, 99.0), fill(1, 1.0, 101.0), positions={"ETH": 1.0}, open_orders=[3]
    )
    assert differences(ours, venues) == []


@pytest.mark.parametrize(
    ("venues", "found"),
    [
        (account(), ("not at the venue", 1, 2.0, 0.0)),
        (account(fill(1, 2.0, 100.0), fill(2, 1.0, 100.0)), ("not on the tape", 2, 0.0, 1.0)),
        (account(fill(1, 2.0, 100.0), fill(9, 1.0, 100.0)), ("unknown order", 9, 0.0, 1.0)),
        (account(fill(1, 1.5, 100.0)), ("quantity", 1, 2.0, 1.5)),
        (account(fill(1, -2.0, 100.0)), ("quantity", 1, 2.0, -2.0)),
        (account(fill(1, 2.0, 100.0), fill(1, 2.0, 100.0)), ("quantity", 1, 2.0, 4.0)),
        (account(fill(1, 2.0, 100.01)), ("price", 1, 100.0, 100.01)),
        (account(fill(1, 2.0, 100.0, fee=0.2)), ("fee", 1, 0.1, 0.2)),
        (account(fill(1, 2.0, 100.0, instrument="BTC")), ("instrument", 1, 2.0, 2.0)),
    ],
)
def test_each_difference_is_told_once_with_both_figures(venues, found):
    """Missing, unknown, doubled, another side, price, fee or instrument."""
    [difference] = differences(account(fill(1, 2.0, 100.0)), venues)
    assert difference == pytest.approx(found)


@pytest.mark.parametrize(
    ("venues", "agrees"),
    [
        (fill(1, 2.0004, 100.0), True),  # within half a lot of 0.001
        (fill(1, 2.0006, 100.0), False),
        (fill(1, 2.0, 100.004), True),  # within half a tick of 0.01
        (fill(1, 2.0, 100.006), False),
        (fill(1, 2.0, 100.0, fee=0.104), True),  # within half a cent
        (fill(1, 2.0, 100.0, fee=0.106), False),
    ],
)
def test_what_rounding_may_take_is_no_difference(venues, agrees):
    """Half a lot, half a tick, half a cent a fill; and not more."""
    assert (differences(account(fill(1, 2.0, 100.0)), account(venues)) == []) is agrees


def test_what_the_venue_does_not_state_is_not_compared():
    """A statement of fills alone, without fees, says nothing of positions, open orders or fees."""
    ours = account(fill(1, 2.0, 100.0), positions={"ETH": 2.0}, open_orders=[3])
    assert differences(ours, account(fill(1, 2.0, 100.0, fee=None))) == []


def test_fees_count_only_where_every_fill_of_the_order_states_one():
    """Half a fee is no sum to compare with."""
    ours = account(fill(1, 1.0, 100.0), fill(1, 1.0, 100.0))
    assert differences(ours, account(fill(1, 1.0, 100.0, fee=9.0), fill(1, 1.0, 100.0, fee=None))) == []


def test_positions_differ_by_symbol_and_one_that_is_not_named_is_flat():
    """Each symbol once; a venue that names none of an instrument holds none of it."""
    ours, venues = account(positions={"ETH": 2.0, "BTC": 1.0}), account(positions={"ETH": 2.5, "BTC": 1.04})
    assert differences(ours, venues) == [("position", None, 2.0, 2.5)]
    assert differences(ours, account(positions={"ETH": 2.0})) == [("position", None, 1.0, 0.0)]


def test_an_open_order_that_one_side_does_not_have_is_told():
    """Open here and not there, and the other way round."""
    found = differences(account(open_orders=[1, 2]), account(open_orders=[2, 3]))
    assert found == [("open order", 1, 1.0, 0.0), ("open order", 3, 0.0, 1.0)]


def test_an_order_that_came_to_nothing_has_a_price_all_the_same():
    """A buy and a sale under one order add up to nothing; that is no division by zero."""
    ours = account(fill(1, 1.0, 100.0), fill(1, -1.0, 101.0))
    assert differences(ours, ours) == []


def test_a_difference_says_itself_in_words():
    """Who, what, and both figures with their unit."""
    [found] = compare(account(fill(1, 2.0, 100.0)), account(fill(1, 1.5, 100.0)), sent={1}, instruments=INSTRUMENTS)
    assert found.sentence() == "order 1 (ETH): quantity, 2 here, 1.5 at the venue, in units"
    [found] = compare(account(positions={"ETH": 1.0}), account(positions={}), sent=(), instruments=INSTRUMENTS)
    assert found.sentence() == "ETH: position, 1 here, 0 at the venue, in units"


def test_an_account_with_a_field_of_another_name_is_refused():
    """A statement that says `qty` is not read as one that says nothing of quantity."""
    with pytest.raises(msgspec.ValidationError, match="qty"):
        msgspec.json.decode(b'{"fills": [{"order": 1, "instrument": "ETH", "qty": 1}]}', type=Account)
