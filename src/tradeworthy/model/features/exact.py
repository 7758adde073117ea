"""Sums of 106 bits: what was added can be taken off again.

Idea:       a sum is two floats, the rounded total and what rounding lost. A window that adds and removes ten million
            values, or meets one a billion times too large, keeps the digits of the values that are in it.
State:      `memory[at]` is the total, `memory[at + 1]` what was lost.
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
def replace(memory: Floats, at: int, entering: float, leaving: float, error: float) -> None:
    """Let a term enter a sum and another leave; `error` is what rounding lost in both."""
    change = entering - leaving
    error += sum_error(entering, -leaving, change)
    before = memory[at]
    total = before + change
    memory[at] = total
    memory[at + 1] += sum_error(before, change, total) + error


@inlined
def replace_product(memory: Floats, at: int, x: float, y: float, x_leaving: float, y_leaving: float) -> None:
    """Let the product `x * y` enter a sum and another leave, with all their digits."""
    entering = x * y
    leaving = x_leaving * y_leaving
    error = multiply_add(x, y, -entering) - multiply_add(x_leaving, y_leaving, -leaving)
    replace(memory, at, entering, leaving, error)


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
