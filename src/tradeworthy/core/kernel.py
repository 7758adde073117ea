"""How a numeric kernel is compiled, where its machine code is cached, and on what it depends.

Idea:   one decorator for every hot loop, so that flags which decide the last bit are chosen once.
Bits:   no fast-math, so addition is never reordered: one event at a time and a whole batch give the same bits.
Speed:  what watches may make vectors of statements side by side (`side_by_side`); what trades does not.
Errors: NumPy rules (1/0 is inf, 0/0 is NaN); a kernel never raises, undefined values travel as NaN.
Cache:  see `kernel_cache`; a changed kernel never meets old code.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.compiler_lock import global_compiler_lock

from tradeworthy.core.kernel_cache import keep_by_content

F = TypeVar("F", bound=Callable[..., object])


keep_by_content()


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


def side_by_side(function: F) -> F:
    """Let a compiled kernel, with all that it takes in, make vectors of statements side by side; the bits are the same.

    That is LLVM's SLP pass, which C compilers run and numba leaves out since a release of LLVM compiled wrongly with
    it. So no kernel has it that an order depends on; tests compare those that have it with plain arithmetic.
    """
    if not hasattr(function, "compile"):  # numba is switched off (NUMBA_DISABLE_JIT)
        return function
    compile_plainly = function.compile

    def compile_with_vectors(signature: object) -> object:
        with global_compiler_lock:
            before, numba.config.SLP_VECTORIZE = numba.config.SLP_VECTORIZE, 1  # type: ignore[attr-defined]
            try:
                return compile_plainly(signature)
            finally:
                numba.config.SLP_VECTORIZE = before  # type: ignore[attr-defined]

    function.compile = compile_with_vectors
    return function


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
