"""Serving: one row, one event a request, over HTTP on one worker, beside the floor of an echo and beside other servers.

Server and client have a core each; the client is `client.c`, compiled here. Every contender's figures go to
`bench/serve.json`. "Awake" is our server with ``[serve] awake_us``, which the echo has not: it sleeps between requests.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clients import Client, is_realtime
from harness import HERE, Aim, Peer, Report, Setting, context, digits
from measure import median_of, ratio_of
from server_peers import SERVER_PEERS, PeerServer, requests_of
from servers import READY, Server, free_port, kept, ours, plain_requests, serving

AIMS = {
    "serve_infer_p50_ratio": Aim("times", "lower", 1.25),
    "serve_infer_per_s": Aim("requests/s", "higher", 40_000),
    "serve_decide_p50_ratio": Aim("times", "lower", 1.35),
    "serve_awake_infer_p50_ratio": Aim("times", "lower", 1.25),
    "serve_awake_decide_p50_ratio": Aim("times", "lower", 1.35),
    "serve_decide_per_s": Aim("requests/s", "higher", 25_000),
    "serve_fastapi_ratio": Aim("times", "higher", 6.0),
    "serve_mlserver_ratio": Aim("times", "higher", 13.0),
    "serve_bentoml_ratio": Aim("times", "higher", 6.0),
    "serve_litserve_ratio": Aim("times", "higher", 6.0),
    "serve_mlflow_ratio": Aim("times", "higher", 6.0),
    "serve_ray_ratio": Aim("times", "higher", 6.0),
    "serve_swap_p999_ratio": Aim("times", "lower", 1.5),
    "serve_cold_start_s": Aim("s", "lower", 2.0),
    "serve_peak_memory_mb": Aim("MB", "lower", 250.0),
}
OUT = HERE / "serve.json"
TOGETHER, AWAKE_US = 32, 100
OURS, AWAKE, ECHO = "tradeworthy", "tradeworthy awake", "echo"
Answers = dict[str, float]


def run(setting: Setting, report: Report) -> None:
    """Measure the family."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        client = Client.compiled()
        if client is None:
            return
        servers = _started(folder, stack)
        taken = _in_turn(setting, client, servers)
        _rates(report, taken)
        taken |= _peers(setting, report, client, servers[OURS], folder)
        _swaps(setting, report, client, servers[OURS])
        _write(setting, taken)
        for server in servers.values():
            server.process.terminate()
            server.process.wait(30)
        _cold(setting, report, folder)


def _started(folder: Path, stack: contextlib.ExitStack) -> dict[str, Server]:
    """Start the floor, and ours as it is and awake."""
    servers = {
        ECHO: stack.enter_context(serving([sys.executable, str(HERE / "peers" / "echo_server.py")], folder)),
        OURS: stack.enter_context(ours(folder / "ours")),
        AWAKE: stack.enter_context(ours(folder / "awake", "--awake-us", str(AWAKE_US))),
    }
    servers[ECHO].requests = {"infer": kept(folder / "echo.req", plain_requests())}
    return servers


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
        awake = _all(taken, f"{AWAKE} {what} 1", "p50")
        note = f"median {median_of(awake).value:.0f} us with `awake_us = {AWAKE_US}`; the echo sleeps between requests"
        report.add(f"serve_awake_{what}_p50_ratio", ratio_of(awake, floor), floor=1.0, note=note)
        rate = median_of(_all(taken, f"{OURS} {what} {TOGETHER}", "per_s"))
        bad = sum(answers["bad"] for answers in taken[f"{OURS} {what} {TOGETHER}"])
        note = f"{job}; {TOGETHER} connections, one worker, {bad:.0f} failed; the client polls, never sleeps"
        report.add(f"serve_{what}_per_s", rate, floor=floor_rate, note=note)


def _peers(setting: Setting, report: Report, client: Client, own: Server, folder: Path) -> dict[str, list[Answers]]:
    """Start one peer after the other, and ask it in turn with ours; one that fails is not measured."""
    found: dict[str, list[Answers]] = {}
    for peer in SERVER_PEERS:
        if not (setting.peers and peer.is_there):
            wanted = "run `make bench-peers` first" if setting.peers else "without --peers"
            report.add(peer.figure, None, note=f"{peer.name} was not measured: {wanted}")
            continue
        try:
            taken = _beside(setting, client, own, peer, folder)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as problem:
            report.add(peer.figure, None, note=f"failed: {problem}")
            continue
        ours_per_s, per_s = (_all(taken, f"{name} infer {TOGETHER}", "per_s") for name in (OURS, peer.name))
        bad = sum(_all(taken, f"{peer.name} infer {TOGETHER}", "bad"))
        note = f"requests a second, the same model, {TOGETHER} callers; all of a server's processes on one core"
        note += f"; {bad:.0f} of theirs failed" if bad else ""
        other = Peer(peer.name, peer.version, median_of(per_s).value)
        report.add(peer.figure, ratio_of(ours_per_s, per_s), peer=other, note=note)
        found |= {name: each for name, each in taken.items() if name.startswith(peer.name)}
    return found


def _beside(setting: Setting, client: Client, own: Server, peer: PeerServer, folder: Path) -> dict[str, list[Answers]]:
    """Start a peer and ask it in turn with ours."""
    command, env = peer.start(folder)
    asked = requests_of(peer)
    with serving(command, folder, env=env, first=asked[0]) as theirs:
        theirs.requests = {"infer": kept(folder / f"{peer.package}.req", asked)}
        both = {OURS: replace(own, requests={"infer": own.requests["infer"]}), peer.name: theirs}
        return _in_turn(setting, client, both)


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


def _cold(setting: Setting, report: Report, folder: Path) -> None:
    """Start the command line's own server on a trained project, until it is ready; and its peak memory."""
    from families.start import COMMAND, warmed  # noqa: PLC0415 - trains a project

    (folder / "warm").mkdir()
    kept_project, starts, peaks = warmed(folder / "warm"), [], []
    for turn in range(1 if setting.quick else 7):
        project, port = shutil.copytree(kept_project, folder / f"cold-{turn}"), free_port()
        command = [str(COMMAND), "serve", "--project", str(project), "--port", str(port), "--no-watch"]
        with serving(command, folder, first=READY, known=port) as server:
            starts.append(server.start_s)
            status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
            peaks.append(float(status.split("VmHWM:")[1].split()[0]) / 1024)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
    note = "`tradeworthy serve --no-watch`, process start to the first answer that it is ready"
    report.add("serve_cold_start_s", median_of(starts), note=note)
    report.add("serve_peak_memory_mb", median_of(peaks), note="resident, after that answer, the engine's process alone")


def _write(setting: Setting, taken: Mapping[str, list[Answers]]) -> None:
    """Write every contender's figures, medians over the turns."""
    lines = [
        {"contender": name, **{key: digits(median_of(_all(taken, name, key)).value) for key in found[0]}}
        for name, found in taken.items()
    ]
    about = {"context": context(quick=setting.quick, realtime=is_realtime())}
    OUT.write_text(json.dumps({**about, "contenders": lines}, indent=1) + "\n", encoding="utf-8")
