"""FAULTS 11 and 12: `tradeworthy run` on a live market that is cut off or loses messages, and is killed itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import RecordBusy
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.time import NS_PER_S, SystemClock
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.testing.exchange.script import bars_news
from tradeworthy.testing.exchange.server import Exchange, serving
from tradeworthy.testing.projects import market_frame, write_project

FEED = """
[feed]
kind = "exchange"
url = "ws://127.0.0.1:{port}/stream"
snapshot_url = "http://127.0.0.1:{port}"
symbols = {{ ABC = "ABCUSDT" }}
channels = ["bar"]
period = "1s"
retry_s_min = 0.05
retry_s_max = 0.2
silence_s_max = 60.0
backfill_bars = {backfill}
"""
BARS = 900
WITHIN_S = 300.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with a champion that has never run."""
    folder = write_project(tmp_path_factory.mktemp("live") / "project")
    settings = folder / "tradeworthy.toml"
    text = settings.read_text("utf-8").replace("market_age_ms_max = 60_000.0", "market_age_ms_max = 3_600_000.0")
    settings.write_text(text, "utf-8")
    project = Project(folder)
    project.train()
    project.register(actor="ann")
    project.gate("newest", actor="ann")
    project.promote("newest", to="champion", actor="ann", reason="first")
    return folder


@pytest.fixture
def project(trained, tmp_path):
    """A copy of it."""
    folder = tmp_path / "project"
    return Path(shutil.copytree(trained, folder))


def live_bars():
    """Return bars of a second around now, whose returns follow one another as those learnt from do."""
    closes = market_frame(BARS, seed=7)["close"].to_list()
    return bars_news(
        "ABCUSDT", closes, start_ns=(time.time_ns() // NS_PER_S - BARS // 2) * NS_PER_S, period_ns=NS_PER_S
    )


def start(folder, port, *, backfill=0):
    settings = folder / "tradeworthy.toml"
    text = settings.read_text("utf-8").partition("\n[feed]")[0]
    settings.write_text(text + FEED.format(port=port, backfill=backfill), "utf-8")
    command = [sys.executable, "-m", "tradeworthy.apps.cli", "run", "--project", str(folder), "--no-watch", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def wait_for(said, running, *, seconds=WITHIN_S):
    """Wait until something holds, as long as the run goes on."""
    until = time.monotonic() + seconds
    while not said():
        assert running.poll() is None, running.communicate()[1].decode()[-2_000:]
        assert time.monotonic() < until, "it did not come in time"
        time.sleep(0.05)


def end(running):
    """Stop a run as a service manager does, and return its answer."""
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=WITHIN_S)
    assert running.returncode == 0, err.decode()[-2_000:]
    return json.loads(out)


def bars_on(folder):
    """Return how many bars the tape has."""
    tape = folder / "desk" / "tape"
    if not tape.is_dir() or "inputs" not in (reader := TapeReader(tape)).streams():
        return 0
    return int((reader.read("inputs")["kind"] == Kind.BAR).sum())


def check_record(folder):
    """Replay, verify, and look for orders where there may be none; return inputs and decisions."""
    project = Project(folder)
    replayed, verified = project.replay(), project.verify()
    assert replayed.identical, replayed.first_difference
    assert verified.ok
    reader = TapeReader(folder / "desk" / "tape")
    inputs, decisions, orders = (reader.read(stream) for stream in ("inputs", "decisions", "orders"))
    assert len(np.unique(orders["decision"])) == len(orders) > 0
    bars = inputs[(inputs["kind"] == Kind.BAR) & (inputs["flags"] == 0)]
    assert (np.diff(bars["ts_event_ns"]) > 0).all()
    for gap in inputs[(inputs["kind"] == Kind.GAP) & (inputs["values"][:, 0] == Gap.LOST)]:
        following = decisions[decisions["input_sequence"] > gap["sequence"]][:12]
        assert set(following["verdict"].tolist()) <= {DenialCode.FEATURES_WARMING, DenialCode.INPUT_JUMP}
        assert (following["quantity"] == 0).all()
    return inputs, decisions


def lost(inputs):
    """Return how many bars each gap says are missing."""
    gaps = inputs[(inputs["kind"] == Kind.GAP) & (inputs["values"][:, 0] == Gap.LOST)]
    return gaps["values"][:, 2].tolist()


def test_a_live_desk_trades_through_losses_and_cuts_and_replays(project):
    """Missing bars are told and warm the features anew; a cut that loses nothing costs nothing; no order in a gap."""
    faults = {150: "drop", 151: "drop", 300: "cut", 450: "half", 600: "malformed"}
    with serving(Exchange(live_bars(), pace_s=0.01, faults=faults)) as exchange:
        running = start(project, exchange.port)
        wait_for(lambda: exchange.said >= BARS, running)
        answer = end(running)
    inputs, decisions = check_record(project)
    assert lost(inputs)[0] == 2
    assert (inputs["values"][inputs["kind"] == Kind.GAP, 0] == Gap.CUT).sum() == 2
    assert answer["events"] == len(inputs[inputs["kind"] <= Kind.ROW]) + (inputs["kind"] == Kind.GAP).sum()
    assert answer["orders"] > 0
    assert exchange.connections >= 3
    assert (decisions["verdict"] == DenialCode.NONE).sum() > 100
    figures = json.loads((project / "desk" / "feed" / "figures.json").read_bytes())
    assert figures["cuts"] >= 2
    assert figures["unreadable"] == 1
    assert "tradeworthy_feed_lag_seconds " in (project / "desk" / "feed" / "metrics.prom").read_text("utf-8")


def test_an_exchange_that_is_cut_off_killed_and_restarted_leaves_the_record_whole(project):
    """What was acknowledged is there, the engine goes on with the exchange's next life, no order is doubled."""
    news = live_bars()
    with serving(Exchange(news[:400], pace_s=0.01)) as first:
        running, port = start(project, first.port), first.port
        wait_for(lambda: bars_on(project) >= 300, running)
    before = bars_on(project)
    with serving(Exchange(news[500:], pace_s=0.01), port):
        wait_for(lambda: bars_on(project) >= before + 200, running)
        end(running)
    inputs, _ = check_record(project)
    assert len(lost(inputs)) == 1
    assert lost(inputs)[0] >= 100


@pytest.mark.parametrize("backfill", [0, 500])
def test_a_killed_desk_comes_back_tells_what_it_missed_and_fences_the_old_one(project, backfill):
    """After kill -9 every recorded bar is there once; what is missing is told or asked for; two engines never run."""
    with serving(Exchange(live_bars(), pace_s=0.02, waits=True)) as exchange:  # no bar is later than now
        running = start(project, exchange.port, backfill=backfill)
        wait_for(lambda: bars_on(project) >= 150, running)
        with pytest.raises(RecordBusy):
            TapeWriter.open(project / "desk" / "tape", clock=SystemClock())
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        kept = bars_on(project)
        running = start(project, exchange.port, backfill=backfill)
        wait_for(lambda: bars_on(project) >= kept + 100, running)
        end(running)
    inputs, decisions = check_record(project)
    if backfill:
        assert lost(inputs) == []
        bars = inputs[inputs["kind"] == Kind.BAR]
        after = decisions[decisions["input_sequence"] > bars["sequence"][kept]]
        assert DenialCode.FEATURES_WARMING not in after["verdict"]
    else:
        assert len(lost(inputs)) == 1
        assert lost(inputs)[0] > 0


def test_a_desk_that_the_exchange_refuses_says_so(project):
    """A wrong symbol ends the run with the exchange's words and where to look."""
    with serving(Exchange(live_bars(), refuses=True)) as exchange:
        running = start(project, exchange.port)
        _, said = running.communicate(timeout=WITHIN_S)
    assert running.returncode != 0
    assert b"Invalid request" in said
    assert b"[feed] symbols" in said
