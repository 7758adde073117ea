"""Segments as Parquet: any type and any bits come back; columns are small and readable by others."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.core.events import FRAME
from tradeworthy.core.time import VirtualClock
from tradeworthy.record import parquet
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.segment import segment_paths
from tradeworthy.record.tape import TapeWriter

EVERY = np.dtype(
    [
        *FRAME,
        ("u1", "u1"),
        ("i1", "i1"),
        ("flag", "?"),
        ("none", "u1"),
        ("u2", "<u2"),
        ("i2", "<i2"),
        ("u4", "<u4"),
        ("i4", "<i4"),
        ("f4", "<f4"),
        ("pad", "<u4"),
        ("u8", "<u8"),
        ("i8", "<i8"),
        ("f8", "<f8"),
        ("row", "<f8", (3,)),
        ("square", "<i4", (2, 2)),
    ]
)


def written(folder, records):
    """Write records to a tape of their type and return its first segment."""
    with TapeWriter.open(folder, clock=VirtualClock(1)) as tape:
        stream = tape.stream("s", records.dtype)
        if records.size:
            stream.append(records)
    return MappedSegment(segment_paths(folder / "streams" / "s")[0])


def there_and_back(segment):
    data = parquet.encode_segment(segment, segment.seal)
    return data, parquet.decode_segment(data, segment.path)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 60), seed=st.integers(0, 1000), few=st.booleans())
def test_any_bytes_come_back(tmp_path_factory, count, seed, few):
    """Records filled with any bits at all, NaNs of every kind included, are rebuilt exactly."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 3 if few else 256, (count, EVERY.itemsize), np.uint8)
    records = raw.view(EVERY).reshape(count)
    records["flag"] = raw[:, 0] > 1
    segment = written(tmp_path_factory.mktemp("tape"), records)
    assert there_and_back(segment)[1] == segment.content


def test_nans_and_zeros_keep_their_bits(tmp_path):
    """Two NaNs with different payloads, and both zeros, stay what they are although few values recur."""
    records = np.zeros(400, EVERY)
    records["f8"] = np.tile([np.nan, 0.0, -0.0, 1.0], 100)
    bits = records["f8"].view(np.uint64)
    bits[::8] = 0x7FF8_0000_0000_1234
    segment = written(tmp_path, records)
    assert there_and_back(segment)[1] == segment.content


def test_other_readers_see_the_columns(tmp_path):
    """Polars reads the same values from the file, arrays as numbered columns, and no checksum of records."""
    records = np.zeros(50, EVERY)
    records["f8"], records["row"] = np.arange(50), np.arange(150).reshape(50, 3)
    data, _ = there_and_back(written(tmp_path / "tape", records))
    (tmp_path / "file.parquet").write_bytes(data)
    frame = pl.read_parquet(tmp_path / "file.parquet")
    assert frame["f8"].to_list() == records["f8"].tolist()
    assert frame["row_1"].to_list() == records["row"][:, 1].tolist()
    assert frame["sequence"].to_list() == list(range(1, 51))
    assert "crc" not in frame.columns
    assert "square_3" in frame.columns


def test_a_decision_takes_few_bytes(tmp_path):
    """Decisions with scores of full entropy and irregular times take under 64 bytes each."""
    rng = np.random.default_rng(1)
    records = np.zeros(20_000, DECISION)
    records["input_sequence"] = np.arange(20_000) * 3
    records["ts_event_ns"] = 1_600_000_000_000_000_000 + np.cumsum(rng.integers(1, 10**9, 20_000))
    records["ts_decided_ns"] = records["ts_event_ns"] + rng.integers(8_000, 60_000, 20_000)
    records["score"], records["price"] = rng.random(20_000), np.round(300 + rng.normal(0, 1, 20_000).cumsum(), 2)
    records["observed"] = records["limit"] = np.nan
    data, _ = there_and_back(written(tmp_path, records))
    assert len(data) / 20_000 < 24


def test_contents_are_read_from_the_footer(tmp_path):
    """A file tells which segment it holds without its columns being read."""
    segment = written(tmp_path / "tape", np.zeros(7, EVERY))
    path = tmp_path / "file.parquet"
    path.write_bytes(there_and_back(segment)[0])
    contents = parquet.read_contents(path)
    assert (contents.stream, contents.index, contents.records) == ("s", 1, 7)
    assert (contents.first_sequence, contents.last_sequence, contents.created_ns) == (1, 7, 1)


def test_a_newer_format_is_refused(tmp_path):
    """A file of a later format names itself; this release does not guess."""
    segment = written(tmp_path / "tape", np.zeros(7, EVERY))
    data = parquet.encode_segment(segment, segment.seal).replace(b'"format":1', b'"format":2')
    (tmp_path / "file.parquet").write_bytes(data)
    with pytest.raises(RecordNewer, match="format 2"):
        parquet.read_contents(tmp_path / "file.parquet")
    with pytest.raises(RecordNewer, match="Upgrade"):
        parquet.decode_segment(data, tmp_path / "file.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1PAR1", b"not parquet at all, but long enough to be looked at"])
def test_what_is_no_archive_is_named(tmp_path, content):
    """Files that are not Parquet are damage, in either way of reading."""
    path = tmp_path / "stream=s" / "day=1970-01-01" / "x.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(RecordCorrupt, match=r"x\.parquet"):
        parquet.read_contents(path)
    with pytest.raises(RecordCorrupt, match=r"x\.parquet"):
        parquet.decode_segment(content, path)


def test_parquet_of_others_is_not_ours(tmp_path):
    """A Parquet file without our words in its footer is not an archived segment."""
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(RecordCorrupt, match="damaged"):
        parquet.read_contents(path)
