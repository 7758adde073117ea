"""Who may write the tape: one lock, and a log of every opening.

Idea:   a writer holds an exclusive lock on `lock` while it lives, and begins a new epoch by adding a line to
        `epochs.log`. Records and segments carry the epoch, so nothing that an older writer still has in hand can pass
        for the record of a newer one.
State:  `epochs.log` is one JSON object a line, each followed by its CRC-32C; a torn last line was never in force.
"""

import fcntl
import os
import threading
from pathlib import Path

import msgspec

from tradeworthy.core.errors import RecordBusy, RecordCorrupt, RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk

EPOCHS = "epochs.log"
LOCK = "lock"
_FORMAT = 1
_TRIES = 5
_TRY_S = 0.002


class Torn(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery took off the end of a segment: never acknowledged as durable, and not whole."""

    stream: str
    segment: str
    first_record: int
    bytes: int


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What the opening of a tape found.

    Attributes
    ----------
    last_sequence : int
        The last record kept.
    durable_sequence : int
        The durable mark as it was found.
    segments : int
        Segments that had not been sealed.
    torn : list of Torn
        What was truncated; empty after a clean stop and after kill -9 between two writes.
    quarantined : list of str
        Files without a usable record, moved to the folder `torn`.
    checkpoints_dropped : int
        Checkpoints of records that are no longer there.
    ends : dict of str to (int, int)
        By stream with segments that were not sealed: the last of them, and how many records it holds.
    took_ns : int
        Time that recovery took, nanoseconds.
    """

    last_sequence: int = 0
    durable_sequence: int = 0
    segments: int = 0
    torn: list[Torn] = []
    quarantined: list[str] = []
    checkpoints_dropped: int = 0
    ends: dict[str, tuple[int, int]] = {}
    took_ns: int = 0


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One opening of the tape for writing."""

    epoch: int
    opened_ns: int
    boot: str
    process: int
    fingerprint: str
    meta: dict[str, str]
    recovery: Recovery
    format: int = _FORMAT


def take_lock(folder: Path) -> int:
    """Lock the tape for writing and return the lock's descriptor; closing it lets go.

    Raises
    ------
    RecordBusy
        Another writer holds the lock.
    """
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            threading.Event().wait(_TRY_S)  # `writer_alive` of another process may hold it for an instant
            continue
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd
    holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
    os.close(fd)
    raise RecordBusy(f"{folder}: process {holder} is writing this tape; one writer is allowed. Stop it")


def writer_alive(folder: Path) -> bool:
    """Tell whether a writer holds the lock."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _decode(line: bytes, where: Path) -> Epoch | None:
    text, _, checksum = line.rpartition(b"\t")
    if checksum != f"{crc32c(text):08x}".encode():
        return None
    number = msgspec.json.decode(text).get("format", 0)
    if number > _FORMAT:
        raise RecordNewer(f"{where}: a line of format {number}, this release reads up to {_FORMAT}. Upgrade")
    return msgspec.json.decode(text, type=Epoch)


def read_epochs(folder: Path) -> list[Epoch]:
    """Return every opening, oldest first.

    Raises
    ------
    RecordCorrupt
        A line before the last is damaged, or numbers do not count up from 1.
    """
    path = folder / EPOCHS
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    epochs = [_decode(line, path) for line in lines[:-1]]
    whole = [epoch for epoch in epochs if epoch is not None]
    if len(whole) < len(epochs) or [epoch.epoch for epoch in whole] != list(range(1, len(whole) + 1)):
        raise RecordCorrupt(f"{path}: a line is damaged or missing; restore the file from a copy")
    return whole


def whole_size(folder: Path) -> int:
    """Return the bytes of the log up to its last finished line."""
    path = folder / EPOCHS
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def openings_size(folder: Path) -> int:
    """Return the bytes of the log: another number is another opening."""
    path = folder / EPOCHS
    return path.stat().st_size if path.exists() else 0


def add_epoch(folder: Path, epoch: Epoch, disk: Disk) -> None:
    """Add a line and return when it is on the disk; a torn line of an opening that never happened is overwritten."""
    text = msgspec.json.encode(epoch)
    path = folder / EPOCHS
    at = whole_size(folder)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.ftruncate(fd, at)
        disk.write_all(fd, text + f"\t{crc32c(text):08x}\n".encode(), at)
        disk.fdatasync(fd)
    finally:
        os.close(fd)
    disk.sync_folder(folder)
