"""The canary's own monitors, while it acts on some instruments and the champion on all others.

Idea:   the champion stays watched as before, its monitors undisturbed; a second watch follows the same tape and shows
        the canary's monitors the canary's decisions and its instruments alone. What they find is about the canary.
Flow:   it begins where the first watch stands, once the monitors are calibrated, and ends with the canary.
State:  a `Watch` of its own in a folder by the canary's name, gone when the canary is.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.change.release.standing import Standing
from tradeworthy.change.watch.monitors import MonitorMaker
from tradeworthy.change.watch.watch import Lens, Watch
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock
from tradeworthy.judge.monitor.base import are_decisions, are_events, chosen
from tradeworthy.record.ledger import Ledger

FOLDER = "canary-"
"""What the folder of a canary's watch begins with; the canary's name follows."""


def lens_of(version: int, symbols: Sequence[str], instruments: Sequence[Instrument]) -> Lens:
    """Return what shows the decisions of a version, by number, and the events of some instruments; rows are its own."""
    places = [place for place, each in enumerate(instruments) if each.symbol in symbols]

    def look(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if are_decisions(records):
            return chosen(records, records["version"] == version)
        if are_events(records):
            return chosen(records, np.isin(records["instrument"], places))
        return records

    return look


class CanaryWatch:
    """Watches whichever canary acts on some instruments now.

    Parameters
    ----------
    state : Path
        The watcher's state folder.
    tape : Path
        The tape's folder.
    ledger : Ledger
        Where findings go.
    maker : MonitorMaker
        Makes the canary's monitors.
    instruments : sequence of Instrument
        The desk's list.
    clock, market_past
        As of `Watch`.
    """

    def __init__(
        self,
        state: Path,
        tape: Path,
        ledger: Ledger,
        maker: MonitorMaker,
        instruments: Sequence[Instrument],
        *,
        clock: Clock,
        market_past: bool = False,
    ) -> None:
        self._state, self._tape, self._ledger, self._maker = state, tape, ledger, maker
        self._instruments, self._clock, self._market_past = list(instruments), clock, market_past
        self._watch: Watch | None = None
        self._of: str | None = ""  # before the first look it is not known whose watch was left behind

    @property
    def version(self) -> int:
        """The number of the canary whose monitors stand; 0 for none."""
        return 0 if self._watch is None else self._watch.version

    def step(self, standing: Standing, lead: Watch) -> int:
        """Observe what is new of the canary, if there is one, and return how many records were read.

        Parameters
        ----------
        standing : Standing
            Who is canary, on which instruments.
        lead : Watch
            Of the champion; a new canary's watch begins where it stands.
        """
        canary = standing.canary if standing.canary_on else None
        if canary != self._of:
            self._end(keep=canary)
        if canary is None:
            return 0
        number = version_number(canary)
        if self._watch is None:
            self._watch, self._of = self._begin(canary, standing.canary_on, lead), canary
        return self._watch.step(number, ready=self._maker.state(canary) in {"done", "failed"})

    def save(self) -> None:
        """Write what was observed."""
        if self._watch is not None:
            self._watch.save()

    def _begin(self, canary: str, symbols: Sequence[str], lead: Watch) -> Watch:
        """Return the canary's watch: as it was left, or beginning where the champion's stands."""
        folder, number = self._state / f"{FOLDER}{canary[:SHORT]}", version_number(canary)
        is_new = not folder.exists()
        watch = Watch(
            folder,
            self._tape,
            self._ledger,
            self._maker.make,
            clock=self._clock,
            market_past=self._market_past,
            lens=lens_of(number, symbols, self._instruments),
        )
        if is_new:
            watch.begin_beside(lead, number)
        return watch

    def _end(self, *, keep: str | None) -> None:
        """Forget every canary but one, which a killed watcher may have begun to watch."""
        self._watch, self._of = None, None
        for folder in self._state.glob(f"{FOLDER}*"):
            if keep is None or folder.name != f"{FOLDER}{keep[:SHORT]}":
                shutil.rmtree(folder)
