"""Scores of one version's decisions in columns: what monitors of scores chart, read from the records in one walk.

Undefined: a decision without a score, such as one made while features warm up, is left out.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf
from tradeworthy.judge.monitor.base import Records, places_by

Longs = npt.NDArray[np.int64]


class Scored(NamedTuple):
    """(n,) decisions with a score: where each stands among the records, its instrument, event time and score."""

    places: Longs
    instruments: npt.NDArray[np.uint32]
    ts_ns: Longs
    scores: npt.NDArray[np.float64]

    def at(self, places: slice | npt.NDArray[np.intp]) -> Self:
        """Return those at some places of the columns."""
        return type(self)(self.places[places], self.instruments[places], self.ts_ns[places], self.scores[places])

    def by_instrument(self) -> list[tuple[int, slice | npt.NDArray[np.intp]]]:
        """Return each instrument with the places of its own in the columns."""
        return places_by(self.instruments)


@leaf
def _write_scored(decisions: Records, version: np.uint64, room: Scored) -> int:
    """Write one version's (n,) DECISION with a score into room for all; return how many those are."""
    found = 0
    for i in range(len(decisions)):
        each = decisions[i]
        if each["version"] == version and np.isfinite(each["score"]):
            room.places[found], room.instruments[found] = i, each["instrument"]
            room.ts_ns[found], room.scores[found] = each["ts_event_ns"], each["score"]
            found += 1
    return found


def scored_of(decisions: Records, version: int) -> Scored:
    """Return one version's decisions with a score."""
    n = len(decisions)
    room = Scored(np.empty(n, np.int64), np.empty(n, np.uint32), np.empty(n, np.int64), np.empty(n))
    return room.at(slice(_write_scored(decisions, np.uint64(version), room)))
