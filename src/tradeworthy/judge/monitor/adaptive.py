"""Performance foreseen from scores whose calibration is adapted to the rows of late (PAPE).

Idea:   CBPE trusts the calibration that held in training. Where other rows come, the same score may mean another
        probability, even if nothing about the market or the customers has changed. So the calibration is fitted again
        to training rows, each weighted by how much likelier it is now; what it then foresees is right under covariate
        shift. It cannot see concept drift either: labels of training say what happened then.
Flow:   rows of training and of late -> how to tell them apart (logistic regression) -> weights -> weighted calibration.
State:  the rows of the last decisions.
Undefined: fewer than 100 rows of late, or of training with labels, foresee nothing: NaN.
Reference: Białek and others (2024), probabilistic adaptive performance estimation; Bickel and others (2009), density
        ratios from a classifier. Theirs tells rows apart with boosted trees, this one by values and their squares.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.judge.monitor.base import Records, State, are_decisions, are_rows, followed_by, part_of
from tradeworthy.judge.monitor.joins.pairing import PAIRED, RowPairing
from tradeworthy.judge.monitor.label_shift import Platt, fit_platt

Floats = npt.NDArray[np.float64]
Predict = Callable[[Floats], Floats]
"""Scores (m,) of (m, n) feature rows."""

ROWS_MIN = 100
WEIGHT_MAX = 20.0
"""No training row counts more than so many times."""

FAR = 5.0
"""Values are cut here, in deviations of training."""

KEPT_MAX = 25_000
"""Rows kept: a look of a watcher may bring so many behind a decision that is held."""

RIDGE = 1.0
STEPS = 25


class Foreseen(NamedTuple):
    """(m,) scores of rows, and the probabilities of class 1 behind them; none where there is too little."""

    scores: Floats
    probabilities: Floats


class AdaptiveCalibration:
    """Calibrates scores for the rows that come now.

    Parameters
    ----------
    rows : (m, n) float64
        Training rows; those that are not finite are left out.
    scores, labels : (m,) float64
        Out of fold; labels of 0 and 1.
    predict : callable
        The version's scores of rows.
    """

    def __init__(self, rows: Floats, scores: Floats, labels: Floats, predict: Predict) -> None:
        known = np.isfinite(rows).all(axis=1) & np.isfinite(scores) & np.isfinite(labels)
        self._rows, self._scores, self._labels = rows[known], scores[known], labels[known]
        self._predict = predict
        if len(self._rows):
            self._middle, spread = self._rows.mean(axis=0), self._rows.std(axis=0)
            self._spread = np.where(spread > 0.0, spread, 1.0)

    def foreseen(self, rows: Floats) -> Foreseen:
        """Return the scores of rows of late, and the probabilities that they have for such rows."""
        rows = rows[np.isfinite(rows).all(axis=1)]
        seen = len(np.unique(self._labels > 0.5))
        if min(len(rows), len(self._rows)) < ROWS_MIN or seen < 2:
            return Foreseen(np.empty(0), np.empty(0))
        scores = self._predict(rows)
        return Foreseen(scores, self.calibration(rows)(scores))

    def calibration(self, rows: Floats) -> Platt:
        """Return the calibration of training, its rows weighted by how much likelier each is among (m, n) rows."""
        return fit_platt(self._scores, self._labels, self._weights(rows))

    def _weights(self, rows: Floats) -> Floats:
        """Return the (m,) weights of training rows, of mean 1."""
        then, now = self._design(self._rows), self._design(rows)
        beta = _tell_apart(then, now)
        odds = np.exp(np.clip(then @ beta, -20.0, 20.0))
        weights = np.minimum(odds / odds.mean(), WEIGHT_MAX)
        scaled: Floats = weights / weights.mean()
        return scaled

    def _design(self, rows: Floats) -> Floats:
        """Return one, values and their squares, in deviations of training."""
        z = np.clip((rows - self._middle) / self._spread, -FAR, FAR)
        return np.column_stack([np.ones(len(z)), z, z**2])


class LastRows:
    """The rows of one version's last decisions, and the probabilities that are right for such rows.

    Parameters
    ----------
    adaptive : AdaptiveCalibration
        Of the version.
    pairing : RowPairing
        Of its rows; it may be shared with monitors that see the same records.
    """

    def __init__(self, adaptive: AdaptiveCalibration, pairing: RowPairing) -> None:
        self._adaptive, self._pairing = adaptive, pairing
        self._heads, self._rows = np.empty(0, PAIRED), np.empty((0, pairing.width))

    @property
    def newest(self) -> int:
        """The last decision whose row is here."""
        return int(self._heads["sequence"][-1]) if len(self._heads) else 0

    def observe(self, records: Records) -> None:
        """Take decisions and rows; anything else is left."""
        if are_decisions(records) or are_rows(records):
            heads, rows = self._pairing.pair(records)
            if len(heads):
                self._heads = followed_by(self._heads, heads)[-KEPT_MAX:]
                self._rows = np.concatenate([self._rows, rows])[-KEPT_MAX:]

    def foreseen(self, rows: int, instrument: int | None = None, sequence: int | None = None) -> Foreseen:
        """Return what the last rows foresee, if given those of one instrument, up to one decision."""
        wanted = np.ones(len(self._heads), np.bool_)
        if instrument is not None:
            wanted &= self._heads["instrument"] == instrument
        if sequence is not None:
            wanted &= self._heads["sequence"] <= sequence
        return self._adaptive.foreseen(self._rows[np.flatnonzero(wanted)[-rows:]])

    def state(self) -> State:
        """Return rows kept, and rows without a decision."""
        waiting = {f"pairing.{name}": array for name, array in self._pairing.state().items()}
        return {"heads": self._heads.copy(), "rows": self._rows.copy(), **waiting}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned; the state of a release that kept no rows starts afresh."""
        if "heads" in state:
            self._pairing.restore(part_of(state, "pairing."))
            self._heads, self._rows = state["heads"].astype(PAIRED), state["rows"].copy()


def _tell_apart(then: Floats, now: Floats) -> Floats:
    """Return the (k,) weights of a ridge logistic regression that tells two designs apart, both counting alike."""
    design = np.concatenate([then, now])
    target = np.repeat([0.0, 1.0], [len(then), len(now)])
    share = np.repeat([0.5 / len(then), 0.5 / len(now)], [len(then), len(now)])
    penalty = RIDGE / len(design) * np.eye(design.shape[1])
    penalty[0, 0] = 1e-9
    beta = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        slope = design.T @ (share * (target - p)) - penalty @ beta
        curve = design.T @ (design * (share * p * (1.0 - p))[:, None]) + penalty
        step = np.linalg.solve(curve, slope)
        beta = beta + step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return beta
