"""A port over a small desk, in a thread of its own; callers are plain sockets in the test's thread."""

import asyncio
import concurrent.futures
import http.client
import json
import shutil
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import msgspec
import uvloop

from tradeworthy.apps.server.port import Port
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.change.access.keys import SCOPES, issue
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import SystemClock
from tradeworthy.judge.explain.settings import ExplainSettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.pushed import PushedFeed
from tradeworthy.record.ledger import Ledger
from tradeworthy.testing.desks import SmallDesk, market

NAME = "small desk"
PATH = "/v2/models/small%20desk"
CLOCK = SystemClock()


class SmallRegistry:
    """The versions of a small desk, with roles that a test sets."""

    def __init__(self, desk) -> None:
        self._desk, self.roles = desk, {}

    def load(self, which):
        """Return a version by number or digest."""
        for version in self._desk.shelf.versions.values():
            if which in (version.number, version.digest):
                return version
        raise NotFound(f"no version {which}")

    def list(self):
        """Return every version with its role."""
        champion = self._desk.control.view().champion
        return [
            SimpleNamespace(
                version=version.digest,
                role="champion" if version.number == champion else self.roles.get(version.number, "registered"),
            )
            for version in self._desk.shelf.versions.values()
        ]


class Served:
    """A desk with its port open.

    Parameters
    ----------
    folder : Path
    settings : ServeSettings
    desk : SmallDesk
    monitor : MonitorSettings
    """

    def __init__(self, folder, settings, desk, monitor) -> None:
        self.folder, self.desk = folder, desk
        self.ledger = Ledger(folder / "ledger.db", clock=CLOCK)
        self.registry = SmallRegistry(desk)
        self.project = SimpleNamespace(
            settings=SimpleNamespace(
                serve=settings,
                desk=SimpleNamespace(name=NAME),
                instrument=list(desk.instruments),
                explain=ExplainSettings(),
                monitor=monitor,
            ),
            catalogue=lambda: None,
            places=SimpleNamespace(tape=folder / "tape"),
            folder=folder,
            clock=CLOCK,
            ledger=self.ledger,
            registry=self.registry,
        )
        self.secret = self.key(SCOPES)
        self._opened: concurrent.futures.Future = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.loop, self.port, self.address = self._opened.result(60)

    def key(self, scopes, **bounds: object):
        """Issue a key and return its secret."""
        entropy = len(self.ledger.facts()).to_bytes(32, "big")
        secret, _ = issue(
            self.ledger, owner="test", scopes=scopes, entropy=entropy, now_ns=CLOCK.now_ns(), actor="ops",
            reason="test", **bounds,
        )  # fmt: skip
        return secret

    def follow(self):
        """Let the port read the ledger now."""
        self.do(self.port.follow).result(30)

    async def look_up(self) -> None:
        """Let the engine see what was steered."""
        self.desk.engine.look_up()

    async def write(self) -> None:
        """Write the scores that wait for the tape."""
        self.port.write()

    def do(self, start):
        """Run a coroutine in the port's loop."""
        return asyncio.run_coroutine_threadsafe(start(), self.loop)

    def ask(self, method, path, body=None, *, secret="", connection=None, **headers: object):
        """Send one request; return its status, its body (decoded where it is JSON) and its headers."""
        caller = connection or self.caller()
        secret = self.secret if secret == "" else secret
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        caller.request(method, path, data, headers)
        reply = caller.getresponse()
        raw, told = reply.read(), dict(reply.getheaders())
        if connection is None:
            caller.close()
        return reply.status, json.loads(raw) if told.get("content-type") == "application/json" else raw, told

    def caller(self, timeout=30):
        """Return a connection of http.client."""
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def raw(self, timeout=30):
        """Return a socket."""
        return socket.create_connection(self.address, timeout)

    def event(self, bar=0, **changes: object):
        """Return a bar of ETH as the port takes it: the given one of a walk."""
        record = market(200)[1::2][bar]
        fields = dict(zip(("open", "high", "low", "close", "volume"), record["values"].tolist(), strict=False))
        return {"kind": "bar", "instrument": "ETH", "ts_event_ns": int(record["ts_event_ns"]), **fields, **changes}

    def warm(self):
        """Let the features see enough bars of both instruments."""
        events = []
        for place in range(30):
            eth = self.event(place)
            events += [eth | {"instrument": "BTC", "ts_event_ns": eth["ts_event_ns"] - 1}, eth]
        status, made, _ = self.ask("POST", "/v1/decide", events)
        assert status == 200, made
        return made

    def close(self):
        """Close the port, end the engine, keep a checkpoint."""
        self.loop.call_soon_threadsafe(self._feed.close)
        self._thread.join(60)
        self.desk.close()
        self.ledger.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._feed = PushedFeed()
        port = Port(self.project, self.desk.engine, self.desk.tape, CLOCK)
        running = asyncio.create_task(self.desk.engine.run(self._feed))
        attending = asyncio.create_task(port.attend())
        try:
            (address,) = await port.open()
            host, _, number = address.rpartition("://")[2].rpartition(":")
            self._opened.set_result((asyncio.get_running_loop(), port, (host, int(number) if number.isdigit() else 0)))
            await running
        except BaseException as problem:
            with suppress(concurrent.futures.InvalidStateError):
                self._opened.set_exception(problem)
            raise
        finally:
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)
            await port.close()


@contextmanager
def served(versions=1, monitor=None, **changes: object):
    """Serve a small desk in a folder of its own until the block ends; `changes` are settings of the port."""
    folder = Path(tempfile.mkdtemp(prefix="served-"))
    try:
        patient = ServeSettings(port=0, wait_ms_max=60_000.0)  # a busy machine is no overload
        settings = msgspec.structs.replace(patient, **changes)
        desk = SmallDesk(folder, versions=versions, clock=CLOCK, settings=EngineSettings(steer_every_ms=20.0))
        made = Served(folder, settings, desk, monitor or MonitorSettings())
        try:
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
