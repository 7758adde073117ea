"""Monitors made ahead: a champion's successor is calibrated by another process while the champion is watched."""

from threading import Event

import pytest
from change_desk import INSTRUMENTS, desk
from change_watching import CHARTS, watch_job

from tradeworthy.change.watch import monitors as making
from tradeworthy.change.watch.monitors import CalibrateJob, MonitorMaker, run_job
from tradeworthy.change.watch.watcher import READY, Watcher
from tradeworthy.core.decisions import version_number
from tradeworthy.core.time import SystemClock
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.standing import MonitorSettings


@pytest.fixture
def home(tmp_path):
    """A paper deployment with a champion."""
    made = desk(tmp_path / "desk")
    made.champion(1)
    yield made
    made.close()


def maker(home, seed=7):
    """Return what makes monitors, with settings that calibrate fast."""
    settings = MonitorSettings(drift=DriftSettings(quiet_rows=100, charts=CHARTS, seed=seed))
    return MonitorMaker(home.registry, home.folder / "calibrations", INSTRUMENTS, settings)


def wait(condition):
    """Wait until something is so, at most a minute."""
    pause = Event()
    for _ in range(1_200):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("not so within a minute")


class Once:
    """A stop that comes with the first pause."""

    paused = False

    def is_set(self) -> bool:
        """Return whether it has come."""
        return self.paused

    def wait(self, seconds: float) -> bool:
        """Come at once."""
        self.paused = seconds > 0
        return self.paused


def test_a_process_calibrates_ahead_and_the_watcher_takes_it(home, monkeypatch):
    """What another process has calibrated is made here from what was kept; nothing new is kept."""
    hands, digest = maker(home), home.registry.resolve("champion")
    assert hands.state(digest) == "absent"
    hands.prepare([digest])
    wait(lambda: hands.state(digest) in ("done", "failed"))
    assert hands.state(digest) == "done"
    kept = sorted((home.folder / "calibrations" / "kept").iterdir())
    found = hands.make(version_number(digest))
    assert sorted((home.folder / "calibrations" / "kept").iterdir()) == kept != []
    fresh = making.monitors_of(home.registry, version_number(digest), INSTRUMENTS, hands._settings)
    assert found.keys() == fresh.keys()
    assert (found["drift"].charts.constants == fresh["drift"].charts.constants).all()


def test_other_settings_are_another_calibration(home):
    """A mark from before the settings changed says nothing about now."""
    hands, digest = maker(home), home.registry.resolve("champion")
    folder = hands._attempt(digest).folder
    folder.mkdir(parents=True)
    run_job(hands._job(digest), folder, clock=home.clock)
    (folder / "job.json").write_bytes(b"{}")
    assert hands.state(digest) == "done"
    assert maker(home, seed=8).state(digest) == "absent"


def test_a_new_champion_does_not_make_the_watcher_look_away(home, monkeypatch):
    """Until its calibration is done by another process a step returns at once; then the new one is watched."""
    started = []
    monkeypatch.setattr(making.Attempt, "start", lambda attempt, job: started.append((attempt.folder, job)) or 1)
    watcher = Watcher(watch_job(home), clock=SystemClock())
    watcher.step()
    first = watcher._watch.version
    assert watcher.is_ready
    second = home.champion(2)
    for _ in range(3):
        watcher.step()
    assert (watcher._watch.version, watcher.is_ready) == (first, False)
    folder, job = started[0]
    assert (type(job), job.version) == (CalibrateJob, second)
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(b"{}")
    run_job(job, folder, clock=home.clock)
    watcher.step()
    assert (watcher._watch.version, watcher.is_ready) == (version_number(second), True)
    watcher.close()


def test_a_calibration_that_fails_is_made_by_the_watcher(home):
    """A killed process costs a long look, never the watching."""
    watcher = Watcher(watch_job(home), clock=SystemClock())
    watcher.step()
    second = home.champion(2)
    folder = watcher._maker._attempt(second).folder
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(b"{}")
    watcher.step()
    assert watcher._watch.version == version_number(second)
    watcher.close()


def test_the_file_ready_appears_with_the_champions_monitors(home):
    """Whoever waits for it may rely on being watched."""
    watcher = Watcher(watch_job(home), clock=SystemClock())
    assert not watcher.is_ready
    watcher.run(Once())
    assert (home.folder / "watcher" / READY).exists()
