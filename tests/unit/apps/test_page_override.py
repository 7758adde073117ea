"""Setting a check of the gate aside on the page: two people, a day, a reason each, and the version may go on."""

import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from page_visitors import ask, do, visiting
from small_project import at

from tradeworthy.core.facts import CheckOverridden
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

STOPS = CheckResult(name="after_costs", requirement="more than nothing", measured="less", verdict="fail")
SIGNED = CheckResult(name="artifact_safety", requirement="as signed", measured="not as signed", verdict="fail")


@pytest.fixture
def project(tmp_path):
    """A version that the gate refused by its costs."""
    made = at("registered", tmp_path)
    stop(made, STOPS)
    return made


def stop(project, *results: CheckResult):
    """Record that these checks judged the newest version."""
    digest = project.resolve("newest")
    report = GateReport(
        version=digest,
        profile="full",
        passed=not any(result.stops for result in results),
        results=list(results),
        created_ns=project.clock.now_ns(),
    )
    project.registry.record_gate(report, actor="ada", reason="a test")


def soon(days=10):
    """Return a day so many days ahead."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_the_second_person_lets_it_pass(project):
    """The first is listed and waited for; the second makes it count; the version may then be given a role."""
    aside, gate = "/do/versions/newest/override", "/versions/newest/gate"
    with visiting(project, "rita") as client:
        page = client.get(gate).text
        assert "Nobody has set one aside." in page
        assert '<option value="after_costs"' in page
        do(client, aside, check="after_costs", until=soon(), reason="fees are halved on Monday")
        page = client.get(gate).text
        assert "after costs is set aside by rita; it counts once another person says so here." in page
        assert "fees are halved on Monday" in page
        do(client, aside, check="after_costs", until=soon(), reason="once more")
        assert "another person must" in client.get(gate).text
    assert not project.registry.standing().gate_passed(project.resolve("newest"))
    with visiting(project, "paul") as client:
        do(client, aside, check="after_costs", until=soon(5), reason="I have read the notice")
        page = client.get(gate).text
        assert "the version may be given a role" in page
        assert "Passed with overrides" in page
        assert "/override" not in page
    given = [(each.actor, each.reason) for each in project.ledger.facts(CheckOverridden)]
    assert given == [("rita", "fees are halved on Monday"), ("paul", "I have read the notice")]
    assert project.registry.standing().gate_passed(project.resolve("newest"))


def test_what_still_stops_it_is_said(project):
    """An override of one of two checks counts, and the version stays where it is."""
    other = msgspec.structs.replace(STOPS, name="latency")
    stop(project, STOPS, other)
    for name in ("rita", "paul"):
        with visiting(project, name) as client:
            do(client, "/do/versions/newest/override", check="after_costs", until=soon(), reason="fees")
            page = client.get("/versions/newest/gate").text
    assert "Still stopped by latency." in page
    assert re.findall(r'<option value="(\w+)"', page.partition('id="aside"')[2].partition("</form>")[0]) == ["latency"]


@pytest.mark.parametrize(
    ("check", "days", "reason", "said"),
    [
        ("after_cost", 10, "x", "does not stop version"),
        ("after_costs", -2, "x", "allowed is after"),
        ("after_costs", 200, "x", "within 92 days"),
        ("after_costs", 10, " ", "every override is recorded with who and why"),
    ],
)
def test_what_cannot_be_set_aside_is_refused_in_words(project, check, days, reason, said):
    """A check that does not stop it, a day gone by or too far, no reason: nothing is recorded."""
    with visiting(project, "rita") as client:
        do(client, "/do/versions/newest/override", check=check, until=soon(days), reason=reason)
        assert said in client.get("/versions/newest/gate").text
        do(client, "/do/versions/newest/override", check="after_costs", until="soon", reason="x")
        assert "allowed is a day such as 2027-01-31" in client.get("/versions/newest/gate").text
    assert not list(project.ledger.facts(CheckOverridden))


def test_what_was_signed_is_not_offered(project):
    """Of a bundle that is not as it was signed no check can be chosen, and no form stands there."""
    stop(project, SIGNED)
    with visiting(project, "rita") as client:
        page = client.get("/versions/newest/gate").text
        assert "Refused by artifact safety" in page
        assert "/override" not in page
        do(client, "/do/versions/newest/override", check="artifact_safety", until=soon(), reason="x")
        assert "cannot be set aside" in client.get("/versions/newest/gate").text


def test_who_may_not_is_told_who_could(project):
    """A trader reads what was set aside, is offered no form, and is refused."""
    with visiting(project, "tom") as client:
        page = client.get("/versions/newest/gate").text
        assert "It needs the role risk or approver." in page
        assert "/override" not in page
        do(client, "/do/versions/newest/override", check="after_costs", until=soon(), reason="x")
        assert "needs the role risk or approver" in client.get("/versions/newest/gate").text
    assert not list(project.ledger.facts(CheckOverridden))


def test_a_version_that_passed_has_nothing_to_set_aside(tmp_path):
    """No section, no form."""
    with visiting(at("gated", tmp_path), "rita") as client:
        assert "Setting a check aside" not in client.get("/versions/newest/gate").text


def test_programs_take_the_same_step(project):
    """The answer says whether it counts and what is next."""
    body = {"check": "after_costs", "until": soon(), "reason": "fees"}
    answers = []
    for name in ("rita", "paul"):
        with visiting(project, name) as client:
            answers.append(ask(client, "/api/v1/versions/newest/override", **body).json())
    assert [answer["in_force"] for answer in answers] == [False, True]
    assert answers[1]["given_by"] == ["rita", "paul"]
