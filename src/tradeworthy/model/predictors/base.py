"""The contract of a predictor: rows in, scores out.

Scores: a binary classifier gives one column, P(class 1); a regression gives one column, its value.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch

Floats = npt.NDArray[np.float64]


@runtime_checkable
class Predictor(Protocol):
    """Turns feature rows into scores, one at a time or many at once, with the same bits.

    Attributes
    ----------
    format : str
        The name under which `load_predictor` finds the reader of its files.
    n_features, n_outputs : int
        Width of a row and of a score vector.
    """

    @property
    def format(self) -> str:
        """Return the name of the file format."""

    @property
    def n_features(self) -> int:
        """Return the width of a row."""

    @property
    def n_outputs(self) -> int:
        """Return the width of a score vector."""

    def one(self, row: Floats) -> Floats:
        """Return the (k,) scores of one (n,) row."""

    def many(self, rows: Floats) -> Floats:
        """Return the (m, k) scores of (m, n) rows."""

    def save(self, folder: Path) -> None:
        """Write the predictor's files into an existing folder."""


def as_row(row: npt.ArrayLike, n_features: int) -> Floats:
    """Return `row` as a contiguous (n_features,) float64 array, or refuse it."""
    found = np.ascontiguousarray(row, np.float64)
    if found.shape != (n_features,):
        raise ModelMismatch(f"a row has shape {found.shape}, the predictor takes ({n_features},); check the program")
    return found


def as_rows(rows: npt.ArrayLike, n_features: int) -> Floats:
    """Return `rows` as a contiguous (m, n_features) float64 array, or refuse it."""
    found = np.ascontiguousarray(rows, np.float64)
    if found.ndim != 2 or found.shape[1] != n_features:
        raise ModelMismatch(f"rows have shape {found.shape}, the predictor takes (m, {n_features}); check the program")
    return found
