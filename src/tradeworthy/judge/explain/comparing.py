"""Why two scores differ: two moments, two versions. Why two stretches of time differ says `change`.

Idea:   a difference is split by features as a score is. Between two rows of one version the earlier row is the baseline
        of the later one, so contributions are exactly what moved. Between two versions their contributions are
        subtracted, and what their baselines differ by is named beside them.
Units:  of the margin.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.judge.explain.attribution import Explanation, Floats
from tradeworthy.judge.explain.explaining import explain_row, explainer_against, width_of
from tradeworthy.model.predictors.base import as_row
from tradeworthy.model.profile import Profile
from tradeworthy.model.version import Version


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one feature has to do with a difference: its values on both sides, and its part; NaN where it has none."""

    feature: str
    before: float
    after: float
    contribution: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A difference split by features.

    Attributes
    ----------
    method : str
        How it was split.
    before, after : float
        The two margins (mean margins for sets of rows).
    unattributed : float
        What no feature brought: the difference of the baselines of two versions; else 0.
    parts : list of Part
        By feature, the largest first; ``before + unattributed + sum of contributions`` is `after`.
    """

    method: str
    before: float
    after: float
    unattributed: float
    parts: list[Part]

    @property
    def sum_error(self) -> float:
        """Return how far the parts are from adding up to the difference."""
        return abs(self.before + self.unattributed + sum(part.contribution for part in self.parts) - self.after)


def explain_change(version: Version, before: Floats, after: Floats) -> tuple[Explanation, Difference]:
    """Say why a version's margin moved from one row to another: exact for trees.

    Parameters
    ----------
    version : Version
        Which scored both.
    before, after : (n,) float64
        The rows.
    """
    before = as_row(before, version.predictor.n_features)
    explainer = explainer_against(version.predictor, before[None, :], name="the earlier event")
    found = explain_row(version.predictor, after, version.program.names, version.profile, explainer=explainer)
    values = zip(found.names, before.tolist(), found.values, found.contributions, strict=True)
    parts = [Part(feature=name, before=b, after=a, contribution=c) for name, b, a, c in values]
    return found, Difference(
        method=found.method, before=found.baseline, after=found.margin, unattributed=0.0, parts=_by_size(parts)
    )


def explain_versions(old: Version, old_row: Floats, new: Version, new_row: Floats) -> Difference:
    """Say why two versions scored one event differently, each on its own features.

    Both are explained by their own method, against their own training; what the baselines differ by stays apart. A
    feature is known by its name: one that only one version has brings all of its contribution.
    """
    first = explain_row(old.predictor, old_row, old.program.names, old.profile)
    second = explain_row(new.predictor, new_row, new.program.names, new.profile)
    names = list(dict.fromkeys([*second.names, *first.names]))
    sides = [dict(zip(e.names, zip(e.values, e.contributions, strict=True), strict=True)) for e in (first, second)]
    none = (float("nan"), 0.0)
    parts = [
        Part(
            feature=name,
            before=sides[0].get(name, none)[0],
            after=sides[1].get(name, none)[0],
            contribution=sides[1].get(name, none)[1] - sides[0].get(name, none)[1],
        )
        for name in names
    ]
    return Difference(
        method=f"difference of contributions; before: {first.method}; after: {second.method}",
        before=first.margin,
        after=second.margin,
        unattributed=second.baseline - first.baseline,
        parts=_by_size(parts),
    )


def nearest_rows(profile: Profile, row: Floats, rows: Floats, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the places of the (m, n) rows most like one row, the nearest first, and how far each is.

    The distance is the mean over features of the distance in widths of the middle 90% of training; a number missing in
    one row only is one width away.
    """
    apart = np.abs(rows - row) / width_of(profile)
    missing = np.isnan(rows) | np.isnan(row)
    apart[missing] = (np.isnan(rows) != np.isnan(row))[missing]
    far = apart.mean(axis=1)
    near = np.arange(far.size)
    if count < far.size:  # sorting a few is cheaper than sorting all
        near = np.flatnonzero(~(far > np.partition(far, count - 1)[count - 1]))
    places = near[np.argsort(far[near], kind="stable")[:count]]
    return places, far[places]


def _by_size(parts: list[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -abs(part.contribution))
