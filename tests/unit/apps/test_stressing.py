"""``tradeworthy stress``: what a version bore is a fact, and evidence where it was asked for enough."""

import json

import pytest
from command_words import tell
from small_project import ADA, at, looked_at

from tradeworthy.apps.reports.rts6 import assess
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import StressTested
from tradeworthy.core.time import iso

MESSAGES = "messages at twice the highest volume of six months (article 10)"
ORDERS = "orders at twice the highest volume of six months (article 10)"


@pytest.fixture
def project(tmp_path):
    """A project that has traded."""
    return at("traded", tmp_path)


def article(project):
    """Return the lines on validation of this year's self-assessment."""
    document = assess(project, int(iso(project.clock.now_ns())[:4]))
    [part] = [part for part in document.parts if part.name.startswith("Article 9")]
    return {line.name: line for line in part.lines}


def test_a_run_at_twice_the_peak_is_evidence(project):
    """Missing before; after it, who, what it was given, what it took; the live tape is untouched."""
    before = article(project)
    assert {before[MESSAGES].verdict, before[ORDERS].verdict} == {"missing"}
    records = project.verify().records
    report = project.stress(actor=ADA, reason="yearly")
    [entry] = project.ledger.facts(StressTested)
    assert (entry.actor, entry.reason, entry.fact.passed) == (ADA, "yearly", report.ok)
    assert entry.fact.messages_per_s_driven == 2 * entry.fact.messages_per_s == 2
    told = article(project)
    assert {told[MESSAGES].verdict, told[ORDERS].verdict} == {"evidence"}
    assert f"{ADA}: {report.version[:16]}" in told[MESSAGES].said
    assert project.verify().records == records


def test_a_run_below_twice_the_peak_is_no_evidence(project):
    """It is a fact, and the article stays without evidence."""
    project.stress(factor=1.5, actor=ADA)
    assert len([*project.ledger.facts(StressTested)]) == 1
    told = article(project)
    assert {told[MESSAGES].verdict, told[ORDERS].verdict} == {"missing"}


def test_orders_that_did_not_reach_twice_the_peak_are_missing_though_messages_did(project):
    """What was asked of one volume says nothing of the other; a run that fell behind says that it did."""
    fact = StressTested(
        version="f" * 64, factor=2.0, messages_per_s=10, messages_per_s_driven=20, orders_per_minute=5,
        orders_per_minute_driven=9, events=500, dropped=3, us_p99=9e5, us_max=2e6, headroom=0.5, passed=False,
    )  # fmt: skip
    project.ledger.append(fact, actor=ADA, reason="yearly")
    told = article(project)
    assert told[ORDERS].verdict == "missing"
    assert "did NOT keep up at 20 messages a second" in told[MESSAGES].said
    assert "3 dropped" in told[MESSAGES].said


def test_the_command_leaves_with_one_where_the_version_fell_behind(project, capsys):
    """The exit code is the outcome; JSON holds peak and load."""
    code, out, _ = tell(capsys, "stress", "--project", project.folder, "--json")
    told = json.loads(out)
    assert (told["peak"]["messages_per_s"], told["driven"]["messages_per_s"], told["dropped"]) == (1, 2, 0)
    assert code == (0 if told["us_max"] <= 1e6 else 1)


def test_wrong_words_are_refused(project, capsys):
    """A factor that eases, a version that nobody knows: one line, exit code 2, no fact."""
    assert tell(capsys, "stress", "--project", project.folder, "--factor", "0.5")[0] == 2
    assert tell(capsys, "stress", "nobody", "--project", project.folder)[0] == 2
    assert [*project.ledger.facts(StressTested)] == []


def test_without_a_record_there_is_no_peak():
    """A desk that never ran has nothing to double."""
    with pytest.raises(NotFound, match="tradeworthy run"):
        looked_at("promoted").stress(actor=ADA)
