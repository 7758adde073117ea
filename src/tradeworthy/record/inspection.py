"""One stream looked at from end to end: every record, seal and header, with the place of whatever is wrong."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.record.archived import all_segments, open_segment
from tradeworthy.record.checksum import whole_records
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import Mark
from tradeworthy.record.problems import Problem
from tradeworthy.record.reader import DECLARATION, declared

PROBLEMS_MAX = 1000  # named in each segment


@dataclass
class StreamInspection:
    """What the inspection of one stream found.

    Attributes
    ----------
    problems, notes : list
        What is wrong; what is unfinished without being wrong.
    records, bytes, segments, archived : int
        How many were looked at; damaged records are not counted. Of the segments, so many are archived.
    sequences : list of (n,) uint64
        The sequences of the whole records, a part for each segment.
    """

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    bytes: int = 0
    segments: int = 0
    archived: int = 0
    sequences: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    @property
    def last_sequence(self) -> int:
        """The highest sequence in the stream; 0 where it is empty."""
        return max((int(part[-1]) for part in self.sequences if part.size), default=0)


def inspect_stream(
    folder: Path, *, mark: Mark, epochs: int, live: bool, deleted: AbstractSet[int] = frozenset()
) -> StreamInspection:
    """Look at every byte of one stream.

    Parameters
    ----------
    folder : Path
        The stream's folder.
    mark : Mark
        The tape's durable mark.
    epochs : int
        How many openings the tape's log has.
    live : bool
        A writer is at work: an unfinished end is no news.
    deleted : set of int
        Segments that may be missing, because the log of deletions lists them.
    """
    found = StreamInspection()
    paths = all_segments(folder)
    indices = [int(path.stem) for path in paths]
    missing = sorted(set(range(1, max(indices, default=0) + 1)) - set(indices) - deleted)
    if missing:
        found.problems.append(Problem(what=f"segments {missing} are missing", stream=folder.name))
    if not paths and not (folder / DECLARATION).exists():
        found.notes.append(f"stream {folder.name} was being declared when its writer died; it has no records")
        _check_end(folder.name, indices, found, mark)
        return found
    kept = _declared(folder, found)
    last = epoch = 0
    for path in paths:
        try:
            segment = open_segment(path)
            found.archived += segment.is_rebuilt
            _inspect_segment(segment, found, mark=mark, live=live and path == paths[-1])
        except (RecordCorrupt, RecordNewer) as error:
            found.problems.append(Problem(what=str(error), stream=folder.name, segment=path.name))
            continue
        _check_header(segment, found, declared=kept, after=last, epoch=epoch, epochs=epochs)
        last, epoch = found.last_sequence, segment.header.epoch
    _check_end(folder.name, indices, found, mark)
    return found


def _declared(folder: Path, found: StreamInspection) -> np.dtype[Any] | None:
    try:
        kept = declared(folder)
    except RecordCorrupt as error:
        found.problems.append(Problem(what=str(error), stream=folder.name))
        return None
    if kept is None:
        found.problems.append(Problem(what=f"{DECLARATION} is missing", stream=folder.name))
    return kept


def _inspect_segment(segment: MappedSegment, found: StreamInspection, *, mark: Mark, live: bool) -> None:
    seal = segment.seal
    limit = _written(segment) if seal is None else seal.records
    damaged = damaged_places(segment, limit)
    stream, name = segment.path.parent.name, segment.path.name
    found.problems += [_damage(segment, place) for place in damaged[:PROBLEMS_MAX]]
    if len(damaged) > PROBLEMS_MAX:
        found.problems.append(
            Problem(what=f"{len(damaged) - PROBLEMS_MAX} more records are damaged", stream=stream, segment=name)
        )
    sequences = np.delete(segment.records["sequence"][:limit], damaged)
    if seal is None:
        _inspect_tail(segment, limit, found, mark=mark, live=live)
    else:
        if not damaged and limit and int(sequences[-1]) != seal.last_sequence:
            found.problems.append(Problem(what="the seal names another last record", stream=stream, segment=name))
        if segment.used_after(limit):
            text = "bytes stand after the last record sealed"
            found.problems.append(Problem(what=text, stream=stream, segment=name, record=limit))
    found.sequences.append(sequences)
    found.records += int(sequences.size)
    found.bytes += segment.header.header_bytes + limit * segment.dtype.itemsize
    found.segments += 1


def _written(segment: MappedSegment) -> int:
    """Return the place after the last whole record of a segment that is not sealed."""
    capacity = segment.header.capacity
    place = segment.scan(capacity)
    while place < capacity and (later := segment.whole_after(place)) < capacity:
        place = _run(segment, later + 1)
    return place


def _run(segment: MappedSegment, place: int) -> int:
    """Return the end of the whole records that begin at `place`."""
    header = segment.header
    after = int(segment.words[(place - 1) * segment.width])
    numbers = (header.epoch, header.checksum, after)
    return int(whole_records(segment.words, segment.width, place, header.capacity, *numbers))


def damaged_places(segment: MappedSegment, limit: int) -> list[int]:
    """Return the places below `limit` that do not hold a whole record following the whole one before it."""
    header, width = segment.header, segment.width
    place, after, damaged = 0, header.first_sequence - 1, list[int]()
    while place < limit:
        stop = int(whole_records(segment.words, width, place, limit, header.epoch, header.checksum, after))
        if stop > place:
            after = int(segment.words[(stop - 1) * width])
        if stop < limit:
            damaged.append(stop)
        place = stop + 1
    return damaged


def _damage(segment: MappedSegment, place: int) -> Problem:
    sequence = int(segment.words[place * segment.width])
    return Problem(
        what=f"the record's checksum, epoch or order is wrong (its sequence reads {sequence})",
        stream=segment.path.parent.name,
        segment=segment.path.name,
        record=place,
        byte=segment.header.header_bytes + place * segment.dtype.itemsize,
    )


def _inspect_tail(segment: MappedSegment, limit: int, found: StreamInspection, *, mark: Mark, live: bool) -> None:
    """Judge what follows the last whole record of a segment that is not sealed."""
    stream = segment.path.parent.name
    index, records = mark.ends.get(stream, (0, 0))
    if index == segment.header.index and limit < records:
        found.problems.append(_damage(segment, limit))
        return
    if not live:
        found.notes.append(f"stream {stream}, segment {segment.path.name} is not sealed: its writer did not close it")
        if segment.used_after(limit):
            found.notes.append(f"stream {stream}: a torn write follows record {limit - 1}; the next writer cuts it off")


def _check_header(
    segment: MappedSegment,
    found: StreamInspection,
    *,
    declared: np.dtype[Any] | None,
    after: int,
    epoch: int,
    epochs: int,
) -> None:
    """Compare a header with its place: folder, file name, the segments before, the log of openings."""
    header, stream = segment.header, segment.path.parent.name
    wrong = []
    if header.description.stream != stream or header.index != int(segment.path.stem):
        wrong.append(f"the header says stream {header.description.stream!r}, segment {header.index}")
    if declared is not None and segment.dtype != declared:
        wrong.append("the record type is not the one declared for the stream")
    if not epoch <= header.epoch <= epochs:
        wrong.append(f"the header says epoch {header.epoch}; allowed are {epoch} to {epochs}")
    if header.first_sequence <= after and segment.checked:
        wrong.append(f"the header says first sequence {header.first_sequence}, the segment before ends at {after}")
    found.problems += [Problem(what=text, stream=stream, segment=segment.path.name) for text in wrong]


def _check_end(stream: str, indices: list[int], found: StreamInspection, mark: Mark) -> None:
    index, _ = mark.ends.get(stream, (0, 0))
    if index > max(indices, default=0):
        found.problems.append(Problem(what=f"segment {index} is missing, the durable mark names it", stream=stream))
