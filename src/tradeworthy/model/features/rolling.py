"""Memory of a window: sums that do not drift, extremes in constant time, exponential averages.

Idea:       windows over one input share its history ring; a sum takes in the value that enters and takes off the one
            that leaves (`exact`), an extreme keeps a queue of the positions that may still win.
State:      `memory` holds the operation's floats from `at` on; queues and counts are in `words`.
Undefined:  a value that is not usable (NaN, infinite, beyond `USABLE_MAX`) counts as 0 in a sum; the caller answers
            NaN until it has left the window.
Reference:  the ascending-minima queue for extremes; West (1979) for the exponentially weighted variance.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

import math

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import inlined
from tradeworthy.model.features.exact import Floats, central_moment, replace, replace_product, square_moment

Words = npt.NDArray[np.int64]

USABLE_MAX = 1e150
"""Larger values have no float64 square; windows treat them as undefined."""


@inlined
def is_usable(x: float) -> bool:
    """Say whether a value may enter a window."""
    return abs(x) <= USABLE_MAX


@inlined
def usable(x: float) -> float:
    """Return what a sum takes in for a value: 0 for an undefined one."""
    return x if abs(x) <= USABLE_MAX else 0.0


@inlined
def is_renewal(words: Words, at: int, n: int) -> bool:
    """Count an event of a window; say once every `n` events that its sums are to be renewed."""
    words[at] += 1
    if words[at] < n:
        return False
    words[at] = 0
    return True


@inlined
def rolling_sum(memory: Floats, at: int, entering: float, leaving: float, renew: bool) -> float:  # noqa: FBT001
    """Return the sum of the window."""
    replace(memory, at, usable(entering), usable(leaving), renew)
    total: float = memory[at] + memory[at + 1]
    return total


@inlined
def deviation(memory: Floats, at: int, entering: float, leaving: float, n: int, renew: bool) -> float:  # noqa: FBT001
    """Return the sample standard deviation (n - 1) of the window; the sum is at `at`, that of squares after it."""
    entering, leaving = usable(entering), usable(leaving)
    replace(memory, at, entering, leaving, renew)
    replace_product(memory, at + 4, entering, entering, leaving, leaving, renew)
    return math.sqrt(square_moment(memory, at, at + 4, n) / (float(n) * (n - 1)))


@inlined
def distance(memory: Floats, at: int, entering: float, leaving: float, n: int, renew: bool) -> float:  # noqa: FBT001
    """Return how many standard deviations the newest value lies from the window's mean; NaN where nothing moves."""
    spread = deviation(memory, at, entering, leaving, n, renew)
    mean = (memory[at] + memory[at + 1]) / n
    return (entering - mean) / spread if spread > 0.0 else math.nan


@inlined
def correlation(
    memory: Floats,
    at: int,
    x: float,
    y: float,
    x_leaving: float,
    y_leaving: float,
    n: int,
    renew: bool,  # noqa: FBT001
) -> float:
    """Return Pearson's correlation over the window; NaN where one side does not move.

    Five sums: of x, y, x², y², xy. A pair counts only where both sides are usable.
    """
    if not (is_usable(x) and is_usable(y)):
        x, y = 0.0, 0.0
    if not (is_usable(x_leaving) and is_usable(y_leaving)):
        x_leaving, y_leaving = 0.0, 0.0
    replace(memory, at, x, x_leaving, renew)
    replace(memory, at + 4, y, y_leaving, renew)
    replace_product(memory, at + 8, x, x, x_leaving, x_leaving, renew)
    replace_product(memory, at + 12, y, y, y_leaving, y_leaving, renew)
    replace_product(memory, at + 16, x, y, x_leaving, y_leaving, renew)
    spread = math.sqrt(square_moment(memory, at, at + 8, n)) * math.sqrt(square_moment(memory, at + 4, at + 12, n))
    if spread == 0.0:
        return math.nan
    return min(max(central_moment(memory, at, at + 4, at + 16, n) / spread, -1.0), 1.0)


@inlined
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
    return numbers[ring + (words[slots + (head & mask)] & mask)] if head < tail else math.nan


@inlined
def exponential(memory: Floats, at: int, words: Words, seen: int, x: float, weight: float, n: int) -> float:
    """Return the exponential average, which starts at the first value; NaN until `n` values were seen."""
    if not is_usable(x):
        return math.nan
    words[seen] += 1
    memory[at] = x if words[seen] == 1 else memory[at] + weight * (x - memory[at])
    return memory[at] if words[seen] >= n else math.nan


@inlined
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
