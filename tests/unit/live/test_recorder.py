"""How runs get to the tape: the same records whether a run is framed by one kernel or written stream by stream."""

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.events import Word
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.desk import Desk, control_event, desk_config
from tradeworthy.live.recorder import ROWS_WAITING, Recorder
from tradeworthy.live.state import CheckSettings
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.tape import TapeReader, TapeWriter
from tradeworthy.record.verify import verify
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, START_NS, Shelf, market

EVENTS = market(450, seed=5)
LARGE, TINY = 1 << 20, 4096 + 2 * 128
"""Bytes of a segment that takes every run, and of one in which no run of three records finds room."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


class Written:
    """A desk with a champion and a shadow that writes a market in stretches, and the tape that it leaves."""

    def __init__(self, folder, shelf, *, stretch=1, segment_bytes=LARGE) -> None:
        self.desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 512))
        self.desk.set_limits[0] = LIMITS.as_array()
        champion, shadow = (self.desk.make_pipeline(version) for version in shelf.versions.values())
        self.desk.apply(control_event(5, Word.CHAMPION, 1)[0], lambda _: champion)
        self.desk.add_shadow(shadow)
        self.venue = Paper(PaperSettings(), INSTRUMENTS)
        with TapeWriter.open(folder, clock=VirtualClock(START_NS), segment_bytes=segment_bytes) as tape:
            self.recorder = Recorder(tape, self.desk.inbox)
            for first in range(0, len(EVENTS), stretch):
                self.take(EVENTS[first : first + stretch])
            self.recorder.flush()
        self.reader = TapeReader(folder)

    def take(self, events) -> None:
        count, place = self.desk.inbox.load(events), 0
        while place < count:
            if self.venue.pending:
                answers = self.venue.observe(self.desk.shown(place))
                if len(answers):
                    self.desk.settle(answers)
                    self.recorder.inputs(answers)
            self.desk.inbox.stamp(place, count, 0)
            stop = place + 1 if self.venue.pending else count
            run = self.desk.run(place, stop, first_sequence=self.recorder.next_sequence)
            last = self.recorder.run(self.desk.acting, run, place)
            if run.ordered:
                self.desk.name_order(last)
                self.venue.submit(self.desk.acting.order)
            for pipeline, made in self.desk.follow(place, run.stop):
                self.recorder.run(pipeline, made, run.stop)
            place = run.stop

    def read(self, stream):
        return self.reader.read(stream)


def without_frames(records):
    """Return records as bytes, their checksums, which depend on the segment, left out."""
    records = records.copy()
    records["crc"] = 0
    return records.tobytes()


@pytest.fixture(scope="module")
def singly(shelf, tmp_path_factory):
    return Written(tmp_path_factory.mktemp("singly"), shelf)


def test_everything_is_under_the_name_of_its_decision(singly):
    """Decisions name their input, rows and orders name their decision, and sequences have no gap."""
    inputs, decisions, orders = (singly.read(name) for name in ("inputs", "decisions", "orders"))
    rows = [singly.read(name) for name in singly.reader.streams() if name.startswith("rows-")]
    sequences = np.concatenate([each["sequence"] for each in (inputs, decisions, orders, *rows)])
    assert np.array_equal(np.sort(sequences), np.arange(1, sequences.size + 1))
    assert np.isin(decisions["input_sequence"], inputs["sequence"]).all()
    assert orders.size > 5
    champion = decisions[decisions["role"] == Role.CHAMPION]
    assert orders["decision"].tolist() == champion["sequence"][champion["quantity"] != 0.0].tolist()
    for each in rows:
        (version,) = set(decisions["version"][np.isin(decisions["sequence"], each["decision"])].tolist())
        scored = decisions[(decisions["version"] == version) & np.isfinite(decisions["score"])]
        assert each["decision"].tolist() == scored["sequence"].tolist()
        assert each["scores"][:, 0].tolist() == scored["score"].tolist()


def test_what_is_written_passes_verification(singly):
    """Every frame that the kernel wrote is whole."""
    assert verify(singly.reader.folder).problems == []


def test_segments_that_take_no_run_hold_the_same_records(singly, shelf, tmp_path):
    """A run that crosses segments is written stream by stream: the same records in the same order."""
    tiny = Written(tmp_path, shelf, segment_bytes=TINY)
    assert len(list((tmp_path / "streams" / "inputs").glob("*.seg"))) > 10
    for stream in singly.reader.streams():
        assert without_frames(tiny.read(stream)) == without_frames(singly.read(stream)), stream


@pytest.mark.parametrize("stretch", [7, 300])
def test_a_stretch_at_once_writes_what_events_alone_write(singly, shelf, tmp_path, stretch):
    """Rows that find no room to wait, and decisions of many events at once, are what they are one by one."""
    assert stretch < ROWS_WAITING or stretch > 2 * ROWS_WAITING
    many = Written(tmp_path, shelf, stretch=stretch)
    for stream, left_out in (("decisions", {"sequence", "input_sequence"}), ("orders", {"sequence", "decision"})):
        mine, theirs = (np.sort(each.read(stream), order=["sequence"]) for each in (many, singly))
        mine, theirs = (each[np.argsort(each["version"], kind="stable")] for each in (mine, theirs))
        for name in set(mine.dtype.names or ()) - left_out - {"crc", "epoch"}:
            assert np.array_equal(mine[name], theirs[name], equal_nan=name not in {"role", "flags"}), (stream, name)
