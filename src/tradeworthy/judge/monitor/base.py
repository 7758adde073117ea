"""What every monitor promises, and what monitors share: a queue of findings and states that survive a restart.

Idea:   a monitor is fed slices of tape streams, any stream in any slicing; it picks the records that it knows and
        leaves the others. However the tape is sliced, its findings are the same.
State:  arrays only (no pickle), written in one file that replaces the last one whole. A finding not yet taken is state.
"""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.findings import Finding

Records = npt.NDArray[np.void]
State = dict[str, npt.NDArray[Any]]


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


def are_decisions(records: Records) -> bool:
    """Whether the records are decisions."""
    return records.dtype == DECISION


def are_events(records: Records) -> bool:
    """Whether the records are engine inputs of any width."""
    names = records.dtype.names or ()
    return "kind" in names and "values" in names


def are_rows(records: Records) -> bool:
    """Whether the records are one version's feature rows."""
    names = records.dtype.names or ()
    return "row" in names and "scores" in names


def to_bytes(value: object) -> npt.NDArray[np.uint8]:
    """Write a plain value as an array of JSON bytes, for a state."""
    return np.frombuffer(msgspec.json.encode(value), np.uint8).copy()


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
