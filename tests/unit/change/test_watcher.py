"""The watcher process: killed and started again, it tells each finding once."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from threading import Event

import msgspec
import numpy as np
import pytest
from change_desk import Recorder, desk, market
from change_facts import ended, started
from change_watching import watch_job

from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.change.watch.watcher import BACKLOG, Watcher, WatchJob
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import SystemClock


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def start(home):
    """Start a watcher process."""
    path = home.folder / "job.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(watch_job(home), parent=os.getpid())))
    return subprocess.Popen([sys.executable, "-m", "tradeworthy.change.watch.watcher", str(path)])


def findings(home):
    """Return all findings in the ledger."""
    return [entry.fact.finding for entry in home.ledger.facts(facts.FindingRaised)]


def wait_for_findings(home, count):
    """Wait until the ledger has so many, at most two minutes."""
    pause = Event()
    for _ in range(2_400):
        if len(findings(home)) >= count:
            return
        pause.wait(0.05)
    raise AssertionError(f"{len(findings(home))} findings, wanted {count}")


def expected(home):
    """Return what one undisturbed watcher finds, told to a ledger of its own."""
    work = msgspec.structs.replace(watch_job(home, "undisturbed"), ledger=str(home.folder / "copy.db"))
    watcher = Watcher(work, clock=SystemClock())
    for entry in home.ledger.facts(facts.VersionRegistered, facts.VersionPromoted):
        watcher._ledger.append(entry.fact, actor=entry.actor, reason=entry.reason)
    while watcher.step():
        pass
    found = [entry.fact.finding for entry in watcher._ledger.facts(facts.FindingRaised)]
    watcher.close()
    return found


def test_it_says_after_which_fact_nothing_is_left_to_do(home):
    """Not while records may be left, nor of a fact that it has not followed: then the policy may yet take a step."""
    champion = home.registry.load(home.champion())
    recorder = Recorder(home.folder / "tape", {champion: Role.CHAMPION})
    recorder.record(market(1_500, seed=9, scale=4.0))
    recorder.close()
    watcher = Watcher(watch_job(home), clock=SystemClock())
    assert watcher.step() > BACKLOG
    assert watcher._pulse().followed == 0
    while watcher.step():
        pass
    assert watcher._pulse().followed == home.ledger.head()[0]
    told = home.ledger.append(facts.SizeChanged(share=1.0), actor="rita", reason="a test")
    assert watcher._pulse().followed == told - 1
    watcher.step()
    assert watcher._pulse().followed == told
    watcher.close()


def test_killed_twice_it_tells_each_finding_once(home):
    """SIGKILL at any moment, a restart, and the ledger is that of an undisturbed watcher."""
    champion = home.registry.load(home.champion())
    recorder = Recorder(home.folder / "tape", {champion: Role.CHAMPION})
    parts = np.array_split(market(1_500, seed=9, scale=4.0), 3)
    for count, part in enumerate(parts[:2], 1):
        process = start(home)
        recorder.record(part)
        wait_for_findings(home, count)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    recorder.record(parts[2])
    wanted = expected(home)
    process = start(home)
    wait_for_findings(home, len(wanted))
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    recorder.close()
    assert len(wanted) >= 3
    assert findings(home) == wanted


def test_it_says_how_long_its_looks_take(home):
    """The longest look is kept; calibrating the first champion, when nothing waits, is none."""
    watcher = Watcher(watch_job(home), clock=SystemClock())
    watcher.step()
    home.champion()
    watcher.step()
    made = watcher._step_ns_last
    watcher.step()
    watcher.tell_pulse()
    pulse = read_pulse(home.folder / "watcher")
    watcher.close()
    assert 0 < pulse.step_ns_last <= pulse.step_ns_max < made


def test_it_is_settled_when_all_is_read_and_nothing_is_under_way(home):
    """A retraining that was begun unsettles it, one that has ended settles it again; who never looked is not."""
    champion = home.registry.load(home.champion())
    with closing(Recorder(home.folder / "tape", {champion: Role.CHAMPION})) as recorder:
        recorder.record(market(300, seed=9))
    watcher = Watcher(watch_job(home), clock=SystemClock())

    def settled() -> bool:
        watcher.step()
        watcher.step()
        watcher.tell_pulse()
        return read_pulse(home.folder / "watcher").is_settled

    watcher.tell_pulse()
    assert not read_pulse(home.folder / "watcher").is_settled
    assert settled()
    reached = watcher._settled_ns
    for fact, still in ((started(), False), (ended(None), True)):
        home.ledger.append(fact, actor="policy", reason="a test")
        assert settled() or not still
        assert (watcher._settled_ns > reached) is still
    watcher.close()


def test_a_watcher_whose_desk_died_before_it_began_ends(home):
    """A desk killed while its watcher still came up leaves no process behind."""
    path = home.folder / "orphan.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(watch_job(home), parent=1)))
    orphan = subprocess.Popen([sys.executable, "-m", "tradeworthy.change.watch.watcher", str(path)])
    assert orphan.wait(timeout=120) == 0


def test_without_a_champion_it_waits(home):
    """A desk that trades nothing yet has nothing to watch."""
    watcher = Watcher(watch_job(home), clock=SystemClock())
    assert watcher.step() == 0
    stop = Event()
    stop.set()
    watcher.run(stop)


def test_a_job_survives_its_file(home):
    """A job is data, read back as it was written."""
    work = watch_job(home)
    assert msgspec.json.decode(msgspec.json.encode(work), type=WatchJob) == work
