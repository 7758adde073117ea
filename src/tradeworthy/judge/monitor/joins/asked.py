"""What was known at the input that a decision was asked at: fields of a pushed row, and how wild its market was.

Idea:   a row record holds features; what no feature reads stands on the tape all the same, in the input event that
        the decision names. How wild a market is, is told up to and with that event, so nothing later.
Flow:   events -> values; decisions + values -> values by decision.
State:  returns' squares of each instrument, events that no decision has been read of, decisions whose event is not
        read, and the last values by decision.
Undefined: a field is NaN where the event is no row, wildness until enough prices were seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.kernel import leaf
from tradeworthy.judge.monitor.base import Records, State, are_decisions, are_events, chosen, places_of
from tradeworthy.judge.monitor.joins.account import price_of
from tradeworthy.judge.monitor.joins.wildness import see_price, unseen_markets, wildness_of

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

KEPT_MAX = 100_000
"""Decisions whose values are kept, waiting for their labels."""


@leaf
def _wildness(kinds: Floats, instruments: npt.NDArray[np.int64], values: Floats, memory: Floats, wild: Floats) -> None:
    """Write the wildness after each of (n,) events; `memory` (instruments, 4) moves on."""
    for i in range(len(kinds)):
        if instruments[i] >= len(memory):
            wild[i] = np.nan
            continue
        own, price = memory[instruments[i]], price_of(int(kinds[i]), values[i])
        if price > 0.0:
            see_price(own, price)
        wild[i] = wildness_of(own)


class AskedAt:
    """Values of one version's decisions, from the inputs that asked for them.

    Parameters
    ----------
    version : int
        The version's number.
    fields : sequence of int
        Places among the values of a row; the columns, in this order, and behind them wildness.
    instruments : int
        How many there are.
    """

    def __init__(self, version: int, fields: Sequence[int], instruments: int) -> None:
        self._version, self._fields = version, list(fields)
        self._memory = unseen_markets(instruments)
        width = len(self._fields) + 1
        self._event_keys, self._event_values = np.empty(0, np.uint64), np.empty((0, width))
        self._asked: Keys = np.empty((0, 2), np.uint64)
        self._keys, self._values = np.empty(0, np.uint64), np.empty((0, width))
        self._read = 0

    def observe(self, records: Records) -> None:
        """Take decisions or events; anything else is left."""
        if are_decisions(records):
            own = chosen(records, records["version"] == self._version)
            self._asked = np.concatenate([self._asked, np.column_stack([own["sequence"], own["input_sequence"]])])
        elif are_events(records) and len(records):
            self._event_keys = np.concatenate([self._event_keys, records["sequence"]])
            self._event_values = np.concatenate([self._event_values, self._of_events(records)])
            self._read = max(self._read, int(records["sequence"][-1]))
        else:
            return
        self._resolve()

    @property
    def newest(self) -> int:
        """The last decision whose values are known."""
        return int(self._keys[-1]) if len(self._keys) else 0

    def values(self, decisions: Keys) -> Floats:
        """Return the (m, k) values of decisions; NaN where they are not kept."""
        at = places_of(self._keys, decisions)
        found = np.full((len(decisions), self._values.shape[1]), np.nan)
        found[at >= 0] = self._values[at[at >= 0]]
        return found

    def state(self) -> State:
        """Return all that waits and is kept."""
        return {
            "memory": self._memory.copy(),
            "event_keys": self._event_keys.copy(),
            "event_values": self._event_values.copy(),
            "asked": self._asked.copy(),
            "keys": self._keys.copy(),
            "values": self._values.copy(),
            "read": np.array([self._read]),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned; of other fields or instruments, or of nothing, start afresh."""
        if "memory" not in state:
            return
        if state["memory"].shape != self._memory.shape or state["values"].shape[1] != self._values.shape[1]:
            return
        self._memory, self._asked = state["memory"].copy(), state["asked"].copy()
        self._event_keys, self._event_values = state["event_keys"].copy(), state["event_values"].copy()
        self._keys, self._values = state["keys"].copy(), state["values"].copy()
        self._read = int(state["read"][0])

    def _of_events(self, events: EventBatch) -> Floats:
        """Return the (m, k) values of events."""
        found, rows = np.full((len(events), self._values.shape[1]), np.nan), events["kind"] == Kind.ROW
        for column, field in enumerate(self._fields):
            if field < events["values"].shape[1]:
                found[rows, column] = events["values"][rows, field]
        accepted = np.where(events["flags"] == 0, events["kind"], 0).astype(np.float64)
        wild = np.empty(len(events))
        places = events["instrument"].astype(np.int64)
        _wildness(accepted, places, np.ascontiguousarray(events["values"]), self._memory, wild)
        found[:, -1] = wild
        return found

    def _resolve(self) -> None:
        """Give values to the decisions whose event is read; forget events that every decision was read past."""
        count = int(np.searchsorted(self._asked[:, 1], self._read, side="right"))
        if count == 0:
            self._event_keys, self._event_values = self._event_keys[-KEPT_MAX:], self._event_values[-KEPT_MAX:]
            return
        decisions, inputs = np.ascontiguousarray(self._asked[:count, 0]), np.ascontiguousarray(self._asked[:count, 1])
        at = places_of(self._event_keys, inputs)
        fresh = np.full((count, self._values.shape[1]), np.nan)
        fresh[at >= 0] = self._event_values[at[at >= 0]]
        self._keys = np.concatenate([self._keys, decisions])[-KEPT_MAX:]
        self._values = np.concatenate([self._values, fresh])[-KEPT_MAX:]
        self._asked = self._asked[count:]
        after = int(np.searchsorted(self._event_keys, inputs[-1], side="right"))
        self._event_keys, self._event_values = self._event_keys[after:], self._event_values[after:]
