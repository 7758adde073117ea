"""One sealed segment as one Parquet file, and back, byte for byte.

Idea:   a column for each field, each in the encoding that fits what it holds; checksums of records are left out, since
        they follow from the rest. Header and seal are kept in the file's metadata, with the SHA-256 of the segment.
        So the segment can be rebuilt exactly, and anybody's Parquet reader can read the columns.
Shape:  one row a record, one row group a file. An array field `values` of n numbers becomes `values_0`, `values_1`, ...
        The tape's `crc` has no column. Booleans are bytes.
Safety: pages carry CRC-32 and are read with verification (headers and footer: see `archived`); what was rebuilt must
        have the SHA-256 of the original.
        Floats keep their very bits: a column in which two NaNs or two zeros differ gets no dictionary.
"""

import hashlib
import math
import zlib
from base64 import b85decode, b85encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tradeworthy.core.errors import UNDECODABLE, RecordNewer
from tradeworthy.record.checksum import checksum_records
from tradeworthy.record.mapped import MappedSegment, Records
from tradeworthy.record.problems import damaged
from tradeworthy.record.segment import Seal, decode_header, record_type

ZSTD_LEVEL = 3
_FORMAT = 1
_KEY = b"tradeworthy"
_CHECKSUM = "crc"
_DICTIONARY_MAX = 1 << 16  # distinct values
_DICTIONARY_SHARE = 8  # records to each distinct value, at least


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a Parquet file says about the segment that it holds.

    Attributes
    ----------
    stream, index : str, int
        Which segment it was.
    records, first_sequence, last_sequence : int
        What it holds.
    created_ns, sealed_ns : int
        When it was begun and ended, UTC nanoseconds.
    size, sha256 : int, str
        Of the segment's file, all of its bytes.
    header : str
        The segment's header and seal: zlib, base 85.
    """

    stream: str
    index: int
    records: int
    first_sequence: int
    last_sequence: int
    created_ns: int
    sealed_ns: int
    size: int
    sha256: str
    header: str
    format: int = _FORMAT


class Column(NamedTuple):
    """A column: its name, the field that it comes from, and the place in it where that is an array."""

    name: str
    field: str
    place: int | None


def columns(dtype: np.dtype[Any]) -> Iterator[Column]:
    """Yield the columns of a record type."""
    for name in dtype.names or ():
        shape = dtype.fields[name][0].shape if dtype.fields else ()
        if shape:
            yield from (Column(f"{name}_{place}", name, place) for place in range(int(np.prod(shape))))
        elif name != _CHECKSUM:
            yield Column(name, name, None)


def arrow_table(records: Records) -> pa.Table:
    """Return records as a table of columns, copied."""
    names = list(columns(records.dtype))
    return pa.table({column.name: pa.array(_values(records, column)) for column in names})


def _field(records: Records, column: Column) -> npt.NDArray[Any]:
    """Return the (n,) view of the records that a column stands for; booleans as bytes."""
    field = records[column.field]
    view = field if column.place is None else field.reshape(len(records), math.prod(field.shape[1:]))[:, column.place]
    return view.view(np.uint8) if view.dtype == np.bool_ else view


def _values(records: Records, column: Column) -> npt.NDArray[Any]:
    return np.ascontiguousarray(_field(records, column))


def encode_segment(segment: MappedSegment, seal: Seal, *, level: int = ZSTD_LEVEL) -> bytes:
    """Return a sealed segment as the bytes of a Parquet file."""
    records = segment.records[: seal.records]
    header = segment.header
    content = segment.content
    contents = Contents(
        stream=header.description.stream,
        index=header.index,
        records=seal.records,
        first_sequence=header.first_sequence,
        last_sequence=seal.last_sequence,
        created_ns=header.created_ns,
        sealed_ns=seal.sealed_ns,
        size=header.size,
        sha256=hashlib.sha256(content).hexdigest(),
        header=b85encode(zlib.compress(content[: header.header_bytes], 9)).decode(),
    )
    table = arrow_table(records)
    dictionary, encodings = _encodings(table)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=dictionary,
        column_encoding=encodings,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=max(seal.records, 1))
        writer.add_key_value_metadata({_KEY: msgspec.json.encode(contents)})
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _encodings(table: pa.Table) -> tuple[list[str], dict[str, str]]:
    """Choose for every column: a dictionary where few values recur, else differences, or bytes split by place."""
    dictionary, encodings = list[str](), dict[str, str]()
    for name in table.column_names:
        values = table[name].to_numpy()
        if _recurs(values):
            dictionary.append(name)
        elif values.dtype.kind == "f":
            encodings[name] = "BYTE_STREAM_SPLIT"
        elif values.dtype.itemsize >= 4:
            encodings[name] = "DELTA_BINARY_PACKED"
    return dictionary, encodings


def _recurs(values: npt.NDArray[Any]) -> bool:
    """Tell whether a dictionary is small, and gives back every bit."""
    bits = pa.array(values.view(f"u{values.dtype.itemsize}")).unique().to_numpy()
    if not 0 < bits.size <= min(_DICTIONARY_MAX, max(values.size // _DICTIONARY_SHARE, 1)):
        return False
    if values.dtype.kind != "f":
        return True
    floats = bits.view(values.dtype)
    return int(np.isnan(floats).sum()) <= 1 and int((floats == 0.0).sum()) <= 1


def read_contents(path: Path) -> Contents:
    """Return what a Parquet file says about itself, from its footer alone.

    Raises
    ------
    RecordCorrupt
        It cannot be read, or is not an archived segment.
    RecordNewer
        A newer release wrote it.
    """
    try:
        return _contents(pq.read_metadata(path).metadata, path)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def _contents(metadata: dict[bytes, bytes] | None, path: Path) -> Contents:
    raw = (metadata or {}).get(_KEY, b"")
    try:
        number = msgspec.json.decode(raw).get("format", 0)
        if number > _FORMAT:
            raise RecordNewer(f"{path}: an archive of format {number}, this release reads up to {_FORMAT}. Upgrade")
        return msgspec.json.decode(raw, type=Contents)
    except (*UNDECODABLE, AttributeError, TypeError) as error:
        raise damaged(path, error) from error


def decode_segment(data: bytes, path: Path) -> bytes:
    """Rebuild a segment's file from the bytes of its Parquet file; `path` names that in errors.

    Raises
    ------
    RecordCorrupt
        A page's checksum is wrong, or what was rebuilt is not what was archived.
    RecordNewer
        A newer release wrote it.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False) as file:
            contents = _contents(file.metadata.metadata, path)
            content = _rebuild(contents, file.read(use_threads=False), path)
    except (pa.ArrowException, OSError, KeyError, ValueError, zlib.error) as error:
        raise damaged(path, error) from error
    if hashlib.sha256(content).hexdigest() != contents.sha256:
        raise damaged(path, "what it rebuilds is not the segment that was archived")
    return content


def _rebuild(contents: Contents, table: pa.Table, path: Path) -> bytes:
    raw = zlib.decompress(b85decode(contents.header))
    header = decode_header(raw, str(path))
    dtype = record_type(header.description)
    records = np.zeros(contents.records, dtype)
    for column in columns(dtype):
        _field(records, column)[:] = table.column(column.name).to_numpy()
    checksum_records(records.view(np.uint64), dtype.itemsize // 8, header.checksum)
    whole = raw + records.tobytes()
    return whole + bytes(header.size - len(whole))
