"""Segments end by age as well as by size."""

import pytest

from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.time import NS_PER_S, VirtualClock
from tradeworthy.record.segment import FIRST_BYTES, segment_paths
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, samples

HOUR_S = 3_600.0


def opened(folder, clock, segment_s=HOUR_S, disk=None):
    tape = TapeWriter.open(folder, clock=clock, segment_s=segment_s, disk=disk)
    return tape, tape.stream("a", SAMPLE), tape.stream("quiet", SAMPLE)


def numbers(folder, stream="a"):
    return [int(path.stem) for path in segment_paths(folder / "streams" / stream)]


def test_an_old_segment_is_sealed_and_the_next_append_begins_another(tmp_path):
    """After its time a segment ends at the next check; records go on without a gap; silence makes no files."""
    clock = VirtualClock()
    tape, stream, _ = opened(tmp_path, clock)
    for hour in range(4):
        clock.advance_to(int(hour * HOUR_S * NS_PER_S))
        tape.check()
        stream.append(samples(tape.next_sequence, 3))
    for _ in range(5):
        clock.advance_to(clock.now_ns() + int(2 * HOUR_S * NS_PER_S))
        tape.check()
    assert numbers(tmp_path) == [1, 2, 3, 4]
    assert numbers(tmp_path, "quiet") == []
    tape.close()
    assert TapeReader(tmp_path).read("a")["value"].tolist() == list(range(1, 13))
    assert verify(tmp_path).problems == []


def test_a_young_segment_goes_on(tmp_path):
    """Until its time has come, checks change nothing; without a limit, they never do."""
    clock = VirtualClock()
    tape, stream, _ = opened(tmp_path / "a", clock)
    other, unlimited, _ = opened(tmp_path / "b", clock, segment_s=None)
    for step in range(5):
        clock.advance_to(int(step * HOUR_S / 5 * NS_PER_S))
        for writer, to in ((tape, stream), (other, unlimited)):
            writer.check()
            to.append(samples(writer.next_sequence, 1))
    clock.advance_to(10**15)
    other.check()
    unlimited.append(samples(6))
    tape.close()
    other.close()
    assert numbers(tmp_path / "a") == [1]
    assert numbers(tmp_path / "b") == [1]


def test_segments_of_a_quiet_stream_stay_small(tmp_path):
    """A segment that ended by age, nearly empty, is followed by one of the first size, not of twice its own."""
    clock = VirtualClock()
    tape, stream, _ = opened(tmp_path, clock)
    for hour in range(6):
        clock.advance_to(int(hour * HOUR_S * NS_PER_S))
        tape.check()
        stream.append(samples(tape.next_sequence, 2))
    tape.close()
    assert {path.stat().st_size <= FIRST_BYTES for path in segment_paths(tmp_path / "streams" / "a")} == {True}


def test_durable_commits_go_on_across_it(tmp_path):
    """With durability on the disk, every sealed segment is synced with the next commit."""
    clock, disk = VirtualClock(), FaultyDisk()
    tape = TapeWriter.open(tmp_path, clock=clock, segment_s=HOUR_S, durability="disk", disk=disk)
    stream = tape.stream("a", SAMPLE)
    for hour in range(3):
        clock.advance_to(int(hour * HOUR_S * NS_PER_S))
        tape.check()
        stream.append(samples(tape.next_sequence, 2))
    paths = segment_paths(tmp_path / "streams" / "a")
    assert all(disk.synced(path) == path.read_bytes() for path in paths)
    tape.close()


def test_a_seal_that_cannot_be_written_is_fail_stop(tmp_path):
    """The disk refuses the seal: the tape has failed, and says so."""
    clock, disk = VirtualClock(), FaultyDisk()
    tape, stream, _ = opened(tmp_path, clock, disk=disk)
    stream.append(samples(1))
    clock.advance_to(int(HOUR_S * NS_PER_S))
    disk.fail("pwrite")
    with pytest.raises(RecordUnwritable, match="sealed"):
        tape.check()
    disk.heal()
    with pytest.raises(RecordUnwritable):
        stream.append(samples(2))
    tape.close()
