"""By how much moved rows are expected to change the loss, from their scores alone: how harmful a drift is.

Idea:   a calibrated score p expects a squared distance from its label of p (1 - p), so rows that are scored nearer to
        one half are harder. It cannot see concept drift: a model that became wrong stays as sure of itself.
Intervals: standard errors of means of blocks, so that rows which resemble their neighbours count less.
State:  the last rows of each instrument.
Units:  squared distance of scores from labels, from 0 to 1.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.judge.monitor.base import State

Floats = npt.NDArray[np.float64]
Losses = Callable[[Floats], Floats]
"""Expected losses (m,) of (m, n) feature rows."""

BLOCK = 25
ROWS_MIN, ROWS_MAX = 100, 500
"""An effect is judged from the rows since a change, but from no fewer and no more."""

REACH = 2.0
"""Standard errors beyond which a change of the expected loss is one."""


class Effect(NamedTuple):
    """The expected change of the loss a decision, and its standard error."""

    change: float
    error: float

    @property
    def is_harmful(self) -> bool:
        """Whether the loss is expected to rise, beyond doubt."""
        return self.change > REACH * self.error

    @property
    def words(self) -> str:
        """Say it in a few words."""
        return (
            f"the scores of these rows foretell a squared distance {self.change:+.4f} (+- {REACH * self.error:.4f}) "
            "from labels, which cannot see concept drift"
        )


class ExpectedLoss:
    """What training rows expect of their loss, for the rows since a change to be held against.

    Parameters
    ----------
    losses : callable
        Expected losses of rows.
    reference : (m, n) float64
        Training rows, in time order.
    harmful_only : bool
        Whether only what raises the loss is wanted.
    """

    def __init__(self, losses: Losses, reference: Floats, *, harmful_only: bool = False) -> None:
        self._losses, self.harmful_only = losses, harmful_only
        self._mean, self._error = _mean_of(losses(reference))
        self._recent: dict[int, Floats] = {}

    def of(self, instrument: int, fresh: Floats, since: int) -> Effect:
        """Return the effect of an instrument's last `since` rows, fresh ones behind those kept; see `ROWS_MIN`."""
        rows = self._with(instrument, fresh)
        mean, error = _mean_of(self._losses(rows[-max(since, ROWS_MIN) :]))
        return Effect(mean - self._mean, float(np.hypot(error, self._error)))

    def keep(self, instrument: int, fresh: Floats) -> None:
        """Remember an instrument's last rows."""
        self._recent[instrument] = self._with(instrument, fresh)

    def state(self) -> State:
        """Return the rows that are remembered, by instrument."""
        return {str(instrument): rows.copy() for instrument, rows in self._recent.items()}

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Remember the rows of a state."""
        self._recent = {int(instrument): rows.copy() for instrument, rows in state.items()}

    def _with(self, instrument: int, fresh: Floats) -> Floats:
        """Return an instrument's last rows, fresh ones among them."""
        fresh = fresh[-ROWS_MAX:]
        before = self._recent.get(instrument, fresh[:0])
        return np.concatenate([before[len(before) - min(len(before), ROWS_MAX - len(fresh)) :], fresh])


def _mean_of(losses: Floats) -> tuple[float, float]:
    """Return the mean of (m,) losses and its standard error from means of blocks."""
    size = max(1, min(BLOCK, len(losses) // 4))
    whole = losses[: len(losses) // size * size].reshape(-1, size).mean(axis=1)
    spread = float(whole.std(ddof=1)) if len(whole) > 1 else float("inf")
    return float(losses.mean()), spread / float(np.sqrt(len(whole)))
