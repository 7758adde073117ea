"""Reading the tape while it is written and after."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from tradeworthy.core.errors import NotFound, RecordCorrupt
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small


@pytest.fixture
def long_tape(tmp_path):
    """A closed tape of 300 records over five segments of one stream."""
    with open_small(tmp_path) as tape:
        tape.stream("a", SAMPLE).append(samples(1, 300))
    return tmp_path


@pytest.mark.parametrize("after", [0, 1, 63, 64, 65, 200, 299, 300, 1000])
@pytest.mark.parametrize("limit", [None, 0, 1, 70])
def test_read_gives_the_range_asked_for(long_tape, after, limit):
    """Any start and any limit give just the records between, across segments too."""
    expected = list(range(after + 1, 301))[:limit]
    assert TapeReader(long_tape).read("a", after, limit)["sequence"].tolist() == expected


def test_a_range_in_one_segment_is_a_view(long_tape):
    """Nothing is copied where a range lies in one segment, and what is given cannot be written into."""
    records = TapeReader(long_tape).read("a", after=10, limit=5)
    assert not records.flags.owndata
    assert not records.flags.writeable


def test_scan_gives_a_part_for_each_segment(long_tape):
    """A scan goes segment by segment, from the record after a sequence."""
    assert [part.size for part in TapeReader(long_tape).scan("a", after=100)] == [28, 64, 64, 44]


@pytest.mark.parametrize(
    ("upto", "sizes"),
    [(100, []), (101, [1]), (128, [28]), (129, [28, 1]), (300, [28, 64, 64, 44]), (999, [28, 64, 64, 44])],
)
def test_a_scan_ends_where_it_is_told_to(long_tape, upto, sizes):
    """The last record is given, none behind it, and no segment behind that is opened."""
    assert [part.size for part in TapeReader(long_tape).scan("a", 100, upto)] == sizes
    assert TapeReader(long_tape).read("a", 100, upto=upto)["sequence"].tolist() == list(range(101, min(upto, 300) + 1))


def test_a_limit_and_an_end_hold_together(long_tape):
    """Whichever comes first ends the reading."""
    reader = TapeReader(long_tape)
    assert reader.read("a", 10, 5, upto=300).size == 5
    assert reader.read("a", 10, 50, upto=12)["sequence"].tolist() == [11, 12]


def test_views_outlive_the_mappings_kept(long_tape):
    """A view stays valid although its segment was let go of meanwhile."""
    reader = TapeReader(long_tape)
    parts = list(reader.scan("a"))
    del reader
    assert np.concatenate(parts)["value"].tolist() == list(range(1, 301))


def test_find(long_tape):
    """A record is found by its sequence; one that is not there is named."""
    assert TapeReader(long_tape).find("a", 170)["value"] == 170
    with pytest.raises(NotFound, match="no record 301"):
        TapeReader(long_tape).find("a", 301)


@pytest.mark.parametrize("sequence", [65, 100, 128])
def test_a_record_is_found_without_what_follows(long_tape, sequence):
    """Reading that has what it was asked for checks no segment behind, the last record of its own included."""
    _flip(long_tape / "streams" / "a" / "00000003.seg", 4096 + 30)
    assert TapeReader(long_tape).find("a", sequence)["value"] == sequence
    with pytest.raises(RecordCorrupt, match="record 0 "):
        TapeReader(long_tape).find("a", 129)


def test_unknown_names_are_answered_with_the_nearest(long_tape):
    """Asking for what is not there says what there is."""
    with pytest.raises(NotFound, match=r"no stream 'aa'.*near: 'a'"):
        TapeReader(long_tape).read("aa")
    with pytest.raises(NotFound, match="no tape"):
        TapeReader(long_tape / "nowhere")


def test_last_sequence_is_over_all_streams(tmp_path):
    """The end of the tape is the highest sequence in any stream."""
    write_small(tmp_path)
    assert TapeReader(tmp_path).last_sequence() == 50
    with open_small(tmp_path / "empty"):
        assert TapeReader(tmp_path / "empty").last_sequence() == 0


def test_a_cursor_gives_each_record_once_while_it_is_written(tmp_path):
    """Polling between appends gives every record once, in order, across segments and openings."""
    cursor = TapeReader(write_small(tmp_path, (1,)).folder).follow("a")
    seen = cursor.poll()["value"].tolist()
    for _ in range(3):
        with open_small(tmp_path) as tape:
            stream = tape.stream("a", SAMPLE)
            for count in (1, 7, 90, 0, 30):
                stream.append(samples(tape.next_sequence, count))
                seen += cursor.poll()["value"].tolist()
            assert cursor.poll().size == 0
            assert cursor.after == tape.next_sequence - 1
    assert seen == list(range(1, 1 + 3 * 128 + 1))


def test_a_cursor_waits_for_a_stream_to_appear(tmp_path):
    """A stream may be followed before it exists."""
    with open_small(tmp_path) as tape:
        cursor = TapeReader(tmp_path).follow("later", after=1)
        assert cursor.poll().size == 0
        tape.stream("later", SAMPLE)
        assert cursor.poll().dtype == SAMPLE
        tape.stream("later", SAMPLE).append(samples(1, 3))
        assert cursor.poll()["value"].tolist() == [2, 3]


def test_a_cursor_starts_anywhere_and_gives_no_more_than_asked(long_tape):
    """A cursor from the middle, polled in small bites, gives the rest."""
    cursor = TapeReader(long_tape).follow("a", after=130)
    bites = []
    while (bite := cursor.poll(limit=50)).size:
        bites.append(bite["value"].tolist())
    assert [len(bite) for bite in bites] == [50, 50, 50, 20]
    assert list(chain.from_iterable(bites)) == list(range(131, 301))


def test_a_record_half_written_is_not_there_yet(tmp_path):
    """Bytes of an unfinished record at the end are no record and no damage."""
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(1, 3))
    path = tmp_path / "streams" / "a" / "00000001.seg"
    with path.open("r+b") as file:
        file.seek(4096 + 3 * 64)
        file.write(b"\x04" + bytes(10) + b"\x01")
    assert TapeReader(tmp_path).read("a")["value"].tolist() == [1, 2, 3]
    assert TapeReader(tmp_path).follow("a").poll()["value"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("place", [0, 1])
def test_damage_before_a_whole_record_is_named_while_writing(tmp_path, place):
    """In a segment still written, a record that fails although a later one is whole is damage."""
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(1, 3))
    _flip(tmp_path / "streams" / "a" / "00000001.seg", 4096 + place * 64 + 30)
    for read in (lambda reader: reader.read("a"), lambda reader: reader.follow("a").poll()):
        with pytest.raises(RecordCorrupt, match=f"stream 'a', segment 00000001.seg, record {place} "):
            read(TapeReader(tmp_path))


def test_damage_of_the_last_durable_record_is_named(tmp_path):
    """Below the durable mark even the last record of an open segment cannot pass for a torn write."""
    tape = open_small(tmp_path)
    tape.stream("a", SAMPLE).append(samples(1, 3))
    tape.sync()
    _flip(tmp_path / "streams" / "a" / "00000001.seg", 4096 + 2 * 64 + 30)
    for read in (lambda reader: reader.read("a"), lambda reader: reader.follow("a").poll()):
        with pytest.raises(RecordCorrupt, match="record 2 "):
            read(TapeReader(tmp_path))


@pytest.mark.parametrize("cut", [1, 64, 4096, 8000])
def test_a_cut_file_is_named(long_tape, cut):
    """A segment shorter than its header says is damage, found before anything is read."""
    path = long_tape / "streams" / "a" / "00000003.seg"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(RecordCorrupt, match=r"00000003\.seg"):
        TapeReader(long_tape).read("a")


def test_an_empty_file_is_named(long_tape):
    """A segment without a byte is damage."""
    (long_tape / "streams" / "a" / "00000002.seg").write_bytes(b"")
    with pytest.raises(RecordCorrupt, match="empty"):
        TapeReader(long_tape).read("a")


def test_a_missing_segment_is_named(long_tape):
    """A hole between segments is damage."""
    (long_tape / "streams" / "a" / "00000002.seg").unlink()
    with pytest.raises(RecordCorrupt, match=r"segments \[2\] are missing"):
        TapeReader(long_tape).read("a")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b'{"stream":"\xff"}',
        b"[" * 100_000,
        b'{"stream":"a","itemsize":8,"fields":[{"name":"x","type":"q","offset":99}]}',
    ],
)
def test_a_declaration_that_cannot_be_read_is_named(long_tape, damage):
    """A stream whose declaration is empty, cut off or no UTF-8 is refused by reader and writer alike."""
    (long_tape / "streams" / "a" / "stream.json").write_bytes(damage)
    with pytest.raises(RecordCorrupt, match=r"stream\.json cannot be read"):
        TapeReader(long_tape).read("a")
    with open_small(long_tape) as writer, pytest.raises(RecordCorrupt, match=r"stream\.json cannot be read"):
        writer.stream("a", SAMPLE)


def test_a_writer_of_an_old_epoch_cannot_add_to_a_sealed_segment(long_tape):
    """What stands after the sealed records is not given to anybody."""
    path = long_tape / "streams" / "a" / "00000005.seg"
    raw = bytearray(path.read_bytes())
    raw[4096 + 44 * 64 : 4096 + 45 * 64] = raw[4096 + 43 * 64 : 4096 + 44 * 64]
    path.write_bytes(raw)
    assert TapeReader(long_tape).read("a").size == 300


def _flip(path: Path, byte: int) -> None:
    with path.open("r+b") as file:
        file.seek(byte)
        value = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([value ^ 4]))
