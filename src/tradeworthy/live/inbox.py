"""Events as the kernels see them: rows of 8-byte words, so that one compiled kernel serves every width.

Idea:   an event record is a whole number of 8-byte words. Seen as int64 and as float64 tables, its header is at fixed
        columns and its values are the rest; the compiled type does not depend on how many values the desk declares.
State:  the inbox is copied into once a run and reused; nothing is allocated for an event.
"""

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, event_dtype
from tradeworthy.core.kernel import kernel

Words = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

SEQUENCE, _FRAME_REST, TS_EVENT, TS_RECV, REFERENCE, _PACKED, VALUES = range(7)
"""Columns of the words."""

_KIND_SHIFT, _FLAGS_SHIFT = 32, 40
_LOW_32 = 0xFFFFFFFF
_LOW_8 = 0xFF


class Inbox:
    """Room for the events of one run, and the views of it that kernels use.

    Parameters
    ----------
    room : int
        The most events at once.
    width : int
        Values an event carries.

    Attributes
    ----------
    records : (room,) event records
    words, numbers : (room, words of an event) int64, float64
        The same memory as tables.
    header : memoryview
        Of `words`: the cheapest way for Python to read one.
    data : memoryview
        All records as bytes: the cheapest way for Python to write one.
    prices, now_ns : (room,) arrays
        The reference price and the decision time of each event.
    """

    def __init__(self, room: int, width: int) -> None:
        self.records: EventBatch = np.zeros(room, event_dtype(width))
        self.words: Words = self.records.view(np.int64).reshape(room, -1)
        self.numbers: Numbers = self.records.view(np.float64).reshape(room, -1)
        self.prices: Numbers = np.full(room, np.nan)
        self.now_ns: Words = np.zeros(room, np.int64)
        self.header = self.words.data
        self._same, self._itemsize = self.records.dtype, self.records.itemsize
        self.data, self._times = self.words.reshape(-1).data.cast("B"), self.now_ns.data

    @property
    def room(self) -> int:
        """The most events at once."""
        return len(self.records)

    def load(self, events: EventBatch) -> int:
        """Copy events in (at most `room`) and return how many fitted; values a narrower event lacks become NaN."""
        count = min(len(events), self.room)
        if events.dtype is not self._same and events.dtype == self.records.dtype:
            self._same = events.dtype  # comparing record types costs as much as a decision: once for each source
        if events.dtype is self._same:
            self.data[: count * self._itemsize] = (events if count == len(events) else events[:count]).tobytes()
        else:
            _widen(self.records[:count], events[:count])
        return count

    def stamp(self, start: int, stop: int, now_ns: int) -> None:
        """Set the decision time of events: now, and never before the event was received."""
        if stop == start + 1:
            self._times[start] = max(self.header[start, TS_RECV], now_ns)
            return
        np.maximum(self.words[start:stop, TS_RECV], now_ns, out=self.now_ns[start:stop])


def _widen(target: EventBatch, events: EventBatch) -> None:
    for name in ("ts_event_ns", "ts_recv_ns", "reference", "instrument", "kind", "flags"):
        target[name] = events[name]
    shared = min(target["values"].shape[1], events["values"].shape[1])
    target["values"] = np.nan
    target["values"][:, :shared] = events["values"][:, :shared]


@kernel
def instrument_of(words: Words, place: int) -> int:
    """Return the number of an event's instrument."""
    return int(words[place, _PACKED] & _LOW_32)


@kernel
def kind_of(words: Words, place: int) -> int:
    """Return the kind of an event."""
    return int((words[place, _PACKED] >> _KIND_SHIFT) & _LOW_8)


@kernel
def pack(words: Words, place: int, instrument: int, kind: int) -> None:
    """Write an event's instrument and kind; its flags are zero."""
    words[place, _PACKED] = instrument | (kind << _KIND_SHIFT)


@kernel
def flags_of(words: Words, place: int) -> int:
    """Return why an event was refused, or 0."""
    return int((words[place, _PACKED] >> _FLAGS_SHIFT) & _LOW_8)


@kernel
def set_flags(words: Words, place: int, code: int) -> None:
    """Write on the event itself why it was refused (0 for accepted)."""
    words[place, _PACKED] = (words[place, _PACKED] & ~(_LOW_8 << _FLAGS_SHIFT)) | (code << _FLAGS_SHIFT)
