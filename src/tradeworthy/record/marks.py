"""The durable mark: up to which record everything is on the disk, and whether a sync ever failed.

Idea:   whoever syncs the tape keeps a mark of its own (`durable-writer`, `durable-syncer`); the tape's mark is the
        highest. Damage below the mark is corruption; damage above it may be a torn tail.
Shape:  two slots of 32 KiB, written in turn, so that a torn write leaves the one before. A slot is a short binary
        part and then JSON: the place reached in every stream.
Time:   `ts_ns` tells when the mark was last written: a heartbeat of the syncer.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from tradeworthy.core.errors import RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk

WRITER = "durable-writer"
SYNCER = "durable-syncer"

_FORMAT = 1
_MAGIC = b"TRDWMARK"
_BODY = struct.Struct("<8sIIQQqI")  # magic, format, failed, turn, sequence, ts_ns, bytes of JSON; then a checksum
_SLOT_BYTES = 32768

End = tuple[int, int]
"""A segment's index and how many of its records are meant."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A durable mark.

    Attributes
    ----------
    sequence : int
        Every record up to this one is on the disk.
    ends : dict of str to (int, int)
        By stream: the segment reached, and how many of its records are on the disk.
    ts_ns : int
        When it was written, UTC nanoseconds.
    failed : bool
        A sync failed: the tape must not be written any more.
    turn : int
        Counts the marks written.
    """

    sequence: int = 0
    ends: dict[str, End] = {}
    ts_ns: int = 0
    failed: bool = False
    turn: int = 0


def _decode(raw: bytes, where: Path) -> Mark | None:
    start = _BODY.size + 4
    if len(raw) < start:
        return None
    magic, number, failed, turn, sequence, ts_ns, length = _BODY.unpack_from(raw)
    text = raw[start : start + length]
    if magic != _MAGIC or crc32c(raw[: _BODY.size] + text) != int.from_bytes(raw[_BODY.size : start], "little"):
        return None
    if number > _FORMAT:
        raise RecordNewer(f"{where}: durable mark of format {number}, this release reads up to {_FORMAT}. Upgrade")
    ends = msgspec.json.decode(text, type=dict[str, End])
    return Mark(sequence=sequence, ends=ends, ts_ns=ts_ns, failed=bool(failed), turn=turn)


def read_mark(path: Path) -> Mark:
    """Return the newest whole mark in the file, or an empty one where there is none."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Mark()
    slots = (_decode(raw[:_SLOT_BYTES], path), _decode(raw[_SLOT_BYTES:], path))
    return max((slot for slot in slots if slot is not None), key=lambda mark: mark.turn, default=Mark())


def durable_mark(folder: Path) -> Mark:
    """Return the tape's durable mark: the highest of those in its folder."""
    return max((read_mark(folder / name) for name in (WRITER, SYNCER)), key=lambda mark: mark.sequence)


class MarkFile:
    """One process's durable mark, open for writing.

    Parameters
    ----------
    path : Path
        The mark's file; created if missing, continued otherwise.
    disk : Disk
        Where to write.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        if not path.exists():
            disk.preallocate(path, 2 * _SLOT_BYTES)
            disk.sync_folder(path.parent)
        self._mark = read_mark(path)
        self._fd = disk.open(path, write=True)

    @property
    def mark(self) -> Mark:
        """The mark last written."""
        return self._mark

    def store(self, sequence: int, ends: Mapping[str, End], ts_ns: int, *, sync: bool, failed: bool = False) -> None:
        """Write a mark; with `sync`, return only when it is on the disk itself.

        The places of streams are left out where they do not fit a slot.
        """
        turn = self._mark.turn + 1
        text = msgspec.json.encode(ends)
        if len(text) > _SLOT_BYTES - _BODY.size - 4:
            ends, text = {}, b"{}"
        body = _BODY.pack(_MAGIC, _FORMAT, failed, turn, sequence, ts_ns, len(text))
        slot = body + struct.pack("<I", crc32c(body + text)) + text
        self._disk.write_all(self._fd, slot, turn % 2 * _SLOT_BYTES)
        if sync:
            self._disk.fdatasync(self._fd)
        self._mark = Mark(sequence=sequence, ends=dict(ends), ts_ns=ts_ns, failed=failed, turn=turn)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
