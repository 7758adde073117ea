"""The engine's pen: every stream that it writes, and the order in which it writes them.

Idea:   a run is written as inputs, then the champion's decisions, then its rows, then its order; only then may anybody
        outside learn of the order. A shadow's decisions and rows follow.
Rows:   a row can be made again from the inputs, so nothing waits for it: rows gather and are written many at once,
        at the latest before a checkpoint. What a crash keeps from the tape, the next start writes.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, ORDER
from tradeworthy.core.events import EventBatch
from tradeworthy.live.pipeline import Pipeline, Played
from tradeworthy.live.playback import DECISIONS, ORDERS, rows_stream
from tradeworthy.live.staging import INPUTS
from tradeworthy.record.tape import Stream, TapeWriter

ROWS_WAITING = 256
"""Rows of one version that may wait for the tape."""


class _Rows:
    """One version's rows on their way to the tape, in the order of their decisions."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting = np.zeros(ROWS_WAITING, stream.dtype)
        self._words = self._waiting.view(np.int64)
        self._decisions = self._waiting["decision"]
        self._width, self._count = stream.dtype.itemsize // 8, 0

    def add(self, rows: npt.NDArray[np.void], decisions: npt.NDArray[np.integer]) -> None:
        """Take rows and the names of the decisions that they led to; write if there is no room for them."""
        first, end = self._count, self._count + rows.size
        if end > ROWS_WAITING:
            self.write()
            for start in range(0, rows.size, ROWS_WAITING):
                part = slice(start, start + ROWS_WAITING)
                self.add(rows[part], decisions[part])
            return
        self._words[first * self._width : end * self._width] = np.frombuffer(rows, np.int64)
        self._decisions[first:end] = decisions
        self._count = end

    def write(self) -> None:
        """Write what waits."""
        if self._count:
            self._stream.append(self._waiting[: self._count])
            self._count = 0


class Recorder:
    """Writes one desk's tape.

    Parameters
    ----------
    tape : TapeWriter
    inputs : np.dtype
        The event type of the desk.
    """

    def __init__(self, tape: TapeWriter, inputs: np.dtype[np.void]) -> None:
        self.tape = tape
        self._inputs = tape.stream(INPUTS, inputs, inline=False)
        self._decisions = tape.stream(DECISIONS, DECISION, inline=False)
        self._orders = tape.stream(ORDERS, ORDER)
        self._rows: dict[int, _Rows] = {}

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record will get."""
        return self.tape.next_sequence

    def inputs(self, events: EventBatch) -> int:
        """Write inputs; return the first sequence."""
        return self._inputs.append(events)

    def last_input(self, event: EventBatch) -> int:
        """Write one input after the tape has failed, in its reserve."""
        return self.tape.append_last(self._inputs, event)

    def outcome(self, made: Played) -> int:
        """Write what one version made of a run: decisions, rows, and the order if there is one.

        Returns
        -------
        int
            The sequence of the last decision; 0 for none.
        """
        if not made.decisions.size:
            return 0
        first = self._decisions.append(made.decisions)
        if made.rows.size:
            self.rows(made.pipeline, made.rows, made.row_decisions + first)
        last = first + made.decisions.size - 1
        if made.orders.size:
            made.orders["decision"] = last
            self._orders.append(made.orders)
        return last

    def rows(self, pipeline: Pipeline, rows: npt.NDArray[np.void], decisions: npt.NDArray[np.integer]) -> None:
        """Take a version's rows, contiguous, under the names of the decisions that they led to."""
        waiting = self._rows.get(pipeline.number)
        if waiting is None:
            waiting = _Rows(self.tape.stream(rows_stream(pipeline), pipeline.rows.dtype, inline=False))
            self._rows[pipeline.number] = waiting
        waiting.add(rows, decisions)

    def flush(self) -> None:
        """Write the rows that wait."""
        for waiting in self._rows.values():
            waiting.write()

    def checkpoint(self, arrays: dict[str, npt.NDArray[np.generic]]) -> int:
        """Store the desk's state after the last record, every row included."""
        self.flush()
        return self.tape.checkpoint(arrays)
