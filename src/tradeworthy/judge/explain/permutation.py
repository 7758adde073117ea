"""Shapley values of any predictor, estimated by walking permutations, with a stated error.

Idea:   start at a reference row, switch its features to the explained row's one after another, and credit each
        feature with what its switch changed. A walk and its reverse together (an antithetic pair) cancel much of the
        noise. One pair a reference row; their mean is the contribution, and the spread between pairs its error.
Sum:    every walk goes from the reference's score to the row's, so contributions add up exactly all the same.
Time:   2 pairs (n + 1) rows through the predictor for each row explained.
Reference: Castro, Gomez, Tejada (2009), Polynomial calculation of the Shapley value based on sampling; Mitchell et al.
        (2022), Sampling permutations for Shapley value estimation.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.judge.explain.attribution import Attributions, Floats
from tradeworthy.model.predictors.base import Predictor, as_rows

PAIRS_AT_ONCE = 64
"""Pairs whose rows are in memory together."""

METHOD = "permutation Shapley values of the score, {count} antithetic pairs; baseline: {name}"


class PermutationShapley:
    """Explains the first score of any predictor against reference rows.

    Parameters
    ----------
    predictor : Predictor
        Whose first score is explained.
    references : (r, n) float64
        Rows of the training profile; one antithetic pair of walks starts at each. At least 2.
    seed : int
        Of the permutations; the same seed gives the same bits.
    name : str
        What the references are, in words; named with every explanation.
    """

    def __init__(self, predictor: Predictor, references: Floats, *, seed: int = 0, name: str = "") -> None:
        self._predictor = predictor
        self._references = as_rows(references, predictor.n_features)
        if len(self._references) < 2:
            raise ModelMismatch(f"found {len(self._references)} reference rows, allowed are 2 or more")
        self._seed = seed
        self._name = name or f"mean score of {len(self._references)} rows"
        self.baseline = float(predictor.many(self._references)[:, 0].mean())

    def explain(self, rows: Floats) -> Attributions:
        """Return the contributions for (m, n) rows; they add up to the scores."""
        rows = as_rows(rows, self._predictor.n_features)
        pairs = [self._pairs(row) for row in rows]
        count = len(self._references)
        shape = (0, count, rows.shape[1])
        found = np.stack(pairs) if pairs else np.zeros(shape)
        scores = self._predictor.many(rows)[:, 0]
        return Attributions(
            method=METHOD.format(count=count, name=self._name),
            baseline=self.baseline,
            explained=scores,
            scores=scores,
            contributions=found.mean(axis=1),
            errors=found.std(axis=1, ddof=1) / np.sqrt(count),
        )

    def _pairs(self, row: Floats) -> Floats:
        """Return the (r, n) contributions that each pair of walks finds for one row.

        Permutations depend on the seed alone, so a row's explanation does not depend on its neighbours.
        """
        rng = np.random.default_rng(self._seed)
        n, count = len(row), len(self._references)
        ends = np.broadcast_to(row, (count, n))
        return paired_gains(lambda rows: self._predictor.many(rows)[:, 0], self._references, ends, rng)


def paired_gains(value: Callable[[Floats], Floats], starts: Floats, ends: Floats, rng: np.random.Generator) -> Floats:
    """Return the (m, n) gains in value on the way from each start to its end, by feature: one antithetic pair each.

    Parameters
    ----------
    value : callable
        Gives (k,) values of (k, n) rows.
    starts, ends : (m, n) float64
        Rows; gains of a pair add up to the end's value less the start's.
    rng : numpy.random.Generator
        For the orders in which features are switched.
    """
    found = [
        _gains(value, starts[begin : begin + PAIRS_AT_ONCE], ends[begin : begin + PAIRS_AT_ONCE], rng)
        for begin in range(0, len(starts), PAIRS_AT_ONCE)
    ]
    return np.concatenate(found) if found else np.zeros(starts.shape)


def _gains(value: Callable[[Floats], Floats], starts: Floats, ends: Floats, rng: np.random.Generator) -> Floats:
    count, n = starts.shape
    orders = np.stack([rng.permutation(n) for _ in range(count)])
    walks = np.concatenate([orders, orders[:, ::-1]])
    steps = _steps(np.concatenate([ends, ends]), np.concatenate([starts, starts]), walks)
    values = value(steps.reshape(-1, n)).reshape(len(walks), n + 1)
    gains = np.zeros((len(walks), n))
    np.put_along_axis(gains, walks, np.diff(values, axis=1), axis=1)
    return 0.5 * (gains[:count] + gains[count:])


def _steps(ends: Floats, starts: Floats, walks: npt.NDArray[np.int64]) -> Floats:
    """Return (walks, n + 1, n) rows: after step s of a walk, its first s features are the end's."""
    rank = np.argsort(walks, axis=1)
    switched = rank[:, None, :] < np.arange(walks.shape[1] + 1)[None, :, None]
    return np.where(switched, ends[:, None, :], starts[:, None, :])
