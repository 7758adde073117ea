"""The port under attack and under load: bombs, slow callers, guessed keys, swaps while 32 callers ask."""

import asyncio
import gzip
import json
import resource
import threading
import zlib
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from served import PATH, served

from tradeworthy.change.access.keys import revoke
from tradeworthy.core import facts
from tradeworthy.record.reader import TapeReader

ROW = [0.001, 0.0002, 0.004, 0.5, -0.001]
BODY = json.dumps({"inputs": [{"name": "row", "shape": [1, 5], "datatype": "FP64", "data": ROW}]}).encode()
CALLERS, SWAPS, ROLLBACKS = 32, 100, 20
SLOW = b"POST /v2/x HTTP/1.1\r\nhost: x\r\nx: "


def head(desk, path, *more: str, method="POST"):
    """Return a request's head."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {desk.secret}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def is_alive(desk):
    """Tell whether a healthy caller is answered."""
    return desk.ask("POST", f"{PATH}/infer", BODY)[0] == 200


BOMB = zlib.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    ("more", "body"),
    [
        (["content-encoding: deflate"], BOMB),
        (["content-encoding: gzip"], gzip.compress(BOMB, mtime=0)),
        ([], b"[" * 900_000),
        ([], b'{"inputs":[' + b'{"a":' * 150_000),
        ([], b'{"id":"' + b"\xff\xfe" * 100_000 + b'"}'),
        ([], b'{"inputs":[' + b'{"name":"row","shape":[1,5],"datatype":"FP64","data":[0]},' * 10_000),
        (["content-length: 99999999999"], b""),
    ],
    ids=["deflate bomb", "gzip in gzip", "deep list", "deep object", "no UTF-8", "many inputs", "announced huge"],
)
@pytest.mark.parametrize("path", [f"{PATH}/infer", "/v1/decide", "/v1/outcomes"])
def test_fault_14_no_body_costs_more_than_its_limit(desk, path, more, body):
    """Oversize, deep, broken, bombs: 4xx each time, memory stays where it was, others are answered."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    length = [] if more and more[0].startswith("content-length") else [f"content-length: {len(body)}"]
    for _ in range(5):
        with desk.raw() as caller:
            caller.sendall(head(desk, path, *more, *length))
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent
                caller.sendall(body)
            answer = caller.recv(65_536)
        assert answer[9:10] == b"4", answer[:100]
    assert is_alive(desk)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000


@pytest.fixture(scope="module")
def desk():
    """A served desk."""
    with served() as made:
        yield made


def test_fault_15_slow_callers_are_closed_and_idle_ones_cost_nothing():
    """A thousand idle sockets and fifty that send a byte now and then: healthy ones are answered, slow ones closed."""
    allow_many_files()
    with served(connections_max=1_200, request_s_max=1.0, idle_s_max=3.0) as desk, ExitStack() as stack:
        idle = [stack.enter_context(desk.raw(timeout=60)) for _ in range(1_000)]
        slow = [stack.enter_context(desk.raw()) for _ in range(50)]
        closed: set[int] = set()
        for step in range(60_000):  # until the port has closed them all; how many steps that takes is the machine's
            for place, caller in enumerate(slow):
                try:
                    caller.sendall(SLOW[step : step + 1] or b"a")
                except (BrokenPipeError, ConnectionResetError):
                    closed.add(place)
            assert is_alive(desk)
            if len(closed) == len(slow):
                break
        assert len(closed) == 50
        assert [caller.recv(10) for caller in idle] == [b""] * 1_000  # closed by the port, without a word
        assert is_alive(desk)
        assert len(desk.port.connections) < 5


def allow_many_files():
    """Raise this process's limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8_192 if hard == resource.RLIM_INFINITY else min(8_192, hard)
    if wanted < 4_096:
        pytest.skip(f"the system allows {hard} open files, this needs 4,096")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_fault_15_a_caller_who_does_not_read_is_not_waited_for():
    """Answers that nobody takes pile up in the system's buffers, then in ours to a limit; others are answered."""
    with served() as desk:
        request = head(desk, f"{PATH}/infer", f"content-length: {len(BODY)}") + BODY
        deaf = desk.raw(timeout=1)
        with pytest.raises(TimeoutError):
            deaf.sendall(request * 100_000)
        assert is_alive(desk)
        deaf.close()
        assert is_alive(desk)


def test_fault_16_credentials(desk):
    """Wrong ones are limited and locked out, a dead one is recorded; each is a finding, none opens anything."""
    good = desk.key(["infer"])
    dead = desk.key(["infer"])
    revoke(desk.ledger, dead.split("_")[1], actor="ops", reason="left")
    desk.follow()
    inside = desk.caller()
    assert desk.ask("POST", f"{PATH}/infer", BODY, secret=good, connection=inside)[0] == 200
    assert desk.ask("POST", f"{PATH}/infer", BODY, secret=dead)[0] == 401
    rng = np.random.default_rng(5)
    guesses = [f"tw_{rng.integers(1 << 32):08x}_{rng.bytes(32).hex()[:43]}" for _ in range(80)]
    statuses = [desk.ask("POST", f"{PATH}/infer", BODY, secret=guess)[0] for guess in guesses]
    assert statuses == [401] * 50 + [429] * 30
    assert desk.ask("POST", f"{PATH}/infer", BODY, secret=good)[0] == 429  # from there nobody new enters
    assert desk.ask("POST", f"{PATH}/infer", BODY, secret=good, connection=inside)[0] == 200
    inside.close()
    desk.follow()
    told = [entry.fact.finding for entry in desk.ledger.facts(facts.FindingRaised)]
    assert {finding.subject.partition(":")[0] for finding in told} == {"dead key", "brute force"}
    assert all(finding.kind == "security" for finding in told)
    desk.port.keeper._failures.clear()


async def ask_for_ever(desk, number, stop, seen):
    """Ask again and again on one connection; keep what was answered."""
    reader, writer = await asyncio.open_connection(*desk.address)
    infer = head(desk, f"{PATH}/infer", f"content-length: {len(BODY)}") + BODY
    bars = [json.dumps({k: v for k, v in desk.event(n).items() if k != "ts_event_ns"}).encode() for n in range(40, 60)]
    while not stop.is_set():
        if number % 2:
            body = bars[len(seen) % len(bars)]
            writer.write(head(desk, "/v1/decide", f"content-length: {len(body)}") + body)
        else:
            writer.write(infer)
        told = await reader.readuntil(b"\r\n\r\n")
        length = int(told.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.append((number % 2, told[9:12], json.loads(await reader.readexactly(length))))
    writer.close()


async def ask_together(desk, stop, seen):
    """Ask from 32 connections at once."""
    await asyncio.gather(*(ask_for_ever(desk, number, stop, seen) for number in range(CALLERS)))


def wait_for_champion(desk, number):
    """Wait until a version decides."""
    for _ in range(3_000):
        if desk.desk.engine.desk.acting.number == number:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"version {number:016x} was not let in: {desk.desk.engine.summary().refused_versions}")


def swap_and_roll_back(desk):
    """Make every version champion in turn, 100 times, and go back to the one before 20 times."""
    numbers = desk.desk.numbers
    for turn in range(1, SWAPS + 1):
        before = desk.desk.engine.desk.acting.number
        desk.desk.control.set_champion(numbers[turn % len(numbers)])
        wait_for_champion(desk, numbers[turn % len(numbers)])
        if turn % (SWAPS // ROLLBACKS) == 0:
            desk.desk.control.set_champion(before)
            wait_for_champion(desk, before)


def test_fault_17_swaps_and_rollbacks_under_load():
    """100 swaps and 20 roll backs at 32 connections: none failed, none mixes versions, every decision is recorded."""
    with served(versions=4, wait_ms_max=60_000.0) as desk:  # callers and port share one interpreter here
        desk.warm()
        stop, seen = threading.Event(), []
        asking = threading.Thread(target=lambda: asyncio.run(ask_together(desk, stop, seen)))
        asking.start()
        try:
            swap_and_roll_back(desk)
        finally:
            stop.set()
            asking.join(60)
        desk.do(desk.look_up).result(30)
        assert [told for _, status, told in seen if status != b"200"] == []
        assert len(desk.desk.engine.swaps) == SWAPS + ROLLBACKS
        check_scores(desk, [told for kind, _, told in seen if kind == 0])
        check_decisions(desk, [told for kind, _, told in seen if kind == 1])


def check_scores(desk, told):
    """Each score is the one that its version gives."""
    versions = {f"{number:016x}": version for number, version in desk.desk.shelf.versions.items()}
    wanted = {name: float(version.predictor.one(np.array(ROW))[0]) for name, version in versions.items()}
    assert len(set(wanted.values())) == 4
    found = {(each["model_version"], each["outputs"][0]["data"][0]) for each in told}
    assert found == set(wanted.items())


def check_decisions(desk, told):
    """Each answer is on the tape once, by one version, with the score that this version gives for its row."""
    reader = TapeReader(desk.folder / "tape")
    recorded = {int(record["sequence"]): record for record in reader.read("decisions")}
    names = [each["decision"] for each in told]
    assert len(set(names)) == len(names)
    for each in told:
        record = recorded[each["decision"]]
        assert (each["version"], each["score"]) == (f"{record['version']:016x}", record["score"])
    assert len(names) > SWAPS
    for number, version in desk.desk.shelf.versions.items():
        rows = reader.read(f"rows-{number:016x}")
        scores = [recorded[int(name)]["score"] for name in rows["decision"]]
        assert version.predictor.many(np.ascontiguousarray(rows["row"]))[:, 0].tolist() == scores
