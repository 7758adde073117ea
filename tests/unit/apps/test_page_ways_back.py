"""What may decide in the champion's place, chosen on the page: a rule, the version before, and the champion again."""

import re

import pytest
from page_visitors import do, visiting
from small_project import at

from tradeworthy.apps.dashboard.versions import FALLBACK_WORDS
from tradeworthy.change.release.release import FALLBACKS
from tradeworthy.core import facts


def offered(client):
    """Return what the view of versions lets a person choose."""
    part = client.get("/versions").text.partition('action="/do/fallback"')[2].partition("</form>")[0]
    return re.findall(r'<option value="(\w+)"', part)


def rules(project):
    """Return who has let which rule decide, and why."""
    return [(entry.fact.rule, entry.actor, entry.reason) for entry in project.ledger.facts(facts.RuleSet)]


def second(project):
    """Make another version champion, so that there is one before it."""
    strategy = project.folder / "strategy.py"
    strategy.write_text(strategy.read_text("utf-8").replace("num_boost_round=20", "num_boost_round=30"), "utf-8")
    project.train()
    project.register(name="second", actor="ada")
    project.gate(actor="ada")
    project.promote("newest", to="champion", actor="ada", reason="better")
    return project.resolve("newest")


def test_every_way_has_its_words():
    """What the release knows, the page offers in words."""
    assert set(FALLBACK_WORDS) == set(FALLBACKS)


def test_a_rule_decides_until_somebody_ends_it(tmp_path):
    """The desk says so on its view and in the list of versions; only then is the way back offered."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        assert offered(client) == ["flat", "hold", "base_rate"]
        do(client, "/do/fallback", to="hold", reason="its inputs are broken")
        page = client.get("/versions").text
        assert "From the next event on: fell back to hold." in page
        assert "The rule hold decides in its place." in page
        assert "hold decides in the version" in client.get("/").text
        assert offered(client) == ["flat", "hold", "base_rate", "none"]
        do(client, "/do/fallback", to="none", reason="they are right again")
        assert "it decides itself again" in client.get("/versions").text
        assert "none" not in offered(client)
    assert rules(project) == [("hold", "rita", "its inputs are broken"), ("none", "rita", "they are right again")]


def test_the_version_before_decides_and_this_one_goes_on_as_a_shadow(tmp_path):
    """With a version before there is a way to it, and a roll back; the page names both."""
    project = at("promoted", tmp_path)
    first, newest = project.resolve("champion"), second(project)
    with visiting(project, "rita") as client:
        assert offered(client) == ["previous", "flat", "hold", "base_rate"]
        page = client.get("/versions").text
        assert f"The champion before was {first[:8]}." in page
        assert 'action="/do/rollback"' in page
        do(client, "/do/fallback", to="previous", reason="the new one is odd")
        assert f"{first[:16]} acts" in client.get("/versions").text
    standing = project.registry.standing()
    assert (standing.champion, standing.shadows) == (first, [newest])


def test_without_a_version_before_no_roll_back_is_offered(tmp_path):
    """It says why."""
    with visiting(at("promoted", tmp_path), "rita") as client:
        page = client.get("/versions").text
        assert 'action="/do/rollback"' not in page
        assert "There is no champion before this one to go back to." in page


@pytest.mark.parametrize("name", ["tom", "paul", "adam"])
def test_it_needs_the_role_risk(tmp_path, name):
    """Nobody else is offered the form; who sends it anyway is told who could, and nothing changes."""
    project = at("promoted", tmp_path)
    with visiting(project, name) as client:
        page = client.get("/versions").text
        assert 'action="/do/fallback"' not in page
        assert "To let something else decide needs the role risk." in page
        do(client, "/do/fallback", to="flat", reason="x")
        assert "needs the role risk" in client.get("/versions").text
    assert rules(project) == []


@pytest.mark.parametrize(
    ("to", "reason", "said"),
    [
        ("holt", "x", "near: &#x27;hold&#x27;"),
        ("previous", "x", "no previous"),
        ("flat", " ", "reason"),
        ("", "x", "fallback is"),
    ],
)
def test_what_cannot_decide_is_refused_in_words(tmp_path, to, reason, said):
    """An unknown rule, a version that is not there, no reason: nothing is recorded."""
    project = at("promoted", tmp_path)
    with visiting(project, "rita") as client:
        do(client, "/do/fallback", to=to, reason=reason)
        page = client.get("/versions").text
        assert said.replace("&#x27;", "'") in page.replace("&#x27;", "'")
    assert rules(project) == []


def test_nothing_is_offered_before_the_first_champion(tmp_path):
    """There is nothing to stand in for."""
    with visiting(at("gated", tmp_path), "rita") as client:
        assert offered(client) == []


def test_a_long_name_keeps_its_beginning_beside_its_lane(tmp_path):
    """It is cut where it would not fit, and the digest stays whole; the list has all of it."""
    project = at("trained", tmp_path)
    project.register(name="a name that is far too long for a lane", actor="ada")
    project.gate(actor="ada")
    project.promote("newest", to="champion", actor="ada", reason="first")
    with visiting(project, "tom") as client:
        page = client.get("/versions").text
    assert f">a name that is far to\N{HORIZONTAL ELLIPSIS} {project.resolve('champion')[:8]}<" in page
    assert "a name that is far too long for a lane" in page
