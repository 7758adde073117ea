"""Paces: what an operation counts, and what one instrument or kind of event may know of another."""

import math

import numpy as np
import pytest
from feature_market import BTC, DESK, ETH, PERIOD_NS, START_NS, bars, quotes, rows_of, walk

from tradeworthy.core.errors import FeatureInvalid
from tradeworthy.core.events import Kind, events_from_columns, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features.expressions import bar, corr, log_return, on, quote, row, trade
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

NAN = math.nan


def test_another_instrument_is_seen_only_strictly_earlier():
    """A bar that closes at the same moment is not known yet; the one before is."""
    eth, btc = bars([1.0, 2.0, 3.0]), bars([10.0, 20.0, 30.0], instrument=1)
    for order in ([eth, btc], [btc, eth]):
        found = rows_of(on("BTC", bar.close), merge(order))
        np.testing.assert_array_equal(found, [NAN, 10.0, 20.0])


def test_another_instrument_a_moment_earlier_is_seen():
    """One nanosecond is enough."""
    events = merge([bars([1.0, 2.0]), bars([10.0, 20.0], instrument=1, start_ns=START_NS - 1)])
    np.testing.assert_array_equal(rows_of(on("BTC", bar.close), events), [10.0, 20.0])


def test_a_late_event_of_another_instrument_is_not_seen():
    """Whatever order events arrive in, a value stamped at or after the decision stays unseen."""
    late = np.concatenate([bars([10.0, 20.0], instrument=1, start_ns=START_NS + PERIOD_NS), bars([1.0])])
    np.testing.assert_array_equal(rows_of(on("BTC", bar.close), late), [NAN])


def test_windows_of_another_instrument_count_its_own_events():
    """The mean over two BTC bars moves with BTC, not with ETH."""
    btc = bars([10.0, 20.0, 40.0], instrument=1, start_ns=START_NS - 3 * PERIOD_NS)
    found = rows_of(on("BTC", bar.close.mean(2)), merge([btc, bars([1.0, 2.0, 3.0])]))
    np.testing.assert_array_equal(found, [30.0, 30.0, 30.0])


def test_an_operation_over_two_instruments_keeps_the_pace_of_the_decision():
    """The correlation of ETH with BTC pairs each ETH return with the BTC return last known before it."""
    eth, btc = walk(60, 1), walk(60, 2)
    pair = corr(log_return(bar.close), on("BTC", log_return(bar.close)), 20)
    found = rows_of(pair, merge([bars(eth), bars(btc, instrument=1)]))
    ours, theirs = np.diff(np.log(eth))[1:], np.diff(np.log(btc))[:-1]
    wanted = [np.corrcoef(ours[i - 20 : i], theirs[i - 20 : i])[0, 1] for i in range(20, 59)]
    assert np.isnan(found[:21]).all()
    np.testing.assert_allclose(found[21:], wanted, rtol=1e-9)


def test_on_reaches_through_composed_operations():
    """Every field inside `on` is read from the other instrument; an inner `on` wins over an outer."""
    both = merge([bars([1.0, 2.0, 3.0]), bars([10.0, 20.0, 40.0], instrument=1)])
    np.testing.assert_allclose(rows_of(on("BTC", bar.close / bar.close.lag()), both), [NAN, NAN, 2.0])
    np.testing.assert_array_equal(rows_of(on("ETH", on("BTC", bar.close)), both), rows_of(on("BTC", bar.close), both))
    assert compile_program({"x": on("ETH", on("BTC", bar.close))}).instruments == ("BTC",)


def test_an_instrument_can_read_itself_as_another():
    """`on` with one's own symbol sees only what was strictly earlier, as for any other."""
    np.testing.assert_array_equal(rows_of(on("ETH", bar.close), bars([1.0, 2.0, 3.0])), [NAN, 1.0, 2.0])


def test_quotes_are_read_as_last_consumed():
    """Another kind of the same instrument gives its latest value, at its own pace."""
    events = merge([quotes([5.0, 6.0, 8.0], start_ns=START_NS - 1), bars([1.0, 2.0, 3.0])])
    np.testing.assert_array_equal(rows_of(quote.bid, events), [5.0, 6.0, 8.0])
    np.testing.assert_array_equal(rows_of(quote.bid.mean(2), events), [NAN, 5.5, 7.0])
    np.testing.assert_array_equal(rows_of(bar.close - quote.bid, events), [-4.0, -4.0, -5.0])


def test_a_quote_of_another_instrument_is_stamped_too():
    """Kinds and instruments combine: BTC's quotes are seen strictly earlier, at their pace."""
    events = merge([quotes([5.0, 6.0], instrument=1), bars([1.0, 2.0])])
    np.testing.assert_array_equal(rows_of(on("BTC", quote.bid + 0.5), events), [NAN, 5.5])
    np.testing.assert_array_equal(rows_of(on("BTC", quote.bid + bar.close), events), [NAN, NAN])
    mixed = merge([events, bars([10.0, 20.0], instrument=1, start_ns=START_NS)])
    np.testing.assert_array_equal(rows_of(on("BTC", quote.bid + bar.close), mixed), [NAN, 15.0])


def test_the_trigger_decides_which_events_ask_for_a_row():
    """Trades, quotes and rows can ask for decisions as bars do; other events give none."""
    trades = events_from_columns(
        Kind.TRADE, 0, np.array([START_NS + 5]), {"price": [7.0], "size": [1.0], "side": [-1.0]}
    )
    events = merge([bars([1.0, 2.0]), trades])
    np.testing.assert_array_equal(rows_of(bar.close, events, Kind.TRADE), [1.0])
    np.testing.assert_array_equal(rows_of(trade.price, events, Kind.TRADE), [7.0])
    assert len(rows_of(bar.close, events, Kind.QUOTE)) == 0


def test_declared_rows_are_read_by_name():
    """Features computed elsewhere arrive as `row` events and mix with operations."""
    names = ("mood", "carry")
    columns = {"mood": [1.0, 3.0], "carry": [2.0, 5.0]}
    events = events_from_columns(Kind.ROW, 0, np.array([1, 2]) + START_NS, columns, names=names)
    np.testing.assert_array_equal(rows_of(row("carry"), events, Kind.ROW, names), [2.0, 5.0])
    np.testing.assert_array_equal(rows_of(row("mood").mean(2), events, Kind.ROW, names), [NAN, 2.0])
    with pytest.raises(FeatureInvalid, match=r"'moood' is not declared \(near: 'mood'\)"):
        rows_of(row("moood"), events, Kind.ROW, names)


def test_instruments_keep_their_own_memory():
    """Each traded instrument has its own windows; what they read of others is computed once."""
    desk = (ETH, Instrument(symbol="LTC"), BTC)
    program = compile_program({"own": bar.close.mean(2), "other": on("BTC", bar.close.mean(2))})
    eth, ltc, btc = [1.0, 2.0, 3.0], [5.0, 7.0, 9.0], [10.0, 20.0, 40.0]
    events = merge([bars(eth), bars(ltc, 1), bars(btc, 2, START_NS - 1)])
    rows, places = FeatureState(program, desk).asked(events)
    who = events["instrument"][places]
    np.testing.assert_array_equal(rows[who == 0], [[NAN, NAN], [1.5, 15.0], [2.5, 30.0]])
    np.testing.assert_array_equal(rows[who == 1], [[NAN, NAN], [6.0, 15.0], [8.0, 30.0]])
    assert set(who) == {0, 1}
    small = FeatureState(program, (ETH, BTC)).state.numbers.size
    assert FeatureState(program, desk).state.numbers.size < 2 * small


def test_an_instrument_that_the_desk_does_not_list_is_refused():
    """A program that reads BTC needs a desk that has it."""
    program = compile_program({"x": on("BTCUSD", bar.close)})
    with pytest.raises(FeatureInvalid, match=r"read 'BTCUSD'.*near: 'BTC'"):
        FeatureState(program, DESK)


def test_events_nobody_asked_for_change_nothing():
    """Unknown instruments, kinds that no feature reads and bars of a read-only instrument give no row."""
    state = FeatureState(compile_program({"x": bar.close}), DESK)
    before = state.dump()
    for event in (bars([1.0], instrument=7), quotes([1.0]), bars([1.0], instrument=1)):
        rows, places = state.asked(event)
        assert len(rows) == len(places) == 0
    for name, array in state.dump().items():
        np.testing.assert_array_equal(array, before[name])
