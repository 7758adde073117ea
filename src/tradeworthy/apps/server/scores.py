"""The record of stateless requests: every row that was scored, its scores, by whom and when, on the tape.

Idea:   a version has a stream ``scores-VERSION`` of fixed-width records beside the engine's own, so `verify` and the
        archive hold for it too, and the rows can be scored again by that version or another.
State:  records gather and are written many at once, at the latest at the port's next tick: a kill loses at most those
        of a tenth of a second. A decision never waits so: it is on the tape before it is answered.
Reference: docs/decisions/0007.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import version_name
from tradeworthy.core.events import FRAME
from tradeworthy.model.version import Version

PREFIX = "scores-"
WAITING = 256
Floats = npt.NDArray[np.float64]


def scores_dtype(n_features: int, n_scores: int) -> np.dtype[np.void]:
    """Return the record type: when it was asked, by which key (its id as a number), the row, the scores."""
    fields: list[Any] = [*FRAME, ("ts_ns", "<i8"), ("key", "<u8"), ("row", "<f8", (n_features,))]
    return np.dtype([*fields, ("scores", "<f8", (n_scores,))])


def scores_stream(version: int) -> str:
    """Return the name of a version's stream."""
    return f"{PREFIX}{version_name(version)}"


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

    def __init__(self, stream: Stream, n: int, k: int) -> None:
        self.stream, self.count = stream, 0
        self.dtype = scores_dtype(n, k)
        self.asked: list[tuple[Floats, Floats, int, str]] = []

    def write(self) -> None:
        """Write what waits."""
        if not self.asked:
            return
        asked, records = self.asked, np.zeros(self.count, self.dtype)
        self.asked, self.count = [], 0
        rows, scores, ts_ns, keys = zip(*asked, strict=True)
        counts, numbers = [len(part) for part in rows], [int(key, 16) if key else 0 for key in keys]
        records["ts_ns"], records["key"] = np.repeat(ts_ns, counts), np.repeat(numbers, counts)
        records["row"], records["scores"] = np.concatenate(rows), np.concatenate(scores)
        self.stream.append(records)


class ScoreLog:
    """Writes what stateless requests asked and got.

    Parameters
    ----------
    tape : Tape
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._waiting: dict[int, _Waiting] = {}

    def add(self, version: Version, rows: Floats, scores: Floats, key: str, now_ns: int) -> None:
        """Keep (m, n) rows and their (m, k) scores, both of which nobody changes any more.

        Raises
        ------
        RecordUnwritable
            The tape has failed; nothing may be answered that is not recorded.
        """
        waiting = self._waiting.get(version.number) or self._open(version, rows.shape[1], scores.shape[1])
        waiting.asked.append((rows, scores, now_ns, key))
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

    def _open(self, version: Version, n: int, k: int) -> _Waiting:
        stream = self._tape.stream(scores_stream(version.number), scores_dtype(n, k), inline=False)
        self._waiting[version.number] = _Waiting(stream, n, k)
        return self._waiting[version.number]
