"""The record of stateless requests: every row that was scored, its scores, by whom and when, on the tape.

Idea:   a version has a stream ``scores-VERSION`` of fixed-width records beside the engine's own, so `verify` and the
        archive hold for it too, and the rows can be scored again by that version or another. Rows that came with groups
        are in ``scores-VERSION-N``, for the N columns that the project has behind the outcome.
State:  records gather and are written many at once, at the latest at the port's next tick: a kill loses at most those
        of a tenth of a second. A decision never waits so: it is on the tape before it is answered.
Reference: docs/decisions/0007.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import version_name, version_number
from tradeworthy.core.events import FRAME
from tradeworthy.model.version import Version

PREFIX = "scores-"
WAITING = 256
Floats = npt.NDArray[np.float64]


def scores_dtype(n_features: int, n_scores: int, n_groups: int = 0) -> np.dtype[np.void]:
    """Return the record type: when it was asked, by which key (its id as a number), the row, the scores, its groups."""
    fields: list[Any] = [*FRAME, ("ts_ns", "<i8"), ("key", "<u8"), ("row", "<f8", (n_features,))]
    fields.append(("scores", "<f8", (n_scores,)))
    return np.dtype([*fields, ("groups", "<f8", (n_groups,))] if n_groups else fields)


def scores_stream(version: int, n_groups: int = 0) -> str:
    """Return the name of a version's stream."""
    return f"{PREFIX}{version_name(version)}{f'-{n_groups}' if n_groups else ''}"


def scored_by(stream: str) -> int:
    """Return the number of the version whose stream it is; 0 for any other stream.

    >>> scored_by(scores_stream(7)), scored_by(scores_stream(7, 2)), scored_by("inputs")
    (7, 7, 0)
    """
    return version_number(stream.split("-")[1]) if stream.startswith(PREFIX) else 0


class Stream(Protocol):
    """Takes records: a `record.tape.Stream`, or the way to one in another process."""

    def append(self, records: npt.NDArray[Any]) -> object:
        """Write records; RecordUnwritable where that fails."""


class Tape(Protocol):
    """What the port needs of the tape: a `record.tape.TapeWriter`, or the way to one in another process."""

    @property
    def failure(self) -> str | None:
        """Why nothing can be written; None where it can."""

    @property
    def next_sequence(self) -> int:
        """What the next record gets."""

    def stream(self, name: str, dtype: np.dtype[Any], *, inline: bool = True) -> Stream:
        """Return the stream of this name; see `record.tape.TapeWriter.stream`."""


class _Waiting:
    """One version's requests on their way to the tape, as they came; they become records when they are written."""

    def __init__(self, stream: Stream, dtype: np.dtype[np.void]) -> None:
        self.stream, self.dtype, self.count = stream, dtype, 0
        self.asked: list[tuple[Floats, Floats, int, str, Floats | None]] = []

    def write(self) -> None:
        """Write what waits."""
        if not self.asked:
            return
        asked, records = self.asked, np.zeros(self.count, self.dtype)
        self.asked, self.count = [], 0
        rows, scores, ts_ns, keys, groups = zip(*asked, strict=True)
        counts, numbers = [len(part) for part in rows], [int(key, 16) if key else 0 for key in keys]
        records["ts_ns"], records["key"] = np.repeat(ts_ns, counts), np.repeat(numbers, counts)
        records["row"], records["scores"] = np.concatenate(rows), np.concatenate(scores)
        if groups[0] is not None:
            records["groups"] = np.concatenate(groups)
        self.stream.append(records)


class ScoreLog:
    """Writes what stateless requests asked and got.

    Parameters
    ----------
    tape : Tape
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._waiting: dict[tuple[int, int], _Waiting] = {}

    def add(
        self, version: Version, rows: Floats, scores: Floats, key: str, now_ns: int, *, groups: Floats | None = None
    ) -> None:
        """Keep (m, n) rows, their (m, k) scores and (m, g) groups, all of which nobody changes any more.

        Raises
        ------
        RecordUnwritable
            The tape has failed; nothing may be answered that is not recorded.
        """
        which = version.number, 0 if groups is None else groups.shape[1]
        waiting = self._waiting.get(which) or self._open(which, rows.shape[1], scores.shape[1])
        waiting.asked.append((rows, scores, now_ns, key, groups))
        waiting.count += len(rows)
        if waiting.count >= WAITING:
            waiting.write()

    @property
    def waiting(self) -> int:
        """How many rows wait for the tape."""
        return sum(waiting.count for waiting in self._waiting.values())

    def write(self) -> None:
        """Write everything that waits."""
        for waiting in self._waiting.values():
            waiting.write()

    def _open(self, which: tuple[int, int], n: int, k: int) -> _Waiting:
        dtype = scores_dtype(n, k, which[1])
        self._waiting[which] = _Waiting(self._tape.stream(scores_stream(*which), dtype, inline=False), dtype)
        return self._waiting[which]
