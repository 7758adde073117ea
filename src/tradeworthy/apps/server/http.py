"""One HTTP/1.1 connection: bytes in, requests decided in the same call, bytes out.

Idea:   a hop to another thread or task costs more than a model, so the answer is made where the last byte was read, and
        written at once; it is counted when it has left. A caller sends the same head again and again: one that was read
        before is known by its bytes, and neither parsed nor looked up a second time. Only what must wait (for a disk)
        answers later; then the connection's other requests wait in order behind it, and no more is read from it.
Limits: header and body sizes are judged before they are complete; a request that takes too long to arrive, and a
        connection that nobody uses, are closed by the port's `sweep`.
State:  what has been read of the present request, requests that wait behind an answer, the head that was read last.
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

import httptools

from tradeworthy.apps.server.figures import NOWHERE, Figures
from tradeworthy.apps.server.heads import Head
from tradeworthy.apps.server.replies import RequestRefused, error
from tradeworthy.apps.server.routes import Answer, Headers, Pinged, Request, Stream
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.change.access.doorkeeper import Holder

HEADERS_MAX = 64
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Asked = tuple[bytes, bytes, Headers, bytes]
"""Method, URL, headers and body of a request that waits its turn."""


class Owner(Protocol):
    """The port, as a connection sees it."""

    settings: ServeSettings
    connections: set["Connection"]
    figures: Figures
    now_ns: int

    def open_turn(self) -> int:
        """Return the monotonic time, and note when this turn of the loop began."""

    def close_turn(self) -> None:
        """Let this turn end once the loop goes on."""

    def request(self, asked: Asked, caller: "Connection") -> Request:
        """Find the route and let the caller in, or raise `RequestRefused`."""

    def admit(self, request: Request) -> Request:
        """Let a caller who is known in once more, or raise `RequestRefused`."""

    def refusal(self, problem: BaseException, caller: "Connection") -> bytes:
        """Return the answer that tells of an error."""


class Connection(asyncio.Protocol):
    """One caller's connection.

    Parameters
    ----------
    port : Owner

    Attributes
    ----------
    address : str
        Where the caller is.
    remembered : tuple of bytes and Holder, or None
        The credential of the last request and who holds it; the same again needs no digest.
    """

    __slots__ = (
        "_begun",
        "_body",
        "_closing",
        "_header_bytes",
        "_headers",
        "_in_headers",
        "_known",
        "_last",
        "_leaving",
        "_out",
        "_parser",
        "_partial",
        "_path",
        "_port",
        "_since_ns",
        "_stream",
        "_transport",
        "_turn",
        "_url",
        "_waiting",
        "address",
        "remembered",
    )

    def __init__(self, port: Owner) -> None:
        self._port = port
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._path = b"", NOWHERE
        self._body: bytes | bytearray = b""
        self._headers: Headers = {}
        self._out: list[tuple[str, bytes]] = []
        self._last: Request | None = None
        self._known: Head | None = None
        self._waiting: deque[Asked] = deque()
        self._turn: asyncio.Future[bytes] | None = None
        self._stream: Stream | None = None
        self._partial = self._in_headers = self._closing = self._leaving = False
        self._begun = self._header_bytes = self._since_ns = 0
        self.address = ""
        self.remembered: tuple[bytes, Holder] | None = None

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else "unix socket"
        self._since_ns = self._port.open_turn()
        self._port.close_turn()
        if len(self._port.connections) >= self._port.settings.connections_max:
            self._closing = True
            self._transport.write(error(503, "too many connections; close those that you do not use", 1.0))
            self._transport.close()
        else:
            self._port.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """End what goes on for the caller, and the circle with the parser, which no collector would find for long."""
        self._closing = True
        del self._parser
        self._port.connections.discard(self)
        self._waiting.clear()
        if self._turn is not None:
            self._turn.cancel()
        if self._stream is not None:
            self._stream.end()

    def pause_writing(self) -> None:
        """Read no more from a caller who does not read our answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self._turn is None:
            self._transport.resume_reading()

    def sweep(self, now_ns: int, request_ns: int, idle_ns: int) -> None:
        """Close a connection whose request comes too slowly, that nobody uses, or whose caller never hangs up."""
        waited_ns = now_ns - self._since_ns
        if self._leaving and waited_ns > request_ns:
            self._transport.abort()
        if self._turn is not None or self._closing:
            return
        if self._stream is not None:
            if isinstance(self._stream, Pinged):
                self._stream.was_silent(waited_ns, idle_ns)
        elif self._partial and waited_ns > request_ns:
            self._refuse(RequestRefused(408, f"the request was not whole after {request_ns / 1e9:g} s"))
            self._flush()
        elif waited_ns > idle_ns:
            self.close()

    @property
    def waiting(self) -> int:
        """How many requests wait behind the one at work."""
        return len(self._waiting)

    def close(self) -> None:
        """Close after what was written."""
        self._closing = True
        self._transport.close()

    def leave(self) -> None:
        """Say no more, and hear the caller out: closed with its bytes unread, TCP would take our last word back."""
        if not self._transport.can_write_eof():
            self.close()
        elif not self._closing:
            self._closing = self._leaving = True
            self._since_ns = self._port.open_turn()
            self._port.close_turn()
            self._transport.write_eof()
            self._transport.resume_reading()

    # -- reading -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes; every request that they complete is answered before this returns."""
        if self._closing:
            return
        now_ns = self._port.open_turn()
        try:
            if self._stream is None:
                self._read(data, now_ns)
            else:
                self._since_ns = now_ns
                self._stream.receive(data)
        finally:
            self._flush()
            self._port.close_turn()

    def _read(self, data: bytes, now_ns: int) -> None:
        """Answer what is known by its bytes, parse everything else."""
        begun, fresh = self._begun, not self._partial
        if fresh:
            self._since_ns = now_ns
            known = self._known.again(data) if self._known is not None and self._turn is None else None
            if known is not None:
                self._answer(known)
                return
            self._partial, self._last = True, None
        try:
            self._parser.feed_data(data)
            if self._in_headers and self._begun == begun:
                self._measure(len(data))
            elif fresh and self._begun == begun + 1 and self._last is not None and self._parser.should_keep_alive():
                self._known = Head.of(data, self._last, self._port.settings.body_bytes_max)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except RequestRefused as refused:
            self._refuse(refused)
        except httptools.HttpParserError as problem:
            self._refuse(_cause(problem))

    def _upgraded(self, rest: bytes) -> None:
        """Hand what follows an upgrade to who took the connection over; a wish that nobody took is refused."""
        if self._stream is not None and rest:
            self._stream.receive(rest)
        elif self._stream is None and not self._closing:
            self._refuse(RequestRefused(400, "this route has no other protocol; leave the Upgrade header out"))

    def _measure(self, size: int) -> None:
        """Count bytes of headers, and refuse headers that do not end."""
        self._header_bytes += size
        if self._header_bytes > self._port.settings.header_bytes_max:
            raise RequestRefused(431, f"headers over {self._port.settings.header_bytes_max} bytes")

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's line; the first begins a request."""
        if not self._in_headers:
            self._partial = self._in_headers = True
            self._begun += 1
            self._header_bytes = 0
        self._url = self._url + url if self._url else url
        self._header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value
        self._header_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """Judge a body by what its headers say, before it comes."""
        headers, allowed = self._headers, self._port.settings.body_bytes_max
        self._in_headers = False
        if self._header_bytes > self._port.settings.header_bytes_max:
            self._measure(0)
        if len(headers) > HEADERS_MAX:
            raise RequestRefused(431, f"{len(headers)} headers, allowed are {HEADERS_MAX}")
        length = headers.get(b"content-length")
        if length is not None and int(length) > allowed:
            raise RequestRefused(413, f"a body of {length.decode()} bytes, allowed are {allowed}")
        if b"expect" in headers:
            self._transport.write(CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body; the usual one comes in one."""
        if not self._body:
            self._body = piece
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body) + piece
        else:
            self._body += piece
        if len(self._body) > self._port.settings.body_bytes_max:
            raise RequestRefused(413, f"a body over {self._port.settings.body_bytes_max} bytes")

    def on_message_complete(self) -> None:
        """Answer, or wait behind an answer that is not there yet."""
        asked = self._parser.get_method(), self._url, self._headers, bytes(self._body)
        self._url, self._body, self._headers = b"", b"", {}
        self._partial = False
        if self._closing:
            return
        if self._turn is None and self._stream is None:
            self._answer(asked)
        elif len(self._waiting) < self._port.settings.pipelined_max:
            self._waiting.append(asked)
        else:
            raise RequestRefused(503, f"over {self._port.settings.pipelined_max} requests wait on this connection", 1.0)

    # -- answering -----------------------------------------------------------------------------------------------

    def _answer(self, asked: Asked | Request) -> None:
        """Answer one request now, or begin to."""
        path: str = NOWHERE
        made: Answer
        try:
            if isinstance(asked, Request):
                request = self._port.admit(asked)
            else:
                request = self._last = self._port.request(asked, self)
            path = request.route.path
            made = request.route.handler(request)
        except Exception as problem:  # noqa: BLE001 - whatever a request meets, its caller is told, and others go on
            made = self._port.refusal(problem, self)
        if isinstance(made, bytes):
            self._out.append((path, made))
            if not self._parser.should_keep_alive():
                self._flush()
                self.close()
        elif isinstance(made, Awaitable):
            self._wait_for(made, path)
        else:
            self._hand_over(made, path)

    def _wait_for(self, coming: Awaitable[bytes], path: str) -> None:
        """Let an answer come in its own time, and read no more until it is there."""
        self._flush()
        self._transport.pause_reading()
        self._path = path
        self._turn = asyncio.ensure_future(coming)
        self._turn.add_done_callback(self._came)

    def _came(self, turn: asyncio.Future[bytes]) -> None:
        """Write an answer that came, and go on with what waits behind it."""
        began_ns = self._since_ns
        self._turn, self._since_ns = None, self._port.open_turn()
        self._port.close_turn()
        if turn.cancelled() or self._closing:
            return
        problem = turn.exception()
        self._out.append((self._path, turn.result() if problem is None else self._port.refusal(problem, self)))
        self._flush(began_ns)
        while self._waiting and self._turn is None and not self._closing:
            self._answer(self._waiting.popleft())
        if self._turn is None:
            self._flush()
            with suppress(RuntimeError):
                self._transport.resume_reading()

    def _hand_over(self, stream: Stream, path: str) -> None:
        """Give the connection to a stream, once its request is answered."""
        self._out.append((path, stream.hello))
        self._flush()
        self._stream = stream
        stream.begin(self._transport.write, self.leave)

    def _refuse(self, refused: RequestRefused) -> None:
        """Refuse what cannot be read any further, and close."""
        self._out.append((NOWHERE, self._port.refusal(refused, self)))
        self._flush()
        self.leave()

    def _flush(self, since_ns: int = 0) -> None:
        """Write the answers that are there, then count them; they were read now, or at another time."""
        out, port = self._out, self._port
        if out:
            self._transport.write(out[0][1] if len(out) == 1 else b"".join([reply for _, reply in out]))
            for path, reply in out:
                port.figures.answered(path, reply[9:12], since_ns or port.now_ns)
            out.clear()

    def same_credential(self, credential: bytes) -> Holder | None:
        """Return who holds a credential if it is that of the last request."""
        known = self.remembered
        return known[1] if known is not None and hmac.compare_digest(known[0], credential) else None


def _cause(problem: httptools.HttpParserError) -> RequestRefused:
    """Return why the parser stopped: one of our refusals, or bytes that are no HTTP."""
    if isinstance(problem.__context__, RequestRefused):
        return problem.__context__
    return RequestRefused(400, f"this is not HTTP/1.1: {problem}")
