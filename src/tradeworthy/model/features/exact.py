"""Sums of a window that keep 106 bits and forget what has left.

Idea:       a sum is two floats, the rounded total and what rounding lost, so a value that was added is taken off with
            all its digits. Beside it a fresh sum only adds; after a window's length it holds exactly the window, takes
            over, and starts anew. So no trace of a value, not even its rounding, outlives it by more than one window.
State:      four floats: `memory[at]` total, `at + 1` lost, `at + 2` fresh total, `at + 3` fresh lost.
Reference:  Knuth, The Art of Computer Programming 2, 4.2.2 (exact sum); Ogita, Rump and Oishi (2005) for their use.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from tradeworthy.core.kernel import inlined

Floats = npt.NDArray[np.float64]

STILL = 1e-28
"""A variance smaller than this part of the squared mean is rounding, not movement."""


def _multiply_add(_typing: Any, _x: Any, _y: Any, _z: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


multiply_add = cast(Callable[[float, float, float], float], intrinsic(_multiply_add))
"""Return x * y + z, rounded once: one instruction of the processor. For use in kernels only."""


@inlined
def sum_error(x: float, y: float, total: float) -> float:
    """Return exactly what rounding lost in `total = x + y`."""
    part = total - x
    return (x - (total - part)) + (y - part)


@inlined
def accumulate(memory: Floats, at: int, x: float, error: float) -> None:
    """Add `x + error` to the two floats of a sum."""
    before = memory[at]
    total = before + x
    memory[at] = total
    memory[at + 1] += sum_error(before, x, total) + error


@inlined
def replace(memory: Floats, at: int, entering: float, leaving: float, renew: bool) -> None:  # noqa: FBT001
    """Let a value enter the window's sum and another leave; `renew` once every window's length."""
    replace_term(memory, at, entering, 0.0, leaving, 0.0, renew)


@inlined
def replace_product(
    memory: Floats,
    at: int,
    x: float,
    y: float,
    x_leaving: float,
    y_leaving: float,
    renew: bool,  # noqa: FBT001
) -> None:
    """Let the product `x * y` enter the window's sum and another leave, with all their digits."""
    entering = x * y
    leaving = x_leaving * y_leaving
    entering_error = multiply_add(x, y, -entering)
    leaving_error = multiply_add(x_leaving, y_leaving, -leaving)
    replace_term(memory, at, entering, entering_error, leaving, leaving_error, renew)


@inlined
def replace_term(
    memory: Floats,
    at: int,
    entering: float,
    entering_error: float,
    leaving: float,
    leaving_error: float,
    renew: bool,  # noqa: FBT001
) -> None:
    """Let a term (and what rounding lost in it) enter a sum and another leave."""
    change = entering - leaving
    accumulate(memory, at, change, sum_error(entering, -leaving, change) + (entering_error - leaving_error))
    accumulate(memory, at + 2, entering, entering_error)
    if renew:
        memory[at], memory[at + 1] = memory[at + 2], memory[at + 3]
        memory[at + 2], memory[at + 3] = 0.0, 0.0


@inlined
def central_moment(memory: Floats, x: int, y: int, xy: int, n: int) -> float:
    """Return n Σxy - Σx Σy of the sums at `x`, `y`, `xy`: n² times the covariance.

    The two sides agree in most digits where the mean is large beside the spread; both are kept to 106 bits.
    """
    x_high = memory[x] + memory[x + 1]
    x_low = sum_error(memory[x], memory[x + 1], x_high)
    y_high = memory[y] + memory[y + 1]
    y_low = sum_error(memory[y], memory[y + 1], y_high)
    xy_high = memory[xy] + memory[xy + 1]
    xy_low = sum_error(memory[xy], memory[xy + 1], xy_high)
    left = n * xy_high
    right = x_high * y_high
    left_low = multiply_add(float(n), xy_high, -left) + n * xy_low
    right_low = multiply_add(x_high, y_high, -right) + (x_high * y_low + x_low * y_high)
    moment: float = (left - right) + (left_low - right_low)
    return moment


@inlined
def square_moment(memory: Floats, x: int, xx: int, n: int) -> float:
    """Return n Σx² - (Σx)², and exactly 0 where the window does not move (in 14 digits)."""
    moment = central_moment(memory, x, x, xx, n)
    return moment if moment > n * memory[xx] * STILL else 0.0
