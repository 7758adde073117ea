"""Memory of a window: sums that do not drift, extremes in constant time, exponential averages.

Idea:       windows over one input share its history ring. A sum adds the value that enters and takes off the one that
            leaves; sums are kept in two floats (106 bits), so what was added is taken off again, and after ten
            million steps, or after a spike a million times too large, the window's own digits are still there.
State:      `memory` is the operation's floats, starting at `at`. Extremes keep positions in `words`.
Undefined:  a value that is not usable (NaN, infinite, beyond `USABLE_MAX`) enters no sum; the caller answers NaN
            until it has left the window.
Reference:  Knuth (1969) and Dekker (1971) for exact sums and products; the ascending-minima queue for extremes.
"""

import math

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.int64]

USABLE_MAX = 1e150
"""Larger values have no float64 square; windows treat them as undefined."""

_SPLITTER = 134217729.0  # 2**27 + 1 halves the digits of a float64


@kernel
def is_usable(x: float) -> bool:
    """Say whether a value may enter a window."""
    return abs(x) <= USABLE_MAX


@kernel
def accumulate(memory: Floats, at: int, x: float, error: float) -> None:
    """Add `x + error` to the sum kept in `memory[at]` (rounded) and `memory[at + 1]` (what rounding lost)."""
    high = memory[at]
    total = high + x
    part = total - high
    low = memory[at + 1] + ((high - (total - part)) + (x - part) + error)
    rounded = total + low
    memory[at] = rounded
    memory[at + 1] = low - (rounded - total)


@kernel
def product_error(x: float, y: float, product: float) -> float:
    """Return exactly what rounding lost in `product = x * y`."""
    scaled = _SPLITTER * x
    x_high = scaled - (scaled - x)
    x_low = x - x_high
    scaled = _SPLITTER * y
    y_high = scaled - (scaled - y)
    y_low = y - y_high
    return x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)


@kernel
def accumulate_product(memory: Floats, at: int, x: float, y: float, sign: float) -> None:
    """Add (or with `sign` -1 take off) `x * y` with all its digits."""
    product = x * y
    accumulate(memory, at, sign * product, sign * product_error(x, y, product))


@kernel
def central_moment(memory: Floats, x: int, y: int, xy: int, n: int) -> float:
    """Return n Σxy - Σx Σy from the sums at `x`, `y`, `xy`: n² times the covariance, all digits kept until the end."""
    x_high, x_low = memory[x], memory[x + 1]
    y_high, y_low = memory[y], memory[y + 1]
    left = n * memory[xy]
    right = x_high * y_high
    left_error = product_error(float(n), memory[xy], left) + n * memory[xy + 1]
    right_error = product_error(x_high, y_high, right) + (x_high * y_low + x_low * y_high)
    return (left - right) + (left_error - right_error)


@kernel
def rolling_sum(memory: Floats, at: int, entering: float, leaving: float) -> float:
    """Return the sum of the window."""
    if is_usable(entering):
        accumulate(memory, at, entering, 0.0)
    if is_usable(leaving):
        accumulate(memory, at, -leaving, 0.0)
    return memory[at]


@kernel
def deviation(memory: Floats, at: int, entering: float, leaving: float, n: int) -> float:
    """Return the sample standard deviation (n - 1) of the window."""
    if is_usable(entering):
        accumulate(memory, at, entering, 0.0)
        accumulate_product(memory, at + 2, entering, entering, 1.0)
    if is_usable(leaving):
        accumulate(memory, at, -leaving, 0.0)
        accumulate_product(memory, at + 2, leaving, leaving, -1.0)
    return math.sqrt(max(central_moment(memory, at, at, at + 2, n), 0.0) / (float(n) * (n - 1)))


@kernel
def _move_pair(memory: Floats, at: int, x: float, y: float, sign: float) -> None:
    """Let a pair enter (`sign` 1) or leave (-1) the five sums of a correlation."""
    if is_usable(x) and is_usable(y):
        accumulate(memory, at, sign * x, 0.0)
        accumulate(memory, at + 2, sign * y, 0.0)
        accumulate_product(memory, at + 4, x, x, sign)
        accumulate_product(memory, at + 6, y, y, sign)
        accumulate_product(memory, at + 8, x, y, sign)


@kernel
def correlation(memory: Floats, at: int, x: float, y: float, x_leaving: float, y_leaving: float, n: int) -> float:
    """Return Pearson's correlation over the window; NaN where one side does not move."""
    _move_pair(memory, at, x, y, 1.0)
    _move_pair(memory, at, x_leaving, y_leaving, -1.0)
    x_spread = central_moment(memory, at, at, at + 4, n)
    y_spread = central_moment(memory, at + 2, at + 2, at + 6, n)
    if not (x_spread > 0.0 and y_spread > 0.0):
        return math.nan
    together = central_moment(memory, at, at + 2, at + 8, n)
    return min(max(together / (math.sqrt(x_spread) * math.sqrt(y_spread)), -1.0), 1.0)


@kernel
def extreme(words: Words, at: int, numbers: Floats, ring: int, mask: int, count: int, n: int, sign: float) -> float:
    """Return the window's largest (`sign` 1) or smallest (-1) value.

    `words[at]` and `words[at + 1]` are the queue's head and tail; then come positions of candidates, best first.
    """
    slots = at + 2
    head, tail = words[at], words[at + 1]
    if head < tail and words[slots + (head & mask)] <= count - n:
        head += 1
    entering = numbers[ring + (count & mask)]
    if is_usable(entering):
        while head < tail and sign * numbers[ring + (words[slots + ((tail - 1) & mask)] & mask)] <= sign * entering:
            tail -= 1
        words[slots + (tail & mask)] = count
        tail += 1
    words[at], words[at + 1] = head, tail
    if head == tail:
        return math.nan
    return numbers[ring + (words[slots + (head & mask)] & mask)]


@kernel
def exponential(memory: Floats, at: int, words: Words, seen: int, x: float, weight: float, n: int) -> float:
    """Return the exponential average, which starts at the first value; NaN until `n` values were seen."""
    if not is_usable(x):
        return math.nan
    words[seen] += 1
    if words[seen] == 1:
        memory[at] = x
    else:
        memory[at] += weight * (x - memory[at])
    return memory[at] if words[seen] >= n else math.nan


@kernel
def ewm_deviation(memory: Floats, at: int, words: Words, seen: int, x: float, weight: float, n: int) -> float:
    """Return the exponentially weighted deviation, its bias removed; NaN until `n` values were seen.

    `memory` holds the mean, the biased variance and the sum of squared weights.
    """
    if not is_usable(x):
        return math.nan
    words[seen] += 1
    if words[seen] == 1:
        memory[at], memory[at + 1], memory[at + 2] = x, 0.0, 1.0
        return math.nan
    keep = 1.0 - weight
    change = x - memory[at]
    memory[at] += weight * change
    memory[at + 1] = keep * (memory[at + 1] + weight * change * change)
    memory[at + 2] = keep * keep * memory[at + 2] + weight * weight
    return math.sqrt(memory[at + 1] / (1.0 - memory[at + 2])) if words[seen] >= n else math.nan
