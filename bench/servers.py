"""Servers at work for the serving figures: how they are started, on which core, and what is asked of them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clients import is_realtime, post
from harness import HERE

FEATURES, ROWS = 16, 512
READY = b"GET /v2/health/ready HTTP/1.1\r\nhost: x\r\n\r\n"
WAIT_S = 120.0


@dataclass
class Server:
    """A server at work.

    Attributes
    ----------
    start_s : float
        From its start to its first answer.
    requests : dict of str to Path
        Files of requests for the client, by what they ask.
    secret : str
        Of a key that may do everything; of ours only.
    """

    process: "subprocess.Popen[str]"
    port: int
    start_s: float
    requests: dict[str, Path] = field(default_factory=dict)
    secret: str = ""


@contextlib.contextmanager
def serving(
    command: Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None, first: bytes = b"", known: int = 0
) -> Iterator[Server]:
    """Start a server that prints its port, or that was told one in its environment, and wait for its first answer."""
    started = time.perf_counter_ns()
    env = {**os.environ, **(env or {})}
    log = (folder / "servers.log").open("a", encoding="utf-8")
    told = known or int(env.get("PORT", 0))
    process = subprocess.Popen(  # noqa: S603 - a session of its own: what it starts ends with it
        list(command),
        env=env,
        stdout=log if told else subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    as_we_are(process.pid)
    try:
        port = told or int(_last_line(process))
        wait_for_answer(port, first or post("/", {}), process)
        yield Server(process, port, (time.perf_counter_ns() - started) / 1e9)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


@contextlib.contextmanager
def ours(folder: Path, *more: str) -> Iterator[Server]:
    """Start the engine job behind our port."""
    folder.mkdir()
    command = [sys.executable, str(HERE / "serve_desk.py"), str(folder), *more]
    with serving(command, folder, first=READY) as server:
        secret = server.secret = (folder / "secret").read_text(encoding="ascii")
        infer = [post("/v2/models/bench/infer", v2_body(row), secret) for row in rows()]
        server.requests = {
            "infer": kept(folder / "infer.req", infer),
            "decide": kept(folder / "decide.req", [post("/v1/decide", event, secret) for event in bars()]),
        }
        yield server


def _last_line(process: "subprocess.Popen[str]") -> str:
    """Return the line in which a server says its port."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line.strip().isdigit():
        raise RuntimeError(f"{process.args} said {line!r} instead of its port")
    return line


def as_we_are(pid: int) -> None:
    """Give a process that we started our own scheduling: a child does not inherit the real-time class."""
    if is_realtime():
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def wait_for_answer(port: int, request: bytes, process: "subprocess.Popen[str]") -> None:
    """Ask until a server answers 200."""
    until = time.perf_counter_ns() + WAIT_S * 1e9
    while time.perf_counter_ns() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as caller:
            caller.sendall(request)
            if caller.recv(4_096).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args} did not answer within {WAIT_S:g} s")


def rows() -> list[list[float]]:
    """Return the rows that everybody scores."""
    found: list[list[float]] = np.random.default_rng(7).normal(0.0, 0.01, (ROWS, FEATURES)).tolist()
    return found


def bars() -> list[dict[str, Any]]:
    """Return bars of a walk and back, so that it can be walked for ever; times are those of their arrival."""
    close = 300.0 * np.exp(np.cumsum(np.random.default_rng(8).normal(0.0, 0.002, ROWS)))
    there = np.concatenate([close, close[::-1]]).tolist()
    opened = [there[-1], *there[:-1]]
    return [
        {"kind": "bar", "instrument": "ETH", "open": o, "high": max(o, c), "low": min(o, c), "close": c, "volume": 10.0}
        for o, c in zip(opened, there, strict=True)
    ]


def v2_body(row: list[float]) -> dict[str, Any]:
    """Return a row as the Open Inference Protocol asks it."""
    return {"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


def plain_requests() -> list[bytes]:
    """Return the rows in the form of who has no protocol."""
    return [post("/predict", {"features": row}) for row in rows()]


def kept(path: Path, requests: Sequence[bytes]) -> Path:
    """Write requests for the client."""
    path.write_bytes(b"".join(b"%d\n%s" % (len(request), request) for request in requests))
    return path


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
