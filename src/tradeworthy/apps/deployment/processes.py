"""The processes beside the engine: one makes the tape durable, one judges it, one archives it. They share only files.

Flow:   started before the engine's first event, ended after its last one, by id. The engine does not wait for them: the
        watcher reads the tape from its beginning, so what was traded while it came up is judged too. One that is not
        ready in time, or ended early, is told with its last words and ends the run: nobody would watch.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tradeworthy.apps.commands.keys import own_key
from tradeworthy.apps.commands.under_way import under_way
from tradeworthy.change.alerts.settings import located
from tradeworthy.change.attempts import THREAD_VARIABLES
from tradeworthy.change.release.conduct import ConductSettings
from tradeworthy.change.train.history import FileHistory
from tradeworthy.change.train.training import Report
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.change.watch.watcher import READY, WatchJob
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.record.signing import FileSigner
from tradeworthy.record.syncer import Syncer, only_syncer

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

END_WITHIN_S = 20.0
READY_WITHIN_S = 300.0
"""A watcher computes its limits first: seconds on a quiet core, minutes on a machine that others keep busy."""
LAST_WORDS = 2_000
LOOK_EVERY_S = 0.1
"""How often is asked whether what a run has begun is over."""


class ProcessFailed(TradeworthyError):
    """A process beside the engine ended with an error."""


class _Expected(NamedTuple):
    """A file that a process makes when it is ready, and until when."""

    ready: Path
    clock: Clock
    until_ns: int


class Companions:
    """The processes of one run.

    Parameters
    ----------
    logs : Path
        Folder for what they say.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._expected: _Expected | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *arguments: str) -> None:
        """Start ``python -m`` with the arguments.

        Raises
        ------
        ProcessFailed
            The machine has no room for another process.
        """
        try:
            with (self._logs / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(  # noqa: S603  # our own module, arguments of our own
                    [sys.executable, "-m", *arguments],
                    env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        except OSError as error:
            raise ProcessFailed(
                f"the {name} cannot be started: {error}; end other processes or raise limits"
            ) from error

    def expect(self, ready: Path, clock: Clock) -> None:
        """Give a process `READY_WITHIN_S` from now to make its file; `check` holds it to that."""
        self._expected = _Expected(ready, clock, clock.monotonic_ns() + int(READY_WITHIN_S * NS_PER_S))

    def is_running(self, name: str) -> bool:
        """Tell whether a process was started and has not ended."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def check(self) -> None:
        """Raise `ProcessFailed` if one has ended with an error, or what is expected did not come in time."""
        for name, process in self._running.items():
            if process.poll() not in (None, 0):
                raise ProcessFailed(f"the {name} ended with code {process.returncode}: {self._last_words(name)}")
        late = self._late()
        if late is not None and late.clock.monotonic_ns() > late.until_ns:
            raise ProcessFailed(f"no {late.ready.name} file after {READY_WITHIN_S:g} s; see the logs in {self._logs}")

    def _late(self) -> _Expected | None:
        """Return what is expected and not there yet."""
        if self._expected is not None and self._expected.ready.exists():
            self._expected = None
        return self._expected

    def wait(self) -> None:
        """Return when what is expected is there: a run that is over at once is looked at all the same.

        Raises
        ------
        ProcessFailed
            As `check`.
        """
        pause = threading.Event()
        while self._late() is not None:
            self.check()
            pause.wait(0.02)

    def end(self) -> None:
        """Ask all to end, wait, and kill what does not."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _last_words(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        lines = path.read_text("utf-8", errors="replace")[-LAST_WORDS:].split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"{last}; see {path}"


@contextmanager
def companions(project: "Project", *, watch: bool, market_past: bool = True) -> Iterator[Companions]:
    """Run the watcher, if wanted, around a block that opens the tape and then starts the syncer.

    A market of the past is traded as fast as it can be read, and callers of a port stamp events as they like: what the
    watcher finds is then timed by the tape.
    """
    running = Companions(project.places.root / "logs")
    try:
        if watch:
            ready = project.places.watcher / READY
            ready.unlink(missing_ok=True)
            job = _write_job(project, market_past=market_past)
            running.start("watcher", "tradeworthy.change.watch.watcher", str(job))
            running.expect(ready, project.clock)
        yield running
    finally:
        running.end()
        _settle(project)


def see_companions_through(project: "Project", running: Companions, report: Report) -> None:
    """Wait until the watcher has judged all of the tape and the policy has nothing under way.

    An interruption ends the wait, not the work: a training goes on, and the next run takes up what it gave.
    """
    ended_ns, pause = project.clock.now_ns(), threading.Event()
    with suppress(KeyboardInterrupt):
        while running.is_running("watcher"):
            pulse = read_pulse(project.places.watcher)
            if pulse is not None and pulse.settled_ns > ended_ns:
                return
            report(*(under_way(project) or ("the watcher reads the rest of the tape", 1.0)))
            pause.wait(LOOK_EVERY_S)
    running.check()


def start_keepers(project: "Project", running: Companions) -> None:
    """Start to make an open tape durable and, where the settings say so, to archive it and to look at its orders."""
    _start_syncer(project, running)
    folder, parent, settings = str(project.folder.resolve()), str(os.getpid()), project.settings
    if settings.archive.every_s is not None:
        running.start("archiver", "tradeworthy.apps.deployment.archiver", folder, parent)
    if settings.surveillance.every_s is not None:
        running.start("surveyor", "tradeworthy.apps.deployment.surveyor", folder, parent)


def _start_syncer(project: "Project", running: Companions) -> None:
    own_key(project.places.tape_key, "tape", project.trust)
    running.start(
        "syncer",
        "tradeworthy.record.syncer",
        str(project.places.tape),
        "--heads",
        str(project.places.heads),
        "--key",
        str(project.places.tape_key),
        "--settings",
        msgspec.json.encode(project.settings.syncer).decode(),
    )


class _Patience:
    """Waits so long for somebody else's syncer: where it is still at work then, so is another engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until_ns = clock, clock.monotonic_ns() + int(END_WITHIN_S * NS_PER_S)

    def is_set(self) -> bool:
        """Tell whether it was long enough."""
        return self._clock.monotonic_ns() > self._until_ns

    def wait(self, timeout: float | None = None, /) -> bool:
        """Pause, and tell whether it was long enough."""
        threading.Event().wait(timeout)
        return self.is_set()


def _settle(project: "Project") -> None:
    """Make durable, chain and publish what a syncer that came late or fell has left."""
    if not project.places.tape.is_dir():
        return
    own_key(project.places.tape_key, "tape", project.trust)
    signer = FileSigner(project.places.tape_key)
    with only_syncer(project.places.tape, _Patience(project.clock)) as mine:
        if mine:
            with Syncer(project.places.tape, clock=project.clock, heads=project.places.heads, signer=signer) as syncer:
                syncer.finish()


def _write_job(project: "Project", *, market_past: bool) -> Path:
    """Write what the watcher is told."""
    own_key(project.places.policy_key, "policy", project.trust)
    places = project.places
    job = WatchJob(
        env=project.env,
        tape=str(places.tape.resolve()),
        ledger=str(places.ledger.resolve()),
        state=str(places.watcher.resolve()),
        versions=str(places.root.resolve()),
        trust=str(places.trust.resolve()),
        control=str(places.control.resolve()),
        key=str(places.policy_key.resolve()),
        instruments=project.settings.instrument,
        monitors=project.settings.monitor,
        conduct=conduct_settings(project),
        parent=os.getpid(),
        desk=project.settings.desk.name,
        alerts=[located(alert, project.folder, place) for place, alert in enumerate(project.settings.alert, 1)],
        market_past=market_past,
    )
    places.watcher.mkdir(parents=True, exist_ok=True)
    path = places.watcher / "job.json"
    path.write_bytes(msgspec.json.encode(job))
    return path


def conduct_settings(project: "Project") -> ConductSettings:
    """Return what the policy of a project needs; what happened before the tape comes from the project's files."""
    settings = project.settings
    return ConductSettings(
        strategy=str((project.folder / settings.desk.strategy).resolve()),
        history=[
            FileHistory(
                folder=str(project.folder.resolve()),
                files=settings.market,
                rows=settings.rows,
                until_ns=project.training_end_ns,
            )
        ],
        limits=settings.limits,
        version=project.version_settings("retrained"),
        training=settings.training,
        gate=settings.gate,
        cost_bps=settings.paper.cost_bps,
        policy=settings.policy,
    )
