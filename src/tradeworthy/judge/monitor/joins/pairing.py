"""Feature rows with the time and instrument of their decisions.

Idea:   a row record names its decision; the decision record knows when and for what. Streams are read one after the
        other, so either may come first: what has no partner yet waits.
State:  decisions without a row and rows without a decision; a row older than every waiting decision is dropped.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import row_dtype
from tradeworthy.core.kernel import entry, leaf
from tradeworthy.judge.monitor.base import SOME_DECISIONS, Kept, Records, State, are_decisions, are_rows
from tradeworthy.judge.monitor.joins.outcome_kernels import place_of

WAITING_MAX = 100_000
"""Decisions kept without a row; warming decisions never get one."""

Pairs = tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]
"""(m,) PAIRED heads and their (m, n_features) rows."""

PAIRED = np.dtype([("sequence", "<u8"), ("ts_event_ns", "<i8"), ("instrument", "<u4")])


Words = npt.NDArray[np.uint64]


@leaf
def write_heads(decisions: Records, version: np.uint64, room: Records) -> tuple[int, int]:
    """Write one version's (n,) DECISION as PAIRED into room for all; return how many, and the newest of any version."""
    found, newest = 0, np.int64(0)
    for i in range(len(decisions)):
        each, head = decisions[i], room[found]
        newest = max(newest, np.int64(each["sequence"]))
        if each["version"] == version:
            head["sequence"], head["ts_event_ns"] = each["sequence"], each["ts_event_ns"]
            head["instrument"] = each["instrument"]
            found += 1
    return found, int(newest)


@leaf
def pair_rows(
    keys: Words, known: Records, newest: int, heads: Records, places: npt.NDArray[np.int64]
) -> tuple[int, int, int]:
    """Write the heads of rows whose decision is known, and the places of these and of those that may still get one.

    Parameters
    ----------
    keys : (n,) uint64
        The decisions that rows name.
    known : (m,) PAIRED
        In order of decisions.
    newest : int
        The last decision that was read, of any version.
    heads : (n,) PAIRED
        Where the pairs' heads are written.
    places : (2, n) int64
        Where the pairs' rows, and those that wait, are written.

    Returns
    -------
    tuple of int
        How many pairs there are, how many rows wait, and how many decisions stand up to that of the last pair.
    """
    found, waits, read, at = 0, 0, 0, 0
    for i in range(len(keys)):
        asked = np.int64(keys[i])
        at = place_of(known, asked, at)
        if at < len(known) and np.int64(known[at]["sequence"]) == asked:
            heads[found], places[0, found] = known[at], i
            found, read = found + 1, at + 1
        elif asked > newest:
            places[1, waits] = i
            waits += 1
    return found, waits, read


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
        self._version = np.uint64(version)
        self._decisions = Kept(PAIRED)
        self._row_keys = np.empty(0, np.uint64)
        self._rows = np.empty((0, n_features))
        self._newest = 0
        self._last: tuple[Records, Pairs] | None = None
        self._write = entry(write_heads, SOME_DECISIONS, self._version, np.empty(2, PAIRED))
        keys, heads = np.zeros(2, row_dtype(n_features, 1))["decision"], np.empty(2, PAIRED)
        self._pair = entry(pair_rows, keys, heads, 0, heads, np.empty((2, 2), np.int64))

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
            found, newest = self._write(records, self._version, self._decisions.room(len(records)))
            self._newest = max(self._newest, newest)
            self._decisions.grow(found)
            self._decisions.drop(len(self._decisions) - WAITING_MAX)
        elif are_rows(records) and records["row"].shape[1] == self.width:
            keys, rows, none = records["decision"], records["row"], len(self._row_keys) == 0
            self._row_keys = keys if none else np.concatenate([self._row_keys, keys])
            self._rows = rows if none else np.concatenate([self._rows, rows])

    def take(self) -> Pairs:
        """Return the pairs that are complete, in decision order.

        Returns
        -------
        heads : (m,) PAIRED
            The decision's sequence, event time and instrument.
        rows : (m, n_features) float64
            A view of the records, of any layout, where all of them have their decision; whoever keeps it copies it.
        """
        keys, rows, known = self._row_keys, self._rows, self._decisions.records
        heads, places = np.empty(len(keys), PAIRED), np.empty((2, len(keys)), np.int64)
        found, waits, read = self._pair(keys, known, self._newest, heads, places)
        self._row_keys, self._rows = keys[places[1, :waits]], rows[places[1, :waits]]
        self._decisions.drop(read)
        return heads[:found], rows if found == len(rows) else rows[places[0, :found]]

    def state(self) -> State:
        """Return what waits."""
        return {
            "decisions": self._decisions.records.copy(),
            "row_keys": self._row_keys.copy(),
            "rows": self._rows.copy(),
            "newest": np.array([self._newest], np.uint64),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what waited."""
        self._last = None
        self._decisions.replace(state["decisions"].astype(PAIRED))
        self._row_keys = state["row_keys"].copy()
        self._rows, self._newest = state["rows"].copy(), int(state["newest"][0])
