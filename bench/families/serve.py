"""Serving: one row, one event a request, over HTTP on one worker, beside the floor of an echo and beside other servers.

Server and client have a core each; the client is `client.c`, a closed loop, compiled here. Every contender's figures
go to `bench/serve.json`.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clients import Client, is_realtime, post
from desks import engine_model
from harness import HERE, PEERS, Aim, Peer, Report, Setting, context, digits
from measure import median_of, ratio_of

AIMS = {
    "serve_infer_p50_ratio": Aim("times", "lower", 1.25),
    "serve_infer_per_s": Aim("requests/s", "higher", 40_000),
    "serve_decide_p50_ratio": Aim("times", "lower", 1.35),
    "serve_decide_per_s": Aim("requests/s", "higher", 25_000),
    "serve_fastapi_ratio": Aim("times", "higher", 6.0),
    "serve_mlserver_ratio": Aim("times", "higher", 13.0),
    "serve_swap_p999_ratio": Aim("times", "lower", 1.5),
    "serve_idle_p99_ratio": Aim("times", "lower", 2.0),
    "serve_cold_start_s": Aim("s", "lower", 2.0),
    "serve_peak_memory_mb": Aim("MB", "lower", 250.0),
}
OUT = HERE / "serve.json"
FEATURES, ROWS, IDLE, TOGETHER = 16, 512, 1_000, 32
OURS, ECHO, FASTAPI, MLSERVER = "tradeworthy", "echo", "FastAPI", "MLServer"
WAIT_S = 120.0
Answers = dict[str, float]


@dataclass
class Server:
    """A server at work.

    Attributes
    ----------
    start_s : float
        From its start to its first answer.
    requests : dict of str to Path
        Files of requests for the client, by what they ask.
    """

    process: "subprocess.Popen[str]"
    port: int
    start_s: float
    requests: dict[str, Path] = field(default_factory=dict)


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        client = Client.compiled()
        if client is None:
            return
        servers = _started(setting, folder, stack)
        taken = _in_turn(setting, client, servers)
        _rates(report, taken)
        _peers(report, setting, taken)
        _swaps(setting, report, client, servers[OURS])
        _idle(setting, report, client, servers[OURS])
        _write(setting, taken, servers)
        for server in servers.values():
            server.process.terminate()
            server.process.wait(30)
        _cold(setting, report, folder)


def _started(setting: Setting, folder: Path, stack: contextlib.ExitStack) -> dict[str, Server]:
    """Start every contender that is there."""
    servers = {
        ECHO: stack.enter_context(serving([sys.executable, str(HERE / "peers" / "echo_server.py")], folder)),
        OURS: stack.enter_context(ours(folder / "ours")),
    }
    plain = [post("/predict", {"features": row}) for row in rows()]
    v2 = [post("/v2/models/m/infer", v2_body(row)) for row in rows()]
    servers[ECHO].requests = {"infer": kept(folder / "echo.req", plain)}
    for name, asked in ((FASTAPI, plain), (MLSERVER, v2)):
        command, env = peer_command(name, folder)
        if setting.peers and command is not None:
            server = stack.enter_context(serving(command, folder, env=env, first=asked[0]))
            server.requests = {"infer": kept(folder / f"{name}.req", asked)}
            servers[name] = server
    return servers


@contextlib.contextmanager
def serving(
    command: Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None, first: bytes = b"", known: int = 0
) -> Iterator[Server]:
    """Start a server that prints its port, or that was told one in its environment, and wait for its first answer."""
    started = time.perf_counter_ns()
    env = {**os.environ, **(env or {})}
    log = (folder / "servers.log").open("a", encoding="utf-8")
    process = subprocess.Popen(list(command), env=env, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    as_we_are(process.pid)
    try:
        port = known or int(env.get("PORT", 0)) or int(_last_line(process))
        wait_for_answer(port, first or post("/", {}), process)
        yield Server(process, port, (time.perf_counter_ns() - started) / 1e9)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        log.close()


@contextlib.contextmanager
def ours(folder: Path, *more: str) -> Iterator[Server]:
    """Start the engine job behind our port."""
    folder.mkdir()
    command = [sys.executable, str(HERE / "serve_desk.py"), str(folder), *more]
    with serving(command, folder, first=b"GET /v2/health/ready HTTP/1.1\r\nhost: x\r\n\r\n") as server:
        secret = (folder / "secret").read_text(encoding="ascii")
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
    return {"inputs": [{"name": "row", "shape": [1, FEATURES], "datatype": "FP64", "data": row}]}


def kept(path: Path, requests: Sequence[bytes]) -> Path:
    """Write requests for the client."""
    path.write_bytes(b"".join(b"%d\n%s" % (len(request), request) for request in requests))
    return path


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def peer_command(name: str, folder: Path) -> tuple[list[str] | None, dict[str, str]]:
    """Return how to start a peer on a free port; None if it was not installed."""
    python = PEERS / name.lower() / "bin" / "python"
    port = free_port()
    env = {"PORT": str(port), "MODEL": str(engine_model()), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    if not python.exists():
        return None, env
    if name == FASTAPI:
        app = ["--app-dir", str(HERE / "peers"), "fastapi_app:app"]
        return [
            str(python),
            "-m",
            "uvicorn",
            *app,
            "--port",
            str(port),
            "--no-access-log",
            "--log-level",
            "warning",
        ], env
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings |= {"parallel_workers": 0, "debug": False}
    model = {"name": "m", "implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": env["MODEL"]}}
    (folder / "mlserver").mkdir()
    (folder / "mlserver" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "mlserver" / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return [str(python.with_name("mlserver")), "start", str(folder / "mlserver")], env


def _in_turn(setting: Setting, client: Client, servers: Mapping[str, Server]) -> dict[str, list[Answers]]:
    """Ask every contender in turn, alone and 32 at once; several times."""
    taken: dict[str, list[Answers]] = {}
    for _ in range(setting.repeats(12)):
        for name, server in servers.items():
            for what, requests in server.requests.items():
                for callers in (1, TOGETHER):
                    answers = client.ask(server.port, callers, 0.4 if setting.quick else 1.0, requests)
                    taken.setdefault(f"{name} {what} {callers}", []).append(answers)
    return taken


def _all(taken: Mapping[str, list[Answers]], name: str, figure: str) -> list[float]:
    return [answers[figure] for answers in taken[name]]


def _rates(report: Report, taken: Mapping[str, list[Answers]]) -> None:
    floor = _all(taken, f"{ECHO} infer 1", "p50")
    floor_rate = median_of(_all(taken, f"{ECHO} infer {TOGETHER}", "per_s")).value
    for what, job in (("infer", "one row of 16 features, 200 trees"), ("decide", "one bar through the whole path")):
        own = _all(taken, f"{OURS} {what} 1", "p50")
        note = f"{job}; median {median_of(own).value:.0f} us beside an echo's {median_of(floor).value:.0f} us, in turn"
        report.add(f"serve_{what}_p50_ratio", ratio_of(own, floor), floor=1.0, note=note)
        rate = median_of(_all(taken, f"{OURS} {what} {TOGETHER}", "per_s"))
        bad = sum(answers["bad"] for answers in taken[f"{OURS} {what} {TOGETHER}"])
        note = f"{job}; {TOGETHER} connections, one worker, {bad:.0f} failed; the client polls, never sleeps"
        report.add(f"serve_{what}_per_s", rate, floor=floor_rate, note=note)


def _peers(report: Report, setting: Setting, taken: Mapping[str, list[Answers]]) -> None:
    own = _all(taken, f"{OURS} infer {TOGETHER}", "per_s")
    for name in (FASTAPI, MLSERVER):
        figure = f"serve_{name.lower()}_ratio"
        if f"{name} infer {TOGETHER}" not in taken:
            wanted = "run `make bench-peers` first" if setting.peers else "without --peers"
            report.add(figure, None, note=f"{name} was not measured: {wanted}")
            continue
        theirs = _all(taken, f"{name} infer {TOGETHER}", "per_s")
        peer = Peer(name, version_of_peer(name), median_of(theirs).value)
        report.add(
            figure, ratio_of(own, theirs), peer=peer, note=f"requests a second, the same model, {TOGETHER} callers"
        )


def version_of_peer(name: str) -> str:
    """Return the version of an installed peer."""
    python = PEERS / name.lower() / "bin" / "python"
    code = f"import importlib.metadata as m; print(m.version({name.lower()!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def _swaps(setting: Setting, report: Report, client: Client, server: Server) -> None:
    """Ask while champions take turns, and while they do not."""
    still, swapped, bad = [], [], 0.0
    set_aside(client, server)
    for _ in range(setting.repeats(12)):
        for taken, word in ((still, signal.SIGUSR2), (swapped, signal.SIGUSR1)):
            server.process.send_signal(word)
            answers = client.ask(server.port, TOGETHER, 1.0, server.requests["infer"])
            taken.append(answers["p999"])
            bad += answers["bad"]
    server.process.send_signal(signal.SIGUSR2)
    note = f"p99.9 at {TOGETHER} connections, a swap every 50 ms against none, in turn; {bad:.0f} requests failed; "
    note += "versions get ready in a thread that may use any core"
    report.add("serve_swap_p999_ratio", ratio_of(swapped, still), note=note)


def set_aside(client: Client, server: Server) -> None:
    """Let the thread that stages versions use every core, in the ordinary class: nobody pins it but this bench."""
    server.process.send_signal(signal.SIGUSR1)
    client.ask(server.port, TOGETHER, 0.5, server.requests["infer"])
    server.process.send_signal(signal.SIGUSR2)
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        if int(task.name) != server.process.pid:
            os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(int(task.name), range(os.cpu_count() or 1))


def _idle(setting: Setting, report: Report, client: Client, server: Server) -> None:
    """Ask while a thousand others are connected and say nothing."""
    alone, crowded = [], []
    for _ in range(setting.repeats(12)):
        alone.append(client.ask(server.port, TOGETHER, 0.5, server.requests["infer"])["p99"])
        with contextlib.ExitStack() as stack:
            for _ in range(IDLE):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            crowded.append(client.ask(server.port, TOGETHER, 0.5, server.requests["infer"])["p99"])
    note = f"p99 at {TOGETHER} connections beside {IDLE:,} idle ones, against none"
    report.add("serve_idle_p99_ratio", ratio_of(crowded, alone), note=note)


def _cold(setting: Setting, report: Report, folder: Path) -> None:
    """Start the command line's own server on a trained project, until it is ready; and its peak memory."""
    from families.start import COMMAND, warmed  # noqa: PLC0415 - trains a project

    (folder / "warm").mkdir()
    kept_project, starts, peaks = warmed(folder / "warm"), [], []
    for turn in range(1 if setting.quick else 7):
        project, port = shutil.copytree(kept_project, folder / f"cold-{turn}"), free_port()
        command = [str(COMMAND), "serve", "--project", str(project), "--port", str(port), "--no-watch"]
        ready = b"GET /v2/health/ready HTTP/1.1\r\nhost: x\r\n\r\n"
        with serving(command, folder, first=ready, known=port) as server:
            starts.append(server.start_s)
            status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
            peaks.append(float(status.split("VmHWM:")[1].split()[0]) / 1024)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
    note = "`tradeworthy serve --no-watch`, process start to the first answer that it is ready"
    report.add("serve_cold_start_s", median_of(starts), note=note)
    report.add("serve_peak_memory_mb", median_of(peaks), note="resident, after that answer, the engine's process alone")


def _write(setting: Setting, taken: Mapping[str, list[Answers]], servers: Mapping[str, Server]) -> None:
    """Write every contender's figures, medians over the turns."""
    lines = [
        {"contender": name, **{key: digits(median_of(_all(taken, name, key)).value) for key in found[0]}}
        for name, found in taken.items()
    ]
    starts = {name: digits(server.start_s) for name, server in servers.items() if name != OURS}
    about = {"context": context(quick=setting.quick, realtime=is_realtime()), "start_s": starts}
    OUT.write_text(json.dumps({**about, "contenders": lines}, indent=1) + "\n", encoding="utf-8")
