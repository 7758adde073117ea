"""The port: routes, callers and limits around one engine, in the engine's own event loop.

Flow:   a connection reads a request → its route and its caller are looked up → the handler answers inline → bytes out.
        Ten times a second what waits for the tape is written and slow callers are closed; once a second the ledger is
        read beside the loop: new keys, revocations, roles, findings; what the doorkeeper noted is written there.
Alone:  without an engine, as a worker is (`worker`), it scores rows and does nothing else.
State:  connections, and what the doorkeeper and the figures count. All else is the engine's, the tape's, the ledger's.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tradeworthy.apps.server.figures import Figures
from tradeworthy.apps.server.http import Asked, Connection
from tradeworthy.apps.server.models import Models, Roster
from tradeworthy.apps.server.native import Native
from tradeworthy.apps.server.openinference import OpenInference
from tradeworthy.apps.server.packing import unpacked
from tradeworthy.apps.server.replies import RequestRefused, respond
from tradeworthy.apps.server.routes import OPEN, Request, Route, Routes, number_in
from tradeworthy.apps.server.rows import RowColumns
from tradeworthy.apps.server.scores import ScoreLog, Tape
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.apps.server.streams import Told
from tradeworthy.apps.server.tensors import Floats
from tradeworthy.change.access.doorkeeper import Doorkeeper, Holder, Refused
from tradeworthy.change.access.keys import KEY_FACTS, Key, keys_of
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound, RecordBusy, RecordUnwritable, ReleaseRefused, TradeworthyError
from tradeworthy.core.time import NS_PER_MS, NS_PER_S, NS_PER_US, Clock
from tradeworthy.live.engine import Engine
from tradeworthy.model.version import Version
from tradeworthy.record.ledger import Entry

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

TICK_S = 0.1
TICKS_TO_SWEEP, TICKS_TO_FOLLOW, TICKS_TO_STAY_AWAKE = 5, 10, 150
DEADLINE = b"x-deadline-ns"
ROWS_ONLY = "; here rows are scored, the engine's own address does everything else"
_SENSELESS = range(400, 423)
_log = logging.getLogger(__name__)


class _News(NamedTuple):
    """What a look at the ledger found."""

    number: int
    keys: dict[str, Key]
    roles: dict[str, str]
    findings: list[Entry]


class Port:
    """One port.

    `slow` is how many requests are at work beside the loop, `now_ns` the monotonic time of the read in hand.

    Parameters
    ----------
    project : Project
        The deployment: its ledger and versions.
    engine : Engine or Roster
        Decides; it must run in the same loop. Or only which versions serve: then rows are scored, nothing is decided.
    tape : Tape
        The engine's.
    clock : Clock
        The engine's: stamps what is received.
    settings : ServeSettings, optional
        The project's, if left out.
    """

    def __init__(
        self,
        project: "Project",
        engine: Engine | Roster,
        tape: Tape,
        clock: Clock,
        settings: ServeSettings | None = None,
    ) -> None:
        self.settings = settings or project.settings.serve
        self.project, self.clock, self._tape = project, clock, tape
        self._desk: Roster = engine.desk if isinstance(engine, Engine) else engine
        self.keeper = Doorkeeper(project.clock, self.settings.door)
        self.models = Models(project.settings.desk.name, self._desk)
        fairness = project.settings.monitor.fairness
        self.columns = RowColumns(fairness.columns, fairness.words)
        self.connections: set[Connection] = set()
        self.told = Told()
        self.load: Callable[[str], Version] = project.registry.load
        self._scores = ScoreLog(tape) if self.settings.requests_log else None
        self.routes = Routes(self._table(engine), "" if isinstance(engine, Engine) else ROWS_ONLY)
        self.others: list[Callable[[], str]] = []  # who else tells figures at /metrics
        self._servers: list[asyncio.Server] = []
        self._monotonic_ns = project.clock.monotonic_ns
        self.figures = Figures(self._monotonic_ns)
        self._soon: Callable[[Callable[[], None]], object] = _not_open
        self._keys: dict[str, Key] = {}
        self._ledger_number = -1
        self._turn_ns = self.now_ns = self.slow = 0
        self._turn_ends = False
        self._wait_ns_max = int(self.settings.wait_ms_max * NS_PER_MS)
        self._awake_ns = int(self.settings.awake_us * NS_PER_US)

    def _table(self, engine: Engine | Roster) -> list[Route]:
        """Return every route; where nothing is decided, those that score and what they need."""
        rows = OpenInference(self).routes()
        if not isinstance(engine, Engine):
            return [route for route in rows if route.scope in {OPEN, "infer"}]
        return [*rows, *Native(self, engine).routes(), Route("GET", "/metrics", "explain", self._metrics)]

    @property
    def tape_folder(self) -> Path:
        """Where the tape is, for reading."""
        return self.project.places.tape

    # -- opening and closing -------------------------------------------------------------------------------------

    async def open(self, *, shared: bool = False) -> list[str]:
        """Read the keys, begin to listen, and return the addresses.

        Parameters
        ----------
        shared : bool
            Other processes of ours listen at the same address; each connection goes to one of us.

        Raises
        ------
        OSError
            The address is taken, or a certificate cannot be read.
        """
        self._heard(self._look())
        loop, settings, secure = asyncio.get_running_loop(), self.settings, self._secure()
        self._soon = loop.call_soon
        if settings.socket:
            path = self.project.folder / settings.socket
            path.unlink(missing_ok=True)
            server = await loop.create_unix_server(lambda: Connection(self), str(path), ssl=secure)
            path.chmod(0o600)
            self._servers.append(server)
            return [f"unix:{path}"]
        server = await loop.create_server(
            lambda: Connection(self), settings.host, settings.port, ssl=secure, backlog=1_024, reuse_port=shared
        )
        self._servers.append(server)
        scheme = "https" if secure else "http"
        return [f"{scheme}://{place[0]}:{place[1]}" for place in (each.getsockname() for each in server.sockets)]

    def _secure(self) -> ssl.SSLContext | None:
        if not self.settings.certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        folder = self.project.folder
        context.load_cert_chain(folder / self.settings.certificate, folder / self.settings.private_key)
        return context

    async def attend(self) -> None:
        """Do what is due, until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            self.write()
            if tick % TICKS_TO_SWEEP == 0:
                self.sweep()
            if tick % TICKS_TO_FOLLOW == 0:
                await self.follow()
            if tick % TICKS_TO_STAY_AWAKE == 0:
                self.told.stay_awake()

    def sweep(self) -> None:
        """Close connections whose request takes too long, and those that nobody uses."""
        now_ns, settings = self.project.clock.monotonic_ns(), self.settings
        for connection in [*self.connections]:
            connection.sweep(now_ns, int(settings.request_s_max * NS_PER_S), int(settings.idle_s_max * NS_PER_S))

    def write(self) -> None:
        """Write the scores that wait for the tape."""
        if self._scores is not None and self._tape.failure is None:
            self._scores.write()

    async def close(self) -> None:
        """Stop listening, close every connection, write what waits."""
        for server in self._servers:
            server.close()
        self.told.close()
        for connection in [*self.connections]:
            connection.close()
        for server in self._servers:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1.0)
        if self.settings.socket:
            (self.project.folder / self.settings.socket).unlink(missing_ok=True)
        self.write()
        with suppress(RecordUnwritable):
            self._raise_incidents()

    # -- the ledger ----------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Write down what the doorkeeper noted, and hear what is new in the ledger; both beside the loop.

        While the ledger cannot be reached, decisions go on, keys stay as they were, and incidents are kept.
        """
        try:
            await asyncio.to_thread(self._raise_incidents)
            self._heard(await asyncio.to_thread(self._look))
        except RecordUnwritable as problem:
            _log.warning("the port goes on without the ledger: %s", problem)

    def _look(self) -> _News | None:
        """Read the ledger if it has grown."""
        ledger, after = self.project.ledger, self._ledger_number
        number = ledger.head()[0]
        if number == after:
            return None
        keys = keys_of(ledger.facts(*KEY_FACTS, after=max(after, 0)), self._keys)
        roles = {info.version: info.role for info in self.project.registry.list()}
        return _News(number, keys, roles, ledger.facts(facts.FindingRaised, after=max(after, 0)))

    def _heard(self, news: _News | None) -> None:
        if news is None:
            return
        self._ledger_number, self._keys, self.models.roles = news.number, news.keys, news.roles
        self.keeper.hear(news.keys)
        self.told.tell(news.findings)

    def _raise_incidents(self) -> None:
        """Raise what the doorkeeper noted as findings; the watcher tells people of them."""
        incidents = self.keeper.incidents.take()
        while incidents:
            sequence, first = self._tape.next_sequence - 1, incidents[0]
            try:
                self.project.ledger.append(first.raised(sequence), actor="port", reason=first.sentence)
            except RecordUnwritable:
                self.keeper.incidents.give_back(incidents)
                raise
            incidents = incidents[1:]

    # -- one request ---------------------------------------------------------------------------------------------

    def open_turn(self) -> int:
        """Return the monotonic time, and note when this turn of the loop began; `close_turn` must follow."""
        self.now_ns = now_ns = self._monotonic_ns()
        if not self._turn_ns:
            self._turn_ns = now_ns
        return now_ns

    def close_turn(self) -> None:
        """Let this turn end once the loop goes on; said after an answer has left, for saying it costs time."""
        if not self._turn_ends:
            self._turn_ends = True
            self._soon(self._turn_over)

    def _turn_over(self) -> None:
        """End the turn; while it is worth it, keep the loop from sleeping by asking for another one."""
        self._turn_ns = 0
        self._turn_ends = self._monotonic_ns() - self.now_ns < self._awake_ns
        if self._turn_ends:
            self._soon(self._turn_over)

    def request(self, asked: Asked, caller: Connection) -> Request:
        """Find the route and let the caller in.

        Raises
        ------
        RequestRefused
            There is no such route, the caller may not use it, or the port has too much to do.
        """
        method, url, headers, body = asked
        route, arguments, query = self.routes.find(method, url)
        request = Request(method, route, arguments, query, headers, body)
        if route.scope is not OPEN:
            request.holder = self._holder(headers.get(b"authorization", b""), caller)
            self.admit(request)
            if DEADLINE in headers:
                request.deadline_ns = self._deadline(headers[DEADLINE])
        if body and b"content-encoding" in headers:
            request.body = unpacked(body, headers, self.settings.body_bytes_max)
        return request

    def admit(self, request: Request) -> Request:
        """Let a caller whose key is known in, and return the request.

        Raises
        ------
        RequestRefused
            The key may not do this, or not now; or the port has too much to do.
        """
        if request.holder is not None:
            refused = request.holder.enter(request.route.scope)
            if refused is not None:
                raise RequestRefused(refused.status, refused.message, refused.retry_after_s)
            if self.now_ns - self._turn_ns > self._wait_ns_max:
                raise RequestRefused(503, "too much to do; slow down and try again", 1.0)
        return request

    def _holder(self, credential: bytes, caller: Connection) -> Holder:
        known = caller.same_credential(credential)
        if known is not None:
            return known
        found = self.keeper.let_in(credential.decode("latin-1"), caller.address)
        if isinstance(found, Refused):
            raise RequestRefused(found.status, found.message, found.retry_after_s)
        caller.remembered = (credential, found)
        return found

    def _deadline(self, text: bytes) -> int:
        deadline_ns = number_in(text)
        if deadline_ns is None:
            raise RequestRefused(400, "X-Deadline-Ns is not a whole number of UTC nanoseconds")
        late_ns = self.project.clock.now_ns() - deadline_ns
        if late_ns > 0:
            raise RequestRefused(504, f"the deadline passed {late_ns / NS_PER_MS:.3f} ms before the request was read")
        return deadline_ns

    def slowly(self, request: Request, start: Callable[[], Awaitable[bytes]]) -> Awaitable[bytes]:
        """Begin an answer that takes time beside the loop, if there is room for it.

        Raises
        ------
        RequestRefused
            503: too many are at work already.
        """
        if self.slow >= self.settings.slow_requests_max:
            raise RequestRefused(503, f"{self.slow} requests of this kind are at work; try again", 1.0)
        self.slow += 1
        return self._slowly(request, start)

    async def _slowly(self, request: Request, start: Callable[[], Awaitable[bytes]]) -> bytes:
        left_ns = request.deadline_ns - self.project.clock.now_ns() if request.deadline_ns else 0
        try:
            return await asyncio.wait_for(start(), left_ns / NS_PER_S if request.deadline_ns else None)
        except TimeoutError:
            raise RequestRefused(504, "the deadline passed before the answer was there") from None
        finally:
            self.slow -= 1

    def _metrics(self, _: Request) -> bytes:
        """Tell what was counted."""
        told = "".join([self.figures.written(self), *(tell() for tell in self.others)])
        return respond(200, told.encode(), kind=b"text/plain; version=0.0.4; charset=utf-8")

    @property
    def rows_waiting(self) -> int:
        """How many scored rows wait for the tape."""
        return 0 if self._scores is None else self._scores.waiting

    def keep_scores(
        self, request: Request, version: Version, rows: Floats, scores: Floats, groups: Floats | None
    ) -> None:
        """Record what a stateless request asked and got."""
        if self._scores is not None:
            key = "" if request.holder is None else request.holder.key.key
            self._scores.add(version, rows, scores, key, self.clock.now_ns(), groups=groups)

    def refusal(self, problem: BaseException, caller: Connection) -> bytes:
        """Return the answer that tells of an error."""
        return self.noted(problem, caller.remembered[1].name if caller.remembered is not None else caller.address).reply

    def noted(self, problem: BaseException, who: str) -> RequestRefused:
        """Return an error as its caller sees it, and count those that make no sense."""
        refused = _as_refused(problem)
        if refused.status in _SENSELESS and refused.status != 401:
            self.keeper.saw_bad_request(who)
        return refused

    def not_ready(self) -> str | None:
        """Say why the port cannot decide now; None where it can."""
        if self._tape.failure is not None:
            return "the record cannot be written"
        return "no version is champion" if self._desk.champion is None else None


def _not_open(_: Callable[[], None]) -> None:
    """Call nothing soon: the port is not open, so that nobody waits in its loop."""


def _as_refused(problem: BaseException) -> RequestRefused:
    """Return an error as the refusal that a caller sees; a mistake of ours is logged, and told without its details."""
    match problem:
        case RequestRefused():
            return problem
        case NotFound():
            return RequestRefused(404, str(problem))
        case ReleaseRefused():
            return RequestRefused(403, str(problem))
        case RecordUnwritable() | RecordBusy():
            return RequestRefused(503, "the record cannot be written; nothing is decided", 1.0)
        case TradeworthyError():
            return RequestRefused(400, str(problem))
    _log.error("a request met a mistake of ours", exc_info=problem)
    return RequestRefused(500, "a mistake of ours; it is in the log")
