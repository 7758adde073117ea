"""The port's last word reaches a caller who is still sending, and who never hangs up is cut off."""

import json
import struct
import time

import pytest
from served import PATH, served

ENDLESS = 8 << 20
"""Bytes that no socket's buffers hold, so that the port speaks while its caller still sends."""


def read_to_end(caller):
    """Return all that comes until the other side is done."""
    found = b""
    while more := caller.recv(65_536):
        found += more
    return found


def head(desk, *lines: str):
    """Return the head of a request, with the desk's key."""
    return "\r\n".join([*lines, "host: x", f"authorization: Bearer {desk.secret}", "", ""]).encode()


def test_a_caller_who_is_still_sending_reads_why_it_was_refused():
    """A body that is too large is refused by its head; the refusal is there when the body has been sent."""
    with served() as desk, desk.raw(60) as caller:
        caller.sendall(head(desk, f"POST {PATH}/infer HTTP/1.1", f"content-length: {ENDLESS}") + bytes(ENDLESS))
        answer, _, body = read_to_end(caller).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert str(ENDLESS) in json.loads(body)["error"]


def test_a_socket_that_sends_too_much_reads_the_close_code():
    """The closing frame with 1009 is there when the whole message has been sent."""
    upgrade = "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", "sec-websocket-key: eA=="
    with served() as desk, desk.raw(60) as caller:
        caller.sendall(head(desk, "GET /v1/stream HTTP/1.1", *upgrade))
        assert caller.recv(4_096).startswith(b"HTTP/1.1 101 ")
        caller.sendall(bytes([0x81, 0xFF]) + struct.pack("!Q", ENDLESS) + bytes(4) + bytes(ENDLESS))
        frame = read_to_end(caller)
    assert frame[0] == 0x88
    assert int.from_bytes(frame[2:4], "big") == 1009


@pytest.mark.parametrize("sends", [b"", b"more"])
def test_a_caller_who_never_hangs_up_is_cut_off(sends):
    """Refused callers hold their connection no longer than a request may take, whatever they send."""
    with served(request_s_max=0.1) as desk, desk.raw(60) as caller:
        caller.sendall(b"nonsense\r\n\r\n" + sends)
        assert read_to_end(caller).startswith(b"HTTP/1.1 400 ")
        until = time.monotonic() + 60
        while desk.port.connections and time.monotonic() < until:
            time.sleep(0.01)
        assert not desk.port.connections
