"""The lock and the log of openings."""

import os

import pytest

from tradeworthy.core.errors import RecordBusy, RecordCorrupt, RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk
from tradeworthy.record.epochs import (
    EPOCHS,
    Epoch,
    Recovery,
    add_epoch,
    read_epochs,
    take_lock,
    whole_size,
    writer_alive,
)


def opening(number: int, **changes: object) -> Epoch:
    fields = {"epoch": number, "opened_ns": 5, "boot": "00", "process": 1, "fingerprint": "f", "meta": {}}
    return Epoch(**(fields | {"recovery": Recovery()} | changes))  # type: ignore[arg-type]


def test_openings_survive(tmp_path):
    """Openings are read back in order."""
    written = [opening(1, meta={"desk": "ü\n\t"}), opening(2, recovery=Recovery(last_sequence=9))]
    for entry in written:
        add_epoch(tmp_path, entry, Disk())
    assert read_epochs(tmp_path) == written


def test_no_log_is_no_opening(tmp_path):
    """A new folder has no openings."""
    assert read_epochs(tmp_path) == []
    assert whole_size(tmp_path) == 0


def test_a_torn_line_was_never_in_force(tmp_path):
    """A line without its end is ignored, and overwritten by the next opening."""
    add_epoch(tmp_path, opening(1), Disk())
    with (tmp_path / EPOCHS).open("ab") as file:
        file.write(b'{"epoch":2,"ope')
    assert len(read_epochs(tmp_path)) == 1
    add_epoch(tmp_path, opening(2), Disk())
    assert [entry.epoch for entry in read_epochs(tmp_path)] == [1, 2]


def test_a_changed_or_missing_line_is_damage(tmp_path):
    """A changed byte, or a line taken out, is noticed."""
    for number in (1, 2, 3):
        add_epoch(tmp_path, opening(number), Disk())
    path = tmp_path / EPOCHS
    whole = path.read_bytes()
    for changed in (whole.replace(b'"opened_ns":5', b'"opened_ns":6', 1), whole[whole.index(b"\n") + 1 :]):
        path.write_bytes(changed)
        with pytest.raises(RecordCorrupt, match="damaged or missing"):
            read_epochs(tmp_path)


def test_a_newer_line_is_refused(tmp_path):
    """A line of a higher format is refused by its number."""
    text = b'{"format":7}'
    (tmp_path / EPOCHS).write_bytes(text + f"\t{crc32c(text):08x}\n".encode())
    with pytest.raises(RecordNewer, match="format 7"):
        read_epochs(tmp_path)


def test_one_writer_holds_the_lock(tmp_path):
    """The lock is taken once, shown to others, and free after it was let go."""
    assert not writer_alive(tmp_path)
    fd = take_lock(tmp_path)
    assert writer_alive(tmp_path)
    with pytest.raises(RecordBusy, match="process"):
        take_lock(tmp_path)
    os.close(fd)
    assert not writer_alive(tmp_path)
    os.close(take_lock(tmp_path))
