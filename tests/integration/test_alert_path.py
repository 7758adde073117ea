"""From a market that changes to a person who is told, while the desk trades: engine, watcher and receiver."""

import asyncio
import hmac
import http.server
import json
import threading
from contextlib import contextmanager

import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.change.alerts.sinks import SIGNATURE, TIMESTAMP
from tradeworthy.change.watch.watcher import READY
from tradeworthy.core import facts
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.projects import market_frame, wilder, write_project

BARS, TURN = 3_000, 2_100
SECRET = b"known to both sides"
PATIENCE_S = 240.0
"""How long is waited for what must come; a machine may be busy."""

SETTINGS = """
[[alert]]
to = "webhook"
name = "desk"
url = "http://127.0.0.1:{port}/alerts"
secret_file = "secret"
severity_min = "info"

[monitor]
off = ["drift", "range", "reasons", "performance", "estimated", "reliability", "class_balance", "fairness"]

[monitor.trading]
drawdown_value = 300.0

[policy]
retrain_on = []
"""


@contextmanager
def receiver():
    """Run an HTTP server that keeps what it is sent; gives its port and the list."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def told(tmp_path):
    """Trade a market that becomes wild; return the desk, what the receiver got, and how much of it before the end."""
    folder = write_project(tmp_path / "desk", bars=BARS)
    wilder(market_frame(BARS), TURN, 5.0).write_csv(folder / "ABC.csv")
    with receiver() as (port, received):
        settings = (folder / "tradeworthy.toml").read_text("utf-8") + SETTINGS.format(port=port)
        (folder / "tradeworthy.toml").write_text(settings, "utf-8")
        (folder / "secret").write_bytes(SECRET)
        (folder / "secret").chmod(0o600)
        desk = Project(folder)
        desk.train()
        desk.register(name="small", actor="ada")
        assert desk.gate(actor="ada").passed
        desk.promote("newest", to="champion", actor="ada", reason="first")
        before_end = trade(desk, received)
        yield desk, list(received), before_end


def trade(desk, received):
    """Trade at a pace that waits for the watcher, then for an alert before the end; return how many had come."""
    counts, pace = [], {"now": 0.0}

    async def follow(running) -> None:
        end = len(running.feed)
        for wanted, speed in ((desk_is_watched, 400.0), (lambda: running.feed.position >= end - 50, 0.0)):
            await until(wanted)
            pace["now"] = speed
        await until(lambda: received)
        counts.append(len(received))
        pace["now"] = 400.0

    def desk_is_watched() -> bool:
        return (desk.places.watcher / READY).exists()

    run_files(desk, pace=lambda: pace["now"], alongside=follow)
    return counts[0]


async def until(holds):
    """Wait for a condition, long enough for a busy machine."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "what was waited for did not come"
        await asyncio.sleep(0.01)


def test_an_alert_comes_while_the_engine_trades(told):
    """Told in the order of the ledger, signed, with the event's time, what changed, and how late it is."""
    desk, received, before_end = told
    assert before_end >= 1
    alerts = [json.loads(body) for _, body in received]
    raised = {entry.number: entry.fact.finding for entry in desk.ledger.facts(facts.FindingRaised)}
    assert [alert["entry"] for alert in alerts] == sorted(alert["entry"] for alert in alerts)
    market = TapeReader(desk.places.tape).read("inputs")["ts_event_ns"]
    for headers, body in received:
        alert = json.loads(body)
        finding = raised[alert["entry"]]
        assert alert["finding"]["sentence"] == finding.sentence
        assert alert["ts_event_ns"] == finding.ts_event_ns
        assert market[0] <= finding.since_ns <= finding.ts_event_ns <= market[-1]
        assert alert["ts_raised_ns"] <= alert["ts_emit_ns"]
        assert alert["delay_ns"] is None or alert["delay_ns"] >= alert["ts_emit_ns"] - alert["ts_raised_ns"]
        assert signed(headers, body)
    falls = [raised[alert["entry"]] for alert in alerts if raised[alert["entry"]].subject == "drawdown"]
    assert [fall.severity for fall in falls] == ["info", "warning", "critical"]
    assert [falls[0].observed >= 150.0, falls[1].observed >= 225.0, falls[2].observed >= 300.0] == [True] * 3
    assert [fall.ts_event_ns for fall in falls] == sorted(fall.ts_event_ns for fall in falls)


def signed(headers, body):
    """Whether the request carries the signature that the secret gives."""
    made = hmac.new(SECRET, headers[TIMESTAMP].encode() + b"." + body, "sha256").hexdigest()
    return headers[SIGNATURE] == f"sha256={made}"
