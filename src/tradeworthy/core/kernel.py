"""How a numeric kernel is compiled, where its machine code is cached, and on what it depends.

Idea:   one decorator for every hot loop, so that flags which decide the last bit are chosen once.
Bits:   no fast-math, so addition is never reordered: one event at a time and a whole batch give the same bits.
Errors: NumPy rules (1/0 is inf, 0/0 is NaN); a kernel never raises, undefined values travel as NaN.
Cache:  one folder per digest of all kernel sources and of the runtime, so a changed kernel never meets old code.
"""

import hashlib
import os
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., object])


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
    """Return the folder of compiled kernels for these sources on this runtime."""
    digest = hashlib.sha256(fingerprint().encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        text = source.read_bytes()
        if b"tradeworthy.core.kernel import" in text:
            digest.update(text)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tradeworthy" / f"kernels-{digest.hexdigest()[:16]}"


def kernel(function: F) -> F:
    """Compile `function` with numba: cached on disk, releasing the interpreter lock, IEEE rules."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(function)
    return cast(F, compiled)


def entry(function: F, *examples: object) -> F:
    """Compile `function` for the types of these arguments, and return the call that skips type dispatch.

    A call through numba's dispatcher looks at the type of every argument, which costs more than 1 us where one of
    them is a tuple of arrays. The caller of the returned function promises the same types, dimensions and memory
    layouts as the examples had; nothing checks them again.
    """
    if not hasattr(function, "compile"):  # numba is switched off (NUMBA_DISABLE_JIT)
        return function
    compiled = function.compile(tuple(numba.typeof(example) for example in examples))  # type: ignore[no-untyped-call]
    return cast(F, compiled)


def leaf(function: F) -> F:
    """Compile a kernel that makes no arrays and keeps none: counting references would cost more than its arithmetic."""
    options: dict[str, Any] = {"_nrt": False}
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(F, compiled)


def inlined(function: F) -> F:
    """Compile a small leaf that its callers take in whole, so that the call itself is free."""
    options: dict[str, Any] = {"_nrt": False, "forceinline": True}
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False, **options)(function)
    return cast(F, compiled)


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]  # set by numba at run time
