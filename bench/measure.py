"""How a time is taken: call by call, contenders in turn, medians of repeats with an interval that assumes nothing.

Idea:   a shared machine changes from second to second, so contenders take turns within every repeat and only their
        medians over the repeats are compared. Each repeat gives a quantile; the figure is the median of these, and its
        interval comes from their order statistics.
Time:   `perf_counter_ns` between two calls: the loop's own 40 ns or so belong to every contender alike.
Units:  microseconds, or things a second.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value, and the interval in which it lies with at least 95% confidence (all there is, under six repeats)."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Self:
        """Return a value that was counted, not sampled."""
        return cls(value, value, value)

    def times(self, factor: float) -> "Estimate":
        """Return the estimate in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def median_of(values: Sequence[float] | Floats) -> Estimate:
    """Return the median of independent repeats and its distribution-free interval.

    The number of repeats below the true median is binomial, which gives the order statistics to take.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    outside, below = 0, 0.0
    while outside < (n - 1) // 2:
        below += comb(n, outside) / 2**n
        if 2 * below > 1 - CONFIDENCE:
            break
        outside += 1
    place = max(outside - 1, 0)
    return Estimate(float(np.median(ordered)), float(ordered[place]), float(ordered[n - 1 - place]))


def quantile_interval(samples: Floats, share: float) -> Estimate:
    """Return a quantile of one sample and its distribution-free 95% interval, from order statistics."""
    ordered = np.sort(samples)
    spread = 1.96 * np.sqrt(len(ordered) * share * (1 - share))
    low = int(np.clip(len(ordered) * share - spread, 0, len(ordered) - 1))
    high = int(np.clip(len(ordered) * share + spread, 0, len(ordered) - 1))
    return Estimate(float(np.quantile(ordered, share)), float(ordered[low]), float(ordered[high]))


def ratio_of(above: Sequence[float] | Floats, below: Sequence[float] | Floats) -> Estimate:
    """Return the median of the ratios of repeats that were taken in turn."""
    return median_of(np.asarray(above, np.float64) / np.asarray(below, np.float64))


@dataclass(frozen=True)
class Samples:
    """Times of one contender: (repeats, count) microseconds."""

    us: Floats

    def quantile(self, share: float) -> Estimate:
        """Return the median over the repeats of each repeat's quantile."""
        return median_of(np.quantile(self.us, share, axis=1))

    @property
    def medians(self) -> Floats:
        """The (repeats,) medians."""
        return np.median(self.us, axis=1)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the collector off, after one collection."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def times_us(call: Callable[[int], object], count: int) -> Floats:
    """Time `call(i)` for each i below `count`, one by one; (count,) microseconds."""
    stamps = np.empty(count + 1, np.int64)
    clock = time.perf_counter_ns
    with quiet():
        stamps[0] = clock()
        for i in range(count):
            call(i)
            stamps[i + 1] = clock()
    return np.diff(stamps) / 1e3


def in_turn(calls: Mapping[str, Callable[[int], object]], *, count: int, repeats: int) -> dict[str, Samples]:
    """Time contenders in turn, `repeats` times each, after a short warm-up."""
    for call in calls.values():
        times_us(call, min(count, 200))
    taken: dict[str, list[Floats]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name].append(times_us(call, count))
    return {name: Samples(np.array(rows)) for name, rows in taken.items()}


def rates(
    calls: Mapping[str, Callable[[], int]],
    *,
    repeats: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    warm: bool = True,
) -> dict[str, list[float]]:
    """Return the things a second of every repeat; a call returns how many it did. Contenders take turns.

    With ``clock=time.process_time_ns`` a second is one of the processor's, which no neighbour can stretch. Each is
    called once beforehand, unless `warm` is false.
    """
    for call in calls.values() if warm else ():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            with quiet():
                start = clock()
                done = call()
                taken[name].append(done / (clock() - start) * 1e9)
    return taken
