"""`tradeworthy serve --workers`: rows scored by several processes at one address, recorded by one, swapped in all."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_words import tell
from small_project import at
from test_two_versions import second

from tradeworthy.apps.commands.access import create_key
from tradeworthy.apps.commands.project import Project
from tradeworthy.core import facts
from tradeworthy.record.reader import TapeReader

WITHIN_S = 120.0
WORKER = "tradeworthy.apps.server.worker"
INFER = "/v2/models/small/infer"


def rows(count=1):
    """Return a request of so many rows."""
    data = [0.01, 0.001, 0.02] * count
    return {"inputs": [{"name": "row", "shape": [count, 3], "datatype": "FP64", "data": data}]}


def until(condition):
    """Wait for a condition, and return what it gave."""
    end = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def caller_of(address):
    """Return a connection; nothing is sent yet."""
    host, _, port = address.rpartition("/")[2].partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=WITHIN_S)


def ask(caller, secret, path=INFER, body=None):
    """Send one request over a connection; return status and body."""
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
    caller.request(method, path, data, {"Authorization": f"Bearer {secret}"})
    reply = caller.getresponse()
    return reply.status, reply.read()


def ask_anew(address, secret, path=INFER, body=None):
    """Send one request over a connection of its own."""
    with contextlib.closing(caller_of(address)) as caller:
        return ask(caller, secret, path, body)


@contextlib.contextmanager
def serving(folder):
    """Serve a project with two workers in processes of their own; give the addresses, and end it properly."""
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "serve", "--project", str(folder), "--no-watch", "--json"]
    command += ["--port", "0", "--rows-port", "0", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        engine, shared = json.loads(process.stdout.readline())["listening"]
        yield SimpleNamespace(process=process, engine=engine, shared=shared)
    finally:
        process.kill()
        process.communicate()


def workers_of(process):
    """Return the process ids of the workers."""
    found = []
    for listed in Path(f"/proc/{process.pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [pid for pid in listed.read_text().split() if WORKER in Path(f"/proc/{pid}/cmdline").read_text()]
    return sorted(int(pid) for pid in found)


def ended(pid):
    """Tell whether a process is gone, or only waits to be looked at."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Return a project at work with two workers, two versions and a key."""
    project = at("promoted", tmp_path_factory.mktemp("workers"))
    champion, other = project.resolve("champion"), second(project)
    secret = create_key(project, "ann", ["infer", "explain"], actor="ops", reason="test").secret
    with (project.folder / "tradeworthy.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[serve]\nwait_ms_max = 60_000.0\n")  # a busy machine is no overload
        settings.write("[serve.door]\nfailures_per_address_max = 100_000\n")  # nor is waiting for a new key a guess
    with serving(project.folder) as served:
        yield SimpleNamespace(project=project, champion=champion, other=other, secret=secret, **vars(served))


def figure(desk, name, worker):
    """Return a figure that the engine's port tells of a worker."""
    text = ask_anew(desk.engine, desk.secret, "/metrics")[1].decode()
    start = f'tradeworthy_{name}{{worker="{worker}"'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def all_listen(desk):
    """Tell whether both workers listen."""
    return all(figure(desk, "port_worker_ready", worker) == 1.0 for worker in (1, 2))


def test_connections_reach_every_worker(desk):
    """Sixty-four connections at one address are answered by two processes, which the engine's port counts."""
    until(lambda: all_listen(desk))
    before = [figure(desk, "port_worker_requests_total", worker) for worker in (1, 2)]
    assert {ask_anew(desk.shared, desk.secret, body=rows())[0] for _ in range(64)} == {200}
    until(lambda: all(figure(desk, "port_worker_requests_total", n + 1) > before[n] for n in range(2)))


def test_workers_score_rows_and_do_nothing_else(desk):
    """What decides, or steers, is at the engine's address; the answer says so."""
    status, told = ask_anew(desk.shared, desk.secret, "/v1/decide", {"kind": "bar"})
    assert (status, b"the engine's own address" in told) == (404, True)
    assert ask_anew(desk.shared, desk.secret, "/v2/repository/models/small/load", {})[0] == 404
    assert ask_anew(desk.shared, "", "/v2/health/ready")[0] == 200
    assert ask_anew(desk.shared, "", "/v2/models/small")[0] == 401
    assert ask_anew(desk.engine, desk.secret, body=rows())[0] == 200


def is_answered(caller, secret):
    """Tell whether a connection still answers."""
    try:
        return ask(caller, secret, body=rows())[0] == 200
    except (http.client.HTTPException, OSError):
        return False


def test_a_worker_that_is_killed_is_told_and_started_again(desk):
    """Whoever asks the others is answered meanwhile; then there are two again, and a finding says what happened."""
    until(lambda: all_listen(desk) and len(workers_of(desk.process)) == 2)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(contextlib.closing(caller_of(desk.shared))) for _ in range(32)]
        assert {ask(caller, desk.secret, body=rows())[0] for caller in callers} == {200}
        victim = workers_of(desk.process)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: ended(victim))
        answered = sum(is_answered(caller, desk.secret) for caller in callers)
    assert 0 < answered < 32
    assert {ask_anew(desk.shared, desk.secret, body=rows())[0] for _ in range(16)} == {200}
    until(lambda: len(workers_of(desk.process)) == 2 and all_listen(desk))
    raised = [entry.fact.finding for entry in desk.project.ledger.facts(facts.FindingRaised)]
    told = [finding.sentence for finding in raised if finding.kind == "serving"]
    assert any("ended with code -9 and is started again" in sentence for sentence in told)


def keep_asking(desk, stop, seen):
    """Ask over one connection until told to stop; keep what the answers say, one after the other."""
    with contextlib.closing(caller_of(desk.shared)) as caller:
        while not stop.is_set():
            status, body = ask(caller, desk.secret, body=rows())
            seen.append((status, json.loads(body).get("model_version") if status == 200 else body))


def test_a_swap_and_a_rollback_reach_every_worker_without_a_failed_request(desk):
    """Eight callers ask without a pause: each is answered by the old version, then the new one, then the old one."""
    until(lambda: all_listen(desk))
    stop, seen = threading.Event(), [[] for _ in range(8)]
    callers = [threading.Thread(target=keep_asking, args=(desk, stop, each)) for each in seen]
    for caller in callers:
        caller.start()
    try:
        until(lambda: all(seen))
        desk.project.promote(desk.other, to="champion", actor="ada", reason="swap")
        until(lambda: all(each[-1] == (200, desk.other[:16]) for each in seen))
        desk.project.rollback(actor="ada", reason="back")
        until(lambda: all(each[-1] == (200, desk.champion[:16]) for each in seen))
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    for each in seen:
        order = [answer for place, answer in enumerate(each) if place == 0 or answer != each[place - 1]]
        assert order == [(200, desk.champion[:16]), (200, desk.other[:16]), (200, desk.champion[:16])]


def test_a_budget_holds_for_all_of_them_together(desk):
    """What a key used at one worker is missing at the other."""
    secret = create_key(desk.project, "bob", ["infer"], rows_per_day=8, actor="ops", reason="test").secret
    until(lambda: ask_anew(desk.shared, secret, "/v2")[0] == 200)
    until(lambda: ask_anew(desk.shared, secret, body=rows(8))[0] in {200, 429})
    until(lambda: {ask_anew(desk.shared, secret, body=rows())[0] for _ in range(24)} == {429})


def test_what_workers_scored_is_on_the_one_tape(tmp_path, capsys):
    """After a proper end every answered row is recorded, the record verifies, and scoring again gives every bit."""
    project = at("promoted", tmp_path)
    secret = create_key(project, "ann", ["infer"], actor="ops", reason="test").secret
    with serving(project.folder) as served:
        for count in range(1, 41):
            assert ask_anew(served.shared, secret, body=rows(count))[0] == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(WITHIN_S) == 0
    recorded = TapeReader(project.places.tape).read(f"scores-{project.resolve('champion')[:16]}")
    assert len(recorded) == sum(range(1, 41))
    assert project.verify().ok
    code, told, _ = tell(capsys, "rescore", "--project", project.folder, "--json")
    assert code == 0, told


def test_workers_end_with_the_engine(tmp_path):
    """Nobody scores what nobody records: an engine that is killed takes its workers along."""
    project = at("promoted", tmp_path)
    with serving(project.folder) as served:
        pids = workers_of(served.process)
        assert len(pids) == 2
        served.process.kill()
        until(lambda: all(ended(pid) for pid in pids))
    assert Project(project.folder).verify().ok


def test_an_address_that_is_taken_is_told(tmp_path, capsys):
    """One line, exit code 2: two desks at one address would answer each other's callers."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        words = ("--port", "0", "--workers", "1", "--rows-port", other.getsockname()[1], "--no-watch")
        code, _, problem = tell(capsys, "serve", "--project", at("promoted", tmp_path).folder, *words)
    assert code == 2
    assert "address already in use" in problem.lower()
