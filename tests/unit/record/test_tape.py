"""Writing the tape: order, frames, rotation, reopening, failure."""

import errno

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.errors import DataInvalid, RecordBusy, RecordUnwritable
from tradeworthy.core.events import event_dtype
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.epochs import read_epochs
from tradeworthy.record.marks import SYNCER, MarkFile
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small


def test_one_sequence_orders_all_streams(tmp_path):
    """Records of several streams get consecutive sequences in the order appended."""
    with open_small(tmp_path) as tape:
        a, b = tape.stream("a", SAMPLE), tape.stream("b", DECISION)
        assert [a.append(samples(0, 3)), b.append(np.zeros(2, DECISION)), a.append(samples(3))] == [1, 4, 6]
        assert tape.next_sequence == 7
    reader = TapeReader(tmp_path)
    assert reader.read("a")["sequence"].tolist() == [1, 2, 3, 6]
    assert reader.read("b")["sequence"].tolist() == [4, 5]


def test_append_writes_the_frame_into_the_callers_records(tmp_path):
    """After an append the caller's own records carry their sequence, epoch and checksum."""
    with open_small(tmp_path) as tape:
        records = samples(0, 2)
        tape.stream("a", SAMPLE).append(records)
        assert records["sequence"].tolist() == [1, 2]
        assert records["epoch"].tolist() == [1, 1]
        assert TapeReader(tmp_path).read("a").tobytes() == records.tobytes()


def test_records_that_cannot_be_written_into_are_copied(tmp_path):
    """Read-only and strided records are appended too, and stay as they are."""
    fixed, strided = samples(0, 2), samples(2, 6)[::3]
    fixed.flags.writeable = False
    with open_small(tmp_path) as tape:
        stream = tape.stream("a", SAMPLE)
        stream.append(fixed)
        stream.append(strided)
    assert fixed["sequence"].tolist() == [0, 0]
    assert TapeReader(tmp_path).read("a")["value"].tolist() == [0, 1, 2, 5]


def test_an_empty_batch_takes_no_sequence(tmp_path):
    """Appending nothing changes nothing."""
    with open_small(tmp_path) as tape:
        stream = tape.stream("a", SAMPLE)
        assert stream.append(samples(0, 0)) == 1
        assert stream.append(samples(0)) == 1


@pytest.mark.parametrize("records", [np.zeros(1, DECISION), np.zeros((2, 2), SAMPLE), np.zeros(3)])
def test_records_of_another_shape_are_refused(tmp_path, records):
    """A stream takes one-dimensional arrays of its own type."""
    with open_small(tmp_path) as tape, pytest.raises(DataInvalid, match="takes"):
        tape.stream("a", SAMPLE).append(records)


def test_a_batch_larger_than_a_segment_spans_segments(tmp_path):
    """A long batch fills one segment after another, in order and without a gap."""
    with open_small(tmp_path) as tape:
        stream = tape.stream("a", SAMPLE)
        stream.append(samples(0, 10))
        assert stream.append(samples(10, 500)) == 11
    assert len(list((tmp_path / "streams" / "a").glob("*.seg"))) == 8
    assert TapeReader(tmp_path).read("a")["value"].tolist() == list(range(510))


def test_reopening_goes_on_in_a_new_epoch(tmp_path):
    """A new opening continues the sequence, counts up the epoch and reports a clean recovery."""
    write_small(tmp_path)
    with open_small(tmp_path) as tape:
        assert (tape.epoch, tape.next_sequence) == (2, 51)
        assert (tape.recovery.torn, tape.recovery.segments) == ([], 0)
        tape.stream("a", SAMPLE).append(samples(50))
    records = TapeReader(tmp_path).read("a")
    assert records["epoch"][-2:].tolist() == [1, 2]
    assert records["sequence"][-1] == 51


def test_openings_are_logged(tmp_path):
    """Every opening leaves who, when and what recovery found."""
    clock = VirtualClock(77)
    TapeWriter.open(tmp_path, clock=clock, meta={"desk": "paper"}).close()
    TapeWriter.open(tmp_path, clock=clock).close()
    first, second = read_epochs(tmp_path)
    assert (first.epoch, second.epoch) == (1, 2)
    assert (first.meta, first.opened_ns) == ({"desk": "paper"}, 77)
    assert first.fingerprint.startswith("numba")


def test_a_second_writer_is_refused(tmp_path):
    """Two writers never share a tape; the message names the process that has it."""
    with open_small(tmp_path), pytest.raises(RecordBusy, match="is writing this tape"):
        open_small(tmp_path)


def test_closing_lets_the_next_writer_in(tmp_path):
    """A closed writer takes nothing more and does not stand in the way; closing twice is harmless."""
    tape = open_small(tmp_path)
    stream = tape.stream("a", SAMPLE)
    tape.close()
    tape.close()
    with pytest.raises(RecordUnwritable, match="closed"):
        stream.append(samples(0))
    with pytest.raises(RecordUnwritable, match="closed"):
        tape.sync()
    open_small(tmp_path).close()


def test_a_fenced_writer_stops_at_its_next_segment(tmp_path):
    """A writer whose lock file was taken away finds the newer epoch and stops."""
    old = open_small(tmp_path)
    stream = old.stream("a", SAMPLE)
    (tmp_path / "lock").unlink()
    with open_small(tmp_path), pytest.raises(RecordBusy, match="another writer"):
        stream.append(samples(0, 65))
    old.close()


def test_a_stream_keeps_its_type(tmp_path):
    """A stream that exists with another record type is refused, in the same and in a later opening."""
    with open_small(tmp_path) as tape:
        first = tape.stream("a", SAMPLE)
        assert tape.stream("a", SAMPLE) is first
        with pytest.raises(DataInvalid, match="holds records"):
            tape.stream("a", DECISION)
    with open_small(tmp_path) as tape, pytest.raises(DataInvalid, match="holds records"):
        tape.stream("a", event_dtype())


def test_a_declared_stream_can_be_read_while_empty(tmp_path):
    """A stream without records has its type already."""
    with open_small(tmp_path) as tape:
        tape.stream("orders", DECISION)
        assert TapeReader(tmp_path).read("orders").dtype == DECISION
        assert TapeReader(tmp_path).streams() == {"orders": DECISION}


def test_disk_durability_syncs_before_it_answers(tmp_path):
    """With durability "disk" every append ends with a sync of what is dirty, and the mark follows."""
    disk = FaultyDisk()
    with open_small(tmp_path, disk=disk, durability="disk") as tape:
        inputs, orders = tape.stream("inputs", SAMPLE, inline=False), tape.stream("orders", SAMPLE)
        before = disk.calls["fdatasync"]
        inputs.append(samples(0))
        assert disk.calls["fdatasync"] == before
        orders.append(samples(1))
        assert disk.calls["fdatasync"] == before + 2
        assert tape.mark.sequence == 2
        orders.append(samples(2))
        assert disk.calls["fdatasync"] == before + 3
        assert tape.mark.ends == {"inputs": (1, 1), "orders": (1, 2)}


def test_process_durability_does_not_sync(tmp_path):
    """With durability "process" an append never waits for the disk."""
    disk = FaultyDisk()
    with open_small(tmp_path, disk=disk) as tape:
        stream = tape.stream("a", SAMPLE)
        before = disk.calls["fdatasync"]
        stream.append(samples(0, 200))
        assert disk.calls["fdatasync"] == before
        assert tape.sync() == 200
        assert tape.mark.sequence == 200


def test_short_writes_are_completed(tmp_path):
    """A disk that takes 7 bytes at a time costs nothing but time."""
    with open_small(tmp_path, disk=FaultyDisk(write_max=7)) as tape:
        stream = tape.stream("a", SAMPLE)
        for first in range(0, 100, 10):
            stream.append(samples(first, 10))
    assert TapeReader(tmp_path).read("a")["value"].tolist() == list(range(100))


@pytest.mark.parametrize("done", [0, 1, 5])
def test_a_failed_write_leaves_nothing_and_stops_the_tape(tmp_path, done):
    """An input/output error in the middle of a batch: nothing acknowledged, nothing left behind, nothing more taken."""
    disk = FaultyDisk()
    tape = open_small(tmp_path, disk=disk)
    stream = tape.stream("a", SAMPLE)
    stream.append(samples(0, 3))
    disk.write_max = 100
    disk.fail("pwrite", errno.EIO, after=done)
    with pytest.raises(RecordUnwritable, match=r"Input/output error.*stop trading"):
        stream.append(samples(3, 20))
    disk.heal()
    with pytest.raises(RecordUnwritable, match="Input/output error"):
        stream.append(samples(3))
    tape.close()
    with open_small(tmp_path) as again:
        kept = TapeReader(tmp_path).read("a")["value"].tolist()
        assert kept[:3] == [0, 1, 2]
        assert kept == list(range(len(kept)))
        assert again.next_sequence == len(kept) + 1


def test_a_failed_sync_is_never_tried_again(tmp_path):
    """After one failed sync the tape refuses everything, though the disk says it is well again."""
    disk = FaultyDisk()
    tape = open_small(tmp_path, disk=disk, durability="disk")
    stream = tape.stream("a", SAMPLE)
    disk.fail("fdatasync")
    with pytest.raises(RecordUnwritable, match="synced"):
        stream.append(samples(0))
    disk.heal()
    syncs = disk.calls["fdatasync"]
    with pytest.raises(RecordUnwritable):
        stream.append(samples(1))
    with pytest.raises(RecordUnwritable):
        tape.sync()
    tape.close()
    assert disk.calls["fdatasync"] == syncs


def test_a_full_disk_frees_the_reserve_for_the_halt(tmp_path):
    """No space for a further segment: the append fails, and the halt still finds room in what the reserve held."""
    disk = FaultyDisk(space=(1 << 20) + 4 * 65536 + 8192)
    tape = open_small(tmp_path, disk=disk)
    stream = tape.stream("a", SAMPLE)
    stream.append(samples(0, 60))
    disk.space = 100
    with pytest.raises(RecordUnwritable, match="No space left"):
        stream.append(samples(60, 10))
    assert not (tmp_path / "reserve").exists()
    last = tape.next_sequence
    assert tape.append_last(stream, samples(999)) == last
    with pytest.raises(RecordUnwritable):
        stream.append(samples(0))
    tape.close()
    disk.space = None
    with open_small(tmp_path, disk=disk) as again:
        assert TapeReader(tmp_path).read("a")["value"].tolist() == [*range(64), 999]
        assert again.next_sequence == last + 1
        assert (tmp_path / "reserve").exists()


def test_last_words_may_fail_too(tmp_path):
    """Where even the halt cannot be written, the caller hears of it."""
    disk = FaultyDisk()
    tape = open_small(tmp_path, disk=disk)
    stream = tape.stream("a", SAMPLE)
    disk.fail("pwrite")
    disk.fail("preallocate", errno.ENOSPC)
    with pytest.raises(RecordUnwritable):
        stream.append(samples(0))
    with pytest.raises(RecordUnwritable, match="halt"):
        tape.append_last(stream, samples(0))
    tape.close()


def test_no_room_for_the_reserve_refuses_to_open(tmp_path):
    """A tape that could not record its own halt does not begin."""
    with pytest.raises(RecordUnwritable, match="opened"):
        open_small(tmp_path, disk=FaultyDisk(space=1000))
    open_small(tmp_path).close()


def test_the_writer_hears_of_the_syncers_failure(tmp_path):
    """A failed sync in the syncer stops the writer at its next check; an older failure does not."""
    with MarkFile(tmp_path / SYNCER, FaultyDisk()) as mark:
        mark.store(0, {}, 1, sync=False, failed=True)
        with open_small(tmp_path) as tape:
            tape.check()
            mark.store(0, {}, 2, sync=False, failed=True)
            with pytest.raises(RecordUnwritable, match="syncer"):
                tape.check()


def test_checkpoints_carry_the_sequence(tmp_path):
    """A checkpoint is of the state after the last record appended."""
    with open_small(tmp_path) as tape:
        tape.stream("a", SAMPLE).append(samples(0, 4))
        assert tape.checkpoint({"x": np.arange(3)}) == 4
    found = TapeReader(tmp_path).checkpoint()
    assert found is not None
    assert found[0] == 4
    assert found[1]["x"].tolist() == [0, 1, 2]
