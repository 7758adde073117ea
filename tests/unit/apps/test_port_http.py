"""The port's HTTP: keep-alive, pipelining in order, limits on every size and time, refusals that close or go on."""

import gc
import gzip
import json
import threading
import time
import zlib

import numpy as np
import pytest
from served import CLOCK, PATH, served

from tradeworthy.apps.server.http import Connection
from tradeworthy.apps.server.replies import RequestRefused

BODY = json.dumps({"inputs": [{"name": "row", "shape": [1, 5], "datatype": "FP64", "data": [0.0] * 5}]}).encode()


@pytest.fixture(scope="module")
def desk():
    """A served desk with small limits."""
    with served(body_bytes_max=20_000, header_bytes_max=4_096, pipelined_max=4, slow_requests_max=2) as made:
        made.warm()
        yield made


def request(desk, *, path=f"{PATH}/infer", body=BODY, method="POST", version="1.1", **headers: object):
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/{version}", "host: x", f"authorization: Bearer {desk.secret}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "transfer_encoding" not in headers and "content_length" not in headers:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(caller, count):
    """Read whole answers from a socket: status and body."""
    found, left = [], b""
    while len(found) < count:
        head, end, rest = left.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if end and len(rest) >= length:
            found.append((int(head[9:12]), rest[:length]))
            left = rest[length:]
            continue
        more = caller.recv(65_536)
        if not more:
            break
        left += more
    return found


def send(desk, data, count=1):
    """Send bytes; return the statuses of the answers, and whether the connection was closed after them."""
    with desk.raw() as caller:
        caller.sendall(data)
        found = [status for status, _ in answers(caller, count)]
        try:
            caller.sendall(request(desk, path="/v2/health/live", method="GET", body=b""))
            closed = caller.recv(10) == b""
        except ConnectionError:
            closed = True
    return found, closed


def test_a_connection_is_kept(desk):
    """Many requests on one connection, also after a refusal that was read to its end."""
    with desk.raw() as caller:
        for _ in range(5):
            caller.sendall(request(desk))
            assert answers(caller, 1)[0][0] == 200
            caller.sendall(request(desk, body=b"{}"))
            assert answers(caller, 1)[0][0] == 400


def test_pipelined_requests_are_answered_in_order(desk):
    """Sent at once, each answer carries its own id."""
    bodies = [BODY[:-1] + b',"id":"%d"}' % number for number in range(50)]
    with desk.raw() as caller:
        caller.sendall(b"".join(request(desk, body=body) for body in bodies))
        found = answers(caller, 50)
    assert [json.loads(body)["id"] for _, body in found] == [str(number) for number in range(50)]


def test_what_takes_time_keeps_its_place(desk):
    """A list of decisions between two scores: the second score waits for it."""
    slow = request(desk, path="/v1/decisions?limit=3", method="GET", body=b"")
    with desk.raw() as caller:
        caller.sendall(request(desk) + slow + request(desk))
        found = [json.loads(body) for _, body in answers(caller, 3)]
    assert ["outputs" in found[0], "decisions" in found[1], "outputs" in found[2]] == [True] * 3


def test_too_many_requests_behind_a_slow_one(desk):
    """Four may wait; the next is refused."""
    slow = request(desk, path="/v1/decisions?limit=3", method="GET", body=b"")
    found, closed = send(desk, slow + 6 * request(desk), 7)
    assert 503 in found
    assert closed


def body_of(rows):
    """Return a body of so many rows."""
    tensor = {"name": "row", "shape": [rows, 5], "datatype": "FP64", "data": [0.25] * 5 * rows}
    return json.dumps({"inputs": [tensor]}).encode()


def test_a_head_that_comes_again_is_answered_by_its_own_body(desk):
    """Bodies of any length follow the same head on one connection; each gets its own answer."""
    with desk.raw() as caller:
        for rows in (1, 3, 1, 200, 2, 2):
            caller.sendall(request(desk, body=body_of(rows)))
            ((status, body),) = answers(caller, 1)
            assert status == 200
            assert json.loads(body)["outputs"][0]["shape"] == [rows, 1]


def test_heads_take_turns(desk):
    """Another route, another key, another deadline: what was sent before decides nothing."""
    far = CLOCK.now_ns() + 10**12
    wanted = [
        (request(desk), 200),
        (request(desk), 200),
        (request(desk, path="/v1/nothing"), 404),
        (request(desk), 200),
        (request(desk, x_deadline_ns=1), 504),
        (request(desk, x_deadline_ns=far), 200),
        (request(desk).replace(desk.secret.encode(), b"tw_00000000_x"), 401),
        (request(desk, path=f"{PATH}/versions/none/infer"), 404),
        (request(desk), 200),
    ]
    with desk.raw() as caller:
        for data, status in wanted:
            caller.sendall(data)
            assert answers(caller, 1)[0][0] == status, data


def test_a_head_that_comes_again_in_pieces_or_in_company(desk):
    """Cut anywhere, or with the next request right behind it, a request with a known head is one request."""
    data = request(desk)
    for cut in (1, 20, data.index(b"\r\n\r\n"), data.index(b"\r\n\r\n") + 4, len(data) - 1):
        with desk.raw() as caller:
            for piece in (data, data[:cut], data[cut:] + data + data, data):
                caller.sendall(piece)
                threading.Event().wait(0.02)
            assert [status for status, _ in answers(caller, 5)] == [200] * 5


def test_a_body_of_another_length_than_told_is_not_taken_for_a_known_head(desk):
    """Only the length that the head itself tells counts: not one in another header, none that is no number."""
    tricky = request(desk, x_more=f"content-length: {len(BODY)}")
    other = tricky.replace(f"x-more: content-length: {len(BODY)}".encode(), b"x-more: content-length: 1000")
    with desk.raw() as caller:
        for data in (tricky, other, tricky):
            caller.sendall(data)
            assert answers(caller, 1)[0][0] == 200
        early = tricky.replace(f"x-more: content-length: {len(BODY)}".encode(), b"x-more: content-length: 5")
        caller.sendall(early[: 5 - len(BODY)])
        caller.settimeout(0.1)
        with pytest.raises(TimeoutError):
            caller.recv(1)
        caller.settimeout(30)
        caller.sendall(early[5 - len(BODY) :])
        assert answers(caller, 1)[0][0] == 200
    for wrong in (b"+%d" % len(BODY), b"0x10", b"", b"-1", b"1 1"):
        changed = request(desk).replace(b"content-length: %d" % len(BODY), b"content-length: " + wrong)
        assert send(desk, request(desk) + changed, 2)[0][:2] == [200, 400]
        with desk.raw() as caller:
            caller.sendall(request(desk))
            assert answers(caller, 1)[0][0] == 200
            caller.sendall(changed)
            assert answers(caller, 1)[0][0] == 400


def test_a_length_of_thousands_of_digits_behind_a_known_head_is_refused(desk):
    """It is not read as a number at all; the caller is told, and the connection ends."""
    with desk.raw() as caller:
        caller.sendall(request(desk))
        assert answers(caller, 1)[0][0] == 200
        caller.sendall(request(desk, content_length="9" * 5_000))
        assert answers(caller, 1)[0][0] in {400, 431}


def test_a_body_over_the_limit_behind_a_known_head_is_refused(desk):
    """The limit holds for every body."""
    with desk.raw() as caller:
        caller.sendall(request(desk))
        assert answers(caller, 1)[0][0] == 200
        caller.sendall(request(desk, body=b"x" * 20_001))
        assert answers(caller, 1)[0][0] == 413


def test_a_packed_body_behind_a_known_head_is_unpacked(desk):
    """The second request is packed as the first was."""
    with desk.raw() as caller:
        for rows in (1, 2, 30):
            caller.sendall(request(desk, body=gzip.compress(body_of(rows)), content_encoding="gzip"))
            ((status, body),) = answers(caller, 1)
            assert (status, json.loads(body)["outputs"][0]["shape"]) == (200, [rows, 1])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_in_pieces_is_one_request(desk, size):
    """However the bytes were cut."""
    data = request(desk)
    with desk.raw() as caller:
        for start in range(0, len(data), size):
            caller.sendall(data[start : start + size])
        assert answers(caller, 1)[0][0] == 200


def test_a_large_body_in_many_pieces_is_whole(desk):
    """Every row of it is scored, each in its place."""
    rows = np.random.default_rng(5).normal(size=(150, 5))
    tensor = {"name": "row", "shape": [*rows.shape], "datatype": "FP64", "data": rows.ravel().tolist()}
    data = request(desk, body=json.dumps({"inputs": [tensor]}).encode())
    with desk.raw() as caller:
        for start in range(0, len(data), 512):
            caller.sendall(data[start : start + 512])
        ((status, told),) = answers(caller, 1)
    scores = np.array(json.loads(told)["outputs"][0]["data"])
    assert status == 200
    assert np.array_equal(scores, desk.desk.engine.desk.acting.version.predictor.many(rows)[:, 0])


def test_a_body_in_chunks(desk):
    """Chunked bodies are read."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:20], BODY[20:])) + b"0\r\n\r\n"
    assert send(desk, request(desk, body=chunks, transfer_encoding="chunked")) == ([200], False)


def test_an_old_client_is_answered_and_closed(desk):
    """HTTP/1.0, and whoever asks for it."""
    assert send(desk, request(desk, version="1.0")) == ([200], True)
    assert send(desk, request(desk, connection="close")) == ([200], True)


def test_a_client_that_waits_for_leave_gets_it(desk):
    """Expect: 100-continue."""
    whole = request(desk, expect="100-continue")
    with desk.raw() as caller:
        caller.sendall(whole[: -len(BODY)])
        assert caller.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(BODY)
        assert answers(caller, 1)[0][0] == 200


@pytest.mark.parametrize("packed", [("gzip", gzip.compress(BODY, mtime=0)), ("deflate", zlib.compress(BODY))])
def test_a_packed_body(desk, packed):
    """Gzip and deflate are unpacked."""
    assert send(desk, request(desk, body=packed[1], content_encoding=packed[0])) == ([200], False)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content_encoding": "br"}, BODY, 415),
        ({"content_encoding": "gzip"}, BODY, 400),
        ({"content_encoding": "gzip"}, gzip.compress(BODY, mtime=0)[:-9], 400),
        ({"content_encoding": "gzip"}, gzip.compress(b" " * 20_001, mtime=0), 413),
        ({"content_encoding": "deflate"}, zlib.compress(b" " * 50_000_000, 9)[:20_000], 413),
        ({"content_length": 20_001}, b"", 413),
        ({"content_length": "5, 6"}, b"", 400),
        ({"x": "y" * 5_000}, b"", 431),
        ({f"x{n}": n for n in range(70)}, b"", 431),
        ({"x_deadline_ns": 1}, BODY, 504),
        ({"x_deadline_ns": "soon"}, BODY, 400),
        ({"inference_header_content_length": 9_999}, BODY, 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_too_much_or_not_understood(desk, headers, body, status):
    """Refused with its own status; the port goes on."""
    assert send(desk, request(desk, body=body, **headers))[0] == [status]
    assert send(desk, request(desk))[0] == [200]


def test_a_chunked_body_is_measured_while_it_comes(desk):
    """No length is announced, and still it ends at the limit."""
    chunk = b"1000\r\n" + b" " * 4_096 + b"\r\n"
    assert send(desk, request(desk, body=chunk * 6, transfer_encoding="chunked")) == ([413], True)


@pytest.mark.parametrize(
    "data",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/9.9\r\n\r\n"],
)
def test_what_is_no_http_is_refused_and_closed(desk, data):
    """A TLS hello, noise."""
    assert send(desk, data) == ([400], True)


def test_smuggled_lengths_are_refused(desk):
    """A length and chunks at once could be read in two ways."""
    data = request(desk, body=b"0\r\n\r\n", transfer_encoding="chunked", content_length=5)
    assert send(desk, data) == ([400], True)


@pytest.mark.parametrize(
    "body", [b"[" * 10_000, b'{"inputs":' + b"[" * 5_000, b'{"a":' * 3_000, b'"\xff"', b"\xc3\x28"]
)
@pytest.mark.parametrize("path", [f"{PATH}/infer", "/v1/decide", "/v1/outcomes", "/v2/repository/index"])
def test_deep_and_broken_texts(desk, path, body):
    """Nesting without an end, bytes that are no UTF-8: 400 on every route that reads a body."""
    assert send(desk, request(desk, path=path, body=body))[0] == [400]


def test_a_deadline_that_is_far_away_changes_nothing(desk):
    """It is answered before it passes."""
    far = CLOCK.now_ns() + 60_000_000_000
    assert send(desk, request(desk, x_deadline_ns=far))[0] == [200]
    assert send(desk, request(desk, path="/v1/decisions", method="GET", body=b"", x_deadline_ns=far))[0] == [200]


def test_too_many_slow_requests_at_once(desk):
    """Two may be at work beside the loop; the third is refused with Retry-After, and fast ones are answered."""
    going, leave = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> bytes:
        going.release()
        leave.wait(30)
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    native = next(route for route in desk.port.routes.table if route.path == "/v1/decisions").handler.__self__
    native._page = wait
    try:
        with desk.raw() as first, desk.raw() as second:
            for caller in (first, second):
                caller.sendall(request(desk, path="/v1/decisions", method="GET", body=b""))
                assert going.acquire(timeout=30)
            status, told, headers = desk.ask("GET", "/v1/decisions")
            assert (status, headers["retry-after"]) == (503, "1")
            assert "at work" in told["error"]
            assert desk.ask("POST", f"{PATH}/infer", BODY)[0] == 200
            leave.set()
            assert [answers(caller, 1)[0][0] for caller in (first, second)] == [200, 200]
    finally:
        leave.set()
        del native._page


def test_a_slow_request_ends_at_its_deadline(desk):
    """504, and its place is free again."""
    leave = threading.Event()
    native = next(route for route in desk.port.routes.table if route.path == "/v1/decisions").handler.__self__
    native._page = lambda *_: leave.wait(30)
    try:
        soon = CLOCK.now_ns() + 300_000_000
        assert send(desk, request(desk, path="/v1/decisions", method="GET", body=b"", x_deadline_ns=soon))[0] == [504]
    finally:
        leave.set()
        del native._page
    assert desk.ask("GET", "/v1/decisions")[0] == 200


def test_what_has_waited_too_long_in_the_loop_is_refused():
    """Overload: what cannot be read in time is told so at once, with Retry-After, and health is still answered."""
    with served(wait_ms_max=1e-6) as desk:
        desk.port.open_turn = lambda: _later(desk.port)
        status, told, headers = desk.ask("POST", f"{PATH}/infer", BODY)
        assert (status, headers["retry-after"]) == (503, "1")
        assert "too much to do" in told["error"]
        assert desk.ask("GET", "/v2/health/live", secret=None)[0] == 200


def _later(port) -> int:
    """Say that this turn of the loop began a second ago."""
    now_ns = CLOCK.monotonic_ns()
    port.now_ns, port._turn_ns = now_ns, now_ns - 1_000_000_000
    return now_ns


def test_one_connection_too_many():
    """It is told 503 and closed; when another leaves there is room again."""
    with served(connections_max=3) as desk:
        inside = [desk.raw() for _ in range(3)]
        for caller in inside:
            caller.sendall(request(desk))
            assert answers(caller, 1)[0][0] == 200
        with desk.raw() as outside:
            assert answers(outside, 1)[0][0] == 503
            assert outside.recv(1) == b""
        inside.pop().close()
        while len(desk.port.connections) == 3:
            pass
        assert send(desk, request(desk))[0] == [200]
        for caller in inside:
            caller.close()


def test_a_mistake_of_ours_is_told_without_details(desk, caplog):
    """500, the trace in the log, the connection and the port go on."""
    route = next(route for route in desk.port.routes.table if route.path == "/v2")
    object.__setattr__(route, "handler", lambda _: 1 / 0)
    try:
        status, told, _ = desk.ask("GET", "/v2")
    finally:
        object.__setattr__(route, "handler", lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert (status, "Zero" in told["error"]) == (500, False)
    assert "ZeroDivisionError" in caplog.text
    assert send(desk, request(desk))[0] == [200]


def test_a_connection_that_is_over_is_forgotten_without_a_collector(desk):
    """Whatever it was used for: the engine collects only what is young, so a circle would stay for ever."""
    gc.disable()
    try:
        for data in (
            request(desk),
            request(desk, path="/v1/decisions", method="GET", body=b""),
            b"no http\r\n\r\n",
            b"",
        ):
            with desk.raw() as caller:
                caller.sendall(data)
                if data:
                    answers(caller, 1)
        until(lambda: not desk.port.connections)
        until(lambda: not any(type(each) is Connection for each in gc.get_objects()))
    finally:
        gc.enable()


@pytest.mark.parametrize(("size", "kept"), [(20, True), (1_000_000, False)])
def test_a_refusal_is_kept_only_where_it_is_short(size, kept):
    """What comes again and again is made once; a name of a megabyte in a message does not stay in memory."""
    first, again = (RequestRefused(400, f"instrument {'x' * size} is unknown").reply for _ in range(2))
    assert first == again
    assert (first is again) == kept


def test_who_is_locked_out_is_told_the_same_for_a_second():
    """Whole seconds, rounded up: a caller who waits so long waits enough, and the answer is made once for all."""
    tenths = [RequestRefused(429, "locked out", 29.0 + place / 10).reply for place in range(1, 11)]
    assert all(reply is tenths[0] for reply in tenths)
    assert b"retry-after: 30" in tenths[0]
    assert b"retry-after" not in RequestRefused(400, "no").reply
    assert b"retry-after: 1" in RequestRefused(503, "soon", 0.001).reply


def test_an_awake_port_asks_for_turns_until_its_time_is_over():
    """While it may look for the next request it does not sleep; after that, or without the setting, it does."""
    for awake_us, turns_wanted in ((60e6, 100), (0.0, 0)):
        with served(awake_us=awake_us) as desk:
            counted = []
            soon = desk.port._soon
            desk.port._soon = lambda call, soon=soon, counted=counted: (counted.append(call), soon(call))
            assert desk.ask("POST", f"{PATH}/infer", BODY)[0] == 200
            until(lambda counted=counted, wanted=turns_wanted: len(counted) > wanted)
            assert desk.ask("POST", f"{PATH}/infer", BODY)[0] == 200
            if not turns_wanted:
                until(lambda desk=desk: not desk.port._turn_ends)
                assert len(counted) <= 8  # one a read, and a connection's beginning


def until(condition):
    """Wait for a condition, a minute at most."""
    for _ in range(6_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("a minute has passed")
