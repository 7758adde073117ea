"""What a figure is: a value beside its aim, its floor and its peer, with an interval and the machine's load.

Idea:   a family declares its aims first (`Aim` by name), then reports against them; what it could not measure is
        written too, as null with the reason. An absolute time of another run compares with nothing, so a floor or a
        peer is measured in the same run, or is null.
Units:  the figure's own, named in the record.
"""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import Estimate, times_us

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results.json"
PEERS = HERE / ".peers"
KEPT = HERE / ".kept"
"""Models and compiled floors that are made once and kept."""


@dataclass(frozen=True)
class Aim:
    """What a figure should reach: its unit, which way is better, the goal."""

    unit: str
    better: str
    goal: float

    def met_by(self, value: float | None) -> bool:
        """Tell whether a value reaches the goal; one that was not measured does not."""
        if value is None:
            return False
        return value <= self.goal if self.better == "lower" else value >= self.goal


@dataclass(frozen=True)
class Peer:
    """Somebody else's figure for the same job in the same run."""

    name: str
    version: str
    value: float


@dataclass(frozen=True)
class Figure:
    """One figure as it is written to the results."""

    name: str
    aim: Aim
    value: Estimate | None = None
    floor: float | None = None
    peer: Peer | None = None
    note: str = ""

    def record(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        value = None if self.value is None else self.value.value
        peer = self.peer and {"name": self.peer.name, "version": self.peer.version, "value": digits(self.peer.value)}
        return {
            "name": self.name,
            "value": digits(value),
            "unit": self.aim.unit,
            "better": self.aim.better,
            "floor": digits(self.floor),
            "peer": peer,
            "goal": self.aim.goal,
            "met": self.aim.met_by(value),
            "interval": self.value and [digits(self.value.low), digits(self.value.high)],
            "note": self.note,
        }


def digits(value: float | None) -> float | None:
    """Round to five digits that mean something; None stays None."""
    return None if value is None else float(f"{value:.5g}")


@dataclass(frozen=True)
class Setting:
    """How thorough a run is, and what it may use."""

    quick: bool = False
    peers: bool = False
    seed: int = 7
    folder: Path = HERE

    def repeats(self, full: int) -> int:
        """Return how often to repeat: a quarter when quick, never under five."""
        return max(5, full // 4) if self.quick else full

    def count(self, full: int) -> int:
        """Return how many to take in one repeat: a fifth when quick."""
        return max(1, full // 5) if self.quick else full


@dataclass
class Report:
    """Where a family puts its figures.

    Parameters
    ----------
    aims : mapping of str to Aim
        What the family declared.
    """

    aims: Mapping[str, Aim]
    figures: dict[str, Figure] = field(default_factory=dict)

    def add(
        self,
        name: str,
        value: Estimate | float | None,
        *,
        floor: float | None = None,
        peer: Peer | None = None,
        note: str = "",
    ) -> None:
        """Keep a figure and print it; a value of None says in `note` why there is none."""
        if not isinstance(value, Estimate | None):
            value = Estimate.exactly(value)
        figure = Figure(name, self.aims[name], value, floor, peer, note)
        self.figures[name] = figure
        sys.stdout.write(line(figure.record()) + "\n")
        sys.stdout.flush()

    def close(self, reason: str) -> list[Figure]:
        """Return a figure for every aim; those never reported are null for `reason`."""
        return [self.figures.get(name) or Figure(name, aim, note=reason) for name, aim in self.aims.items()]


def line(record: Mapping[str, Any]) -> str:
    """Write a record for a terminal."""
    if record["value"] is None:
        return f"none    {record['name']:<38} {record['note']}"
    mark = "met   " if record["met"] else "MISSED"
    extra = "" if record["floor"] is None else f"  floor {record['floor']:,.5g}"
    if record["peer"]:
        extra += f"  {record['peer']['name']} {record['peer']['value']:,.5g}"
    return (
        f"{mark}  {record['name']:<38} {record['value']:>12,.5g} {record['unit']:<12} goal {record['goal']:,.5g}{extra}"
    )


def pin(core: int) -> None:
    """Keep this process on one core (counted from 0 among those allowed), where the system can."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def go_first() -> bool:
    """Ask for the real-time class, so that no other program takes the core away; tell whether that was granted."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


def unpin() -> None:
    """Let this process and those it starts use every core, where the family is about several processes."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def machine() -> str:
    """Say where figures are taken; figures of another machine are dropped when results are merged."""
    from tradeworthy.core.kernel_cache import fingerprint  # noqa: PLC0415 - the parent starts without numba

    return f"{fingerprint()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def context(*, quick: bool, realtime: bool) -> dict[str, Any]:
    """Return what belongs to every record of one family's run."""
    from tradeworthy.core.time import SystemClock, iso  # noqa: PLC0415

    return {
        "realtime": realtime,
        "taken": iso(SystemClock().now_ns())[:16].replace("T", " ") + " UTC",
        "load": [round(load, 2) for load in os.getloadavg()],
        "quick": quick,
        "machine": machine(),
        "python_us": digits(_python_us()),
    }


def _python_us() -> float:
    """Return how long a fixed loop of plain Python takes here and now: 10 to 15 us on a recent core that is free."""
    return float(np.median(times_us(lambda _: sum(range(1_000)), 300)))


def installed(package: str) -> str:
    """Return the version of an installed package."""
    return importlib.metadata.version(package)


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records as a JSON list, one a line."""
    lines = ",\n ".join(json.dumps(record) for record in records)
    path.write_text(f"[{lines}]\n", encoding="utf-8")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read records; an empty list where there is no file."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return records


def merge(old: list[dict[str, Any]], new: list[dict[str, Any]], order: list[str]) -> list[dict[str, Any]]:
    """Put new records in the place of old ones of the same name, keeping old ones of this machine only.

    What a quick run leaves out does not wipe what a full run has measured.
    """
    machines = {record.get("machine") for record in new}
    kept = {record["name"]: record for record in old if record.get("machine") in machines}
    for record in new:
        left_out = record["value"] is None and record.get("quick") and record["name"] in kept
        if not left_out:
            kept[record["name"]] = record
    return [kept[name] for name in order if name in kept]
