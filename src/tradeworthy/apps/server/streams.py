"""What takes a connection over: findings as server-sent events, and a WebSocket of events in and decisions out."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.utils import accept_key

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.apps.server.routes import Request
from tradeworthy.core.errors import RecordBusy, RecordUnwritable
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S

if TYPE_CHECKING:
    from tradeworthy.record.ledger import Entry

Write = Callable[[bytes], None]
Close = Callable[[], None]
REMEMBERED = 1_000
_encode = msgspec.json.Encoder().encode
_SSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"connection: close\r\n\r\nretry: 2000\n\n"
)


_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n"
)


class ToldFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding with its ledger number."""

    number: int
    ts_ns: int
    finding: Finding


class Told:
    """The newest findings, and who follows them."""

    def __init__(self) -> None:
        self.findings: list[ToldFinding] = []
        self.followers: set[FindingStream] = set()

    def tell(self, entries: "list[Entry]") -> None:
        """Take in new facts of findings, and tell followers."""
        new = [
            ToldFinding(number=entry.number, ts_ns=entry.ts_ns, finding=entry.fact.finding)
            for entry in entries
            if hasattr(entry.fact, "finding") and isinstance(entry.fact.finding, Finding)
        ]
        self.findings = [*self.findings, *new][-REMEMBERED:]
        for follower in [*self.followers]:
            follower.send(new)

    def stay_awake(self) -> None:
        """Send every follower a comment, so that nothing between takes the silence for the end."""
        for follower in [*self.followers]:
            follower.write(b": still here\n\n")

    def close(self) -> None:
        """Close every follower's connection."""
        for follower in [*self.followers]:
            follower.close()


class FindingStream:
    """Findings as server-sent events.

    Parameters
    ----------
    told : Told
    after : int
        The last ledger number that the caller has.
    """

    hello = _SSE

    def __init__(self, told: Told, after: int) -> None:
        self._told, self._after = told, after
        self.write: Write = _nowhere
        self.close: Close = _nothing

    def begin(self, write: Write, close: Close) -> None:
        """Send what the caller does not have, then follow."""
        self.write, self.close = write, close
        self._told.followers.add(self)
        self.send(self._told.findings)

    def send(self, findings: list[ToldFinding]) -> None:
        """Send findings that are new to the caller."""
        for found in findings:
            if found.number > self._after:
                self._after = found.number
                self.write(b"id: %d\nevent: finding\ndata: %s\n\n" % (found.number, _encode(found)))

    def receive(self, data: bytes) -> None:
        """Ignore what a caller sends into an event stream."""

    def end(self) -> None:
        """Follow no more."""
        self._told.followers.discard(self)


class EventSocket:
    """A WebSocket: each message is an event or a list of events, its answer the decision or the decisions.

    Parameters
    ----------
    request : Request
        The one that asked to upgrade.
    answer : callable
        Answers a message, or raises `RequestRefused`, which is told in place of an answer, with when to try again.
    message_bytes_max : int
        Of one message; the socket is closed with 1009 beyond.

    Attributes
    ----------
    hello : bytes
        Accepts the caller's wish.
    """

    def __init__(self, request: Request, answer: Callable[[Request, bytes], bytes], message_bytes_max: int) -> None:
        self._request, self._answer = request, answer
        self.hello = _ACCEPTED % accept_key(_handshake(request)).encode()
        self._protocol = Protocol(Side.SERVER, max_size=message_bytes_max)
        self._pieces: list[bytes] = []
        self._pinged_ns = 0  # of the present silence
        self._write: Write = _nowhere
        self._close: Close = _nothing

    def begin(self, write: Write, close: Close) -> None:
        """Take the connection's ways out."""
        self._write, self._close = write, close

    def receive(self, data: bytes) -> None:
        """Answer every message that is whole."""
        self._pinged_ns = 0
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._take(frame)
        self._send()

    def end(self) -> None:
        """Forget what was not whole."""
        self._pieces.clear()

    def was_silent(self, silent_ns: int, allowed_ns: int) -> None:
        """Ping at half of the time allowed, which every WebSocket answers; close where as much goes by again."""
        if not self._pinged_ns and silent_ns > allowed_ns // 2:
            self._protocol.send_ping(b"")
            self._pinged_ns = silent_ns
        elif self._pinged_ns and silent_ns - self._pinged_ns > allowed_ns // 2:
            self._protocol.fail(CloseCode.GOING_AWAY, f"no word and no pong for {silent_ns / NS_PER_S:.0f} s")
        self._send()

    def _take(self, frame: Frame) -> None:
        self._pieces.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._pieces)
            self._pieces.clear()
            self._reply(message)

    def _reply(self, message: bytes) -> None:
        try:
            self._protocol.send_text(self._answer(self._request, message))
        except (RecordUnwritable, RecordBusy) as problem:
            self._protocol.send_close(CloseCode.INTERNAL_ERROR, str(problem)[:120])
        except RequestRefused as refused:
            waits = {"retry_after_s": refused.retry_after_s} if refused.retry_after_s else {}
            self._protocol.send_text(_encode({"error": str(refused), **waits}))

    def _send(self) -> None:
        """Write what the protocol has to say; an empty piece says that it is over."""
        for piece in self._protocol.data_to_send():
            if piece:
                self._write(piece)
            else:
                self._close()


def _handshake(request: Request) -> str:
    """Return the key of a request to upgrade.

    Raises
    ------
    RequestRefused
        It is none.
    """
    headers = request.headers
    upgrade = headers.get(b"upgrade", b"").lower()
    key, version = headers.get(b"sec-websocket-key", b""), headers.get(b"sec-websocket-version", b"")
    if upgrade != b"websocket" or not key or version != b"13":
        raise RequestRefused(
            400, "this route is a WebSocket: ask with Upgrade: websocket and Sec-WebSocket-Version: 13"
        )
    return key.decode("latin-1")


def _nowhere(_: bytes) -> None:
    """Write nothing: the stream has not begun."""


def _nothing() -> None:
    """Close nothing: the stream has not begun."""
