"""`tradeworthy watch`: one moment of a desk from its record alone; and `tradeworthy calibrate`."""

import json

import msgspec
import pytest
from command_words import tell
from small_project import at, looked_at

from tradeworthy.apps.cli.watching import duration
from tradeworthy.apps.following import LATEST, Follower
from tradeworthy.apps.keeping import RunSummary
from tradeworthy.core.time import VirtualClock


@pytest.fixture(scope="module")
def traded():
    """A project that has traded to the end of its file."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def frame(traded):
    """Its last moment."""
    return Follower(traded).frame()


def summary(project):
    """Return what the engine said of its own run."""
    (path,) = project.places.runs.glob("*.json")
    return msgspec.json.decode(path.read_bytes(), type=RunSummary)


def test_the_figures_are_the_engines(traded, frame):
    """Profit, fees, position and counts, added up from the tape, are those that the engine had at the end."""
    said = summary(traded)
    assert frame.pnl_after_costs == pytest.approx(said.equity, abs=1e-6)
    assert frame.fees == pytest.approx(said.fees)
    assert frame.positions == pytest.approx({s: q for s, q in said.positions.items() if q})
    assert (frame.decisions, frame.fills) == (said.decisions, said.fills)
    assert sum(frame.denials.values()) >= sum(count for code, count in said.denied.items() if code.startswith("F"))


def test_a_finished_desk_says_so(traded, frame):
    """No engine, no watcher, and the champion with its age."""
    assert (frame.engine, frame.trading, frame.watcher) == ("not running", "yes", None)
    assert frame.champion == traded.registry.list()[0].version[:16]
    assert frame.champion_age_s >= 0
    assert frame.behind_records > 0


def test_the_latest_decisions_come_newest_first(frame):
    """A few of the last decisions, each with its time and verdict."""
    times = [line.time for line in frame.latest]
    assert len(times) == LATEST
    assert times == sorted(times, reverse=True)
    assert frame.latest[0].instrument == "ABC"


def test_a_second_frame_reads_only_what_is_new(traded, frame):
    """Looking again at a finished desk changes no figure, and knows the rate since the first look."""
    follower = Follower(traded)
    follower.frame()
    again = follower.frame()
    assert again.decisions_per_s == 0.0
    assert (again.decisions, again.pnl_after_costs) == (frame.decisions, frame.pnl_after_costs)


def test_before_the_first_run_there_is_nothing_to_see(tmp_path):
    """A desk without a tape has a frame all the same."""
    frame = Follower(at("promoted", tmp_path)).frame()
    assert (frame.events, frame.decisions, frame.event_time, frame.latest) == (0, 0, "", [])
    assert frame.pnl_after_costs == 0.0


def test_a_halt_is_shown(tmp_path):
    """Halted scopes stand in the place of trading."""
    project = at("traded", tmp_path)
    project.halt("ABC", actor="ann", reason="drill")
    assert Follower(project).frame().trading == "halted: instrument:ABC"


def test_a_clock_that_stands_gives_no_rate(tmp_path):
    """Without time between two frames there is no rate, and no division by zero."""
    project = at("traded", tmp_path)
    project.clock = VirtualClock(10)
    follower = Follower(project)
    follower.frame()
    assert follower.frame().decisions_per_s is None


def test_one_frame_is_printed(traded, capsys):
    """--once prints the figures, the latest decisions and what is open."""
    code, out, _ = tell(capsys, "watch", "--once", "-p", traded.folder)
    assert code == 0
    for word in ("P&L after costs", "Latest decisions", "Open findings: 0", "never ran", "not running"):
        assert word in out


def test_one_frame_as_json(traded, capsys, frame):
    """--json prints one document with the same figures."""
    code, out, _ = tell(capsys, "watch", "--json", "-p", traded.folder)
    assert (code, json.loads(out)["decisions"]) == (0, frame.decisions)


def test_durations_are_short():
    """A person reads the largest unit."""
    assert [duration(s) for s in (0.4, 59, 60, 7_200, 90_000)] == ["0 s", "59 s", "1 min", "2 h", "1 d"]


@pytest.fixture(scope="module")
def calibrated(traded):
    """The operating table of the champion."""
    return traded.calibrate()


def test_every_calibrated_monitor_has_its_table(traded, calibrated):
    """Asked rate, smallest shift and delays for each feature; harms of performance by points of accuracy."""
    tables = {table.monitor: table for table in calibrated.monitors}
    assert [line.name for line in tables["drift"].series] == list(
        traded.registry.load(int(calibrated.version[:16], 16)).program.names
    )
    assert tables["drift"].false_alarms_per_10k == traded.settings.monitor.drift.false_alarms_per_10k
    assert all(name.startswith("accuracy") for name in tables["performance"].series[0].delays)


def test_a_monitor_without_a_reference_is_named(calibrated):
    """What has no table is said to have none."""
    assert all("no operating table" in note or "too few" in note for note in calibrated.notes)


def test_calibrate_prints_the_table(traded, capsys, calibrated):
    """The command prints the rate asked and the smallest shift seen; with --json the same table as a document."""
    code, out, _ = tell(capsys, "calibrate", "-p", traded.folder)
    assert code == 0
    assert "false alarms per 10,000" in out
    code, out, _ = tell(capsys, "calibrate", "champion", "-p", traded.folder, "--json")
    assert msgspec.json.decode(out, type=type(calibrated)) == calibrated
