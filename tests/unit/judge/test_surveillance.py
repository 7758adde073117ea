"""Rules of market abuse over our own orders: what each asks about, from where on, and what it passes over."""

import numpy as np
import pytest

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from tradeworthy.judge.surveillance import (
    RULES,
    Conduct,
    SurveillanceSettings,
    layering,
    marking_the_close,
    quote_stuffing,
    wash_trades,
)

INSTRUMENTS = (Instrument(symbol="ETH"), Instrument(symbol="BTC", tick=0.5))
NOON = 18_000 * NS_PER_DAY + NS_PER_DAY // 2
SETTINGS = SurveillanceSettings()


class Desk:
    """Orders and answers as a tape would hold them, one record after another."""

    def __init__(self) -> None:
        self.orders, self.inputs, self.sequence = [], [], 0

    def _input(self, kind, at_s, instrument, reference, values, flags=0) -> None:
        self.sequence += 1
        row = np.zeros(1, event_dtype())
        row["sequence"], row["kind"], row["instrument"], row["flags"] = self.sequence, kind, instrument, flags
        row["ts_event_ns"], row["reference"] = NOON + int(at_s * NS_PER_S), reference
        row["values"] = np.nan
        row["values"][0, : len(values)] = values
        self.inputs.append(row)

    def order(self, at_s, quantity, instrument=0):
        """Send an order; return its id."""
        self.sequence += 2
        row = np.zeros(1, ORDER)
        row["sequence"], row["decision"], row["quantity"] = self.sequence, self.sequence - 1, quantity
        row["ts_sent_ns"], row["instrument"] = NOON + int(at_s * NS_PER_S), instrument
        self.orders.append(row)
        return self.sequence - 1

    def fill(self, at_s, order, quantity, price=100.0, instrument=0, flags=0):
        """Hear of a fill."""
        self._input(Kind.FILL, at_s, instrument, order, [quantity, price, 0.1, 1.0], flags)

    def cancelled(self, at_s, order, instrument=0, code=2.0):
        """Hear that an order was cancelled."""
        self._input(Kind.REJECT, at_s, instrument, order, [code])

    def bar(self, at_s, volume, instrument=0):
        """See a bar."""
        self._input(Kind.BAR, at_s, instrument, 0, [100.0, 101.0, 99.0, 100.0, volume])

    def trade(self, at_s, size, instrument=0):
        """See a trade."""
        self._input(Kind.TRADE, at_s, instrument, 0, [100.0, size, 1.0])

    def both(self, at_s, quantity, price=100.0, instrument=0):
        """Send an order that fills at once."""
        order = self.order(at_s, quantity, instrument)
        self.fill(at_s, order, quantity, price, instrument)
        return order

    def conduct(self):
        """Return what rules look at."""
        inputs = np.concatenate([np.zeros(0, event_dtype()), *self.inputs])
        return Conduct.of(inputs, np.concatenate([np.zeros(0, ORDER), *self.orders]), INSTRUMENTS)


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.parametrize("name", RULES)
def test_a_desk_that_did_nothing_is_asked_nothing(desk, name):
    """No orders, no alert, no error; and nothing is said to be lacking."""
    assert RULES[name](desk.conduct(), SETTINGS) == ([], 0.0, "")


@pytest.mark.parametrize("name", RULES)
def test_an_ordinary_day_is_asked_nothing(desk, name):
    """Orders a minute apart, one cancelled, in a market that trades far more."""
    for minute in range(60):
        desk.bar(60 * minute, 1_000.0)
        desk.both(60 * minute + 1, 1.0 if minute % 2 else -1.0, 100.0 + 0.01 * minute)
    desk.cancelled(3_600, desk.order(3_590, 1.0))
    assert RULES[name](desk.conduct(), SETTINGS).alerts == []


# -- wash trades -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apart_s", "price", "instrument", "asked"),
    [
        (0.0, 100.0, 0, True),
        (1.0, 100.004, 0, True),  # the same tick, at the edge of the window
        (1.001, 100.0, 0, False),  # too far apart
        (0.5, 100.01, 0, False),  # another price
        (0.5, 100.0, 1, False),  # another instrument
    ],
)
def test_a_purchase_and_a_sale_at_one_price_are_asked_about(desk, apart_s, price, instrument, asked):
    """Close together, of one instrument, at one price: by how much both sides met."""
    first = desk.both(0.0, 3.0)
    second = desk.both(apart_s, -2.0, price, instrument)
    found = wash_trades(desk.conduct(), SETTINGS)
    assert len(found.alerts) == asked
    if asked:
        [alert] = found.alerts
        assert (alert.observed, alert.orders, found.highest) == (2.0, [first, second], 2.0)


def test_two_purchases_are_no_wash_trade_and_neither_are_parts_of_one_order(desk):
    """Only opposite sides meet."""
    order = desk.order(0.0, 2.0)
    desk.fill(0.0, order, 1.0)
    desk.fill(0.1, order, 1.0)
    desk.both(0.2, 1.0)
    assert wash_trades(desk.conduct(), SETTINGS).alerts == []


def test_a_fill_that_the_desk_did_not_believe_is_no_trade(desk):
    """A fill that was refused, such as one told twice, is not conduct."""
    desk.both(0.0, 1.0)
    desk.fill(0.1, desk.order(0.1, -1.0), -1.0, flags=21)
    assert wash_trades(desk.conduct(), SETTINGS).alerts == []


# -- layering --------------------------------------------------------------------------------------------------------


def layered(desk, layers=3, filled=0, gone_s=5.0, sent_s=1.0, side=1.0):
    """Send buys, sell, take the buys back; return the ids of the buys."""
    orders = [desk.order(sent_s + 0.1 * n, side) for n in range(layers)]
    for _ in range(filled):
        desk.both(sent_s + 0.5, side, 99.0)
    desk.both(3.0, -2.0)
    for order in orders:
        desk.cancelled(gone_s, order)
    return orders


def test_orders_withdrawn_around_a_fill_of_the_other_side_are_asked_about(desk):
    """Three buys before a sale, all taken back after it."""
    orders = layered(desk)
    found = layering(desk.conduct(), SETTINGS)
    [alert] = found.alerts
    assert (alert.instrument, alert.observed, alert.orders) == ("ETH", 1.0, orders)
    assert alert.to_ns - alert.from_ns == 4 * NS_PER_S
    assert alert.sequence == desk.sequence


@pytest.mark.parametrize(
    "words",
    [
        {"layers": 2},  # fewer than asked about
        {"filled": 1},  # three of four are 0.75
        {"gone_s": 13.1},  # withdrawn too late after the fill
        {"gone_s": 2.9},  # withdrawn before it
        {"sent_s": -7.5},  # sent too early before it
        {"side": -1.0},  # on the fill's own side
    ],
)
def test_what_is_not_layering_is_passed_over(desk, words):
    """Few, partly filled, early or late, or on the same side."""
    layered(desk, **words)
    assert layering(desk.conduct(), SETTINGS).alerts == []


def test_layers_that_filled_in_part_were_meant(desk):
    """An order with a fill of its own is no layer, though the rest of it was cancelled."""
    orders = layered(desk)
    desk.fill(2.0, orders[0], 0.1, 99.0)
    assert layering(desk.conduct(), SETTINGS).alerts == []


def test_several_fills_against_the_same_layers_are_one_question(desk):
    """A sale in three parts is asked about once."""
    orders = [desk.order(0.1 * n, 1.0) for n in range(4)]
    sale = desk.order(1.0, -3.0)
    for part in range(3):
        desk.fill(1.0 + part, sale, -1.0)
    for order in orders:
        desk.cancelled(5.0, order)
    assert len(layering(desk.conduct(), SETTINGS).alerts) == 1


def test_a_reject_that_is_no_cancel_withdraws_nothing(desk):
    """An order that the venue refused was not taken back by us."""
    orders = [desk.order(0.1 * n, 1.0) for n in range(4)]
    desk.both(1.0, -2.0)
    for order in orders:
        desk.cancelled(5.0, order, code=1.0)
    assert layering(desk.conduct(), SETTINGS).alerts == []


# -- marking the close -----------------------------------------------------------------------------------------------

TO_MIDNIGHT_S = 12 * 3_600


def test_much_of_what_was_traded_at_the_end_of_the_day_is_asked_about(desk):
    """A quarter of the last ten minutes' volume, with whose orders and how much."""
    desk.bar(TO_MIDNIGHT_S - 601, 1e9)  # before the window
    desk.bar(TO_MIDNIGHT_S - 300, 30.0)
    desk.bar(TO_MIDNIGHT_S, 10.0)
    order = desk.both(TO_MIDNIGHT_S - 10, 10.0)
    desk.bar(TO_MIDNIGHT_S + 1, 1e9)  # of the next day
    found = marking_the_close(desk.conduct(), SETTINGS)
    [alert] = found.alerts
    assert (alert.observed, alert.orders, found.lacks) == (0.25, [order], "")


@pytest.mark.parametrize(("at_s", "asked"), [(-600, False), (-599, True), (0, True), (1, False)])
def test_the_window_ends_with_the_day(desk, at_s, asked):
    """What is traded at the very end belongs to the day, what comes a second later does not."""
    desk.bar(TO_MIDNIGHT_S, 10.0)
    desk.both(TO_MIDNIGHT_S + at_s, 10.0)
    assert bool(marking_the_close(desk.conduct(), SETTINGS).alerts) is asked


def test_a_market_of_trades_is_measured_by_its_trades(desk):
    """Where trades are seen, bars of the same volume are not added to them."""
    for at_s in range(10):
        desk.trade(TO_MIDNIGHT_S - 60 + at_s, 1.0)
    desk.bar(TO_MIDNIGHT_S, 1_000.0)
    desk.both(TO_MIDNIGHT_S - 5, 5.0)
    assert marking_the_close(desk.conduct(), SETTINGS).highest == 0.5


def test_an_end_of_day_without_known_volume_is_said_to_be_unknown(desk):
    """No volume is no evidence of innocence: the rule says at how many ends it could not look."""
    desk.both(TO_MIDNIGHT_S - 5, 5.0)
    desk.bar(TO_MIDNIGHT_S, 10.0, instrument=1)
    found = marking_the_close(desk.conduct(), SETTINGS)
    assert found.alerts == []
    assert "not known at 1 ends of a day" in found.lacks


def test_the_day_ends_when_the_settings_say(desk):
    """A market that closes at 16:00 is looked at before 16:00."""
    four = 4 * 3_600
    desk.bar(four, 10.0)
    desk.both(four - 60, 10.0)
    assert marking_the_close(desk.conduct(), SETTINGS).alerts == []
    assert marking_the_close(desk.conduct(), SurveillanceSettings(close_utc="16:00")).alerts


# -- quote stuffing --------------------------------------------------------------------------------------------------


def test_more_messages_than_a_second_should_see_are_asked_about_once(desk):
    """A burst of orders and cancels over three seconds is one question, with its worst second."""
    for n in range(60):
        desk.order(0.05 * n, 1.0)
    found = quote_stuffing(desk.conduct(), SurveillanceSettings(messages_per_s_max=15))
    [alert] = found.alerts
    assert alert.observed == found.highest == 20.0
    assert len(alert.orders) == 60


def test_cancels_count_as_messages(desk):
    """Eleven orders and ten cancels within a second are more than twenty; without the cancels they are not."""
    orders = [desk.order(0.01 * n, 1.0) for n in range(11)]
    assert quote_stuffing(desk.conduct(), SETTINGS).alerts == []
    for order in orders[:10]:
        desk.cancelled(0.5, order)
    [alert] = quote_stuffing(desk.conduct(), SETTINGS).alerts
    assert alert.observed == 21.0


def test_bursts_apart_are_questions_apart(desk):
    """Two bursts a minute apart, in two instruments, are asked about each."""
    for start, instrument in ((0, 0), (60, 1)):
        for n in range(21):
            desk.order(start + 0.01 * n, 1.0, instrument)
    found = quote_stuffing(desk.conduct(), SETTINGS)
    assert [alert.instrument for alert in found.alerts] == ["ETH", "BTC"]


def test_exactly_the_limit_is_allowed(desk):
    """Twenty within a second pass, as does a twenty-first that comes when the second is over."""
    for n in range(20):
        desk.order(0.01 * n, 1.0)
    desk.order(1.0, 1.0)
    assert quote_stuffing(desk.conduct(), SETTINGS).alerts == []


# -- words and settings ----------------------------------------------------------------------------------------------


def test_an_alert_asks_in_words_and_is_a_finding(desk):
    """It says what it could be taken for, with figures and orders, and names no guilt."""
    layered(desk, layers=7)
    [alert] = layering(desk.conduct(), SETTINGS).alerts
    assert alert.sentence().startswith("Orders in ETH could be taken for layering: 1 of the orders")
    assert alert.sentence().endswith("and more.")
    finding = alert.finding()
    assert (finding.monitor, finding.kind, finding.subject, finding.threshold) == (
        "layering",
        "surveillance",
        "ETH",
        0.8,
    )


@pytest.mark.parametrize(
    "words",
    [
        {"wash_window_s": 0.0},
        {"layering_window_s": -1.0},
        {"layering_orders_min": 0},
        {"layering_share_min": 0.0},
        {"layering_share_min": 1.1},
        {"close_share_max": float("nan")},
        {"close_window_s": 0.0},
        {"messages_per_s_max": 0},
        {"close_utc": "24:00"},
        {"close_utc": "12:60"},
        {"close_utc": "4:00"},
        {"close_utc": "noon!"},
    ],
)
def test_limits_that_mean_nothing_are_refused(words):
    """The message names the key, what was found and what is allowed."""
    [name] = words
    with pytest.raises(SettingsInvalid, match=rf"surveillance\.{name} is .*, allowed is "):
        SurveillanceSettings(**words)


def test_a_minute_is_not_a_day():
    """The end of the day is read in hours and minutes."""
    assert SurveillanceSettings(close_utc="00:01").close_ns == NS_PER_MINUTE
