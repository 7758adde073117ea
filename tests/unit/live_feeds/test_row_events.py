"""Frames of features computed elsewhere become row events."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tradeworthy.core.errors import DataInvalid, NotFound, SettingsInvalid
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.rows import RowSchema, entity_reference, read_row_file, read_rows

DESK = (Instrument(symbol="ETH"), Instrument(symbol="BTC"))
TIMES = ["2020-01-01 00:00:00", "2020-01-01 00:01:00", "2020-01-01 00:02:00"]
FIRST_NS = 1_577_836_800_000_000_000


def schema(**changes: object):
    """Declare rows of two fields about ETH, with changes."""
    return RowSchema(**({"fields": ("a", "b"), "instrument": "ETH"} | changes))


def columns(**changes: object):
    return {"time": TIMES, "a": [1.0, 2.0, 3.0], "b": [4, 5, 6]} | changes


def test_rows_hold_the_declared_fields_in_order():
    """Values stand in the order of the schema, padded with NaN; columns not declared are left out."""
    events, report = read_rows(columns(other=[9, 9, 9]), schema(fields=("b", "a")), DESK)
    assert events["kind"].tolist() == [Kind.ROW] * 3
    assert events["values"][:, :2].tolist() == [[4.0, 1.0], [5.0, 2.0], [6.0, 3.0]]
    assert np.isnan(events["values"][:, 2:]).all()
    assert (report.rows, report.events, report.missing) == (3, 3, {"b": 0, "a": 0})


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, dict])
def test_every_sort_of_frame_reads_alike(make):
    """Polars, pandas and plain columns give the same bytes."""
    expected, _ = read_rows(columns(), schema(), DESK)
    assert read_rows(make(columns()), schema(), DESK)[0].tobytes() == expected.tobytes()


def test_a_pandas_time_index_is_the_stamp():
    """A named index is a column; its own time zone counts."""
    index = pd.DatetimeIndex(TIMES, tz="America/Chicago", name="time")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4, 5, 6]}, index=index)
    events, _ = read_rows(frame, schema(), DESK)
    assert events["ts_event_ns"][0] == FIRST_NS + 6 * 3600 * 10**9


def test_more_fields_than_usual_widen_the_event():
    """A row of twelve fields needs events of twelve values."""
    names = tuple(f"f{place}" for place in range(12))
    frame = {"time": TIMES, **{name: [1.0, 2.0, 3.0] for name in names}}
    assert read_rows(frame, schema(fields=names), DESK)[0]["values"].shape == (3, 12)
    assert read_rows(frame, schema(fields=names), DESK, width=20)[0]["values"].shape == (3, 20)


def test_rows_are_sorted_by_time_with_their_entities():
    """Late rows are put in order, and their entity and instrument go with them."""
    late = columns(time=TIMES[::-1], who=[3, 2, 1], symbol=["BTC", "ETH", "ETH"])
    declared = schema(entity="who", instrument=None, instrument_column="symbol")
    events, report = read_rows(late, declared, DESK)
    assert events["reference"].tolist() == [1, 2, 3]
    assert events["instrument"].tolist() == [0, 0, 1]
    assert events["values"][:, 0].tolist() == [3.0, 2.0, 1.0]
    assert report.out_of_order == 2


def test_missing_values_travel_as_nan_and_are_counted():
    """Null and NaN are missing, not zero; the row still arrives."""
    events, report = read_rows(columns(a=[None, float("nan"), 3.0]), schema(), DESK)
    assert np.isnan(events["values"][:2, 0]).all()
    assert report.missing == {"a": 2, "b": 0}


def test_words_become_their_place_in_the_declared_list():
    """A category's code is its place; a word not declared is NaN and counted apart from missing ones."""
    declared = schema(categories={"a": ("low", "high")})
    events, report = read_rows(columns(a=["high", "odd", None]), declared, DESK)
    assert events["values"][0, 0] == 1.0
    assert np.isnan(events["values"][1:, 0]).all()
    assert (report.unknown, report.missing["a"]) == ({"a": 1}, 1)


def test_unreadable_stamps_give_no_row():
    """A row without a time cannot be placed; it is dropped and counted."""
    events, report = read_rows(columns(time=[TIMES[0], "soon", TIMES[2]]), schema(), DESK)
    assert (len(events), report.unreadable, report.rows) == (2, 1, 3)


def test_files_read_like_frames(tmp_path):
    """CSV and Parquet give what the frame gives."""
    frame = pl.DataFrame(columns())
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    expected = read_rows(frame, schema(), DESK)[0].tobytes()
    for name in ("rows.csv", "rows.parquet"):
        assert read_row_file(tmp_path / name, schema(), DESK)[0].tobytes() == expected
    with pytest.raises(NotFound, match=r"absent\.csv"):
        read_row_file(tmp_path / "absent.csv", schema(), DESK)


def test_entities_are_numbers_that_last():
    """A whole number is itself; text has one number for ever, so records of years agree."""
    assert entity_reference(2**63) == 2**63
    assert entity_reference("account-7") == entity_reference("account-7") == 13446405094042507799
    assert entity_reference("account-7") != entity_reference("account-8")
    with pytest.raises(DataInvalid, match="does not fit 64 bits"):
        entity_reference(-1)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (columns() | {"a": ["x", "y", "z"]}, DataInvalid, "declare its words under categories"),
        ({"time": TIMES, "a": [1, 2, 3]}, DataInvalid, "column 'b' is missing"),
        ([1, 2, 3], DataInvalid, "rows are a list"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frame, error, message):
    """Text for numbers, a missing column and something that is no frame are named."""
    with pytest.raises(error, match=message):
        read_rows(frame, schema(), DESK)


def test_rows_of_an_unknown_instrument_are_refused():
    """Each row's instrument must be on the desk's list."""
    with pytest.raises(SettingsInvalid, match="'LTC' is not on the desk's list"):
        read_rows(columns(symbol=["ETH", "LTC", "ETH"]), schema(instrument=None, instrument_column="symbol"), DESK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": ()}, "at least one"),
        ({"fields": ("a", "a")}, "each once"),
        ({"instrument": None}, "either instrument or instrument_column"),
        ({"instrument_column": "symbol"}, "either instrument or instrument_column"),
        ({"categories": {"c": ("x",)}}, "not a field"),
    ],
)
def test_schemas_that_say_too_little_or_too_much_are_refused(changes, message):
    """A schema names each field once and one way to find the instrument."""
    with pytest.raises(ValueError, match=message):
        schema(**changes)
