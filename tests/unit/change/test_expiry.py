"""The end of an override: a version that two people let act for a time acts no longer, whoever keeps it running."""

import numpy as np
import pytest
from change_desk import desk, market
from test_conduct import conductor, record, step
from test_overriding import asked, judge_again

from tradeworthy.change.release.answers import Reaction
from tradeworthy.change.release.expiry import GRACE_NS, Backstop
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.core import facts
from tradeworthy.core.decisions import Role, version_number
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.time import NS_PER_DAY

QUIET = PolicySettings(cool_down_decisions=10**9, shadow_decisions=300, loss_margin=0.05)


@pytest.fixture
def home(tmp_path):
    """A paper deployment with its history."""
    made = desk(tmp_path / "desk")
    np.save(tmp_path / "events.npy", market(1_500))
    yield made
    made.close()


@pytest.fixture
def tape(home):
    """The folder of the tape."""
    return home.folder / "tape"


def overridden(home, seed=1):
    """Register a version that two people let pass for a week, and return its digest."""
    digest = home.registered(seed)
    judge_again(home, digest, "after_costs")
    for actor in ("ada", "bob"):
        asked(home, digest, actor=actor)
    return digest


def promoted(home, digest, role="champion"):
    """Give it a role."""
    return home.release.promote(digest, role, actor="ada", reason="a test")


def days_pass(home, days=8):
    """Let the week be over."""
    home.clock.advance_to(home.clock.now_ns() + days * NS_PER_DAY)


def told(home):
    """Return the findings on the record."""
    return [entry.fact.finding for entry in home.ledger.facts(facts.FindingRaised)]


def test_the_champion_before_takes_over(home, tape):
    """At the end of the override the finding says so, and the control block names the version before."""
    first = home.champion(2)
    second = promoted(home, overridden(home))
    record(home, tape, (second, Role.CHAMPION))
    step(home, tape, QUIET)
    assert home.release.control.view().champion == version_number(second), "nothing happens before its end"
    days_pass(home)
    step(home, tape, QUIET)
    assert home.release.control.view().champion == version_number(first)
    assert home.registry.standing().champion == first
    (finding,) = told(home)
    assert (finding.kind, finding.severity, finding.subject) == ("release", "critical", second[:16])
    assert "after_costs was set aside until" in finding.sentence
    assert f"the champion before, {first[:16]}, takes over" in finding.sentence
    step(home, tape, QUIET)
    assert len(told(home)) == 1


def test_without_a_version_that_may_act_its_orders_are_refused(home, tape):
    """Alone, it stays champion and may send nothing; told once, and a person who resumes it is not obeyed for long."""
    digest = promoted(home, overridden(home))
    record(home, tape, (digest, Role.CHAMPION))
    days_pass(home)
    for _ in range(3):
        step(home, tape, QUIET)
    standing = home.registry.standing()
    assert (standing.champion, standing.halted) == (digest, {f"version:{digest[:16]}"})
    (finding,) = told(home)
    assert "its orders are refused; positions stay" in finding.sentence
    home.release.resume(f"version:{digest[:16]}", actor="ada", reason="it was doing so well")
    step(home, tape, QUIET)
    assert home.registry.standing().halted == {f"version:{digest[:16]}"}
    assert len(told(home)) == 1


def test_a_version_before_that_may_not_act_does_not_take_over(home, tape):
    """The champion before rested on an override of its own, which has ended too."""
    promoted(home, overridden(home, 2))
    digest = promoted(home, overridden(home, 1))
    record(home, tape, (digest, Role.CHAMPION))
    days_pass(home)
    step(home, tape, QUIET)
    assert home.registry.standing().champion == digest
    assert home.registry.standing().halted == {f"version:{digest[:16]}"}


def test_a_shadow_is_retired(home, tape):
    """It scores no more, and the champion goes on."""
    champion = home.champion(2)
    shadow = promoted(home, overridden(home), "shadow")
    record(home, tape, (champion, Role.CHAMPION), (shadow, Role.SHADOW))
    days_pass(home)
    step(home, tape, QUIET)
    standing = home.registry.standing()
    assert (standing.champion, standing.shadows, standing.retired) == (champion, [], [shadow])
    assert told(home)[0].sentence.count("it is retired") == 1


def test_judged_again_in_time_it_stays(home, tape):
    """A new gate that passes it without an override ends the matter."""
    digest = promoted(home, overridden(home))
    record(home, tape, (digest, Role.CHAMPION))
    judge_again(home, digest)
    days_pass(home)
    step(home, tape, QUIET)
    assert told(home) == []
    assert home.registry.standing().halted == set()


def test_a_kill_between_word_and_deed_doubles_nothing(home, tape, monkeypatch):
    """The finding is on the record, the hand-over is not: the next start does what is left, and tells nothing twice."""
    first = home.champion(2)
    digest = promoted(home, overridden(home))
    record(home, tape, (digest, Role.CHAMPION))
    days_pass(home)
    hands = conductor(home, tape, QUIET)
    with monkeypatch.context() as killed:
        killed.setattr(home.release, "rollback", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            hands.step(home.registry.standing(), 100)
    assert home.registry.standing().champion == digest
    step(home, tape, QUIET)
    assert home.registry.standing().champion == first
    assert len(told(home)) == 1


def test_no_rule_takes_back_the_version_that_took_over(home, tape):
    """A reaction to findings about releases does not answer this one by rolling back once more."""
    home.champion(3)
    first = home.champion(2)
    promoted(home, overridden(home))
    days_pass(home)
    eager = PolicySettings(
        cool_down_decisions=10**9,
        shadow_decisions=300,
        loss_margin=0.05,
        reaction=[Reaction(on="release", severity="critical", do="rollback")],
    )
    for _ in range(3):
        step(home, tape, eager)
    assert home.registry.standing().champion == first


def test_where_nobody_watches_the_engines_process_ends_it_a_little_later(home):
    """It leaves the watcher its time, then takes the version back as the watcher would have, once."""
    first = home.champion(2)
    second = promoted(home, overridden(home))
    backstop = Backstop(home.release, clock=home.clock)
    assert not backstop.look()
    days_pass(home, 7)
    home.clock.advance_to(home.registry.standing().gates[second].until_ns)
    assert not backstop.look(), "the watcher is first"
    home.clock.advance_to(home.clock.now_ns() + GRACE_NS)
    assert backstop.look()
    assert home.registry.standing().champion == first
    assert home.release.control.view().champion == version_number(first)
    assert [entry.actor for entry in home.ledger.facts(facts.VersionRolledBack)] == ["engine"]
    assert not backstop.look()
    assert len(told(home)) == 1


def test_what_the_watcher_has_ended_is_not_ended_again(home, tape):
    """One roll back, whoever looks afterwards: the champion that took over stays."""
    first = home.champion(2)
    second = promoted(home, overridden(home))
    backstop = Backstop(home.release, clock=home.clock)
    backstop.look()
    days_pass(home)
    record(home, tape, (second, Role.CHAMPION))
    step(home, tape, QUIET)
    assert not backstop.look()
    assert home.registry.standing().champion == first
    assert len(home.ledger.facts(facts.VersionRolledBack)) == 1


def test_a_shadow_by_an_ended_override_goes_without_a_watcher_too(home):
    """It is retired; the champion, which passed by itself, stays."""
    first = home.champion(2)
    second = promoted(home, overridden(home), "shadow")
    backstop = Backstop(home.release, clock=home.clock)
    days_pass(home)
    assert backstop.look()
    standing = home.registry.standing()
    assert (standing.champion, standing.retired) == (first, [second])


def test_a_halted_shadow_goes_without_a_watcher_too(home):
    """Its orders are refused already, but it has its role by the override, and is retired as the watcher would do."""
    first = home.champion(2)
    second = promoted(home, overridden(home), "shadow")
    home.release.halt(f"version:{second[:16]}", actor="ada", reason="a test")
    backstop = Backstop(home.release, clock=home.clock)
    days_pass(home)
    assert backstop.look()
    standing = home.registry.standing()
    assert (standing.champion, standing.retired) == (first, [second])


def test_somebody_who_was_faster_ends_no_run(home, monkeypatch):
    """A step that is refused meanwhile is not an error of the engine's process."""
    home.champion(2)
    promoted(home, overridden(home), "shadow")
    backstop = Backstop(home.release, clock=home.clock)
    days_pass(home)

    def refuse(*_: object, **__: object) -> None:
        raise ReleaseRefused("it is retired already")

    monkeypatch.setattr(home.release, "promote", refuse)
    assert backstop.look()
    assert len(home.registry.standing().shadows) == 1


def test_nothing_to_end_reads_no_facts(home, monkeypatch):
    """A ledger that has not grown is not read again."""
    home.champion(2)
    backstop = Backstop(home.release, clock=home.clock)
    backstop.look()
    monkeypatch.setattr(home.registry, "standing", lambda: pytest.fail("the facts were read again"))
    assert not backstop.look()
