"""Intervals of fairness between groups, from counts alone: cells redrawn as one multinomial.

Idea:   every group measure follows from four cells a group (right and wrong, selected and not), so a bootstrap of rows
        is a multinomial draw of cells: thousands of draws cost milliseconds, whatever the number of rows.
Undefined: a draw in which a group lacks a case leaves that group out of the gap; NaN where fewer than two are left.
Time:   labels that overlap by a horizon of h count as 1 / h of a row each.
Reference: Efron (1979); measures as in fairlearn.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.judge.monitor.fairness import FALSE_POSITIVES, POSITIVES, SELECTED, TRUE_POSITIVES, N

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

DRAWS = 2_000


class GroupMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """Fairness between groups: each measure's estimate with the ends of its interval."""

    demographic_parity_difference: tuple[float, float, float]
    demographic_parity_ratio: tuple[float, float, float]
    equalized_odds_difference: tuple[float, float, float]
    equal_opportunity_difference: tuple[float, float, float]


def group_measures(
    counts: Longs, *, rng: np.random.Generator, horizon: int = 1, level: float = 0.95, draws: int = DRAWS
) -> GroupMeasures:
    """Return the measures between groups with percentile intervals.

    Parameters
    ----------
    counts : (g, 5) int64
        From `judge.monitor.fairness.count_groups`.
    rng : numpy.random.Generator
        Where randomness comes from.
    horizon : int
        Over how many rows a label reaches.
    level : float
        Share of repetitions in which an interval should hold the truth, given the groups.
    draws : int
        Bootstrap draws.
    """
    cells = _cells(counts)
    whole = int(cells.sum())
    size = max(whole // horizon, 1)
    drawn = rng.multinomial(size, cells.ravel() / max(whole, 1), draws).reshape(draws, *cells.shape)
    estimates, redrawn = _measures(cells[None].astype(np.float64)), _measures(drawn.astype(np.float64))
    tail = 100.0 * (1.0 - level) / 2.0
    found = {}
    for name, values in redrawn.items():
        known = values[np.isfinite(values)]
        ends = np.percentile(known, [tail, 100.0 - tail]) if len(known) else (np.nan, np.nan)
        found[name] = (float(estimates[name][0]), float(ends[0]), float(ends[1]))
    return GroupMeasures(**found)


def _cells(counts: Longs) -> Longs:
    """Return (g, 4) cells: true and false positives, false and true negatives; groups without a row are left out."""
    seen = counts[counts[:, N] > 0]
    missed = seen[:, POSITIVES] - seen[:, TRUE_POSITIVES]
    passed = seen[:, N] - seen[:, SELECTED] - missed
    return np.column_stack([seen[:, TRUE_POSITIVES], seen[:, FALSE_POSITIVES], missed, passed])


def _measures(cells: Floats) -> Mapping[str, Floats]:
    """Return each measure of (d, g, 4) cells, as (d,) arrays."""
    hits, false, missed, passed = np.moveaxis(cells, -1, 0)
    selected = _divide(hits + false, cells.sum(axis=-1))
    found, alarmed = _divide(hits, hits + missed), _divide(false, false + passed)
    return {
        "demographic_parity_difference": _spread(selected),
        "demographic_parity_ratio": _divide(_least(selected), _most(selected)),
        "equalized_odds_difference": np.fmax(_spread(found), _spread(alarmed)),
        "equal_opportunity_difference": _spread(found),
    }


def _divide(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; NaN of nothing."""
    result: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return result


def _least(rates: Floats) -> Floats:
    """Return the lowest known rate over groups; NaN where fewer than two are known."""
    few = np.isfinite(rates).sum(axis=-1) < 2
    return np.where(few, np.nan, np.nanmin(np.where(few[..., None], 0.0, rates), axis=-1))


def _most(rates: Floats) -> Floats:
    """Return the highest known rate over groups; NaN where fewer than two are known."""
    return -_least(-rates)


def _spread(rates: Floats) -> Floats:
    """Return the highest known rate less the lowest."""
    return _most(rates) - _least(rates)
