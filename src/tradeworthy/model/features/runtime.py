"""A program at work on one desk: its table bound to the instruments, and its memory.

Idea:   `one` is a live event, `many` is history; both run `kernel.step`, so they give the same bits.
State:  two arrays, `dump`ed, `restore`d and copied as they are.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid, FeatureInvalid, near
from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.model.features.kernel import (
    ROUTE,
    ROW_READY,
    Floats,
    ProgramState,
    ProgramTable,
    Words,
    fold,
)
from tradeworthy.model.features.layout import Lane
from tradeworthy.model.features.program import Program
from tradeworthy.model.features.single import Single, hold_single, step_single

CHUNK = 65_536
"""Events folded at a time: bounds the memory of `many` beyond its answer."""

_COLUMNS = ("instrument", "kind", "ts_event_ns", "values")


class FeatureState:
    """A program's memory over a desk's instruments.

    Parameters
    ----------
    program : Program
    instruments : sequence of Instrument
        The desk's list: an event's `instrument` is a place in it. Only traded ones give rows.

    Raises
    ------
    FeatureInvalid
        The program reads an instrument that the desk does not list.
    """

    __slots__ = ("_bytes", "_handle", "_row", "_step", "instruments", "program", "state", "table")

    def __init__(self, program: Program, instruments: Sequence[Instrument]) -> None:
        self.program = program
        self.instruments = tuple(instruments)
        self.table = bind(program, self.instruments)
        self.state = _fresh(program, sum(each.traded for each in self.instruments))
        self._row = np.full(len(program.names), np.nan)
        self._take(event_dtype().itemsize // 8)

    def one(self, event: np.void) -> Floats | None:
        """Step by one event; return its (features,) row, or None where there is none or it is not finite yet."""
        raw = event.tobytes()
        if len(self._bytes) != len(raw):
            self._take(len(raw) // 8)
        self._bytes[:] = raw
        return self._row.copy() if self._step(self._handle) == ROW_READY else None

    def _take(self, width: int) -> None:
        """Make room for live events of so many words."""
        words = np.zeros(width, np.int64)
        held = hold_single(Single(self.table, self.state, words, words.view(np.float64), self._row))
        self._bytes, self._handle = words.data.cast("B"), cast(Single, held)
        self._step = entry(step_single, self._handle)

    def many(self, events: EventBatch) -> tuple[Floats, Words]:
        """Step by a batch in order.

        Returns
        -------
        rows : (m, features) float64
            Complete rows only.
        places : (m,) int64
            The events of the batch that gave them.
        """
        return self._fold(events, only_ready=True)

    def asked(self, events: EventBatch) -> tuple[Floats, Words]:
        """Step by a batch in order, as `many`, but keep rows with undefined features too (NaN)."""
        return self._fold(events, only_ready=False)

    def dump(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return a copy of all memory, for a checkpoint."""
        return {"numbers": self.state.numbers.copy(), "words": self.state.words.copy()}

    def restore(self, memory: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Continue from `dump`; the arrays of `state` stay the same objects."""
        for name, mine in zip(self.state._fields, self.state, strict=True):
            found = memory.get(name)
            if found is None or found.shape != mine.shape or found.dtype != mine.dtype:
                raise DataInvalid(
                    f"the stored state's {name!r} do not fit program {self.program.digest[:16]} on "
                    f"{len(self.instruments)} instruments; restore with the program and desk that wrote it"
                )
        for name, mine in zip(self.state._fields, self.state, strict=True):
            mine[...] = memory[name]

    def copy(self) -> "FeatureState":
        """Return a second state that goes on from here by itself."""
        other = FeatureState(self.program, self.instruments)
        other.restore(self.dump())
        return other

    def _fold(self, events: EventBatch, *, only_ready: bool) -> tuple[Floats, Words]:
        self._check_width(events)
        rows = np.empty((len(events), len(self._row)))
        places = np.empty(len(events), np.int64)
        found = 0
        for first in range(0, len(events), CHUNK):
            chunk = events[first : first + CHUNK]
            instrument, kind, ts, values = (np.ascontiguousarray(chunk[name]) for name in _COLUMNS)
            room = (rows[found:], places[found:], only_ready)
            kept = fold(self.table, self.state, instrument, kind, ts, values, *room)
            places[found : found + kept] += first
            found += kept
        return rows[:found], places[:found]

    def _check_width(self, events: EventBatch) -> None:
        width = events["values"].shape[1]
        if width < self.program.width:
            raise DataInvalid(f"events carry {width} values, the program reads {self.program.width}; widen event_dtype")


def bind(program: Program, instruments: Sequence[Instrument]) -> ProgramTable:
    """Return the program's table over a desk's list of instruments.

    Raises
    ------
    FeatureInvalid
        The program reads an instrument that the desk does not list.
    """
    layout = program.layout
    symbols = [instrument.symbol for instrument in instruments]
    for symbol in program.instruments:
        if symbol not in symbols:
            raise FeatureInvalid(
                f"the features read {symbol!r}, the desk lists {symbols}{near(symbol, symbols)}; "
                f"add an [[instrument]] {symbol} with its [[market]], or leave it out of the features"
            )
    routes = np.zeros((len(symbols), max(Kind) + 1), ROUTE)
    block = 0
    for number, instrument in enumerate(instruments):
        for kind in Kind:
            route = routes[number, kind]
            _fill(route, "others", layout.lanes.get(Lane(instrument.symbol, kind)))
            if instrument.traded:
                _fill(route, "own", layout.lanes.get(Lane("", kind)))
                route["numbers"] = len(layout.shared_numbers) + block * len(layout.own_numbers)
                route["words"] = len(layout.shared_words) + block * len(layout.own_words)
                route["decides"] = kind == program.trigger
        block += instrument.traded
    fresh = (layout.shared_numbers, layout.shared_words, layout.own_numbers, layout.own_words)
    return ProgramTable(layout.instructions, routes, layout.outputs, *fresh)


def _fill(route: np.void, side: str, span: object) -> None:
    """Write one lane's place into a route, if the program has that lane."""
    if span is not None:
        for name in ("first", "last", "count"):
            route[f"{side}_{name}"] = getattr(span, name)


def _fresh(program: Program, traded: int) -> ProgramState:
    """Return the memory before the first event."""
    layout = program.layout
    numbers = np.concatenate([layout.shared_numbers, np.tile(layout.own_numbers, traded)])
    words = np.concatenate([layout.shared_words, np.tile(layout.own_words, traded)])
    return ProgramState(numbers, words)
