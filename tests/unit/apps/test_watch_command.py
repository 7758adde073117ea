"""`tradeworthy watch`: one moment of a desk from its record alone; and `tradeworthy calibrate`."""

import json

import msgspec
import pytest
from command_words import tell
from rich.console import Console
from small_project import at, looked_at

from tradeworthy.apps.captions import write_caption
from tradeworthy.apps.cli.watching import BEFORE, duration, frame_view
from tradeworthy.apps.commands.calibrating import OFTEN, WORTH, HarmLine, harm_lines
from tradeworthy.apps.commands.handling import CaseLine, WatcherStatus
from tradeworthy.apps.dashboard.following import LATEST, Follower, change_of
from tradeworthy.apps.deployment.keeping import RunSummary
from tradeworthy.change.release.standing import stand
from tradeworthy.change.watch.monitors import monitors_of
from tradeworthy.core import facts
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.monitor.labelled_delays import OF_LABELLED
from tradeworthy.judge.monitor.ranges import TOGETHER
from tradeworthy.record.ledger import Entry


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


def standing(entries):
    """Return what facts about a challenger add up to."""
    fact = facts.RetrainStarted(trigger="data_drift: x rose", first_sequence=1, last_sequence=2)
    known = {"ts_ns": 0, "actor": "policy", "reason": "why", "hash": ""}
    return stand([Entry(number=number, fact=each, **known) for number, each in enumerate([fact, *entries], 1)])


def test_how_far_a_challenger_has_come_is_said_in_a_few_words():
    """Every step from its training to its end."""
    version = "ab" * 32
    ended = facts.RetrainEnded(version=version)
    judged = {
        passed: facts.GateJudged(
            version=version, profile="quick", passed=passed, failed_checks=[], report_path="r", report_digest="0"
        )
        for passed in (True, False)
    }
    shadow, champion, retired = (
        facts.VersionPromoted(version=version, role=role, env="paper") for role in ("shadow", "champion", "retired")
    )
    steps = [
        ([], "a challenger trains (data_drift)"),
        ([facts.RetrainEnded(version=None, error="too few rows")], "the last retraining failed: too few rows"),
        ([ended], "abababababababab waits for the gate"),
        ([ended, judged[False]], "abababababababab was refused by the gate"),
        ([ended, judged[True]], "abababababababab passed the gate"),
        ([ended, judged[True], shadow], "abababababababab scores in shadow"),
        ([ended, judged[True], shadow, champion], "abababababababab was promoted"),
        ([ended, judged[True], shadow, retired], "abababababababab was retired"),
    ]
    for entries, said in steps:
        assert change_of(standing(entries)) == said
    assert change_of(stand([])) == "no retraining yet"


def test_a_frame_fits_eighty_columns(frame, capsys):
    """The figures stand two pairs a line, words of a case are wrapped beside its number, and many cases are counted."""
    case = CaseLine(
        number=5,
        state="open",
        severity="critical",
        kind="data_drift",
        monitor="drift",
        subject="volatility",
        count=3,
        others=[],
        first="2019-01-01T00:00:00Z",
        last="2019-01-02T00:00:00Z",
        version="ab" * 8,
        sentence="volatility has moved up: " + "0.25 on average, " * 8,
        actor="",
        reason="",
    )
    status = WatcherStatus(
        heard_s_ago=1.0,
        behind_s=0.0,
        version="ab" * 8,
        alert_delay_s_max=3.25,
        alerts_in_time=True,
        alerts_sent=1_200,
        alerts_failed=2,
        errors={},
    )
    cases = [msgspec.structs.replace(case, number=number) for number in range(1, 8)]
    busy = msgspec.structs.replace(frame, findings=cases, watcher=status, champion_age_s=200.0, decisions_per_s=1_234.5)
    Console(width=80, force_terminal=False).print(frame_view(busy))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 80
    text = "\n".join(lines)
    assert "and 2 more: tradeworthy findings --open" in text
    assert "data drift, open, 3 findings critical" in text
    for label in ("champion", "event time", "trading", "watcher", "challenger"):
        assert sum(label in line for line in lines) >= 1
    assert "1,200 sent, 2 failed" in text


def test_what_a_story_tells_stands_above_the_desk(tmp_path, capsys):
    """Where the demo plays on a desk, its chapter, its sentence, where to look and the newest words before it."""
    project, told = at("promoted", tmp_path), None
    for count in range(BEFORE + 2):
        told = write_caption(project.places.caption, f"Chapter {count}", f"step {count}", link="/watch", before=told)
    Console(width=80, force_terminal=False).print(frame_view(Follower(project).frame()))
    out = capsys.readouterr().out
    assert out.index(f"The story: Chapter {BEFORE + 1}") < out.index("champion")
    for words in (f"step {BEFORE + 1}", "on the page: /watch", f"Chapter {BEFORE}: step {BEFORE}", "Chapter 1: step 1"):
        assert words in out
    assert "step 0" not in out


def test_without_a_story_there_is_no_caption(traded, frame, capsys):
    """A desk on which no story plays has the same frame as ever, and so has one with a caption that cannot be read."""
    assert frame.caption is None
    traded.places.caption.write_bytes(b"{")
    try:
        assert Follower(traded).frame().caption is None
    finally:
        traded.places.caption.unlink()
    Console(width=80, force_terminal=False).print(frame_view(frame))
    assert "The story" not in capsys.readouterr().out


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
    names = list(traded.registry.load(int(calibrated.version[:16], 16)).program.names)
    assert [line.name for line in tables["drift"].series][: len(names)] == names
    spreads = [line for line in tables["drift"].series if line.name.startswith("spread of ")]
    assert {harm for line in spreads for harm in line.delays} == {"spread x1.5", "spread x2"}
    assert tables["drift"].false_alarms_per_10k == traded.settings.monitor.drift.false_alarms_per_10k
    assert all(name.startswith("accuracy") for name in tables["performance"].series[0].delays)
    assert [line.name for line in tables["reliability"].series] == ["bias", "confidence"]
    assert [line.name for line in tables["range"].series] == [*names, TOGETHER]
    assert all(line.delays[OFTEN] > 1.0 for line in tables["range"].series)
    assert {line.name for line in tables["reasons"].series} <= set(names)
    assert all(set(line.delays) == {WORTH} for name in ("reasons", "estimated") for line in tables[name].series)


def test_a_monitor_without_a_reference_is_named(calibrated):
    """What has no table is said to have none; of drift it is said whether the hours of the week are allowed for."""
    (drift,) = [note for note in calibrated.notes if note.startswith("drift:")]
    assert "hour of the week" in drift
    others = [note for note in calibrated.notes if note is not drift]
    assert all("no operating table" in note or "too few" in note or "looks once in" in note for note in others)


def test_every_monitor_that_is_on_has_its_rate(traded, calibrated):
    """What was asked, a day and per 10,000; what was told of held-out parts, with its interval; and all together."""
    *lines, whole = calibrated.rates
    asked = {line.monitor: line.asked_per_10k for line in lines}
    assert asked["drift"] == traded.settings.monitor.drift.false_alarms_per_10k
    assert whole.monitor == "all together"
    assert whole.asked_per_day == pytest.approx(sum(line.asked_per_day for line in lines))
    assert whole.alarms == sum(line.alarms or 0 for line in lines)
    for line in lines:
        assert line.said or line.low <= line.asked_per_day <= line.high
        assert line.per_day is None or line.low <= line.per_day <= line.high


def test_every_typical_harm_has_its_line(traded, calibrated):
    """Each harm says who hears it how soon, and how often that one is wrong; what nobody hears is said as well."""
    lines = {line.harm: line for line in calibrated.harms}
    assert list(lines) == [
        "accuracy 52% to 50%",
        "accuracy 55% to 50%",
        "mean +0.1 sd",
        "mean +0.5 sd",
        "volatility x1.5",
        "volatility x2",
        "correlation flip",
        *OF_LABELLED,
    ]
    rates = {line.monitor: line for line in calibrated.rates}
    who = {"class 1": "class_balance", "group": "fairness", "%": "performance"}
    for harm, line in lines.items():
        assert line.monitor == next((name for word, name in who.items() if word in harm), "drift")
        assert line.rate == rates[line.monitor]
        assert 0 <= line.heard <= line.series > 0
        assert line.delay is None or line.delay > 0
    assert lines["mean +0.5 sd"].delay < (lines["mean +0.1 sd"].delay or float("inf"))
    assert harm_lines([], []) == [HarmLine(harm=harm) for harm in lines]


def test_a_budget_a_day_sets_the_limits_of_the_watcher(traded):
    """What calibrate shows of a budget is what monitors made from the same settings alarm at."""
    found = traded.calibrate("champion", 0.2)
    asked = {line.monitor: line for line in found.rates}
    assert asked["all together"].asked_per_day == pytest.approx(0.2)
    settings = msgspec.structs.replace(traded.settings.monitor, false_alarms_per_day=0.2)
    number = int(found.version[:16], 16)
    monitors = monitors_of(traded.registry, number, traded.settings.instrument, settings)
    assert monitors["drift"].charts.false_alarms_per_10k == pytest.approx(asked["drift"].asked_per_10k)
    assert {table.monitor: table.false_alarms_per_10k for table in found.monitors}["drift"] == pytest.approx(
        asked["drift"].asked_per_10k
    )
    assert set(monitors) == set(asked) - {"all together"}


def test_a_budget_that_cannot_be_is_refused_by_the_command(traded, capsys):
    """More than one alarm in a hundred events, or none at all, ends with words and no trace."""
    for budget, words in (("9", "one in a hundred"), ("0", "more than 0")):
        code, _, error = tell(capsys, "calibrate", "--false-alarms-per-day", budget, "-p", traded.folder)
        assert code != 0
        assert words in " ".join(error.split())


def test_calibrate_prints_the_table(traded, capsys, calibrated):
    """The command prints the rate asked and the smallest shift seen; with --json the same table as a document."""
    code, out, _ = tell(capsys, "calibrate", "-p", traded.folder)
    assert code == 0
    assert "false alarms per 10,000" in out
    for words in (
        "False alarms over 48 events a day",
        "all together",
        "learns from the live feed",
        "accuracy 52% to 50%",
    ):
        assert words in out
    code, out, _ = tell(capsys, "calibrate", "champion", "-p", traded.folder, "--json")
    assert msgspec.json.decode(out, type=type(calibrated)) == calibrated
