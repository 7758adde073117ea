"""FAULTS 1: every process of a deployment is killed by SIGKILL in turn under load; nothing acknowledged is lost.

The page goes, and a training; the watcher goes, and the server ends by itself, since nobody would watch; then the
server goes. After each the deployment is started again and takes up where it was.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from small_project import at

from tradeworthy.apps.commands.access import create_key
from tradeworthy.core import facts
from tradeworthy.core.events import Kind
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.projects import BAR_NS, START_NS

WITHIN_S = 120


class Deployment:
    """The processes of one project, started as people start them."""

    def __init__(self, project) -> None:
        self.project, self.running = project, {}
        self.address = ""

    def start(self, name, *words: str):
        """Start a command and return its process."""
        command = [sys.executable, "-m", "tradeworthy.apps.cli", *words, "--project", str(self.project.folder)]
        self.running[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self.running[name]

    def serve(self):
        """Start the server, and let the callers know where it is."""
        process = self.start("server", "serve", "--port", "0", "--json")
        (self.address,) = json.loads(process.stdout.readline())["listening"]
        return process

    def page(self):
        """Start the page, and return its address."""
        return self.start("page", "page", "--port", "0", "--json").stdout.readline().strip()

    def kill(self, name):
        """Kill a process with SIGKILL, and return its process."""
        process = self.running.pop(name)
        process.kill()
        process.communicate()
        return process

    def companion(self, module):
        """Return the process that the server has started for a module."""
        server = self.running["server"].pid
        for child in Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split():
            if module in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
                return int(child)
        raise AssertionError(f"the server has started no {module}")

    def end(self):
        """Kill what is left."""
        for name in [*self.running]:
            self.kill(name)


class Callers(threading.Thread):
    """One caller that sends bar after bar, whatever happens to the server, and remembers what was acknowledged."""

    def __init__(self, deployment, secret) -> None:
        super().__init__()
        self.deployment, self.secret, self.made = deployment, secret, {}
        self.enough = threading.Event()

    def run(self):
        """Ask until it is enough; a bar that was not acknowledged is sent again."""
        bar = 0
        while not self.enough.is_set():
            told = None
            with suppress(OSError, http.client.HTTPException):
                told = ask(self.deployment.address, self.secret, "/v1/decide", bar_of(bar))
            if told is None:
                self.enough.wait(0.05)
                continue
            self.made[bar] = told
            bar += 1

    def go_on(self, count=20):
        """Wait until so many more bars were acknowledged."""
        wanted = len(self.made) + count
        for _ in range(WITHIN_S * 20):
            if len(self.made) >= wanted:
                return
            self.enough.wait(0.05)
        raise AssertionError(f"{len(self.made)} bars were acknowledged, {wanted} were to be")


def ask(address, secret, path, body):
    """Send one request, and return its answer if it was heard."""
    host, _, port = address.rpartition("/")[2].partition(":")
    caller = http.client.HTTPConnection(host, int(port), timeout=30)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        caller.request("POST", path, json.dumps(body).encode(), headers)
        reply = caller.getresponse()
        told = reply.read()
        return json.loads(told) if reply.status == 200 else None
    finally:
        caller.close()


def bar_of(place):
    """Return a bar that follows the market file."""
    price = 300.0 + np.sin(place / 3.0).item()
    prices = {"open": price, "high": price + 1, "low": price - 1, "close": price, "volume": 1.0}
    return {"kind": "bar", "instrument": "ABC", "ts_event_ns": START_NS + (4_000 + place) * BAR_NS, **prices}


def steps(deployment, address, secret, words):
    """Take a step by the page's interface for each word, and return those that were acknowledged."""
    body = {"share": 1.0}
    return [word for word in words if ask(address, secret, "/api/v1/size", body | {"reason": word}) is not None]


@pytest.fixture
def deployment(tmp_path):
    """A project with a champion, nothing started."""
    made = Deployment(at("promoted", tmp_path))
    yield made
    made.end()


def killed_in_turn(deployment, callers, secret):
    """Kill each process once while callers ask; return the steps that the page acknowledged."""
    acknowledged = steps(deployment, deployment.page(), secret, ["one", "two", "three"])
    deployment.kill("page")
    callers.go_on()
    trainer = deployment.start("trainer", "train", "--json")
    callers.go_on(5)
    deployment.kill("trainer")
    assert trainer.returncode == -signal.SIGKILL
    callers.go_on()
    acknowledged += steps(deployment, deployment.page(), secret, ["four", "five"])
    os.kill(deployment.companion("watch.watcher"), signal.SIGKILL)
    server = deployment.running.pop("server")
    _, problems = server.communicate(timeout=WITHIN_S)
    assert server.returncode != 0
    assert "the watcher ended" in problems
    deployment.serve()
    callers.go_on()
    deployment.kill("server")
    deployment.serve()
    callers.go_on()
    return acknowledged


def test_every_process_is_killed_in_turn_under_load(deployment):
    """What was acknowledged is on the record, once: decisions, steps, findings; it verifies, and replays."""
    project = deployment.project
    port, risk = (create_key(project, "ops", [scope], actor="t", reason="t").secret for scope in ("infer", "risk"))
    deployment.serve()
    callers = Callers(deployment, port)
    callers.start()
    try:
        callers.go_on()
        acknowledged = killed_in_turn(deployment, callers, risk)
    finally:
        callers.enough.set()
        callers.join()
    server = deployment.running.pop("server")
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=WITHIN_S)
    assert server.returncode == 0

    reader = TapeReader(project.places.tape)
    for bar, told in callers.made.items():
        if told["decision"] is not None:
            record = reader.find("decisions", told["decision"])
            assert record["ts_event_ns"] == bar_of(bar)["ts_event_ns"]
            assert told["score"] == (None if np.isnan(record["score"]) else record["score"])
    inputs = reader.read("inputs", 0, 1_000_000)
    times = inputs[(inputs["kind"] == Kind.BAR) & (inputs["flags"] == 0)]["ts_event_ns"]
    assert np.array_equal(times, [bar_of(bar)["ts_event_ns"] for bar in range(len(times))])
    assert len(times) >= len(callers.made) > 100

    assert acknowledged == ["one", "two", "three", "four", "five"]
    reasons = [entry.reason.partition(" (by key")[0] for entry in project.ledger.facts(facts.SizeChanged)]
    assert reasons == acknowledged
    found = [entry.fact.finding for entry in project.ledger.facts(facts.FindingRaised)]
    raised = Counter((each.monitor, each.subject, each.kind, each.sequence) for each in found)
    assert [cause for cause, count in raised.items() if count > 1] == []
    for entry in project.ledger.facts(facts.VersionRegistered):
        assert project.registry.load(entry.fact.version).digest == entry.fact.version
    assert project.verify().ok
    assert project.replay().identical
