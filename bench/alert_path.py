"""A desk whose market becomes wild, with a watcher of its own and a receiver of alerts: how late each alert is.

Time:   the delay is the alert's own: from the last look at the tape that left nothing unread, when its record was not
        there yet, to the moment it was handed to the receiver. So a part of it is the pause between two looks.
"""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.change.watch.watcher import READY
from tradeworthy.testing.projects import market_frame, wilder, write_project

BARS, TURN = 3_000, 2_000
RATE = 60.0
"""Bars a second while it trades."""

SETTINGS = """
[[alert]]
to = "webhook"
url = "http://127.0.0.1:{port}/"
secret_file = "secret"
severity_min = "info"

[monitor]
off = ["reasons", "performance", "estimated", "reliability", "class_balance", "fairness"]

[monitor.trading]
drawdown_value = 300.0

[monitor.drift]
quiet_rows = 30

[monitor.drift.charts]
runs = 20
run_length = 2000

[policy]
retrain_on = []
"""


def alert_delays_s(folder: Path) -> list[float]:
    """Return the delay of every alert about the market, in the order told."""
    project = write_project(folder / "desk", bars=BARS)
    wilder(market_frame(BARS), TURN, 5.0).write_csv(project / "ABC.csv")
    (project / "secret").write_bytes(b"of this bench alone")
    (project / "secret").chmod(0o600)
    with _receiver() as (port, received):
        settings = (project / "tradeworthy.toml").read_text("utf-8") + SETTINGS.format(port=port)
        (project / "tradeworthy.toml").write_text(settings, "utf-8")
        desk = Project(project)
        desk.train()
        desk.register(name="bench", actor="bench")
        desk.gate(actor="bench")
        desk.promote("newest", to="champion", actor="bench", reason="a benchmark")
        run_files(desk, pace=_once_watched(desk))
    found = [alert["delay_ns"] for alert in received if alert["finding"]["kind"] != "storage"]
    return [delay_ns / 1e9 for delay_ns in found if delay_ns is not None]


def _once_watched(desk: Project) -> Callable[[], float]:
    """Return a pace that waits for the watcher, and then goes on as a market does."""
    ready = desk.places.watcher / READY
    return lambda: RATE if ready.exists() else 0.0


@contextmanager
def _receiver() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Run an HTTP server that keeps the alerts it is sent; give its port and the list."""
    received: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
