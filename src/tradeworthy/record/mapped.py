"""A segment mapped into memory for reading: records without a copy or a parse, each checked before it is shown.

Idea:   a place is shown once its record is whole: sequence above the one before, the segment's epoch, checksum right.
        How far that was checked is remembered, so a record is checked once a reader.
Safety: files never shrink, so a mapping stays valid; a record being written fails its checksum and is simply not
        there yet. A record that fails although a later one is whole (writes are in order) is damage.
"""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import RecordCorrupt
from tradeworthy.record.checksum import Words, first_used_word, next_whole_record, whole_records
from tradeworthy.record.segment import (
    SEAL_BYTES,
    Header,
    Seal,
    decode_header,
    decode_seal,
    header_size,
    record_type,
)

_HORIZON = 1024  # words: 8 KiB, the sectors around a torn one

Records = npt.NDArray[Any]
"""A one-dimensional array of records."""


class MappedSegment:
    """A read-only view of one segment.

    Parameters
    ----------
    path : Path
        The segment's file.
    content : bytes, optional
        The file's content, where it was rebuilt from the archive.

    Raises
    ------
    FileNotFoundError
        There is no such file (any more).
    RecordCorrupt
        The header is damaged, or the file is cut off.
    RecordNewer
        A newer release wrote it.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        self.is_rebuilt = content is not None
        self.where = f"stream {path.parent.name!r}, segment {path.name}"
        self._bytes = _map(path, self.where) if content is None else content
        self.header: Header = decode_header(self._bytes[: header_size(self._bytes[:16], self.where)], self.where)
        if len(self._bytes) != self.header.size:
            found, wanted = len(self._bytes), self.header.size
            raise RecordCorrupt(f"{self.where}: the file has {found} bytes, its header says {wanted}. Restore a copy")
        self.dtype = record_type(self.header.description)
        self.width = self.dtype.itemsize // 8
        whole = np.frombuffer(self._bytes, np.uint8)
        self.words: Words = whole[self.header.header_bytes :].view(np.uint64)
        self.records: Records = whole[self.header.header_bytes :].view(self.dtype)
        self.checked = 0
        """Records from the first that are known to be whole."""

    @property
    def seal(self) -> Seal | None:
        """The seal, read again from the file; None while the segment is being written."""
        end = self.header.header_bytes
        return decode_seal(bytes(self._bytes[end - SEAL_BYTES : end]), self.header, self.where)

    @property
    def content(self) -> memoryview:
        """The whole file's bytes, without a copy."""
        return memoryview(self._bytes)

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record checked; that before the segment where there is none."""
        return int(self.words[(self.checked - 1) * self.width]) if self.checked else self.header.first_sequence - 1

    def scan(self, stop: int) -> int:
        """Check on up to place `stop` and return how many records from the first are whole."""
        header = self.header
        numbers = (header.epoch, header.checksum, self.last_sequence)
        self.checked = int(whole_records(self.words, self.width, self.checked, stop, *numbers))
        return self.checked

    def whole_after(self, place: int) -> int:
        """Return the first place after `place` with a whole record, or the capacity."""
        header = self.header
        return int(next_whole_record(self.words, self.width, place + 1, header.capacity, header.epoch, header.checksum))

    def used_after(self, place: int, horizon: int | None = None) -> bool:
        """Tell whether any byte from record `place` on is not zero, looking at no more than `horizon` words."""
        start = place * self.width
        stop = self.words.size if horizon is None else min(self.words.size, start + horizon)
        return bool(first_used_word(self.words, start, stop) < stop)

    def check(self, durable: int = 0, *, deep: bool = False) -> int:
        """Check all that is new and return how many records there are to read.

        Parameters
        ----------
        durable : int
            The tape's durable mark.
        deep : bool
            Look for records beyond a gap in the whole segment rather than in the next few kilobytes.

        Raises
        ------
        RecordCorrupt
            A record is damaged that was whole before: the segment is sealed, a later record is whole, or its sequence
            is at or below the durable mark.
        """
        seal = self.seal
        if seal is not None:
            if self.checked < seal.records and self.scan(seal.records) < seal.records:
                raise self.damage(self.checked)
            return min(self.checked, seal.records)
        capacity = self.header.capacity
        if self.scan(capacity) < capacity and self._damaged(durable, None if deep else _HORIZON) and self.seal is None:
            raise self.damage(self.checked)
        return self.checked

    def _damaged(self, durable: int, horizon: int | None) -> bool:
        """Tell whether the first place that is not whole is damage rather than a write under way."""
        place = self.checked
        word = int(self.words[place * self.width])
        if not word and not self.used_after(place, horizon):
            return False
        later = self.whole_after(place) < self.header.capacity
        return (later or self.last_sequence < word <= durable) and self.scan(place + 1) == place

    def damage(self, place: int) -> RecordCorrupt:
        """Return the error that names the record at `place`."""
        sequence = int(self.words[place * self.width])
        byte = self.header.header_bytes + place * self.dtype.itemsize
        return RecordCorrupt(
            f"{self.where}, record {place} (sequence reads {sequence}, byte {byte}): its checksum, epoch or order is "
            "wrong. Nothing was changed; run `tradeworthy verify`, then restore the segment from a copy"
        )

    def place_after(self, sequence: int) -> int:
        """Return the first checked place whose sequence is above `sequence`."""
        low, high = 0, self.checked
        while low < high:
            middle = (low + high) // 2
            if int(self.words[middle * self.width]) > sequence:
                high = middle
            else:
                low = middle + 1
        return low


def _map(path: Path, where: str) -> mmap.mmap:
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise RecordCorrupt(f"{where}: the file is empty. Restore a copy") from None
