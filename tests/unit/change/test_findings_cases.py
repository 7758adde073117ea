"""Findings as cases: repeats of one cause are one case, people take it on and close it, little is told twice."""

import msgspec
import pytest
from change_facts import finding, lines, promoted, raised, rolled_back

from tradeworthy.change.watch.findings import REMIND_NS, acknowledge, cases_of, close, gravity, read_cases
from tradeworthy.core import facts
from tradeworthy.core.errors import DataInvalid, NotFound, ReleaseRefused
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.ledger import Ledger


@pytest.fixture
def ledger():
    """A ledger with three findings of two causes."""
    made = Ledger("sqlite://", clock=VirtualClock(1_000))
    for fact in (raised(sequence=10), raised("performance", 20), raised(sequence=30)):
        made.append(fact, actor="watcher", reason="found")
    return made


def grave(severity, sequence=10):
    """Return a finding of that severity."""
    return facts.FindingRaised(finding=msgspec.structs.replace(finding(sequence=sequence), severity=severity))


def told(entries):
    """Return the ledger numbers that were worth an alert."""
    cases = cases_of([])
    return [entry.number for entry in entries if cases.apply(entry) is not None]


def test_repeats_of_one_cause_are_one_case(ledger):
    """Two findings of one monitor about one subject are one case, with the first and the last."""
    drift, performance = read_cases(ledger).by_number.values()
    assert (drift.number, drift.count, drift.first.sequence, drift.last.sequence) == (1, 2, 10, 30)
    assert (performance.number, performance.count) == (2, 1)


def found(subject, since_ns, sequence, kind="data_drift"):
    """Return a finding whose change began at one time and was heard at another."""
    return facts.FindingRaised(finding=finding(kind, sequence, subject, since_ns))


def counts(entries):
    """Return number and count of every case."""
    return [(case.number, case.count) for case in cases_of(lines(*entries)).by_number.values()]


def test_what_began_together_is_one_case():
    """Drift, and what else is heard of the change before or while it was heard, have one cause."""
    entries = found("volatility", 50, 100), found("spread", 90, 400), found("return", 10, 60), found("volume", 100, 100)
    assert counts(entries) == [(1, 4)]
    case = cases_of(lines(*entries)).of(1)
    assert [subject for _, _, subject in case.causes] == ["volatility", "spread", "return", "volume"]
    assert (case.first.subject, case.last.subject) == ("volatility", "volume")


def test_a_case_is_told_in_the_words_of_what_opened_it():
    """Others that join do not take its words, the newest of the very cause does, and what is graver does."""
    again, other, graver = (grave(severity).finding for severity in ("warning", "warning", "critical"))
    again = msgspec.structs.replace(again, sentence="again")
    other = msgspec.structs.replace(other, subject="spread", sentence="other")
    graver = msgspec.structs.replace(graver, subject="tails", sentence="graver")
    entries = [facts.FindingRaised(finding=each) for each in (again, other, graver, again)]
    entries.insert(0, grave("warning"))
    told = [cases_of(lines(*entries[:count])).of(1).told.sentence for count in range(2, 6)]
    assert told == ["again", "again", "graver", "graver"]


def test_what_began_after_the_first_alarm_is_another_case():
    """However long a case goes on, it does not swallow what is new: the first alarm is what counts."""
    entries = found("volatility", 50, 100), found("volatility", 50, 900), found("spread", 101, 950)
    assert counts(entries) == [(1, 2), (3, 1)]


def test_a_repeat_joins_its_own_case_before_any_other():
    """The very same cause comes before what merely began at the time."""
    entries = found("volatility", 50, 100), found("spread", 101, 300), found("volatility", 200, 400)
    assert counts(entries) == [(1, 2), (2, 1)]


def test_the_newest_of_two_that_fit_is_joined():
    """A change that may belong to two cases is put to the later one."""
    entries = found("volatility", 0, 100), found("spread", 101, 300), found("return", 50, 250)
    assert counts(entries) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("kind", ["security", "storage"])
def test_security_and_storage_stand_alone(kind):
    """Who probes the desk while prices move is nobody's repeat."""
    assert counts([found("volatility", 50, 100), found("probing", 60, 100, kind)]) == [(1, 1), (2, 1)]
    assert counts([found("probing", 50, 100, kind), found("disk", 60, 100, kind)]) == [(1, 2)]


def test_a_kind_that_joins_a_case_is_told():
    """Drift that turns out to do harm is news, once; more drift is not."""
    entries = [
        found("a", 0, 9),
        found("b", 0, 9),
        found("loss", 0, 9, "performance"),
        found("loss", 0, 9, "performance"),
    ]
    assert told(lines(*entries)) == [1, 3]
    taken = facts.FindingAcknowledged(finding=1)
    assert told(lines(entries[0], taken, *entries[1:])) == [1, 4]
    assert cases_of(lines(*entries)).of(1).kinds == ["data_drift", "performance"]


@pytest.mark.parametrize("change", [promoted("b"), rolled_back("a", "b")])
def test_a_new_champion_opens_new_cases(change):
    """Monitors are calibrated afresh for a new champion, so its findings are not repeats of the old one's."""
    cases = cases_of(lines(promoted("a"), raised(), change, raised()))
    assert [(case.number, case.count) for case in cases.by_number.values()] == [(2, 1), (4, 1)]


def test_a_shadow_changes_no_case():
    """A version in shadow is not what findings are about."""
    assert len(cases_of(lines(promoted("a"), raised(), promoted("b", "shadow"), raised())).by_number) == 1


def test_a_person_acknowledges_and_closes(ledger):
    """Each step is a fact with actor and reason, and the case shows the last one."""
    case = acknowledge(ledger, 1, actor="ann", reason="looking")
    assert (case.state, case.actor, case.reason) == ("acknowledged", "ann", "looking")
    case = close(ledger, 1, actor="bob", reason="venue changed its tick")
    assert (case.state, case.actor) == ("closed", "bob")
    assert [type(entry.fact).__name__ for entry in ledger.facts()[-2:]] == ["FindingAcknowledged", "FindingClosed"]
    assert [case.number for case in read_cases(ledger).unsettled()] == [2]


def test_a_case_can_be_closed_at_once(ledger):
    """Who knows the cause need not acknowledge first."""
    assert close(ledger, 2, actor="ann", reason="a drill").state == "closed"


def test_after_a_close_the_next_one_opens_anew(ledger):
    """A settled cause that returns is news."""
    close(ledger, 1, actor="ann", reason="settled")
    ledger.append(raised(sequence=40), actor="watcher", reason="found")
    assert [(case.number, case.count, case.state) for case in read_cases(ledger).by_number.values()] == [
        (1, 2, "closed"),
        (2, 1, "open"),
        (5, 1, "open"),
    ]


@pytest.mark.parametrize("step", [acknowledge, close])
def test_an_unknown_number_is_refused(ledger, step):
    """The number of a repeat, or of nothing, is answered with the numbers that are open."""
    with pytest.raises(NotFound, match="no finding has number 3; open are 1, 2"):
        step(ledger, 3, actor="ann", reason="why")


def test_a_step_is_taken_once(ledger):
    """A second acknowledgement or close is refused with who was first and why."""
    acknowledge(ledger, 1, actor="ann", reason="mine")
    with pytest.raises(ReleaseRefused, match="acknowledged by ann: mine"):
        acknowledge(ledger, 1, actor="bob", reason="mine")
    close(ledger, 1, actor="ann", reason="done")
    for step in (acknowledge, close):
        with pytest.raises(ReleaseRefused, match="closed by ann: done"):
            step(ledger, 1, actor="bob", reason="mine")


def test_a_reason_is_asked_for(ledger):
    """Nobody settles a finding without saying why."""
    with pytest.raises(DataInvalid, match="reason"):
        close(ledger, 1, actor="ann", reason=" ")


def test_the_first_is_told_and_repeats_are_not():
    """A hundred findings of one cause within a day are one alert."""
    assert told(lines(*[raised(sequence=n) for n in range(100)])) == [1]


def test_a_graver_repeat_is_told():
    """A cause that becomes worse is told again, once."""
    entries = lines(grave("warning"), grave("critical"), grave("critical"), grave("warning"))
    assert told(entries) == [1, 2]
    assert cases_of(entries).of(1).severity == "critical"


def test_a_case_that_nobody_takes_on_is_told_again_after_a_day():
    """A reminder a day, counted from the last one told."""
    entries = lines(*[raised(sequence=n) for n in range(5)], every_ns=REMIND_NS // 2)
    assert told(entries) == [1, 3, 5]


def test_an_acknowledged_case_is_told_only_if_it_becomes_graver():
    """Who has taken it on is not reminded."""
    taken = facts.FindingAcknowledged(finding=1)
    entries = lines(raised(), taken, raised(), raised(), grave("critical"), every_ns=REMIND_NS)
    assert told(entries) == [1, 5]


def test_a_fact_counts_once():
    """Facts that are given twice change nothing the second time."""
    entries = lines(raised(), raised())
    cases = cases_of(entries)
    assert [cases.apply(entry) for entry in entries] == [None, None]
    assert cases.of(1).count == 2


def test_a_step_about_nothing_is_ignored():
    """A ledger of another tool may close what was never opened; the projection stands."""
    assert cases_of(lines(facts.FindingClosed(finding=9))).by_number == {}


def test_an_unknown_severity_is_the_gravest():
    """A word that this release does not know is not swept under the carpet."""
    assert gravity("info") < gravity("warning") < gravity("critical") < gravity("catastrophic")


def test_old_findings_without_an_origin_are_read():
    """Facts written before the origin was kept have none."""
    old = b'{"type":"FindingRaised","finding":' + msgspec.json.encode(finding()) + b"}"
    assert msgspec.json.decode(old, type=facts.AnyFact).ts_origin_ns == 0
