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

from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.class_balance import Z_LEVEL, wilson

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

N, SELECTED, POSITIVES, TRUE_POSITIVES, FALSE_POSITIVES = range(5)
COUNTS = 5
MISS, MISS_SQUARED = range(2)
"""Columns of the sums: of score less label, and of its square."""

CALIBRATION = "calibration"
CALIBRATION_MIN = 30
RATES: Mapping[str, tuple[int, int | None]] = {
    "selection_rate": (SELECTED, N),
    "true_positive_rate": (TRUE_POSITIVES, POSITIVES),
    "false_positive_rate": (FALSE_POSITIVES, None),
}
"""Name to numerator and denominator; None stands for the negatives."""


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

    def add(self, groups: Longs, scores: Floats, labels: Floats, cut: float) -> None:
        """Add (n,) cases one after the other: group places, scores, labels of 0 and 1; scores above the cut select."""
        add_to_groups(groups, scores > cut, labels, self.cases)
        _add_misses(groups, scores, labels, self.misses)

    def clear(self) -> None:
        """Forget all."""
        self.cases[:], self.misses[:] = 0, 0.0


@kernel
def _add_misses(groups: Longs, scores: Floats, labels: Floats, misses: Floats) -> None:
    """Add how far (n,) scores lie above labels to the sums of their groups."""
    for i in range(len(groups)):
        miss = scores[i] - labels[i]
        misses[groups[i], MISS] += miss
        misses[groups[i], MISS_SQUARED] += miss * miss


@kernel
def add_to_groups(
    groups: Longs, selected: npt.NDArray[np.bool_], labels: npt.NDArray[np.float64], counts: Longs
) -> None:
    """Add (n,) rows to the counts of their groups."""
    for i in range(len(groups)):
        own, yes, rose = counts[groups[i]], selected[i], labels[i] > 0.5
        own[N] += 1
        own[SELECTED] += yes
        own[POSITIVES] += rose
        own[TRUE_POSITIVES] += yes and rose
        own[FALSE_POSITIVES] += yes and not rose


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
    groups = {names[p]: {rate: _rate(counts[p], rate, horizon, z) for rate in RATES} for p in seen}
    if misses is not None:
        for p in seen:
            groups[names[p]][CALIBRATION] = _calibration(int(counts[p, N]), misses[p], horizon, z)
    rates = RATES if misses is None else (*RATES, CALIBRATION)
    gaps = {rate: _gap(rate, {name: each[rate] for name, each in groups.items()}, horizon, z) for rate in rates}
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


def _rate(counts: Longs, rate: str, horizon: int, z: float) -> Rate:
    """Return one rate of one group."""
    above, below = RATES[rate]
    hits, n = int(counts[above]), int(counts[below] if below is not None else counts[N] - counts[POSITIVES])
    value = hits / n if n else math.nan
    low, high = wilson(value, n / horizon, z) if n else (math.nan, math.nan)
    return Rate(hits=hits, n=n, value=value, low=low, high=high)


def _calibration(n: int, sums: Floats, horizon: int, z: float) -> Rate:
    """Return how far the scores of one group lie above its labels, on average; too few are as good as none."""
    if n < CALIBRATION_MIN:
        return Rate(hits=0, n=0, value=math.nan, low=math.nan, high=math.nan)
    mean = float(sums[MISS]) / n
    half = z * math.sqrt(max(0.0, float(sums[MISS_SQUARED]) / n - mean * mean) * horizon / n)
    return Rate(hits=0, n=n, value=mean, low=mean - half, high=mean + half)


def _gap(rate: str, by_group: Mapping[str, Rate], horizon: int, z: float) -> Gap:
    """Return difference and ratio between the extreme groups."""
    known = {name: each for name, each in by_group.items() if each.n > 0}
    if not known:
        none = math.nan
        return Gap(
            rate=rate,
            highest="",
            lowest="",
            difference=none,
            difference_low=none,
            difference_high=none,
            ratio=none,
            ratio_low=none,
            ratio_high=none,
        )
    top = max(known, key=lambda name: known[name].value)
    bottom = min(known, key=lambda name: known[name].value)
    a, b = known[top], known[bottom]
    difference = a.value - b.value
    down = math.hypot(a.value - a.low, b.high - b.value)
    up = math.hypot(a.high - a.value, b.value - b.low)
    ratio, ratio_low, ratio_high = _ratio(b, a, horizon, z) if rate in RATES else (math.nan, math.nan, math.nan)
    return Gap(
        rate=rate,
        highest=top,
        lowest=bottom,
        difference=difference,
        difference_low=max(-1.0, difference - down),
        difference_high=min(1.0, difference + up),
        ratio=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
    )


def _ratio(lower: Rate, upper: Rate, horizon: int, z: float) -> tuple[float, float, float]:
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
