"""The engine's pen: every stream that it writes, and the order in which it writes them.

Idea:   a run is written as inputs, then the champion's decisions, then its order; only then may anybody outside learn
        of the order. A shadow's decisions follow. One kernel, `compose`, frames it all; then each stream is written.
Rows:   a row can be made again from the inputs, so nothing waits for it: rows gather and are written many at once,
        at the latest before a checkpoint. What a crash keeps from the tape, the next start writes.
State:  a `Sheet` for each version: the same arrays at every run, so that nothing is made for an event.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from tradeworthy.core.decisions import DECISION, DECISIONS, INPUTS, ORDER, ORDERS, rows_stream
from tradeworthy.core.events import EventBatch
from tradeworthy.core.held import Handle, HandleType, declare
from tradeworthy.core.kernel import entry, kernel
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.path import ROW_HEADER
from tradeworthy.live.pipeline import Pipeline, Played, Run
from tradeworthy.record.checksum import frame_records
from tradeworthy.record.tape import Stream, TapeWriter

Words = npt.NDArray[np.uint64]

ROWS_WAITING = 128
"""Rows of one version that wait for the tape until they are written together."""

_ROWS_ROOM = 2 * ROWS_WAITING

_NAME = ROW_HEADER - 1
"""The word of a row, and of an order, that names its decision."""


class Sheet(NamedTuple):
    """What the runs of one version stand on, seen as words, and the framings of the streams that take them."""

    inputs: Words  # (room, words of an event), of the inbox
    decisions: Words  # (room, words of a decision)
    rows: Words  # (room, words of a row)
    row_decisions: npt.NDArray[np.int64]
    order: Words  # (1, words of an order)
    waiting: Words  # (_ROWS_ROOM, words of a row)
    inputs_framing: Words
    decisions_framing: Words
    orders_framing: Words


@structref.register
class SheetType(HandleType):
    """The compiled type of a sheet's handle."""


class SheetHandle(Handle):
    """What kernels hold of a `Sheet`."""


declare(SheetHandle, SheetType, Sheet._fields)


@kernel
def _hold_sheet(sheet: Sheet) -> SheetHandle:
    return SheetHandle(*sheet)  # type: ignore[no-untyped-call]


@kernel
def _frame(table: Words, start: int, count: int, first: int, framing: Words) -> int:
    """Frame a stretch of records, and return the sequence after them."""
    frame_records(table[start : start + count].reshape(-1), table.shape[1], first, framing)
    return first + count


@kernel
def compose(
    s: Sheet,
    start: int,
    count: int,
    decisions: int,
    rows: int,
    waiting: int,
    orders: int,
    first: int,
) -> int:
    """Make a run ready for the tape: frames in the order of writing, rows and order under their decision's name.

    Parameters
    ----------
    s : Sheet
    start, count : int
        The run's inputs in the inbox; none for a shadow, whose champion has written them.
    decisions, rows : int
        How many the run made.
    waiting : int
        Rows that wait already.
    orders : int
        1 where its last decision sent an order.
    first : int
        The next sequence of the tape.

    Returns
    -------
    int
        The sequence of the last decision; 0 for none.
    """
    decided = _frame(s.inputs, start, count, first, s.inputs_framing)
    after = _frame(s.decisions, 0, decisions, decided, s.decisions_framing)
    for row in range(rows):
        s.rows[row, _NAME] = decided + s.row_decisions[row]
        s.waiting[waiting + row] = s.rows[row]
    if orders > 0:
        s.order[0, _NAME] = after - 1
        _frame(s.order, 0, 1, after, s.orders_framing)
    return after - 1 if decisions > 0 else 0


class _Rows:
    """One version's rows on their way to the tape, in the order of their decisions."""

    def __init__(self, stream: Stream) -> None:
        self.table: Words = np.zeros((_ROWS_ROOM, stream.dtype.itemsize // 8), np.uint64)
        self.count = 0
        self._stream = stream

    def add(self, rows: npt.NDArray[np.void], decisions: npt.NDArray[np.integer]) -> None:
        """Take rows and the names of the decisions that they led to; write where there is no room for them."""
        rows["decision"] = decisions
        if self.count + rows.size > _ROWS_ROOM:
            self.write()
        if rows.size > _ROWS_ROOM:
            self._stream.append(rows)
            return
        self.table[self.count : self.count + rows.size] = np.frombuffer(rows, np.uint64).reshape(rows.size, -1)
        self.have(rows.size)

    def have(self, more: int) -> None:
        """Count rows that stand in the table; write them all once they are enough."""
        self.count += more
        if self.count >= ROWS_WAITING:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        if self.count:
            self._stream.append(self.table[: self.count].reshape(-1).view(self._stream.dtype))
            self.count = 0


class _Pages:
    """A version's sheet at hand: the compiled call that composes a run on it, and its records as bytes."""

    def __init__(self, of: Pipeline, rows: _Rows, sheet: Sheet) -> None:
        self.of, self.rows = of, rows
        self.decisions, self.order = _bytes_of(sheet.decisions), _bytes_of(sheet.order)
        self.handle = cast(Sheet, _hold_sheet(sheet))
        self.compose = entry(compose, self.handle, 0, 0, 0, 0, 0, 0, 1)


class Recorder:
    """Writes one desk's tape.

    Parameters
    ----------
    tape : TapeWriter
    inbox : Inbox
        The desk's, where the events of a run stand.
    """

    def __init__(self, tape: TapeWriter, inbox: Inbox) -> None:
        self.tape, self._inbox = tape, inbox
        self._inputs = tape.stream(INPUTS, inbox.records.dtype, inline=False)
        self._decisions = tape.stream(DECISIONS, DECISION, inline=False)
        self._orders = tape.stream(ORDERS, ORDER)
        self._events, self._event_bytes = _bytes_of(inbox.words), inbox.records.itemsize
        self._rows: dict[int, _Rows] = {}
        self._pages: dict[int, _Pages] = {}

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

    def run(self, pipeline: Pipeline, run: Run, start: int) -> int:
        """Write a run: its inputs, which stand in the inbox from `start` on, decisions, rows and order.

        A shadow writes no inputs: `start` is where it stopped.

        Returns
        -------
        int
            The sequence of the last decision; 0 for none.
        """
        pages, count, (stop, decisions, rows, ordered) = self._pages_of(pipeline), run.stop - start, run
        waiting = pages.rows.count
        fits = self._inputs.fits(count) and self._decisions.fits(decisions) and waiting + rows <= _ROWS_ROOM
        if not fits or (ordered and not self._orders.fits(1)):
            return self._run_across(pipeline, run, start)
        last = pages.compose(pages.handle, start, count, decisions, rows, waiting, ordered, self.tape.next_sequence)
        if count:
            self._inputs.write(self._events[start * self._event_bytes : stop * self._event_bytes], count)
        if decisions:
            self._decisions.write(pages.decisions[: decisions * DECISION.itemsize], decisions)
        if ordered:
            self._orders.write(pages.order, 1)
        pages.rows.have(rows)
        return last

    def _run_across(self, pipeline: Pipeline, run: Run, start: int) -> int:
        """Write a run that does not fit where its streams or its rows stand now."""
        if run.stop > start:
            self._inputs.append(self._inbox.records[start : run.stop])
        return self.outcome(pipeline.played(run))

    def outcome(self, made: Played) -> int:
        """Write what one version made of inputs that are written: decisions, rows, and the order if there is one.

        Returns
        -------
        int
            The sequence of the last decision; 0 for none.
        """
        if not made.decisions.size:
            return 0
        first = self._decisions.append(made.decisions)
        last = first + made.decisions.size - 1
        if made.orders.size:
            made.orders["decision"] = last
            self._orders.append(made.orders)
        if made.rows.size:
            self.rows(made.pipeline, made.rows, made.row_decisions + first)
        return last

    def rows(self, pipeline: Pipeline, rows: npt.NDArray[np.void], decisions: npt.NDArray[np.integer]) -> None:
        """Take a version's rows, contiguous, under the names of the decisions that they led to."""
        self._rows_of(pipeline).add(rows, decisions)

    def _rows_of(self, pipeline: Pipeline) -> _Rows:
        if pipeline.number not in self._rows:
            stream = self.tape.stream(rows_stream(pipeline.number), pipeline.rows.dtype, inline=False)
            self._rows[pipeline.number] = _Rows(stream)
        return self._rows[pipeline.number]

    def _pages_of(self, pipeline: Pipeline) -> _Pages:
        pages = self._pages.get(pipeline.number)
        if pages is None or pages.of is not pipeline:
            pages = self._pages[pipeline.number] = self._new_pages(pipeline)
        return pages

    def _new_pages(self, pipeline: Pipeline) -> _Pages:
        rows = self._rows_of(pipeline)
        sheet = Sheet(
            inputs=_words_of(self._inbox.records),
            decisions=_words_of(pipeline.decisions),
            rows=_words_of(pipeline.rows),
            row_decisions=pipeline.row_decisions,
            order=_words_of(pipeline.order),
            waiting=rows.table,
            inputs_framing=self._inputs.framing,
            decisions_framing=self._decisions.framing,
            orders_framing=self._orders.framing,
        )
        return _Pages(pipeline, rows, sheet)

    def flush(self) -> None:
        """Write the rows that wait."""
        for rows in self._rows.values():
            rows.write()

    def checkpoint(self, arrays: dict[str, npt.NDArray[np.generic]]) -> int:
        """Store the desk's state after the last record, every row included."""
        self.flush()
        return self.tape.checkpoint(arrays)


def _words_of(records: npt.NDArray[np.void]) -> Words:
    """Return records as a table of words that shares their memory."""
    return records.view(np.uint64).reshape(len(records), -1)


def _bytes_of(table: npt.NDArray[np.generic]) -> memoryview:
    """Return a table as bytes that share its memory."""
    return table.reshape(-1).data.cast("B")
