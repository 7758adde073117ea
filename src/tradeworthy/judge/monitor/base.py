"""What every monitor promises, and what monitors share: a queue of findings and states that survive a restart.

Idea:   a monitor is fed slices of tape streams, any stream in any slicing; it picks the records that it knows and
        leaves the others. However the tape is sliced, its findings are the same; where what it finds depends on the
        order of records of several streams, it is shown those up to one sequence at once.
State:  arrays only (no pickle), written in one file that replaces the last one whole. A finding not yet taken is state.
"""

import io
import os
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import EventBatch, event_dtype
from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import leaf

Records = npt.NDArray[np.void]
State = dict[str, npt.NDArray[Any]]

HEADER = np.dtype(event_dtype().descr[:-1])
"""What engine inputs of any width have in common."""

SOME_DECISIONS = np.zeros(4, DECISION)[::2]
"""An example of decisions on the tape for `entry`: what is compiled for it takes slices of any layout."""

SOME_EVENTS = np.zeros(2, event_dtype())
"""The same for `Inputs`."""

SOME_TIMES = np.zeros(2, [("ts_event_ns", "<i8"), ("instrument", "<u4")])["ts_event_ns"]
"""The same for times, of any layout and alignment: charts read few of them, where they stand in their records."""


@runtime_checkable
class Monitor(Protocol):
    """Watches the record; never in the way of an order."""

    def observe(self, records: Records) -> None:
        """Take the next records of one tape stream; those of an unknown type are left."""

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""

    def state(self) -> State:
        """Return all that a restarted monitor needs to go on as if nothing had happened."""


@runtime_checkable
class Restorable(Protocol):
    """A monitor that can take back its state."""

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""


@runtime_checkable
class Joining(Protocol):
    """A monitor that brings several streams together."""

    def observe_all(self, look: Sequence[Records]) -> None:
        """Take the next records of several streams: all that there are up to one sequence."""


@runtime_checkable
class Heir(Protocol):
    """A monitor of the desk, not of a version: what it knows of the desk goes on under the next champion."""

    def inherit(self, before: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what the state of the monitor before says of the desk."""


def show(monitors: Collection[Monitor], look: Sequence[Records]) -> None:
    """Let monitors observe the next records of several streams: all that there are up to one sequence.

    One stream after the other, so that monitors that share work on the same records do it once.
    """
    joining = [monitor for monitor in monitors if isinstance(monitor, Joining)]
    others = [monitor for monitor in monitors if monitor not in joining]
    for records in look:
        for monitor in others:
            monitor.observe(records)
    for each in joining:
        each.observe_all(look)


def are_decisions(records: Records) -> bool:
    """Whether the records are decisions."""
    return records.dtype == DECISION


def are_events(records: Records) -> bool:
    """Whether the records are engine inputs of any width."""
    names = records.dtype.names or ()
    return "kind" in names and "values" in names


class Inputs(NamedTuple):
    """(n,) engine inputs in arrays whose types do not depend on their width: HEADER records and (n, width) values."""

    heads: Records
    values: npt.NDArray[np.float64]


def inputs_of(events: EventBatch) -> Inputs:
    """Return inputs as a kernel takes them: the very same memory."""
    whole = np.ascontiguousarray(events)
    return Inputs(np.ndarray(len(whole), HEADER, whole, strides=whole.strides), whole["values"])


def are_rows(records: Records) -> bool:
    """Whether the records are one version's feature rows."""
    names = records.dtype.names or ()
    return "row" in names and "scores" in names


def to_bytes(value: object) -> npt.NDArray[np.uint8]:
    """Write a plain value as an array of JSON bytes, for a state."""
    return np.frombuffer(msgspec.json.encode(value), np.uint8).copy()


def part_of(state: Mapping[str, npt.NDArray[Any]], prefix: str) -> State:
    """Return the arrays of a state whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def chosen(records: Records, wanted: npt.NDArray[np.bool_]) -> Records:
    """Return the wanted records: the very same array if all are, else a copy; cheaper than a mask of records."""
    places = np.flatnonzero(wanted)
    return records if len(places) == len(records) else records.take(places)


def as_bytes(records: Records) -> Records:
    """Return records as plain bytes, a record each: they are copied at once, not field by field."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def followed_by(records: Records, fresh: Records) -> Records:
    """Return records with fresh ones of the same type after them, in memory of their own."""
    if len(fresh) == 0:
        return records
    return np.concatenate([as_bytes(records), as_bytes(fresh)]).view(records.dtype)


def latest(records: Records, fresh: Records, n: int) -> Records:
    """Return the last n of records with fresh ones of the same type after them, in memory of their own."""
    return followed_by(records[max(0, len(records) + len(fresh) - n) :], fresh[-n:])


class Kept:
    """Records of one type in their order: new ones come behind, old ones go in front; memory is used again.

    Parameters
    ----------
    dtype : dtype
        Of the records.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._memory, self._first, self._end = np.empty(0, dtype), 0, 0

    def __len__(self) -> int:
        """Return how many are kept."""
        return self._end - self._first

    @property
    def records(self) -> Records:
        """Those that are kept, until the next `room` or `add`."""
        return self._memory[self._first : self._end]

    def room(self, n: int) -> Records:
        """Return memory for n more behind those kept; what is written there counts from `grow` on."""
        if self._end + n > len(self._memory):
            kept, count = self.records, len(self)
            if 2 * (count + n) > len(self._memory):
                self._memory = np.empty(4 * (count + n), kept.dtype)
            as_bytes(self._memory)[:count] = as_bytes(kept)
            self._first, self._end = 0, count
        return self._memory[self._end : self._end + n]

    def grow(self, n: int) -> None:
        """Keep the first n records that were written to `room`."""
        self._end += n

    def add(self, records: Records) -> None:
        """Keep more records."""
        as_bytes(self.room(len(records)))[:] = as_bytes(records)
        self.grow(len(records))

    def push(self, records: Records, n: int) -> None:
        """Keep more records, and of all the last n alone."""
        self.add(records[-n:])
        self.drop(len(self) - n)

    def drop(self, n: int) -> None:
        """Let go of the first n; none, if n is below zero."""
        self._first += max(0, n)

    def shrink(self, n: int) -> None:
        """Keep the first n alone."""
        self._end = self._first + n

    def replace(self, records: Records) -> None:
        """Keep these records alone."""
        self.shrink(0)
        self.add(records)


def fields_as(records: Records, dtype: np.dtype[np.void]) -> Records:
    """Return the records with the fields of another type alone."""
    narrow = np.zeros(len(records), dtype)
    for name in dtype.names or ():
        if name != "reserved":
            narrow[name] = records[name]
    return narrow


@leaf
def find_places(keys: npt.NDArray[np.uint64], asked: npt.NDArray[np.uint64], places: npt.NDArray[np.int64]) -> None:
    """Write where each of (m,) asked keys stands among (n,) rising keys, or -1; quickest if those asked rise too."""
    n, at = len(keys), 0
    for i in range(len(asked)):
        if at > 0 and keys[at - 1] >= asked[i]:
            at = int(np.searchsorted(keys[:at], asked[i]))
        while at < n and keys[at] < asked[i]:
            at += 1
        places[i] = at if at < n and keys[at] == asked[i] else -1


def places_of(keys: npt.NDArray[Any], asked: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return where each of (m,) asked sequences stands among (n,) rising ones, -1 where it does not."""
    places = np.empty(len(asked), np.int64)
    find_places(np.ascontiguousarray(keys), np.ascontiguousarray(asked), places)
    return places


def by_instrument(records: Records) -> list[tuple[int, slice | npt.NDArray[np.intp]]]:
    """Return each instrument among records with the places of its own, cheaply where there is one alone."""
    return places_by(records["instrument"])


def places_by(instruments: npt.NDArray[np.uint32]) -> list[tuple[int, slice | npt.NDArray[np.intp]]]:
    """Return each of (n,) instruments with the places at which it stands."""
    if len(instruments) == 0:
        return []
    if (instruments == instruments[0]).all():
        return [(int(instruments[0]), slice(None))]
    return [(int(each), np.flatnonzero(instruments == each)) for each in np.unique(instruments)]


class FindingQueue:
    """Findings waiting to be taken."""

    def __init__(self) -> None:
        self._waiting: list[Finding] = []

    def put(self, finding: Finding) -> None:
        """Add one."""
        self._waiting.append(finding)

    def take(self) -> list[Finding]:
        """Return all that wait, in order of their records, and forget them."""
        taken, self._waiting = sorted(self._waiting, key=lambda f: f.sequence), []
        return taken

    def to_array(self) -> npt.NDArray[np.uint8]:
        """Write the waiting findings as JSON bytes."""
        return to_bytes(self._waiting)

    def from_array(self, data: npt.NDArray[Any]) -> None:
        """Take back what `to_array` wrote."""
        self._waiting = msgspec.json.decode(data.tobytes(), type=list[Finding])


def save_states(path: Path, states: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> None:
    """Write the states of several monitors into one file, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced in one step once the new file is durable.
    states : mapping of monitor name to state
        Names must not contain ``|``.
    """
    flat: dict[str, Any] = {f"{name}|{key}": array for name, state in states.items() for key, array in state.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **flat)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def load_states(path: Path) -> dict[str, State]:
    """Read what `save_states` wrote; nothing if there is no file.

    Raises
    ------
    DataInvalid
        The file is not such a file.
    """
    if not path.exists():
        return {}
    states: dict[str, State] = {}
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as flat:
            for key in flat.files:
                name, _, part = key.partition("|")
                states.setdefault(name, {})[part] = flat[key]
    except (ValueError, OSError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataInvalid(f"{path} holds no monitor states ({error}); remove it to start afresh") from error
    return states
