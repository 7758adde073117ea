"""The view of the desk: its state in words, how fast it is, what is used of its limits, and facts read once."""

import msgspec
import pytest
from cases_sample import FINDING
from page_visitors import visiting
from small_project import at, looked_at

from tradeworthy.apps.admin.app import make_app
from tradeworthy.apps.admin.looking import speed_of, stretches_of
from tradeworthy.apps.dashboard.desk import Desk, Exposure, Speed, changes, exposure_table, figures, latest
from tradeworthy.apps.dashboard.following import Follower
from tradeworthy.apps.dashboard.layout import strip
from tradeworthy.core import facts


def desk_at(speed):
    """Return the desk at a speed."""
    return Desk(halts=(), exposures=(), approved_by="", speed=speed, symbols=("ABC",))


DESK = desk_at(Speed())


@pytest.fixture(scope="module")
def frame():
    """The present moment of a desk that has traded."""
    return Follower(looked_at("traded")).frame()


@pytest.mark.parametrize(
    ("state", "said", "tone"),
    [
        ({"engine": "running"}, "<strong>yes</strong>", "good"),
        ({"engine": "running", "size": 0.25}, "<strong>reduced</strong>", "warn"),
        ({"engine": "not running", "size": 0.25}, "<strong>engine not running</strong>", "warn"),
        ({"engine": "running", "trading": "halted: all"}, "<strong>halted</strong>", "bad"),
    ],
)
def test_the_state_is_said_in_one_word(frame, state, said, tone):
    """Trading, reduced, not running or halted; the tone is that of the worst."""
    text = figures(msgspec.structs.replace(frame, **state), DESK)
    assert f'class="figure {tone}"><span class="name">Trading</span>{said}' in text


def test_the_last_decisions_lead_to_their_reasons(frame):
    """Each of them has its own way to why it was made."""
    text = latest(frame.latest)
    assert len(frame.latest) > 1
    assert all(f'href="/decisions/{line.sequence}"' in text for line in frame.latest)


def test_what_changed_last_is_on_the_desk(tmp_path):
    """The newest facts in words, with who and why; a script in a reason is text; nothing yet is said."""
    project = at("promoted", tmp_path)
    assert "Nothing has changed yet" in changes(())
    with visiting(project, "rita") as client:
        project.halt("all", actor="rita", reason="<script>looks wrong")
        text = client.get("/").text.partition("What changed")[2]
    assert "Halted all." in text
    assert "&lt;script&gt;looks wrong" in text
    assert text.index("Halted all.") < text.index("became champion")


def test_a_reduced_size_stands_on_every_page(frame):
    """The strip says how much of full size is taken."""
    assert "reduced to 25%" in strip(msgspec.structs.replace(frame, engine="running", size=0.25))
    assert ">trading<" in strip(msgspec.structs.replace(frame, engine="running"))


def test_latency_and_lag_have_their_percentiles(frame):
    """p99 in large print, p50 and p99.9 beside it; both with their units."""
    speed = Speed(decision_us=(12.0, 40.0, 95.0), feed_ms=(3.0, 21.5, 80.0))
    text = figures(frame, desk_at(speed))
    assert "40<small> us p99</small>" in text
    assert "p50 12, p99.9 95 us" in text
    assert "21.5<small> ms p99</small>" in text


@pytest.mark.parametrize(
    ("speed", "said"), [(Speed(), "not measured yet"), (Speed(is_past=True), "in the market&#x27;s own time")]
)
def test_what_is_not_measured_is_said(frame, speed, said):
    """A desk that has decided nothing, and one that plays files."""
    assert said.replace("&#x27;", "'") in figures(frame, desk_at(speed)).replace("&#x27;", "'")


def test_a_market_of_the_past_has_no_lag():
    """Its events come at their own time, or years after it."""
    assert speed_of(looked_at("traded")).is_past
    assert speed_of(looked_at("traded")).feed_ms is None


def test_what_is_used_of_limits_is_apart_from_what_each_order_is_held_against():
    """A meter for the first, a plain list for the second, a warning for one that is not set."""
    text = exposure_table(
        [
            Exposure("position value", 7_500.0, 10_000.0, "currency"),
            Exposure("price collar", None, 200.0, "bps"),
            Exposure("order value", None, None, "currency"),
        ]
    )
    assert "75% used" in text
    assert text.count("<meter") == 1
    assert "<dt>Price collar</dt><dd>200 bps</dd>" in text
    assert "not set: refuses" in text
    assert "<dl>" not in exposure_table([Exposure("drawdown value", 0.0, 1.0, "currency")])


def test_facts_are_read_once(tmp_path):
    """New ones are added to those that are known; what was handed out before does not change."""
    project = at("promoted", tmp_path)
    deployment = make_app(project).state.deployment
    before = deployment.facts()
    assert [entry.number for entry in before] == [entry.number for entry in project.ledger.facts()]
    assert deployment.facts() is before
    project.halt("all", actor="tom", reason="drill")
    after = deployment.facts()
    assert len(after) == len(before) + 1
    assert isinstance(after[-1].fact, facts.TradingHalted)


def test_cases_are_added_up_once(tmp_path):
    """Until the ledger has grown the same cases are handed out; then the new one is among them."""
    project = at("promoted", tmp_path)
    deployment = make_app(project).state.deployment
    before = deployment.told()
    assert deployment.told() is before
    number = project.ledger.append(facts.FindingRaised(finding=FINDING), actor="watcher", reason="found")
    assert [case.number for case in deployment.cases()] == [number]
    assert deployment.case_page(number).case is deployment.told().cases.of(number)
    assert not before.cases.by_number


def test_stretches_follow_roles_through_promotion_and_roll_back(tmp_path):
    """Who was in which role from when to when, over a promotion and the way back; roles that stand end now."""
    project = at("promoted", tmp_path)
    first = project.resolve("champion")
    steps = [
        facts.VersionPromoted(version="b" * 64, role="shadow", env="paper"),
        facts.VersionPromoted(version="b" * 64, role="champion", env="paper"),
        facts.VersionRolledBack(version="b" * 64, to=first),
    ]
    for fact in steps:
        project.ledger.append(fact, actor="tom", reason="test")
    entries = project.ledger.facts()
    moved = project.ledger.facts(facts.VersionPromoted, facts.VersionRolledBack)
    begun, shadowed, crowned, back = (entry.ts_ns for entry in moved)
    now = back + 5
    found = {(each.version, each.role, each.first_ns, each.last_ns) for each in stretches_of(entries, now)}
    assert found == {
        (first, "champion", begun, crowned),
        ("b" * 64, "shadow", shadowed, crowned),
        ("b" * 64, "champion", crowned, back),
        (first, "champion", back, now),
    }


def test_who_halted_when_and_why_stands_on_the_desk(tmp_path):
    """Each scope with its own line, the way back for those who may."""
    project = at("promoted", tmp_path)
    project.halt("instrument:ABC", actor="tom", reason="a bad feed")
    with visiting(project, "rita") as client:
        text = client.get("/").text
    assert "instrument:ABC</strong> by tom at 20" in text
    assert "a bad feed" in text
    assert "Resume" in text
