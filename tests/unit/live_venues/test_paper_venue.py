"""The paper venue is right to the cent."""

import math

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, ORDER
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.venues.base import RejectCode
from tradeworthy.live.venues.paper import Paper, PaperSettings

DESK = (
    Instrument(symbol="ETH", tick=0.01, lot=0.001),
    Instrument(symbol="ES", tick=0.25, lot=1.0, multiplier=50.0),
    Instrument(symbol="BTC", traded=False),
)
FREE = PaperSettings(fee_bps=0.0, half_spread_bps=0.0, slippage_bps=0.0)


def bar(open_price, *, at_ns=1, instrument=0, volume=1_000.0, **changes: float):
    """Return a bar around its open."""
    values = {"open": open_price, "high": open_price + 1, "low": open_price - 1, "close": open_price + 0.5}
    return one(Kind.BAR, values | {"volume": volume} | changes, at_ns, instrument)


def quote(bid, ask, *, at_ns=1, size=100.0, late_ns=0):
    """Return a quote of equal sizes."""
    event = one(Kind.QUOTE, {"bid": bid, "ask": ask, "bid_size": size, "ask_size": size}, at_ns, 0)
    event["ts_recv_ns"] += late_ns
    return event


def trade(price, *, at_ns=1, size=100.0):
    """Return a trade."""
    return one(Kind.TRADE, {"price": price, "size": size, "side": 1.0}, at_ns, 0)


def one(kind, values, at_ns, instrument):
    columns = {name: [value] for name, value in values.items()}
    return events_from_columns(kind, instrument, np.array([at_ns]), columns)[0]


def orders(*wanted: tuple):
    """Return orders from (id, quantity, limit price, instrument), the last two optional."""
    batch = np.zeros(len(wanted), ORDER)
    for place, (order_id, quantity, *more) in enumerate(wanted):
        limit_price = more[0] if more else (math.inf if quantity > 0 else 0.0)
        instrument = more[1] if len(more) > 1 else 0
        record = batch[place : place + 1]
        record["decision"], record["quantity"] = order_id, quantity
        record["limit_price"], record["instrument"] = limit_price, instrument
    return batch


def filled(venue, event):
    """Return (id, quantity, price, fee) of each fill that an event causes."""
    answers = venue.observe(event)
    fills = answers[answers["kind"] == Kind.FILL]
    return [(int(fill["reference"]), *fill["values"][:3].tolist()) for fill in fills]


def rejected(venue, event):
    """Return (id, code) of each reject that an event causes."""
    answers = venue.observe(event)
    rejects = answers[answers["kind"] == Kind.REJECT]
    return [(int(reject["reference"]), RejectCode(int(reject["values"][0]))) for reject in rejects]


def test_a_bar_fills_at_its_open_with_costs_against_us():
    """At an open of 200.00 and two basis points of cost, a buy pays 200.04, a sell gets 199.96, each with its fee."""
    venue = Paper(PaperSettings(fee_bps=10.0, half_spread_bps=1.0, slippage_bps=1.0), DESK)
    venue.submit(orders((1, 2.5), (2, -2.5)))
    buy, sell = filled(venue, bar(200.0))
    assert buy == (1, 2.5, 200.04, pytest.approx(0.50010, abs=1e-12))
    assert sell == (2, -2.5, 199.96, pytest.approx(0.49990, abs=1e-12))


def test_a_quote_fills_at_its_own_bid_or_ask():
    """A quote carries its spread: only slippage is added."""
    venue = Paper(PaperSettings(fee_bps=0.0, half_spread_bps=50.0, slippage_bps=10.0), DESK)
    venue.submit(orders((1, 1.0), (2, -1.0)))
    assert filled(venue, quote(99.0, 101.0)) == [(1, 1.0, 101.11, 0.0), (2, -1.0, 98.9, 0.0)]


def test_a_trade_fills_at_its_price_with_the_half_spread():
    """A trade shows one side only, so half the spread is added."""
    venue = Paper(PaperSettings(fee_bps=0.0, half_spread_bps=10.0, slippage_bps=0.0), DESK)
    venue.submit(orders((1, 1.0), (2, -1.0)))
    assert filled(venue, trade(100.0)) == [(1, 1.0, 100.1, 0.0), (2, -1.0, 99.9, 0.0)]


def test_prices_round_to_the_tick_against_us():
    """Between two ticks a buy pays the higher and a sell gets the lower."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((1, 1.0), (2, -1.0)))
    assert [fill[2] for fill in filled(venue, bar(82.49495961))] == [82.5, 82.49]


def test_a_price_on_the_tick_stays():
    """Float noise never costs a tick: 303.44 is 30,344 ticks of 0.01, and is given back exactly."""
    venue = Paper(FREE, DESK)
    for number, price in enumerate((303.44, 0.07, 1.1, 4367.1, 87654.32), start=1):
        venue.submit(orders((2 * number, 1.0), (2 * number + 1, -1.0)))
        assert [fill[2] for fill in filled(venue, bar(price, low=0.01))] == [price, price]


def test_the_multiplier_counts_in_the_fee():
    """One E-mini at 1640.25 is worth 82,012.50; a basis point of it is 8.20125."""
    venue = Paper(PaperSettings(fee_bps=1.0, half_spread_bps=0.0, slippage_bps=0.0), DESK)
    venue.submit(orders((1, 1.0, math.inf, 1)))
    assert filled(venue, bar(1640.25, instrument=1)) == [(1, 1.0, 1640.25, pytest.approx(8.20125, abs=1e-12))]


def test_the_least_fee_is_charged_and_a_rebate_is_not_raised():
    """A small fill pays the minimum; a rebate stays a rebate."""
    venue = Paper(PaperSettings(fee_bps=1.0, fee_minimum=0.35, half_spread_bps=0, slippage_bps=0), DESK)
    venue.submit(orders((1, 1.0)))
    assert filled(venue, bar(100.0))[0][3] == 0.35
    maker = Paper(PaperSettings(fee_bps=-1.0, fee_minimum=0.35, half_spread_bps=0, slippage_bps=0), DESK)
    maker.submit(orders((1, 1.0)))
    assert filled(maker, bar(100.0))[0][3] == pytest.approx(-0.01, abs=1e-15)


def test_never_on_the_event_that_led_to_the_order():
    """What the venue saw before the order fills nothing; the next event does."""
    venue = Paper(FREE, DESK)
    assert filled(venue, bar(100.0, at_ns=1)) == []
    venue.submit(orders((1, 1.0)))
    assert filled(venue, bar(105.0, at_ns=2)) == [(1, 1.0, 105.0, 0.0)]


def test_a_price_worse_than_the_limit_is_rejected():
    """Costs count: an open at the limit is beyond it once they are added."""
    venue = Paper(PaperSettings(half_spread_bps=1.0, slippage_bps=0.0), DESK)
    venue.submit(orders((1, 1.0, 100.0), (2, -1.0, 100.0), (3, 1.0, 100.01), (4, -1.0, 99.99)))
    answers = venue.observe(bar(100.0))
    kinds = dict(zip(answers["reference"].tolist(), answers["kind"].tolist(), strict=True))
    assert kinds == {1: Kind.REJECT, 2: Kind.REJECT, 3: Kind.FILL, 4: Kind.FILL}
    assert venue.pending == 0


@pytest.mark.parametrize(
    "event",
    [
        bar(math.nan),
        bar(100.0, high=math.inf),
        bar(100.0, low=0.0),
        bar(100.0, high=99.0),
        bar(100.0, close=math.nan),
        quote(101.0, 100.0),
        quote(math.nan, 100.0),
        quote(0.0, 100.0),
        quote(99.0, math.inf),
        trade(-5.0),
        trade(math.nan),
    ],
)
def test_prices_not_to_be_believed_fill_nothing(event):
    """NaN, infinite, zero, negative, crossed and inconsistent prices leave the order open for the next event."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((1, 1.0)))
    assert len(venue.observe(event)) == 0
    assert venue.pending == 1
    assert filled(venue, bar(100.0, at_ns=9))[0][0] == 1


def test_an_event_older_than_one_seen_fills_nothing():
    """A late event's price is gone."""
    venue = Paper(PaperSettings(fill_on=("quote",), slippage_bps=0.0, fee_bps=0.0), DESK)
    venue.submit(orders((1, 1.0)))
    venue.observe(quote(101.0, 100.0, at_ns=50))
    assert filled(venue, quote(89.0, 90.0, at_ns=49)) == []
    assert filled(venue, quote(99.0, 100.0, at_ns=50)) == [(1, 1.0, 100.0, 0.0)]


def test_an_event_too_long_on_its_way_fills_nothing():
    """With an age limit of one millisecond, a quote that took two fills nothing."""
    venue = Paper(PaperSettings(age_ms_max=1.0), DESK)
    venue.submit(orders((1, 1.0)))
    assert filled(venue, quote(99.0, 100.0, at_ns=1, late_ns=2_000_000)) == []
    assert len(filled(venue, quote(99.0, 100.0, at_ns=2, late_ns=1_000_000))) == 1


def test_only_declared_kinds_fill():
    """A desk that fills on quotes is not filled by a bar, whose open lies in the past."""
    venue = Paper(PaperSettings(fill_on=("quote",)), DESK)
    venue.submit(orders((1, 1.0)))
    assert filled(venue, bar(100.0)) == []
    assert filled(venue, trade(100.0)) == []
    assert len(filled(venue, quote(99.0, 100.0))) == 1


def test_a_bar_can_fill_at_its_close():
    """Where orders are sent between bars, the close is the price that was still to come."""
    venue = Paper(PaperSettings(fee_bps=0, half_spread_bps=0, slippage_bps=0, bar_price="close"), DESK)
    venue.submit(orders((1, 1.0)))
    assert filled(venue, bar(100.0))[0][2] == 100.5


def test_participation_fills_in_parts():
    """With a tenth of the volume, an order of 2.5 against bars of 10 fills 1, 1 and 0.5, and is open until then."""
    venue = Paper(PaperSettings(participation_max=0.1, fee_bps=0, half_spread_bps=0, slippage_bps=0), DESK)
    venue.submit(orders((1, -2.5)))
    parts = []
    for at_ns in (1, 2, 3):
        parts += [fill[1] for fill in filled(venue, bar(100.0, at_ns=at_ns, volume=10.0))]
        assert venue.pending == (0 if at_ns == 3 else 1)
    assert parts == [-1.0, -1.0, -0.5]


def test_orders_share_what_an_event_offers():
    """Two buys cannot both take the same volume: the older goes first, each side has its own."""
    venue = Paper(PaperSettings(participation_max=1.0, fee_bps=0, half_spread_bps=0, slippage_bps=0), DESK)
    venue.submit(orders((1, 3.0), (2, 3.0), (3, -3.0)))
    assert [(fill[0], fill[1]) for fill in filled(venue, bar(100.0, volume=4.0))] == [(1, 3.0), (2, 1.0), (3, -3.0)]
    assert venue.open_orders()["quantity"].tolist() == [2.0]


@pytest.mark.parametrize("volume", [0.0, 0.0009, math.nan])
def test_less_than_a_lot_fills_nothing(volume):
    """An event that offers less than a lot, or nobody knows how much, leaves the order open."""
    venue = Paper(PaperSettings(participation_max=1.0), DESK)
    venue.submit(orders((1, 1.0)))
    assert filled(venue, bar(100.0, volume=volume)) == []
    assert venue.pending == 1


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ((1, 0.0), RejectCode.QUANTITY_INVALID),
        ((1, math.nan), RejectCode.QUANTITY_INVALID),
        ((1, math.inf), RejectCode.QUANTITY_INVALID),
        ((1, 0.0015), RejectCode.QUANTITY_INVALID),
        ((1, 1.0, math.nan), RejectCode.LIMIT_PRICE_MISSING),
        ((1, 1.0, math.inf, 2), RejectCode.UNKNOWN_INSTRUMENT),
        ((1, 1.0, math.inf, 99), RejectCode.UNKNOWN_INSTRUMENT),
    ],
)
def test_orders_that_cannot_be_filled_are_rejected_with_a_reason(order, code):
    """A bad order is answered at the next event of any instrument, with its own code."""
    venue = Paper(FREE, DESK)
    venue.submit(orders(order))
    assert venue.pending == 1
    assert rejected(venue, bar(100.0, instrument=1)) == [(1, code)]
    assert venue.pending == 0
    assert code.text


def test_lots_made_by_float_arithmetic_are_whole():
    """0.1 + 0.2 is three hundred lots of 0.001, whatever the last bit says, and is filled as ordered."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((1, 0.1 + 0.2)))
    assert filled(venue, bar(100.0)) == [(1, 0.1 + 0.2, 100.0, 0.0)]


def test_a_cancel_beats_the_next_event():
    """A cancelled order is answered by one reject and does not fill; the others do."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((1, 1.0), (2, 1.0)))
    venue.cancel(1)
    venue.cancel(1)
    venue.cancel(77)
    answers = venue.observe(bar(100.0))
    assert list(zip(answers["reference"].tolist(), answers["kind"].tolist(), strict=True)) == [
        (1, Kind.REJECT),
        (2, Kind.FILL),
    ]
    assert answers["values"][0, 0] == RejectCode.CANCELLED


def test_an_id_is_taken_once():
    """A repeated or older id is ignored, so a resend after a crash cannot trade twice."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((5, 1.0), (5, 1.0), (4, 1.0)))
    assert [fill[0] for fill in filled(venue, bar(100.0))] == [5]
    venue.submit(orders((5, 1.0)))
    assert venue.pending == 0


def test_answers_carry_the_times_of_their_event():
    """Fills are events of the market event's time, type and instrument, with an empty frame and NaN padding."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((7, 1.0)))
    event = quote(99.0, 100.0, at_ns=123, late_ns=4)
    (fill,) = venue.observe(event)
    assert (fill["ts_event_ns"], fill["ts_recv_ns"], fill["instrument"]) == (123, 127, 0)
    assert (fill["sequence"], fill["crc"], fill["epoch"], fill["flags"]) == (0, 0, 0, 0)
    assert np.isnan(fill["values"][4:]).all()
    assert fill.dtype == event.dtype


def test_each_fill_of_an_order_has_a_number_of_its_own():
    """Parts of an order are told apart, also those that a venue started afresh fills."""
    settings = PaperSettings(participation_max=0.5)
    venue = Paper(settings, DESK)
    venue.submit(orders((7, 3.0)))
    numbers = [venue.observe(quote(99.0, 100.0, at_ns=at, size=2.0))["values"][0, 3] for at in (1, 2)]
    (left,) = venue.open_orders()["quantity"]
    afresh = Paper(settings, DESK)
    afresh.restore(orders((7, float(left))))
    numbers.append(afresh.observe(quote(99.0, 100.0, at_ns=2, size=2.0))["values"][0, 3])
    assert len(set(numbers)) == 3
    assert all(number > 0 and number == int(number) for number in numbers)


def test_wide_events_get_wide_answers():
    """A desk with rows of many fields gets answers of its own width."""
    venue = Paper(FREE, DESK)
    venue.submit(orders((1, 1.0)))
    columns = {"price": [100.0], "size": [1.0], "side": [0.0]}
    event = events_from_columns(Kind.TRADE, 0, np.array([1]), columns, width=40)[0]
    answers = venue.observe(event)
    assert answers["values"].shape == (1, 40)
    assert np.isnan(answers["values"][0, 4:]).all()


def test_open_orders_survive_a_restart():
    """What one venue has open, another takes over with the quantity that is left, oldest first."""
    settings = PaperSettings(participation_max=1.0, fee_bps=0, half_spread_bps=0, slippage_bps=0)
    venue = Paper(settings, DESK)
    venue.submit(orders((1, 3.0), (2, -5.0), (3, 1.0, math.inf, 1)))
    venue.observe(bar(100.0, volume=4.0))
    left = venue.open_orders()
    assert list(zip(left["decision"].tolist(), left["quantity"].tolist(), strict=True)) == [(2, -1.0), (3, 1.0)]
    again = Paper(settings, DESK)
    again.restore(left[::-1])
    assert again.open_orders().tobytes() == left.tobytes()
    assert filled(again, bar(100.0)) == [(2, -1.0, 100.0, 0.0)]


def test_no_orders_are_open_at_first():
    """A fresh venue has nothing pending and an empty list of orders."""
    venue = Paper(FREE, DESK)
    assert (venue.pending, len(venue.open_orders())) == (0, 0)


def test_records_that_are_no_orders_are_refused():
    """Decisions are not orders; the message says what is."""
    with pytest.raises(DataInvalid, match=r"core\.decisions\.ORDER"):
        Paper(FREE, DESK).submit(np.zeros(1, DECISION))


@pytest.mark.parametrize(
    "changes",
    [
        {"slippage_bps": -1.0},
        {"half_spread_bps": math.nan},
        {"fee_bps": math.inf},
        {"fee_minimum": -0.1},
        {"participation_max": 0.0},
        {"participation_max": 1.5},
        {"fill_on": ()},
        {"age_ms_max": -1.0},
    ],
)
def test_dishonest_settings_are_refused(changes):
    """No spread or slippage in our favour, no part of nothing, no venue that never fills."""
    with pytest.raises(ValueError, match="allowed is"):
        PaperSettings(**changes)
