"""The archiver beside a desk: it archives by itself, waits for what is not there yet, and leaves when it should."""

import os
from functools import partial

import pytest
from small_project import at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment import archiver
from tradeworthy.apps.deployment.rounds import in_rounds
from tradeworthy.record.archive import ArchiveSettings, archive_lock
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.reader import TapeReader
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import write_trading

ARCHIVE = "[archive]\nevery_s = 0.05\nafter_s = 0.0\n\n[training]"


class After:
    """A wish to stop that comes true after so many pauses."""

    def __init__(self, pauses) -> None:
        self.pauses, self.waited = pauses, []

    def wait(self, timeout=None, /):
        self.waited.append(timeout)
        self.pauses -= 1
        return self.pauses < 0

    def is_set(self):
        return self.pauses < 0

    def set(self):
        self.pauses = -1


def declared(project):
    """Return the project with a policy that archives at once, again and again."""
    path = project.folder / "tradeworthy.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("[training]", ARCHIVE), "utf-8")
    return Project(project.folder)


@pytest.fixture
def sealed(tmp_path):
    """Return a project with a tape of many sealed segments."""
    project = declared(at("fresh", tmp_path))
    write_trading(project.places.tape, 90)
    return project


def test_sealed_segments_go_by_themselves(sealed):
    """What a finished run left sealed is in the archive after one round, and the record still verifies."""
    project, stop = sealed, After(2)
    assert in_rounds(partial(archiver.archive_once, project), 0.05, stop) > 0
    assert stop.waited == [0.05] * 3
    streams = project.places.tape / "streams"
    assert archived_segments(streams / "inputs")
    assert verify(project.places.tape).problems == []
    assert TapeReader(project.places.tape).read("decisions").size == 90


def test_a_run_starts_it_and_ends_it(tmp_path):
    """With the policy declared a run has an archiver beside it, which ends with the run and says nothing."""
    project = declared(at("promoted", tmp_path))
    project.run(watch=False)
    log = project.places.root / "logs" / "archiver.log"
    assert log.exists()
    assert "Traceback" not in log.read_text("utf-8")
    assert project.replay().identical


def test_without_a_policy_nothing_archives(tmp_path):
    """Left out, `every_s` starts no process."""
    project = at("promoted", tmp_path)
    project.run(watch=False)
    assert not (project.places.root / "logs" / "archiver.log").exists()


def test_what_cannot_be_done_now_is_tried_again(sealed, capfd):
    """While somebody else archives it is said on the log, and met again the next time."""
    project = sealed
    with archive_lock(project.places.tape):
        assert in_rounds(partial(archiver.archive_once, project), 0.01, After(1)) == 0
    assert "RecordBusy" in capfd.readouterr().err
    assert in_rounds(partial(archiver.archive_once, project), 0.01, After(1)) > 0


def test_it_leaves_with_its_parent(sealed, monkeypatch):
    """Once whoever started it is gone, it archives nothing more."""
    project = sealed
    parents = iter([10, 10, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    assert in_rounds(partial(archiver.archive_once, project), 0.01, After(99)) > 0
    assert next(parents, None) is None


def test_a_parent_that_ended_before_it_began_is_gone_too(sealed):
    """A desk killed while its archiver still came up leaves no process behind, and nothing is archived for it."""
    stop = After(99)
    assert in_rounds(partial(archiver.archive_once, sealed), 0.01, stop, parent=0) == 0
    assert stop.waited == [0.01]


@pytest.mark.parametrize("every_s", [0.0, -1.0])
def test_a_pause_must_be_positive(every_s):
    """Archiving without a pause is refused where it is declared."""
    with pytest.raises(ValueError, match="every_s"):
        ArchiveSettings(every_s=every_s)
