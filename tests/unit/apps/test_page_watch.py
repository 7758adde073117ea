"""The page tells each finding as a story, and has its evidence gathered by a process of its own."""

import time

import msgspec
import pytest
from cases_sample import FINDING, START, case_page
from page_visitors import ask, do, visiting
from small_project import at

from tradeworthy.apps.dashboard.layout import Visit
from tradeworthy.apps.dashboard.watch import case_view, evidence_part, watch_view
from tradeworthy.apps.reports.case_story import Answer, CasePage
from tradeworthy.apps.reports.monitored import told_of
from tradeworthy.change.access.people import Person
from tradeworthy.change.watch.explaining import read_evidence
from tradeworthy.core import facts
from tradeworthy.record.reader import TapeReader

TOM = Visit(person=Person(name="tom", roles=("trader",)), token="token", path="/watch/5")  # noqa: S106


def raised(project):
    """Raise a finding on a project that has traded, and return its number."""
    decisions = TapeReader(project.places.tape).read("decisions")
    found = msgspec.structs.replace(
        FINDING,
        subject=project.registry.load(project.resolve("newest")).program.names[0],
        sequence=int(decisions["sequence"][-1]),
        ts_event_ns=int(decisions["ts_event_ns"][-1]),
        since_ns=int(decisions["ts_event_ns"][-500]),
    )
    return project.ledger.append(facts.FindingRaised(finding=found), actor="watcher", reason="found")


def test_a_story_has_its_drawings_and_the_steps_that_one_may_take():
    """Path, distributions, Shapley shares and answers stand there without an inline style; a trader may step."""
    text = case_view(TOM, case_page(answers=[Answer(START, "policy", "reduced the size to 50%")]))
    for words in (
        "On the way to the alarm",
        "spread: moved by 2.00 standard deviations",
        "Which features account for the expected log loss",
        "reduced the size to 50%",
        "Acknowledge",
        "/decisions?before=71",
    ):
        assert words in text, words
    assert text.count("<svg") == 4
    assert "style=" not in text
    assert "Gather the evidence" not in text


def test_findings_of_one_cause_are_listed_where_there_are_several():
    """A case of one finding has no such list; one of two names both with their counts."""
    page = case_page()
    assert "Of one cause" not in case_view(TOM, page)
    page.case.causes["range", "data_drift", "volume"] += 3
    text = case_view(TOM, page)
    assert "Of one cause" in text
    assert "<td>volume</td>" in text


@pytest.mark.parametrize(
    ("gathering", "failure", "said", "asks"),
    [
        ("absent", "", "Nothing has been gathered", False),
        ("running", "", "A process of its own reads the tape", True),
        ("failed", "NotFound: no rows", "Explaining it failed: NotFound: no rows", False),
    ],
)
def test_evidence_that_is_not_there_says_what_to_do(gathering, failure, said, asks):
    """A button while nobody gathers it; while somebody does, the part asks for itself again."""
    page = CasePage(case_page().case, None, gathering=gathering, failure=failure)
    text = evidence_part(TOM, page)
    assert said in text
    assert ("hx-trigger" in text) == asks
    assert ("Gather the evidence" in text) != asks


def test_a_finding_before_the_first_champion_cannot_be_explained():
    """It says so, and offers no button."""
    page = CasePage(case_page().case, None)
    page.case.version = ""
    text = evidence_part(TOM, page)
    assert "before the first champion" in text
    assert "Gather" not in text


def test_nothing_found_and_nobody_watching_are_told_apart(tmp_path):
    """An empty list is good news only beside a watcher."""
    with visiting(at("promoted", tmp_path), "tom") as client:
        assert "Nobody has watched yet" in client.get("/watch").text
        frame = client.app.state.deployment.frame()
    assert "Nobody has watched yet" in watch_view(frame, [], None)


def test_many_cases_are_listed_and_the_newest_drawn(tmp_path):
    """The axis stays readable; the list leaves none out."""
    with visiting(at("promoted", tmp_path), "tom") as client:
        frame = client.app.state.deployment.frame()
    text = watch_view(frame, [case_page().case] * 31, None)
    assert "The newest 30 of 31 are drawn" in text
    assert text.count("<li><h3>") == 31


def test_the_evidence_is_gathered_when_asked_for(tmp_path):
    """The form starts a process; once it has written the evidence, the page shows it."""
    project = at("traded", tmp_path)
    number = raised(project)
    with visiting(project, "tom") as client:
        assert "Gather the evidence" in client.get(f"/watch/{number}").text
        assert do(client, f"/do/watch/{number}/explain").headers["location"] == f"/watch/{number}"
        ends = time.monotonic() + 120
        while read_evidence(project.places.watcher, number) is None and time.monotonic() < ends:
            time.sleep(0.2)
        text = client.get(f"/watch/{number}/evidence").text
        assert "Which features account for" in text
        assert client.get(f"/api/v1/findings/{number}/evidence").json()["number"] == number


def test_a_part_of_a_page_takes_no_notice(tmp_path):
    """What a form did is told by the whole page, whoever asked for a part of it in between."""
    project = at("promoted", tmp_path)
    number = project.ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="found")
    with visiting(project, "tom") as client:
        do(client, f"/do/watch/{number}/acknowledge", reason="mine")
        assert "Acknowledged." not in client.get(f"/watch/{number}/evidence").text
        assert "Acknowledged." in client.get(f"/watch/{number}").text


def test_what_does_not_exist_is_not_found(tmp_path):
    """Neither a case nor its evidence: 404 in words; nothing to gather either."""
    with visiting(at("promoted", tmp_path), "tom") as client:
        assert client.get("/watch/77").status_code == 404
        assert "tradeworthy findings" in client.get("/api/v1/findings/77/evidence").json()["error"]
        assert do(client, "/do/watch/77/explain").status_code in (303, 404)


def test_a_finding_without_evidence_is_not_found_as_json(tmp_path):
    """The answer says how to have it gathered."""
    project = at("traded", tmp_path)
    number = raised(project)
    with visiting(project, "tom") as client:
        answer = client.get(f"/api/v1/findings/{number}/evidence")
        assert answer.status_code == 404
        assert "explain" in answer.json()["error"]
        assert ask(client, f"/api/v1/findings/{number}/explain").status_code == 200


def test_the_policys_answer_belongs_to_the_case_of_its_finding(tmp_path):
    """An answer names the finding, which may not be the first of its case; a rehearsal says that it is one."""
    project = at("promoted", tmp_path)
    ledger = project.ledger
    first = ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="r")
    again = msgspec.structs.replace(FINDING, sequence=90, subject="volume")
    second = ledger.append(facts.FindingRaised(finding=again), actor="watcher", reason="r")
    ledger.append(facts.FindingAnswered(finding=second, did="reduced to 50%", share=0.5), actor="policy", reason="r")
    ledger.append(facts.FindingAnswered(finding=999, did="halted"), actor="policy", reason="r")
    ledger.append(facts.FindingAnswered(finding=first, did="halted", dry_run=True), actor="policy", reason="r")
    told = told_of(ledger.facts())
    [case] = told.cases.by_number.values()
    assert [answer.said for answer in told.answers(case)] == ["reduced to 50%", "in rehearsal: halted"]
