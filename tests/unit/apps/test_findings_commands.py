"""`tradeworthy findings`: listed, taken on, closed; and the watcher's state in `status`."""

import json

import msgspec
import pytest
from command_words import tell
from small_project import at

from tradeworthy.change.alerts.delivery import SinkState
from tradeworthy.change.watch.pulse import Pulse, write_pulse
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_S

FINDING = Finding(
    monitor="drift",
    subject="volatility",
    kind="data_drift",
    sequence=7,
    ts_event_ns=1_600_000_000 * NS_PER_S,
    since_ns=1_590_000_000 * NS_PER_S,
    observed=2.0,
    reference=1.0,
    unit="units of volatility",
    statistic=9.0,
    threshold=5.0,
    false_alarms_per_10k=1.0,
    sentence="volatility has moved up.",
)


@pytest.fixture
def project(tmp_path):
    """A project in which a monitor has found two things, one of them twice."""
    made = at("promoted", tmp_path)
    for subject, after_s in (("volatility", 0), ("spread", 100_000_000), ("volatility", 0)):
        since_ns, at_ns = (stamp + after_s * NS_PER_S for stamp in (FINDING.since_ns, FINDING.ts_event_ns))
        found = msgspec.structs.replace(FINDING, subject=subject, since_ns=since_ns, ts_event_ns=at_ns)
        made.ledger.append(facts.FindingRaised(finding=found), actor="watcher", reason="found")
    return made


def first_number(project):
    """Return the number of the first case."""
    return project.findings().cases[0].number


def test_repeats_are_one_line(project):
    """The list shows each cause once, with how often it was found."""
    cases = project.findings().cases
    assert [(case.subject, case.count, case.state) for case in cases] == [
        ("volatility", 2, "open"),
        ("spread", 1, "open"),
    ]
    assert cases[0].version == project.registry.list()[0].version[:16]
    assert cases[0].first == "2020-09-13T12:26:40Z"


def test_acknowledging_and_closing_are_recorded(project):
    """Who did it and why is part of the answer and of the ledger."""
    number = first_number(project)
    assert project.acknowledge(number, actor="ann", reason="mine").state == "acknowledged"
    assert project.close_finding(number, actor="ann", reason="fed holiday").reason == "fed holiday"
    assert [case.subject for case in project.findings(open_only=True).cases] == ["spread"]
    assert [entry.actor for entry in project.ledger.facts(facts.FindingAcknowledged, facts.FindingClosed)] == [
        "ann"
    ] * 2


def test_an_unknown_number_is_refused(project):
    """A number that names no case is answered with those that do."""
    with pytest.raises(NotFound, match="no finding has number 999"):
        project.close_finding(999, actor="ann", reason="why")


def test_the_commands_do_the_same(project, capsys):
    """List, take on, close and list again from the command line."""
    number, folder = first_number(project), project.folder
    code, out, _ = tell(capsys, "findings", "-p", folder)
    assert (code, "volatility has moved up." in out) == (0, True)
    code, out, _ = tell(capsys, "findings", "ack", number, "-p", folder, "--actor", "ann", "--reason", "mine", "--json")
    assert (code, json.loads(out)["state"]) == (0, "acknowledged")
    code, out, _ = tell(capsys, "findings", "-p", folder, "close", number, "--actor", "ann", "--reason", "known")
    assert (code, "closed" in out) == (0, True)
    code, out, _ = tell(capsys, "findings", "--open", "-p", folder, "--json")
    assert [case["subject"] for case in json.loads(out)["cases"]] == ["spread"]
    code, out, _ = tell(capsys, "findings", "-p", folder)
    assert "closed by ann: known" in out


def test_a_reason_is_asked_for(project, capsys):
    """Without a reason nothing is done, with exit code 2."""
    code, _, err = tell(capsys, "findings", "ack", first_number(project), "-p", project.folder)
    assert (code, "--reason" in err) == (2, True)
    assert project.findings().cases[0].state == "open"


def test_nothing_found_is_said(tmp_path, capsys):
    """An empty list is a sentence."""
    project = at("fresh", tmp_path)
    assert "nothing was found" in tell(capsys, "findings", "-p", project.folder)[1]
    assert "nothing is open" in tell(capsys, "findings", "--open", "-p", project.folder)[1]


def pulse(project, **sink: object):
    """Leave a watcher's state as of three seconds ago."""
    now_ns = project.clock.now_ns()
    state = SinkState(name="log", **({"sent": 2, "delay_ns_max": 1_500_000_000} | sink))
    write_pulse(
        project.places.watcher,
        Pulse(
            ts_ns=now_ns - 3 * NS_PER_S,
            version="a" * 16,
            reached=10,
            records=10,
            decisions=4,
            caught_up_ns=now_ns - 4 * NS_PER_S,
            sinks=[state],
        ),
    )


def test_status_shows_the_watcher_and_the_slowest_alert(project):
    """How long ago it was heard, how far behind it was, and whether alerts were in time."""
    assert project.status().watcher is None
    pulse(project)
    status = project.status()
    assert status.findings_open == 2
    assert 3.0 <= status.watcher.heard_s_ago < 60.0
    assert status.watcher.behind_s == pytest.approx(1.0)
    assert (status.watcher.alert_delay_s_max, status.watcher.alerts_in_time) == (1.5, True)


@pytest.mark.parametrize("sink", [{"delay_ns_max": 5_100_000_000}, {"failed": 1, "error": "500"}])
def test_late_and_lost_alerts_are_not_in_time(project, sink):
    """More than five seconds, or one alert given up, is said."""
    pulse(project, **sink)
    assert not project.status().watcher.alerts_in_time


def test_status_prints_it(project, capsys):
    """The command shows the same words."""
    pulse(project, failed=1, error="firm.example answered 500")
    code, out, _ = tell(capsys, "status", "-p", project.folder)
    assert code == 0
    assert "alert delay s max" in out
    assert "firm.example answered 500" in out
