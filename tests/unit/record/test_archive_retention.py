"""Deleting from the archive: by age, never what is held, never without a trace, never more than was logged."""

import pytest

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.chain import Notary, read_chain
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.deletions import DELETIONS, read_deletions
from tradeworthy.record.disk import Disk
from tradeworthy.record.retention import Hold, days_kept, delete, expired
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import SAMPLE, SEGMENT_BYTES, samples

TODAY = 100 * NS_PER_DAY
AT_ONCE = ArchiveSettings(after_s=0.0)


@pytest.fixture
def tape(tmp_path):
    """Streams ``a`` and ``inputs``, archived: for ten days 64 records a day each in turns of 32, then a checkpoint."""
    clock = VirtualClock()
    folder = tmp_path / "tape"
    with TapeWriter.open(folder, clock=clock, segment_bytes=SEGMENT_BYTES) as writer:
        streams = [writer.stream(name, SAMPLE) for name in ("a", "inputs")]
        for day in range(1, 11):
            clock.advance_to(day * NS_PER_DAY)
            for stream in streams * 2:
                stream.append(samples(writer.next_sequence, 32))
            writer.checkpoint({"day": day})
    Notary(folder, clock=clock).extend()
    archive_tape(folder, AT_ONCE, clock=VirtualClock(TODAY))
    return folder


def old(tape, days, holds=(), now_ns=TODAY):
    return expired(tape, keep_days=days, holds=holds, now_ns=now_ns)


def test_age_decides_stream_by_stream(tape):
    """Segments sealed longer ago than their stream's days are listed; a stream without days never is."""
    assert [deletion.index for deletion in old(tape, {"a": 95.5})] == [1, 2, 3]
    assert [(d.stream, d.first_sequence, d.last_sequence) for d in old(tape, {"a": 97.5})] == [("a", 1, 96)]
    assert old(tape, {}) == []
    assert old(tape, {"a": 500.0}) == []
    assert old(tape, {"other": 1.0}) == []


def test_the_longest_of_several_patterns_counts():
    """A stream that fits two patterns is kept as long as the more patient one says."""
    assert days_kept("rows-12", {"rows-*": 3.0, "*": 30.0}) == 30.0
    assert days_kept("decisions", {"rows-*": 3.0}) is None


def test_the_newest_segment_is_never_deleted(tape):
    """What is still on the tape is out of reach, however old."""
    assert [deletion.index for deletion in old(tape, {"a": 0.001}, now_ns=TODAY * 10)] == list(range(1, 10))


@pytest.mark.parametrize(
    ("hold", "left"),
    [
        (Hold(name="all"), 0),
        (Hold(name="b only", streams=("b",)), 3),
        (Hold(name="a by pattern", streams=("a*",)), 0),
        (Hold(name="a day", from_ns=3 * NS_PER_DAY, to_ns=3 * NS_PER_DAY + 1), 1),
        (Hold(name="before", to_ns=NS_PER_DAY - 1), 3),
        (Hold(name="after", from_ns=50 * NS_PER_DAY), 3),
    ],
)
def test_a_hold_stops_deletion_at_what_it_covers(tape, hold, left):
    """Nothing from the first held segment on is deleted, so that no hole arises."""
    assert len(old(tape, {"a": 95.5}, [hold])) == left


def test_deletion_is_logged_and_verified(tape):
    """After a deletion verification passes, counts the files, and the rest of the stream is read."""
    assert delete(tape, old(tape, {"a": 95.5})) == 3
    report = verify(tape)
    assert report.problems == []
    assert report.deleted == 3
    assert TapeReader(tape).read("a")["value"].size == 7 * 64
    assert next(deletion.reason for deletion in read_deletions(tape).values()).startswith("older than 95.5 days")


def test_deleting_twice_changes_nothing(tape):
    """The log carries each file once."""
    going = old(tape, {"a": 95.5})
    delete(tape, going)
    size = (tape / DELETIONS).stat().st_size
    assert delete(tape, going) == 0
    assert (tape / DELETIONS).stat().st_size == size


def test_checkpoints_go_with_the_inputs_that_they_need(tape):
    """From a checkpoint before the deleted inputs nothing can be replayed: it is deleted, and logged, too."""
    going = old(tape, {"inputs": 95.5})
    delete(tape, going)
    last = max(deletion.last_sequence for deletion in going)
    assert min(int(path.stem) for path in checkpoint_paths(tape)) >= last
    assert verify(tape).problems == []


def test_the_log_of_deletions_is_chained(tape):
    """The block chain covers the log, so that a line cannot be added later unseen."""
    delete(tape, old(tape, {"a": 95.5}))
    Notary(tape, clock=VirtualClock(TODAY)).extend()
    assert any(part.path == DELETIONS for block in read_chain(tape) for part in block.parts)
    path = tape / DELETIONS
    path.write_bytes(path.read_bytes().replace(b"95.5", b"15.5"))
    assert any(DELETIONS in str(problem) for problem in verify(tape).problems)


def test_a_file_lost_without_a_line_is_found(tape):
    """A segment that is gone but not logged is missing, and so are its records."""
    archived_segments(tape / "streams" / "a")[1].path.unlink()
    said = " ".join(map(str, verify(tape).problems))
    assert "segments [1] are missing" in said
    assert "64 records are missing or damaged: sequences 1-32, 65-96" in said


def test_more_missing_than_logged_is_found(tape):
    """Records of another stream that vanish within a deleted range do not hide behind it."""
    delete(tape, old(tape, {"a": 95.5}))
    archived_segments(tape / "streams" / "inputs")[1].path.unlink()
    said = " ".join(map(str, verify(tape).problems))
    assert "224 records are missing where the log of deletions lists 192" in said
    assert "sequences 97-128" in said


def test_a_deletion_cut_short_is_finished(tape):
    """Killed between the lines and the files: everything is still read, and the next call deletes it."""

    class Stubborn(Disk):
        def unlink(self, path) -> None:
            raise InterruptedError(path)

    with pytest.raises(InterruptedError):
        delete(tape, old(tape, {"a": 95.5}), Stubborn())
    assert TapeReader(tape).read("a").size == 640
    assert verify(tape).problems == []
    assert delete(tape, []) == 3
    assert verify(tape).deleted == 3


@pytest.mark.parametrize("line", [b"not json", b'{"path":"../../etc/passwd","sha256":"","ts_ns":0,"reason":""}'])
def test_a_spoiled_log_is_refused(tape, line):
    """A line that is no deletion, or names a file that is never deleted, is damage."""
    (tape / DELETIONS).write_bytes(line + b"\n")
    with pytest.raises(RecordCorrupt, match="line"):
        read_deletions(tape)
    assert any("deletion" in str(problem) or "line" in str(problem) for problem in verify(tape).problems)


def test_a_newer_log_is_refused(tape):
    """Deletions of a later format are not guessed at."""
    (tape / DELETIONS).write_bytes(b'{"path":"streams/a/00000001.seg","sha256":"","ts_ns":0,"reason":"","format":2}\n')
    with pytest.raises(RecordNewer, match="Upgrade"):
        read_deletions(tape)
