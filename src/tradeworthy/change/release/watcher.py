"""The watcher process: monitors over the tape, findings into the ledger, the policy carried out.

Flow:   ``python -m tradeworthy.change.release.watcher JOB.json`` polls until it is told to stop (SIGTERM, SIGINT) or,
        if the job says so, until the process that started it is gone.
State:  `Watch` and the ledger hold all of it; kill -9 loses nothing and doubles nothing.
"""

import os
import signal
import sys
from pathlib import Path
from threading import Event

import msgspec

from tradeworthy.change.registry import Registry
from tradeworthy.change.release.conduct import Conductor, ConductSettings
from tradeworthy.change.release.release import Release
from tradeworthy.change.release.standing import Standing
from tradeworthy.change.release.watch import Monitors, Watch
from tradeworthy.core.decisions import version_name, version_number
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, SystemClock
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.standing import MonitorSettings, standing_set
from tradeworthy.live.control import ControlBlock
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.record.ledger import Ledger

BACKLOG = 1_000
"""Records of a look after which the next one follows at once; fewer wait, so that watching costs little."""

READY = "ready"
"""A file in the watcher's state folder: touched at each look, first when the champion's monitors stand."""


class WatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a watcher process is told: where the deployment's parts lie, and how to act.

    Attributes
    ----------
    state : str
        Folder of the watcher's own state and of its trainings.
    versions : str
        The registry's folder.
    key : str
        Path of the key that signs challengers.
    poll_ms : int
        Pause between two looks at the tape.
    stop_with_parent : bool
        End when the process that started it has ended.
    """

    env: str
    tape: str
    ledger: str
    state: str
    versions: str
    trust: str
    control: str
    key: str
    instruments: list[Instrument]
    conduct: ConductSettings
    monitors: MonitorSettings = MonitorSettings()
    poll_ms: int = 50
    stop_with_parent: bool = False


class Watcher:
    """Watches the champion and carries out the policy, step by step.

    Parameters
    ----------
    job : WatchJob
        Where things are.
    clock : Clock
        Stamps facts.
    """

    def __init__(self, job: WatchJob, *, clock: Clock) -> None:
        self._job = job
        state = Path(job.state)
        self._ready = state / READY
        self._ledger = Ledger(job.ledger, clock=clock)
        self._registry = Registry(
            Path(job.versions), ledger=self._ledger, trust=TrustStore(Path(job.trust)), env=job.env
        )
        release = Release(self._registry, ControlBlock(Path(job.control)), job.instruments)
        self._read_up_to, self._facts = 0, Standing()
        self._watch = Watch(state, Path(job.tape), self._ledger, self._monitors_of, clock=clock)
        self._conductor = Conductor(
            release,
            job.conduct,
            folder=state / "trainings",
            tape=Path(job.tape),
            key=SigningKey.load(Path(job.key)),
            clock=clock,
        )

    def step(self) -> int:
        """Look once at the tape and the facts; return how many records were new."""
        champion = self._standing().champion
        if champion is None:
            return 0
        observed = self._watch.step(version_number(champion))
        self._conductor.step(self._standing(), self._watch.sequence)
        return observed

    def run(self, stop: Event) -> None:
        """Step until told to stop, then save."""
        parent = os.getppid()
        while not stop.is_set():
            if self._job.stop_with_parent and os.getppid() != parent:
                break
            observed = self.step()
            self._ready.touch()
            if observed < BACKLOG:
                stop.wait(self._job.poll_ms / 1_000)
        self.close()

    def close(self) -> None:
        """Save what was observed and let go of the ledger."""
        if self._watch.version:
            self._watch.save()
        self._ledger.close()

    def _standing(self) -> Standing:
        """Return where every version stands, read again only if the ledger has grown."""
        number = self._ledger.head()[0]
        if number != self._read_up_to:
            self._read_up_to, self._facts = number, self._registry.standing()
        return self._facts

    def _monitors_of(self, number: int) -> Monitors:
        """Make a version's monitors, calibrated on its profile and its out-of-fold scores."""
        version = self._registry.load(number)
        candidate = self._registry.candidate(version_name(number))
        walk = (candidate.walk.scores, candidate.walk.labels)
        settings = self._job.monitors
        if not candidate.walk.binary:
            returns = PerformanceSettings(loss="error", score_cut=0.0, label_cut=0.0)
            settings = msgspec.structs.replace(settings, performance=returns)
        return standing_set(version, self._job.instruments, label=candidate.label, walk=walk, settings=settings)


def main(arguments: list[str]) -> int:
    """Watch as the job says until told to stop."""
    job = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=WatchJob)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(5)
    Watcher(job, clock=SystemClock()).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
