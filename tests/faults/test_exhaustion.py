"""FAULT 21: memory, threads and processes run out; the desk stops cleanly or goes on, and the record is whole."""

import os
import resource
import subprocess

import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.processes import companions
from tradeworthy.core.decisions import Role
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.events import Kind
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.record.tape import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.desks import Shelf, SmallDesk, market
from tradeworthy.testing.projects import write_project

EVENTS = market(600, seed=41)
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=97)
BEFORE = 200
ENDED, OUT_OF_MEMORY, OTHERWISE = 0, 3, 4


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    with SmallDesk(tmp_path_factory.mktemp("warm"), shelf=shelf) as small:  # compiled before memory is short
        small.run(EVENTS[:BEFORE])
    return shelf


def starve(spare):
    """Let this process have no more memory than it has now, use all of that, and give `spare` bytes back."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115, PTH123  # nothing is left for a context
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGESIZE") + (1 << 20),) * 2)
    reserve, hog = bytearray(spare), []
    for size in (1 << 20, 1 << 16, 1 << 12, 1 << 9):
        try:
            while True:
                hog.append(bytearray(size))
        except MemoryError:
            continue
    del reserve
    return hog


def live_starving(folder, shelf, spare):
    """Take the rest of the market with no memory left."""
    with SmallDesk(folder, shelf=shelf, settings=SETTINGS) as small:
        small.run(EVENTS[:BEFORE], batch_max=40)
        hog = starve(spare)
        small.run(EVENTS[BEFORE:], batch_max=40)
        del hog


@pytest.mark.parametrize("spare", [0, 20_000, 200_000, 1_000_000])
def test_no_memory_left(tmp_path, shelf, spare):
    """Whoever meets it, the run ends by itself with that error, and the next one goes on where the record ends."""
    pid = os.fork()
    if not pid:
        code = OTHERWISE
        try:
            live_starving(tmp_path, shelf, spare)
            code = ENDED
        except MemoryError:
            code = OUT_OF_MEMORY
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in {ENDED, OUT_OF_MEMORY}
    assert verify(tmp_path / "tape").problems == []
    seen = int((TapeReader(tmp_path / "tape").read("inputs")["kind"] == Kind.BAR).sum())
    assert seen >= BEFORE
    with SmallDesk(tmp_path, shelf=shelf, settings=SETTINGS) as small:
        small.run(EVENTS[seen:], batch_max=40)
    inputs, decisions = (TapeReader(tmp_path / "tape").read(name) for name in ("inputs", "decisions"))
    bars = inputs[inputs["kind"] == Kind.BAR]
    assert bars["ts_event_ns"].tolist() == EVENTS["ts_event_ns"].tolist()
    champion = decisions[decisions["role"] == Role.CHAMPION]
    assert champion["input_sequence"].tolist() == bars["sequence"][bars["instrument"] == 0].tolist()
    assert replay(tmp_path / "tape", shelf.load).first_difference is None


def test_no_thread_left_keeps_the_champion(tmp_path, shelf):
    """A version that cannot be staged, for want of a thread, is refused in words; the champion goes on."""
    settings = EngineSettings(checkpoint_every=97)
    with SmallDesk(tmp_path, shelf=shelf, settings=settings) as small:
        small.run(EVENTS[:BEFORE])

        def none_left(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        small.engine._staging._pool.submit = none_left
        small.control.set_champion(small.numbers[1])
        summary = small.run(EVENTS[BEFORE:])
    assert small.engine.desk.champion.number == small.numbers[0]
    assert "can't start new thread" in next(iter(summary.refused_versions.values()))
    assert summary.decisions == 600
    assert replay(tmp_path / "tape", shelf.load).identical


def test_no_process_left_ends_a_run_in_words(tmp_path, monkeypatch):
    """A run whose watcher cannot be started says so as an operating error, before any event is taken."""
    project = Project(write_project(tmp_path / "project", bars=300))

    def none_left(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none_left)
    with pytest.raises(TradeworthyError, match="Resource temporarily unavailable"), companions(project, watch=True):
        pytest.fail("nobody watches")
