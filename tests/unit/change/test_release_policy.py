"""The policy's next step, from facts and progress alone."""

from typing import Any

import pytest
from change_comparisons import compared
from change_facts import ended, finding, judged, lines, promoted, raised, registered, rolled_back, started

from tradeworthy.change.release.policy import (
    JudgeChallenger,
    PolicySettings,
    Progress,
    PromoteChallenger,
    RetireChallenger,
    StartRetrain,
    StartShadow,
    decide,
)
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.change.release.standing import stand
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import NS_PER_HOUR

POLICY = PolicySettings(cool_down_decisions=100, budget=2, shadow_decisions=50)
CHALLENGED = (promoted("a"), raised(), started(), registered("b"), ended("b"))


def progress(decisions: int = 1_000, now_ns: int = 10_000, comparison: Comparison | None = None) -> Progress:
    return Progress(now_ns=now_ns, decisions_since_retrain=decisions, comparison=comparison)


def comparison(high: float, version: str = "b", **changes: Any) -> Comparison:
    return compared(version, loss=(high - 0.02, high), **changes)


def step(*written: Any, policy: PolicySettings = POLICY, env: str = "paper", **state: Any):
    """Decide over facts written in order."""
    return decide(policy, stand(lines(*written)), progress(**state), env=env)


def test_without_champion_nothing_is_retrained():
    """A finding about nobody starts nothing."""
    assert step(raised()) is None


def test_a_finding_of_a_listed_kind_starts_a_retrain():
    """The trigger names the kind and sentence of the finding, and since when it holds."""
    assert step(promoted("a"), raised()) == StartRetrain("data_drift: volatility rose", finding().since_ns)


def test_a_finding_of_another_kind_is_left_alone():
    """Latency is no reason to train."""
    assert step(promoted("a"), raised("latency")) is None


def test_a_finding_from_before_the_champion_is_answered():
    """What was found about the last champion does not condemn the new one."""
    assert step(promoted("a"), raised(), promoted("b")) is None
    assert step(promoted("a"), promoted("b"), raised(), rolled_back("b", "a")) is None


def test_a_running_retrain_is_waited_for():
    """Nothing starts while a training is open, whatever is found."""
    assert step(promoted("a"), raised(), started(), raised()) is None


def test_a_failed_retrain_is_not_repeated_for_the_same_finding():
    """After a training that ended without a version only a new finding starts another."""
    failed = (promoted("a"), raised(), started(), ended(None, "crashed"))
    assert step(*failed) is None
    assert isinstance(step(*failed, raised()), StartRetrain)


def test_the_cool_down_holds_back_the_next_retrain():
    """A second finding must wait until enough decisions passed."""
    again = (promoted("a"), raised(), started(), ended(None, "crashed"), raised())
    assert step(*again, decisions=99) is None
    assert isinstance(step(*again, decisions=100), StartRetrain)


def test_the_first_retrain_needs_no_cool_down():
    """The cool-down lies between two trainings."""
    assert isinstance(step(promoted("a"), raised(), decisions=0), StartRetrain)


def test_the_budget_is_spent_and_renewed_by_time():
    """Two trainings use up a budget of two until the window has passed."""
    spent = (promoted("a"), started(), ended(None), started(), ended(None), raised())
    assert step(*spent) is None
    later = int(POLICY.budget_window_hours * NS_PER_HOUR) + 1_000_000
    assert isinstance(step(*spent, now_ns=later), StartRetrain)


def test_the_schedule_retrains_without_a_finding():
    """A desk that asks for a schedule is retrained when it is due, not before."""
    policy = PolicySettings(scheduled_every_decisions=500)
    assert step(promoted("a"), policy=policy, decisions=499) is None
    action = step(promoted("a"), policy=policy, decisions=500)
    assert action == StartRetrain("schedule: 500 decisions since the last training")


def test_a_new_challenger_is_judged():
    """After training comes the gate."""
    assert step(*CHALLENGED) == JudgeChallenger("b")


def test_a_challenger_that_fails_the_gate_is_dropped():
    """A failed gate ends the challenger's story; a new finding may start another."""
    failed = (*CHALLENGED, judged("b", passed=False))
    assert step(*failed) is None
    assert isinstance(step(*failed, raised()), StartRetrain)


def test_a_challenger_that_passes_is_shadowed():
    """A passed gate leads to shadow, never straight to champion."""
    assert step(*CHALLENGED, judged("b")) == StartShadow("b")


SHADOWED = (*CHALLENGED, judged("b"), promoted("b", "shadow"))


def test_a_shadow_waits_for_its_comparison():
    """No comparison, no step; also no second retraining meanwhile."""
    assert step(*SHADOWED, raised()) is None


def test_a_comparison_of_another_version_is_not_used():
    """The challenger is judged on its own comparison only."""
    assert step(*SHADOWED, comparison=comparison(0.0, version="c")) is None


def test_a_shadow_within_the_margin_is_promoted():
    """The upper end of the interval decides, and the reason says the figures."""
    action = step(*SHADOWED, comparison=comparison(0.01))
    assert isinstance(action, PromoteChallenger)
    assert action.version == "b"
    assert "on 50 of at most 50 decisions" in action.reason


def test_an_answer_comes_as_soon_as_the_data_allow():
    """Long before the last decision a clear figure promotes or retires; an unclear one waits."""
    assert isinstance(step(*SHADOWED, comparison=comparison(0.01, decisions_max=900)), PromoteChallenger)
    assert isinstance(step(*SHADOWED, comparison=comparison(0.04, decisions_max=900)), RetireChallenger)
    assert step(*SHADOWED, comparison=comparison(0.02, decisions_max=900)) is None
    assert isinstance(step(*SHADOWED, comparison=comparison(0.02)), RetireChallenger)


def test_a_shadow_that_would_earn_less_is_retired_whatever_its_loss():
    """Better scores that are shown to lose money are no reason to promote."""
    action = step(*SHADOWED, comparison=comparison(-0.01, pnl_bps=(-3.0, -0.5)))
    assert isinstance(action, RetireChallenger)
    assert "it would earn less: -1.75 bps a decision, at most -0.5" in action.reason


def test_a_shadow_beyond_the_margin_is_retired():
    """A challenger that may be worse by more than the margin is taken out."""
    assert isinstance(step(*SHADOWED, comparison=comparison(0.0101)), RetireChallenger)


def test_a_comparison_without_an_interval_retires():
    """NaN never promotes; at the end the reason says how many decisions bounds need."""
    action = step(*SHADOWED, comparison=comparison(float("nan")))
    assert isinstance(action, RetireChallenger)
    assert "50 decisions are too few for bounds, which need 200" in action.reason
    assert step(*SHADOWED, comparison=comparison(float("nan"), decisions_max=900)) is None


@pytest.mark.parametrize(("policy", "env"), [(POLICY, "live"), (PolicySettings(auto_promote=False), "paper")])
def test_where_a_person_promotes_the_policy_does_not(policy, env):
    """In live, or when told so, the challenger stays in shadow for a person."""
    assert step(*SHADOWED, policy=policy, env=env, comparison=comparison(-0.02)) is None


def test_a_promoted_challenger_is_finished():
    """Once champion, the challenger asks for nothing more."""
    assert step(*SHADOWED, promoted("b"), comparison=comparison(-0.02)) is None


def test_a_challenger_rolled_back_is_finished():
    """A challenger that a person rolled back is not promoted again by the policy."""
    assert step(*SHADOWED, promoted("b"), rolled_back("b", "a"), comparison=comparison(-0.02)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"retrain_on": ("drift",)}, "allowed are data_drift"),
        ({"budget": -1}, "policy.budget is -1"),
        ({"shadow_decisions": 0}, "at least 1"),
        ({"scheduled_every_decisions": -5}, "at least 1"),
        ({"loss_margin": -0.1}, "policy.loss_margin"),
    ],
)
def test_settings_that_cannot_act_are_refused(change, said):
    """A refusal names the setting, what was found and what is allowed."""
    with pytest.raises(SettingsInvalid, match=said):
        PolicySettings(**change)
