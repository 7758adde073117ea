"""The end of a run on files: what the policy has begun is waited for, or said and taken up by the next run."""

import fcntl
from contextlib import contextmanager
from typing import Never

import pytest
from small_project import at, looked_at

from tradeworthy.apps.commands.under_way import under_way, unfinished
from tradeworthy.apps.deployment.processes import Companions, ProcessFailed, see_companions_through
from tradeworthy.change.attempts import FAILED, JOB, LOCK, report_progress
from tradeworthy.change.release.challengers import challenger_judging, retraining
from tradeworthy.change.watch.pulse import Pulse, write_pulse
from tradeworthy.core import facts
from tradeworthy.core.errors import DataInvalid

POLICY = """
[policy]
retrain_on = []
scheduled_every_decisions = 600
budget = 1
"""
DIGEST = "d" * 64


def scheduled(tmp_path):
    """Return the small project with a policy that retrains once in a run."""
    project = at("promoted", tmp_path)
    with (project.folder / "tradeworthy.toml").open("a", encoding="utf-8") as settings:
        settings.write(POLICY)
    return type(project)(project.folder)


@contextmanager
def held(lock):
    """Hold a lock as a process at work does."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_run_waits_for_the_challenger_that_its_policy_trains(tmp_path):
    """The files are over in a second; the run ends when the retraining is registered and judged, and tells its way."""
    project, said = scheduled(tmp_path), []
    run = project.run(report=lambda what, _: said.append(what))
    standing = project.registry.standing()
    challenger = standing.retrains[-1].ended.version
    assert challenger in standing.gates
    assert (run.decisions, run.unfinished) == (1_200, "")
    assert any(what.startswith("retraining ") for what in said)
    assert project.status().unfinished == ""
    assert project.verify().ok


def test_what_a_run_left_is_taken_up_by_the_next_one(tmp_path):
    """A run that does not wait names what it leaves; one with nothing left to trade sees it through, and only that."""
    project = scheduled(tmp_path)
    run = project.run(wait=False)
    assert run.decisions == 1_200
    assert run.unfinished.endswith("; tradeworthy run takes it up")
    assert project.status().unfinished.endswith("; tradeworthy run takes it up")
    taken_up = project.run()
    assert (taken_up.events, taken_up.decisions, taken_up.unfinished) == (0, 0, "")
    standing = project.registry.standing()
    assert [attempt.ended.error for attempt in standing.retrains] == [None]
    assert standing.unjudged is None
    assert project.replay().identical
    with pytest.raises(DataInvalid, match="every event after the training part was traded already"):
        project.run()


def test_an_interruption_ends_the_wait_and_not_the_work(tmp_path):
    """Ctrl-C comes back from the wait: the run's result is not lost for it."""
    project, running, said = looked_at("traded"), Companions(tmp_path / "logs"), []

    def press(what, _) -> Never:
        said.append(what)
        raise KeyboardInterrupt

    running.start("watcher", "http.server", "--bind", "127.0.0.1", "0")
    see_companions_through(project, running, press)
    assert running.is_running("watcher")
    running.end()
    assert said == ["the watcher reads the rest of the tape"]


def test_a_watcher_that_falls_while_it_is_waited_for_ends_the_run(tmp_path):
    """What it was waited for would never come; its last words are told."""
    project, running = looked_at("traded"), Companions(tmp_path / "logs")
    (tmp_path / "no.json").write_text("{}", "utf-8")
    running.start("watcher", "tradeworthy.change.watch.watcher", str(tmp_path / "no.json"))
    with pytest.raises(ProcessFailed, match=r"the watcher ended with code 1: .*ValidationError"):
        see_companions_through(project, running, lambda *_: None)
    assert not running.is_running("watcher")
    assert not running.is_running("nobody")


def test_a_training_is_told_by_what_its_process_does(tmp_path):
    """Written down, at work, done, fallen: each has its words."""
    project = at("traded", tmp_path)
    assert (under_way(project), unfinished(project)) == (None, "")
    begun = facts.RetrainStarted(trigger="schedule: 600 decisions", first_sequence=1, last_sequence=9)
    number = project.ledger.append(begun, actor="policy", reason="a test")
    work = retraining(project.places.watcher, project.registry.standing().open_retrain)
    assert under_way(project).said.startswith(f"retraining {number}, begun ")
    assert under_way(project).said.endswith(" (schedule): to be started")
    work.folder.mkdir(parents=True)
    (work.folder / JOB).write_text("{}", "utf-8")
    with held(work.folder / LOCK):
        report_progress(work.folder, "fold 2 of 3", 0.5)
        assert under_way(project)[0].endswith(": fold 2 of 3, 50%")
        assert under_way(project).done == 0.5
    (work.folder / FAILED).write_text("TrainingRefused: too few rows", "utf-8")
    assert under_way(project).said.endswith(": TrainingRefused: too few rows")
    result = work.folder / work.result
    result.parent.mkdir()
    result.touch()
    assert unfinished(project).endswith(": done, to be registered; tradeworthy run takes it up")


def test_a_judgement_is_told_by_its_newest_attempt(tmp_path):
    """A challenger that nobody has judged is under way; where the gate was tried again, that try counts."""
    project = at("traded", tmp_path)
    for fact in (
        facts.RetrainStarted(trigger="schedule", first_sequence=1, last_sequence=9),
        facts.RetrainEnded(version=DIGEST, error=None),
    ):
        project.ledger.append(fact, actor="policy", reason="a test")
    assert under_way(project).said == f"gate of challenger {DIGEST[:16]}: to be started"
    for attempt in (1, 2):
        folder = challenger_judging(project.places.watcher, DIGEST, attempt).folder
        folder.mkdir(parents=True)
        (folder / JOB).write_text("{}", "utf-8")
        (folder / FAILED).write_text(f"failed {attempt}", "utf-8")
    assert under_way(project).said.endswith(": failed 2")


def test_a_tape_that_was_not_read_to_its_end_is_said(tmp_path):
    """Without a watcher's word nothing is known to be left; one that stopped before it settled leaves something."""
    project = at("traded", tmp_path)
    project.places.watcher.mkdir(exist_ok=True)
    shared = {"ts_ns": 9, "version": "", "reached": 1, "records": 1, "decisions": 1, "sinks": []}
    write_pulse(project.places.watcher, Pulse(**shared, caught_up_ns=5, looked_ns=7, settled_ns=5))
    assert unfinished(project) == "what the watcher has not read; tradeworthy run takes it up"
    write_pulse(project.places.watcher, Pulse(**shared, caught_up_ns=7, looked_ns=7, settled_ns=7))
    assert unfinished(project) == ""
