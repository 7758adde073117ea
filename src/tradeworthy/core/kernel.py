"""How a numeric kernel is compiled, where its machine code is cached, and on what it depends.

Idea:   one decorator for every hot loop, so that flags which decide the last bit are chosen once.
Bits:   no fast-math, so addition is never reordered: one event at a time and a whole batch give the same bits.
Speed:  statements side by side become vectors too (LLVM's SLP pass, as in every C compiler; numba leaves it out).
Errors: NumPy rules (1/0 is inf, 0/0 is NaN); a kernel never raises, undefined values travel as NaN.
Cache:  see `kernel_cache`; a changed kernel never meets old code.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from tradeworthy.core.kernel_cache import keep_by_content

F = TypeVar("F", bound=Callable[..., object])


keep_by_content()
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]  # set by numba at run time


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
