"""Feature rows with the time and instrument of their decisions.

Idea:   a row record names its decision; the decision record knows when and for what. Streams are read one after the
        other, so either may come first: what has no partner yet waits.
State:  decisions without a row and rows without a decision; a row older than every waiting decision is dropped.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.judge.monitor.base import (
    Records,
    State,
    are_decisions,
    are_rows,
    chosen,
    fields_as,
    followed_by,
    places_of,
)

WAITING_MAX = 100_000
"""Decisions kept without a row; warming decisions never get one."""

Pairs = tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]
"""(m,) PAIRED heads and their (m, n_features) rows."""

PAIRED = np.dtype([("sequence", "<u8"), ("ts_event_ns", "<i8"), ("instrument", "<u4")])


class RowPairing:
    """Joins one version's rows with its decisions.

    Parameters
    ----------
    version : int
        The version's number; rows of other versions find no decision and are dropped.
    n_features : int
        Width of its rows.
    """

    def __init__(self, version: int, n_features: int) -> None:
        self._version = version
        self._decisions = np.empty(0, PAIRED)
        self._row_keys = np.empty(0, np.uint64)
        self._rows = np.empty((0, n_features))
        self._newest = 0
        self._last: tuple[Records, Pairs] | None = None

    @property
    def width(self) -> int:
        """Features of a row."""
        return self._rows.shape[1]

    def pair(self, records: Records) -> Pairs:
        """Take records and return the pairs that they complete; the same records at once again, the same pairs.

        So monitors that share a pairing pay for it once.
        """
        if self._last is None or self._last[0] is not records:
            self.add(records)
            self._last = records, self.take()
        return self._last[1]

    def add(self, records: Records) -> None:
        """Take decisions or rows; anything else is left."""
        if are_decisions(records):
            self._add_decisions(records)
        elif are_rows(records) and records["row"].shape[1] == self._rows.shape[1]:
            keys, rows = records["decision"], records["row"]
            none = len(self._row_keys) == 0
            self._row_keys = np.ascontiguousarray(keys) if none else np.concatenate([self._row_keys, keys])
            self._rows = rows if none else np.concatenate([self._rows, rows])

    def _add_decisions(self, records: Records) -> None:
        if len(records):
            self._newest = max(self._newest, int(records["sequence"].max()))
        own = fields_as(chosen(records, records["version"] == self._version), PAIRED)
        self._decisions = followed_by(self._decisions, own)[-WAITING_MAX:]

    def take(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]:
        """Return the pairs that are complete, in decision order.

        Returns
        -------
        heads : (m,) PAIRED
            The decision's sequence, event time and instrument.
        rows : (m, n_features) float64
        """
        at = places_of(self._decisions["sequence"], self._row_keys)
        found = at >= 0
        heads = self._decisions.take(at[found])
        rows = np.ascontiguousarray(self._rows if found.all() else self._rows[found])  # read by several monitors
        waiting = np.flatnonzero(~found & (self._row_keys > self._newest))
        self._row_keys, self._rows = self._row_keys[waiting], self._rows[waiting]
        if len(heads):
            after = int(np.searchsorted(self._decisions["sequence"], heads["sequence"][-1], side="right"))
            self._decisions = self._decisions[after:]
        return heads, rows

    def state(self) -> State:
        """Return what waits."""
        return {
            "decisions": self._decisions.copy(),
            "row_keys": self._row_keys.copy(),
            "rows": self._rows.copy(),
            "newest": np.array([self._newest], np.uint64),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what waited."""
        self._last = None
        self._decisions, self._row_keys = state["decisions"].astype(PAIRED), state["row_keys"].copy()
        self._rows, self._newest = state["rows"].copy(), int(state["newest"][0])
