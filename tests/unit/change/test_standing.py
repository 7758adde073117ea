"""Where versions stand, added up from facts."""

import pytest
from change_facts import ended, judged, lines, promoted, raised, registered, rolled_back, started

from tradeworthy.change.release.standing import stand
from tradeworthy.core import facts


def test_an_empty_ledger_has_no_champion():
    """Without facts nobody acts and nobody can be rolled back to."""
    standing = stand([])
    assert standing.champion is None
    assert standing.previous is None
    assert standing.roles() == {}


def test_promotion_pushes_and_rollback_pops():
    """A roll back returns to the version before and retires the one taken out."""
    standing = stand(lines(promoted("a"), promoted("b"), rolled_back("b", "a")))
    assert standing.champion == "a"
    assert standing.previous is None
    assert standing.retired == ["b"]


def test_two_rollbacks_go_back_two_versions():
    """Rolling back twice never returns to the version just taken out."""
    facts_before = [promoted("a"), promoted("b"), promoted("c"), rolled_back("c", "b")]
    assert stand(lines(*facts_before)).previous == "a"
    assert stand(lines(*facts_before, rolled_back("b", "a"))).champion == "a"


@pytest.mark.parametrize(
    ("steps", "successor"),
    [
        ([], None),
        ([promoted("a")], None),
        ([promoted("a"), promoted("b")], "b"),
        ([promoted("a"), promoted("b", "canary")], None),
        ([promoted("a"), promoted("b"), rolled_back("b", "a")], None),
    ],
)
def test_a_successor_acts_on_all_and_can_be_taken_back(steps, successor):
    """Neither the first champion nor a canary is one, nor who acts again after a roll back."""
    assert stand(lines(*steps)).successor == successor


def test_a_version_promoted_again_is_on_the_stack_once():
    """Promoting an earlier champion again moves it to the top."""
    standing = stand(lines(promoted("a"), promoted("b"), promoted("a")))
    assert standing.champions == ["b", "a"]
    assert standing.previous == "b"


def test_a_shadow_that_becomes_champion_is_no_shadow():
    """A version has one role at a time."""
    standing = stand(lines(promoted("a"), promoted("b", "shadow"), promoted("b")))
    assert standing.shadows == []
    assert standing.roles() == {"b": "champion", "a": "previous"}


def test_a_retired_shadow_stops():
    """Retiring takes a version out of shadow."""
    standing = stand(lines(promoted("a"), promoted("b", "shadow"), promoted("b", "retired")))
    assert standing.shadows == []
    assert standing.roles()["b"] == "retired"


def test_the_latest_gate_judgement_counts():
    """A version that failed later has not passed."""
    standing = stand(lines(registered("a"), judged("a"), judged("a", passed=False)))
    assert not standing.gate_passed("a")
    assert not standing.gate_passed("unknown")


def test_the_first_registration_counts():
    """Registering the same bytes again does not change the author."""
    standing = stand(lines(registered("a", "ada"), registered("a", "eve")))
    assert standing.registered["a"].author == "ada"


def test_approvals_keep_their_actor_and_env():
    """An approval is of one person for one environment."""
    standing = stand(lines(("bob", facts.VersionApproved(version="a", env="live"))))
    assert standing.approvals == {"a": [("bob", "live")]}


def test_halts_are_kept_by_scope():
    """Resuming one scope leaves the other halted."""
    standing = stand(
        lines(
            facts.TradingHalted(scope="all"),
            facts.TradingHalted(scope="instrument:ETH"),
            facts.TradingResumed(scope="all"),
        )
    )
    assert standing.halted == {"instrument:ETH"}


def test_a_retrain_is_open_until_it_ends():
    """An end closes the latest start; one without a start changes nothing."""
    assert stand(lines(ended("x"))).retrains == []
    assert stand(lines(started())).retrains[-1].ended is None
    assert stand(lines(started(), ended("b"))).retrains[-1].ended == ended("b")
    assert stand(lines(started())).open_retrain.number == 1
    assert stand(lines(started(), ended("b"))).open_retrain is None
    assert stand([]).open_retrain is None


@pytest.mark.parametrize(
    ("then", "unjudged"),
    [
        ([], "b"),
        ([judged("a")], "b"),
        ([judged("b", passed=False)], None),
        ([promoted("b", "retired")], None),
        ([started()], None),
    ],
)
def test_what_a_retraining_gave_is_unjudged_until_the_gate_or_a_person_has_spoken(then, unjudged):
    """Another version's judgement does not count, and a retraining that has begun since gave nothing yet."""
    assert stand(lines(started(), ended("b"), *then)).unjudged == unjudged


def test_a_retraining_that_failed_gave_nothing_to_judge():
    """Nor is there anything to judge before the first."""
    assert stand(lines(started(), ended(None))).unjudged is None
    assert stand([]).unjudged is None


def test_findings_keep_their_ledger_number():
    """Findings can be ordered against other facts."""
    standing = stand(lines(promoted("a"), raised()))
    assert [number for number, _ in standing.findings] == [2]


def test_champion_since_names_the_fact_that_made_it():
    """Both promotion and roll back start a new reign."""
    assert stand(lines(promoted("a"), raised(), promoted("b"))).champion_since == 3
    assert stand(lines(promoted("a"), promoted("b"), rolled_back("b", "a"))).champion_since == 3
    assert stand(lines(promoted("a"), promoted("b", "shadow"))).champion_since == 1


def test_a_version_that_stood_aside_goes_on_as_a_shadow():
    """It is no champion and not retired; what the policy compares stays the last shadow; a person lets it act again."""
    aside = facts.VersionRolledBack(version="b", to="a", stood_aside=True)
    standing = stand(lines(promoted("a"), promoted("b"), promoted("c", "shadow"), aside))
    assert (standing.champion, standing.previous, standing.retired) == ("a", None, [])
    assert standing.shadows == ["b", "c"]
    assert standing.stood_aside == {"b"}
    again = stand(lines(promoted("a"), promoted("b"), aside, promoted("b")))
    assert (again.champion, again.shadows, again.stood_aside) == ("b", [], set())


def test_a_rule_ends_with_the_version_in_whose_place_it_decides():
    """A person ends it, or another champion does, by promotion or by roll back; a shadow's promotion does not."""
    ruled = (promoted("a"), promoted("b"), facts.RuleSet(rule="flat"))
    assert stand(lines(*ruled)).rule == "flat"
    assert stand(lines(*ruled, promoted("c", "shadow"))).rule == "flat"
    for end in (facts.RuleSet(rule="none"), promoted("c"), rolled_back("b", "a")):
        assert stand(lines(*ruled, end)).rule == "none"
