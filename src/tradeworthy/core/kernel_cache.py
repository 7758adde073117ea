"""Where the machine code of a kernel is kept, and when it is too old.

Idea:   a kernel's code depends on its own module and on what that module imports from this package, values included.
        So each module has a folder named by the digest of exactly these sources: a change compiles anew what depends on
        it and nothing else, and the same sources share their code wherever they are checked out.
State:  ``~/.cache/tradeworthy/kernels-<runtime>/<module>-<digest>/``; it may be deleted at any time.
"""

import hashlib
import os
import platform
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Self

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import caching

PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(
    r"^(?:from\s+tradeworthy([\w.]*)\s+import\s+(\([^)]*\)|[^\n]+)|import\s+tradeworthy([\w.]*))", re.MULTILINE
)


@cache
def fingerprint() -> str:
    """Name what the last bit of a result depends on: library versions and processor.

    Returns
    -------
    str
        For example ``numba 0.68.1, llvmlite 0.50.0, numpy 2.4.6, x86_64 znver3``.
    """
    return (
        f"numba {numba.__version__}, llvmlite {llvmlite.__version__}, numpy {np.__version__}, "
        f"{platform.machine()} {llvm.get_host_cpu_name()}"
    )


@cache
def cache_folder() -> Path:
    """Return the folder of all compiled kernels of this runtime."""
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base is None:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradeworthy")
    return Path(base) / f"kernels-{hashlib.sha256(fingerprint().encode()).hexdigest()[:8]}"


def imported_files(text: str) -> set[Path]:
    """Return the files of this package that a module's text imports at its top level."""
    found = set()
    for names, members, plain in _IMPORT.findall(text):
        place = PACKAGE.joinpath(*(names or plain).strip(".").split("."))
        words = re.findall(r"\w+", re.sub(r"#.*", "", members))
        found.update({place.with_suffix(".py"), place / "__init__.py", *(place / f"{word}.py" for word in words)})
    return {path for path in found if path.is_file()}


@cache
def _read(path: Path) -> tuple[bytes, frozenset[Path]]:
    text = path.read_bytes()
    return text, frozenset(imported_files(text.decode("utf-8")))


@cache
def digest_of(path: Path) -> str:
    """Return the SHA-256, hexadecimal, of a source file and of every file of this package that it depends on."""
    known: set[Path] = set()
    waiting = [path]
    while waiting:
        source = waiting.pop()
        if source not in known:
            known.add(source)
            waiting.extend(_read(source)[1] - known)
    parts = sorted(hashlib.sha256(_read(source)[0]).digest() for source in known)
    return hashlib.sha256(b"".join(parts)).hexdigest()


class ModuleCache(caching.UserProvidedCacheLocator):
    """Numba's question where to keep a function's code, answered by the digest of what it depends on.

    Parameters
    ----------
    py_func : function
        The kernel.
    py_file : str
        Where it is written.
    """

    def __init__(self, py_func: Callable[..., object], py_file: str) -> None:
        path = Path(py_file)
        self._digest = digest_of(path)
        self._lineno = py_func.__code__.co_firstlineno
        self._cache_path = str(cache_folder() / f"{path.parent.name}.{path.stem}-{self._digest[:16]}")

    def get_source_stamp(self) -> str:
        """Return what tells an older source: the digest."""
        return self._digest

    def ensure_cache_path(self) -> None:
        """Make the folder; numba would also write a file into it for every kernel, at every start."""
        Path(self._cache_path).mkdir(parents=True, exist_ok=True)
        if not os.access(self._cache_path, os.W_OK):
            raise PermissionError(f"{self._cache_path} cannot be written")

    @classmethod
    def from_function(cls, py_func: Callable[..., object], py_file: str) -> Self | None:
        """Return the place for a function written in a file; None if there is no such file, or no place."""
        if not Path(py_file).exists():
            return None
        located = cls(py_func, py_file)
        try:
            located.ensure_cache_path()
        except OSError:
            return None
        return located


def keep_by_content() -> None:
    """Make numba ask `ModuleCache` first, and its own ways where that has no answer."""
    places = [f"{ModuleCache.__module__}.{ModuleCache.__qualname__}"]
    places += [f"numba.core.caching.{each.__name__}" for each in caching.CacheImpl._locator_classes]  # noqa: SLF001
    numba.config.CACHE_LOCATOR_CLASSES = ",".join(places)  # type: ignore[attr-defined]  # set by numba at run time
