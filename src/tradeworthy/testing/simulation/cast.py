"""What every simulated world shares and nobody changes: a few tiny versions, their registry, their drift monitor.

Idea:   making a version takes a second, a world takes milliseconds; so the versions are made once a process.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tradeworthy.change.registry import Registry
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import Clock, VirtualClock
from tradeworthy.judge.monitor.base import State
from tradeworthy.judge.monitor.drift import DriftMonitor, drift_monitor
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.version import Signal, Version
from tradeworthy.record.ledger import Ledger
from tradeworthy.testing.desks import INSTRUMENTS, START_NS, Shelf, small_program

VERSIONS = 4
WINDOW = 4
"""Features warm up within a few bars, so that even a short day has orders."""

LEDGER = "ledger.db"


@dataclass(frozen=True)
class Cast:
    """Versions for all worlds.

    Attributes
    ----------
    home : Path
        A registry's folder, with a ledger in which every version has passed its gate.
    shelf : Shelf
        The versions, loaded.
    numbers : tuple of int
    drift : mapping
        The state of a drift monitor that has seen nothing.
    """

    home: Path
    shelf: Shelf
    numbers: tuple[int, ...]
    drift: Mapping[str, Any]

    @classmethod
    def make(cls, home: Path) -> Self:
        """Make the versions below a folder."""
        shelf = Shelf(home / "shelf")
        for seed in range(VERSIONS):
            shelf.make(seed, signal=_signal(seed), program=small_program(WINDOW))
        numbers = tuple(shelf.versions)
        _register(home, shelf)
        return cls(home, shelf, numbers, _drift(shelf.versions[numbers[0]]))

    def load(self, number: int) -> Version:
        """Return a version by number, as an engine asks for it."""
        return self.shelf.load(number)

    def registry(self, ledger: Path, clock: Clock) -> Registry:
        """Return a registry of these versions with a ledger of its own, copied from the common one."""
        shutil.copyfile(self.home / LEDGER, ledger)
        return Registry(self.home, ledger=Ledger(ledger, clock=clock), trust=self.shelf.trust, env="paper")

    def drift_monitor(self) -> DriftMonitor:
        """Return a drift monitor of the first version that has seen nothing."""
        return DriftMonitor.resume(self.drift)


def _signal(seed: int) -> Signal:
    """Return another way to trade for each version; every second one may be short."""
    if seed % 2:
        return Signal(enter_long=0.52, exit_long=0.5, enter_short=0.48, exit_short=0.5, allow_short=True)
    return Signal(enter_long=0.5, exit_long=0.5)


def _register(home: Path, shelf: Shelf) -> None:
    """Put bundles where a registry looks for them, and record that the gate passed them."""
    clock = VirtualClock(START_NS)
    ledger = Ledger(home / LEDGER, clock=clock)
    registry = Registry(home, ledger=ledger, trust=shelf.trust, env="paper")
    for place, version in enumerate(shelf.versions.values()):
        name = version.manifest.name
        shutil.copytree(shelf.folder / name, home / "versions" / version.digest[:SHORT])
        fact = facts.VersionRegistered(version=version.digest, name=name, author="drill", env="paper")
        ledger.append(fact, actor="drill", reason="a simulation")
        at_ns = START_NS + place
        report = GateReport(version=version.digest, profile="quick", passed=True, results=[], created_ns=at_ns)
        registry.record_gate(report, actor="drill", reason="a simulation")
    ledger.close()


def _drift(version: Version) -> State:
    monitor = drift_monitor(
        version.profile.sample,
        list(version.program.names),
        version=version.number,
        instruments=[each.symbol for each in INSTRUMENTS],
    )
    return monitor.state()
