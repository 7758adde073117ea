"""The season of the week: what is usual of a feature at each hour of the week, so that a Monday open is no change.

Idea:   each hour of each day is one visit. Means of visits are compared by hour of the day, then by hour of the week,
        and count only as far as they differ by more than the same days do when turned or shuffled, so a persistent
        feature gets no season by chance. The sizes about them are treated alike, on their logarithms.
Flow:   rows + times -> visits (days, 24) -> shrunken means, and sizes -> a factor and an offset an hour and a feature.
Time:   hours of the week by the clocks of one time zone, summer time included, so that a market which opens by them
        opens at the same hour all year; UTC unless a training says otherwise.
Undefined: with fewer than two weeks of days there is no season, with fewer than four no difference between weekdays. A
        feature of few values, or one that the hours say nearly all of (a clock), is left as it is.
Units:  what is left is in the feature's own units, as at a usual hour.
Reference: Efron and Morris (1972), limited translation: no mean is shrunk by more than its standard error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel
from tradeworthy.core.time import NS_PER_HOUR, wall_clock_ns, zone_of

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

DAY, WEEK = 24, 168
"""Hours."""

DAYS_MIN, WEEKDAYS_MIN = 14, 28
"""Days with rows, without which there is no season of the day, of the week."""

SHUFFLES = 99
"""Means count if they differ by more than those of so many shuffles; one in a hundred does by chance."""

CODES_MAX = 8
"""A feature of no more different values is one of codes."""

UTC = "UTC"

CLOCK = 0.95
"""A feature of which the hours explain more of the variance is a clock."""


@dataclass(frozen=True, eq=False, slots=True)
class Season:
    """What makes a feature's values comparable between the hours of a week: ``value * factor + offset``.

    Attributes
    ----------
    factors, offsets : (168, n) float64
        By hour of the week, counted from Thursday 00:00; (0, n) where times are not known. 1 and 0 change nothing.
    time_zone : str
        By whose clocks hours are told, an IANA name.
    """

    factors: Floats
    offsets: Floats
    time_zone: str = UTC

    @classmethod
    def unknown(cls, n_features: int) -> Self:
        """Return the season of rows whose times nobody kept."""
        return cls(np.empty((0, n_features)), np.empty((0, n_features)))

    @classmethod
    def of(cls, rows: Floats, ts_ns: Longs, rng: np.random.Generator, time_zone: str = UTC) -> Self:
        """Learn from (m, n) rows and the (m,) times of their events, in UTC nanoseconds, by a time zone's clocks."""
        hours = wall_clock_ns(np.asarray(ts_ns, np.int64), time_zone) // NS_PER_HOUR
        factors, offsets = np.ones((WEEK, rows.shape[1])), np.zeros((WEEK, rows.shape[1]))
        days, day = np.unique(hours // DAY, return_inverse=True)
        if len(days) >= DAYS_MIN:
            visits = _Visits(day * DAY + hours % DAY, days % 7, hours % WEEK)
            for column in range(rows.shape[1]):
                factors[:, column], offsets[:, column] = _of_one(np.ascontiguousarray(rows[:, column]), visits, rng)
        return cls(factors, offsets, time_zone)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read what `to_arrays` wrote, now or before seasons had a time zone: then it was UTC.

        Raises
        ------
        ValueError
            It names no time zone that is known here.
        """
        time_zone = arrays["time_zone"].astype(np.uint8).tobytes().decode("ascii") if "time_zone" in arrays else UTC
        _ = zone_of(time_zone)
        return cls(arrays["factors"], arrays["offsets"], time_zone)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Write it as arrays; the letters of the time zone too, unless it is UTC, so that what was signed stays."""
        named = {} if self.time_zone == UTC else {"time_zone": np.frombuffer(self.time_zone.encode("ascii"), np.uint8)}
        return {"factors": self.factors, "offsets": self.offsets} | named

    @property
    def is_known(self) -> bool:
        """Whether the times of the training rows were kept."""
        return len(self.factors) > 0

    @property
    def changes(self) -> npt.NDArray[np.bool_]:
        """Return (n,) true where a feature has a season."""
        changed: npt.NDArray[np.bool_] = ((self.factors != 1.0) | (self.offsets != 0.0)).any(axis=0)
        return changed

    def taken_out(self, rows: Floats, ts_ns: Longs) -> Floats:
        """Return (m, n) rows as they would be at a usual hour; the very rows, if no feature has a season."""
        if not self.changes.any():
            return rows
        level = np.empty(rows.shape)
        shown = np.ascontiguousarray(wall_clock_ns(ts_ns, self.time_zone))
        _take_out(np.ascontiguousarray(rows), shown, self.factors, self.offsets, level)
        return level


@kernel
def _take_out(rows: Floats, ts_ns: Longs, factors: Floats, offsets: Floats, level: Floats) -> None:
    """Write (m, n) rows with the season of their hours taken out."""
    for i in range(rows.shape[0]):
        hour = ts_ns[i] // NS_PER_HOUR % WEEK
        for j in range(rows.shape[1]):
            level[i, j] = rows[i, j] * factors[hour, j] + offsets[hour, j]


@dataclass(frozen=True, slots=True)
class _Visits:
    """Where (m,) rows belong: in which cell of (days, 24), on which weekday each day is, at which hour of the week."""

    cell: Longs
    weekday: Longs
    hour: Longs

    def means(self, values: Floats) -> Floats:
        """Return the (days, 24) means of values; NaN where a day has no row at that hour."""
        size = len(self.weekday) * DAY
        counts = np.bincount(self.cell, minlength=size)
        sums = np.bincount(self.cell, values, size)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(-1, DAY)


def _of_one(values: Floats, visits: _Visits, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the (168,) factors and offsets of one feature."""
    plain = np.ones(WEEK), np.zeros(WEEK)
    if len(np.unique(values)) <= CODES_MAX:
        return plain
    bounded = np.clip(values, *np.quantile(values, (0.001, 0.999)))
    shift = _usual(visits.means(bounded), visits.weekday, rng)
    left = bounded - shift[visits.hour]
    if left.var() < (1.0 - CLOCK) * bounded.var():
        return plain
    middle = float(left.mean())
    sizes = np.abs(left - middle)
    usual = _usual(np.log(visits.means(sizes) + 1e-3 * sizes.mean()), visits.weekday, rng)
    factors = np.exp(-usual)
    factors *= sizes.mean() / (sizes * factors[visits.hour]).mean()
    if not shift.any() and not usual.any():
        return plain
    return factors, middle - (middle + shift) * factors


def _usual(visits: Floats, weekday: Longs, rng: np.random.Generator) -> Floats:
    """Return how far (168,) hours of the week lie from the mean, given (days, 24) visits."""
    still = np.zeros(len(weekday), np.int64)
    turned = [rng.integers(0, DAY, len(weekday)) for _ in range(SHUFFLES)]
    of_day = _shrunken(visits, still, [_cells(visits, still, shift) for shift in turned])
    if len(weekday) < WEEKDAYS_MIN:
        return np.tile(of_day, WEEK // DAY)
    left = visits - of_day
    shuffled = [rng.permutation(weekday) for _ in range(SHUFFLES)]
    of_week = _shrunken(left, weekday, [_cells(left, days, still) for days in shuffled])
    of_week = np.concatenate([of_week, np.zeros(WEEK - len(of_week))])
    return np.tile(of_day, WEEK // DAY) + of_week


def _shrunken(visits: Floats, groups: Longs, chance: list[tuple[Floats, Floats]]) -> Floats:
    """Return the means of the cells (groups, 24) as far as they differ by more than those of `chance`; 0 if not."""
    sums, counts = _cells(visits, groups, np.zeros(len(groups), np.int64))
    means, seen = _distances(sums, counts), counts > 0
    between = float(np.sum(counts * means**2))
    by_chance = [float(np.sum(c * _distances(s, c) ** 2)) for s, c in chance]
    if between <= max(by_chance):
        return np.zeros(len(means))
    noise = float(np.mean(by_chance)) / max(1, int(seen.sum())) / np.maximum(counts, 1.0)
    excess = (between - float(np.mean(by_chance))) / counts.sum()
    kept = np.maximum(np.abs(means) * excess / (excess + noise), np.abs(means) - np.sqrt(noise))
    usual: Floats = np.sign(means) * kept
    return usual


def _distances(sums: Floats, counts: Floats) -> Floats:
    """Return how far the means of cells lie from the mean of all; 0 for an empty cell."""
    far: Floats = np.where(counts > 0, sums / np.maximum(counts, 1.0) - sums.sum() / counts.sum(), 0.0)
    return far


@kernel
def _cells(visits: Floats, groups: Longs, shifts: Longs) -> tuple[Floats, Floats]:
    """Return sums and counts of (days, 24) visits by their day's group and their hour, each day turned by a shift."""
    sums = np.zeros((int(groups.max()) + 1) * DAY)
    counts = np.zeros(len(sums))
    for day in range(visits.shape[0]):
        for hour in range(DAY):
            value = visits[day, (hour + shifts[day]) % DAY]
            if np.isfinite(value):
                sums[groups[day] * DAY + hour] += value
                counts[groups[day] * DAY + hour] += 1.0
    return sums, counts
