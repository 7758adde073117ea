"""Replay of a record from which retention has taken something: said, counted, never taken for a difference."""

import numpy as np
import pytest

from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import NS_PER_DAY, VirtualClock
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import first_checkpoint, replay
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.retention import delete, expired
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import Shelf, SmallDesk, market

SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=30)
EVENTS = market(200, seed=12)
LATER = VirtualClock(10**19 // 2)
LIVES = 4


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


@pytest.fixture
def tape(tmp_path, shelf):
    """Return a tape of several lives, each in segments of its own, archived but for the last."""
    for place, part in enumerate(np.array_split(EVENTS, LIVES)):
        with SmallDesk(tmp_path, shelf=shelf, settings=SETTINGS) as small:
            if place == 1:
                small.control.add_shadow(small.numbers[1])
            small.run(part)
    archive_tape(tmp_path / "tape", ArchiveSettings(after_s=0.0), clock=LATER)
    return tmp_path / "tape"


def forget(tape, segments, *streams: str):
    """Delete the oldest archived segments of streams, as retention does; return the deletions."""
    planned = expired(tape, keep_days=dict.fromkeys(streams, 1.0), now_ns=LATER.now_ns() + 2 * NS_PER_DAY)
    chosen = [each for each in planned if each.path.startswith("streams") and each.index <= segments]
    assert chosen
    delete(tape, chosen)
    return chosen


def test_rows_that_are_gone_are_no_difference(tape, shelf):
    """Deleted rows are made again and counted; everything else is compared, the other rows too."""
    whole = replay(tape, shelf.load)
    assert (whole.identical, whole.rows_deleted, whole.began_after) == (True, 0, first_checkpoint(tape))
    gone = forget(tape, 2, "rows-*")
    report = replay(tape, shelf.load)
    assert report.first_difference is None
    assert report.rows_deleted == sum(each.records for each in gone)
    assert report.rows == whole.rows - report.rows_deleted
    assert (report.decisions, report.orders) == (whole.decisions, whole.orders)


def test_a_difference_is_still_found_beside_what_is_gone(tape, shelf, tmp_path):
    """Another model than the recorded one is told, though rows are missing."""
    forget(tape, 2, "rows-*")
    numbers = list(shelf.versions)
    fake = Shelf(tmp_path / "other").make(77)
    object.__setattr__(fake, "number", numbers[0])
    report = replay(tape, lambda number: fake if number == numbers[0] else shelf.load(number))
    assert not report.identical
    assert "score is" in report.first_difference


def test_replay_begins_where_everything_is_there(tape, shelf):
    """Where inputs and decisions of the first lives are gone, replay begins after them and says so."""
    gone = forget(tape, 1, "inputs", "decisions", "rows-*", "orders")
    last = max(each.last_sequence for each in gone if not each.stream.startswith("rows"))
    report = replay(tape, shelf.load)
    assert report.first_difference is None
    assert report.began_after >= last
    assert report.began_after in [int(path.stem) for path in checkpoint_paths(tape)]
    assert 0 < report.decisions < 2 * len(EVENTS) // 3


def test_a_version_that_was_warmed_with_deleted_inputs(tape, shelf):
    """The shadow came in during the second life, warmed from the first: replay begins after it came in."""
    controls = TapeReader(tape).read("inputs")
    shadow = controls["sequence"][(controls["kind"] == 9) & (controls["values"][:, 0] == 4)]
    forget(tape, 1, "inputs")
    report = replay(tape, shelf.load)
    assert report.first_difference is None
    assert report.began_after >= shadow[0]


def test_nothing_left_to_begin_at_is_said(tape, shelf):
    """Without a checkpoint after what is gone there is no replay, and the message says when there will be."""
    gone = forget(tape, LIVES - 1, "inputs", "decisions")
    last = max(each.last_sequence for each in gone)
    for path in checkpoint_paths(tape):
        if int(path.stem) >= last:
            path.unlink()
    with pytest.raises(NotFound, match="retention deleted"):
        replay(tape, shelf.load)
