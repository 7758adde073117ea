"""What a person who has never read the docs is told at once: what the desk did last and why, in their own words."""

import msgspec
import numpy as np
import pytest
from cases_sample import FINDING, START
from small_project import at, looked_at

from tradeworthy.apps.cli.watching import frame_view
from tradeworthy.apps.commands.handling import CaseLine, findings_of
from tradeworthy.apps.dashboard.acting import Acts
from tradeworthy.apps.dashboard.comparing import Judged
from tradeworthy.apps.dashboard.comparison import _gate
from tradeworthy.apps.dashboard.desk import FINDINGS, age, findings, last_act
from tradeworthy.apps.dashboard.following import Follower
from tradeworthy.apps.dashboard.shadows import shadows_table
from tradeworthy.apps.dashboard.telling import FactLine
from tradeworthy.apps.dashboard.watch import _line
from tradeworthy.apps.reports.case_story import case_facts, cases_timeline
from tradeworthy.apps.reports.formats import readable
from tradeworthy.change.watch.findings import Cases
from tradeworthy.core import facts
from tradeworthy.core.decisions import RULED, Role
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.record.ledger import Entry
from tradeworthy.record.reader import TapeReader

YEAR_NS = 365 * NS_PER_DAY


@pytest.fixture(scope="module")
def traded():
    return looked_at("traded")


@pytest.fixture(scope="module")
def orders(traded):
    """Every order's decision."""
    made = TapeReader(traded.places.tape).read("decisions")
    return made[(made["role"] == Role.CHAMPION) & (made["quantity"] != 0.0)]


def cases(*findings: object):
    """Return the cases that findings add up to, each of a cause of its own."""
    found = Cases()
    for number, finding in enumerate(findings, 1):
        fact = facts.FindingRaised(finding=finding)
        found.apply(Entry(number=number, ts_ns=number, actor="watcher", reason="", fact=fact, hash=""))
    return list(found.by_number.values())


def test_the_gravest_open_finding_stands_first():
    """At three in the morning nobody scrolls for what is critical; among those alike the newest is first."""
    told = [
        msgspec.structs.replace(
            FINDING,
            monitor=f"m{place}",
            severity=severity,
            since_ns=START + place * YEAR_NS,
            ts_event_ns=START + place * YEAR_NS,
            sentence=f"{severity} {place}",
        )
        for place, severity in enumerate(("warning", "critical", "info", "warning"))
    ]
    text = findings([CaseLine.of(case) for case in cases(*told)])
    places = [text.index(said) for said in ("critical 1", "warning 3", "warning 0", "info 2")]
    assert places == sorted(places)


@pytest.mark.parametrize(("open_now", "way"), [(FINDINGS, 0), (FINDINGS + 1, 1), (40, 1)])
def test_many_open_findings_do_not_bury_the_desk(open_now, way):
    """The gravest are told; how many there are is a link to all of them."""
    one = CaseLine.of(cases(FINDING)[0])
    many = [msgspec.structs.replace(one, number=number) for number in range(open_now)]
    text = findings([*many[1:], msgspec.structs.replace(many[0], severity="critical", sentence="the gravest")])
    assert text.count("<li>") == FINDINGS
    assert text.index("the gravest") < text.index(f"/watch/{open_now - 1}")
    assert text.count(f'<a href="/watch">All {open_now} open findings</a>') == way


def test_a_finding_that_dates_no_change_claims_no_date_and_no_before():
    """Of a drawdown, told as it happened against a limit, nothing is called estimated and no limit is called then."""
    drawdown = msgspec.structs.replace(FINDING, since_ns=FINDING.ts_event_ns, reference=3_000.0, threshold=3_000.0)
    (case,) = cases(drawdown)
    told = dict(case_facts(case))
    assert told["Began"] == "not dated"
    assert "Then and now" not in told
    assert "began about" not in _line(case)
    (dated,) = cases(FINDING)
    assert "(estimated)" in dict(case_facts(dated))["Began"]
    assert "began about" in _line(dated)
    assert list(dict(case_facts(dated)))[2] == "Then and now"


def test_the_last_order_is_told_with_its_threshold(traded, orders):
    """The page and the terminal say the same, and point to the decision; it is what `explain` says first."""
    frame = Follower(traded).frame()
    assert frame.last_act.decision == orders["sequence"][-1]
    assert frame.last_act.said == traded.explain(str(frame.last_act.decision)).headline
    text = last_act(frame)
    assert f'href="/decisions/{frame.last_act.decision}"' in text
    assert frame.last_act.said in text
    shown = [panel.renderable.plain for panel in frame_view(frame).renderables if panel.title == "Last order"]
    assert shown == [f"{frame.last_act.said}\nwhy: tradeworthy explain {frame.last_act.decision}"]


def test_before_the_first_order_it_says_so(tmp_path):
    """Nothing is made up where there is nothing."""
    frame = Follower(at("promoted", tmp_path)).frame()
    assert frame.last_act is None
    assert "no order yet" in last_act(frame)


def test_each_order_has_its_own_words(traded, orders):
    """Sides and thresholds change from order to order; asked for twice, the words are the same."""
    acts = Acts(traded)
    said = [acts.said(each, "ABC") for each in orders[-20:]]
    assert [each.decision for each in said] == orders["sequence"][-20:].tolist()
    assert {"bought", "sold"} <= {word for each in said for word in each.said.split()}
    assert all("The score" in each.said for each in said)
    assert Acts(traded).said(orders[-1], "ABC") == said[-1] == acts.said(orders[-1], "ABC")


def test_a_rules_order_is_not_told_by_the_score(traded, orders):
    """A rule reads no score, so no threshold is named."""
    ruled = orders[-1:].copy()
    ruled["flags"] |= RULED
    said = Acts(traded).said(ruled[0], "ABC").said
    assert "A rule decided it, in the champion's place." in said
    assert "The score" not in said


def test_a_refused_order_is_an_act_too(tmp_path):
    """A desk that is stopped says by what, in place of the order before."""
    project = at("promoted", tmp_path)
    project.halt("all", actor="tom", reason="drill")
    project.run(watch=False)
    assert "halt" in Follower(project).frame().last_act.said


def test_an_order_without_a_score_has_no_threshold(traded, orders):
    """What was sent without one is told without one."""
    bare = orders[-1:].copy()
    bare["score"] = np.nan
    assert "The score" not in Acts(traded).said(bare[0], "ABC").said


def test_a_version_that_is_gone_takes_no_page_away(traded, orders):
    """The stop stands on every page: what was done is told, and that its threshold is not known."""
    lost = orders[-1:].copy()
    lost["version"] = 0x0123456789ABCDEF
    said = Acts(traded).said(lost[0], "ABC").said
    assert said.startswith("At 2020-")
    assert "Its threshold is not known: " in said


def test_facts_are_read_once_and_add_up_to_the_same(tmp_path):
    """A follower that has looked all along shows what a new one does: champion, halts, rules, open findings."""
    project = at("promoted", tmp_path)
    follower = Follower(project)
    steps = [
        lambda: project.halt("all", actor="tom", reason="drill"),
        lambda: project.fall_back("hold", actor="rita", reason="odd"),
        lambda: project.ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="found"),
        lambda: project.resume("all", actor="rita", reason="over"),
        lambda: project.resize(0.5, actor="rita", reason="less"),
    ]
    for step in steps:
        step()
        followed, anew = follower.frame(), Follower(project).frame()
        for name in ("trading", "size", "rule", "champion", "change", "findings", "last_act"):
            assert getattr(followed, name) == getattr(anew, name), name
        assert followed.champion_age_s == pytest.approx(anew.champion_age_s, abs=5.0)
    assert followed.findings == findings_of(project, open_only=True).cases
    project.close_finding(followed.findings[0].number, actor="tom", reason="seen")
    assert follower.frame().findings == []


def test_cases_of_the_machines_clock_do_not_stretch_a_past_market():
    """A policy's own finding, told years after the market's events, is counted and not drawn."""
    policy = msgspec.structs.replace(
        FINDING,
        monitor="policy",
        kind="release",
        subject="policy",
        ts_event_ns=START + 7 * YEAR_NS,
        since_ns=START + 7 * YEAR_NS,
    )
    text = cases_timeline(cases(FINDING, policy))
    assert "Not drawn: 1 case that the desk told by the machine's clock" in text
    assert "policy" not in text
    today = msgspec.structs.replace(policy, ts_event_ns=FINDING.ts_event_ns, since_ns=FINDING.ts_event_ns)
    live = cases_timeline(cases(FINDING, today))
    assert "policy" in live
    assert "Not drawn" not in live


def test_cases_of_the_desk_alone_are_all_drawn():
    """Where no market's case stands beside them, the machine's clock is the only one."""
    policy = msgspec.structs.replace(FINDING, monitor="policy", kind="release", subject="policy")
    assert "policy" in cases_timeline(cases(policy))


def test_a_cases_times_name_their_zone_and_its_numbers_their_thousands():
    """What it says can be read without a second look."""
    (case,) = cases(msgspec.structs.replace(FINDING, statistic=1535.25, threshold=30_000.0))
    told = dict(case_facts(case))
    assert told["Statistic"] == "1,535, limit 30,000"
    assert all("UTC" in told[name] for name in ("Began", "Told", "Findings"))


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.123456, "0.1235"), (-12.0, "\N{MINUS SIGN}12"), (1_234_567.0, "1,234,567"), (np.nan, "\N{EN DASH}")],
)
def test_a_number_of_any_size_is_readable(value, said):
    """Small ones keep their digits, large ones their thousands; what is not known is a dash."""
    assert readable(value) == said


def test_a_reason_that_only_repeats_the_fact_is_left_out():
    """One sentence is told once."""
    line = FactLine(1, "", "FindingRaised", "It moved.", "watcher", "It moved.")
    assert line.why == ""
    assert FactLine(1, "", "TradingHalted", "Halted all.", "tom", "drill").why == "drill"


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ([Judged(name="after_costs", one=("pass", "x"), other=("", ""))], "The gate has judged one of them only."),
        (
            [Judged(name="after_costs", one=("pass", "x"), other=("fail", "y"))],
            "1 check of 1 with another verdict, shown first.",
        ),
        ([Judged(name="after_costs", one=("pass", "x"), other=("pass", "y"))], "0 checks of 1 with another verdict."),
        ([], "The gate has judged neither."),
    ],
)
def test_what_the_gate_has_not_judged_is_no_difference(judged, said):
    """A version that was never judged does not differ in each check."""
    assert said in _gate(judged, ("one", "other"))


def test_without_a_shadow_the_table_says_how_to_get_one():
    """An empty table is no dead end."""
    assert "Make a version that the gate passed a shadow" in shadows_table([])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 seconds"), (1.0, "1 second"), (119.0, "119 seconds"), (120.0, "2 minutes"), (7_300.0, "2 hours")],
)
def test_a_length_of_time_is_in_its_largest_unit(seconds, said):
    """As people say it."""
    assert age(seconds) == said
