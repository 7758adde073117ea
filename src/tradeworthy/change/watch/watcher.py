"""The watcher process: monitors over the tape, findings into the ledger, the policy carried out.

Flow:   ``python -m tradeworthy.change.watch.watcher JOB.json`` polls until it is told to stop (SIGTERM, SIGINT) or,
        if the job says so, until the process that started it is gone.
        A champion is watched as soon as it is calibrated, which another process does ahead (`monitors`).
        Alerts are delivered by threads of their own; four times a second the watcher says how it is (`pulse`),
        once a second in figures (`metrics`, `sight`).
State:  `Watch` and the ledger hold all of it; kill -9 loses nothing and doubles nothing.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from tradeworthy.change.alerts.alert import Desk
from tradeworthy.change.alerts.delivery import Deliveries
from tradeworthy.change.alerts.settings import AlertSettings
from tradeworthy.change.registry import Registry
from tradeworthy.change.release.conduct import Conductor, ConductSettings
from tradeworthy.change.release.release import Release
from tradeworthy.change.release.standing import Standing
from tradeworthy.change.watch.canary import CanaryWatch
from tradeworthy.change.watch.explaining import FindingExplainer
from tradeworthy.change.watch.findings import HANDLED, Cases
from tradeworthy.change.watch.metrics import samples, write_metrics
from tradeworthy.change.watch.monitors import CALIBRATIONS, MonitorMaker
from tradeworthy.change.watch.pulse import Pulse, write_pulse
from tradeworthy.change.watch.sight import SightKeeper
from tradeworthy.change.watch.watch import Watch
from tradeworthy.core.decisions import version_name, version_number
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_S, Clock, Stop, StopFlag, SystemClock
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.live.control import ControlBlock
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.record.ledger import Ledger

BACKLOG = 1_000
"""Records of a look after which the next one follows at once; fewer wait, so that watching costs little."""

PULSE_EVERY_NS, FIGURES_EVERY_NS = NS_PER_S // 4, NS_PER_S

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
    parent : int
        The process that started it, whose end is its own, even one before it began to watch; 0 for none.
    desk : str
        Its name, for alerts.
    alerts : list of AlertSettings
        Who is told of findings, with names and whole paths; they are logged in the state folder in any case.
    market_past : bool
        The desk trades a market of the past, or others stamp its events: delays count from the tape.
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
    parent: int = 0
    desk: str = "desk"
    alerts: list[AlertSettings] = []
    market_past: bool = False


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
        self._job, self._clock = job, clock
        self._state = state = Path(job.state)
        self._ready = state / READY
        self._ledger = Ledger(job.ledger, clock=clock)
        self._deliveries = Deliveries(state, job.alerts, self._ledger, Desk(job.desk, job.env), clock=clock)
        self._registry = Registry(
            Path(job.versions), ledger=self._ledger, trust=TrustStore(Path(job.trust)), env=job.env
        )
        release = Release(self._registry, ControlBlock(Path(job.control)), job.instruments)
        self._read_up_to, self._facts = 0, Standing()
        self._cases, self._pulse_ns, self._figures_ns = Cases(), 0, 0
        self._step_ns_last = self._step_ns_max = self._settled_ns = self._followed = 0
        self._is_idle = False
        self._maker = MonitorMaker(self._registry, state / CALIBRATIONS, job.instruments, job.monitors)
        self._explainer = FindingExplainer(self._registry, state, Path(job.tape), job.instruments, job.monitors)
        self._watch = Watch(
            state, Path(job.tape), self._ledger, self._maker.make, clock=clock, market_past=job.market_past
        )
        self._canary = CanaryWatch(
            state, Path(job.tape), self._ledger, self._maker, job.instruments, clock=clock, market_past=job.market_past
        )
        self._sight = SightKeeper(state, self._maker.settings_of, clock=clock)
        self._conductor = Conductor(
            release,
            job.conduct,
            folder=state,
            tape=Path(job.tape),
            key=SigningKey.load(Path(job.key)),
            clock=clock,
        )

    def step(self) -> int:
        """Look once at the tape and the facts; return how many records were new."""
        began_ns, watched = self._clock.monotonic_ns(), self._watch.version
        observed = self._step()
        self._step_ns_last = self._clock.monotonic_ns() - began_ns
        if watched or not self._watch.version:  # the first champion's calibration makes nothing wait
            self._step_ns_max = max(self._step_ns_max, self._step_ns_last)
        return observed

    @property
    def is_ready(self) -> bool:
        """Whether, by the last look, the champion's monitors stand; a desk without a champion has nothing to watch."""
        acting = (self._facts if self._read_up_to else self._standing()).acting
        return not acting or version_number(acting[0]) == self._watch.version

    def _step(self) -> int:
        standing = self._standing()
        if not standing.acting:
            return 0
        champion = standing.acting[0]
        observed = self._watch.step(version_number(champion), ready=self._is_calibrated(champion))
        if observed:
            self._sight.look(version_name(self._watch.version), self._watch.market_ns, self._watch.monitors)
        self._prepare(standing)
        read = self._canary.step(standing, self._watch)
        self._explainer.explain(self._cases.unsettled())
        watched = self._canary.version or self._watch.version if max(observed, read) < BACKLOG else 0
        if observed or read:  # what was found in this look is answered in it
            standing = self._standing()
        done = self._conductor.step(standing, self._watch.sequence, watched=watched)
        self._followed = self._read_up_to if watched and done is None else 0
        if self._followed and standing.open_retrain is None and self.is_ready:
            self._settled_ns = self._watch.caught_up_ns
        now_ns, was_idle = self._clock.monotonic_ns(), self._is_idle
        self._is_idle = self._followed > 0 and not (observed or read)
        if now_ns - self._pulse_ns >= PULSE_EVERY_NS or self._is_idle > was_idle:
            self._pulse_ns = now_ns
            self.tell_pulse()
        if now_ns - self._figures_ns >= FIGURES_EVERY_NS:
            self._figures_ns = now_ns
            self._tell_figures()
        return max(observed, read)

    def _is_calibrated(self, champion: str) -> bool:
        """Whether a champion's monitors can be made without a long look away; for the first nobody else can look."""
        if self._watch.version in (0, version_number(champion)):
            return True
        return self._maker.state(champion) in ("done", "failed")

    def _prepare(self, standing: Standing) -> None:
        """Have those versions calibrated that are champion next, or may be."""
        wanted = (standing.champion, *standing.shadows, standing.previous)
        others = [v for v in wanted if v is not None and version_number(v) != self._watch.version]
        self._maker.prepare(others)

    def tell_pulse(self) -> None:
        """Write how the watcher is, for people and for other processes."""
        write_pulse(self._state, self._pulse())

    def _tell_figures(self) -> None:
        """Write how the watcher and its monitors are, for Prometheus and the page."""
        write_metrics(self._state, samples(self._pulse(), self._cases, self._watch.monitors))
        self._sight.write(self._watch.monitors)

    def _pulse(self) -> Pulse:
        watch = self._watch
        return Pulse(
            ts_ns=self._clock.now_ns(),
            version=version_name(watch.version) if watch.version else "",
            reached=watch.reached,
            records=watch.records,
            decisions=watch.decisions,
            caught_up_ns=watch.caught_up_ns,
            sinks=self._deliveries.states,
            looked_ns=watch.looked_ns,
            step_ns_last=self._step_ns_last,
            step_ns_max=self._step_ns_max,
            behind_ns=watch.behind_ns,
            canary=version_name(self._canary.version) if self._canary.version else "",
            settled_ns=self._settled_ns,
            followed=self._followed,
        )

    def run(self, stop: Stop) -> None:
        """Step until told to stop, then save."""
        self._deliveries.start()
        while not stop.is_set():
            if self._job.parent and os.getppid() != self._job.parent:
                break
            observed = self.step()
            if self.is_ready:
                self._ready.touch()
            if observed < BACKLOG:
                stop.wait(self._job.poll_ms / 1_000)
        self.close()

    def close(self) -> None:
        """Save what was observed, deliver what is left, and let go of the ledger."""
        if self._watch.version:
            self._watch.save()
        self._canary.save()
        self._deliveries.close()
        self.tell_pulse()
        self._tell_figures()
        self._ledger.close()

    def _standing(self) -> Standing:
        """Return where every version stands, read again only if the ledger has grown."""
        number = self._ledger.head()[0]
        if number != self._read_up_to:
            self._deliveries.wake()
            for entry in self._ledger.facts(*HANDLED, after=self._read_up_to):
                self._cases.apply(entry)
            self._read_up_to, self._facts = number, self._registry.standing()
        return self._facts


def main(arguments: list[str]) -> int:
    """Watch as the job says until told to stop."""
    job = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=WatchJob)
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(5)
    Watcher(job, clock=SystemClock()).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
