"""Whatever stops a writer, and wherever: nothing acknowledged is lost, and nothing is read that was never written."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.disks import FaultyDisk
from tradeworthy.testing.tapes import SAMPLE, open_small, samples

STREAMS = ("a", "b", "c")
BATCHES = st.lists(st.tuples(st.sampled_from(STREAMS), st.integers(1, 90)), min_size=1, max_size=12)


def write(folder, batches, *, disk=None, sync_after=()):
    """Append batches whose values are their sequences and leave the tape open; return the last sequence synced."""
    tape = open_small(folder, disk=disk)
    streams = {name: tape.stream(name, SAMPLE) for name in STREAMS}
    synced = tape.next_sequence - 1
    for place, (name, count) in enumerate(batches):
        streams[name].append(samples(tape.next_sequence, count))
        if place in sync_after:
            synced = tape.sync()
    (folder / "lock").unlink()
    return tape, synced


def bury(tape):
    """Close a dead writer's files without another word to the disk."""
    tape._pen.failure = "dead"
    tape.close()


def values(folder):
    """Return all values of the tape in order of sequence, checking that each is its own sequence."""
    reader = TapeReader(folder)
    records = np.concatenate([reader.read(name) for name in reader.streams()])
    assert records["value"].tolist() == records["sequence"].tolist()
    assert (
        records["noise"].tobytes()
        == samples(0, 0)["noise"].tobytes()
        + np.concatenate(
            [samples(int(value))["noise"] for value in records["value"]] or [samples(0, 0)["noise"]]
        ).tobytes()
    )
    return sorted(records["value"].tolist())


def goes_on(folder, expected, disk=None):
    """Open the tape again, append to every stream, and check that all is as it should be."""
    with open_small(folder, disk=disk) as tape:
        assert tape.next_sequence == expected + 1
        for name in STREAMS:
            tape.stream(name, SAMPLE).append(samples(tape.next_sequence))
    assert values(folder) == list(range(1, expected + 4))
    assert verify(folder).problems == []


@settings(max_examples=20, deadline=None)
@given(batches=BATCHES, data=st.data())
def test_a_crash_at_any_byte_loses_nothing_acknowledged(batches, data):
    """The last write is cut at any byte: all batches before it are there, and of it a whole number of records."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tape, _ = write(folder, batches)
        before = tape.next_sequence - 1
        stream = tape.stream("a", SAMPLE)
        count = data.draw(st.integers(1, 30), label="records in the last write")
        if stream.room < count:
            stream.append(samples(before + 1, stream.room + 1))
            before = tape.next_sequence - 1
        at, _ = stream.end, stream.append(samples(before + 1, count))
        kept = data.draw(st.integers(0, count * 64), label="bytes that were written")
        path = folder / "streams" / "a" / f"{stream.end[0]:08d}.seg"
        start = 4096 + 64 * (at[1] if at is not None and at[0] == stream.end[0] else 0)
        raw = bytearray(path.read_bytes())
        raw[start + kept : start + count * 64] = bytes(count * 64 - kept)
        path.write_bytes(raw)
        goes_on(folder, before + _whole(bytes(raw[start : start + count * 64]), before, count))
        bury(tape)


def _whole(data: bytes, before: int, count: int) -> int:
    """Return how many records of a cut batch are whole: those whose bytes are all there, zeros at the end included."""
    whole = 0
    for place in range(count):
        record = np.frombuffer(data[place * 64 : (place + 1) * 64], SAMPLE)[0]
        expected = samples(before + 1 + place)[0]
        if record["noise"].tobytes() != expected["noise"].tobytes():
            break
        whole += 1
    return whole


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES, synced=st.sets(st.integers(0, 11)), seed=st.integers(0, 2**32 - 1))
def test_a_power_cut_loses_nothing_that_was_synced(batches, synced, seed):
    """Any mixture of old and new sectors: all that was synced is there, and the rest is a beginning without a gap."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), FaultyDisk()
        rng = np.random.default_rng(seed)
        with open_small(folder, disk=disk):
            pass
        tape, durable = write(folder, batches, disk=disk, sync_after=synced)
        written = tape.next_sequence - 1
        disk.cut_power(folder, rng)
        with open_small(folder, disk=disk) as again:
            last = again.next_sequence - 1
        assert durable <= last <= written
        assert values(folder) == list(range(1, last + 1))
        goes_on(folder, last, disk)
        bury(tape)


@settings(max_examples=15, deadline=None)
@given(batches=BATCHES, cuts=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_many_power_cuts_in_a_row(batches, cuts, seed):
    """Cut after cut, also during the recovery from the one before: what an opening kept is kept for ever."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), FaultyDisk()
        rng = np.random.default_rng(seed)
        kept = 0
        for _ in range(cuts):
            tape, kept = write(folder, batches, disk=disk)
            disk.cut_power(folder, rng)
            bury(tape)
        with open_small(folder, disk=disk) as again:
            assert again.next_sequence > kept


@settings(max_examples=20, deadline=None)
@given(values_=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200), data=st.data())
def test_batches_do_not_matter(values_, data):
    """One record at a time or all at once: the same records are read."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(values_)), max_size=8)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = samples(0, len(values_))
        records["value"] = values_
        with open_small(folder) as tape:
            stream = tape.stream("a", SAMPLE)
            for start, stop in zip([0, *cuts], [*cuts, len(values_)], strict=True):
                stream.append(records[start:stop])
        assert TapeReader(folder).read("a").tobytes() == records.tobytes()
        assert verify(folder).ok
        shutil.rmtree(folder / "streams")
