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
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, RecordBusy, RecordUnwritable
from tradeworthy.core.kernel_cache import fingerprint
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.record.checkpoint import write_checkpoint
from tradeworthy.record.disk import Disk, write_whole
from tradeworthy.record.epochs import Epoch, add_epoch, read_epochs, take_lock, whole_size
from tradeworthy.record.marks import SYNCER, WRITER, End, Mark, MarkFile, durable_mark, read_mark
from tradeworthy.record.reader import DECLARATION, STREAMS, Cursor, TapeReader, declared
from tradeworthy.record.recovery import recover
from tradeworthy.record.segment import Description, check_name, describe
from tradeworthy.record.stream import RESERVE, Pen, Stream

__all__ = ["Cursor", "Stream", "TapeReader", "TapeWriter"]

Durability = Literal["process", "disk"]

SEGMENT_BYTES = 16 << 20
"""The size to which segments grow."""

RESERVE_BYTES = 1 << 20


class TapeWriter:
    """The one writer of a tape.

    Made by `TapeWriter.open`; also a context manager that closes itself.

    Attributes
    ----------
    recovery : Recovery
        What opening it found.
    durability : {"process", "disk"}
        What an append promises.
    """

    def __init__(self, pen: Pen, mark: MarkFile, opening: Epoch, *, lock: int, durability: Durability) -> None:
        self.recovery = opening.recovery
        self.durability = durability
        self._pen = pen
        self._lock = lock
        self._mark = mark
        self._meta = opening.meta
        self._streams: dict[str, Stream] = {}
        self._ends: dict[str, End] = dict(mark.mark.ends)
        self._log_size = whole_size(pen.folder)
        self._checkpoints: list[Path] = []
        self._syncer_turn = read_mark(pen.folder / SYNCER).turn
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock,
        durability: Durability = "process",
        segment_bytes: int = SEGMENT_BYTES,
        segment_s: float | None = None,
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
        segment_s : float, optional
            The age, in seconds of the monotonic clock, at which `check` seals a segment; without limit if left out.
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
        folder, disk = Path(folder), disk or Disk()
        (folder / STREAMS).mkdir(parents=True, exist_ok=True)
        lock = take_lock(folder)
        try:
            opening = _begin(folder, clock, disk, dict(meta or {}))
            mark = MarkFile(folder / WRITER, disk)
        except OSError as error:
            os.close(lock)
            raise RecordUnwritable(f"{folder}: the tape cannot be opened for writing: {error}. Free space") from error
        except BaseException:
            os.close(lock)
            raise
        pen = Pen(
            folder=folder,
            clock=clock,
            disk=disk,
            epoch=opening.epoch,
            boot=bytes.fromhex(opening.boot),
            segment_bytes=segment_bytes,
            next_sequence=opening.recovery.last_sequence + 1,
            segment_ns=None if segment_s is None else int(segment_s * NS_PER_S),
        )
        return cls(pen, mark, opening, lock=lock, durability=durability)

    @property
    def folder(self) -> Path:
        """The tape's folder."""
        return self._pen.folder

    @property
    def epoch(self) -> int:
        """Which opening of the tape this is, from 1."""
        return self._pen.epoch

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record will get."""
        return self._pen.next_sequence

    @property
    def failure(self) -> str | None:
        """Why nothing can be written any more; None while all is well."""
        return self._pen.failure

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
            segment_bytes=self._pen.segment_bytes,
            meta=self._meta,
        )
        try:
            self._declare(description, dtype)
        except OSError as error:
            raise self._pen.fail(f"stream {name!r} cannot be declared", error) from error
        stream = Stream(
            self.folder / STREAMS / name,
            self._pen,
            description,
            dtype,
            before_rotation=self.check,
            commit=self.commit if inline and self.durability == "disk" else None,
        )
        try:
            stream.prepare()
        except OSError as error:
            raise self._pen.fail(f"stream {name!r}: no room for a segment", error) from error
        self._streams[name] = stream
        return stream

    def _declare(self, description: Description, dtype: np.dtype[Any]) -> None:
        folder = self.folder / STREAMS / description.stream
        kept = declared(folder)
        if kept is not None:
            if kept != dtype:
                raise DataInvalid(
                    f"stream {description.stream!r} holds records of {kept}; found {dtype}. "
                    "Use another stream name or a new tape folder"
                )
            return
        folder.mkdir(exist_ok=True)
        write_whole(self._pen.disk, folder / DECLARATION, msgspec.json.encode(description), sync=True)
        self._pen.disk.sync_folder(folder.parent)

    @staticmethod
    def append_last(stream: Stream, records: npt.NDArray[Any]) -> int:
        """Record the halt after the tape has failed, in the room that the reserve left; return the first sequence.

        Raises
        ------
        RecordUnwritable
            Even this could not be written, or it belongs to a tape that is closed.
        """
        return stream.append_last(records)

    def checkpoint(self, state: Mapping[str, npt.ArrayLike]) -> int:
        """Store the engine's state after the last record appended; return that record's sequence.

        It is on the disk after the next `sync`, or when the syncer has hashed it.
        """
        self.check()
        sequence = self.next_sequence - 1
        try:
            self._checkpoints.append(write_checkpoint(self.folder, sequence, state, self._pen.disk))
        except OSError as error:
            raise self._pen.fail("a checkpoint cannot be written", error) from error
        return sequence

    def commit(self) -> None:
        """Return when every record appended is on the disk."""
        self._sync(sync_mark=False)

    def sync(self) -> int:
        """Return, when every record appended and the durable mark are on the disk, the last sequence."""
        self._sync(sync_mark=True)
        return self.next_sequence - 1

    def _sync(self, *, sync_mark: bool) -> None:
        if self.failure is not None:
            raise RecordUnwritable(self.failure)
        try:
            for stream in self._streams.values():
                stream.sync()
                if (end := stream.end) is not None:
                    self._ends[stream.name] = end
            if sync_mark:
                self._sync_checkpoints()
            self._mark.store(self.next_sequence - 1, self._ends, self._pen.clock.now_ns(), sync=sync_mark)
        except OSError as error:
            raise self._pen.fail("the tape cannot be synced", error) from error

    def _sync_checkpoints(self) -> None:
        for path in self._checkpoints:
            self._pen.disk.sync_file(path)
            self._pen.disk.sync_folder(path.parent)
        self._checkpoints.clear()

    def check(self) -> None:
        """Refuse to go on where another writer began a new epoch or the syncer's sync has failed; seal what is old.

        Raises
        ------
        RecordBusy
            This writer was fenced off.
        RecordUnwritable
            The syncer could not make the tape durable.
        """
        try:
            size, syncer = whole_size(self.folder), read_mark(self.folder / SYNCER)
        except OSError as error:
            raise self._pen.fail("the tape's state cannot be read", error) from error
        if self.failure is None and size != self._log_size:
            self._pen.failure = f"{self.folder}: another writer opened this tape; this one (epoch {self.epoch}) is off"
            raise RecordBusy(self._pen.failure)
        if syncer.failed and syncer.turn > self._syncer_turn:
            raise self._pen.fail("the syncer could not make the tape durable", OSError(5, "a sync failed"))
        if self.failure is None:
            for stream in self._streams.values():
                stream.seal_old()

    def close(self) -> None:
        """Seal and sync every stream and let go of the tape; after a failure, only let go."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.failure is None:
                self._seal_all()
        finally:
            for stream in self._streams.values():
                stream.release()
            self._mark.close()
            self._pen.failure = self.failure or f"{self.folder}: the tape is closed"
            os.close(self._lock)

    def _seal_all(self) -> None:
        self.sync()
        try:
            for stream in self._streams.values():
                stream.seal()
        except OSError as error:
            raise self._pen.fail("the tape cannot be sealed", error) from error
        self.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _begin(folder: Path, clock: Clock, disk: Disk, meta: dict[str, str]) -> Epoch:
    """Recover the end of the tape, make it durable, and log a new opening."""
    epochs, boot = read_epochs(folder), disk.boot()
    restarted = not epochs or epochs[-1].boot != boot.hex() or not any(boot)
    recovery = recover(folder, clock=clock, disk=disk, restarted=restarted)
    reserve = folder / RESERVE
    if not reserve.exists() or reserve.stat().st_size != RESERVE_BYTES:
        disk.preallocate(reserve, RESERVE_BYTES)
    for stream in (folder / STREAMS).iterdir():
        disk.sync_folder(stream)
    ends = {**durable_mark(folder).ends, **recovery.ends}
    with MarkFile(folder / WRITER, disk) as mark:
        mark.store(recovery.last_sequence, ends, clock.now_ns(), sync=True)
    opening = Epoch(
        epoch=len(epochs) + 1,
        opened_ns=clock.now_ns(),
        boot=boot.hex(),
        process=os.getpid(),
        fingerprint=fingerprint(),
        meta=meta,
        recovery=recovery,
    )
    add_epoch(folder, opening, disk)
    return opening
