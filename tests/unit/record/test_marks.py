"""The durable mark."""

import struct

import pytest

from tradeworthy.core.errors import RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk
from tradeworthy.record.marks import SYNCER, WRITER, Mark, MarkFile, durable_mark, read_mark


def test_marks_survive(tmp_path):
    """The newest mark is read back, also by who opens the file again."""
    path = tmp_path / "mark"
    with MarkFile(path, Disk()) as file:
        for sequence in (5, 9, 12):
            file.store(sequence, {"a": (1, sequence)}, 100 + sequence, sync=True)
            assert read_mark(path) == file.mark
    with MarkFile(path, Disk()) as file:
        assert file.mark == Mark(sequence=12, ends={"a": (1, 12)}, ts_ns=112, turn=3)
        file.store(13, {}, 113, sync=False, failed=True)
    assert read_mark(path).failed


def test_a_torn_mark_leaves_the_one_before(tmp_path):
    """Whatever happens to the slot being written, the mark before it stands."""
    path = tmp_path / "mark"
    with MarkFile(path, Disk()) as file:
        file.store(5, {"a": (1, 5)}, 1, sync=True)
        file.store(9, {"a": (1, 9)}, 2, sync=True)
    whole = path.read_bytes()
    for place in range(70):
        torn = bytearray(whole)
        torn[place] ^= 0xFF
        path.write_bytes(torn)
        assert read_mark(path).sequence in {5, 9}


def test_no_mark_is_an_empty_mark(tmp_path):
    """A missing, empty or zeroed file is a mark at nothing."""
    path = tmp_path / "mark"
    assert read_mark(path) == Mark()
    path.write_bytes(b"")
    assert read_mark(path) == Mark()
    path.write_bytes(bytes(65536))
    assert read_mark(path) == Mark()


def test_the_tapes_mark_is_the_highest(tmp_path):
    """Writer and syncer keep marks of their own; the further one counts."""
    with MarkFile(tmp_path / WRITER, Disk()) as writer, MarkFile(tmp_path / SYNCER, Disk()) as syncer:
        writer.store(5, {}, 1, sync=True)
        syncer.store(8, {}, 1, sync=True)
        assert durable_mark(tmp_path).sequence == 8
        writer.store(11, {}, 1, sync=True)
        assert durable_mark(tmp_path).sequence == 11


def test_places_that_do_not_fit_are_left_out(tmp_path):
    """With thousands of streams the mark keeps the sequence and drops the places."""
    with MarkFile(tmp_path / "mark", Disk()) as file:
        file.store(5, {f"stream-{number}": (1, 1) for number in range(5000)}, 1, sync=True)
        assert (file.mark.sequence, file.mark.ends) == (5, {})
    assert read_mark(tmp_path / "mark").sequence == 5


def test_a_newer_mark_is_refused(tmp_path):
    """A mark of a higher format is refused by its number."""
    path = tmp_path / "mark"
    body = struct.pack("<8sIIQQqI", b"TRDWMARK", 2, 0, 1, 5, 1, 2)
    path.write_bytes((body + struct.pack("<I", crc32c(body + b"{}")) + b"{}").ljust(65536, b"\0"))
    with pytest.raises(RecordNewer, match="format 2"):
        read_mark(path)
