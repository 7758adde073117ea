"""Training in another process: what it leaves behind, however it ends."""

import os
import signal
from threading import Event
from typing import Any

import msgspec
import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, STRATEGY, TRAINING, market, write_strategy

from tradeworthy.change.train.candidate import load_candidate
from tradeworthy.change.train.history import ArrayHistory
from tradeworthy.change.train.worker import CANDIDATE, TrainJob, run_job, training
from tradeworthy.core.time import VirtualClock


def job(tmp_path, text=STRATEGY, **changes: Any):
    """Return a job over 300 bars."""
    np.save(tmp_path / "events.npy", market(300))
    given = {
        "strategy": str(write_strategy(tmp_path, text)),
        "history": [ArrayHistory(path=str(tmp_path / "events.npy"))],
        "instruments": list(INSTRUMENTS),
        "settings": TRAINING,
        "parent": "f" * 64,
        "nice": 0,
    }
    return TrainJob(**(given | changes))


def wait(folder, until):
    """Wait for a state, at most a minute."""
    pause = Event()
    for _ in range(1_200):
        if training(folder).state in until:
            return training(folder).state
        pause.wait(0.05)
    raise AssertionError(f"still {training(folder).state}: {training(folder).progress}")


def test_another_process_trains_the_same_candidate(tmp_path):
    """A process of its own leaves what this one would have made."""
    work = job(tmp_path)
    pid = training(tmp_path / "attempt").start(work)
    assert pid > 0
    assert wait(tmp_path / "attempt", ("done", "failed")) == "done"
    found = load_candidate(tmp_path / "attempt" / CANDIDATE)
    (tmp_path / "here").mkdir()
    run_job(work, tmp_path / "here", clock=VirtualClock(START_NS))
    expected = load_candidate(tmp_path / "here" / CANDIDATE)
    assert found.predictor.to_files() == expected.predictor.to_files()
    assert found.lineage == expected.lineage
    assert found.lineage.parent == "f" * 64
    assert training(tmp_path / "attempt").progress.done == 1.0


def test_a_failed_training_says_why_and_can_be_started_again(tmp_path):
    """The error is one sentence in the attempt's folder; a second start forgets it."""
    folder = tmp_path / "attempt"
    training(folder).start(job(tmp_path, STRATEGY.replace("def train", "def fit")))
    assert wait(folder, ("done", "failed")) == "failed"
    assert "SettingsInvalid" in training(folder).error
    assert "defines no 'train'" in training(folder).error
    assert training(folder).start(job(tmp_path)) > 0
    assert wait(folder, ("done", "failed")) == "done"
    assert training(folder).start(job(tmp_path)) == 0


SLOW = STRATEGY.replace(
    "    settings = {", "    from threading import Event\n\n    Event().wait(600)\n    settings = {", 1
)


def test_a_killed_training_is_known_to_have_failed(tmp_path):
    """SIGKILL of the process is noticed, though nobody waits for it."""
    folder = tmp_path / "attempt"
    pid = training(folder).start(job(tmp_path, SLOW))
    assert training(folder).state == "running"
    assert training(folder).start(job(tmp_path)) == 0
    os.kill(pid, signal.SIGKILL)
    assert wait(folder, ("done", "failed")) == "failed"
    assert "killed" in training(folder).error


def test_a_training_out_of_time_fails(tmp_path):
    """The process ends itself when its time is up."""
    training(tmp_path / "attempt").start(job(tmp_path, SLOW, seconds_max=2))
    assert wait(tmp_path / "attempt", ("done", "failed")) == "failed"


def test_an_attempt_that_never_began_is_absent(tmp_path):
    """Before its job is written there is no attempt."""
    assert training(tmp_path / "attempt").state == "absent"
    assert training(tmp_path / "attempt").progress.stage == "starting"


@pytest.mark.parametrize("name", ["strategy", "history", "instruments", "settings", "parent"])
def test_a_job_survives_its_file(tmp_path, name):
    """A job is data, read back as it was written."""
    work = job(tmp_path)
    again = msgspec.json.decode(msgspec.json.encode(work), type=TrainJob)
    assert getattr(again, name) == getattr(work, name)
