"""What a model goes by over many rows: importance, dependence, interactions, and how far a small tree can stand in.

Idea:   explanations of many rows, summed up. Importance is the mean size of a feature's contribution; dependence the
        mean contribution over its values; an interaction is what another feature's value explains of the contribution's
        spread at like values. The surrogate is a tree of few leaves fitted to the margins on half of the rows, its
        fidelity the share of the margins' variance that it explains on the other half.
Units:  contributions in margin units; shares 0 to 1.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.judge.explain.attribution import Floats

BINS, OTHER_BINS, CUTS = 10, 5, 16
LEAF_ROWS_MIN = 20

Ints = npt.NDArray[np.int64]


def importance(contributions: Floats) -> Floats:
    """Return the (n,) mean sizes of (m, n) contributions."""
    sizes: Floats = np.abs(contributions).mean(axis=0)
    return sizes


def agreement(first: Floats, second: Floats) -> float:
    """Return the mean cosine between two explanations of the same (m,) rows; 1 where neither has any reason.

    >>> agreement(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]))
    1.0
    """
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    same = (first == second).all(axis=1)
    cosines = np.where(same, 1.0, np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0))
    return float(cosines.mean())


def bins_of(values: Floats, count: int) -> Ints:
    """Return which of `count` bins of about as many rows each (m,) value is in; like values are in one bin."""
    edges = np.unique(np.quantile(values, np.arange(1, count) / count))
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def dependence(values: Floats, contributions: Floats) -> list[tuple[float, float]]:
    """Return the mean value and mean contribution of each of ten bins of one feature."""
    place = bins_of(values, BINS)
    return [
        (float(values[place == at].mean()), float(contributions[place == at].mean()))
        for at in np.unique(place).tolist()
    ]


def interaction(values: Floats, contributions: Floats, other: Floats) -> float:
    """Return the share of a contribution's variance that another feature explains at like values of its own feature."""
    total = float(contributions.var())
    if total == 0.0:
        return 0.0
    own = bins_of(values, BINS)
    left = contributions - _means(own, contributions)
    both = own * OTHER_BINS + bins_of(other, OTHER_BINS)
    return float(_means(both, left).var() / total)


def surrogate_fidelity(rows: Floats, margins: Floats, *, depth: int) -> float:
    """Return the share of the margins' variance that a small tree, fitted to every other row, explains on the rest."""
    told, kept = margins[1::2], rows[1::2]
    spread = float(told.var())
    if spread == 0.0:
        return 1.0
    guessed = np.empty(len(told))
    _guess(rows[::2], margins[::2], kept, depth, guessed)
    return 1.0 - float(((told - guessed) ** 2).mean()) / spread


def _means(place: Ints, values: Floats) -> Floats:
    """Return each row's mean over its group."""
    sums, counts = np.bincount(place, values), np.bincount(place)
    means: Floats = (sums / np.maximum(counts, 1))[place]
    return means


def _guess(rows: Floats, margins: Floats, kept: Floats, depth: int, guessed: Floats) -> None:
    """Grow one branch greedily on rows, and write what its leaves say of those that were kept apart."""
    best = _best_cut(rows, margins) if depth else None
    if best is None:
        guessed[:] = margins.mean()
        return
    feature, threshold = best
    first, of_kept = rows[:, feature] <= threshold, kept[:, feature] <= threshold
    for own, told in ((first, of_kept), (~first, ~of_kept)):
        part = np.empty(int(told.sum()))
        _guess(rows[own], margins[own], kept[told], depth - 1, part)
        guessed[told] = part


def _best_cut(rows: Floats, margins: Floats) -> tuple[int, float] | None:
    """Return the feature and threshold that leave the least squared error; None where no cut leaves enough rows."""
    found, gain_max = None, 0.0
    for feature in range(rows.shape[1]):
        for threshold in np.unique(np.quantile(rows[:, feature], np.arange(1, CUTS) / CUTS)).tolist():
            below = rows[:, feature] <= threshold
            count = int(below.sum())
            if min(count, len(rows) - count) < LEAF_ROWS_MIN:
                continue
            apart = margins[below].mean() - margins[~below].mean()
            gain = float(apart**2) * count * (len(rows) - count)
            if gain > gain_max:
                found, gain_max = (feature, threshold), gain
    return found
