"""One live event's way to `kernel.step`: as its own bytes, so that Python reads no field of it.

Idea:   an event record is a whole number of 8-byte words. Its bytes are copied into a table of words that the kernel
        holds, with everything else that it needs; the call from Python passes one pointer.
Time:   reading four fields of a record in Python and handing five arrays to a kernel costs as much as 40 operations.
"""

from typing import NamedTuple

import numpy as np
from numba.experimental import structref

from tradeworthy.core.events import event_dtype
from tradeworthy.core.held import Handle, HandleType, declare
from tradeworthy.core.kernel import kernel
from tradeworthy.model.features.kernel import Floats, ProgramState, ProgramTable, Words, step


def _bits_before(field: str) -> int:
    """Return where a field of an event begins."""
    fields = event_dtype().fields
    return 8 * int(fields[field][1]) if fields is not None else 0


_WORD = 64
_TS_EVENT, _VALUES = _bits_before("ts_event_ns") // _WORD, _bits_before("values") // _WORD
_INSTRUMENT_WORD, _INSTRUMENT_SHIFT = divmod(_bits_before("instrument"), _WORD)
_KIND_WORD, _KIND_SHIFT = divmod(_bits_before("kind"), _WORD)
_INSTRUMENT_MASK = int(np.iinfo(event_dtype()["instrument"]).max)
_KIND_MASK = int(np.iinfo(event_dtype()["kind"]).max)


class Single(NamedTuple):
    """A program at work, the event that it steps by, and the row that comes of it."""

    table: ProgramTable
    state: ProgramState
    words: Words  # (words of an event,)
    numbers: Floats  # the same memory
    row: Floats  # (features,)


@structref.register
class SingleType(HandleType):
    """The compiled type of a handle of `Single`."""


class SingleHandle(Handle):
    """What kernels hold of a `Single`."""


declare(SingleHandle, SingleType, Single._fields)


@kernel
def hold_single(single: Single) -> SingleHandle:
    """Return the handle, for kernels: the same fields, the same arrays."""
    return SingleHandle(*single)  # type: ignore[no-untyped-call]


@kernel
def step_single(s: Single) -> int:
    """Step by the event that stands in `words`; returns what `step` does."""
    instrument = (s.words[_INSTRUMENT_WORD] >> _INSTRUMENT_SHIFT) & _INSTRUMENT_MASK
    kind = (s.words[_KIND_WORD] >> _KIND_SHIFT) & _KIND_MASK
    return step(s.table, s.state, instrument, kind, s.words[_TS_EVENT], s.numbers[_VALUES:], s.row)
