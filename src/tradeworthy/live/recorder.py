"""The engine's pen: every stream that it writes, and the order in which it writes them.

Idea:   a run is written as inputs, then the champion's decisions, then its rows, then its order; only then may anybody
        outside learn of the order. A shadow's decisions and rows follow.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, ORDER
from tradeworthy.core.events import EventBatch
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.playback import DECISIONS, ORDERS, Played, rows_stream
from tradeworthy.live.staging import INPUTS
from tradeworthy.record.tape import Stream, TapeWriter


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
        self._rows: dict[int, Stream] = {}

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
        """Write a version's rows under the names of the decisions that they led to."""
        rows["decision"] = decisions
        self._stream_of(pipeline).append(rows)

    def checkpoint(self, arrays: dict[str, npt.NDArray[np.generic]]) -> int:
        """Store the desk's state after the last record."""
        return self.tape.checkpoint(arrays)

    def _stream_of(self, pipeline: Pipeline) -> Stream:
        stream = self._rows.get(pipeline.number)
        if stream is None:
            stream = self.tape.stream(rows_stream(pipeline), pipeline.rows.dtype, inline=False)
            self._rows[pipeline.number] = stream
        return stream
