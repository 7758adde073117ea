"""Arrays as bytes: an uncompressed .npz that is the same bytes every time, and is read with suspicion.

Idea:   a bundle's files are hashed, so writing must be repeatable (fixed dates, order as given, nothing compressed);
        they may be hostile, so reading refuses pickles, compression, doubled names and sizes over the cap before
        an array is made. Anyone can open the file with ``numpy.load``.
"""

import io
import math
import zipfile
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import BundleRefused

AnyArray = npt.NDArray[np.generic]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
ARRAYS_BYTES_MAX = 512 * 1024 * 1024


def pack(arrays: Mapping[str, AnyArray]) -> bytes:
    """Write named arrays as the bytes of an .npz file; the same arrays give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH), member.getvalue())
    return target.getvalue()


def unpack(data: bytes, what: str, *, expected: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, AnyArray]:
    """Read the bytes of an .npz file that must hold exactly the expected arrays, and may hold the optional ones.

    Parameters
    ----------
    data : bytes
        The file's bytes, already verified where they came from a bundle.
    what : str
        The file's name, for messages.
    expected, optional : tuple of str
        Names of the arrays it must hold, and of those it may hold; no others.

    Raises
    ------
    BundleRefused
        It is not such a file, or holds a pickle, a compressed member, or more than is allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = (*expected, *(name for name in optional if f"{name}.npy" in archive.namelist()))
            _check_members(archive, what, names)
            return {name: _read(archive.read(f"{name}.npy"), f"{what}: {name}") for name in names}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise BundleRefused(f"{what} is not a readable array file: {error}; write the version again") from error


def _check_members(archive: zipfile.ZipFile, what: str, expected: tuple[str, ...]) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    allowed = [f"{name}.npy" for name in expected]
    if sorted(names) != sorted(allowed):
        raise BundleRefused(f"{what} holds {sorted(names)}, allowed are exactly {sorted(allowed)}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BundleRefused(f"{what} is compressed, allowed are stored arrays only")
    size = sum(member.file_size for member in members)
    if size > ARRAYS_BYTES_MAX:
        raise BundleRefused(f"{what} holds {size} bytes of arrays, allowed are {ARRAYS_BYTES_MAX}")


def _read(member: bytes, what: str) -> AnyArray:
    """Read one .npy, believing its header only where the bytes bear it out: no memory is made on its word."""
    stream = io.BytesIO(member)
    try:
        version = np.lib.format.read_magic(stream)
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError) as error:
        raise BundleRefused(f"{what} is not a plain array: {error}") from error
    start = stream.tell()
    if version != (1, 0) or dtype.hasobject or by_column or any(length < 0 for length in shape):
        raise BundleRefused(f"{what} is not a plain array: {dtype} of shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(member) - start:
        raise BundleRefused(f"{what} is not a plain array: {dtype} of shape {shape} in {len(member) - start} bytes")
    return np.frombuffer(member, dtype, offset=start).reshape(shape).copy()
