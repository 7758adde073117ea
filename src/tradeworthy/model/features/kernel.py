"""The interpreter of feature programs: one event in, at most one row out.

Idea:       a program is a table of instructions. An event runs those of its lane (one instrument, one kind of event),
            in order, each reading and writing numbers of one flat array. A live event is one `step`; training is
            `fold`, the same `step` over history, so both give the same bits.
Flow:       other instruments' lanes first (they publish), then the event's own lane, then the row is copied out.
State:      `numbers` holds a shared block (what other instruments give) and one block for each traded instrument:
            registers, rings, sums. `words` holds the integers: event counts, positions, stamps. O(1) work an event.
Time:       a value of another instrument is seen only if it was published at a strictly earlier `ts_event_ns`; of the
            same instrument, the latest consumed. The state has met nothing but the past: look-ahead cannot be written.
Undefined:  NaN, from an empty window, a division by zero or an undefined input. Windows recover when it has left.
Units:      `ts_event_ns` is UTC nanoseconds.

To add an operation, see `operations`; its machine half is here: one member of `Code` (with the memory it needs) and
one branch of `_run`.
"""
# ruff: noqa: PLR0917 - kernels have no keyword arguments

import math
from enum import IntEnum
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import inlined, kernel, leaf
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.model.features.gaps import forget
from tradeworthy.model.features.rolling import (
    correlation,
    deviation,
    distance,
    ewm_deviation,
    exponential,
    extreme,
    is_renewal,
    is_usable,
    rolling_sum,
)

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.int64]
Record = Any
"""One record, whose fields a kernel reads as attributes."""
Records = Any
"""An array of records."""

ROW_READY = 1
ROW_WARMING = 0
NO_ROW, FORGOTTEN = -1, -2
_GAP = int(Kind.GAP)

_TURN = 2.0 * math.pi
_DAYS_PER_WEEK = 7
_MONDAY = 3  # 1970-01-01 was a Thursday


class Code(IntEnum):
    """What an instruction does, and the memory it needs.

    After the number: floats, integers, whether it works on the history of its inputs, and whether it also keeps a queue
    of positions as long as that history.
    """

    numbers: int
    words: int
    windowed: bool
    queued: bool

    def __new__(cls, value: int, numbers: int = 0, words: int = 0, *kept: bool) -> Self:
        """Keep the memory beside the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.numbers = numbers
        member.words = words
        member.windowed, member.queued = (*kept, False, False)[:2]
        return member

    CONSTANT = 0  # a register set when the state is made; never runs
    FIELD = 1
    ADD = 2
    SUBTRACT = 3
    MULTIPLY = 4
    DIVIDE = 5
    POWER = 6
    MINIMUM = 7
    MAXIMUM = 8
    LESS = 9
    LESS_EQUAL = 10
    EQUAL = 11
    AND = 12
    OR = 13
    NOT = 14
    WHERE = 15
    LOG = 16
    EXP = 17
    SQRT = 18
    ABS = 19
    SIGN = 20
    LAG = 21, 0, 0, True
    SUM = 22, 4, 1, True
    STD = 23, 8, 1, True
    ZSCORE = 24, 8, 1, True
    CORR = 25, 20, 1, True
    MIN = 26, 0, 2, True, True
    MAX = 27, 0, 2, True, True
    EMA = 28, 1, 1
    EWM_STD = 29, 3, 1
    TIME_OF_DAY_SIN = 30
    TIME_OF_DAY_COS = 31
    DAY_OF_WEEK_SIN = 32
    DAY_OF_WEEK_COS = 33
    HISTORY = 34, 0, 1  # and the ring that all windows over one input share
    PUBLISH = 35, 2, 2  # current and previous value, with their stamps
    READ = 36


INSTRUCTION = np.dtype([(name, "<i8") for name in ("code", "out", "a", "b", "c", "n", "numbers", "words")])
"""One operation. `out`, `a`, `b`, `c` are places of registers in the block; in windowed operations `a` and `b` name
the instruction of the history instead. `n` is the window; `numbers` and `words` are where its memory starts."""

ROUTE = np.dtype(
    [
        ("others_first", "<i8"),  # instructions of the lanes that other instruments read
        ("others_last", "<i8"),
        ("others_count", "<i8"),  # word that counts the lane's events
        ("own_first", "<i8"),
        ("own_last", "<i8"),
        ("own_count", "<i8"),
        ("numbers", "<i8"),  # where the instrument's block starts
        ("words", "<i8"),
        ("decides", "<i8"),  # 1 where the event asks for a row
    ]
)
"""What one kind of event of one instrument sets in motion."""


class ProgramTable(NamedTuple):
    """A program bound to a desk's instruments; never changes."""

    instructions: Records
    """(operations,) INSTRUCTION, lane after lane."""
    routes: Records
    """(instruments, kinds) ROUTE."""
    outputs: Words
    """(features,) registers of the row, in the instrument's block."""
    shared_numbers: Floats
    shared_words: Words
    own_numbers: Floats
    own_words: Words
    """What the shared block, and each instrument's, hold before the first event."""


class ProgramState(NamedTuple):
    """All memory of a program: two arrays, copied or stored as they are."""

    numbers: Floats
    words: Words


@inlined
def _publish(op: Record, numbers: Floats, words: Words, ts_event_ns: int) -> None:
    """Make a value readable by other instruments, and keep the one before."""
    value, stamp = op.numbers, op.words
    if ts_event_ns > words[stamp]:
        numbers[value + 1], words[stamp + 1] = numbers[value], words[stamp]
        words[stamp] = ts_event_ns
    numbers[value] = numbers[op.a]


@inlined
def _read(op: Record, numbers: Floats, words: Words, ts_event_ns: int) -> float:
    """Return the value last published at a strictly earlier time."""
    value, stamp = op.numbers, op.words
    x: float = math.nan
    if words[stamp] < ts_event_ns:
        x = numbers[value]
    elif words[stamp + 1] < ts_event_ns:
        x = numbers[value + 1]
    return x


@inlined
def _remember(op: Record, memory: Floats, words: Words, count: int) -> None:
    """Put the input into its ring; `words` keeps the last position that was undefined."""
    x: float = memory[op.a]
    if not is_usable(x):
        words[op.words] = count
    memory[op.numbers + (count & op.n)] = x


@inlined
def _windowed(instructions: Records, op: Record, memory: Floats, words: Words, count: int) -> float:
    """Step one operation over a window of the history that it reads."""
    code, n = op.code, op.n
    past = instructions[op.a]
    ring, mask = past.numbers, past.n
    leaving: float = memory[ring + ((count - n) & mask)]
    if code == Code.LAG:
        return leaving
    entering: float = memory[ring + (count & mask)]
    undefined = words[past.words]
    if code == Code.MIN:
        value = extreme(words, op.words, memory, ring, mask, count, n, -1.0)
    elif code == Code.MAX:
        value = extreme(words, op.words, memory, ring, mask, count, n, 1.0)
    else:
        renew = is_renewal(words, op.words, n)
        if code == Code.SUM:
            value = rolling_sum(memory, op.numbers, entering, leaving, renew)
        elif code == Code.STD:
            value = deviation(memory, op.numbers, entering, leaving, n, renew)
        elif code == Code.ZSCORE:
            value = distance(memory, op.numbers, entering, leaving, n, renew)
        else:
            other = instructions[op.b]
            ring, mask = other.numbers, other.n
            undefined = max(undefined, words[other.words])
            y, y_leaving = memory[ring + (count & mask)], memory[ring + ((count - n) & mask)]
            value = correlation(memory, op.numbers, entering, y, leaving, y_leaving, n, renew)
    return value if count - undefined >= n else math.nan


@leaf
def _run(  # noqa: C901, PLR0912, PLR0915 - one branch an operation
    instructions: Records,
    first: int,
    last: int,
    r: Floats,
    w: Words,
    shared: Floats,
    stamps: Words,
    count: int,
    ts_event_ns: int,
    values: Floats,
) -> None:
    """Run the instructions of one lane on one block: registers and rings `r`, integers `w`."""
    for i in range(first, last):
        op = instructions[i]
        code = op.code
        if code == Code.FIELD:
            x = values[op.a] if op.a < values.shape[0] else math.nan
        elif code == Code.HISTORY:
            _remember(op, r, w, count)
            continue
        elif code == Code.PUBLISH:
            _publish(op, r, w, ts_event_ns)
            continue
        elif code == Code.READ:
            x = _read(op, shared, stamps, ts_event_ns)
        elif code == Code.ADD:
            x = r[op.a] + r[op.b]
        elif code == Code.SUBTRACT:
            x = r[op.a] - r[op.b]
        elif code == Code.MULTIPLY:
            x = r[op.a] * r[op.b]
        elif code == Code.DIVIDE:
            x = r[op.a] / r[op.b]
        elif code == Code.POWER:
            x = r[op.a] ** r[op.b]
        elif code == Code.MINIMUM:
            x = np.minimum(r[op.a], r[op.b])
        elif code == Code.MAXIMUM:
            x = np.maximum(r[op.a], r[op.b])
        elif code == Code.LESS:
            x = _truth(r[op.a], r[op.b], r[op.a] < r[op.b])
        elif code == Code.LESS_EQUAL:
            x = _truth(r[op.a], r[op.b], r[op.a] <= r[op.b])
        elif code == Code.EQUAL:
            x = _truth(r[op.a], r[op.b], r[op.a] == r[op.b])
        elif code == Code.AND:
            x = r[op.a] * r[op.b]
        elif code == Code.OR:
            x = np.maximum(r[op.a], r[op.b])
        elif code == Code.NOT:
            x = 1.0 - r[op.a]
        elif code == Code.WHERE:
            x = _choose(r[op.a], r[op.b], r[op.c])
        elif code == Code.LOG:
            x = np.log(r[op.a])
        elif code == Code.EXP:
            x = np.exp(r[op.a])
        elif code == Code.SQRT:
            x = np.sqrt(r[op.a])
        elif code == Code.ABS:
            x = abs(r[op.a])
        elif code == Code.SIGN:
            x = np.sign(r[op.a])
        elif code == Code.EMA:
            x = exponential(r, op.numbers, w, op.words, r[op.a], r[op.b], op.n)
        elif code == Code.EWM_STD:
            x = ewm_deviation(r, op.numbers, w, op.words, r[op.a], r[op.b], op.n)
        elif code == Code.TIME_OF_DAY_SIN:
            x = math.sin(_TURN * (ts_event_ns % NS_PER_DAY) / NS_PER_DAY)
        elif code == Code.TIME_OF_DAY_COS:
            x = math.cos(_TURN * (ts_event_ns % NS_PER_DAY) / NS_PER_DAY)
        elif code == Code.DAY_OF_WEEK_SIN:
            x = math.sin(_TURN * ((ts_event_ns // NS_PER_DAY + _MONDAY) % _DAYS_PER_WEEK) / _DAYS_PER_WEEK)
        elif code == Code.DAY_OF_WEEK_COS:
            x = math.cos(_TURN * ((ts_event_ns // NS_PER_DAY + _MONDAY) % _DAYS_PER_WEEK) / _DAYS_PER_WEEK)
        else:
            x = _windowed(instructions, op, r, w, count)
        r[op.out] = x


@inlined
def _truth(a: float, b: float, answer: bool) -> float:  # noqa: FBT001  # a kernel has no keywords
    """Return a condition as 1 or 0; NaN where a side is undefined."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return 1.0 if answer else 0.0


@inlined
def _choose(condition: float, yes: float, no: float) -> float:
    """Return `yes` where the condition is 1, `no` where it is 0, NaN where it is undefined."""
    if condition == 1.0:
        return yes
    return no if condition == 0.0 else math.nan


@leaf
def step(
    table: ProgramTable,
    state: ProgramState,
    instrument: int,
    kind: int,
    ts_event_ns: int,
    values: Floats,
    row: Floats,
) -> int:
    """Step the program by one event; call it from Python or from another kernel.

    Parameters
    ----------
    table, state
        From `FeatureState`; the state is changed in place.
    instrument, kind, ts_event_ns : int
        Of the event.
    values : (width,) float64
        Of the event; a missing field reads as NaN.
    row : (features,) float64
        Filled where the event asks for a row, NaN where a feature is undefined.

    Returns
    -------
    int
        `ROW_READY`, `ROW_WARMING` (a feature is not finite yet), `NO_ROW` (the event asks for none) or `FORGOTTEN` (a
        gap: some features begin anew).
    """
    if not (0 <= instrument < table.routes.shape[0] and 0 <= kind < table.routes.shape[1]):
        return NO_ROW
    if kind == _GAP:
        return FORGOTTEN if forget(table, state, instrument, values) else NO_ROW
    route = table.routes[instrument, kind]
    numbers, words = state.numbers, state.words
    if route.others_last > route.others_first:
        first, last, count = route.others_first, route.others_last, route.others_count
        words[count] += 1
        _run(table.instructions, first, last, numbers, words, numbers, words, words[count], ts_event_ns, values)
    if route.own_last > route.own_first:
        first, last, count = route.own_first, route.own_last, route.words + route.own_count
        words[count] += 1
        r, w = numbers[route.numbers :], words[route.words :]
        _run(table.instructions, first, last, r, w, numbers, words, words[count], ts_event_ns, values)
    if route.decides == 0:
        return NO_ROW
    ready = ROW_READY
    for j in range(table.outputs.shape[0]):
        x = state.numbers[route.numbers + table.outputs[j]]
        row[j] = x
        if not math.isfinite(x):
            ready = ROW_WARMING
    return ready


@kernel
def fold(
    table: ProgramTable,
    state: ProgramState,
    instrument: npt.NDArray[np.uint32],
    kind: npt.NDArray[np.uint8],
    ts_event_ns: Words,
    values: Floats,
    rows: Floats,
    places: Words,
    only_ready: bool,  # noqa: FBT001  # a kernel has no keywords
) -> int:
    """Step the program over events in order; return how many rows were kept.

    The j-th row kept is `rows[j]`, and its event stands at `places[j]`. `rows` needs room for every event.
    """
    found = 0
    for i in range(instrument.shape[0]):
        answer = step(table, state, instrument[i], kind[i], ts_event_ns[i], values[i], rows[found])
        if answer == ROW_READY or (answer == ROW_WARMING and not only_ready):
            places[found] = i
            found += 1
    return found
