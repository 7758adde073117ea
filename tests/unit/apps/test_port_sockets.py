"""The WebSocket's connection: its messages are counted as requests, and one whose other end is silent is closed."""

import json

import pytest
from served import served
from test_port_native import later, socket_of
from websockets.frames import Close, Opcode
from websockets.protocol import Protocol, Side

from tradeworthy.apps.server.routes import Request, Route
from tradeworthy.apps.server.streams import EventSocket
from tradeworthy.core.time import NS_PER_S


@pytest.fixture(scope="module")
def desk():
    """A served desk whose features are warm."""
    with served() as made:
        made.warm()
        yield made


def counted(desk, route, code):
    """Return how many requests of a route were answered so."""
    told = desk.ask("GET", "/metrics")[1].decode()
    name = f'tradeworthy_port_requests_total{{route="{route}",code="{code}"}} '
    return sum(int(float(line.removeprefix(name))) for line in told.splitlines() if line.startswith(name))


def test_messages_and_the_wish_for_a_socket_are_counted_as_requests(desk):
    """By route and status, as everything else that is answered."""
    before = [counted(desk, "/v1/stream", code) for code in (101, 200, 400)]
    with socket_of(desk) as stream:
        for text in (json.dumps(later(desk)), "{", json.dumps([later(desk)]), '{"kind": "bar"}', "[]"):
            stream.send(text)
            stream.recv()
    after = [counted(desk, "/v1/stream", code) for code in (101, 200, 400)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 2, 3]


def sent_by(data):
    """Return the frames of the port's bytes, in order."""
    reader = Protocol(Side.CLIENT)
    reader.receive_data(data)
    return reader.events_received()


class Silence:
    """An accepted WebSocket whose other end is silent: what is written to it, and whether it was closed."""

    def __init__(self) -> None:
        headers = {
            b"upgrade": b"websocket",
            b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
            b"sec-websocket-version": b"13",
        }
        route = Route("GET", "/v1/stream", "infer", lambda _: b"")
        self.socket = EventSocket(Request(b"GET", route, (), "", headers, b""), lambda _, message: message, 1_000)
        self.written, self.closed = b"", 0
        self.socket.begin(self.write, self.close)

    def write(self, data) -> None:
        """Take what is written."""
        self.written += data

    def close(self) -> None:
        """Count."""
        self.closed += 1

    def said(self):
        """Return the frames written since the last look."""
        data, self.written = self.written, b""
        return sent_by(data)


def test_a_silent_socket_is_pinged_once_and_closed_when_no_pong_comes():
    """Half of the time allowed goes by without a word; then one ping; at the end 1001, and the connection is left."""
    other = Silence()
    for seconds in (0, 10, 29, 30):
        other.socket.was_silent(seconds * NS_PER_S, 60 * NS_PER_S)
    assert other.said() == []
    for seconds in (31, 45, 61):
        other.socket.was_silent(seconds * NS_PER_S, 60 * NS_PER_S)
    assert [frame.opcode for frame in other.said()] == [Opcode.PING]
    assert other.closed == 0
    other.socket.was_silent(62 * NS_PER_S, 60 * NS_PER_S)
    [last] = other.said()
    assert (last.opcode, Close.parse(last.data).code) == (Opcode.CLOSE, 1001)
    assert "no word and no pong for 62 s" in Close.parse(last.data).reason
    assert other.closed == 1


def test_a_pong_keeps_a_silent_socket_open_and_the_next_silence_is_pinged_again():
    """Whoever answers is there, however little he has to say."""
    other, client = Silence(), Protocol(Side.CLIENT)
    for _ in range(3):
        other.socket.was_silent(40 * NS_PER_S, 60 * NS_PER_S)
        assert [frame.opcode for frame in other.said()] == [Opcode.PING]
        client.send_pong(b"")
        other.socket.receive(b"".join(client.data_to_send()))
        assert other.said() == []
    assert other.closed == 0


def test_a_socket_whose_caller_went_silent_is_swept_from_the_port():
    """Asked once whether it is there, then told goodbye, and closed as an idle connection is."""
    with served(idle_s_max=1.0) as desk:
        upgrade = (
            f"GET /v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {desk.secret}\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        with desk.raw(timeout=60) as silent:
            silent.sendall(upgrade.encode())
            heard = b""
            while more := silent.recv(4_096):
                heard += more
        assert heard.startswith(b"HTTP/1.1 101")
        assert [frame.opcode for frame in sent_by(heard.partition(b"\r\n\r\n")[2])] == [Opcode.PING, Opcode.CLOSE]
