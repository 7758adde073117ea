"""The head of a request that was read before: known again by its bytes, and by nothing else."""

import numpy as np
import pytest
from served import served
from test_port_http import answers, request

from tradeworthy.apps.server.events import decided
from tradeworthy.apps.server.heads import Head
from tradeworthy.apps.server.routes import Request, Route
from tradeworthy.core.decisions import DECISION
from tradeworthy.core.denials import DenialCode

ROUTE = Route("POST", "/x", "infer", lambda _: b"")


def asked(body, **headers: str):
    """Return a request as it was read."""
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request(b"POST", ROUTE, (), "", named, body)


def sent(body, length=None, more="host: x"):
    """Return a request as bytes."""
    length = len(body) if length is None else length
    return f"POST /x HTTP/1.1\r\n{more}\r\nContent-Length: {length}\r\na: b\r\n\r\n".encode() + body


@pytest.fixture
def head():
    """The head of a request with five bytes, of which ten are allowed."""
    found = Head.of(sent(b"first"), asked(b"first"), 10)
    assert found is not None
    return found


@pytest.mark.parametrize("body", [b"other", b"", b"ninebytes", b"\r\n\r\n"])
def test_the_same_head_brings_another_body(head, body):
    """The request is the one that was read, its body the new one."""
    found = head.again(sent(body))
    assert found is not None
    assert (found.route, found.body) == (ROUTE, body)


@pytest.mark.parametrize(
    "data",
    [
        sent(b"other", more="host: y"),
        sent(b"other").replace(b"a: b", b"a: c"),
        sent(b"other").replace(b"POST", b"GET"),
        sent(b"other", length=4),
        sent(b"other", length=6),
        sent(b"other", length="05x"),
        sent(b"other", length=""),
        sent(b"other") + sent(b"other"),
        sent(b"other")[:-6],
        sent(b"other")[:20],
        sent(b"elevenbytes"),
        b"",
    ],
)
def test_whatever_differs_is_parsed(head, data):
    """Another head, another length than the body's, more or less than one request, a body over the limit."""
    assert head.again(data) is None


@pytest.mark.parametrize("name", ["transfer_encoding", "expect", "upgrade", "x_deadline_ns", "content_encoding"])
def test_a_head_that_means_more_than_its_bytes_is_not_kept(name):
    """What such a header asks has to be done each time."""
    assert Head.of(sent(b"first"), asked(b"first", **{name: "x"}), 10) is None


def test_a_head_without_a_length_or_with_another_body_is_not_kept():
    """It came in pieces, or there is nothing to know it by."""
    assert Head.of(b"GET /x HTTP/1.1\r\na: b\r\n\r\n", asked(b""), 10) is None
    assert Head.of(sent(b"first"), asked(b"other"), 10) is None


def test_a_key_behind_a_known_head_is_judged_each_time():
    """Its rate, its budget and its revocation hold for the tenth request on a connection as for the first."""
    with served() as desk:
        desk.secret = desk.key(["infer"], rows_per_day=3)
        desk.follow()
        with desk.raw() as caller:
            found = []
            for _ in range(5):
                caller.sendall(request(desk))
                found += [status for status, _ in answers(caller, 1)]
            assert found == [200, 200, 200, 429, 429]


def test_a_wait_is_judged_behind_a_known_head_too():
    """Where the loop has no time left, a caller who is known hears so as soon as everybody else."""
    with served(wait_ms_max=1_000.0) as desk, desk.raw() as caller:
        for _ in range(2):
            caller.sendall(request(desk))
            assert answers(caller, 1)[0][0] == 200
        opened = desk.port.open_turn

        def late() -> int:
            now_ns = opened()
            desk.port._turn_ns = now_ns - 2_000_000_000
            return now_ns

        desk.port.open_turn = late
        caller.sendall(request(desk))
        assert answers(caller, 1)[0][0] == 503
        desk.port.open_turn = opened
        caller.sendall(request(desk))  # that turn is over: it charges nobody else
        assert answers(caller, 1)[0][0] == 200


def test_an_answer_is_counted_with_its_own_route():
    """Several answers of one read, refused ones too, each under its route and status."""
    with served() as desk, desk.raw() as caller:
        pieces = request(desk) + request(desk, path="/v1/none") + request(desk, body=b"{}") + request(desk)
        caller.sendall(pieces)
        assert [status for status, _ in answers(caller, 4)] == [200, 404, 400, 200]
        text = desk.ask("GET", "/metrics")[1].decode()
    counted = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in text.splitlines()}
    path = "/v2/models/{model}/infer"
    assert counted[f'tradeworthy_port_requests_total{{route="{path}",code="200"}}'] == "2"
    assert counted[f'tradeworthy_port_requests_total{{route="{path}",code="400"}}'] == "1"
    assert counted['tradeworthy_port_requests_total{route="none",code="404"}'] == "1"


def test_a_decision_is_told_as_the_record_has_it():
    """Read from bytes, every number is that of its field."""
    record = a_decision()
    made = decided(record.tobytes(), "ETH")
    for name in ("ts_event_ns", "ts_decided_ns", "score", "target", "position", "price", "quantity", "observed"):
        assert getattr(made, name) == record[name], name
    assert (made.decision, made.limit, made.version) == (7, 0.75, "00000000000000ff")
    assert (made.role, made.verdict, made.threshold) == ("shadow", "HALTED", 3)


def a_decision():
    """Return a decision whose every field has a value of its own."""
    record = np.zeros(1, DECISION)[0]
    for place, name in enumerate(DECISION.names):
        record[name] = 100 + place
    record["sequence"], record["limit"], record["version"] = 7, 0.75, 0xFF
    record["role"], record["verdict"], record["flags"], record["instrument"] = 2, DenialCode.HALTED, 3 << 2, 1
    return record
