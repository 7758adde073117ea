"""A WebSocket server on 127.0.0.1 that says a script, and does wrong where it is told to.

Flow:   a client subscribes → it is answered → the news that follow come at the given pace, each through a `Fault` if it
        has one. Whole books are answered over HTTP on the same port, or come first on the stream.
Time:   the script goes on while nobody listens, as a market does; `pace_s` is between two pieces of news.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from tradeworthy.testing.exchange.script import News, TrueBook, writer

Wrong = Literal[
    "cut",
    "away",
    "half",
    "drop",
    "twice",
    "swap",
    "silence",
    "malformed",
    "wrong type",
    "unknown",
    "huge",
    "crossed",
    "text",
]
"""``cut`` closes before the news, ``away`` too but waits with the news until somebody is back, ``half`` within its
frame, ``drop`` leaves it out, ``twice`` says it again, ``swap`` after the next, ``unknown`` after a message of another
channel, ``silence`` says nothing any more on this connection; the others spoil its text."""

HUGE_BYTES = 300_000

WrongAnswer = Literal["429", "500", "empty", "shuffled", "twice", "hole", "malformed", "wrong type"]
"""What is wrong with an answer that holds bars of the past: an error, none of them, in any order, each again, without
the one in the middle, cut off, or with a number where text belongs."""


class Exchange:
    """An exchange on this machine.

    Parameters
    ----------
    news : sequence of News
        What happens, in order.
    dialect : str
    faults : mapping of int to Wrong
        By place in `news`.
    pace_s : float
        Between two pieces of news; 0 says all at once.
    skew_ns : int
        How far its clock is ahead of the script's times.
    now_ns : callable, optional
        Its clock; the news's own time if left out.
    stale_snapshots : int
        So many answers for whole books are of the first one.
    certificate : tuple of str, optional
        PEM files of a certificate and its key, for TLS.
    refuses : bool
        Every subscription.
    waits : bool
        Say the second half of the script only while somebody listens, for a client that must hear its end.
    answers : sequence of WrongAnswer
        The first answers about bars or trades of the past, one each; those after them are right.
    retry_after : str, optional
        What an answer of 429 says in that header.
    """

    def __init__(
        self,
        news: Sequence[News],
        dialect: str = "binance",
        *,
        faults: Mapping[int, Wrong] | None = None,
        pace_s: float = 0.0,
        skew_ns: int = 0,
        now_ns: Callable[[], int] | None = None,
        stale_snapshots: int = 0,
        certificate: tuple[str, str] | None = None,
        refuses: bool = False,
        waits: bool = False,
        answers: Sequence[WrongAnswer] = (),
        retry_after: str | None = None,
    ) -> None:
        self._news, self._writer, self._faults = list(news), writer(dialect), dict(faults or {})
        self._pace_s, self._skew_ns, self._now_ns = pace_s, skew_ns, now_ns
        self._stale, self._refuses, self._dialect = stale_snapshots, refuses, dialect
        self._books = {each.symbol: TrueBook() for each in news if each.kind == "book"}
        for each in reversed(self._news):  # there is a book before anybody looks: the first one
            if each.kind == "book" and each.number == 1:
                self._books[each.symbol].change(each)
        self._clients: list[_Client] = []
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._server: asyncio.Server | None = None
        self._begun, self._listened, self._waits = asyncio.Event(), asyncio.Event(), waits
        self._answers, self._retry_after = list(answers), retry_after
        self.said = self.connections = self.snapshots = self.histories = 0
        self.port = 0
        self.subscriptions: list[bytes] = []

    # -- running -------------------------------------------------------------------------------------------------

    async def open(self, port: int = 0) -> int:
        """Listen on 127.0.0.1, and return the port."""
        self._server = await ws_create_server(self._route, "127.0.0.1", port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def play(self) -> None:
        """Say the script from the first subscription to its end; say nothing before that."""
        await self._begun.wait()
        for place in range(self.said, len(self._news)):
            if self._faults.get(place) == "away":
                self.disconnect()
                await self._listened.wait()
            if self._waits and place >= len(self._news) // 2:
                await self._listened.wait()
            self._say(place)
            await asyncio.sleep(self._pace_s)

    def disconnect(self) -> None:
        """Cut every client off; what is said next, they do not hear."""
        clients, self._clients = self._clients, []
        self._listened.clear()
        for client in clients:
            client.drop()

    async def close(self) -> None:
        """Cut every client off and listen no more."""
        self.disconnect()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    # -- saying --------------------------------------------------------------------------------------------------

    def _say(self, place: int) -> None:
        news, wrong = self._news[place], self._faults.get(place)
        self.said = place + 1
        if news.kind == "book":
            self._books[news.symbol].change(news)
        if wrong == "cut":
            self.disconnect()
        for client in list(self._clients):
            client.tell(news, wrong, self._time(news))

    def _time(self, news: News) -> int:
        return (news.ts_ns if self._now_ns is None else self._now_ns()) + self._skew_ns

    # -- clients -------------------------------------------------------------------------------------------------

    def _route(self, request: WSUpgradeRequest) -> "WSListener | WSUpgradeResponseWithListener":
        if request.path.startswith(b"/api/v3/depth"):
            symbol = request.path.decode().partition("symbol=")[2].partition("&")[0]
            answer = WSUpgradeResponse.create_ok_response(self._snapshot(symbol))
            return WSUpgradeResponseWithListener(answer, None)
        if b"/klines" in request.path or request.path.endswith(b"FIVE_MINUTE&limit=350"):
            return WSUpgradeResponseWithListener(self._past(request.path.decode(), "bar"), None)
        if b"/historicalTrades" in request.path or b"/ticker?" in request.path:
            return WSUpgradeResponseWithListener(self._past(request.path.decode(), "trade"), None)
        self.connections += 1
        return _Client(self)

    def _past(self, path: str, kind: str) -> WSUpgradeResponse:
        """Answer about bars or trades: those that were said, or would have been if anybody had listened."""
        wrong = self._answers.pop(0) if self._answers else ""
        self.histories += 1
        past = [news for news in self._news[: self.said] if news.kind == kind and news.symbol in path]
        tell = self._writer.history if kind == "bar" else self._writer.trades
        body = spoilt_answer(tell(path, past), wrong)
        ok, error = WSUpgradeResponse.create_ok_response, WSUpgradeResponse.create_error_response
        waits = {} if self._retry_after is None or wrong != "429" else {"Retry-After": self._retry_after}
        answer: WSUpgradeResponse = error(int(wrong), b"{}", waits) if wrong in {"429", "500"} else ok(body)
        return answer

    def _snapshot(self, symbol: str) -> bytes:
        self.snapshots += 1
        book = self._books.get(symbol, TrueBook())
        if self.snapshots <= self._stale:
            book = TrueBook()
            book.change(next(news for news in self._news if news.kind == "book" and news.symbol == symbol))
        return self._writer.snapshot(symbol, book, 0, 0)

    def joined(self, client: "_Client", raw: bytes) -> None:
        """Answer a subscription; a book comes whole first where the dialect does so."""
        self.subscriptions.append(raw)
        if self._refuses:
            wrong = {"error": {"code": 2, "msg": "Invalid request"}} if self._dialect == "binance" else None
            client.send(msgspec.json.encode(wrong or {"type": "error", "message": "Invalid request"}))
            return
        sent_ns = self._time(self._news[max(self.said - 1, 0)])
        client.send(self._writer.subscribed(raw, client.next_sequence(), sent_ns))
        if b'"channel":"level2"' in raw:
            for symbol, book in self._books.items():
                client.send(self._writer.snapshot(symbol, book, client.next_sequence(), sent_ns))
        if client not in self._clients:
            self._clients.append(client)
        self._listened.set()
        self._begun.set()

    def left(self, client: "_Client") -> None:
        """Take in that a client is gone."""
        if client in self._clients:
            self._clients.remove(client)
        if not self._clients:
            self._listened.clear()

    def words(self, news: News, sequence: int, sent_ns: int) -> bytes:
        """Write news in the dialect."""
        return self._writer.news(news, sequence, sent_ns)


@contextmanager
def serving(exchange: Exchange, port: int = 0) -> Iterator[Exchange]:
    """Run an exchange in a thread of its own, for a client that is another process; it plays from its first client on.

    Parameters
    ----------
    port : int
        Of 127.0.0.1; the system chooses if 0.
    """
    opened, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        await exchange.open(port)
        opened.set()
        playing = asyncio.create_task(exchange.play())
        await asyncio.to_thread(stop.wait)
        playing.cancel()
        await exchange.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        opened.wait()
        yield exchange
    finally:
        stop.set()
        thread.join()


class _Client(WSListener):
    """One connection, as the exchange sees it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._transport: WSTransport | None = None
        self._sequence, self._silent = -1, False
        self._held: bytes | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Remember the connection."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a subscription."""
        if frame.msg_type == WSMsgType.TEXT:
            self._exchange.joined(self, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the connection."""
        del transport
        self._exchange.left(self)

    def next_sequence(self) -> int:
        """Count a message of this connection."""
        self._sequence += 1
        return self._sequence

    def send(self, raw: bytes) -> None:
        """Send a message, unless silent."""
        if self._transport is not None and not self._silent:
            self._transport.send(WSMsgType.TEXT, raw)

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def tell(self, news: News, wrong: Wrong | None, sent_ns: int) -> None:
        """Say one piece of news, rightly or wrongly."""
        raw = self._exchange.words(news, self.next_sequence(), sent_ns)
        held, self._held = self._held, None
        match wrong:
            case "drop":
                pass
            case "twice":
                self.send(raw)
                self.send(raw)
            case "swap":
                self._held = raw
            case "silence":
                self._silent = True
            case "half":
                self._half(raw)
            case "unknown":
                self.send(spoilt(raw, wrong))
                self.send(self._exchange.words(news, self.next_sequence(), sent_ns))
            case None | "cut" | "away":
                self.send(raw)
            case _:
                self.send(spoilt(raw, wrong))
        if held is not None:
            self.send(held)

    def _half(self, raw: bytes) -> None:
        """Say half of a frame, and end the connection."""
        if self._transport is not None:
            head = bytes([0x81, 126]) + len(raw).to_bytes(2, "big")
            self._transport.underlying_transport.write(head + raw[: len(raw) // 2])
            self.drop()


def spoilt_answer(raw: bytes, wrong: str) -> bytes:
    """Return an answer about bars or trades that is wrong in one way."""
    told = msgspec.json.decode(raw)
    rows = next(each for each in told.values() if isinstance(each, list)) if isinstance(told, dict) else told
    match wrong:
        case "empty":
            rows.clear()
        case "shuffled":
            rows[:] = rows[1::2] + rows[::2]
        case "twice":
            rows[:] = rows + rows
        case "hole":
            del rows[len(rows) // 2]
        case "wrong type":
            rows.append(7)
    answer = msgspec.json.encode(told)
    return answer[:-2] if wrong == "malformed" else answer


def spoilt(raw: bytes, wrong: str) -> bytes:
    """Return a message that is wrong in one way."""
    match wrong:
        case "malformed":
            return raw[:-2]
        case "wrong type":
            return raw.replace(b'"data":{', b'"data":[{', 1).replace(b'"events":[', b'"events":7,"x":[', 1)
        case "unknown":
            return raw.replace(b'"stream":"', b'"stream":"x@y', 1).replace(b'"channel":"', b'"channel":"x', 1)
        case "huge":
            return raw[:-1] + b',"padding":"' + b"x" * HUGE_BYTES + b'"}'
        case "text":
            return "not JSON, but \N{SNOWMAN}".encode()
        case _:
            return raw.replace(b'"b":[[', b'"b":[["999.00","1.0"],[', 1).replace(
                b'"updates":[', b'"updates":[{"side":"bid","price_level":"999.00","new_quantity":"1"},', 1
            )
