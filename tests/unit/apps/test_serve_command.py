"""`tradeworthy serve` and `run --port`: whole processes that answer, end when told to, leave a record that holds."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time

import pytest
from command_words import tell
from small_project import at

from tradeworthy.apps.commands.access import create_key
from tradeworthy.testing.projects import BAR_NS, START_NS

ROW = {"inputs": [{"name": "row", "shape": [1, 3], "datatype": "FP64", "data": [0.01, 0.001, 0.02]}]}


@pytest.fixture
def project(tmp_path):
    """A project with a champion, and a key."""
    made = at("promoted", tmp_path)
    made.secret = create_key(made, "ann", ["infer", "explain"], actor="ops", reason="test").secret
    return made


@contextlib.contextmanager
def started(project, *words: str):
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "tradeworthy.apps.cli", words[0], "--project", str(project.folder), *words[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(address, secret, method, path, body=None):
    """Send one request; return status and body."""
    host, _, port = address.rpartition("/")[2].partition(":")
    caller = http.client.HTTPConnection(host, int(port), timeout=60)
    data = None if body is None else json.dumps(body).encode()
    caller.request(method, path, data, {"Authorization": f"Bearer {secret}"})
    reply = caller.getresponse()
    told = json.loads(reply.read())
    caller.close()
    return reply.status, told


def event(bar):
    """Return a bar that follows the market file."""
    price = 300.0 + bar % 5
    prices = {"open": price, "high": price + 1, "low": price - 1, "close": price, "volume": 1.0}
    return {"kind": "bar", "instrument": "ABC", "ts_event_ns": START_NS + (4_000 + bar) * BAR_NS, **prices}


def test_a_served_project(project, capsys):
    """Health, scores, decisions, reasons; SIGTERM ends it with its summary; the record verifies and replays."""
    with started(project, "serve", "--port", "0", "--no-watch", "--json") as process:
        (address,) = json.loads(process.stdout.readline())["listening"]
        assert ask(address, "", "GET", "/v2/health/ready") == (200, {"ready": True})
        assert ask(address, project.secret, "POST", "/v2/models/small/infer", ROW)[0] == 200
        status, made = ask(address, project.secret, "POST", "/v1/decide", [event(bar) for bar in range(30)])
        assert status == 200
        assert [each["verdict"] for each in made[:2]] == ["FEATURES_WARMING"] * 2
        assert made[-1]["score"] is not None
        status, why = ask(address, project.secret, "GET", f"/v1/explain/{made[-1]['decision']}")
        assert (status, why["score"]) == (200, made[-1]["score"])
        process.send_signal(signal.SIGTERM)
        out, problems = process.communicate(timeout=60)
        assert (process.returncode, problems) == (0, "")
        assert json.loads(out)["decisions"] == 30
    assert project.verify().ok
    assert project.replay().identical
    assert tell(capsys, "verify", "--project", project.folder)[0] == 0


def test_a_run_with_a_port_beside_its_feed(project):
    """While the files are traded, rows are scored and decisions listed in the same loop."""
    with started(project, "run", "--port", "0", "--no-watch", "--json", "--speed", "200") as process:
        line = next(line for line in process.stderr if "listening on" in line)
        address = line.split("listening on ")[1].strip()
        assert ask(address, project.secret, "POST", "/v2/models/small/infer", ROW)[0] == 200
        for _ in range(600):
            _, page = ask(address, project.secret, "GET", "/v1/decisions?limit=5")
            if len(page["decisions"]) == 5:
                break
            time.sleep(0.05)
        assert len(page["decisions"]) == 5
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert project.verify().ok


def test_without_a_champion_nothing_is_served(tmp_path, capsys):
    """One line says what to do first."""
    code, _, problem = tell(capsys, "serve", "--project", at("gated", tmp_path).folder)
    assert code == 2
    assert "promote newest --to champion" in problem


def test_an_address_that_is_taken_is_told(project, capsys):
    """One line, exit code 2, and the tape is closed."""
    with started(project, "serve", "--port", "0", "--no-watch", "--json") as process:
        (address,) = json.loads(process.stdout.readline())["listening"]
        other = at("promoted", project.folder.parent / "other")
        code, _, problem = tell(
            capsys, "serve", "--project", other.folder, "--port", address.rpartition(":")[2], "--no-watch"
        )
    assert code == 2
    assert "address already in use" in problem.lower()


def test_a_server_imports_what_it_needs_and_no_more():
    """Libraries that read files, train or draw are another process's; each would cost memory and a slower start."""
    heavy = ("polars", "pandas", "pyarrow", "duckdb", "sklearn", "lightgbm", "xgboost", "onnxruntime", "litestar")
    code = f"import sys, tradeworthy.apps.server.serving; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
