"""What the next writer does with what a dead one left."""

from pathlib import Path

import numpy as np
import pytest

from tradeworthy.core.errors import RecordCorrupt, RecordUnwritable
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small

HEADER, WIDTH = 4096, 64


def abandon(folder):
    """Leave a tape as a killed writer leaves it: not closed, its lock gone."""
    writer = write_small(folder, close=False)
    (folder / "lock").unlink()
    return writer


def values(folder):
    reader = TapeReader(folder)
    return sorted(np.concatenate([reader.read(name)["value"] for name in reader.streams()]).tolist())


def change(path, start, data):
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def test_a_killed_writer_loses_nothing(tmp_path):
    """Without a close every record is there, sealed and durable after the next opening."""
    abandon(tmp_path)
    with open_small(tmp_path) as tape:
        assert tape.next_sequence == 51
        assert (tape.recovery.torn, tape.recovery.segments) == ([], 2)
        assert tape.mark.sequence == 50
        assert tape.mark.ends == {"a": (1, 43), "b": (1, 7)}
    assert values(tmp_path) == list(range(1, 51))


def test_a_torn_tail_is_cut_off_and_reported(tmp_path):
    """Half a record after the last whole one is wiped, and the report says where it was and how long."""
    abandon(tmp_path)
    path = tmp_path / "streams" / "a" / "00000001.seg"
    change(path, HEADER + 43 * WIDTH, b"\x33" * 40)
    with open_small(tmp_path) as tape:
        (torn,) = tape.recovery.torn
        assert (torn.stream, torn.segment, torn.first_record, torn.bytes) == ("a", "00000001.seg", 43, 40)
        assert tape.next_sequence == 51
    assert values(tmp_path) == list(range(1, 51))
    assert not any(path.read_bytes()[HEADER + 43 * WIDTH :])


def _opens(folder: Path, operation: str, *, after: int) -> bool:
    """Open and close on a disk whose writes (or another operation) fail after so many; tell whether that was enough."""
    disk = FaultyDisk()
    disk.fail(operation, after=after)
    try:
        open_small(folder, disk=disk).close()
    except (OSError, RecordUnwritable):
        (folder / "lock").unlink()
        return False
    return True


@pytest.mark.parametrize(("operation", "least"), [("pwrite", 4), ("preallocate", 1), ("fdatasync", 4)])
def test_an_interrupted_recovery_is_done_again(tmp_path, operation, least):
    """A recovery that dies between its steps leaves a tape that recovers, also of a writer that freed its reserve."""
    abandon(tmp_path)
    (tmp_path / "reserve").unlink()
    change(tmp_path / "streams" / "a" / "00000001.seg", HEADER + 43 * WIDTH, b"\x33" * 40)
    failures = 0
    while not _opens(tmp_path, operation, after=failures):
        failures += 1
    assert failures >= least
    assert values(tmp_path) == list(range(1, 51))


def test_damage_below_the_mark_is_never_truncated(tmp_path):
    """A damaged record that was durable refuses the writer by name, and stays as it is."""
    writer = abandon(tmp_path)
    writer.sync()
    path = tmp_path / "streams" / "a" / "00000001.seg"
    change(path, HEADER + 42 * WIDTH + 20, b"\xff")
    before = path.read_bytes()
    with pytest.raises(RecordCorrupt, match=r"stream 'a', segment 00000001\.seg, record 42 "):
        open_small(tmp_path)
    assert path.read_bytes() == before


def test_a_zeroed_tail_below_the_mark_is_corruption(tmp_path):
    """Records that vanish without a trace are missed, because the mark counts them."""
    abandon(tmp_path).sync()
    change(tmp_path / "streams" / "b" / "00000001.seg", HEADER + 5 * WIDTH, bytes(2 * WIDTH))
    with pytest.raises(RecordCorrupt, match=r"stream 'b'.*record 5 "):
        open_small(tmp_path)


def test_a_missing_segment_below_the_mark_is_corruption(tmp_path):
    """A file that vanishes is missed, because the mark names it."""
    abandon(tmp_path).sync()
    (tmp_path / "streams" / "b" / "00000001.seg").unlink()
    with pytest.raises(RecordCorrupt, match=r"stream 'b': segment 00000001\.seg is missing"):
        open_small(tmp_path)


def test_a_hole_is_corruption_while_the_machine_stays_up(tmp_path):
    """Kill -9 cannot make a hole: a whole record after a damaged one refuses the writer."""
    abandon(tmp_path)
    change(tmp_path / "streams" / "a" / "00000001.seg", HEADER + 10 * WIDTH, b"\xff" * WIDTH)
    with pytest.raises(RecordCorrupt, match="record 10 "):
        open_small(tmp_path)


def test_a_hole_between_streams_is_corruption_while_the_machine_stays_up(tmp_path):
    """A stream that lost its tail, though a later record stands in another, refuses the writer."""
    abandon(tmp_path)
    change(tmp_path / "streams" / "a" / "00000001.seg", HEADER + 40 * WIDTH, bytes(3 * WIDTH))
    with pytest.raises(RecordCorrupt, match="record 46 is missing"):
        open_small(tmp_path)


def test_after_a_power_cut_the_longest_whole_beginning_is_kept(tmp_path):
    """Above the mark a restart may have lost anything: what follows the first gap is cut off in every stream."""
    disk = FaultyDisk()
    with open_small(tmp_path, disk=disk) as tape:
        tape.stream("a", SAMPLE).append(samples(1, 2))
    tape = open_small(tmp_path, disk=disk)
    a, b = tape.stream("a", SAMPLE), tape.stream("b", SAMPLE)
    a.append(samples(3, 4))
    b.append(samples(7, 4))
    tape.checkpoint({"x": np.zeros(1)})
    (tmp_path / "lock").unlink()
    change(tmp_path / "streams" / "a" / "00000002.seg", HEADER + 2 * WIDTH, bytes(WIDTH))
    disk.boot_id = b"\x02" * 16
    with open_small(tmp_path, disk=disk) as again:
        assert again.next_sequence == 5
        assert [entry.stream for entry in again.recovery.torn] == ["a"]
        assert again.recovery.quarantined == ["torn/0001-b-00000001.seg"]
        assert again.recovery.checkpoints_dropped == 1
    assert values(tmp_path) == [1, 2, 3, 4]
    assert TapeReader(tmp_path).checkpoint() is None


def test_a_segment_whose_header_was_lost_is_set_aside(tmp_path):
    """A zeroed header above the mark after a restart: the file is moved away, not deleted."""
    disk = FaultyDisk()
    tape = open_small(tmp_path, disk=disk)
    tape.stream("a", SAMPLE).append(samples(1))
    (tmp_path / "lock").unlink()
    change(tmp_path / "streams" / "a" / "00000001.seg", 0, bytes(HEADER))
    disk.boot_id = b"\x02" * 16
    with open_small(tmp_path, disk=disk) as again:
        assert again.recovery.quarantined == ["torn/0001-a-00000001.seg"]
        assert again.next_sequence == 1


def test_recovery_does_not_read_what_was_sealed_and_durable(tmp_path):
    """Opening looks only beyond the mark: old damage is found by readers and verification, not by waiting for it."""
    write_small(tmp_path)
    change(tmp_path / "streams" / "a" / "00000001.seg", HEADER + 10, b"\xff")
    with open_small(tmp_path) as tape:
        assert tape.recovery.segments == 0
    with pytest.raises(RecordCorrupt):
        TapeReader(tmp_path).read("a")
