"""FAULTS 1, 17, 18: real processes killed by SIGKILL, at moments drawn from a seed and at the n-th system call.

The call is chosen by strace; which call and which n stand in the test's name. Without strace these tests are skipped,
but not on CI.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.change.registry import Registry, VersionSettings
from tradeworthy.change.release.release import Release
from tradeworthy.change.train.candidate import load_candidate
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.events import Kind
from tradeworthy.core.time import SystemClock, VirtualClock
from tradeworthy.live.control import ControlBlock, Scope
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.query import Record
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market
from tradeworthy.testing.projects import write_project
from tradeworthy.testing.simulation.cast import LEDGER, Cast
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_trading

CHILD = Path(__file__).with_name("killed_child.py")
EVENTS = market(4_000, seed=33)
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=97)
ABSENT = not shutil.which("strace") and os.environ.get("CI") != "true"
strace = pytest.mark.skipif(ABSENT, reason="strace is not installed: apt-get install strace")


def killed_at(call, number, arguments):
    """Run the child until its n-th call of that name, and make sure that it did not survive it."""
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    command = ["strace", "-f", "-qq", "-o", os.devnull, *inject, sys.executable, str(CHILD), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr


def told(folder):
    """Return the lines that the child acknowledged."""
    path = folder / "told"
    return path.read_text().split("\n")[:-1] if path.exists() else []


# Appending, rotating, sealing.


@strace
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("pwrite64", 6),
        ("pwrite64", 17),
        ("pwrite64", 38),
        ("fallocate", 4),
        ("rename", 3),
        ("fdatasync", 9),
        ("fsync", 5),
    ],
)
def test_a_writer_killed_at_a_system_call(tmp_path, call, number):
    """Killed while appending, rotating, syncing or sealing: what was acknowledged is there, and the tape goes on."""
    killed_at(call, number, ["tape", str(tmp_path)])
    acknowledged = max((int(line) for line in told(tmp_path) if line.isdigit()), default=0)
    with open_small(tmp_path / "tape") as tape:
        assert tape.next_sequence > acknowledged
        tape.stream("a", SAMPLE).append(samples(tape.next_sequence, 70))
        end = tape.next_sequence - 1
    reader = TapeReader(tmp_path / "tape")
    records = np.sort(np.concatenate([reader.read(name) for name in reader.streams()]), order="sequence")
    assert records["sequence"].tolist() == records["value"].tolist() == list(range(1, end + 1))
    assert verify(tmp_path / "tape").problems == []


# Archiving.


@strace
@pytest.mark.parametrize(
    ("call", "number"),
    [("unlink", 1), ("unlink", 4), ("rename", 1), ("rename", 5), ("fsync", 2), ("fsync", 9), ("fdatasync", 1)],
)
def test_an_archiver_killed_at_a_system_call(tmp_path, call, number):
    """Killed while it writes, names, syncs or removes: every record is read once, and the next archiver finishes."""
    tape = tmp_path / "tape"
    write_trading(tape, 90)
    killed_at(call, number, ["archive", str(tmp_path)])
    for again in range(2):
        decisions = TapeReader(tape).read("decisions")
        assert decisions["price"].tolist() == [minute + 100.0 for minute in range(90)], again
        found = Record(tape).ask("SELECT count(*), count(DISTINCT sequence) FROM decisions").rows
        assert found == [[90, 90]], again
        assert verify(tape).problems == [], again
        archive_tape(tape, ArchiveSettings(after_s=0.0), clock=VirtualClock(10**19))
    assert not list(tape.glob("archive/*/*/*.partial"))


# Registering.


@pytest.fixture(scope="module")
def candidate(tmp_path_factory):
    """Return a trained candidate's folder."""
    project = Project(write_project(tmp_path_factory.mktemp("project"), bars=700))
    project.train()
    return project.places.candidate


@strace
@pytest.mark.parametrize(
    ("call", "number"),
    [("rename", 1), ("rename", 2), ("fsync", 1), ("fsync", 6), ("fdatasync", 4), ("fdatasync", 7), ("pwrite64", 20)],
)
def test_a_registration_killed_at_a_system_call(tmp_path, candidate, call, number):
    """Killed between bundle and fact: what was acknowledged loads and is a fact, a half is neither, and it goes on."""
    key, trust = SigningKey.create(tmp_path / "author.key", "drill"), TrustStore(tmp_path / "trust")
    trust.add(key.public)
    killed_at(call, number, ["register", str(tmp_path), str(candidate)])
    acknowledged = [line.split()[1] for line in told(tmp_path) if line.startswith("registered")]
    ledger = Ledger(tmp_path / "ledger.db", clock=SystemClock())
    registry = Registry(tmp_path, ledger=ledger, trust=trust, env="paper")
    assert ledger.verify() == []
    facts = list(registry.standing().registered)
    assert facts[: len(acknowledged)] == acknowledged
    assert len(facts) <= len(acknowledged) + 1
    for digest in facts:
        assert registry.load(digest).digest == digest
    digest = registry.register(
        load_candidate(candidate), VersionSettings(name="third"), key=key, author="drill", reason="goes on"
    )
    assert registry.load(digest).digest == digest
    ledger.close()


# Promoting, halting, resuming.


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    return Cast.make(tmp_path_factory.mktemp("cast"))


def reconciled(folder, cast):
    """Start the admin process again, and return what the facts say and what the words say."""
    ledger = Ledger(folder / "ledger.db", clock=SystemClock())
    registry = Registry(cast.home, ledger=ledger, trust=cast.shelf.trust, env="paper")
    control = ControlBlock(folder / "control")
    Release(registry, control, INSTRUMENTS).reconcile()
    standing, problems = registry.standing(), ledger.verify()
    ledger.close()
    assert problems == []
    return standing, control.view()


@strace
@pytest.mark.parametrize(("call", "number"), [("pwrite64", 12), ("pwrite64", 25), ("fdatasync", 6), ("fdatasync", 14)])
def test_a_promotion_killed_at_a_system_call(tmp_path, cast, call, number):
    """Killed between fact and word: the ledger is whole, what was acknowledged is a fact, and both agree afterwards."""
    shutil.copyfile(cast.home / LEDGER, tmp_path / "ledger.db")
    killed_at(call, number, ["promote", str(tmp_path), str(cast.home)])
    standing, view = reconciled(tmp_path, cast)
    lines = [line for line in told(tmp_path) if line.startswith(("champion", "halted", "resumed"))]
    champions = [line.split()[1] for line in lines if line.startswith("champion")]
    assert standing.champions[: len(champions)] == champions
    assert len(standing.champions) <= len(champions) + 1
    assert view.champion == (version_number(standing.champion) if standing.champion else 0)
    assert ({Scope.everything()} <= view.scopes) or not standing.halted
    assert not (lines and lines[-1] == "halted") or "resumed" in lines or Scope.everything() in view.scopes


# The whole engine, at random moments.


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    with SmallDesk(tmp_path_factory.mktemp("warm"), shelf=shelf) as small:
        small.control.add_shadow(small.numbers[1])
        small.run(EVENTS[:100])
    return shelf


def live(folder, shelf):
    """Be an engine that takes the rest of the market, swapping its champion now and then."""
    with SmallDesk(folder, shelf=shelf, settings=SETTINGS) as small:
        seen = int((TapeReader(folder / "tape").read("inputs")["kind"] == Kind.BAR).sum())
        for start in range(seen, len(EVENTS), 150):
            small.run(EVENTS[start : start + 150], batch_max=40)
            small.control.set_champion(small.numbers[start // 150 % 2])


def killed_after(folder, shelf, delay_s):
    """Start an engine process and kill it after a while; return whether it had ended by itself."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            live(folder, shelf)
            code = 0
        except BaseException as error:  # noqa: BLE001  # a child never returns into the test runner
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)
    threading.Event().wait(delay_s)
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in {0, -signal.SIGKILL}
    return status == 0


@pytest.mark.parametrize("seed", range(3))
def test_an_engine_killed_at_random_moments(tmp_path, shelf, seed):
    """One desk through many short lives: each bar decided once, by one version, and replay finds no difference."""
    rng = np.random.default_rng(seed)
    lives = 0
    while not killed_after(tmp_path, shelf, float(rng.uniform(0.02, 0.25))) and lives < 12:
        lives += 1
    live(tmp_path, shelf)
    inputs, decisions = (TapeReader(tmp_path / "tape").read(name) for name in ("inputs", "decisions"))
    bars = inputs[inputs["kind"] == Kind.BAR]
    assert bars["ts_event_ns"].tolist() == EVENTS["ts_event_ns"].tolist(), f"seed {seed}"
    champion = decisions[decisions["role"] == Role.CHAMPION]
    assert champion["input_sequence"].tolist() == bars["sequence"][bars["instrument"] == 0].tolist(), f"seed {seed}"
    assert set(champion["version"].tolist()) <= set(shelf.versions)
    assert verify(tmp_path / "tape").problems == []
    assert replay(tmp_path / "tape", shelf.load).first_difference is None, f"seed {seed}"


def test_how_long_recovery_takes_is_kept(tmp_path, shelf):
    """Each opening's line in the log says what it found and how long that took."""
    killed_after(tmp_path, shelf, 0.3)
    with SmallDesk(tmp_path, shelf=shelf, clock=SystemClock()) as small:
        recovery = small.tape.recovery
    assert recovery.took_ns > 0
    assert re.search(rb'"took_ns":[1-9]', (tmp_path / "tape" / "epochs.log").read_bytes())
