"""The processes beside an engine: what they are told, and what happens when one ends early."""

import asyncio
import gc

import msgspec
import pytest
from small_project import at, looked_at

from tradeworthy.apps.deployment.desk import run_files
from tradeworthy.apps.deployment.processes import Companions, ProcessFailed, _write_job, companions
from tradeworthy.change.train.history import read_history
from tradeworthy.change.watch.watcher import READY, WatchJob
from tradeworthy.core.time import SystemClock, VirtualClock


@pytest.fixture
def running(tmp_path):
    """Companions that are ended whatever happens."""
    found = Companions(tmp_path / "logs")
    yield found
    found.end()


def test_the_watchers_job_can_be_read_again(tmp_path):
    """What the engine's side writes, the watcher reads: every setting survives the way through the file."""
    project = at("promoted", tmp_path)
    job = msgspec.json.decode(_write_job(project, market_past=True).read_bytes(), type=WatchJob)
    assert job.monitors == project.settings.monitor
    assert job.instruments == project.settings.instrument
    assert job.conduct.limits == project.settings.limits
    assert job.conduct.policy == project.settings.policy


def test_the_watcher_retrains_on_the_projects_history(tmp_path):
    """What happened before the tape comes from the project's files, cut where training ended."""
    project = at("promoted", tmp_path)
    job = msgspec.json.decode(_write_job(project, market_past=True).read_bytes(), type=WatchJob)
    events = read_history(job.conduct.history, job.instruments)
    assert events.tobytes() == project.history().tobytes()


def test_a_run_is_watched(tmp_path):
    """With the watcher beside it a run ends well, and the watcher has looked."""
    project = at("promoted", tmp_path)
    assert project.run().decisions == 1_200
    assert (project.places.watcher / READY).exists()
    assert project.verify().ok


def test_a_process_that_fails_is_told_with_its_last_words(running, tmp_path):
    """The error names the process, its code, and what it said last."""
    (tmp_path / "no.json").write_text("{}", "utf-8")
    running.start("watcher", "tradeworthy.change.watch.watcher", str(tmp_path / "no.json"))
    running.expect(tmp_path / "never", SystemClock())
    with pytest.raises(ProcessFailed, match=r"the watcher ended with code 1: .*ValidationError.*; see .*\.log$"):
        running.wait()


def test_a_process_that_is_done_is_no_failure(running, tmp_path):
    """Code 0 is an end like any other."""
    running.start("helper", "this", "-c")
    running._running["helper"].wait()
    running.check()
    assert (tmp_path / "logs" / "helper.log").stat().st_size > 0


def test_a_process_that_is_never_ready_is_given_up(running, tmp_path):
    """After the time allowed, the wait ends and the logs are named."""

    class Leaping(VirtualClock):
        """A minute passes at each look."""

        def monotonic_ns(self) -> int:
            """Return a later time each time."""
            self.advance_to(self.now_ns() + 60_000_000_000)
            return self.now_ns()

    running.start("server", "http.server", "--bind", "127.0.0.1", "0")
    running.expect(tmp_path / "never", Leaping(0))
    with pytest.raises(ProcessFailed, match="no never file after 300 s; see the logs in"):
        running.wait()
    with pytest.raises(ProcessFailed, match="no never file"):
        running.check()


def test_nobody_waits_for_what_is_ready(running, tmp_path):
    """A file that is there ends the wait at once, and for good."""
    (tmp_path / "ready").touch()
    running.expect(tmp_path / "ready", VirtualClock())
    running.wait()
    (tmp_path / "ready").unlink()
    running.check()


def test_the_engine_does_not_wait_for_its_watcher(tmp_path):
    """Events are decided while the watcher comes up; only the end of the run waits for its first look."""
    project = at("promoted", tmp_path)
    seen = []

    async def look(running) -> None:
        while not running.engine.counters.decisions:  # noqa: ASYNC110  # it is what the engine does that is awaited
            await asyncio.sleep(0)
        seen.append((project.places.watcher / READY).exists())

    run_files(project, speed=None, alongside=look)
    assert seen == [False]
    assert (project.places.watcher / READY).exists()
    assert gc.isenabled()


def test_companions_end_with_the_block(tmp_path):
    """Without a watcher nothing is started, and what the tape holds stays sound."""
    project = at("traded", tmp_path)
    with companions(project, watch=False) as beside:
        assert beside._running == {}
    assert project.verify().ok


def test_a_project_without_a_tape_is_left_alone():
    """Ending the companions of a project that recorded nothing makes no tape."""
    project = looked_at("fresh")
    with companions(project, watch=False) as beside:
        beside.check()
    assert not project.places.tape.exists()
