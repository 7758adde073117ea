"""Where archived segments are, and how they are read: as if they had never been moved.

Idea:   a segment is known by its place on the tape (`streams/NAME/00000007.seg`) for ever. If the file is no longer
        there, the archive rebuilds its bytes. So readers, replay, verification and the block chain see one tape.
Shape:  `archive/stream=NAME/day=YYYY-MM-DD/INDEX-FIRST-CRC.parquet` in the tape's folder (which may be a link to
        another disk); the day is the UTC day on which the segment was begun, FIRST its first sequence, CRC the CRC-32
        of the whole file: Parquet's own checksums cover neither its footer nor its headers.
State:  none; a Parquet file has its final name only after what it rebuilds was compared with the segment.
"""

import re
import zlib
from pathlib import Path
from typing import NamedTuple

from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import iso
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.problems import damaged
from tradeworthy.record.segment import Header, segment_name, segment_numbers

ARCHIVE = "archive"
_FILE = re.compile(r"(\d{8,})-(\d+)-([0-9a-f]{8})\.parquet")
_READ_BYTES = 1 << 20


class Archived(NamedTuple):
    """An archived segment: its number, the lowest sequence that it can hold, its Parquet file and that file's CRC."""

    number: int
    first_sequence: int
    crc: int
    path: Path

    def check(self) -> None:
        """Raise RecordCorrupt if a byte of the file is not the one that was written."""
        crc = 0
        with self.path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                crc = zlib.crc32(data, crc)
        if crc != self.crc:
            raise damaged(self.path, "its checksum differs")


def archived_path(tape: Path, header: Header, data: bytes) -> Path:
    """Return where a segment is archived whose Parquet file has the bytes `data`."""
    stream, day = header.description.stream, iso(header.created_ns)[:10]
    name = f"{header.index:08d}-{header.first_sequence}-{zlib.crc32(data):08x}.parquet"
    return tape / ARCHIVE / f"stream={stream}" / f"day={day}" / name


def archived_segments(stream: Path) -> dict[int, Archived]:
    """Return by number the archived segments of the stream whose folder on the tape is `stream`."""
    root = stream.parent.parent / ARCHIVE / f"stream={stream.name}"
    named = ((_FILE.fullmatch(path.name), path) for path in root.glob("day=*/*.parquet"))
    found = sorted(Archived(int(match[1]), int(match[2]), int(match[3], 16), path) for match, path in named if match)
    return {archived.number: archived for archived in found}


def all_segments(stream: Path) -> list[Path]:
    """Return the places on the tape of all segments of a stream, archived or not, oldest first.

    The tape is listed before the archive, and a segment is in the archive before it leaves the tape: none is missed.
    """
    on_tape = segment_numbers(stream)
    return [stream / segment_name(index) for index in sorted({*on_tape, *archived_segments(stream)})]


def open_segment(path: Path) -> MappedSegment:
    """Return the segment whose place on the tape is `path`, rebuilt if it was archived.

    Raises
    ------
    NotFound
        It is in neither place, or the packages that read archives are not installed.
    RecordCorrupt
        It is damaged.
    """
    try:
        return MappedSegment(path)
    except FileNotFoundError:
        archived = archived_segments(path.parent).get(int(path.stem))
    if archived is None:
        raise NotFound(f"segment {path.parent.name}/{path.name} is neither on the tape nor in its archive")
    return MappedSegment(path, rebuilt(archived))


def rebuilt(archived: Archived) -> bytes:
    """Return the bytes of an archived segment.

    Raises
    ------
    NotFound
        The packages that read archives are not installed.
    RecordCorrupt
        A byte of the file is not the one that was written.
    """
    try:
        from tradeworthy.record.parquet import decode_segment  # noqa: PLC0415  # an optional package
    except ImportError as error:
        raise NotFound("reading the archive needs further packages: pip install 'tradeworthy[archive]'") from error
    data = archived.path.read_bytes()
    if zlib.crc32(data) != archived.crc:
        raise damaged(archived.path, "its checksum differs")
    return decode_segment(data, archived.path)
