"""Checkpoints: the engine's state at one sequence, as named arrays in one checked file.

Idea:   replay starts from a checkpoint instead of from the beginning. A checkpoint is a convenience, never evidence:
        one that is damaged or ahead of the tape is passed over for the one before.
Shape:  16 bytes (magic, format, bytes of JSON), the JSON (sequence, and name, type, shape, offset of each array), the
        arrays' bytes, and a CRC-32C over all of it.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, RecordCorrupt, RecordNewer
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk, write_whole

FOLDER = "checkpoints"
_FORMAT = 1
_MAGIC = b"TRDWCKPT"
_START = struct.Struct("<8sII")

State = dict[str, npt.NDArray[Any]]
"""Named arrays."""


class _Array(msgspec.Struct, frozen=True):
    name: str
    type: Any  # a NumPy type string, or the field list of a record type
    shape: list[int]
    offset: int


class _Contents(msgspec.Struct, frozen=True):
    sequence: int
    arrays: list[_Array]


def encode_checkpoint(sequence: int, state: Mapping[str, npt.ArrayLike]) -> bytes:
    """Return a checkpoint's bytes.

    Raises
    ------
    DataInvalid
        An array holds objects.
    """
    arrays, parts, offset = [], [], 0
    for name, value in state.items():
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise DataInvalid(f"checkpoint array {name!r} holds objects; allowed are numbers, strings and records")
        kind = array.dtype.str if array.dtype.names is None else array.dtype.descr
        arrays.append(_Array(name, kind, list(array.shape), offset))
        parts.append(array.tobytes())
        offset += array.nbytes
    text = msgspec.json.encode(_Contents(sequence, arrays))
    body = b"".join((_START.pack(_MAGIC, _FORMAT, len(text)), text, *parts))
    return body + struct.pack("<I", crc32c(body))


def _tuples(kind: Any) -> Any:
    """Give back the tuples that JSON turned into lists in a record type's description."""
    if isinstance(kind, str):
        return kind
    return [(f[0], _tuples(f[1]), *(tuple(shape) for shape in f[2:])) for f in kind]


def decode_checkpoint(raw: bytes, where: str) -> tuple[int, State]:
    """Return a checkpoint's sequence and arrays; `where` names the file in errors.

    Raises
    ------
    RecordCorrupt
        The bytes are damaged.
    RecordNewer
        A newer release wrote them.
    """
    if len(raw) < _START.size + 4 or crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise RecordCorrupt(f"{where}: the checkpoint's checksum differs. The one before it will do")
    magic, number, length = _START.unpack_from(raw)
    if magic != _MAGIC:
        raise RecordCorrupt(f"{where}: not a checkpoint")
    if number > _FORMAT:
        raise RecordNewer(f"{where}: checkpoint format {number}, this release reads up to {_FORMAT}. Upgrade")
    contents = msgspec.json.decode(raw[_START.size : _START.size + length], type=_Contents)
    data = memoryview(raw)[_START.size + length : -4]
    return contents.sequence, {array.name: _array(array, data) for array in contents.arrays}


def _array(described: _Array, data: memoryview) -> npt.NDArray[Any]:
    dtype = np.dtype(_tuples(described.type))
    count = int(np.prod(described.shape, dtype=np.int64))
    nbytes = count * dtype.itemsize
    raw = bytearray(data[described.offset : described.offset + nbytes])
    return np.frombuffer(raw, dtype, count).reshape(described.shape) if count else np.empty(described.shape, dtype)


def checkpoint_path(folder: Path, sequence: int) -> Path:
    """Return where the checkpoint at `sequence` is kept in a tape's folder."""
    return folder / FOLDER / f"{sequence:020d}.ckpt"


def write_checkpoint(folder: Path, sequence: int, state: Mapping[str, npt.ArrayLike], disk: Disk) -> Path:
    """Write a checkpoint of the state after the record `sequence`; it is durable after the tape's next sync."""
    path = checkpoint_path(folder, sequence)
    path.parent.mkdir(exist_ok=True)
    write_whole(disk, path, encode_checkpoint(sequence, state), sync=False)
    return path


def checkpoint_paths(folder: Path) -> list[Path]:
    """Return all checkpoints of a tape, oldest first."""
    return sorted((folder / FOLDER).glob("*.ckpt"))


def read_checkpoint(folder: Path, at_or_before: int | None) -> tuple[int, State] | None:
    """Return the newest whole checkpoint at or before a sequence (any, if None); None where there is none."""
    for path in reversed(checkpoint_paths(folder)):
        if at_or_before is not None and int(path.stem) > at_or_before:
            continue
        try:
            return decode_checkpoint(path.read_bytes(), str(path))
        except (RecordCorrupt, FileNotFoundError):
            continue
    return None
