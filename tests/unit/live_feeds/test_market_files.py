"""Market files become events exactly as declared."""

import gzip
import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tradeworthy.core.errors import DataInvalid, NotFound, SettingsInvalid
from tradeworthy.core.events import Kind, field
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_HOUR, NS_PER_MINUTE
from tradeworthy.live.feeds.files import MarketFile, period_ns, read_market_file, read_market_files, stamps_to_ns

DESK = (Instrument(symbol="ETH"), Instrument(symbol="BTC", traded=False))
HEADER = "time,open,high,low,close,volume\n"
GOOD = HEADER + "2020-01-01 00:00:00,10,12,9,11,5\n2020-01-01 00:30:00,11,13,10,12,6\n"


def utc_ns(text):
    """Return the UTC nanoseconds of an ISO text."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def write(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def bars(**changes: object):
    """Declare a half-hour bar file, with changes."""
    declared = {"instrument": "ETH", "path": "bars.csv", "bar_time": "open", "period": "30m"}
    return MarketFile(**(declared | changes))


def test_bars_stamped_at_open_are_emitted_at_close(tmp_path):
    """A bar stamped 00:00 of half an hour happens at 00:30."""
    write(tmp_path, GOOD)
    events, _ = read_market_file(bars(), DESK, folder=tmp_path)
    assert events["ts_event_ns"][0] == utc_ns("2020-01-01T00:30:00")


def test_bars_stamped_at_close_keep_their_stamp(tmp_path):
    """A bar stamped at its close happens at its stamp."""
    write(tmp_path, GOOD)
    events, _ = read_market_file(bars(bar_time="close"), DESK, folder=tmp_path)
    assert events["ts_event_ns"][0] == utc_ns("2020-01-01T00:00:00")


def test_values_land_in_their_fields(tmp_path):
    """Open, high, low, close and volume stand where the vocabulary says, whatever the file's order of columns."""
    write(tmp_path, "t,c,v,h,l,o\n2020-01-01,4,5,6,1,2\n")
    columns = {"time": "t", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    events, _ = read_market_file(bars(columns=columns), DESK, folder=tmp_path)
    assert events["values"].tolist() == [[2.0, 6.0, 1.0, 4.0, 5.0]]
    assert field(events, Kind.BAR, "close").tolist() == [4.0]


def test_instrument_is_its_place_on_the_desk(tmp_path):
    """The instrument number is the place in the desk's list."""
    write(tmp_path, GOOD)
    events, report = read_market_file(bars(instrument="BTC"), DESK, folder=tmp_path)
    assert events["instrument"].tolist() == [1, 1]
    assert report.symbol == "BTC"


def test_parquet_and_compressed_csv_read_like_csv(tmp_path):
    """The three formats give the same bytes."""
    path = write(tmp_path, GOOD)
    (tmp_path / "bars.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    pl.read_csv(path, try_parse_dates=True).write_parquet(tmp_path / "bars.parquet")
    read = [
        read_market_file(bars(path=f"bars.{end}"), DESK, folder=tmp_path)[0] for end in ("csv", "csv.gz", "parquet")
    ]
    assert read[0].tobytes() == read[1].tobytes() == read[2].tobytes()


@pytest.mark.parametrize(
    ("stamp", "zone", "expected"),
    [
        ("2020-07-01 12:00:00", "UTC", "2020-07-01T12:00:00"),
        ("2020-07-01 12:00:00", "America/Chicago", "2020-07-01T17:00:00"),
        ("2020-01-01 12:00:00", "America/Chicago", "2020-01-01T18:00:00"),
        ("2020-07-01T12:00:00Z", "America/Chicago", "2020-07-01T12:00:00"),
        ("2020-07-01T12:00:00+02:00", "America/Chicago", "2020-07-01T10:00:00"),
        ("2020-07-01", "Asia/Tokyo", "2020-06-30T15:00:00"),
    ],
)
def test_stamps_are_read_in_the_declared_zone(tmp_path, stamp, zone, expected):
    """Local stamps use the declared zone with its summer time; a stamp with its own offset keeps its instant."""
    write(tmp_path, HEADER + f"{stamp},1,1,1,1,1\n")
    events, _ = read_market_file(bars(bar_time="close", time_zone=zone), DESK, folder=tmp_path)
    assert events["ts_event_ns"].tolist() == [utc_ns(expected)]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numeric_stamps_count_from_1970(tmp_path, unit, factor):
    """Numbers are seconds, milli-, micro- or nanoseconds since 1970, as declared."""
    write(tmp_path, HEADER + f"{1_577_836_800 * factor},1,1,1,1,1\n")
    events, _ = read_market_file(bars(bar_time="close", time_unit=unit), DESK, folder=tmp_path)
    assert events["ts_event_ns"].tolist() == [utc_ns("2020-01-01T00:00:00")]


def test_fractional_seconds_are_kept():
    """Milliseconds and nanoseconds in text survive."""
    read = stamps_to_ns(pl.Series(["2020-01-01 00:00:00.083", "2020-01-01 00:00:00.000000001"]), "UTC", "s")
    assert (read - utc_ns("2020-01-01T00:00:00")).to_list() == [83_000_000, 1]


def test_float_seconds_are_stamps_and_nan_is_unreadable():
    """A float stamp is rounded to nanoseconds; NaN is none."""
    assert stamps_to_ns(pl.Series([1.5, float("nan")]), "UTC", "s").to_list() == [1_500_000_000, None]


@pytest.mark.parametrize(
    ("stamp", "declared", "fits"),
    [
        (1_577_836_800_000, "s", "ms"),
        (1_577_836_800_000_000, "s", "us"),
        (1_577_836_800_000_000_000, "ms", "ns"),
        (1_577_836_800_000.5, "s", "ms"),
        (-1_577_836_800_000, "s", "ms"),
        (10**19, "ns", "none"),
    ],
)
def test_stamps_in_another_unit_than_declared_are_refused_with_the_one_that_fits(stamp, declared, fits):
    """Milliseconds taken for seconds would wrap round into some other century."""
    dtype = pl.UInt64 if stamp == 10**19 else None
    with pytest.raises(DataInvalid, match=f"no times in {declared} since 1970.* that fits them is {fits}$"):
        stamps_to_ns(pl.Series([stamp, stamp], dtype=dtype), "UTC", declared)


NEW_YEAR = utc_ns("2020-01-01T00:00:00")


@pytest.mark.parametrize(
    "stamps",
    [
        pl.Series([1_577_836_800, 1_577_836_800_000, -(2**62)]),
        pl.Series([1_577_836_800.0, 1e300, -math.inf]),
        pl.Series(["2020-01-01 00:00:00", "9999-12-31 00:00:00", "0001-01-01 00:00:00"]),
        pl.Series(["2020-01-01T00:00:00.000000000Z", "9999-12-31T00:00:00Z", "1600-01-01T00:00:00+05:30"]),
        pl.Series([date(2020, 1, 1), date(9999, 12, 31), date(1, 1, 1)]),
        pl.Series([date(2020, 1, 1), date(9999, 12, 31), date(1, 1, 1)]).cast(pl.Datetime("ms")),
    ],
)
def test_a_time_beyond_what_nanoseconds_reach_is_unreadable(stamps):
    """A last day of all days, as databases write for never, is no day in 1816; its neighbours are read."""
    assert stamps_to_ns(stamps, "UTC", "s").to_list() == [NEW_YEAR, None, None]


@pytest.mark.parametrize("stamp", ["2020-03-08 02:30:00", "2020-11-01 01:30:00", "never"])
def test_local_times_that_do_not_exist_or_exist_twice_are_dropped(tmp_path, stamp):
    """The hour that summer time skips, the one it repeats, and text that is no time give no event, and are counted."""
    write(tmp_path, HEADER + f"2020-01-01 00:00:00,1,1,1,1,1\n{stamp},1,1,1,1,1\n")
    events, report = read_market_file(bars(time_zone="America/New_York"), DESK, folder=tmp_path)
    assert (len(events), report.unreadable) == (1, 1)
    assert "1 rows whose stamp is unreadable" in report.done[0]


def test_rows_out_of_order_are_sorted_and_counted(tmp_path):
    """Events come out ascending, and the report counts the rows that stood after a later one."""
    lines = [f"2020-01-01 0{hour}:00:00,1,1,1,1,{hour}\n" for hour in (0, 2, 1, 3)]
    write(tmp_path, HEADER + "".join(lines))
    events, report = read_market_file(bars(period="1h"), DESK, folder=tmp_path)
    assert field(events, Kind.BAR, "volume").tolist() == [0.0, 1.0, 2.0, 3.0]
    assert (report.out_of_order, report.gap_count) == (1, 0)


def test_a_declared_descending_file_is_in_order(tmp_path):
    """Newest first is an order too: nothing is counted as out of it."""
    lines = [f"2020-01-01 0{hour}:00:00,1,1,1,1,1\n" for hour in (3, 2, 1)]
    write(tmp_path, HEADER + "".join(lines))
    events, report = read_market_file(bars(period="1h", order="descending"), DESK, folder=tmp_path)
    assert (np.diff(events["ts_event_ns"]) == NS_PER_HOUR).all()
    assert report.out_of_order == 0


@pytest.mark.parametrize(("keep", "close"), [("first", 2.0), ("last", 3.0)])
def test_one_bar_of_each_stamp_counts(tmp_path, keep, close):
    """Of bars with one stamp the declared one is kept; those with other values are counted as conflicting."""
    rows = "".join(f"2020-01-01 00:00:00,2,3,1,{value},1\n" for value in (2, 2, 3))
    write(tmp_path, HEADER + rows)
    events, report = read_market_file(bars(duplicates=keep), DESK, folder=tmp_path)
    assert field(events, Kind.BAR, "close").tolist() == [close]
    assert (report.duplicates, report.conflicting) == (2, 1)


@pytest.mark.parametrize(
    ("policy", "highs", "said"),
    [("drop", [12.0], "dropped 1"), ("repair", [12.0, 14.0], "repaired 1"), ("keep", [12.0, 13.0], "kept 1")],
)
def test_inconsistent_bars_are_settled_as_declared(tmp_path, policy, highs, said):
    """A bar whose close is above its high is dropped, widened or kept, and always counted."""
    write(tmp_path, HEADER + "2020-01-01 00:00:00,10,12,9,11,5\n2020-01-01 00:30:00,11,13,10,14,6\n")
    events, report = read_market_file(bars(inconsistent=policy), DESK, folder=tmp_path)
    assert field(events, Kind.BAR, "high").tolist() == highs
    assert report.inconsistent == 1
    assert report.done[0].startswith(said)


def test_a_file_can_refuse_inconsistent_bars(tmp_path):
    """With `refuse`, one impossible bar refuses the file and says what to do."""
    write(tmp_path, HEADER + "2020-01-01 00:00:00,10,8,9,11,5\n")
    with pytest.raises(DataInvalid, match=r"1 bars .* mend the file, or declare"):
        read_market_file(bars(inconsistent="refuse"), DESK, folder=tmp_path)


def test_impossible_values_are_dropped_and_counted(tmp_path):
    """NaN, text, infinity, zero prices and negative volume give no event; each is counted once."""
    rows = ["nan,1,1,1,1", "x,1,1,1,1", "1,inf,1,1,1", ",1,1,1,1", "0,1,0,1,1", "1,1,1,1,-1", "1,1,1,1,0"]
    write(tmp_path, HEADER + "".join(f"2020-01-01 0{hour}:00:00,{row}\n" for hour, row in enumerate(rows)))
    events, report = read_market_file(bars(period="1h"), DESK, folder=tmp_path)
    assert (len(events), report.not_finite, report.not_positive, report.zero_volume) == (1, 4, 2, 1)
    assert report.rows == 7


def test_gaps_are_listed_and_never_filled(tmp_path):
    """A missing bar is a gap between two events; no event is invented."""
    write(tmp_path, HEADER + "".join(f"2020-01-01 {hour:02}:00:00,1,1,1,1,1\n" for hour in (0, 1, 4, 5)))
    events, report = read_market_file(bars(period="1h"), DESK, folder=tmp_path)
    assert len(events) == 4
    assert (report.gap_count, report.missing, report.missing_longest) == (1, 2, 2)
    assert report.gaps[0].after_ns == utc_ns("2020-01-01T02:00:00")
    assert report.gaps[0].before_ns == utc_ns("2020-01-01T05:00:00")


def test_trades_with_equal_stamps_are_all_kept(tmp_path):
    """Two trades of one millisecond are two trades."""
    write(tmp_path, "time,price,size\n" + "2020-01-01 00:00:00.001,5,1\n" * 2)
    file = MarketFile(instrument="ETH", path="bars.csv", kind="trade", constants={"side": 0.0})
    events, report = read_market_file(file, DESK, folder=tmp_path)
    assert (len(events), report.equal_stamps, report.duplicates) == (2, 1, 0)
    assert field(events, Kind.TRADE, "side").tolist() == [0.0, 0.0]
    assert report.period_ns is None


@pytest.mark.parametrize(("policy", "quotes"), [("drop", []), ("repair", [[9.0, 10.0, 2.0, 1.0]])])
def test_crossed_quotes_are_settled_as_declared(tmp_path, policy, quotes):
    """A bid above the ask is dropped, or swapped with its size."""
    write(tmp_path, "time,bid,ask,bid_size,ask_size\n2020-01-01,10,9,1,2\n")
    file = MarketFile(instrument="ETH", path="bars.csv", kind="quote", inconsistent=policy)
    events, report = read_market_file(file, DESK, folder=tmp_path)
    assert events["values"][:, :4].tolist() == quotes
    assert report.inconsistent == 1


def test_several_files_merge_by_event_time(tmp_path):
    """Events of all files come ascending; equal times keep the order of the files."""
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "other.csv")
    files = [bars(instrument="BTC", path="other.csv"), bars()]
    events, reports = read_market_files(files, DESK, folder=tmp_path)
    assert events["instrument"].tolist() == [1, 0, 1, 0]
    assert [report.symbol for report in reports] == ["BTC", "ETH"]


def test_an_empty_file_gives_no_events(tmp_path):
    """A header without rows is no error: zero events, and a report that says so."""
    write(tmp_path, HEADER)
    events, report = read_market_file(bars(), DESK, folder=tmp_path)
    assert len(events) == 0
    assert "no usable event" in report.sentences()[0]


def test_a_missing_file_names_its_path(tmp_path):
    """The path that was looked for is in the message."""
    with pytest.raises(NotFound, match=r"absent\.csv does not exist"):
        read_market_file(bars(path="absent.csv"), DESK, folder=tmp_path)


def test_a_missing_column_names_the_nearest(tmp_path):
    """The message holds what is there and what comes near."""
    write(tmp_path, GOOD)
    with pytest.raises(DataInvalid, match=r"column 'volum' .*near: 'volume'"):
        read_market_file(bars(columns={"volume": "volum"}), DESK, folder=tmp_path)


def test_bytes_that_are_no_table_are_refused(tmp_path):
    """Garbage called Parquet is an operating error, not a crash."""
    write(tmp_path, "no parquet", "bars.parquet")
    with pytest.raises(DataInvalid, match="cannot be read"):
        read_market_file(bars(path="bars.parquet"), DESK, folder=tmp_path)


def test_an_instrument_off_the_desk_is_refused(tmp_path):
    """Only instruments of the desk can be read."""
    write(tmp_path, GOOD)
    with pytest.raises(SettingsInvalid, match="near: 'ETH'"):
        read_market_file(bars(instrument="ETHH"), DESK, folder=tmp_path)


def test_reading_no_files_is_refused():
    """A desk without market files has nothing to trade on."""
    with pytest.raises(SettingsInvalid, match="no market file"):
        read_market_files([], DESK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bar_time": None}, "bars need bar_time and period"),
        ({"period": None}, "bars need bar_time and period"),
        ({"period": "30 minutes"}, "whole number with ms, s, m, h or d"),
        ({"columns": {"opem": "x"}}, "near: 'open'"),
        ({"constants": {"price": 1.0}}, "'price' is not a field of a bar"),
        ({"time_zone": "Chicago"}, "IANA name"),
        ({"time_zone": "/etc/passwd"}, "IANA name"),
    ],
)
def test_declarations_that_leave_something_open_are_refused(changes, message):
    """What the file cannot tell must be declared, and declared right."""
    with pytest.raises(ValueError, match=message):
        bars(**changes)


@pytest.mark.parametrize(
    ("text", "ns"), [("30m", 30 * NS_PER_MINUTE), ("1h", NS_PER_HOUR), ("15s", 15 * 10**9), ("250ms", 250 * 10**6)]
)
def test_periods_are_a_number_and_a_unit(text, ns):
    """A period reads as nanoseconds."""
    assert period_ns(text) == ns


def test_the_digest_is_of_the_bytes(tmp_path):
    """One changed byte changes the digest that lineage keeps."""
    write(tmp_path, GOOD)
    before = read_market_file(bars(), DESK, folder=tmp_path)[1].digest
    write(tmp_path, GOOD.replace(",5\n", ",4\n"))
    assert read_market_file(bars(), DESK, folder=tmp_path)[1].digest != before
    assert len(before) == 64
