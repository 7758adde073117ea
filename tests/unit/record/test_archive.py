"""Archiving: segments leave the tape only when the archive gives back every byte, and nothing notices the move."""

import errno
from typing import Any

import numpy as np
import pytest

from tradeworthy.core.errors import NotFound, RecordBusy, RecordCorrupt, RecordUnwritable, SettingsInvalid
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.record.archive import ArchiveSettings, archive_lock, archive_tape
from tradeworthy.record.archived import ARCHIVE, all_segments, archived_segments, open_segment
from tradeworthy.record.chain import Notary
from tradeworthy.record.disk import Disk
from tradeworthy.record.marks import SYNCER, WRITER, MarkFile, durable_mark
from tradeworthy.record.segment import segment_paths
from tradeworthy.record.syncer import Syncer
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small

NOW = VirtualClock(10 * NS_PER_S)
AT_ONCE = ArchiveSettings(after_s=0.0)
COUNTS = (300, 50, 500, 120)
"""Of records in streams a, b, a, b: 13 segments and 3."""


@pytest.fixture
def tape(tmp_path):
    """A closed tape whose streams have several segments each."""
    write_small(tmp_path / "tape", COUNTS)
    return tmp_path / "tape"


def archive(tape, **names: Any):
    return archive_tape(tape, AT_ONCE, clock=NOW, **names)


def files(tape):
    """Return the archive's files, oldest first."""
    return sorted((tape / ARCHIVE).glob("stream=*/day=*/*"))


def test_only_the_newest_segment_of_a_stream_stays(tape):
    """Every sealed segment but the newest of its stream moves, in order, and the report counts it."""
    before = {stream: len(segment_paths(tape / "streams" / stream)) for stream in "ab"}
    report = archive(tape)
    assert {stream: len(segment_paths(tape / "streams" / stream)) for stream in "ab"} == {"a": 1, "b": 1}
    assert [(moved.stream, moved.index) for moved in report.moved] == [
        (stream, index) for stream in "ab" for index in range(1, before[stream])
    ]
    assert sum(moved.records for moved in report.moved) + sum(
        open_segment(segment_paths(tape / "streams" / stream)[0]).check() for stream in "ab"
    ) == sum(COUNTS)
    assert report.problems == []
    assert report.waiting == {}


def test_segments_come_back_byte_for_byte(tape):
    """What the archive rebuilds is the file that was on the tape, header, seal, checksums and zeros included."""
    content = {path: path.read_bytes() for path in segment_paths(tape / "streams" / "a")}
    archive(tape)
    assert {path: bytes(open_segment(path).content) for path in content} == content


def test_partitions_are_streams_and_days(tape):
    """Files lie in folders of their stream and the day on which their segment was begun."""
    archive(tape)
    assert {path.parent.relative_to(tape).as_posix() for path in files(tape)} == {
        "archive/stream=a/day=1970-01-01",
        "archive/stream=b/day=1970-01-01",
    }


def test_readers_do_not_notice(tape):
    """Reading, finding and following give the same records before and after."""
    before = {stream: TapeReader(tape).read(stream).copy() for stream in "ab"}
    archive(tape)
    reader = TapeReader(tape)
    for stream in "ab":
        assert np.array_equal(reader.read(stream), before[stream])
    assert reader.find("a", 77)["value"] == 77
    assert reader.read("a", after=290, limit=20)["value"].tolist() == [*range(291, 301), *range(351, 361)]
    assert reader.follow("a", after=100).poll()["value"].tolist() == before["a"]["value"][100:].tolist()
    assert reader.last_sequence() == sum(COUNTS)


def test_a_reader_that_was_there_before_goes_on(tape):
    """A cursor and a reader opened before the move read across it."""
    reader, cursor = TapeReader(tape), TapeReader(tape).follow("a")
    assert cursor.poll(70).size == 70
    archive(tape)
    assert cursor.poll()["value"].tolist() == reader.read("a", after=70)["value"].tolist()


def test_a_writer_goes_on(tape):
    """After archiving, the tape is opened, recovered and continued; numbers of segments go on."""
    archive(tape)
    with open_small(tape) as writer:
        assert writer.next_sequence == sum(COUNTS) + 1
        writer.stream("a", SAMPLE).append(samples(writer.next_sequence, 30))
    numbers = [int(path.stem) for path in all_segments(tape / "streams" / "a")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert TapeReader(tape).read("a")["value"][-1] == sum(COUNTS) + 30
    assert verify(tape).problems == []


def test_archiving_while_a_writer_writes(tape):
    """The archiver needs no lock of the writer: sealed, durable segments move while it appends."""
    with open_small(tape) as writer:
        stream = writer.stream("a", SAMPLE)
        stream.append(samples(writer.next_sequence, 200))
        writer.sync()
        assert archive(tape).moved
        stream.append(samples(writer.next_sequence, 200))
    values = TapeReader(tape).read("a")["value"]
    assert values[-400:].tolist() == list(range(sum(COUNTS) + 1, sum(COUNTS) + 401))
    assert verify(tape).problems == []


def test_recovery_finds_the_marked_segment_in_the_archive(tape):
    """The durable mark may name a segment that was archived since: that is no damage."""
    with open_small(tape) as writer:
        writer.stream("a", SAMPLE).append(samples(writer.next_sequence, 10))
    mark = durable_mark(tape)
    assert archive(tape).problems == []
    with MarkFile(tape / WRITER, Disk()) as marks:
        marks.store(mark.sequence, {"a": (3, 64), "b": (1, 64)}, 5, sync=True)
    with open_small(tape) as writer:
        assert writer.next_sequence == sum(COUNTS) + 11
    assert verify(tape).problems == []


def test_a_syncer_starts_behind_the_archive(tape):
    """A syncer whose mark lags, or is gone, skips what was archived and makes the rest durable."""
    archive(tape)
    for name in (WRITER, SYNCER):
        (tape / name).unlink(missing_ok=True)
    with Syncer(tape, clock=NOW) as syncer:
        assert syncer.sync() == sum(COUNTS)
    assert set(durable_mark(tape).ends) == {"a", "b"}


def test_what_is_not_durable_waits(tmp_path):
    """A segment above the durable mark stays on the tape."""
    writer = open_small(tmp_path)
    writer.stream("a", SAMPLE).append(samples(1, 200))
    report = archive(tmp_path)
    assert report.moved == []
    assert sum(report.waiting.values()) > 0
    assert set(report.waiting) == {"not yet durable"}
    writer.close()


def test_what_is_not_chained_waits(tape):
    """Where there is a block chain, it covers a segment before that moves."""
    Notary(tape, clock=NOW).extend()
    with open_small(tape) as writer:
        writer.stream("a", SAMPLE).append(samples(writer.next_sequence, 200))
    report = archive(tape)
    assert set(report.waiting) == {"not yet in the block chain"}
    Notary(tape, clock=NOW).extend()
    assert archive(tape).waiting == {}
    assert verify(tape).problems == []


def test_young_segments_wait(tape):
    """A segment moves once it was sealed long enough ago."""
    settings = ArchiveSettings(after_s=60.0)
    assert set(archive_tape(tape, settings, clock=NOW).waiting) == {"too young"}
    assert archive_tape(tape, settings, clock=VirtualClock(61 * NS_PER_S)).waiting == {}


def test_archiving_twice_changes_nothing(tape):
    """A second run finds nothing to do."""
    archive(tape)
    before = {path: path.stat().st_mtime_ns for path in files(tape)}
    assert archive(tape).moved == []
    assert {path: path.stat().st_mtime_ns for path in files(tape)} == before


def test_a_damaged_segment_stays_and_is_named(tape):
    """Damage stops a stream where it is; the other stream moves."""
    path = tape / "streams" / "a" / "00000002.seg"
    with path.open("r+b") as file:
        file.seek(4096 + 5 * 64 + 20)
        file.write(b"\xff")
    report = archive(tape)
    assert [moved.index for moved in report.moved if moved.stream == "a"] == [1]
    assert [moved.index for moved in report.moved if moved.stream == "b"] == [1, 2]
    assert len(report.problems) == 1
    assert "record 5" in report.problems[0]
    assert path.exists()


def test_bytes_after_the_seal_are_no_reason_to_lose_them(tape):
    """A segment with bytes that no record owns cannot be rebuilt, so it stays."""
    path = tape / "streams" / "b" / "00000002.seg"
    with path.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"leftover")
    segment = open_segment(path)
    if segment.seal.records < segment.header.capacity:
        report = archive(tape)
        assert "is not the segment" in report.problems[0] or "not the segment" in report.problems[0]
        assert path.exists()


def test_a_copy_from_before_is_used(tape):
    """Where the segment was archived but not yet removed, the removal is all that is done."""
    path = tape / "streams" / "a" / "00000001.seg"
    content = path.read_bytes()
    archive(tape)
    stamp = archived_segments(path.parent)[1].path.stat().st_mtime_ns
    path.write_bytes(content)
    assert TapeReader(tape).read("a").size == 800
    assert [moved.index for moved in archive(tape).moved] == [1]
    assert archived_segments(path.parent)[1].path.stat().st_mtime_ns == stamp
    assert not path.exists()


def test_a_damaged_copy_from_before_is_replaced(tape):
    """A spoiled Parquet file whose segment is still there is written anew."""
    path = tape / "streams" / "a" / "00000001.seg"
    content = path.read_bytes()
    archive(tape)
    copy = archived_segments(path.parent)[1].path
    copy.write_bytes(copy.read_bytes()[:-100])
    path.write_bytes(content)
    assert archive(tape).problems == []
    assert bytes(open_segment(path).content) == content
    assert not path.exists()


def test_leftovers_of_a_killed_archiver_are_swept(tape):
    """A partial file is removed by the next run, and never read."""
    archive(tape)
    partial = files(tape)[0].with_name("00000009-1-00000000.parquet.partial")
    partial.write_bytes(b"half")
    archive(tape)
    assert not partial.exists()


def test_two_archivers_are_one_too_many(tape):
    """The second is refused while the first works."""
    with archive_lock(tape), pytest.raises(RecordBusy, match="another process"):
        archive(tape)
    assert archive(tape).moved


def test_the_archive_may_be_on_another_disk(tape, tmp_path):
    """The tape's folder links to the archive; another folder than before is refused."""
    archive(tape, folder=tmp_path / "elsewhere")
    assert len(list((tmp_path / "elsewhere").glob("stream=a/*/*.parquet"))) == 12
    assert TapeReader(tape).read("a").size == 800
    assert archive(tape, folder=tmp_path / "elsewhere").moved == []
    with pytest.raises(SettingsInvalid, match="move it"):
        archive(tape, folder=tmp_path / "third")


def test_no_tape_is_an_error(tmp_path):
    """There must be a tape to archive."""
    with pytest.raises(NotFound, match="no tape"):
        archive(tmp_path)


@pytest.mark.parametrize("operation", ["pwrite", "fdatasync", "replace", "sync_folder", "unlink"])
def test_a_failing_disk_harms_nothing(tape, operation):
    """Whatever fails at whichever time: nothing is lost, nothing is there twice, and the next run finishes."""
    expected = TapeReader(tape).read("a")["value"].tolist()
    for after in range(4):
        disk = FaultyDisk()
        disk.fail(operation, errno.ENOSPC, after=after)
        with pytest.raises(RecordUnwritable, match="Nothing was lost"):
            archive(tape, disk=disk)
        assert TapeReader(tape).read("a")["value"].tolist() == expected
        assert verify(tape).problems == []
    archive(tape)
    assert TapeReader(tape).read("a")["value"].tolist() == expected


def test_verification_rebuilds_and_counts(tape):
    """Archived segments are verified like those on the tape: records, chain and numbering."""
    Notary(tape, clock=NOW).extend()
    before = verify(tape)
    archive(tape)
    after = verify(tape)
    assert after.ok
    assert (after.records, after.bytes, after.segments) == (before.records, before.bytes, before.segments)
    assert (before.archived, after.archived) == (0, 14)


def test_any_changed_byte_of_an_archived_file_is_named(tape):
    """One flipped bit at any byte of a Parquet file: reading refuses, and names the file."""
    archive(tape)
    archived = archived_segments(tape / "streams" / "b")[1]
    raw, place = archived.path.read_bytes(), tape / "streams" / "b" / "00000001.seg"
    for byte in range(len(raw)):
        archived.path.write_bytes(raw[:byte] + bytes([raw[byte] ^ 1]) + raw[byte + 1 :])
        with pytest.raises(RecordCorrupt, match=archived.path.name):
            open_segment(place)


def test_a_damaged_or_missing_archive_fails_verification(tape):
    """Verification names the segment that cannot be rebuilt, and the one that is gone."""
    Notary(tape, clock=NOW).extend()
    archive(tape)
    first, second = (archived_segments(tape / "streams" / "a")[number].path for number in (1, 2))
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    problems = " ".join(str(problem) for problem in verify(tape).problems)
    assert first.name in problems
    assert "segments [2] are missing" in problems
    assert "00000002.seg is missing, block 1 covers it" in problems


def test_a_forged_archive_does_not_pass_the_chain(tape, tmp_path):
    """A Parquet file made from other records, every checksum in order, is not what the chain hashed."""
    Notary(tape, clock=NOW).extend()
    archive(tape)
    forged = tmp_path / "forged"
    with open_small(forged) as writer:
        streams = {name: writer.stream(name, SAMPLE) for name in "ab"}
        changed = samples(1, 300)
        changed["value"][10] = -1
        streams["a"].append(changed)
        streams["b"].append(samples(301, 50))
    archive(forged)
    theirs = archived_segments(forged / "streams" / "a")[1].path
    ours = archived_segments(tape / "streams" / "a")[1].path
    ours.unlink()
    (ours.parent / theirs.name).write_bytes(theirs.read_bytes())
    assert any("block 1" in str(problem) for problem in verify(tape).problems)


@pytest.mark.parametrize(
    "wrong",
    [
        {"after_s": -1.0},
        {"rotate_every_s": 0.0},
        {"zstd_level": 20},
        {"keep_days": {"inputs": 0.0}},
        {"budget_gb": 0.0},
        {"alarm_at": 1.5},
        {"free_min_gb": -1.0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    """Ages, sizes and shares have their range."""
    with pytest.raises(ValueError, match=r"allowed|goes from"):
        ArchiveSettings(**wrong)
