"""Receivers of alerts on this machine: an HTTP server, a mail server, and sinks that misbehave."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tradeworthy.change.alerts.alert import Alert, AlertFailed, Desk
from tradeworthy.change.watch.findings import cases_of

DESK = Desk("eth", "paper")


def alert_of(fact, *, number=1, now_ns=5_000_000_000, origin_ns=2_000_000_000):
    """Return an alert about one finding."""
    from change_facts import Line  # noqa: PLC0415

    case = cases_of([Line(number, 3_000_000_000, "watcher", fact)]).of(number)
    return Alert.of(case, DESK, entry=number, ts_origin_ns=origin_ns, now_ns=now_ns)


@dataclass
class Received:
    """What a server was sent; `answers` are used up, then the last one stays."""

    answers: list = field(default_factory=lambda: [200])
    requests: list = field(default_factory=list)
    port: int = 0

    def answer(self):
        """Return the next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(server, received) -> Iterator[Received]:
    """Run a server in a thread around a block."""
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def webhook(*answers: int | None):
    """Run an HTTP server that gives these answers; None hangs up without one."""
    received = Received(list(answers) or [200])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.path, dict(self.headers), body))
            answer = received.answer()
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer)
            self.send_header("Location", f"http://127.0.0.1:{received.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler), received)


def mail_server(*answers: str):
    """Run a mail server that gives these answers to each message's data."""
    received = Received(list(answers) or ["250 taken"])

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            for raw in self.rfile:
                word = raw.decode().strip()
                match word[:4].upper():
                    case "DATA":
                        self.say("354 go on")
                        received.requests.append(self.message())
                        self.say(received.answer())
                    case "RCPT" if "nobody" in word:
                        self.say("550 no such person")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 ok")

        def message(self) -> bytes:
            parts = []
            while (line := self.rfile.readline()) != b".\r\n":
                parts.append(line)
            return b"".join(parts)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    return serving(Server(("127.0.0.1", 0), Handler), received)


class Scripted:
    """A sink that fails as it is told, then keeps what it is sent."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures, self.sent, self.attempts = list(failures), [], 0

    def send(self, alert):
        """Fail, or keep the alert."""
        self.attempts += 1
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
        self.sent.append(alert)


class Dead:
    """A sink that never takes anything."""

    def send(self, alert):
        """Fail."""
        del alert
        raise AlertFailed("nobody there")
