"""Reading the tape, from any process, while it is written or after.

Idea:   segments are mapped and checked; what is returned are views of them (copies only where a range spans two
        segments). A reader takes no lock, writes nothing and never waits. A segment that was archived is rebuilt and
        read like any other.
Time:   records come in order of sequence, which is the order in which the engine consumed or made them.
Errors: damage raises RecordCorrupt naming stream, segment, record and byte; it is never skipped.
"""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tradeworthy.core.errors import UNDECODABLE, NotFound, RecordCorrupt, near
from tradeworthy.core.events import FRAME
from tradeworthy.record.archived import Archived, archived_segments, rebuilt
from tradeworthy.record.checkpoint import State, read_checkpoint
from tradeworthy.record.mapped import MappedSegment, Records
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.segment import Description, record_type, segment_name, segment_numbers

STREAMS = "streams"
DECLARATION = "stream.json"
_MAPPED_MAX = 4  # segments kept mapped for each stream


class _StreamFiles:
    """The segments of one stream, mapped when asked for; the few used last stay mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mapped: dict[int, MappedSegment] = {}
        self._archived: dict[int, Archived] = {}

    def indices(self) -> list[int]:
        """Return the numbers of the segments there are, on the tape or archived, refusing a gap."""
        found = segment_numbers(self.folder)
        if (
            found != list(range(1, len(found) + 1)) or not found
        ):  # listed after the tape: what left it meanwhile is in the archive
            self._archived = archived_segments(self.folder)
            found = sorted({*found, *self._archived})
        if found and found != list(range(found[0], found[0] + len(found))):
            missing = sorted(set(range(found[0], found[-1])) - set(found))
            raise RecordCorrupt(f"stream {self.folder.name!r}: segments {missing} are missing. Restore copies")
        return found

    def segment(self, index: int) -> MappedSegment | None:
        """Return a segment; None if it does not exist (yet)."""
        if index in self._mapped:
            return self._mapped[index]
        segment = self._load(self.folder / segment_name(index), index)
        if segment is None:
            return None
        while len(self._mapped) >= _MAPPED_MAX:
            del self._mapped[next(iter(self._mapped))]
        self._mapped[index] = segment
        return segment

    def _load(self, path: Path, index: int) -> MappedSegment | None:
        try:
            return MappedSegment(path)
        except FileNotFoundError:
            if index not in self._archived:
                self._archived = archived_segments(self.folder)
        return MappedSegment(path, rebuilt(self._archived[index])) if index in self._archived else None

    def _first_sequence(self, index: int) -> int:
        """Return the lowest sequence that a segment can hold; an archived one says it in its name."""
        archived = self._archived.get(index)
        if archived is not None:
            return archived.first_sequence
        segment = self.segment(index)
        return 0 if segment is None else segment.header.first_sequence

    def exists(self, index: int) -> bool:
        """Tell whether there is a segment of this number."""
        return (self.folder / segment_name(index)).exists()

    def start_of(self, after: int) -> int:
        """Return the segment in which the first record above `after` is or will be."""
        return self.holding(after, self.indices())

    def holding(self, after: int, indices: list[int]) -> int:
        """Return, of the segments that there are, the one in which the first record above `after` is or will be."""
        if not indices:
            return 1
        low, high = 0, len(indices) - 1
        while low < high:  # the last segment whose first sequence is at or below after + 1
            middle = (low + high + 1) // 2
            if self._first_sequence(indices[middle]) <= after + 1:
                low = middle
            else:
                high = middle - 1
        return indices[low]


class Cursor:
    """A place in one stream that moves on as the writer writes.

    Parameters
    ----------
    folder : Path
        The tape's folder; it may not exist yet.
    stream : str
        The stream's name; nor may this.
    after : int
        Only records with a higher sequence are given.
    """

    def __init__(self, folder: Path, stream: str, after: int = 0) -> None:
        self._tape = folder
        self._files = _StreamFiles(folder / STREAMS / stream)
        self._index: int | None = None
        self._place = 0
        self._after = after
        self._declared: np.dtype[Any] | None = None

    @property
    def after(self) -> int:
        """The sequence of the last record given, or where it began."""
        return self._after

    def poll(self, limit: int = 100_000) -> Records:
        """Return new whole records, at most `limit`; an empty array when there are none yet.

        Raises
        ------
        RecordCorrupt
            A record is damaged.
        """
        parts: list[Records] = []
        while limit > 0:
            part, ended = self._next(limit)
            if part is not None and part.size:
                parts.append(part)
                limit -= part.size
                self._after = int(part["sequence"][-1])
            elif not ended:
                break
        return parts[0] if len(parts) == 1 else _join(parts, self._dtype())

    def _dtype(self) -> np.dtype[Any]:
        """Return the stream's record type, which never changes; that of a frame before there is the stream."""
        if self._declared is None:
            self._declared = declared(self._files.folder)
        return np.dtype(FRAME) if self._declared is None else self._declared

    def _next(self, limit: int) -> tuple[Records | None, bool]:
        """Return what the current segment still has, and whether the next segment was entered."""
        if self._index is None:
            self._index = self._files.start_of(self._after)
        segment = self._files.segment(self._index)
        if segment is None:
            return None, False
        finished = segment.seal is not None or self._files.exists(self._index + 1)
        count = segment.check(durable_mark(self._tape).sequence if self._is_stuck(segment) else 0)
        if self._place == 0:
            self._place = segment.place_after(self._after)
        if self._place < count:
            start, self._place = self._place, min(count, self._place + limit)
            return segment.records[start : self._place], False
        return None, finished and self._enter_next()

    def _is_stuck(self, segment: MappedSegment) -> bool:
        """Tell whether something stands at the first place that is not a whole record."""
        place = segment.checked
        return place < segment.header.capacity and int(segment.words[place * segment.width]) != 0

    def _enter_next(self) -> bool:
        if self._index is None or self._files.segment(self._index + 1) is None:
            return False
        self._index += 1
        self._place = 0
        return True


def _join(parts: list[Records], dtype: np.dtype[Any]) -> Records:
    if not parts:
        return np.empty(0, dtype)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def declared(folder: Path) -> np.dtype[Any] | None:
    """Return the record type of a stream's folder; None if there is no such stream.

    Raises
    ------
    RecordCorrupt
        The declaration cannot be read.
    """
    path = folder / DECLARATION
    try:
        return record_type(msgspec.json.decode(path.read_bytes(), type=Description))
    except FileNotFoundError:
        return None
    except (*UNDECODABLE, TypeError, ValueError) as error:
        raise RecordCorrupt(f"{path} cannot be read: {error}. Restore a copy") from error


class TapeReader:
    """All streams of one tape.

    Parameters
    ----------
    folder : Path
        The tape's folder; it must exist.

    Raises
    ------
    NotFound
        There is no tape.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / STREAMS).is_dir():
            raise NotFound(f"no tape in {folder}. Name the folder that an engine writes to")
        self._open: dict[str, _StreamFiles] = {}

    def _files(self, stream: str) -> _StreamFiles:
        if stream not in self._open:
            self._open[stream] = _StreamFiles(self.folder / STREAMS / stream)
        return self._open[stream]

    def streams(self) -> dict[str, np.dtype[Any]]:
        """Return the streams' names and record types."""
        found = {path.name: declared(path) for path in sorted((self.folder / STREAMS).iterdir())}
        return {name: dtype for name, dtype in found.items() if dtype is not None}

    def read(self, stream: str, after: int = 0, limit: int | None = None, *, upto: int | None = None) -> Records:
        """Return records with a sequence above `after`, up to `upto` included, oldest first, at most `limit`.

        Returns
        -------
        (n,) array
            Read-only views of the mapped file where the range lies in one segment, else a copy.

        Raises
        ------
        NotFound
            There is no such stream.
        RecordCorrupt
            A record is damaged.
        """
        parts, wanted = [], limit
        for part in self.scan(stream, after, upto):
            parts.append(part[:wanted])
            if wanted is not None and (wanted := wanted - part.size) <= 0:  # no segment behind that is opened
                break
        return _join(parts, self._dtype(stream))

    def scan(self, stream: str, after: int = 0, upto: int | None = None) -> Iterator[Records]:
        """Yield the records above `after`, up to `upto` included, segment by segment, as views without a copy."""
        self._dtype(stream)
        files = self._files(stream)
        durable = durable_mark(self.folder).sequence
        indices = files.indices()
        start = files.holding(after, indices)
        for index in indices[bisect_left(indices, start) :]:
            segment = files.segment(index)
            if segment is not None:
                count = segment.check(durable, deep=True)
                end = count if upto is None else min(count, segment.place_after(upto))
                if (first := segment.place_after(after)) < end:
                    yield segment.records[first:end]
                if end < count:
                    return

    def follow(self, stream: str, after: int = 0) -> Cursor:
        """Return a cursor that gives records above `after` as they are written; the stream may not exist yet."""
        return Cursor(self.folder, stream, after)

    def find(self, stream: str, sequence: int) -> np.void:
        """Return the record with this sequence.

        Raises
        ------
        NotFound
            The stream has no such record.
        """
        found = self.read(stream, after=sequence - 1, limit=1)
        if not found.size or int(found["sequence"][0]) != sequence:
            raise NotFound(f"stream {stream!r} has no record {sequence}")
        record: np.void = found[0]
        return record

    def last_sequence(self) -> int:
        """Return the highest sequence in any stream; 0 on an empty tape."""
        last = 0
        for stream in self.streams():
            files = self._files(stream)
            for index in reversed(files.indices()):
                segment = files.segment(index)
                if segment is not None and segment.check():
                    last = max(last, segment.last_sequence)
                    break
        return last

    def durable_sequence(self) -> int:
        """Return the durable mark: every record up to it is on the disk."""
        return durable_mark(self.folder).sequence

    def checkpoint(self, at_or_before: int | None = None) -> tuple[int, State] | None:
        """Return the newest checkpoint at or before a sequence: its sequence and its named arrays."""
        return read_checkpoint(self.folder, at_or_before)

    def _dtype(self, stream: str) -> np.dtype[Any]:
        dtype = declared(self.folder / STREAMS / stream)
        if dtype is None:
            known = self.streams()
            raise NotFound(f"the tape has no stream {stream!r}; it has {sorted(known)}{near(stream, known)}")
        return dtype
