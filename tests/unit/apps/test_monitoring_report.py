"""The report on monitoring: every case told, drawn and escaped, and honest about what is missing."""

import html.parser
import re
from collections import Counter

import msgspec
import numpy as np
import pytest
from cases_sample import FINDING, START, case_page, change
from command_words import tell
from small_project import at

from tradeworthy.apps.reports.case_story import Answer, CasePage, drawn
from tradeworthy.apps.reports.monitored import monitoring_report
from tradeworthy.apps.reports.monitoring_report import MonitoringReport, render_monitoring
from tradeworthy.change.alerts.delivery import SinkState
from tradeworthy.change.watch.explaining import CaseEvidence
from tradeworthy.change.watch.pulse import Pulse
from tradeworthy.change.watch.sight import MonitorSight, Series, Sight
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.record.reader import TapeReader

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m</td>"


def report(*cases: CasePage, delay_s=0.5, sight=None):
    """Return a report's values."""
    sink = SinkState(name="log", sent=1, delay_ns_max=int(delay_s * 1e9))
    pulse = Pulse(ts_ns=START, version="ab", reached=1, records=1, decisions=1, caught_up_ns=START, sinks=[sink])
    span = START, START + 30 * NS_PER_DAY
    return MonitoringReport("a desk", "paper", START, span, cases, pulse, sight)


class Reader(html.parser.HTMLParser):
    """Reads a page and checks that elements close in order."""

    def __init__(self, text) -> None:
        super().__init__()
        self.open, self.tags, self.words = [], Counter(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Remember an element that must be closed."""
        self.tags[tag] += 1
        self.handlers = [name for name, _ in attrs if name.startswith("on")]
        assert self.handlers == []
        if tag not in {"meta", "br", "hr", "col"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the element opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collect what is read."""
        self.words.append(data)


def test_a_case_is_told_whole():
    """When, how far, the path, what moved, what it costs, by which feature, and what was done."""
    page = Reader(render_monitoring(report(case_page(answers=[Answer(START, "policy", "started a retraining")]))))
    said = " ".join(page.words)
    for words in (
        "spread has moved up.",
        "On the way to the alarm",
        "spread: moved by 2.00 standard deviations",
        "expected to change the log loss by +0.02000 a decision",
        "nothing is said of what was realised",
        "Which features account for the expected log loss",
        "Shapley values of a test",
        "started a retraining",
    ):
        assert words in said
    assert page.tags["svg"] == 5
    assert page.open == []


def test_a_finding_that_dates_no_change_is_marked_where_it_rises():
    """A drawdown told at half of its limit: the way to the limit, and the last moment at which nothing was lost."""
    item = case_page(since_ns=FINDING.ts_event_ns, statistic=0.5, threshold=1.0)
    stamps = [FINDING.ts_event_ns - NS_PER_HOUR * n for n in range(5, -1, -1)]
    path = [*zip(stamps, (0.0, 0.3, 0.0, 0.1, 0.4, 0.5), strict=True)]
    drawn_of = msgspec.structs.replace(item.evidence, path=path, finding=item.case.first, change=None)
    chart = str(drawn(CasePage(item.case, drawn_of)))
    assert "On the way to the limit" in chart
    assert "rises from here" in chart
    assert "estimated change" not in chart
    points = re.findall(r"[ML]([\d.]+) ", re.search(r'<path d="([^"]+)" class="curve', chart)[1])
    assert re.findall(r'<line x1="([\d.]+)" x2="\1" [^>]*class="mark"', chart) == [points[2]]


def test_realised_losses_and_the_rest_are_told():
    """With labels the page says what was realised, and what no feature explains."""
    known = {"realised_now": 0.75, "realised_low": 0.7, "realised_high": 0.8, "labelled": 300, "rest": 0.05}
    item = case_page()
    kept = msgspec.structs.replace(item.evidence, change=change(**known))
    said = " ".join(Reader(render_monitoring(report(CasePage(item.case, kept)))).words)
    assert "Realised on 300 labelled decisions: 0.75000 (95%: 0.70000 to 0.80000) against 0.68000" in said
    assert "The rest, +0.05000" in said


def test_the_findings_own_feature_is_drawn_first():
    """Other features may have moved further; the one that was heard is what people ask for."""
    item = case_page(subject="third")
    kept = msgspec.structs.replace(item.evidence, change=change(("a", "b", "c", "third")))
    said = " ".join(Reader(render_monitoring(report(CasePage(item.case, kept)))).words)
    assert said.index("third: moved by") < said.index("a: moved by")


def test_hostile_text_is_shown_and_not_run():
    """Names of features, sentences, reasons and versions are text, whatever they hold."""
    item = case_page(subject=HOSTILE, sentence=HOSTILE, unit=HOSTILE, monitor=HOSTILE, kind=HOSTILE)
    kept = msgspec.structs.replace(item.evidence, change=change((HOSTILE, "b")))
    answers = [Answer(START, HOSTILE, HOSTILE)]
    item.case.actor, item.case.reason = HOSTILE, HOSTILE
    text = render_monitoring(report(CasePage(item.case, kept, answers)))
    page = Reader(text)
    assert "script" not in page.tags
    assert page.open == []
    assert "\x1b" not in text
    assert any("<script>" in words for words in page.words)
    assert "default-src &#x27;none&#x27;" in text


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (None, "The evidence was not gathered."),
        (
            CaseEvidence(number=5, version="ab", finding=FINDING, path=[], change=None, said="too few rows"),
            "No explanation: too few rows.",
        ),
    ],
)
def test_what_is_missing_is_said(evidence, said):
    """A case without evidence is no case without reasons."""
    page = Reader(render_monitoring(report(CasePage(case_page().case, evidence))))
    assert said in page.words
    assert "neither the policy nor a person has answered" in " ".join(page.words)


def test_nothing_found_is_said_and_is_not_nothing_watched():
    """Silence of a watcher and the absence of one are told apart."""
    assert "Nothing was found." in render_monitoring(report())
    quiet = MonitoringReport("a desk", "paper", START, (START, START + 1), (), None, None)
    text = render_monitoring(quiet)
    assert "Nothing was watched." in text
    assert "No watcher ever ran" in text


def test_every_monitor_is_listed_with_what_it_has_found():
    """The one without a running statistic too; names are shown as they are, and repeats count."""
    item = case_page()
    (found, times), *_ = item.case.causes.items()
    series = [
        Series(subject="spread", instrument="ETH", shares=[0.9, 0.25]),
        Series(subject="<b>wide</b>", instrument="ETH", shares=[0.1, 0.5]),
    ]
    monitors = [
        MonitorSight(monitor=found[0], false_alarms_per_10k=1.0, operating=[], series=series),
        MonitorSight(monitor="fairness", false_alarms_per_10k=0.2, operating=[], series=[]),
    ]
    text = render_monitoring(report(item, sight=Sight(version="ab" * 8, ts_ns=[START], monitors=monitors)))
    words = "|".join(Reader(text).words)
    assert f"{found[0]}|<b>wide</b>|0.50|{times}" in words
    assert "fairness|looks by windows|0" in words
    assert "<b>wide" not in text
    assert "No monitor was at work." in render_monitoring(report())


def test_late_alerts_are_told():
    """More than five seconds is not kept."""
    assert "slowest 6.50 s" in render_monitoring(report(delay_s=6.5))
    assert "did not hold" in render_monitoring(report(delay_s=6.5))


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A project that has traded, with a finding that the policy answered and a person closed."""
    project = at("traded", tmp_path_factory.mktemp("monitored"))
    decisions = monitoring_decisions(project)
    made = msgspec.structs.replace(
        FINDING,
        subject=project.registry.load(project.resolve("newest")).program.names[0],
        sequence=int(decisions["sequence"][-1]),
        ts_event_ns=int(decisions["ts_event_ns"][-1]),
        since_ns=int(decisions["ts_event_ns"][-500]),
    )
    ledger, version = project.ledger, "cd" * 32
    number = ledger.append(facts.FindingRaised(finding=made), actor="watcher", reason="found")
    trigger = f"{made.kind}: {made.sentence}"
    started = facts.RetrainStarted(trigger=trigger, first_sequence=1, last_sequence=2)
    ledger.append(started, actor="policy", reason=trigger)
    ledger.append(facts.RetrainEnded(version=version), actor="policy", reason="trained")
    judged = facts.GateJudged(
        version=version, profile="quick", passed=False, failed_checks=["latency"], report_path="r", report_digest="0"
    )
    ledger.append(judged, actor="policy", reason="challenger")
    ledger.append(
        facts.RetrainStarted(trigger="schedule", first_sequence=1, last_sequence=2), actor="policy", reason="s"
    )
    ledger.append(facts.RetrainEnded(version="ef" * 32), actor="policy", reason="trained")
    project.close_finding(number, actor="ann", reason="known")
    return project


def monitoring_decisions(project):
    """Return the champion's decisions on the tape."""
    return TapeReader(project.places.tape).read("decisions")


def test_it_is_filled_from_the_record(traded):
    """The case with its evidence, and only its own answers, in order."""
    [item] = monitoring_report(traded).cases
    assert [answer.said for answer in item.answers] == [
        "started a retraining because of it",
        "trained version cdcdcdcdcdcdcdcd",
        "the gate refused cdcdcdcdcdcdcdcd (latency)",
        "closed: known",
    ]
    assert item.evidence.change.rows == 500
    total = sum(each.loss for each in item.evidence.change.features)
    assert np.isclose(total, item.evidence.change.effect.change, atol=1e-12)


def test_the_command_writes_it(traded, capsys):
    """One file in the state folder; what the evidence cost once is kept."""
    code, out, _ = tell(capsys, "report", "monitoring", "-p", traded.folder, "--json")
    path = msgspec.json.decode(out)["path"]
    assert (code, path.endswith("monitoring.html")) == (0, True)
    assert list((traded.places.watcher / "findings").glob("*/evidence.json"))


def test_other_words_are_refused(traded, capsys):
    """A report on anything else names the two that there are."""
    code, _, err = tell(capsys, "report", "weather", "-p", traded.folder)
    assert code == 2
    assert "'run'" in err
    assert "'monitoring'" in err


def test_before_anything_was_decided_it_says_what_to_do(tmp_path):
    """There is nothing to report on a desk that never ran."""
    with pytest.raises(NotFound, match="tradeworthy run"):
        monitoring_report(at("promoted", tmp_path))
