"""FAULTS 2, 3, 19, 22: torn and damaged tapes, tapes of other releases."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small

HEADER, WIDTH = 4096, 64
FORMAT_1 = Path(__file__).with_name("tape_format_1")


@pytest.fixture
def torn(tmp_path):
    """A tape whose writer was killed: 10 acknowledged records and a last batch of 2 under way."""
    tape = open_small(tmp_path)
    stream = tape.stream("a", SAMPLE)
    stream.append(samples(1, 10))
    stream.append(samples(11, 2))
    (tmp_path / "lock").unlink()
    return tmp_path


def segment(folder, stream="a"):
    return folder / "streams" / stream / "00000001.seg"


def recovered(folder):
    """Open and close the tape as the next writer does; return what is left and what was cut off."""
    with open_small(folder) as tape:
        report = tape.recovery
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    values = TapeReader(folder).read("a")["value"].tolist()
    assert verify(folder).problems == []
    return values, report


def test_the_last_batch_cut_at_every_byte(torn):
    """Cut anywhere, acknowledged records are intact, the rest is a number of whole records, the tail is reported."""
    whole = segment(torn).read_bytes()
    start, stop = HEADER + 10 * WIDTH, HEADER + 12 * WIDTH
    log, mark = (torn / "epochs.log").read_bytes(), (torn / "durable-writer").read_bytes()
    for cut in range(start, stop + 1):
        segment(torn).write_bytes(whole[:cut] + bytes(len(whole) - cut))
        (torn / "epochs.log").write_bytes(log)
        (torn / "durable-writer").write_bytes(mark)
        values, report = recovered(torn)
        complete = 10 + (cut - start) // WIDTH
        assert values == list(range(1, complete + 1)), f"cut at byte {cut}"
        assert [entry.first_record for entry in report.torn] == ([complete] if (cut - start) % WIDTH else [])


@pytest.mark.parametrize("seed", range(12))
def test_garbage_in_the_last_batch(torn, seed):
    """Zeroed or random sectors at the end of the last batch never become records."""
    rng = np.random.default_rng(seed)
    whole = bytearray(segment(torn).read_bytes())
    start = HEADER + int(rng.integers(10, 12)) * WIDTH + int(rng.integers(0, WIDTH))
    length = max(int(rng.integers(1, 512)), HEADER + 12 * WIDTH - start)
    whole[start : start + length] = bytes(length) if seed % 3 == 0 else rng.bytes(length)
    segment(torn).write_bytes(whole)
    values, _ = recovered(torn)
    assert values == list(range(1, 1 + (start - HEADER) // WIDTH)), f"seed {seed}"


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A closed tape of two streams."""
    folder = tmp_path_factory.mktemp("closed")
    write_small(folder, (20, 5, 30, 9))
    return folder


@pytest.mark.parametrize("seed", range(8))
def test_one_flipped_bit_anywhere_is_named(closed, tmp_path, seed):
    """A flipped bit in any place of any segment is found by verification; in a record, both name that record."""
    folder = shutil.copytree(closed, tmp_path / "tape")
    rng = np.random.default_rng(seed)
    for _ in range(25):
        stream = ["a", "b"][int(rng.integers(2))]
        count = {"a": 50, "b": 14}[stream]
        path = segment(folder, stream)
        whole = path.read_bytes()
        byte, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
        report = verify(folder)
        assert not report.ok, f"seed {seed}, byte {byte}"
        assert report.problems[0].stream == stream
        record = (byte - HEADER) // WIDTH
        if 0 <= record < count:
            assert report.problems[0].record == record, f"seed {seed}, byte {byte}"
        if record < count:
            words = f"record {record} " if record >= 0 else "header|start|seal"
            with pytest.raises(RecordCorrupt, match=words):
                TapeReader(folder).read(stream)
        path.write_bytes(whole)
    assert verify(folder).ok


def test_damage_is_never_truncated_by_the_next_writer(closed, tmp_path):
    """A writer that opens a damaged tape leaves the damaged bytes where they are, to be found."""
    folder = shutil.copytree(closed, tmp_path / "tape")
    raw = bytearray(segment(folder).read_bytes())
    raw[HEADER + 7 * WIDTH + 33] ^= 2
    segment(folder).write_bytes(raw)
    open_small(folder).close()
    assert segment(folder).read_bytes() == raw
    assert verify(folder).problems[0].record == 7


def test_a_tape_of_format_1_reads_for_ever(tmp_path):
    """The tape stored with the first release gives the same records, passes verification, and can be gone on with."""
    folder = shutil.copytree(FORMAT_1, tmp_path / "tape")
    reader = TapeReader(folder)
    assert reader.streams() == {"a": SAMPLE, "b": SAMPLE}
    for name, sequences in (("a", [1, 2, 3, *range(9, 49)]), ("b", [*range(4, 9), 49, 50])):
        records = reader.read(name)
        assert records["sequence"].tolist() == records["value"].tolist() == sequences
        assert records["noise"].tobytes() == b"".join(samples(value)["noise"].tobytes() for value in sequences)
    sequence, state = reader.checkpoint()
    assert (sequence, state["x"].tolist()) == (50, [1.5, 2.5])
    report = verify(folder)
    assert (report.ok, report.records, report.blocks, report.chained_sequence) == (True, 50, 1, 50)
    with open_small(folder) as tape:
        assert tape.next_sequence == 51
        tape.stream("a", SAMPLE).append(samples(51))
    assert TapeReader(folder).last_sequence() == 51


def test_a_tape_of_a_newer_format_is_refused(closed, tmp_path):
    """Readers and writers refuse it by its number and change nothing; verification says so too."""
    folder = shutil.copytree(closed, tmp_path / "tape")
    raw = bytearray(segment(folder).read_bytes())
    struct.pack_into("<H", raw, 8, 2)
    struct.pack_into("<I", raw, 12, crc32c(bytes(raw[:12])))
    segment(folder).write_bytes(raw)
    (folder / "durable-writer").unlink()
    with pytest.raises(RecordNewer, match="tape format 2, this release reads up to 1"):
        TapeReader(folder).read("a")
    with pytest.raises(RecordNewer, match="tape format 2"):
        open_small(folder)
    assert any("tape format 2" in str(problem) for problem in verify(folder).problems)
    assert segment(folder).read_bytes() == raw
