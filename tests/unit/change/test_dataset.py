"""Rows and labels from history."""

import msgspec
import numpy as np
import pytest
from change_desk import BAR_NS, HORIZON, INSTRUMENTS, START_NS, market, write_strategy

from tradeworthy.change.train.dataset import build_dataset, events_digest, traded_instrument
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features.expressions import row
from tradeworthy.model.features.labels import outcome
from tradeworthy.model.features.program import compile_program


@pytest.fixture
def parts(tmp_path):
    """A program, its label, and 200 bars."""
    strategy = load_strategy(write_strategy(tmp_path))
    return compile_program(strategy.features), strategy.label, market(200)


def test_rows_are_known_labels_of_ready_rows(parts):
    """The first bars warm the features up, the last have no future; the rest are rows."""
    program, label, events = parts
    dataset = build_dataset(program, label, events, INSTRUMENTS, 0)
    assert dataset.places.tolist() == list(range(12, 200 - HORIZON))
    assert dataset.rows.shape == (len(dataset), 3)
    assert np.isfinite(dataset.rows).all()


def test_labels_say_what_happened_next(parts):
    """A label is 1 where the close is higher `horizon` bars later."""
    program, label, events = parts
    dataset = build_dataset(program, label, events, INSTRUMENTS, 0)
    close = events["values"][:, 3]
    ahead = np.log(close[dataset.places + HORIZON] / close[dataset.places])
    np.testing.assert_allclose(dataset.values, ahead, atol=1e-12)
    np.testing.assert_array_equal(dataset.labels, (ahead > 0).astype(float))
    np.testing.assert_array_equal(dataset.ts_event_ns, START_NS + BAR_NS * dataset.places)


def test_a_feature_row_is_known_at_its_bar(parts):
    """Nothing of a later bar is in a row: rows of a shorter history are the same."""
    program, label, events = parts
    long = build_dataset(program, label, events, INSTRUMENTS, 0)
    short = build_dataset(program, label, events[:100], INSTRUMENTS, 0)
    np.testing.assert_array_equal(short.rows, long.rows[: len(short)])


def test_spans_count_bars_of_the_instrument(parts):
    """Label spans are in bars, whatever else lies between."""
    program, label, events = parts
    other = events.copy()
    other["instrument"] = 1
    mixed = np.stack([other, events], axis=1).ravel()
    desk = (*INSTRUMENTS, Instrument(symbol="BTC", traded=False))
    dataset = build_dataset(program, label, mixed, desk, 0)
    assert dataset.places[0] == 2 * 12 + 1
    assert dataset.starts[0] == 12
    assert (dataset.ends - dataset.starts == HORIZON).all()
    assert (np.diff(dataset.starts) == 1).all()


def test_the_latest_rows_can_be_kept(parts):
    """A window keeps the end of the history and its digest."""
    dataset = build_dataset(*parts, INSTRUMENTS, 0)
    window = dataset.last(30)
    np.testing.assert_array_equal(window.rows, dataset.rows[-30:])
    assert len(dataset.last(10_000)) == len(dataset)
    assert window.digest == dataset.digest


def test_too_little_history_is_refused(parts):
    """The refusal counts events, ready rows and labels."""
    program, label, events = parts
    with pytest.raises(DataInvalid, match="10 events of which 0 gave a ready row and 7 a label"):
        build_dataset(program, label, events[:10], INSTRUMENTS, 0)


def test_the_digest_is_of_what_events_say():
    """Where an event was recorded does not count; what it says does."""
    events = market(20)
    recorded = events.copy()
    recorded["sequence"], recorded["ts_recv_ns"] = 7, 9
    assert events_digest(recorded) == events_digest(events)
    recorded["values"][3, 0] += 1e-9
    assert events_digest(recorded) != events_digest(events)


def test_the_instrument_is_the_named_or_the_first_traded():
    """Only-read instruments are passed over; an unknown symbol gets a hint."""
    listed = [Instrument(symbol="BTC", traded=False), Instrument(symbol="ETH")]
    assert traded_instrument(listed, None) == 1
    assert traded_instrument(listed, "BTC") == 0
    with pytest.raises(DataInvalid, match="near: 'ETH'"):
        traded_instrument(listed, "ETHE")
    with pytest.raises(DataInvalid, match="set traded = true"):
        traded_instrument(listed[:1], None)


def test_an_outcome_is_one_or_none():
    """Anything but 1, 0 and nothing in the column is refused by name; rows without an outcome are left out."""
    program = compile_program({"income": row("income")}, trigger=Kind.ROW, row_fields=("income",))
    label = msgspec.structs.replace(outcome("bad", 1), row_fields=("income",))
    columns = {"income": np.arange(5.0), "bad": np.array([1.0, np.nan, 0.0, 1.0, 0.0])}
    events = events_from_columns(Kind.ROW, 0, START_NS + np.arange(5), columns, names=("income", "bad"))
    dataset = build_dataset(program, label, events, INSTRUMENTS, 0)
    assert (dataset.labels.tolist(), dataset.rows[:, 0].tolist()) == ([1.0, 0.0, 1.0], [0.0, 2.0, 3.0])
    events["values"][2, 1] = 7.0
    with pytest.raises(DataInvalid, match=r"outcome\('bad', 1\) holds \[7.0\]; allowed are 1, 0"):
        build_dataset(program, label, events, INSTRUMENTS, 0)
