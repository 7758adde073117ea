"""The deployment that `init` makes, its own monitors watching, and a receiver of alerts: how late each alert is.

Idea:   real prices after the training part, with every setting as `init` writes it; the champion's monitors are
        calibrated before it trades, as those of any champion but a desk's first are.
Time:   the delay is the alert's own: from the last look at the tape that left nothing unread, when its record was not
        there yet, to the moment it was handed to the receiver. So a part of it is the pause between two looks.
"""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.starting import init_project
from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.change.watch.monitors import CALIBRATIONS, MonitorMaker
from tradeworthy.change.watch.watcher import READY
from tradeworthy.core.decisions import version_number

RATE = 2_000.0
"""Events a second while it trades: a day of two markets in a twentieth of a second."""

SETTINGS = """
[[alert]]
to = "webhook"
url = "http://127.0.0.1:{port}/"
secret_file = "secret"
severity_min = "info"
"""


class Alerts(NamedTuple):
    """The delay of every alert about the market, in the order told, and which monitors watched."""

    delays_s: list[float]
    monitors: list[str]


def alert_delays(folder: Path) -> Alerts:
    """Trade a deployment as `init` makes it, and return how late its alerts were."""
    project = folder / "desk"
    init_project(project)
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
        monitors = _calibrated(desk)
        run_files(desk, pace=_once_watched(desk))
    found = [alert["delay_ns"] for alert in received if alert["finding"]["kind"] != "storage"]
    return Alerts([delay_ns / 1e9 for delay_ns in found if delay_ns is not None], monitors)


def _calibrated(desk: Project) -> list[str]:
    """Calibrate the champion's monitors where the watcher looks for them; return their names."""
    settings = desk.settings
    maker = MonitorMaker(desk.registry, desk.places.watcher / CALIBRATIONS, settings.instrument, settings.monitor)
    return list(maker.make(version_number(desk.resolve("champion"))))


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
