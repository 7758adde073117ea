"""Labels: the future, only where it is known, and never as a feature."""

import math

import msgspec
import numpy as np
import pytest
from feature_market import DESK, START_NS, bars, quotes, walk

from tradeworthy.core.errors import FeatureInvalid
from tradeworthy.core.events import Kind, events_from_columns, merge
from tradeworthy.model.features.expressions import bar, log, on, quote, row, time_of_day_sin
from tradeworthy.model.features.labels import Label, forward_direction, forward_return, outcome


def test_forward_return_is_the_log_return_of_the_coming_events():
    """The label of bar i is log(close[i + h] / close[i]); the last h bars have none."""
    close = walk(20)
    labels, values, places = forward_return(bar.close, 6).compute(bars(close), 0, DESK)
    np.testing.assert_allclose(values, np.log(close[6:] / close[:-6]), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(labels, values)
    np.testing.assert_array_equal(places, np.arange(14))


def test_direction_is_up_only_beyond_the_cost():
    """Moves inside the cost band, and all falls, are 0: not worth a trade."""
    close = 100.0 * np.exp(np.cumsum([0.0, 0.0005, 0.002, -0.002, 0.0011]))
    label = forward_direction(bar.close, 1, cost_bps=10.0)
    labels, values, _ = label.compute(bars(close), 0, DESK)
    np.testing.assert_array_equal(labels, [0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(values, [0.0005, 0.002, -0.002, 0.0011], rtol=1e-9)
    assert forward_direction(bar.close, 1).compute(bars(close), 0, DESK)[0].tolist() == [1.0, 1.0, 0.0, 1.0]


def test_labels_count_the_events_of_their_own_instrument_and_kind():
    """Other instruments and quotes in between do not shift the horizon; places point into the whole batch."""
    eth, btc = walk(10, 1), walk(10, 2)
    events = merge([bars(eth), bars(btc, instrument=1), quotes(eth, start_ns=START_NS + 1)])
    _, values, places = forward_return(bar.close, 2).compute(events, 1, DESK)
    np.testing.assert_allclose(values, np.log(btc[2:] / btc[:-2]), rtol=1e-9)
    assert (events["instrument"][places] == 1).all()
    assert (events["kind"][places] == Kind.BAR).all()
    middle = forward_return((quote.bid + quote.ask) / 2, 1)
    assert middle.trigger == Kind.QUOTE
    _, values, places = middle.compute(events, 0, DESK)
    assert (events["kind"][places] == Kind.QUOTE).all()
    assert len(values) == 9


def test_a_field_as_it_stands_gives_the_labels_of_a_program():
    """A plain field is read without a program, and a program that gives the same price gives the same labels."""
    close = walk(30)
    close[7] = math.nan
    events = merge([bars(close), quotes(close), bars(walk(30, 2), instrument=1)])
    plain, computed = forward_return(bar.close, 3), forward_return(bar.close * 1.0, 3)
    for mine, other in zip(plain.compute(events, 0, DESK), computed.compute(events, 0, DESK), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_row_field_can_be_the_price():
    """A price that was computed elsewhere labels row events, from its own place among the declared fields."""
    fields = ("value", "age")
    columns = {"value": [1.0, 2.0, 4.0], "age": [3.0, 3.0, 3.0]}
    events = events_from_columns(Kind.ROW, 0, np.arange(3) + START_NS, columns, names=fields)
    label = msgspec.structs.replace(forward_return(row("value"), 1), row_fields=fields)
    assert label.trigger == Kind.ROW
    np.testing.assert_allclose(label.compute(events, 0, DESK)[1], [math.log(2.0)] * 2)


def test_a_row_price_without_declared_fields_is_refused():
    """Which column a name means is never guessed."""
    events = events_from_columns(Kind.ROW, 0, np.arange(3) + START_NS, {"value": [1.0, 2.0, 4.0]}, names=("value",))
    with pytest.raises(FeatureInvalid, match="not declared"):
        forward_return(row("value"), 1).compute(events, 0, DESK)


def test_unknown_futures_are_left_out():
    """Too short a record has no labels; undefined or worthless prices label nothing."""
    assert all(len(column) == 0 for column in forward_return(bar.close, 6).compute(bars(walk(6)), 0, DESK))
    _, values, places = forward_return(bar.close, 1).compute(bars([1.0, math.nan, 2.0, 4.0, -1.0]), 0, DESK)
    np.testing.assert_array_equal(places, [2])
    np.testing.assert_allclose(values, [math.log(2.0)])
    smooth = forward_return(bar.close.mean(3), 1)
    np.testing.assert_array_equal(smooth.compute(bars(walk(6)), 0, DESK)[2], [2, 3, 4])


def test_a_label_travels_as_json():
    """JSON and back gives an equal label; damage is refused."""
    label = forward_direction(bar.close, 6, cost_bps=12.5)
    assert Label.from_json(label.to_json()) == label
    assert repr(label) == "forward_direction(bar.close, 6, cost_bps=12.5)"
    for bad in (b"", b"{}", label.to_json().replace(b"forward_direction", b"backward")):
        with pytest.raises(FeatureInvalid, match="not a stored label"):
            Label.from_json(bad)
    with pytest.raises(FeatureInvalid, match="horizon is 0"):
        Label.from_json(label.to_json().replace(b'"horizon":6', b'"horizon":0'))


@pytest.mark.parametrize(
    "write",
    [
        lambda: forward_return(bar.close, 0),
        lambda: forward_return(bar.close, -6),
        lambda: forward_return(bar.close, 2.5),
        lambda: forward_return(bar.close, True),
        lambda: forward_direction(bar.close, 6, cost_bps=-1.0),
        lambda: forward_direction(bar.close, 6, cost_bps=math.nan),
        lambda: forward_return(100.0, 6),
        lambda: forward_return(bar.close > 1, 6),
        lambda: forward_return(bar.close + quote.bid, 6).trigger,
        lambda: forward_return(on("BTC", bar.close), 6).trigger,
        lambda: forward_return(time_of_day_sin(), 6).trigger,
    ],
)
def test_a_label_without_meaning_is_refused(write):
    """Horizons are whole and positive, costs are not negative, and the price keeps one pace of its own."""
    with pytest.raises(FeatureInvalid):
        write()


def test_a_label_of_a_log_price_is_what_was_asked_for():
    """The label takes the logarithm of whatever level it is given: a log price is a level like any other."""
    close = np.exp(np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(forward_return(log(bar.close), 1).compute(bars(close), 0, DESK)[1], [math.log(2.0)] * 2)


def applications(outcomes, fields=("income", "debt")):
    """Return row events with the fields and, behind them, an outcome."""
    n = len(outcomes)
    columns = {name: np.arange(n, dtype=float) for name in fields} | {"bad": outcomes}
    return events_from_columns(Kind.ROW, 0, np.arange(n) + START_NS, columns, names=(*fields, "bad"))


def test_an_outcome_is_read_behind_the_fields():
    """Rows whose outcome is not known by the end of the batch, or not at all, have no label."""
    label = msgspec.structs.replace(outcome("bad", 2), row_fields=("income", "debt"))
    labels, values, places = label.compute(applications([1.0, 0.0, math.nan, 1.0, 0.0, 1.0]), 0, DESK)
    assert (labels.tolist(), values.tolist(), places.tolist()) == ([1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0, 1, 3])
    assert label.compute(applications([1.0] * 4), 1, DESK)[0].tolist() == []
    assert (label.trigger, label.columns, label.is_reported) == (Kind.ROW, ("income", "debt", "bad"), True)


def test_rows_without_the_column_have_no_outcome():
    """What a caller pushes carries no outcome: nothing behind the fields is read as one."""
    fields = ("a", "b", "c", "d", "e")
    events = events_from_columns(Kind.ROW, 0, np.arange(4) + START_NS, dict.fromkeys(fields, np.ones(4)), names=fields)
    label = msgspec.structs.replace(outcome("bad", 1), row_fields=fields)
    assert [len(part) for part in label.compute(events, 0, DESK)] == [0, 0, 0]


def test_an_outcome_is_stored_and_written_like_any_label():
    """It goes through JSON, reads as Python, and is no price that moves."""
    label = msgspec.structs.replace(outcome("bad", 90), row_fields=("income",))
    assert Label.from_json(label.to_json()) == label
    assert repr(label) == "outcome('bad', 90)"
    assert not forward_return(bar.close, 1).is_reported
    with pytest.raises(FeatureInvalid, match="horizon is 0"):
        outcome("bad", 0)
