"""The tape: every input and output of the engine, in the order it happened, appended in microseconds.

Idea:     several streams of fixed-width records, one sequence that orders them all, one writer. A record is composed by
          a kernel and appended with one `pwrite` into a file that was zeroed ahead, so that an append allocates
          nothing, and every reader sees whole records without a lock.
Promise:  `durability="process"`: a record whose `append` returned survives any death of the process.
          `durability="disk"`: it also survives a power loss (streams opened with ``inline=False`` are synced together
          with the next record of a stream that is inline).
Failure:  a full disk, a failed write or a failed sync stops the tape for good (RecordUnwritable): nothing is retried,
          nothing unacknowledged is left behind, and a reserve is freed so that `append_last` can record the halt.
Format:   docs/record.md.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, RecordBusy, RecordUnwritable
from tradeworthy.core.kernel import fingerprint
from tradeworthy.core.time import Clock
from tradeworthy.record.checkpoint import write_checkpoint
from tradeworthy.record.checksum import frame_records
from tradeworthy.record.disk import Disk, write_whole
from tradeworthy.record.epochs import Epoch, Recovery, add_epoch, read_epochs, take_lock, whole_size
from tradeworthy.record.marks import SYNCER, WRITER, End, Mark, MarkFile, durable_mark, read_mark
from tradeworthy.record.reader import DECLARATION, STREAMS, Cursor, TapeReader
from tradeworthy.record.recovery import recover
from tradeworthy.record.segment import (
    NEXT,
    SEAL_BYTES,
    Description,
    Header,
    Seal,
    capacity_of,
    check_name,
    describe,
    encode_header,
    encode_seal,
    next_bytes,
    record_type,
    segment_name,
    segment_paths,
)

__all__ = ["Cursor", "Stream", "TapeReader", "TapeWriter"]

Durability = Literal["process", "disk"]

SEGMENT_BYTES = 16 << 20
"""The size to which segments grow."""

RESERVE = "reserve"
RESERVE_BYTES = 1 << 20
_WORD = np.dtype(np.uint64)


class Stream:
    """One stream of records, made by `TapeWriter.stream`."""

    __slots__ = (
        "_description",
        "_disk",
        "_dtype",
        "_end",
        "_epoch",
        "_fd",
        "_folder",
        "_header",
        "_inline",
        "_last",
        "_offset",
        "_pwrite",
        "_seed",
        "_size",
        "_synced",
        "_tape",
        "_unsynced",
        "_width",
        "name",
    )

    def __init__(self, tape: "TapeWriter", description: Description, dtype: np.dtype[Any], *, inline: bool) -> None:
        self.name = description.stream
        self._tape = tape
        self._disk = tape.disk
        self._pwrite = tape.disk.pwrite
        self._description = description
        self._folder = tape.folder / STREAMS / self.name
        self._dtype = dtype
        self._width = dtype.itemsize // 8
        self._inline = inline
        self._epoch = tape.epoch
        self._header: Header | None = None
        self._unsynced: list[Path] = []
        self._fd = -1
        self._seed = self._offset = self._end = self._synced = self._size = self._last = 0

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
        tape = self._tape
        if records.dtype is not self._dtype or tape.failure is not None or records.ndim != 1:
            self._check(records)
        flags = records.flags
        if not (flags.c_contiguous and flags.writeable):
            records = records.copy()
        words = records.view(_WORD)
        if self._offset + words.nbytes > self._end:
            return self._append_across(records)
        first = tape.next_sequence
        frame_records(words, self._width, first, self._epoch, self._seed)
        self._write(words)
        self._last = first + records.size - 1
        tape.next_sequence = first + records.size
        if self._inline:
            tape.commit()
        return first

    def _check(self, records: npt.NDArray[Any]) -> None:
        if self._tape.failure is not None:
            raise RecordUnwritable(self._tape.failure)
        if records.dtype != self._dtype or records.ndim != 1:
            raise DataInvalid(f"stream {self.name!r} takes (n,) arrays of {self._dtype}; found {records.dtype}")

    def _write(self, words: npt.NDArray[np.uint64]) -> None:
        """Write at the end of the segment: all of it, or nothing and the tape has failed."""
        nbytes = words.nbytes
        try:
            written = self._pwrite(self._fd, words, self._offset)
            if written != nbytes:
                self._disk.write_all(self._fd, memoryview(words).cast("B")[written:], self._offset + written)
        except OSError as error:
            self._undo(nbytes)
            raise self._tape.fail(f"stream {self.name!r}: cannot be written", error) from error
        self._offset += nbytes

    def _undo(self, nbytes: int) -> None:
        """Wipe what a failed write may have left; recovery does it where this fails too."""
        try:
            self._disk.write_all(self._fd, bytes(nbytes), self._offset)
        except OSError:
            self._end = self._offset  # nothing may follow in this segment

    def _append_across(self, records: npt.NDArray[Any]) -> int:
        """Append records that do not fit the rest of the segment."""
        tape, first, done = self._tape, self._tape.next_sequence, 0
        while done < records.size:
            room = (self._end - self._offset) // self._dtype.itemsize
            if room <= 0:
                self._rotate()
                continue
            part = records[done : done + room]
            frame_records(part.view(_WORD), self._width, first + done, self._epoch, self._seed)
            self._write(part.view(_WORD))
            done += part.size
            self._last = first + done - 1
            tape.next_sequence = first + done
        if self._inline:
            tape.commit()
        return first

    def _rotate(self) -> None:
        """Seal the segment and go on in the next one."""
        self._tape.check_epoch()
        try:
            self.seal()
            self._enter(self.prepare())
        except OSError as error:
            raise self._tape.fail(f"stream {self.name!r}: no further segment", error) from error

    def prepare(self, capacity: int | None = None) -> tuple[Path, int]:
        """Make sure that the next segment's file is there, zeroed; return its path and capacity in records."""
        if capacity is None:
            size = next_bytes(self._size, self._tape.segment_bytes)
            capacity = capacity_of(size, self._dtype.itemsize)
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
                epoch=self._epoch,
                index=int(existing[-1].stem) + 1 if existing else 1,
                first_sequence=self._tape.next_sequence,
                capacity=capacity,
                created_ns=self._tape.clock.now_ns(),
                boot=self._tape.boot,
                description=self._description,
            )
        )
        fd = self._disk.open(path, write=True)
        try:
            self._disk.write_all(fd, raw, 0)
            path.rename(self._folder / segment_name(header.index))
        except OSError:
            os.close(fd)
            raise
        self._fd, self._header, self._seed = fd, header, header.checksum
        self._offset = self._synced = header.header_bytes
        self._end = header.size
        self._size = header.size
        self._unsynced.append(self._folder)

    @property
    def room(self) -> int:
        """Records that still fit the segment being written."""
        return (self._end - self._offset) // self._dtype.itemsize

    def enter_small(self, records: int) -> None:
        """Go on in a new segment with room for so many records and no more."""
        with suppress(OSError):
            self.seal()
        self.release()
        self._enter(self.prepare(records))

    def seal(self) -> None:
        """Write how many records the segment holds, and let go of it."""
        if self._header is None:
            return
        header = self._header
        records = (self._offset - header.header_bytes) // self._dtype.itemsize
        last = self._last if records else header.first_sequence - 1
        seal = Seal(records=records, last_sequence=last, sealed_ns=self._tape.clock.now_ns())
        self._disk.write_all(self._fd, encode_seal(seal, header), header.header_bytes - SEAL_BYTES)
        self._unsynced.append(self._folder / segment_name(header.index))
        self.release()
        self._end = self._offset = self._synced = 0

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
        return self._header.index, (self._offset - self._header.header_bytes) // self._dtype.itemsize


class TapeWriter:
    """The one writer of a tape.

    Attributes
    ----------
    epoch : int
        Counts the openings of this tape.
    recovery : Recovery
        What opening it found.
    next_sequence : int
        The sequence that the next record will get.
    failure : str or None
        Why nothing can be written any more.
    """

    def __init__(self, folder: Path, *, clock: Clock, durability: Durability, segment_bytes: int, disk: Disk) -> None:
        self.folder = folder
        self.clock = clock
        self.disk = disk
        self.durability = durability
        self.segment_bytes = segment_bytes
        self.boot = disk.boot()
        self.epoch = 0
        self.recovery = Recovery()
        self.next_sequence = 1
        self.failure: str | None = None
        self._meta: dict[str, str] = {}
        self._streams: dict[str, Stream] = {}
        self._ends: dict[str, End] = {}
        self._log_size = 0
        self._lock = -1
        self._mark: MarkFile | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock,
        durability: Durability = "process",
        segment_bytes: int = SEGMENT_BYTES,
        meta: Mapping[str, str] | None = None,
        disk: Disk | None = None,
    ) -> Self:
        """Open a tape for writing: lock it, recover its end, begin a new epoch.

        Parameters
        ----------
        folder : Path
            The tape's folder; created if missing.
        clock : Clock
            Stamps headers, seals and marks.
        durability : {"process", "disk"}
            What an append promises; see the module.
        segment_bytes : int
            The size to which segments grow.
        meta : mapping of str to str, optional
            Kept in every segment's header and in the log of openings.
        disk : Disk, optional
            Where to write; the machine's own files if left out.

        Raises
        ------
        RecordBusy
            Another process writes this tape.
        RecordCorrupt
            It is damaged in a way that no crash explains. Nothing was changed.
        RecordNewer
            A newer release wrote it.
        RecordUnwritable
            There is no room for the reserve, or the disk fails.
        """
        folder = Path(folder)
        (folder / STREAMS).mkdir(parents=True, exist_ok=True)
        lock = take_lock(folder)
        tape = cls(folder, clock=clock, durability=durability, segment_bytes=segment_bytes, disk=disk or Disk())
        try:
            tape._begin(lock, dict(meta or {}))
        except OSError as error:
            os.close(lock)
            raise RecordUnwritable(f"{folder}: the tape cannot be opened for writing: {error}. Free space") from error
        except BaseException:
            os.close(lock)
            raise
        return tape

    def _begin(self, lock: int, meta: dict[str, str]) -> None:
        epochs = read_epochs(self.folder)
        self.recovery = recover(self.folder, clock=self.clock, disk=self.disk)
        self.next_sequence = self.recovery.last_sequence + 1
        self._ends = {**durable_mark(self.folder).ends, **self.recovery.ends}
        self._meta = meta
        reserve = self.folder / RESERVE
        if not reserve.exists() or reserve.stat().st_size != RESERVE_BYTES:
            self.disk.preallocate(reserve, RESERVE_BYTES)
        for stream in (self.folder / STREAMS).iterdir():
            self.disk.sync_folder(stream)
        self._mark = MarkFile(self.folder / WRITER, self.disk)
        self._mark.store(self.recovery.last_sequence, self._ends, self.clock.now_ns(), sync=True)
        self.epoch = len(epochs) + 1
        opening = Epoch(
            epoch=self.epoch,
            opened_ns=self.clock.now_ns(),
            boot=self.boot.hex(),
            process=os.getpid(),
            fingerprint=fingerprint(),
            meta=meta,
            recovery=self.recovery,
        )
        add_epoch(self.folder, opening, self.disk)
        self._log_size = whole_size(self.folder)
        self._lock = lock

    @property
    def mark(self) -> Mark:
        """The durable mark: the writer's own or the syncer's, whichever is further."""
        return durable_mark(self.folder)

    def stream(self, name: str, dtype: np.dtype[Any], *, inline: bool = True) -> Stream:
        """Return the stream of this name, declaring it (and zeroing its first segment) if it is new.

        Parameters
        ----------
        name : str
            1-64 of a-z, 0-9, '-', '_'.
        dtype : np.dtype
            A record type that begins with core.events.FRAME and is a whole number of 8-byte words.
        inline : bool
            With ``durability="disk"``: sync at every append. Otherwise without effect.

        Raises
        ------
        DataInvalid
            The name or the type cannot be used, or the stream exists with another type.
        """
        if name in self._streams and self._streams[name].dtype == dtype:
            return self._streams[name]
        description = Description(
            stream=check_name(name),
            itemsize=dtype.itemsize,
            fields=describe(dtype),
            fingerprint=fingerprint(),
            segment_bytes=self.segment_bytes,
            meta=self._meta,
        )
        self._declare(description, dtype)
        stream = Stream(self, description, dtype, inline=inline and self.durability == "disk")
        try:
            stream.prepare()
        except OSError as error:
            raise self.fail(f"stream {name!r}: no room for a segment", error) from error
        self._streams[name] = stream
        return stream

    def _declare(self, description: Description, dtype: np.dtype[Any]) -> None:
        folder = self.folder / STREAMS / description.stream
        path = folder / DECLARATION
        if path.exists():
            declared = record_type(msgspec.json.decode(path.read_bytes(), type=Description))
            if declared != dtype:
                raise DataInvalid(
                    f"stream {description.stream!r} holds records of {declared}; found {dtype}. "
                    "Use another stream name or a new tape folder"
                )
            return
        folder.mkdir(exist_ok=True)
        write_whole(self.disk, path, msgspec.json.encode(description), sync=True)
        self.disk.sync_folder(folder.parent)

    def append_last(self, stream: Stream, records: npt.NDArray[Any]) -> int:
        """Record the halt after the tape has failed, in the room that the reserve left; return the first sequence.

        Raises
        ------
        RecordUnwritable
            Even this could not be written.
        """
        failure, self.failure = self.failure, None
        try:
            if stream.end is None or stream.room < records.size:
                stream.enter_small(records.size)
            return stream.append(records)
        except OSError as error:
            raise RecordUnwritable(f"the halt cannot be recorded either: {error}") from error
        finally:
            self.failure = failure or self.failure

    def checkpoint(self, state: Mapping[str, npt.ArrayLike]) -> int:
        """Store the engine's state after the last record appended; return that record's sequence."""
        self.check_epoch()
        sequence = self.next_sequence - 1
        try:
            write_checkpoint(self.folder, sequence, state, self.disk)
        except OSError as error:
            raise self.fail("a checkpoint cannot be written", error) from error
        return sequence

    def commit(self) -> None:
        """Return when every record appended is on the disk."""
        self._sync(sync_mark=False)

    def sync(self) -> int:
        """Return, when every record appended and the durable mark are on the disk, the last sequence."""
        self._sync(sync_mark=True)
        return self.next_sequence - 1

    def _sync(self, *, sync_mark: bool) -> None:
        if self.failure is not None or self._mark is None:
            raise RecordUnwritable(self.failure or "the tape is closed")
        try:
            for stream in self._streams.values():
                stream.sync()
                if (end := stream.end) is not None:
                    self._ends[stream.name] = end
            self._mark.store(self.next_sequence - 1, self._ends, self.clock.now_ns(), sync=sync_mark)
        except OSError as error:
            raise self.fail("the tape cannot be synced", error) from error

    def check_epoch(self) -> None:
        """Refuse to go on where another writer has begun a new epoch, or the syncer's sync has failed.

        Raises
        ------
        RecordBusy
            This writer was fenced off.
        RecordUnwritable
            The syncer could not make the tape durable.
        """
        if whole_size(self.folder) != self._log_size:
            self.failure = f"{self.folder}: another writer has opened this tape; this one (epoch {self.epoch}) is off"
            raise RecordBusy(self.failure)
        syncer = read_mark(self.folder / SYNCER)
        if syncer.failed:
            raise self.fail("the syncer could not make the tape durable", OSError(5, "sync failed"))

    def fail(self, what: str, error: OSError) -> RecordUnwritable:
        """Stop the tape for good, free the reserve, and return the error to raise."""
        if self.failure is None:
            self.failure = f"{self.folder}: {what}: {error}. Nothing more is written; stop trading, then free space"
            (self.folder / RESERVE).unlink(missing_ok=True)
        return RecordUnwritable(self.failure)

    def close(self) -> None:
        """Seal and sync every stream and let go of the tape; after a failure, only let go."""
        if self._mark is None:
            return
        try:
            if self.failure is None:
                self._seal_all()
        finally:
            for stream in self._streams.values():
                stream.release()
            self._mark.close()
            self._mark = None
            self.failure = self.failure or f"{self.folder}: the tape is closed"
            os.close(self._lock)

    def _seal_all(self) -> None:
        self.sync()
        try:
            for stream in self._streams.values():
                stream.seal()
        except OSError as error:
            raise self.fail("the tape cannot be sealed", error) from error
        self.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
