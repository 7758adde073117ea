"""A worker: a process that scores rows for callers of an address which it shares with others of its kind.

Idea:   scoring rows keeps no state, so it may be done on any core; deciding, and writing the tape, may not. A worker
        serves the versions that the engine serves, decides nothing, and sends what it scored to the engine's process,
        which has the tape. A swap is that the engine names other versions: they are loaded beside the loop, then they
        answer from one request to the next.
Flow:   ``python -m tradeworthy.apps.server.worker FOLDER SOCKET SETTINGS`` hears which versions serve → loads them →
        listens → serves until SIGTERM, or until the engine's process is gone.
State:  versions, and what waits for the tape: at most a tenth of a second. Killed, the next one starts afresh.
"""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import uvloop

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.desk import collector_off
from tradeworthy.apps.server.port import TICK_S, Port
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.apps.server.wire import Message, Scored, Standing, Worked, framed, heard
from tradeworthy.core.errors import RecordUnwritable, TradeworthyError
from tradeworthy.live.staging import load_checked
from tradeworthy.model.version import Version

WAITING_BYTES_MAX = 64 * 2**20
"""How much may be on its way to the tape before nothing more is scored."""

COLLECT_EVERY = 5


class Warm(NamedTuple):
    """A version that is ready."""

    version: Version

    @property
    def name(self) -> str:
        """The first 16 characters of its digest."""
        return self.version.short


class RowDesk:
    """The versions that serve, as far as this process has them.

    Parameters
    ----------
    load : callable
        Gives the verified version of a 64-bit number, or raises a `TradeworthyError`.

    Attributes
    ----------
    champion, previous : Warm or None
        As the engine has them.
    refused : dict of int to str
        Versions that cannot be loaded, with the reason; who answered before goes on.
    """

    def __init__(self, load: Callable[[int], Version]) -> None:
        self._load = load
        self._warm: dict[int, Warm] = {}
        self.champion: Warm | None = None
        self.previous: Warm | None = None
        self.refused: dict[int, str] = {}

    @property
    def leading(self) -> Warm:
        """The version that answers where none is named."""
        if self.champion is None:
            raise LookupError("no version is loaded yet")
        return self.champion

    def pipelines(self) -> Iterator[Warm]:
        """Return every version that is ready, the champion first."""
        yield from dict.fromkeys([self.leading, *self._warm.values()])

    async def follow(self, standing: Standing) -> None:
        """Load what serves and is not here yet, then let it answer; a version that cannot be loaded is passed over."""
        self.refused = {number: why for number, why in self.refused.items() if number in standing.versions}
        for number in standing.versions:
            if number not in self._warm and number not in self.refused:
                await self._bring(number)
        champion = self._warm.get(standing.versions[0])
        if champion is not None:
            self.champion, self.previous = champion, self._warm.get(standing.previous)
        kept = {*standing.versions, self.leading.version.number} if self.champion else {*standing.versions}
        self._warm = {number: warm for number, warm in self._warm.items() if number in kept}

    async def _bring(self, number: int) -> None:
        try:
            self._warm[number] = Warm(await asyncio.to_thread(load_checked, self._load, number))
        except (TradeworthyError, OSError, ValueError) as problem:
            self.refused[number] = f"{type(problem).__name__}: {problem}"


class FarStream:
    """A stream of the tape that another process writes."""

    def __init__(self, name: str, dtype: np.dtype[Any], send: Callable[[Message], None]) -> None:
        self._name, self._send = name, send
        self._shape = dtype["row"].shape[0], dtype["scores"].shape[0]
        self._groups = dtype["groups"].shape[0] if "groups" in (dtype.names or ()) else 0

    def append(self, records: npt.NDArray[Any]) -> None:
        """Send records on their way; RecordUnwritable where they cannot go."""
        self._send(Scored(self._name, *self._shape, records.tobytes(), self._groups))


class FarTape:
    """The tape as a worker sees it.

    Parameters
    ----------
    writer : asyncio.StreamWriter
        To the process that writes it.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.next_sequence = 1
        self._failure: str | None = "the engine's process has not told of it yet"

    @property
    def failure(self) -> str | None:
        """Why nothing can be recorded; None where it can."""
        if self._writer.transport.is_closing():
            return "the engine's process is gone"
        if self._writer.transport.get_write_buffer_size() > WAITING_BYTES_MAX:
            return "the engine's process does not take what was scored"
        return self._failure

    def stream(self, name: str, dtype: np.dtype[Any], *, inline: bool = True) -> FarStream:  # noqa: ARG002  # as `TapeWriter`
        """Return a stream of scores."""
        return FarStream(name, dtype, self.send)

    def hear(self, standing: Standing) -> None:
        """Take in how far the tape is."""
        self.next_sequence, self._failure = standing.next_sequence, standing.failure

    def send(self, message: Message) -> None:
        """Send a message.

        Raises
        ------
        RecordUnwritable
            It cannot go.
        """
        failure = self.failure
        if failure is not None and isinstance(message, Scored):
            raise RecordUnwritable(failure)
        self._writer.write(framed(message))


class Worker:
    """One worker at work.

    Parameters
    ----------
    project : Project
        The deployment.
    settings : ServeSettings
        Where to listen, and the limits.
    pair : socket
        To the engine's process.
    """

    def __init__(self, project: Project, settings: ServeSettings, pair: socket.socket) -> None:
        self._project, self._settings, self._pair = project, settings, pair
        self._desk = RowDesk(project.registry.load)
        self._newest: Standing | None = None
        self._news, self._loaded, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ready = False

    async def work(self) -> None:
        """Serve until told to stop, or until the engine's process is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        reader, writer = await asyncio.open_connection(sock=self._pair)
        tape = FarTape(writer)
        port = Port(self._project, self._desk, tape, self._project.clock, self._settings)
        port.keeper.tells_locks = False  # the engine's process hears of every failure, and tells
        parts = self._hear(reader, tape, port), self._follow(), self._serve(port), self._tell(tape, port)
        tasks = [asyncio.create_task(part) for part in parts]
        over = asyncio.create_task(self._over.wait())
        try:
            done, _ = await asyncio.wait({over, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (over, *tasks):
                task.cancel()
            await asyncio.gather(over, *tasks, return_exceptions=True)
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async def _hear(self, reader: asyncio.StreamReader, tape: FarTape, port: Port) -> None:
        """Hear the engine's process until it is gone."""
        while isinstance(message := await heard(reader), Standing):
            tape.hear(message)
            port.keeper.hear_others(message.passed)
            self._newest = message
            self._news.set()

    async def _follow(self) -> None:
        """Follow the versions that serve."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._newest is not None:
                await self._desk.follow(self._newest)
            if self._desk.champion is not None:
                self._loaded.set()

    async def _serve(self, port: Port) -> None:
        """Listen once a version is here."""
        await self._loaded.wait()
        try:
            await port.open(shared=True)
            self._ready = True
            await port.attend()
        finally:
            await port.close()

    async def _tell(self, tape: FarTape, port: Port) -> None:
        """Tell what was done, ten times a second; collect what little garbage there is."""
        turn = 0
        while True:
            tape.send(Worked(port.keeper.take_passed(), self._ready, port.figures.codes(), self._desk.refused))
            turn += 1
            if turn % COLLECT_EVERY == 0:
                gc.collect(0)
            await asyncio.sleep(TICK_S)


def main(arguments: list[str]) -> int:
    """Work for the process that started this one."""
    folder, number, settings = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's, which ends its workers
    told = msgspec.json.decode(settings.encode(), type=ServeSettings)
    project = Project(Path(folder))
    with collector_off(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(project, told, socket.socket(fileno=int(number))))
    return 0


async def _work(project: Project, settings: ServeSettings, pair: socket.socket) -> None:
    """Work in this loop."""
    await Worker(project, settings, pair).work()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
