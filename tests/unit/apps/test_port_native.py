"""The port's own routes: an event to its decision on the tape, late labels, reasons, lists, findings, the WebSocket."""

import gc
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from served import CLOCK, PATH, served
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tradeworthy.apps.server.events import BookEvent, Incoming, RowEvent
from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.change.access.doorkeeper import DoorSettings
from tradeworthy.core import facts
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.replay import replay
from tradeworthy.record.reader import TapeReader

FINDING = Finding(
    monitor="drift", subject="z", kind="data_drift", sequence=1, ts_event_ns=1, since_ns=1, observed=1.0,
    reference=0.0, unit="sd", statistic=1.0, threshold=1.0, false_alarms_per_10k=1.0, sentence="z has moved.",
)  # fmt: skip


@pytest.fixture(scope="module")
def desk():
    """A served desk whose features are warm."""
    with served() as made:
        made.warm()
        yield made


def later(desk, **changes: object):
    """Return an event that comes after all before it."""
    desk.bar = getattr(desk, "bar", 40) + 1
    return desk.event(desk.bar, **changes)


def decide(desk, event, query=""):
    """Let an event be decided."""
    return desk.ask("POST", f"/v1/decide{query}", event)


def on_tape(desk, decision):
    """Return the decision record of the tape."""
    return TapeReader(desk.folder / "tape").find("decisions", decision)


def test_an_event_is_decided_and_on_the_tape_before_it_is_answered(desk):
    """What is answered is what is recorded, under the decision's id."""
    status, made, _ = decide(desk, later(desk))
    assert status == 200
    record = on_tape(desk, made["decision"])
    assert made["score"] == record["score"]
    assert made["version"] == f"{record['version']:016x}" == f"{desk.desk.numbers[0]:016x}"
    assert made["role"] == "champion"
    verdict = DenialCode(int(record["verdict"]))
    assert (made["verdict"], made["said"]) == (verdict.name, verdict.text)
    assert made["ts_decided_ns"] >= made["ts_event_ns"]


def test_a_list_is_decided_in_order(desk):
    """Each gets its answer, in the place of its event."""
    events = [later(desk) for _ in range(5)]
    _, made, _ = decide(desk, events)
    assert [each["ts_event_ns"] for each in made] == [event["ts_event_ns"] for event in events]
    assert [each["decision"] for each in made] == sorted(each["decision"] for each in made)


def test_an_event_that_asks_for_nothing_says_so(desk):
    """A bar of an instrument that is only watched: believed, not decided."""
    event = later(desk)
    _, made, _ = decide(desk, event | {"instrument": "BTC", "ts_event_ns": event["ts_event_ns"] - 1})
    assert (made["decision"], made["verdict"]) == (None, "NONE")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"close": -1.0}, "INPUT_NOT_POSITIVE"),
        ({"high": 1.0}, "INPUT_INCONSISTENT"),
        ({"ts_event_ns": 1}, "INPUT_OUT_OF_ORDER"),
    ],
)
def test_an_event_that_is_not_believed_is_refused_with_a_code(desk, changes, verdict):
    """It is recorded, nothing is sent, and the answer says which rule it broke."""
    _, made, _ = decide(desk, later(desk, **changes))
    assert made["verdict"] == verdict
    assert on_tape(desk, made["decision"])["quantity"] == 0


def test_reasons_are_given_when_asked_for(desk):
    """The strongest first, as many as asked, together with the decision."""
    status, told, _ = decide(desk, later(desk), "?reasons=2")
    assert status == 200
    sizes = [abs(reason["contribution"]) for reason in told["reasons"]]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)
    assert on_tape(desk, told["decided"]["decision"])["score"] == told["decided"]["score"]


def test_a_decision_is_explained_later(desk):
    """By its id; what was not decided is 404."""
    _, made, _ = decide(desk, later(desk))
    status, told, _ = desk.ask("GET", f"/v1/explain/{made['decision']}")
    assert status == 200
    assert math.isclose(told["baseline"] + sum(r["contribution"] for r in told["reasons"]), told["margin"])
    assert desk.ask("GET", "/v1/explain/999999")[0] == 404


def test_decisions_are_listed_page_by_page(desk):
    """Each page begins where the one before ended, until there are no more."""
    decide(desk, [later(desk) for _ in range(4)])
    after, seen = 0, []
    while True:
        _, page, _ = desk.ask("GET", f"/v1/decisions?after={after}&limit=7")
        if not page["decisions"]:
            break
        seen += [made["decision"] for made in page["decisions"]]
        after = page["next"]
    assert seen == sorted(set(seen))
    assert seen == TapeReader(desk.folder / "tape").read("decisions")["sequence"].tolist()


def test_a_late_label_counts_once(desk):
    """Brought again it changes nothing; brought differently it is refused, and so is one of no decision."""
    decision = decide(desk, later(desk))[1]["decision"]
    label = {"decision": decision, "label": 1.0, "value": 12.5}
    assert desk.ask("POST", "/v1/outcomes", label)[1] == {"accepted": 1, "repeated": 0}
    assert desk.ask("POST", "/v1/outcomes", [label, label])[1] == {"accepted": 0, "repeated": 2}
    assert desk.ask("POST", "/v1/outcomes", label | {"label": 0.0})[0] == 409
    assert desk.ask("POST", "/v1/outcomes", {"decision": decision + 10_000, "label": 1})[0] == 404
    inputs = TapeReader(desk.folder / "tape").read("inputs")
    outcomes = inputs[(inputs["kind"] == 6) & (inputs["reference"] == decision)]
    assert outcomes["values"][:, :2].tolist() == [[1.0, 12.5]]


def test_a_wrong_label_among_good_ones_takes_none(desk):
    """All or nothing."""
    first, second = (made["decision"] for made in decide(desk, [later(desk), later(desk)])[1])
    brought = [{"decision": first, "label": 1}, {"decision": second + 10_000, "label": 1}]
    assert desk.ask("POST", "/v1/outcomes", brought)[0] == 404
    assert desk.ask("POST", "/v1/outcomes", brought[:1])[1] == {"accepted": 1, "repeated": 0}


def book(desk, bids, asks):
    """Return a book of ETH that comes after all events before it."""
    when = later(desk)["ts_event_ns"]
    return {"kind": "book", "instrument": "ETH", "ts_event_ns": when, "bids": bids, "asks": asks}


def test_a_book_is_consumed_level_by_level(desk):
    """The best level stands on the tape as a quote does; levels that the desk has no room for are left out."""
    status, made, _ = decide(desk, book(desk, [[299.0, 2], [298.5, 5]], [[301.0, 3], [302.0, 1]]))
    assert (status, made["decision"], made["verdict"]) == (200, None, "NONE")
    record = TapeReader(desk.folder / "tape").read("inputs", 0, 10_000)[-1]
    assert record["kind"] == Kind.BOOK
    assert record["values"][:4].tolist() == [299.0, 301.0, 2.0, 3.0]
    assert np.isnan(record["values"][4:]).all()


@pytest.mark.parametrize(
    ("bids", "asks", "verdict"),
    [
        ([[302.0, 2]], [[301.0, 3]], "INPUT_CROSSED"),
        ([[-1.0, 2]], [[301.0, 3]], "INPUT_NOT_POSITIVE"),
        ([[299.0, -2]], [[301.0, 3]], "INPUT_NOT_POSITIVE"),
    ],
)
def test_a_book_that_cannot_be_is_not_believed(desk, bids, asks, verdict):
    """200, with the code; nothing is decided on it."""
    status, made, _ = decide(desk, book(desk, bids, asks))
    assert (status, made["decision"], made["verdict"]) == (200, None, verdict)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bids": [[1.0]]}, "$.bids[0]"),
        ({"asks": [["1", 2]]}, "$.asks[0][0]"),
        ({"bids": [[1.0, 1.0]] * 1_001}, "length <= 1000"),
        ({"levels": 2}, "unknown field `levels`"),
    ],
)
def test_a_book_of_another_shape_is_refused_by_name(desk, changes, words):
    """400, with the place."""
    status, told, _ = decide(desk, book(desk, [], []) | changes)
    assert status == 400
    assert words in told["error"]


def test_a_wide_desk_takes_as_many_levels_as_it_has_room_for():
    """Level after level, the best first; a side with fewer levels has no price and size 0 there."""
    config = SimpleNamespace(instruments=[SimpleNamespace(symbol="ETH")], width=13)
    inbox = Inbox(1, config.width)
    incoming = Incoming(SimpleNamespace(config=config, inbox=inbox), CLOCK)
    sent = BookEvent(instrument="ETH", bids=[(9.0, 1.0), (8.0, 2.0), (7.0, 3.0), (6.0, 4.0)], asks=[(10.0, 5.0)])
    incoming.take(sent)
    levels = inbox.records["values"][0].tolist()
    assert levels[:6] == [9.0, 10.0, 1.0, 5.0, 8.0, pytest.approx(math.nan, nan_ok=True)]
    assert levels[6:8] == [2.0, 0.0]
    assert (levels[8], levels[10], levels[11]) == (7.0, 3.0, 0.0)
    assert math.isnan(levels[12])


def test_a_mistyped_instrument_is_said_before_what_is_wrong_with_its_values():
    """A row for an instrument that the desk does not have: its fields are nobody's business."""
    config = SimpleNamespace(instruments=[SimpleNamespace(symbol="ETH")], width=13)
    incoming = Incoming(SimpleNamespace(config=config, inbox=Inbox(1, config.width)), CLOCK)
    with pytest.raises(RequestRefused, match=r"instrument 'EHT' is unknown \(near: 'ETH'\); allowed are ETH"):
        incoming.take(RowEvent(instrument="EHT", values={"no_such_field": 1.0}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "bra"}, "Invalid value 'bra'"),
        ({"instrument": "EHT"}, "near: 'ETH'"),
        ({"clsoe": 1}, "unknown field `clsoe`"),
        ({"close": "7"}, "Expected `float`, got `str` - at `$.close`"),
        ({"ts_event_ns": 1.5}, "Expected `int | null`"),
        ({"ts_event_ns": 2**63}, "at `$.ts_event_ns`"),
        ({"sequence": -(2**63) - 1}, "at `$.sequence`"),
    ],
)
def test_a_wrong_event_is_refused_by_name(desk, change, words):
    """400, with the field, what was found and what is allowed; nothing was consumed."""
    before = desk.desk.engine.counters.events
    status, told, _ = decide(desk, desk.event(1) | change)
    assert status == 400
    assert words in told["error"]
    assert desk.desk.engine.counters.events == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/decisions?limit=-1", "limit is '-1'"),
        ("/v1/decisions?after=x", "after is 'x'"),
        ("/v1/decisions?limit=99999999", "0 to 10000"),
        (f"/v1/decisions?after={'9' * 5_000}", "after is '999"),
        ("/v1/explain/nothing", "is no decision"),
        (f"/v1/explain/{'9' * 5_000}", "is no decision"),
        ("/v1/explain/%C2%B2", "is no decision"),
    ],
)
def test_a_wrong_query_is_refused_by_name(desk, path, words):
    """With what is allowed."""
    status, told, _ = desk.ask("GET", path)
    assert status in {400, 404}
    assert words in told["error"]


def test_findings_are_listed_and_followed(desk):
    """A follower gets what it does not have, then what is raised, each once, with its number."""
    desk.ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="found")
    desk.follow()
    _, listed, _ = desk.ask("GET", "/v1/findings")
    assert listed[-1]["finding"]["sentence"] == "z has moved."
    caller = desk.caller()
    bearer = {"Authorization": f"Bearer {desk.secret}", "Accept": "text/event-stream"}
    caller.request("GET", f"/v1/findings?after={listed[-1]['number'] - 1}", headers=bearer)
    stream = caller.getresponse()
    assert stream.getheader("content-type") == "text/event-stream"
    first = [stream.readline() for _ in range(5)]
    assert first[2] == f"id: {listed[-1]['number']}\n".encode()
    desk.ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="again")
    desk.follow()
    stream.readline()
    assert stream.readline() == f"id: {listed[-1]['number'] + 1}\n".encode()
    caller.close()


@pytest.mark.parametrize("last", ["9" * 5_000, "x", ""])
def test_a_last_event_that_is_no_number_is_passed_over(desk, last):
    """The follower gets what the query asks for."""
    caller = desk.caller()
    bearer = {"Authorization": f"Bearer {desk.secret}", "Accept": "text/event-stream", "Last-Event-ID": last}
    caller.request("GET", "/v1/findings", headers=bearer)
    assert caller.getresponse().getheader("content-type") == "text/event-stream"
    caller.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [("X_Deadline_Ns", "X-Deadline-Ns is not a whole number"), ("Inference_Header_Content_Length", "the body has")],
)
def test_a_number_of_thousands_of_digits_in_a_header_is_refused_by_its_name(desk, name, words):
    """Python itself reads no such number: it would be told as a mistake of ours."""
    status, told, _ = desk.ask("POST", f"{PATH}/infer", {"inputs": []}, **{name: "9" * 5_000})
    assert (status, words in told["error"]) == (400, True)


def socket_of(desk, secret=None):
    """Open the WebSocket."""
    host, port = desk.address
    bearer = {"Authorization": f"Bearer {secret or desk.secret}"}
    return connect(f"ws://{host}:{port}/v1/stream", additional_headers=bearer, compression=None)


def test_events_stream_in_and_decisions_out(desk):
    """Each message is answered in order; a wrong one is told, and the next is decided."""
    with socket_of(desk) as stream:
        stream.send(json.dumps(later(desk)))
        made = json.loads(stream.recv())
        assert on_tape(desk, made["decision"])["score"] == made["score"]
        stream.send("{")
        assert "cannot be read" in json.loads(stream.recv())["error"]
        for _ in range(20):
            stream.send(json.dumps([later(desk)]))
        assert [len(json.loads(stream.recv())) for _ in range(20)] == [1] * 20
        stream.ping().wait(10)


def test_a_message_is_refused_like_a_request_when_there_is_too_much_to_do(desk):
    """With when to try again; the next one, in another turn of the loop, is decided."""
    with socket_of(desk) as stream:
        port, opened = desk.port, desk.port.open_turn

        def late() -> int:
            now_ns = opened()
            port._turn_ns = now_ns - 3_600 * NS_PER_S
            return now_ns

        port.open_turn = late
        stream.send(json.dumps(later(desk)))
        assert json.loads(stream.recv()) == {"error": "too much to do; slow down and try again", "retry_after_s": 1.0}
        port.open_turn = opened
        stream.send(json.dumps(later(desk)))
        assert json.loads(stream.recv())["decision"]


def test_a_message_counts_against_the_keys_rate(desk):
    """One more than it may is refused with how long to wait, and the socket stays open."""
    secret = desk.key(["infer"], rate_per_s=0.001)
    desk.follow()
    with socket_of(desk, secret) as stream:  # asking for the socket took the only one
        stream.send(json.dumps(later(desk)))
        told = json.loads(stream.recv())
        assert "may make 0.001 a second" in told["error"]
        assert told["retry_after_s"] > 900
        stream.ping().wait(10)


def test_senseless_messages_are_told_as_probing():
    """As senseless requests are: by the name of the key, in a finding."""
    with served(door=DoorSettings(bad_requests_per_minute_max=5)) as desk:
        with socket_of(desk) as stream:
            for _ in range(7):
                stream.send("{")
                assert "cannot be read" in json.loads(stream.recv())["error"]
        desk.follow()
        told = [entry.fact.finding for entry in desk.ledger.facts(facts.FindingRaised)]
    assert any(found.kind == "security" and "senseless requests a minute" in found.sentence for found in told)


def test_a_refused_message_is_forgotten_without_a_collector(desk):
    """The refusal knows the message that it is about: were it its own cause, both would stay until a collector came."""

    def refusals() -> int:
        return sum(type(each) is RequestRefused for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = refusals()
        with socket_of(desk) as stream:
            for _ in range(5):
                stream.send("{")
                assert "cannot be read" in json.loads(stream.recv())["error"]
            stream.ping().wait(10)
            assert refusals() <= before
    finally:
        gc.enable()


def test_a_message_in_pieces_is_one_message(desk):
    """Fragments are put together."""
    text = json.dumps(later(desk))
    with socket_of(desk) as stream:
        stream.send(iter([text[:10], text[10:20], text[20:]]))
        assert json.loads(stream.recv())["decision"]


def test_an_oversize_message_closes_the_socket(desk):
    """1009, and others go on."""
    with socket_of(desk) as stream:
        stream.send("x" * (desk.port.settings.body_bytes_max + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            stream.recv(60)
        assert closed.value.rcvd.code == 1009
    assert decide(desk, later(desk))[0] == 200


def test_the_stream_route_needs_a_websocket(desk):
    """Asked plainly it says how."""
    status, told, _ = desk.ask("GET", "/v1/stream")
    assert status == 400
    assert "Upgrade: websocket" in told["error"]


def test_what_was_served_is_replayed_bit_for_bit():
    """Decisions, labels and stateless scores on one tape: replay makes the same decisions again."""
    with served() as desk:
        desk.warm()
        row = {"name": "row", "shape": [1, 5], "datatype": "FP64", "data": [0.0] * 5}
        for _ in range(20):
            decision = decide(desk, later(desk))[1]["decision"]
            desk.ask("POST", "/v1/outcomes", {"decision": decision, "label": 1})
            desk.ask("POST", "/v2/models/small%20desk/infer", {"inputs": [row]})
        folder, load = desk.folder / "tape", desk.desk.shelf.load
        desk.do(desk.look_up).result(30)
        found = replay(folder, load)
        assert found.identical
        assert found.decisions == 50
