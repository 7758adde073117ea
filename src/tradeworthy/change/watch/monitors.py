"""The monitors of a version, and their calibration in a process of its own before the version is champion.

Idea:   calibrating takes seconds, in which a watcher would look away. So whatever may become champion (a shadow, the
        version that a roll back returns to) is calibrated ahead; the results are kept and the watcher takes them.
Flow:   ``python -m tradeworthy.change.watch.monitors JOB.json`` makes the monitors once and leaves the mark `ready`.
"""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from tradeworthy.change.attempts import Attempt, Job, State, run_attempt
from tradeworthy.change.registry import Registry
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.watch.watch import Monitors
from tradeworthy.core.decisions import SHORT, version_name, version_number
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, SystemClock
from tradeworthy.judge.monitor.budget import budgeted, events_per_day
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept
from tradeworthy.judge.monitor.standing import MonitorSettings, standing_set
from tradeworthy.model.trust import TrustStore
from tradeworthy.record.ledger import Ledger

READY = "ready"
CALIBRATIONS, KEPT = "calibrations", "kept"
"""Folder of the attempts in a watcher's state, and of the calibrations themselves below it."""


def monitors_of(
    registry: Registry, number: int, instruments: Sequence[Instrument], settings: MonitorSettings
) -> Monitors:
    """Make a version's monitors, calibrated on its profile and its out-of-fold scores."""
    version = registry.load(number)
    candidate = registry.candidate(version_name(number))
    walk = candidate.foreseen
    return standing_set(
        version,
        instruments,
        label=candidate.label,
        walk=(walk.scores, walk.labels),
        walk_times=walk.ts_event_ns,
        settings=monitor_settings(candidate, settings),
    )


def monitor_settings(candidate: Candidate, settings: MonitorSettings) -> MonitorSettings:
    """Return the settings as they fit a version: one of returns is judged by its sign; a budget a day is split.

    Raises
    ------
    DataInvalid
        More is asked for than so many events a day can bear.
    """
    settings = budgeted(settings, events_per_day(candidate.walk.ts_event_ns))
    if candidate.walk.binary:
        return settings
    returns = msgspec.structs.replace(settings.performance, loss="error", score_cut=0.0, label_cut=0.0)
    fairness = msgspec.structs.replace(settings.fairness, score_cut=0.0, label_cut=0.0)
    return msgspec.structs.replace(settings, performance=returns, fairness=fairness)


class CalibrateJob(Job, frozen=True, kw_only=True):
    """What a calibrating process is told.

    Attributes
    ----------
    version : str
        The digest of the version.
    env, versions, ledger, trust : str
        The registry's env and folder, the ledger's address and the folder of trusted keys.
    kept : str
        Folder in which calibrations are kept.
    """

    version: str
    env: str
    versions: str
    ledger: str
    trust: str
    kept: str
    instruments: list[Instrument]
    monitors: MonitorSettings


def run_job(job: CalibrateJob, folder: Path, *, clock: Clock) -> None:
    """Make a version's monitors once, so that their calibrations are kept.

    Raises
    ------
    TradeworthyError
        The version could not be read; the message says why.
    """
    with closing(Ledger(job.ledger, clock=clock)) as ledger, calibrations_kept(Path(job.kept)):
        registry = Registry(Path(job.versions), ledger=ledger, trust=TrustStore(Path(job.trust)), env=job.env)
        monitors_of(registry, version_number(job.version), job.instruments, job.monitors)
    (folder / READY).touch()


class MonitorMaker:
    """Makes monitors from kept calibrations, and has those calibrated that will be wanted.

    Parameters
    ----------
    registry : Registry
        Every version of the deployment.
    folder : Path
        Where calibrations and the attempts at them are kept.
    instruments : sequence of Instrument
        The desk's list.
    settings : MonitorSettings
        How to watch.
    """

    def __init__(
        self, registry: Registry, folder: Path, instruments: Sequence[Instrument], settings: MonitorSettings
    ) -> None:
        self._registry, self._folder = registry, folder
        self._instruments, self._settings = list(instruments), settings

    def make(self, number: int) -> Monitors:
        """Return a version's monitors; at once, if it was calibrated."""
        with calibrations_kept(self._folder / KEPT):
            return monitors_of(self._registry, number, self._instruments, self._settings)

    def settings_of(self, version: str) -> MonitorSettings:
        """Return how a version is watched, its share of a budget a day included."""
        return monitor_settings(self._registry.candidate(version), self._settings)

    def prepare(self, versions: Iterable[str]) -> None:
        """Have versions calibrated, one at a time, the first in need first."""
        for version in versions:
            work = self._attempt(version)
            if work.state == "absent":
                work.start(self._job(version))
            if work.state == "running":
                return

    def state(self, version: str) -> State:
        """Return how far a version's calibration is."""
        return self._attempt(version).state

    def _attempt(self, version: str) -> Attempt:
        """Return the attempt at a version's calibration; other settings make another one."""
        settings = hashlib.sha256(msgspec.json.encode(self._settings)).hexdigest()[:8]
        folder = self._folder / f"{version[:SHORT]}-{settings}"
        return Attempt(folder, "tradeworthy.change.watch.monitors", READY)

    def _job(self, version: str) -> CalibrateJob:
        registry = self._registry
        return CalibrateJob(
            version=version,
            env=registry.env,
            versions=str(registry.folder.resolve()),
            ledger=registry.ledger.address,
            trust=str(registry.trust.folder.resolve()),
            kept=str((self._folder / KEPT).resolve()),
            instruments=self._instruments,
            monitors=self._settings,
        )


if __name__ == "__main__":
    sys.exit(run_attempt(Path(sys.argv[1]), CalibrateJob, partial(run_job, clock=SystemClock())))
