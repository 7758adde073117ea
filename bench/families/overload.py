"""Overload: what callers who ask too much, too slowly or badly cost the others, and what more workers bring.

Server and client have a core each. Ours is one process with its usual limits; where admission control is to act, a
request may wait 5 ms. The figure of workers uses both cores.
"""

import contextlib
import gzip
import http.client
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
from clients import Client, Others, post
from harness import Aim, Report, Setting, unpin
from measure import Estimate, median_of, ratio_of
from servers import READY, Server, free_port, kept, ours, rows, serving, v2_body, wait_for_answer

from families.start import COMMAND, warmed
from tradeworthy.apps.commands.project import Project
from tradeworthy.change.access.keys import issue

AIMS = {
    "overload_p99_ms": Aim("ms", "lower", 50.0),
    "overload_share": Aim("share", "higher", 0.8),
    "overload_admitted_p99_ms": Aim("ms", "lower", 25.0),
    "hostile_memory_growth_mb": Aim("MB", "lower", 16.0),
    "hostile_p99_ratio": Aim("times", "lower", 2.0),
    "idle_p99_ratio": Aim("times", "lower", 2.0),
    "brute_force_p99_ratio": Aim("times", "lower", 2.0),
    "workers_infer_per_s": Aim("requests/s", "higher", 60_000),
}
TOGETHER, MANY, WAIT_MS, IDLE, SLOW = 32, 1_024, 5.0, 1_000, 100
BODY_BYTES_MAX = 1_048_576
ELSEWHERE = "127.0.0.2"
GUESSERS = 4


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    client = Client.compiled()
    if client is None:
        return
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        with ours(folder / "ours") as server, ours(folder / "tight", "--wait-ms-max", str(WAIT_MS)) as tight:
            _overload(setting, report, client, server, tight)
        with ours(folder / "alone") as server:
            _idle(setting, report, client, server)
            _brute_force(setting, report, client, server)
            _hostile(setting, report, client, server)
        _workers(setting, report, client, folder)


def _overload(setting: Setting, report: Report, client: Client, usual: Server, tight: Server) -> None:
    """Ask twice as much as can be answered, whether it is answered or not."""
    found: dict[str, list[dict[str, float]]] = {"usual": [], "tight": []}
    for _ in range(setting.repeats(12)):
        for name, server in (("usual", usual), ("tight", tight)):
            requests = server.requests["infer"]
            capacity = client.ask(server.port, TOGETHER, 0.5, requests)["per_s"]
            answers = client.ask(server.port, MANY, 1.0, requests, rate=2 * capacity)
            found[name].append(answers | {"share": answers["per_s"] / capacity})

    def middle(name: str, figure: str) -> float:
        return median_of([answers[figure] for answers in found[name]]).value

    asked = f"open loop at twice what {TOGETHER} callers get, {MANY:,} connections"
    note = f"{asked}, usual limits: a request waits in its connection; from when it was due to its 200"
    report.add("overload_p99_ms", median_of([answers["p99"] / 1e3 for answers in found["usual"]]), note=note)
    report.add("overload_share", median_of([answers["share"] for answers in found["usual"]]), note="of that capacity")
    note = (
        f"{asked}, `wait_ms_max = {WAIT_MS:g}`; {middle('tight', 'share'):.0%} of the capacity is answered 200; "
        f"the 503 beside have a p99 of {middle('tight', 'bad_p99') / 1e3:.1f} ms"
    )
    report.add("overload_admitted_p99_ms", median_of([answers["p99"] / 1e3 for answers in found["tight"]]), note=note)


def _beside(
    setting: Setting,
    client: Client,
    server: Server,
    *,
    others: Others | None = None,
    trouble: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> tuple[Estimate, float]:
    """Return the p99 of healthy callers beside others, or trouble, over that without; and the others' answers a second.

    They take turns.
    """
    requests, alone, beside = server.requests["infer"], [], []
    for _ in range(setting.repeats(12)):
        alone.append(client.ask(server.port, TOGETHER, 0.5, requests))
        with trouble():
            beside.append(client.ask(server.port, TOGETHER, 0.5, requests, beside=others))
    ratio = ratio_of([each["p99"] for each in beside], [each["p99"] for each in alone])
    return ratio, median_of([each["bad"] / 0.5 for each in beside]).value


def _idle(setting: Setting, report: Report, client: Client, server: Server) -> None:
    """Ask while a thousand others are connected and say nothing, and a hundred say one byte at a time."""

    @contextlib.contextmanager
    def crowd() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            place = ("127.0.0.1", server.port)
            callers = [stack.enter_context(socket.create_connection(place, 10)) for _ in range(IDLE + SLOW)]
            slow = callers[:SLOW]
            for caller in slow:
                caller.sendall(b"POST /v1/decide HTTP/1.1\r\n")
            stack.enter_context(_again_and_again(lambda: [caller.sendall(b"x") for caller in slow], 0.1))
            yield

    ratio, _ = _beside(setting, client, server, trouble=crowd)
    note = (
        f"p99 at {TOGETHER} connections beside {IDLE:,} idle ones and {SLOW} that send a byte every 0.1 s, against none"
    )
    report.add("idle_p99_ratio", ratio, note=note)


def _brute_force(setting: Setting, report: Report, client: Client, server: Server) -> None:
    """Ask while others, from another address, guess secrets."""
    guesses = [post("/v2/models/bench/infer", v2_body(row), f"tw_{at:08x}_guess") for at, row in enumerate(rows())]
    path = kept(server.requests["infer"].with_name("guess.req"), guesses)
    ratio, guessed = _beside(setting, client, server, others=Others(GUESSERS, path, ELSEWHERE))
    note = (
        f"p99 at {TOGETHER} connections beside {GUESSERS} that guess secrets as fast as they are refused: "
        f"{guessed:,.0f} a second, 401 and, from the fiftieth on, 429"
    )
    report.add("brute_force_p99_ratio", ratio, note=note)


def _hostile(setting: Setting, report: Report, client: Client, server: Server) -> None:
    """Send bodies that are too large, too deep or packed bombs beside healthy callers, and watch the memory."""
    bodies = hostile_requests(server.secret)
    path = kept(server.requests["infer"].with_name("hostile.req"), bodies)
    other = sum(not b"400" <= _status_of(server.port, request) < b"500" for request in bodies)
    before_mb = resident_mb(server.process.pid)
    ratio, sent = _beside(setting, client, server, others=Others(1, path, ELSEWHERE))
    grown = resident_mb(server.process.pid) - before_mb
    bodies_said = f"bodies over the limit, 100,000 deep, a bomb of 1 GB, no UTF-8; {other} of the four not answered 4xx"
    report.add("hostile_memory_growth_mb", max(0.0, grown), note=bodies_said)
    note = f"p99 at {TOGETHER} connections beside one caller who sends {sent:,.0f} of them a second, against none"
    report.add("hostile_p99_ratio", ratio, note=note)


def hostile_requests(secret: str) -> list[bytes]:
    """Return requests that must cost little: a body over the limit, a deep one, a bomb, bytes that are no text."""
    path = "/v2/models/bench/infer"
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
    bomb = gzip.compress(bytes(1 << 30), 1)[: BODY_BYTES_MAX - 1]
    deep = b"[" * 100_000
    return [
        f"{head}content-length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode() + b"x" * 65_536,
        f"{head}content-length: {len(deep)}\r\n\r\n".encode() + deep,
        f"{head}content-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode() + bomb,
        f"{head}content-length: 4\r\n\r\n".encode() + b"\xff\xfe\xfd\xfc",
    ]


def _status_of(port: int, request: bytes) -> bytes:
    """Return the status of a request's answer; empty where none came."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as caller:
        with contextlib.suppress(OSError):
            caller.sendall(request)
        return caller.recv(4_096)[9:12]
    return b""


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return float(status.split("VmRSS:")[1].split()[0]) / 1024


@contextlib.contextmanager
def _again_and_again(do: Callable[[], object], pause_s: float) -> Iterator[None]:
    """Do something in another thread, again and again, until the block ends."""
    over = threading.Event()

    def work() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                do()
                over.wait(pause_s)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _workers(setting: Setting, report: Report, client: Client, folder: Path) -> None:
    """Score rows on one process, and on two workers, of the command line's own server."""
    unpin()
    project, secret = _project(folder)
    one, two = [], []
    with _command(project, secret, folder, 0) as alone, _command(project, secret, folder, 2) as workers:
        for _ in range(setting.repeats(12)):
            for found, server in ((one, alone), (two, workers)):
                found.append(client.ask(server.port, TOGETHER, 1.0, server.requests["infer"])["per_s"])
    note = (
        f"`serve --workers 2`, {TOGETHER} connections, {ratio_of(two, one).value:.2f} times one process; the client "
        "polls on one of the two cores, so that two workers have little more than one core between them"
    )
    report.add("workers_infer_per_s", median_of(two), note=note)


def _project(folder: Path) -> tuple[Path, str]:
    """Return a project with a champion, and the secret of a key that may ask it for scores."""
    (folder / "warm").mkdir()
    place = shutil.copytree(warmed(folder / "warm"), folder / "project")
    project = Project(place)
    told = {"actor": "bench", "reason": "bench", "now_ns": project.clock.now_ns()}
    secret, _ = issue(project.ledger, owner="bench", scopes=["infer"], entropy=bytes(32), **told)  # type: ignore[arg-type]
    return place, secret


@contextlib.contextmanager
def _command(project: Path, secret: str, folder: Path, workers: int) -> Iterator[Server]:
    """Start the command line's server on a copy of a project, and wait until its rows are scored."""
    copy = shutil.copytree(project, folder / f"project-{workers}")
    port, rows_port = free_port(), free_port()
    more = ["--workers", str(workers), "--rows-port", str(rows_port)] if workers else []
    command = [str(COMMAND), "serve", "--project", str(copy), "--port", str(port), "--no-watch", *more]
    with serving(command, folder, first=READY, known=port) as server:
        name = Project(copy).settings.desk.name
        columns = _columns(port, name, secret)
        path, values = f"/v2/models/{quote(name)}/infer", np.random.default_rng(7).normal(0.0, 0.01, (64, columns))
        asked = [post(path, v2_body(row), secret) for row in values.tolist()]
        server.port = rows_port if workers else port
        wait_for_answer(server.port, asked[0], server.process)
        server.requests = {"infer": kept(folder / f"workers-{workers}.req", asked)}
        yield server


def _columns(port: int, name: str, secret: str) -> int:
    """Return how many features a model's rows have."""
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    caller.request("GET", f"/v2/models/{quote(name)}", headers={"Authorization": f"Bearer {secret}"})
    columns: int = json.loads(caller.getresponse().read())["inputs"][0]["shape"][1]
    caller.close()
    return columns
