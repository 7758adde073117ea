"""Calibrations kept on disk by the content of what they depend on, so that a version is calibrated once.

Idea:   a calibration is a pure function of its reference, its settings, the state of its generator and the sources.
        Made in one process it serves all: a watcher that starts again, or meets a new champion, need not look away.
State:  one `.npz` a calibration in the folder that `calibrations_kept` names; without it nothing is kept. The folder
        may be deleted at any time. A file that cannot be read is made again.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel_cache import digest_of

Arrays = dict[str, npt.NDArray[Any]]
_FOLDER: ContextVar[Path | None] = ContextVar("calibrations", default=None)

_UNREADABLE = (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, msgspec.MsgspecError)


class Storable(Protocol):
    """What can be written as arrays and read back."""

    def to_arrays(self) -> Arrays:
        """Write it."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read what `to_arrays` wrote."""


Made = TypeVar("Made", bound=Storable)
Given = ParamSpec("Given")


@contextmanager
def calibrations_kept(folder: Path) -> Iterator[None]:
    """Keep what is calibrated inside the block in a folder, and take from there what was."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def kept(kind: type[Made], source: str) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Keep the results of a calibration, which are of a kind and depend on a source file and all that it imports."""

    def keep(calibrate: Callable[Given, Made]) -> Callable[Given, Made]:
        @wraps(calibrate)
        def calibrated(*args: Given.args, **kwargs: Given.kwargs) -> Made:
            folder = _FOLDER.get()
            if folder is None:
                return calibrate(*args, **kwargs)
            path = folder / f"{_key(source, args, kwargs)}.npz"
            found = _read(path, kind)
            if found is not None:
                return found
            made = calibrate(*args, **kwargs)
            _write(path, made.to_arrays())
            return made

        return calibrated

    return keep


def _key(source: str, *given: object) -> str:
    """Return the digest of everything that a calibration depends on."""
    digest = hashlib.sha256(digest_of(Path(source)).encode())
    digest.update(msgspec.json.encode(given, enc_hook=_plain, order="deterministic"))
    return digest.hexdigest()[:32]


def _plain(value: object) -> object:
    """Write arrays by their bytes, and generators by where they are."""
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.ndarray):
        whole = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), whole]
    raise TypeError(f"a calibration depends on a {type(value).__name__}; say in kept.py how to write it")


def _read(path: Path, kind: type[Made]) -> Made | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return kind.from_arrays({name: file[name] for name in file.files})
    except _UNREADABLE:
        return None


def _write(path: Path, arrays: Arrays) -> None:
    """Write a file whole; two processes that write the same one write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    with fresh.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    fresh.replace(path)
