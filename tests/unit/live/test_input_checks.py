"""Input checks: what may change anything, and what is only recorded."""

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, event_dtype, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.inputs import admit, is_believable
from tradeworthy.live.state import CheckSettings, hold_desk, new_desk

INSTRUMENTS = (Instrument(symbol="ETH"), Instrument(symbol="BTC", traded=False))
BAR = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 7.0}
TRADE = {"price": 100.0, "size": 2.0, "side": 1.0}
QUOTE = {"bid": 99.0, "ask": 101.0, "bid_size": 3.0, "ask_size": 4.0}


class Gate:
    """A desk that only admits."""

    def __init__(self, *, row_fields=2, **settings: float | None) -> None:
        self.desk = new_desk(INSTRUMENTS, None, CheckSettings(**settings), row_fields=row_fields)
        self.handle = hold_desk(self.desk)
        self.inbox = Inbox(4, 5)

    def admit(self, events):
        """Return the code of the last of these events."""
        for event in events:
            self.inbox.load(np.array([event]))
            code = admit(self.handle, self.inbox.words, self.inbox.numbers, 0)
            assert self.inbox.records["flags"][0] == code
        return DenialCode(code)


def one(kind, ts=1, instrument=0, reference=0, recv=None, **fields: float):
    """Return one event, with defaults for its kind changed by `fields`."""
    base = {Kind.BAR: BAR, Kind.TRADE: TRADE, Kind.QUOTE: QUOTE}[kind]
    columns = {name: np.array([value]) for name, value in {**base, **fields}.items()}
    event = events_from_columns(kind, instrument, np.array([ts]), columns)
    event["reference"] = reference
    if recv is not None:
        event["ts_recv_ns"] = recv
    return event


def row(ts, entity, *values: float):
    """Return one row event."""
    event = np.zeros(1, event_dtype())
    event["kind"], event["ts_event_ns"], event["ts_recv_ns"], event["reference"] = Kind.ROW, ts, ts, entity
    event["values"] = np.nan
    event["values"][0, : len(values)] = values
    return event


@pytest.fixture
def gate():
    return Gate()


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.TRADE, Kind.QUOTE])
def test_good_events_pass(gate, kind):
    """A well-formed event is admitted and gives the instrument its price."""
    assert gate.admit(one(kind)) == DenialCode.NONE
    assert gate.desk.positions["mark"][0] == {Kind.BAR: 105.0, Kind.TRADE: 100.0, Kind.QUOTE: 100.0}[kind]
    assert np.isnan(gate.desk.positions["mark"][1])


@pytest.mark.parametrize(
    ("kind", "field"),
    [(Kind.BAR, name) for name in BAR]
    + [(Kind.TRADE, "price"), (Kind.TRADE, "size")]
    + [(Kind.QUOTE, name) for name in QUOTE],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308])
def test_values_that_are_no_numbers_are_refused(gate, kind, field, value):
    """NaN, infinities and numbers that overflow any product never get in."""
    assert gate.admit(one(kind, **{field: value})) == DenialCode.INPUT_NOT_FINITE
    assert np.isnan(gate.desk.positions["mark"][0])


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(Kind.BAR, {name: 0.0}) for name in ("open", "high", "low", "close")]
    + [(Kind.BAR, {name: -1.0}) for name in BAR]
    + [(Kind.TRADE, {"price": 0.0}), (Kind.TRADE, {"price": -1.0}), (Kind.TRADE, {"size": -1.0})]
    + [(Kind.QUOTE, {"bid": 0.0}), (Kind.QUOTE, {"ask": -1.0}), (Kind.QUOTE, {"ask_size": -1.0})],
)
def test_prices_and_sizes_must_be_positive(gate, kind, fields):
    """Zero and negative prices and negative sizes are refused; zero sizes are not."""
    assert gate.admit(one(kind, **fields)) == DenialCode.INPUT_NOT_POSITIVE


def test_zero_volume_passes(gate):
    """A bar in which nothing traded is a bar."""
    assert gate.admit(one(Kind.BAR, volume=0.0)) == DenialCode.NONE


@pytest.mark.parametrize("fields", [{"high": 104.0}, {"low": 101.0}, {"high": 89.0}, {"close": 111.0}, {"open": 89.0}])
def test_bar_must_be_consistent(gate, fields):
    """High and low must enclose open and close."""
    assert gate.admit(one(Kind.BAR, **fields)) == DenialCode.INPUT_INCONSISTENT


def test_crossed_quote_is_refused_and_locked_one_is_not(gate):
    """A bid above the ask is no market; an equal one may be."""
    assert gate.admit(one(Kind.QUOTE, bid=101.5)) == DenialCode.INPUT_CROSSED
    assert gate.admit(one(Kind.QUOTE, bid=101.0)) == DenialCode.NONE


def test_unknown_side_of_a_trade_is_allowed(gate):
    """Many venues do not tell which side began a trade."""
    assert gate.admit(one(Kind.TRADE, side=np.nan)) == DenialCode.NONE


def test_same_bar_again_is_a_duplicate(gate):
    """A bar is known by its instrument and time, even if its values differ."""
    gate.admit(one(Kind.BAR))
    assert gate.admit(one(Kind.BAR, close=106.0)) == DenialCode.INPUT_DUPLICATE
    assert gate.desk.positions["mark"][0] == 105.0
    assert gate.admit(one(Kind.BAR, instrument=1)) == DenialCode.NONE


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.TRADE, Kind.QUOTE])
def test_late_events_are_refused(gate, kind):
    """Time never goes back within one instrument and kind."""
    gate.admit(one(kind, ts=5))
    assert gate.admit(one(kind, ts=4)) == DenialCode.INPUT_OUT_OF_ORDER
    assert gate.admit(one(kind, ts=4, instrument=1)) == DenialCode.NONE


def test_kinds_have_lanes_of_their_own(gate):
    """A bar that closes before the latest quote is not late."""
    gate.admit(one(Kind.QUOTE, ts=5))
    assert gate.admit(one(Kind.BAR, ts=4)) == DenialCode.NONE


@pytest.mark.parametrize("kind", [Kind.TRADE, Kind.QUOTE])
def test_venue_sequence_tells_repeats_of_one_time(gate, kind):
    """Within one time stamp, the venue's own sequence decides; without one, equal events are different ones."""
    gate.admit(one(kind, ts=5, reference=10))
    assert gate.admit(one(kind, ts=5, reference=10)) == DenialCode.INPUT_DUPLICATE
    assert gate.admit(one(kind, ts=5, reference=9)) == DenialCode.INPUT_OUT_OF_ORDER
    assert gate.admit(one(kind, ts=5, reference=11)) == DenialCode.NONE
    assert gate.admit(one(kind, ts=6, reference=1)) == DenialCode.NONE
    assert gate.admit(one(kind, ts=7)) == DenialCode.NONE
    assert gate.admit(one(kind, ts=7)) == DenialCode.NONE


def test_rows_of_one_time_are_told_apart_by_entity(gate):
    """Several entities may have a row at once; the same entity only once."""
    assert gate.admit(row(5, 1, 0.1, 0.2)) == DenialCode.NONE
    assert gate.admit(row(5, 2, 0.1, 0.2)) == DenialCode.NONE
    assert gate.admit(row(5, 1, 0.1, 0.2)) == DenialCode.INPUT_DUPLICATE
    assert gate.admit(row(4, 3, 0.1, 0.2)) == DenialCode.INPUT_OUT_OF_ORDER
    assert gate.admit(row(6, 1, 0.1, 0.2)) == DenialCode.NONE


def test_row_needs_every_declared_value(gate):
    """A declared field that is NaN refuses the row; the padding behind it does not."""
    assert gate.admit(row(5, 1, 0.1, np.nan)) == DenialCode.INPUT_NOT_FINITE
    assert gate.admit(row(5, 1, -0.1, 0.0)) == DenialCode.NONE


@pytest.mark.parametrize("instrument", [2, 2**32 - 1])
def test_unknown_instrument_is_refused(gate, instrument):
    """A number beyond the desk's list reaches no array."""
    assert gate.admit(one(Kind.BAR, instrument=instrument)) == DenialCode.INPUT_UNKNOWN_INSTRUMENT


@pytest.mark.parametrize("kind", [0, Kind.FILL, Kind.REJECT, Kind.CONTROL, 11, 255])
def test_feeds_may_not_bring_other_kinds(gate, kind):
    """Only the engine writes control events, only the venue fills: a feed cannot resume trading."""
    event = one(Kind.BAR)
    event["kind"] = kind
    assert gate.admit(event) == DenialCode.INPUT_UNKNOWN_KIND


@pytest.mark.parametrize("kind", [Kind.OUTCOME, Kind.TIMER])
def test_outcomes_and_timers_pass_unread(gate, kind):
    """They change nothing here, whatever they carry."""
    event = one(Kind.BAR, instrument=9, close=np.nan)
    event["kind"] = kind
    assert gate.admit(event) == DenialCode.NONE


def test_a_jump_needs_a_second_price(gate):
    """One price far away is refused; a second one near it is a new level."""
    gate.admit(one(Kind.BAR, ts=1))
    far = {"open": 150.0, "high": 160.0, "low": 140.0, "close": 150.0}
    assert gate.admit(one(Kind.BAR, ts=2, **far)) == DenialCode.INPUT_JUMP
    assert gate.desk.positions["mark"][0] == 105.0
    assert gate.admit(one(Kind.BAR, ts=3, **far)) == DenialCode.NONE
    assert gate.desk.positions["mark"][0] == 150.0


def test_the_same_wild_event_sent_again_confirms_nothing(gate):
    """However often a venue repeats one wild bar, its price is believed only when another event agrees."""
    gate.admit(one(Kind.BAR, ts=1))
    far = {"open": 150.0, "high": 160.0, "low": 140.0, "close": 150.0}
    for _ in range(3):
        assert gate.admit(one(Kind.BAR, ts=2, **far)) == DenialCode.INPUT_JUMP
    assert gate.admit(one(Kind.BAR, ts=3, **far)) == DenialCode.NONE


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (one(Kind.TRADE, ts=2, price=150.0, reference=8), DenialCode.INPUT_JUMP),
        (one(Kind.TRADE, ts=2, price=150.0, reference=9), DenialCode.NONE),
        (one(Kind.TRADE, ts=3, price=150.0, reference=8), DenialCode.NONE),
        (one(Kind.QUOTE, ts=2, bid=149.0, ask=151.0), DenialCode.NONE),
    ],
)
def test_another_event_is_told_by_kind_time_or_number(gate, second, code):
    """A trade is confirmed by one of another number or time, or by a quote; not by itself."""
    gate.admit(one(Kind.TRADE, ts=1))
    assert gate.admit(one(Kind.TRADE, ts=2, price=150.0, reference=8)) == DenialCode.INPUT_JUMP
    assert gate.admit(second) == code


def test_looking_at_an_event_leaves_suspicions_alone(gate):
    """What a venue is shown is judged beforehand; that must not count as the first of two prices."""
    gate.admit(one(Kind.TRADE, ts=1))
    gate.inbox.load(one(Kind.TRADE, ts=2, price=150.0))
    before = gate.desk.suspicions.copy(), gate.desk.suspects.copy()
    assert not is_believable(gate.handle, gate.inbox.words, gate.inbox.numbers, 0)
    assert gate.desk.suspicions.tobytes() == before[0].tobytes()
    assert gate.desk.suspects.tobytes() == before[1].tobytes()


def test_one_wild_print_does_not_confirm_another(gate):
    """A price between two wild ones takes away the suspicion's force."""
    gate.admit(one(Kind.TRADE, ts=1))
    assert gate.admit(one(Kind.TRADE, ts=2, price=500.0)) == DenialCode.INPUT_JUMP
    assert gate.admit(one(Kind.TRADE, ts=3, price=101.0)) == DenialCode.NONE
    assert gate.admit(one(Kind.TRADE, ts=4, price=500.0)) == DenialCode.INPUT_JUMP
    assert gate.admit(one(Kind.TRADE, ts=5, price=5.0)) == DenialCode.INPUT_JUMP


def test_a_row_between_two_prices_does_not_take_away_the_confirmation(gate):
    """Events that give no price leave a suspicion as it is, or a new level could never be confirmed between them."""
    gate.admit(one(Kind.BAR, ts=1))
    far = {"open": 150.0, "high": 160.0, "low": 140.0, "close": 150.0}
    assert gate.admit(one(Kind.BAR, ts=2, **far)) == DenialCode.INPUT_JUMP
    assert gate.admit(row(2, 1, 0.5, 0.5)) == DenialCode.NONE
    assert gate.admit(one(Kind.BAR, ts=3, **far)) == DenialCode.NONE


def test_jump_check_can_be_off():
    """Without a limit every positive price is believed."""
    gate = Gate(jump_bps_max=None)
    gate.admit(one(Kind.TRADE, ts=1))
    assert gate.admit(one(Kind.TRADE, ts=2, price=1e9)) == DenialCode.NONE


def test_old_events_are_stale_where_an_age_is_allowed():
    """An event that took longer than allowed to reach us is refused; history is read with the check off."""
    gate = Gate(input_age_ms_max=5.0)
    assert gate.admit(one(Kind.BAR, ts=1_000_000, recv=7_000_000)) == DenialCode.INPUT_STALE
    assert gate.admit(one(Kind.BAR, ts=1_000_000, recv=6_000_000)) == DenialCode.NONE
    assert Gate().admit(one(Kind.BAR, ts=1, recv=10**18)) == DenialCode.NONE


@pytest.mark.parametrize("ts", [7_000_000, 2**62, -(2**62)])
def test_an_event_from_the_future_does_not_block_the_ones_after_it(ts):
    """A stamp far ahead would make every later event late; where ages are checked it is refused like an old one."""
    gate = Gate(input_age_ms_max=5.0)
    assert gate.admit(one(Kind.BAR, ts=ts, recv=1_000_000)) == DenialCode.INPUT_STALE
    assert gate.admit(one(Kind.BAR, ts=2_000_000, recv=2_000_000)) == DenialCode.NONE
    assert gate.admit(one(Kind.BAR, ts=4_000_000, recv=3_000_000)) == DenialCode.NONE


def test_refusals_are_counted(gate):
    """Each refusal is counted under its code."""
    gate.admit(one(Kind.BAR, close=np.nan))
    gate.admit(one(Kind.BAR, close=np.nan))
    gate.admit(one(Kind.QUOTE, bid=200.0))
    assert gate.desk.denials[DenialCode.INPUT_NOT_FINITE] == 2
    assert gate.desk.denials[DenialCode.INPUT_CROSSED] == 1
    assert gate.desk.denials.sum() == 3


def test_narrow_events_fit_a_wide_inbox():
    """Bars of five values enter an inbox that is wide enough for rows; what they lack is NaN."""
    inbox = Inbox(2, 9)
    assert inbox.load(one(Kind.BAR)) == 1
    assert inbox.records["values"][0, :5].tolist() == list(BAR.values())
    assert np.isnan(inbox.records["values"][0, 5:]).all()


def test_inbox_takes_no_more_than_its_room():
    """What does not fit waits for the next run."""
    inbox = Inbox(2, 5)
    assert inbox.load(np.concatenate([one(Kind.BAR, ts=ts) for ts in (1, 2, 3)])) == 2
    assert inbox.records["ts_event_ns"].tolist() == [1, 2]


def test_decision_time_is_never_before_receipt():
    """A clock that lags behind the feed does not decide before the event was seen."""
    inbox = Inbox(2, 5)
    inbox.load(np.concatenate([one(Kind.BAR, ts=10), one(Kind.BAR, ts=30)]))
    inbox.stamp(0, 2, 20)
    assert inbox.now_ns.tolist() == [20, 30]


def test_strided_batches_are_taken_in_as_they_are():
    """Every second event of an array is a batch like any other."""
    events = np.concatenate([one(Kind.BAR, ts=ts, close=100.0 + ts) for ts in range(1, 7)])
    inbox = Inbox(4, 5)
    assert inbox.load(events[1::2]) == 3
    for name in ("ts_event_ns", "kind", "instrument", "flags"):
        assert inbox.records[name][:3].tolist() == events[name][1::2].tolist()
    assert inbox.records["values"][:3].tobytes() == np.ascontiguousarray(events["values"][1::2]).tobytes()
