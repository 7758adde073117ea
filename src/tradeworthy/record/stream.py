"""One stream of the tape, as its writer sees it: a segment that is being filled, and the next one ready.

Idea:   `append` is the hot path: a kernel writes the frames, one `pwrite` into bytes that were zeroed before. All the
        rest (a new segment, a seal, a sync) happens seldom and elsewhere.
State:  `Pen` is what all streams of one writer share: the next sequence, the epoch, and why writing has stopped.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, RecordUnwritable
from tradeworthy.core.kernel import entry
from tradeworthy.core.time import Clock
from tradeworthy.record.checksum import frame_records
from tradeworthy.record.disk import Bytes, Disk
from tradeworthy.record.marks import End
from tradeworthy.record.segment import (
    FIRST_BYTES,
    NEXT,
    SEAL_BYTES,
    Description,
    Header,
    Seal,
    capacity_of,
    encode_header,
    encode_seal,
    next_bytes,
    segment_name,
    segment_paths,
)

RESERVE = "reserve"
_WORD = np.dtype(np.uint64)


@dataclass(slots=True)
class Pen:
    """What the streams of one writer share.

    Attributes
    ----------
    folder : Path
        The tape's folder.
    clock, disk : Clock, Disk
        Time and files.
    epoch, boot : int, bytes
        This opening of the tape, this start of the machine.
    segment_bytes : int
        The size to which segments grow.
    next_sequence : int
        What the next record gets.
    segment_ns : int, optional
        How old a segment may grow; as old as it takes to fill, if left out.
    failure : str or None
        Why nothing may be written any more.
    """

    folder: Path
    clock: Clock
    disk: Disk
    epoch: int
    boot: bytes
    segment_bytes: int
    next_sequence: int
    segment_ns: int | None = None
    failure: str | None = None

    def fail(self, what: str, error: OSError) -> RecordUnwritable:
        """Stop writing for good, free the reserve, and return the error to raise."""
        if self.failure is None:
            self.failure = f"{self.folder}: {what}: {error}. Nothing more is written; stop trading, then free space"
            self.disk.unlink(self.folder / RESERVE)
        return RecordUnwritable(self.failure)


class Stream:
    """One stream of records, made by `TapeWriter.stream`.

    Parameters
    ----------
    folder : Path
        The stream's folder.
    pen : Pen
        What it shares with the writer's other streams.
    description : Description
        Goes into every segment's header.
    dtype : np.dtype
        The record type.
    before_rotation : callable
        Called before a new segment is begun; raises to stop it.
    commit : callable, optional
        Called after every append, to make it durable.

    Attributes
    ----------
    framing : (2,) uint64
        What `frame_records` needs of this stream: the epoch and the checksum of the segment's header.
    """

    __slots__ = (
        "_before_rotation",
        "_begun_ns",
        "_commit",
        "_description",
        "_disk",
        "_dtype",
        "_end",
        "_fd",
        "_folder",
        "_frame",
        "_header",
        "_itemsize",
        "_last",
        "_offset",
        "_pen",
        "_pwrite",
        "_size",
        "_synced",
        "_unsynced",
        "_width",
        "framing",
        "name",
    )

    def __init__(
        self,
        folder: Path,
        pen: Pen,
        description: Description,
        dtype: np.dtype[Any],
        *,
        before_rotation: Callable[[], None],
        commit: Callable[[], None] | None,
    ) -> None:
        self.name = description.stream
        self._pen = pen
        self._disk = pen.disk
        self._pwrite: Callable[[int, Any, int], int] = pen.disk.pwrite
        self._description = description
        self._folder = folder
        self._before_rotation = before_rotation
        self._dtype = dtype
        self._itemsize = dtype.itemsize
        self._width = dtype.itemsize // 8
        self._commit = commit
        self.framing = np.array([pen.epoch, 0], np.uint64)
        self._frame = entry(frame_records, np.empty(0, _WORD), 1, 1, self.framing)
        self._header: Header | None = None
        self._unsynced: list[Path] = []
        self._fd = -1
        self._offset = self._end = self._synced = self._size = self._last = self._begun_ns = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The record type."""
        return self._dtype

    def append(self, records: npt.NDArray[Any]) -> int:
        """Append records and return the sequence of the first; the others follow without a gap.

        The frame (sequence, checksum, epoch) is written into `records` themselves where they are contiguous and
        writable. When this returns, the records survive the death of the process; see the module for `disk`.

        Parameters
        ----------
        records : (n,) array
            Records of the stream's type.

        Raises
        ------
        RecordUnwritable
            The disk refused. None of the records counts as written; trading must stop.
        DataInvalid
            The records are of another type.
        """
        pen = self._pen
        if records.dtype is not self._dtype or pen.failure is not None or records.ndim != 1:
            self._check(records)
        if not records.flags.carray:
            records = records.copy()
        count, first = records.size, pen.next_sequence
        if not 0 < count * self._itemsize <= self._end - self._offset:
            return self._append_across(records)
        words = np.frombuffer(records, _WORD)  # a third of the cost of a view
        self._frame(words, self._width, first, self.framing)
        self.write(words, count)
        return first

    def fits(self, count: int) -> bool:
        """Tell whether so many records go into the segment being written, and writing has not stopped."""
        return count * self._itemsize <= self._end - self._offset and self._pen.failure is None

    def write(self, framed: Bytes, count: int) -> None:
        """Write records that were framed for this stream and the next sequences, and that fit; as `append` does.

        Parameters
        ----------
        framed : contiguous array or memory view
            The records.
        count : int
            How many.

        Raises
        ------
        RecordUnwritable
            As `append`.
        """
        pen = self._pen
        self._write(framed, count * self._itemsize)
        pen.next_sequence += count
        self._last = pen.next_sequence - 1
        if self._commit is not None:
            self._commit()

    def _check(self, records: npt.NDArray[Any]) -> None:
        if self._pen.failure is not None:
            raise RecordUnwritable(self._pen.failure)
        if records.dtype != self._dtype or records.ndim != 1:
            raise DataInvalid(f"stream {self.name!r} takes (n,) arrays of {self._dtype}; found {records.dtype}")

    def _write(self, framed: Bytes, nbytes: int) -> None:
        """Write at the end of the segment: all of it, or nothing and the tape has failed."""
        try:
            written = self._pwrite(self._fd, framed, self._offset)
            if written != nbytes:
                self._disk.write_all(self._fd, memoryview(framed).cast("B")[written:], self._offset + written)
        except OSError as error:
            self._undo(nbytes)
            raise self._pen.fail(f"stream {self.name!r}: cannot be written", error) from error
        self._offset += nbytes

    def _undo(self, nbytes: int) -> None:
        """Wipe what a failed write may have left; recovery does it where this fails too."""
        try:
            self._disk.write_all(self._fd, bytes(nbytes), self._offset)
        except OSError:
            self._end = self._offset  # nothing may follow in this segment

    def _append_across(self, records: npt.NDArray[Any]) -> int:
        """Append records that do not fit the rest of the segment, or none."""
        pen, first, done = self._pen, self._pen.next_sequence, 0
        while done < records.size:
            room = (self._end - self._offset) // self._itemsize
            if room <= 0:
                self._rotate()
                continue
            part = records[done : done + room]
            self._frame(part.view(_WORD), self._width, first + done, self.framing)
            self._write(part.view(_WORD), part.nbytes)
            done += part.size
            self._last = first + done - 1
            pen.next_sequence = first + done
        if self._commit is not None:
            self._commit()
        return first

    def _rotate(self) -> None:
        """Seal the segment and go on in the next one."""
        self._before_rotation()
        try:
            self.seal()
            self._enter(self.prepare())
        except OSError as error:
            raise self._pen.fail(f"stream {self.name!r}: no further segment", error) from error

    def prepare(self, capacity: int | None = None) -> tuple[Path, int]:
        """Make sure that the next segment's file is there, zeroed; return its path and capacity in records."""
        if capacity is None:
            size = next_bytes(self._size, self._pen.segment_bytes)
            capacity = capacity_of(size, self._itemsize)
        draft = Header(
            epoch=0, index=0, first_sequence=0, capacity=capacity, created_ns=0, boot=bytes(16),
            description=self._description,
        )  # fmt: skip
        size = encode_header(draft)[1].size
        path = self._folder / NEXT
        if not path.exists() or path.stat().st_size != size:
            self._disk.preallocate(path, size)
        return path, capacity

    def _enter(self, prepared: tuple[Path, int]) -> None:
        """Turn a prepared file into the stream's newest segment."""
        path, capacity = prepared
        existing = segment_paths(self._folder)
        raw, header = encode_header(
            Header(
                epoch=self._pen.epoch,
                index=int(existing[-1].stem) + 1 if existing else 1,
                first_sequence=self._pen.next_sequence,
                capacity=capacity,
                created_ns=self._pen.clock.now_ns(),
                boot=self._pen.boot,
                description=self._description,
            )
        )
        fd = self._disk.open(path, write=True)
        try:
            self._disk.write_all(fd, raw, 0)
            path.rename(self._folder / segment_name(header.index))
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._header, self.framing[1] = fd, header, header.checksum
        self._offset = self._synced = header.header_bytes
        self._end = header.size
        self._size = header.size
        self._begun_ns = self._pen.clock.monotonic_ns()
        self._unsynced.append(self._folder)

    @property
    def room(self) -> int:
        """Records that still fit the segment being written."""
        return (self._end - self._offset) // self._itemsize

    def append_last(self, records: npt.NDArray[Any]) -> int:
        """Append although writing has stopped, without a sync, in a small segment of its own if there is no room.

        Raises
        ------
        RecordUnwritable
            This cannot be written either.
        """
        pen, commit = self._pen, self._commit
        failure, pen.failure, self._commit = pen.failure, None, None
        try:
            if self._header is None or self.room < records.size:
                with suppress(OSError):
                    self.seal()
                self.release()
                self._enter(self.prepare(records.size))
            return self.append(records)
        except OSError as error:
            raise RecordUnwritable(f"{self.name}: nor can the halt be recorded: {error}") from error
        finally:
            pen.failure, self._commit = failure or pen.failure, commit

    def seal(self) -> None:
        """Write how many records the segment holds, and let go of it."""
        if self._header is None:
            return
        header = self._header
        records = (self._offset - header.header_bytes) // self._itemsize
        last = self._last if records else header.first_sequence - 1
        seal = Seal(records=records, last_sequence=last, sealed_ns=self._pen.clock.now_ns())
        self._disk.write_all(self._fd, encode_seal(seal, header), header.header_bytes - SEAL_BYTES)
        self._unsynced.append(self._folder / segment_name(header.index))
        self.release()
        self._end = self._offset = self._synced = 0

    def seal_old(self) -> None:
        """Seal the segment if it is old enough; the next append begins another one, no larger than was of use."""
        limit = self._pen.segment_ns
        if limit is None or self._header is None or self._pen.clock.monotonic_ns() - self._begun_ns < limit:
            return
        used = self._offset - self._header.header_bytes
        try:
            self.seal()
        except OSError as error:
            raise self._pen.fail(f"stream {self.name!r}: cannot be sealed", error) from error
        self._size = used // 2 if used > FIRST_BYTES // 2 else 0

    def release(self) -> None:
        """Close the segment's file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._header = -1, None

    def sync(self) -> None:
        """Return when everything appended is on the disk."""
        for path in dict.fromkeys(self._unsynced):
            if path.is_dir():
                self._disk.sync_folder(path)
            else:
                self._disk.sync_file(path)
        self._unsynced.clear()
        if self._offset != self._synced:
            self._disk.fdatasync(self._fd)
            self._synced = self._offset

    @property
    def end(self) -> End | None:
        """The segment being written and how many records it holds; None where there is none."""
        if self._header is None:
            return None
        return self._header.index, (self._offset - self._header.header_bytes) // self._itemsize
