"""One file of one stream: a header that describes itself, then records of fixed width, then zeros.

Idea:   everything needed to read a segment in fifty years is in its first page: the format's number, the record type
        field by field (JSON), the stream, the epoch, the first sequence. `docs/record.md` is the specification.
Shape:  header (whole pages of 4,096 bytes; the last 512 of them are the seal), then `capacity` records. A file's size
        never changes once it has its name, so a mapped reader never loses the ground under it.
State:  the seal is zero while the segment is written, and says how many records stand in it afterwards.
"""

import os
import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tradeworthy.core.errors import DataInvalid, RecordCorrupt, RecordNewer
from tradeworthy.core.events import FRAME
from tradeworthy.record.checksum import crc32c

FORMAT = 1
"""The number of the tape's format; a reader refuses a higher one."""

PAGE = 4096
NEXT = "next"
SUFFIX = ".seg"
"""The name of a stream's zeroed file that waits to become its next segment."""

FIRST_BYTES = 1 << 20
"""The size of a stream's first segment in an epoch; each further one is twice as large, up to a limit."""

SEAL_BYTES = 512
_MAGIC = b"TRDWTAPE"
_SEAL_MAGIC = b"TRDWSEAL"
_PREFIX = struct.Struct("<8sHHI")  # magic, format, pages of the header, checksum of these
_FIXED = struct.Struct("<IIQQQIIq16s")  # checksum, epoch, index, first, capacity, itemsize, JSON bytes, created, boot
_SEAL = struct.Struct("<8sQQqI")  # magic, records, last sequence, sealed ns, checksum
_JSON_AT = _PREFIX.size + _FIXED.size
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TYPES = re.compile(r"(\|[iu]1|\|b1|[<](i[248]|u[248]|f[48]))")


class FieldDescription(msgspec.Struct, frozen=True):
    """One field of a record: NumPy type string, byte offset, and shape where it is an array."""

    name: str
    type: str
    offset: int
    shape: list[int] = []


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON part of a segment's header."""

    stream: str
    itemsize: int
    fields: list[FieldDescription]
    fingerprint: str = ""
    segment_bytes: int = 0
    meta: dict[str, str] = {}


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment says about itself.

    Attributes
    ----------
    epoch, index : int
        Which opening of the tape wrote it; its place in its stream, from 1.
    first_sequence : int
        The lowest sequence that it can hold.
    capacity : int
        Records that fit.
    created_ns : int
        UTC nanoseconds.
    boot : bytes
        Names the start of the machine during which it was written.
    description : Description
        Stream and record type.
    checksum, header_bytes : int
        Set when encoded or decoded.
    """

    epoch: int
    index: int
    first_sequence: int
    capacity: int
    created_ns: int
    boot: bytes
    description: Description
    checksum: int = 0
    header_bytes: int = PAGE

    @property
    def size(self) -> int:
        """Return the size of the whole file in bytes."""
        return self.header_bytes + self.capacity * self.description.itemsize


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """How many records a finished segment holds."""

    records: int
    last_sequence: int
    sealed_ns: int


def check_name(stream: str) -> str:
    """Return `stream` if it can name a stream (and a folder); raise DataInvalid if not."""
    if not _NAME.fullmatch(stream):
        raise DataInvalid(f"stream name {stream!r}: allowed are 1-64 of a-z, 0-9, '-', '_', a letter or digit first")
    return stream


def describe(dtype: np.dtype[Any]) -> list[FieldDescription]:
    """Describe a record type field by field.

    Raises
    ------
    DataInvalid
        It does not begin with the frame, is not a whole number of 8-byte words, or has a field that is not a
        little-endian number.
    """
    frame = np.dtype(FRAME)
    names = dtype.names or ()
    if names[:3] != frame.names or any(dtype.fields[name] != frame.fields[name] for name in frame.names):  # type: ignore[index]
        raise DataInvalid(f"a record begins with the fields {FRAME}; found {dtype}. Build it from core.events.FRAME")
    if dtype.itemsize % 8:
        raise DataInvalid(f"a record is a whole number of 8-byte words; found {dtype.itemsize} bytes. Add padding")
    return [_describe_field(dtype, name) for name in names]


def _describe_field(dtype: np.dtype[Any], name: str) -> FieldDescription:
    base, offset = dtype.fields[name][:2]  # type: ignore[index]
    kind, shape = base.base, base.shape
    if not _TYPES.fullmatch(kind.str):
        raise DataInvalid(f"field {name!r} is {kind.str!r}; a tape keeps little-endian integers, floats and booleans")
    return FieldDescription(name, kind.str, offset, list(shape))


def record_type(description: Description) -> np.dtype[Any]:
    """Return the NumPy type that a description stands for."""
    return np.dtype(
        {
            "names": [field.name for field in description.fields],
            "formats": [(field.type, tuple(field.shape)) for field in description.fields],
            "offsets": [field.offset for field in description.fields],
            "itemsize": description.itemsize,
        }
    )


def encode_header(header: Header) -> tuple[bytes, Header]:
    """Return the header's bytes, and the header with its checksum and size filled in."""
    text = msgspec.json.encode(header.description)
    pages = -(-(_JSON_AT + len(text) + SEAL_BYTES) // PAGE)
    raw = bytearray(pages * PAGE)
    start = struct.pack("<8sHH", _MAGIC, FORMAT, pages)
    raw[: _PREFIX.size] = start + struct.pack("<I", crc32c(start))
    numbers = (header.epoch, header.index, header.first_sequence, header.capacity)
    rest = (header.description.itemsize, len(text), header.created_ns, header.boot)
    _FIXED.pack_into(raw, _PREFIX.size, 0, *numbers, *rest)
    raw[_JSON_AT : _JSON_AT + len(text)] = text
    checksum = crc32c(raw[:-SEAL_BYTES])
    struct.pack_into("<I", raw, _PREFIX.size, checksum)
    return bytes(raw), msgspec.structs.replace(header, checksum=checksum, header_bytes=len(raw))


def header_size(start: bytes, where: str) -> int:
    """Return the header's size in bytes, from the first 16 bytes of a file.

    Raises
    ------
    RecordCorrupt
        These bytes are damaged.
    RecordNewer
        They are whole, and name a format that this release does not know.
    """
    if len(start) < _PREFIX.size:
        raise RecordCorrupt(f"{where}: the header is cut off after {len(start)} bytes")
    magic, number, pages, checksum = _PREFIX.unpack_from(start)
    if magic != _MAGIC or crc32c(bytes(start[:12])) != checksum or pages < 1:
        raise RecordCorrupt(f"{where}: the first 16 bytes are not the start of a tape segment")
    if number > FORMAT:
        raise RecordNewer(f"{where}: written in tape format {number}, this release reads up to {FORMAT}. Upgrade")
    return int(pages) * PAGE


def decode_header(raw: bytes, where: str) -> Header:
    """Read a header's bytes; `where` names the file in errors.

    Raises
    ------
    RecordCorrupt
        They are damaged.
    RecordNewer
        They were written by a newer release.
    """
    size = header_size(raw[: _PREFIX.size], where)
    if len(raw) < size:
        raise RecordCorrupt(f"{where}: the header is cut off after {len(raw)} of {size} bytes")
    body = bytearray(raw[: size - SEAL_BYTES])
    checksum, *numbers = _FIXED.unpack_from(raw, _PREFIX.size)
    struct.pack_into("<I", body, _PREFIX.size, 0)
    if crc32c(body) != checksum:
        raise RecordCorrupt(f"{where}: the header's checksum differs")
    epoch, index, first, capacity, _, length, created, boot = numbers
    description = msgspec.json.decode(bytes(body[_JSON_AT : _JSON_AT + length]), type=Description)
    return Header(
        epoch=epoch,
        index=index,
        first_sequence=first,
        capacity=capacity,
        created_ns=created,
        boot=boot,
        description=description,
        checksum=checksum,
        header_bytes=size,
    )


def encode_seal(seal: Seal, header: Header) -> bytes:
    """Return the seal's bytes; they belong at ``header.header_bytes - SEAL_BYTES``."""
    body = struct.pack("<8sQQq", _SEAL_MAGIC, seal.records, seal.last_sequence, seal.sealed_ns)
    return (body + struct.pack("<I", crc32c(body, header.checksum))).ljust(SEAL_BYTES, b"\0")


def decode_seal(raw: bytes, header: Header, where: str) -> Seal | None:
    """Read a seal's bytes; None while the segment is not sealed.

    Raises
    ------
    RecordCorrupt
        They are neither zero nor a whole seal.
    """
    if not any(raw):
        return None
    magic, records, last, sealed, checksum = _SEAL.unpack_from(raw)
    whole = magic == _SEAL_MAGIC and crc32c(raw[: _SEAL.size - 4], header.checksum) == checksum
    if not whole or any(raw[_SEAL.size :]) or records > header.capacity:
        raise RecordCorrupt(f"{where}: the seal is damaged")
    return Seal(records=records, last_sequence=last, sealed_ns=sealed)


def capacity_of(nominal_bytes: int, itemsize: int) -> int:
    """Return how many records a segment of about so many bytes takes; at least one."""
    return max((nominal_bytes - PAGE) // itemsize, 1)


def next_bytes(size: int, segment_bytes: int) -> int:
    """Return the nominal size of the segment after one of `size` bytes (0 for the first), at most `segment_bytes`."""
    nominal = FIRST_BYTES if not size else 2 * FIRST_BYTES
    while size and nominal < 2 * size:
        nominal *= 2
    return min(nominal, segment_bytes)


def segment_name(index: int) -> str:
    """Return the file name of a stream's segment."""
    return f"{index:08d}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments in one stream's folder, oldest first; none where there is no folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a tape may have thousands, and names are ten times as cheap as paths
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX))


def segment_paths(folder: Path) -> list[Path]:
    """Return the segments of one stream's folder, oldest first."""
    return [folder / segment_name(index) for index in segment_numbers(folder)]
