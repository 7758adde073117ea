"""The workers beside an engine: rows are scored on more cores, at one address, and recorded by one writer.

Idea:   `SO_REUSEPORT` lets every worker listen at the same address, and the system gives each new connection to one of
        them. What they scored comes here and goes onto the engine's tape; which versions serve goes to them.
Flow:   the address is taken → workers start → one that ends is told as a finding and started again, at once if it had
        lasted, ever later if not → all are told to end, and what they still send is recorded.
State:  per worker its process, its socket, what it last told.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.apps.server.port import TICK_S, Port
from tradeworthy.apps.server.scores import scores_dtype
from tradeworthy.apps.server.wire import Message, Scored, Standing, Worked, framed, heard
from tradeworthy.change.access.doorkeeper import Passed
from tradeworthy.change.attempts import THREAD_VARIABLES
from tradeworthy.change.release.refusals import Refusals, tell
from tradeworthy.change.watch.metrics import Metric, Sample, exposition
from tradeworthy.core.decisions import version_name
from tradeworthy.core.errors import RecordUnwritable
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S

if TYPE_CHECKING:
    from tradeworthy.live.engine import Engine
    from tradeworthy.record.tape import TapeWriter

MODULE = "tradeworthy.apps.server.worker"
LASTING_S = 10.0
"""A worker that ended sooner than this after its start waits before it is started again, twice as long each time."""

PAUSE_S_MAX = 30.0
END_WITHIN_S = 20.0
ACTOR = "workers"
KIND = "serving"

WORKER_METRICS = {
    "port_worker_ready": Metric(kind="gauge", labels=("worker",), text="1 while a worker listens"),
    "port_worker_starts_total": Metric(kind="counter", labels=("worker",), text="How often a worker was started"),
    "port_worker_requests_total": Metric(
        kind="counter", labels=("worker", "code"), text="Requests that a worker has answered since its last start"
    ),
}
"""Every family of the workers, without the prefix."""


class _Worker:
    """One worker as the engine's process sees it."""

    def __init__(self, number: int) -> None:
        self.number, self.starts, self.pause_s = number, 0, 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.told, self.waiting = Worked(Passed()), Passed()
        self.listens = asyncio.Event()

    def end(self) -> None:
        """Ask it to end."""
        if self.process is not None:
            self.process.terminate()


class Workers:
    """The workers of one port.

    Parameters
    ----------
    port : Port
        The engine's own: its settings, its keys, its project.
    engine : Engine
        Names the versions that serve.
    tape : TapeWriter
        Takes what they scored.
    """

    def __init__(self, port: Port, engine: "Engine", tape: "TapeWriter") -> None:
        self._port, self._engine, self._tape = port, engine, tape
        self._refusals = Refusals(port.project.ledger)
        self._workers = [_Worker(number) for number in range(1, port.settings.workers + 1)]
        self._ending = asyncio.Event()
        self.address = ""

    async def run(self) -> None:
        """Keep every worker at work until cancelled; then end them, and record what they still send.

        Raises
        ------
        OSError
            The address that they share is taken.
        RecordUnwritable
            The tape failed.
        """
        with self._place() as place:
            jobs = [asyncio.create_task(self._keep(worker, place)) for worker in self._workers]
            jobs.append(asyncio.create_task(self._tell()))
            try:
                done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._ending.set()
                for worker in self._workers:
                    worker.end()
                _, late = await asyncio.wait(jobs, timeout=END_WITHIN_S)
                for task in late:
                    task.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)

    async def ready(self) -> str:
        """Return the address that the workers share, once each of them listens."""
        await asyncio.gather(*(worker.listens.wait() for worker in self._workers))
        return self.address

    def figures(self) -> str:
        """Return what the workers told of themselves, for Prometheus."""
        return exposition([*self._samples()], WORKER_METRICS)

    def _samples(self) -> Iterator[Sample]:
        for worker in self._workers:
            name = (str(worker.number),)
            yield Sample("port_worker_ready", name, int(worker.told.ready))
            yield Sample("port_worker_starts_total", name, worker.starts)
            for code, count in worker.told.codes.items():
                yield Sample("port_worker_requests_total", (*name, code), count)

    # -- processes -----------------------------------------------------------------------------------------------

    def _place(self) -> socket.socket:
        """Take the address that the workers share, without listening: it stays ours while none of them lives."""
        settings = self._port.settings
        family, kind, _, _, wanted = socket.getaddrinfo(settings.host, settings.rows_port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as alone:  # two desks at one address would answer each other's callers
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(wanted)
        place = socket.socket(family, kind)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind(wanted)
        host, number = place.getsockname()[:2]
        self.address = f"{'https' if settings.certificate else 'http'}://{host}:{number}"
        return place

    async def _keep(self, worker: _Worker, place: socket.socket) -> None:
        """Start a worker again and again, until all are told to end."""
        clock = self._port.project.clock
        while not self._ending.is_set():
            began_ns = clock.monotonic_ns()
            ended = await self._once(worker, place)
            if self._ending.is_set():
                return
            lasted_s = (clock.monotonic_ns() - began_ns) / NS_PER_S
            worker.pause_s = 0.0 if lasted_s > LASTING_S else min(max(2 * worker.pause_s, 0.5), PAUSE_S_MAX)
            await asyncio.to_thread(self._tell_end, worker, ended)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), worker.pause_s)

    async def _once(self, worker: _Worker, place: socket.socket) -> str:
        """Start a worker, take in what it sends until it is gone, and say how it ended."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                worker.process = process = await asyncio.to_thread(self._start, worker.number, theirs, place)
        except OSError as problem:
            ours.close()
            return f"cannot be started: {problem}"
        worker.starts, worker.waiting = worker.starts + 1, self._port.keeper.today()
        if self._ending.is_set():
            worker.end()
        reader, worker.writer = await asyncio.open_connection(sock=ours)
        try:
            while (message := await heard(reader)) is not None:
                self._take(worker, message)
            return f"ended with code {await asyncio.to_thread(_code, process)}"
        finally:
            worker.writer.close()
            worker.process, worker.writer, worker.told = None, None, Worked(Passed())
            process.kill()

    def _start(self, number: int, pair: socket.socket, place: socket.socket) -> "subprocess.Popen[bytes]":
        """Start the process of a worker."""
        project, (host, port) = self._port.project, place.getsockname()[:2]
        settings = msgspec.structs.replace(self._port.settings, host=host, port=port, socket="")
        told = (str(project.folder.resolve()), str(pair.fileno()), msgspec.json.encode(settings).decode())
        logs = project.places.root / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own module, arguments of our own
                [sys.executable, "-m", MODULE, *told],
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[pair.fileno()],
            )

    def _tell_end(self, worker: _Worker, ended: str) -> None:
        """Tell people that a worker is gone."""
        now_ns, name = self._port.project.clock.now_ns(), f"worker {worker.number}"
        sentence = f"The {name} {ended} and is started again; see logs/worker-{worker.number}.log. The others answer."
        finding = Finding(
            monitor=ACTOR,
            subject=name,
            kind=KIND,
            sequence=self._tape.next_sequence - 1,
            ts_event_ns=now_ns,
            since_ns=now_ns,
            observed=float(worker.starts),
            reference=1.0,
            unit="starts",
            statistic=1.0,
            threshold=0.0,
            false_alarms_per_10k=0.0,
            sentence=sentence,
        )
        with suppress(RecordUnwritable):
            tell(self._port.project.ledger, finding, actor=ACTOR)

    # -- messages ------------------------------------------------------------------------------------------------

    def _take(self, worker: _Worker, message: Message) -> None:
        """Record what a worker scored; pass on what it let pass."""
        if isinstance(message, Scored):
            dtype = scores_dtype(message.features, message.scores, message.groups)
            stream = self._tape.stream(message.stream, dtype, inline=False)
            stream.append(np.frombuffer(message.records, dtype))
        elif isinstance(message, Worked):
            worker.told = message
            if message.ready:
                worker.listens.set()
            self._port.keeper.hear_others(message.passed)
            self._pass_on(message.passed, worker)

    def _pass_on(self, passed: Passed, source: _Worker | None = None) -> None:
        """Keep, for every worker but the one it comes from, what was let pass."""
        for worker in self._workers:
            if worker is not source:
                worker.waiting = worker.waiting.plus(passed)

    async def _tell(self) -> None:
        """Tell every worker which versions serve, ten times a second."""
        while not self._ending.is_set():
            self._pass_on(self._port.keeper.take_passed())
            desk = self._engine.desk
            versions = list(dict.fromkeys([desk.leading.number, *(each.number for each in desk.pipelines())]))
            previous = 0 if desk.previous is None else desk.previous.number
            for worker in self._workers:
                if worker.writer is not None:
                    told = Standing(versions, previous, self._tape.next_sequence, self._tape.failure, worker.waiting)
                    worker.waiting = Passed()
                    worker.writer.write(framed(told))
            await asyncio.to_thread(self._tell_refusals)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), TICK_S)

    def _tell_refusals(self) -> None:
        """Tell which versions that the engine serves a worker cannot load."""
        refused = {
            version_name(number): f"worker {worker.number}: {why}"
            for worker in self._workers
            for number, why in worker.told.refused.items()
        }
        if refused:
            self._refusals.tell(
                refused, now_ns=self._port.project.clock.now_ns(), sequence=self._tape.next_sequence - 1
            )


def _code(process: "subprocess.Popen[bytes]") -> int:
    """Return how a process ended that has let go of its socket."""
    try:
        return process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
