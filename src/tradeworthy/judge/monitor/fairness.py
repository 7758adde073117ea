"""Group fairness from counts: selection rate, TPR, FPR, calibration by group; differences and ratios with intervals.

Idea:   everything follows from five counts and two sums a group, so it can be kept while streaming. Definitions are
        fairlearn's: a difference is highest minus lowest over groups, a ratio is lowest over highest; equalized odds
        takes the worse of TPR and FPR.
Intervals: Newcombe's for the difference and the log ratio's (with half a case added) between the two extreme groups;
        with overlapping labels counts weigh one in `horizon`. They hold for two groups chosen beforehand; among many
        groups the extremes are chosen by chance, so `z` should be raised (the monitor does).
        Calibration, the mean of scores less labels, has the normal one, of groups of `CALIBRATION_MIN` cases and more.
Undefined: the TPR of a group without positives is NaN and left out of differences, as is its FPR without negatives.
Reference: Hardt, Price and Srebro (2016), equalized odds; Newcombe (1998); Katz and others (1978); Zhao and others
        (2017), bias amplification.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf
from tradeworthy.judge.monitor.class_balance import Z_LEVEL

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

N, SELECTED, POSITIVES, TRUE_POSITIVES, FALSE_POSITIVES = range(5)
COUNTS = 5
NEGATIVES = -1
"""No column: all cases less the positives."""

MISS, MISS_SQUARED = range(2)
"""Columns of the sums: of score less label, and of its square."""

CALIBRATION = "calibration"
CALIBRATION_MIN = 30
RATES: Mapping[str, tuple[int, int]] = {
    "selection_rate": (SELECTED, N),
    "true_positive_rate": (TRUE_POSITIVES, POSITIVES),
    "false_positive_rate": (FALSE_POSITIVES, NEGATIVES),
}
"""Name to numerator and denominator."""

_COLUMNS = (*RATES.values(),)


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One rate of one group with its interval; NaN where there is no case. Calibration has no hits."""

    hits: int
    n: int
    value: float
    low: float
    high: float


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """One rate over all groups: the extreme groups, their difference and ratio, with intervals."""

    rate: str
    highest: str
    lowest: str
    difference: float
    difference_low: float
    difference_high: float
    ratio: float
    ratio_low: float
    ratio_high: float


class FairnessTable(msgspec.Struct, frozen=True, kw_only=True):
    """Rates by group, gaps by rate, and the joint measures.

    Attributes
    ----------
    amplification : dict
        By group: its share of what is selected less its share of the class that training labels show; above 0 the
        model selects of the group more than the labels did. Empty without training labels by group.
    """

    groups: dict[str, dict[str, Rate]]
    gaps: dict[str, Gap]
    demographic_parity_difference: float
    demographic_parity_ratio: float
    equalized_odds_difference: float
    equalized_odds_ratio: float
    amplification: dict[str, float]


def count_groups(groups: Longs, selected: npt.ArrayLike, labels: npt.ArrayLike, n_groups: int) -> Longs:
    """Return (n_groups, 5) counts of (n,) rows: group places, selected or not, labels above 0.5 or not."""
    counts = np.zeros((n_groups, COUNTS), np.int64)
    add_to_groups(groups, np.asarray(selected, np.bool_), np.ascontiguousarray(labels, np.float64), counts)
    return counts


class GroupCounts(NamedTuple):
    """Of each group: its (g, 5) counts, and the (g, 2) sums of how far scores lie above labels, and of its squares."""

    cases: Longs
    misses: Floats

    @classmethod
    def none(cls, groups: int) -> Self:
        """Return the counts of nothing."""
        return cls(np.zeros((groups, COUNTS), np.int64), np.zeros((groups, 2)))

    def add(
        self, groups: Longs, scores: Floats, labels: Floats, cuts: tuple[float, float], window: Self | None = None
    ) -> None:
        """Add (n,) cases one after the other: group places (-1 for none), scores and labels, and where both are cut.

        The counts of a window of the same groups take them too.
        """
        _add_cases(groups, scores, labels, cuts, (self, window or self.none(len(self.cases))))

    def clear(self) -> None:
        """Forget all."""
        self.cases[:], self.misses[:] = 0, 0.0


@leaf
def _add_cases(
    groups: Longs, scores: Floats, labels: Floats, cuts: tuple[float, float], both: tuple[GroupCounts, GroupCounts]
) -> None:
    """Add (n,) cases to both counts of their groups, and how far scores lie above labels to their sums."""
    one, other = both
    for i in range(len(groups)):
        group, yes, rose = groups[i], scores[i] > cuts[0], labels[i] > cuts[1]
        if group >= 0:
            miss = scores[i] - (1.0 if rose else 0.0)
            _count(one.cases, group, yes, rose)
            _count(other.cases, group, yes, rose)
            one.misses[group, MISS] += miss
            one.misses[group, MISS_SQUARED] += miss * miss
            other.misses[group, MISS] += miss
            other.misses[group, MISS_SQUARED] += miss * miss


@leaf
def _count(counts: Longs, group: int, yes: bool, rose: bool) -> None:  # noqa: FBT001
    """Add one case: whether it is selected, and whether its label is 1."""
    counts[group, N] += 1
    counts[group, SELECTED] += yes
    counts[group, POSITIVES] += rose
    counts[group, TRUE_POSITIVES] += yes and rose
    counts[group, FALSE_POSITIVES] += yes and not rose


@leaf
def add_to_groups(
    groups: Longs, selected: npt.NDArray[np.bool_], labels: npt.NDArray[np.float64], counts: Longs
) -> None:
    """Add (n,) rows to the counts of their groups."""
    for i in range(len(groups)):
        _count(counts, groups[i], selected[i], labels[i] > 0.5)


def fairness_table(
    counts: Longs,
    names: list[str],
    *,
    misses: Floats | None = None,
    training: Longs | None = None,
    horizon: int = 1,
    z: float = Z_LEVEL,
) -> FairnessTable:
    """Return the table of (g, 5) counts.

    Parameters
    ----------
    counts : (g, 5) int64
        From `count_groups`; groups without a row are left out.
    names : list of str
        One a group.
    misses : (g, 2) float64, optional
        From `GroupCounts`, of the same rows; calibration is compared with them alone.
    training : (g, 5) int64, optional
        Counts of the training labels of the same groups.
    horizon : int
        Labels overlap so far; intervals widen.
    z : float
        Normal point of the intervals.
    """
    seen = [place for place in range(len(names)) if counts[place, N] > 0]
    rates = rates_of(counts, misses, horizon, z)
    by_place = {p: {name: rates.of(place, p) for place, name in enumerate(rates.names)} for p in seen}
    found = zip(rates.names, rates.gaps().tolist(), strict=True)
    gaps = {name: _gap(name, gap, names, by_place, horizon, z) for name, gap in found}
    groups = {names[p]: each for p, each in by_place.items()}
    parity, odds = gaps["selection_rate"], (gaps["true_positive_rate"], gaps["false_positive_rate"])
    return FairnessTable(
        groups=groups,
        gaps=gaps,
        demographic_parity_difference=parity.difference,
        demographic_parity_ratio=parity.ratio,
        equalized_odds_difference=max(_known([gap.difference for gap in odds])),
        equalized_odds_ratio=min(_known([gap.ratio for gap in odds])),
        amplification={} if training is None else _amplification(counts, training, names, seen),
    )


def _known(values: list[float]) -> list[float]:
    """Return the values that are not NaN; one NaN if none is."""
    return [value for value in values if not math.isnan(value)] or [math.nan]


class Rates(NamedTuple):
    """Rates of g groups at once, as (5, r, g) hits, cases, values, lower and upper bounds."""

    names: tuple[str, ...]
    table: Floats

    def of(self, rate: int, group: int) -> Rate:
        """Return one rate of one group."""
        hits, n, value, low, high = self.table[:, rate, group].tolist()
        return Rate(hits=int(hits), n=int(n), value=value, low=low, high=high)

    def gaps(self) -> Floats:
        """Return of each rate, (r, 5): the highest group, the lowest, their difference and its bounds.

        Groups without a case do not count; where none has one, groups are -1 and differences NaN.
        """
        gaps = np.empty((len(self.names), 5))
        _write_gaps(self.table, gaps)
        return gaps


def rates_of(counts: Longs, misses: Floats | None, horizon: int, z: float) -> Rates:
    """Return the rates of (g, 5) counts and, with (g, 2) sums of misses, how far scores lie above labels."""
    names = (*RATES,) if misses is None else (*RATES, CALIBRATION)
    table = np.empty((5, len(names), len(counts)))
    _write_rates(counts, (float(horizon), z), table)
    if misses is not None:
        _write_calibration(counts, misses, (float(horizon), z), table[:, -1])
    return Rates(names, table)


@leaf
def _write_rates(counts: Longs, how: tuple[float, float], table: Floats) -> None:
    """Write each rate: (5, r, g) hits, cases, values, Wilson intervals; NaN for no case."""
    horizon, z = how
    for place in range(len(_COLUMNS)):
        above, below = _COLUMNS[place]
        for g in range(len(counts)):
            n = counts[g, N] - counts[g, POSITIVES] if below == NEGATIVES else counts[g, below]
            table[0, place, g], table[1, place, g], table[2:, place, g] = counts[g, above], n, np.nan
            if n > 0:
                share, m = counts[g, above] / n, n / horizon
                centre = (share + z * z / (2.0 * m)) / (1.0 + z * z / m)
                half = z * np.sqrt(max(0.0, share * (1.0 - share)) / m + z * z / (4.0 * m * m)) / (1.0 + z * z / m)
                table[2, place, g] = share
                table[3, place, g], table[4, place, g] = max(0.0, centre - half), min(1.0, centre + half)


@leaf
def _write_calibration(counts: Longs, misses: Floats, how: tuple[float, float], table: Floats) -> None:
    """Write how far the scores of each group lie above its labels, on average; too few are as good as none."""
    horizon, z = how
    for g in range(len(counts)):
        n = counts[g, N]
        table[:2, g], table[2:, g] = 0.0, np.nan
        if n >= CALIBRATION_MIN:
            mean = misses[g, MISS] / n
            half = z * np.sqrt(max(0.0, misses[g, MISS_SQUARED] / n - mean * mean) * horizon / n)
            table[1, g], table[2, g], table[3, g], table[4, g] = n, mean, mean - half, mean + half


@leaf
def _write_gaps(table: Floats, gaps: Floats) -> None:
    """Write of each rate the extreme groups, their difference, and Newcombe's bounds of it."""
    for r in range(len(gaps)):
        top, bottom = -1, -1
        for g in range(table.shape[2]):
            if table[1, r, g] > 0:
                top = g if top < 0 or table[2, r, g] > table[2, r, top] else top
                bottom = g if bottom < 0 or table[2, r, g] < table[2, r, bottom] else bottom
        gaps[r, 0], gaps[r, 1], gaps[r, 2:] = top, bottom, np.nan
        if top >= 0:
            a, b = table[2:, r, top], table[2:, r, bottom]
            difference = a[0] - b[0]
            gaps[r, 2] = difference
            gaps[r, 3] = max(-1.0, difference - np.hypot(a[0] - a[1], b[2] - b[0]))
            gaps[r, 4] = min(1.0, difference + np.hypot(a[2] - a[0], b[0] - b[1]))


def _gap(rate: str, gap: list[float], names: list[str], groups: Mapping[int, Mapping[str, Rate]], *how: float) -> Gap:
    """Return difference and ratio of one rate between the extreme groups."""
    ratios, (top, bottom) = (math.nan, math.nan, math.nan), (int(gap[0]), int(gap[1]))
    if top >= 0 and rate in RATES:
        ratios = _ratio(groups[bottom][rate], groups[top][rate], *how)
    return Gap(
        rate=rate,
        highest=names[top] if top >= 0 else "",
        lowest=names[bottom] if top >= 0 else "",
        difference=gap[2],
        difference_low=gap[3],
        difference_high=gap[4],
        ratio=ratios[0],
        ratio_low=ratios[1],
        ratio_high=ratios[2],
    )


def _ratio(lower: Rate, upper: Rate, horizon: float, z: float) -> tuple[float, float, float]:
    """Return the ratio of two rates with its interval; 0/0 is NaN."""
    if upper.value == 0.0:
        return math.nan, math.nan, math.nan
    n, m = lower.n / horizon, upper.n / horizon
    x, y = lower.value * n + 0.5, upper.value * m + 0.5
    spread = z * math.sqrt(max(0.0, 1.0 / x - 1.0 / (n + 0.5) + 1.0 / y - 1.0 / (m + 0.5)))
    middle = (x / (n + 0.5)) / (y / (m + 0.5))
    ratio = lower.value / upper.value
    return ratio, min(ratio, middle * math.exp(-spread)), max(ratio, middle * math.exp(spread))


def _amplification(counts: Longs, training: Longs, names: list[str], seen: list[int]) -> dict[str, float]:
    """Return by how much each group's share of what is selected passes its share of the class in training labels."""
    selected, shown = counts[:, SELECTED].sum(), training[:, POSITIVES].sum()
    if selected == 0 or shown == 0:
        return {}
    return {names[p]: float(counts[p, SELECTED] / selected - training[p, POSITIVES] / shown) for p in seen}
