"""How far automatic promotions have come since a person looked, and what stops them."""

import numpy as np
import pytest
from change_comparisons import compared
from change_facts import ended, judged, lines, promoted, registered, rolled_back, started

from tradeworthy.change.release.answers import rehearse_promotions
from tradeworthy.change.release.distance import (
    NOWHERE,
    UNKNOWN,
    data_apart,
    features_apart,
    gone_by,
    in_words,
    plus,
    scores_apart,
    too_far,
)
from tradeworthy.change.release.policy import (
    FreezePromotion,
    PolicySettings,
    Progress,
    PromoteChallenger,
    StartCanary,
    decide,
)
from tradeworthy.change.release.refusals import frozen
from tradeworthy.change.release.standing import stand
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.model.features.expressions import bar, log_return
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.manifest import Lineage

STEP = facts.Distance(features=0.0, scores=0.4, reasons=0.3, data=0.2)
POLICY = PolicySettings(shadow_decisions=50)
CHALLENGED = (started(), registered("c"), ended("c"), judged("c"), promoted("c", "shadow"))
APPROVED = ("bob", facts.VersionApproved(version="c", env="paper"))


def automatic(version, step=STEP, role="champion"):
    return facts.VersionPromoted(version=version, role=role, env="paper", distance=step)


def gone(*written: facts.Fact | tuple[str, facts.Fact]):
    standing = stand(lines(*written))
    return gone_by(standing.champions, standing.steps)


def step(*written: facts.Fact | tuple[str, facts.Fact], policy=POLICY, distance=STEP, canary_decisions=0):
    """Return what follows on a good comparison of challenger c with the champion."""
    found = compared("c", loss=(-0.03, -0.01), distance=distance)
    progress = Progress(now_ns=10_000, decisions_since_retrain=10, comparison=found, canary_decisions=canary_decisions)
    return decide(policy, stand(lines(*written)), progress)


def test_features_differ_by_name_or_by_formula():
    """The same formulas in another order are the same; a window that changed is another feature."""
    fast, slow = log_return(bar.close).std(5), log_return(bar.close).std(50)
    one = compile_program({"a": fast, "b": slow})
    assert features_apart(one, compile_program({"b": slow, "a": fast})) == 0.0
    assert features_apart(one, compile_program({"a": fast, "b": log_return(bar.close).std(51)})) == pytest.approx(2 / 3)
    assert features_apart(one, compile_program({"c": fast})) == 1.0


@pytest.mark.parametrize(
    ("span", "apart"), [((0, 100), 0.0), ((50, 150), 2 / 3), ((0, 200), 0.5), ((100, 200), 1.0), ((300, 400), 1.0)]
)
def test_data_differ_by_the_time_learned_from(span, apart):
    """A window that slid on, one that grew, and one that shares nothing."""
    first, second = (Lineage(first_ts_ns=a + 1, last_ts_ns=b + 1) for a, b in ((0, 100), span))
    assert data_apart(first, second) == pytest.approx(apart)
    assert data_apart(second, first) == pytest.approx(apart)


def test_data_that_nobody_tells_of_are_not_known():
    """A version that was imported says nothing of what it learned from: that is not the same as nothing new."""
    assert data_apart(Lineage(), Lineage(first_ts_ns=1, last_ts_ns=2)) is None


def test_scores_are_apart_by_their_ranks():
    """The same are 0, all above all are 1; the unit does not count, a small shift of scores that lie close does."""
    rng = np.random.default_rng(1)
    scores = 0.5 + 0.01 * rng.standard_normal(4_000)
    assert scores_apart(scores, scores) == 0.0
    assert scores_apart(scores, scores + 1.0) == pytest.approx(1.0)
    assert scores_apart(scores, rng.permutation(scores)) == pytest.approx(2 / 3, abs=0.03)
    shifted = scores_apart(scores, scores + 0.005)
    assert 0.1 < shifted < 0.5
    assert scores_apart(1_000.0 * scores, 1_000.0 * scores + 5.0) == pytest.approx(shifted)
    assert scores_apart(np.ones(9), np.ones(9)) == 0.0
    assert scores_apart(np.empty(0), np.empty(0)) is None


def test_what_is_not_known_counts_as_much_as_it_can():
    """An unknown component is 1 in every sum, and is called unknown in words."""
    assert plus(NOWHERE, UNKNOWN) == facts.Distance(features=1.0, scores=1.0, reasons=1.0, data=1.0)
    assert too_far(UNKNOWN, 0.9) == ["features", "scores", "reasons", "data"]
    assert too_far(UNKNOWN, 1.0) == []
    assert in_words(facts.Distance(features=0.0, scores=0.25, reasons=None, data=1.0)) == (
        "features 0.00, scores 0.25, reasons not known, data 1.00"
    )


def test_each_automatic_promotion_adds_its_distance():
    """Components add up by themselves, from the last version that a person let act."""
    far, since = gone(promoted("a"), automatic("b"), automatic("c"))
    assert (far.scores, far.data, since) == (pytest.approx(0.8), pytest.approx(0.4), "a")
    assert gone(promoted("a")) == (NOWHERE, "a")
    assert gone(automatic("b"))[1] is None
    assert gone() == (NOWHERE, None)


def test_a_canary_that_becomes_champion_is_counted_once():
    """Acting at a share already is the step; the policy's second promotion tells the same one again."""
    assert gone(promoted("a"), automatic("b", role="canary"))[0] == STEP
    assert gone(promoted("a"), automatic("b", role="canary"), automatic("b"))[0] == STEP


@pytest.mark.parametrize("word", [("bob", facts.VersionApproved(version="b", env="paper")), promoted("b")])
def test_a_person_begins_the_count_anew(word):
    """An approval of the champion does, and a promotion by a person too; what comes after counts from there."""
    far, since = gone(promoted("a"), automatic("b", role="canary"), word, automatic("c"))
    assert (far, since) == (STEP, "b")


def test_a_roll_back_takes_its_distance_away():
    """Back at the version before, only what led there counts."""
    assert gone(promoted("a"), automatic("b"), automatic("c"), rolled_back("c", "b"))[0] == STEP


def test_a_small_step_is_promoted_and_told():
    """Within the limit the policy promotes, at once or as a canary, and says how far it went."""
    found = step(promoted("a"), *CHALLENGED)
    assert isinstance(found, PromoteChallenger)
    assert found.distance == STEP
    canary = step(promoted("a"), *CHALLENGED, policy=PolicySettings(shadow_decisions=50, canary_share=0.2))
    assert isinstance(canary, StartCanary)
    assert canary.distance == STEP


def test_many_small_steps_wait_for_a_person():
    """The third of three steps of 0.4 is over 1: the challenger is frozen, once, and later looks change nothing."""
    came = (promoted("a"), automatic("x"), automatic("y"), *CHALLENGED)
    found = step(*came)
    assert isinstance(found, FreezePromotion)
    assert found.gone.scores == pytest.approx(1.2)
    told = facts.PromotionFrozen(version="c", gone=found.gone, allowed=1.0)
    assert step(*came, told) is None


@pytest.mark.parametrize("whose", ["c", "y"])
def test_an_approval_ends_the_wait(whose):
    """Of the challenger, which is then a person's choice, or of the champion, from which it is a small step."""
    came = (promoted("a"), automatic("x"), automatic("y"), *CHALLENGED)
    told = facts.PromotionFrozen(version="c", gone=step(*came).gone, allowed=1.0)
    found = step(*came, told, ("bob", facts.VersionApproved(version=whose, env="paper")))
    assert isinstance(found, PromoteChallenger)
    assert found.distance == (None if whose == "c" else STEP)


def test_the_wait_of_a_retired_challenger_is_over():
    """Whoever was taken out waits for nobody."""
    told = facts.PromotionFrozen(version="c", gone=STEP, allowed=0.1)
    assert set(stand(lines(promoted("a"), *CHALLENGED, told)).frozen) == {"c"}
    assert stand(lines(promoted("a"), *CHALLENGED, told, promoted("c", "retired"))).frozen == {}


def test_at_no_distance_at_all_every_challenger_waits():
    """With a limit of 0 a person approves each version, unless it is the very same."""
    policy = PolicySettings(shadow_decisions=50, distance_max=0.0)
    assert isinstance(step(promoted("a"), *CHALLENGED, policy=policy), FreezePromotion)
    assert isinstance(step(promoted("a"), *CHALLENGED, policy=policy, distance=NOWHERE), PromoteChallenger)
    with pytest.raises(SettingsInvalid, match="distance_max"):
        PolicySettings(distance_max=-0.1)


def test_the_finding_says_how_far_and_what_to_do():
    """It names the components that are over, from whom they count, and the command that ends the wait."""
    far = facts.Distance(features=0.0, scores=1.2, reasons=0.9, data=None)
    told = frozen(facts.PromotionFrozen(version="c" * 64, gone=far, allowed=1.0), "a" * 64, now_ns=5)
    assert told.sentence == (
        "Automatic promotion is frozen: with version cccccccccccccccc it would have come too far in scores from "
        "version aaaaaaaaaaaaaaaa, the last that a person let act (features 0.00, scores 1.20, reasons 0.90, "
        "data not known; allowed is 1). Version cccccccccccccccc passed its comparison and waits as a shadow: look at "
        "what has changed, then run tradeworthy approve cccccccccccccccc, or approve champion."
    )
    assert (told.kind, told.severity, told.observed, told.threshold) == ("release", "warning", 1.2, 1.0)
    alone = frozen(facts.PromotionFrozen(version="c", gone=far, allowed=1.0), None, now_ns=5)
    assert "from any version that a person let act" in alone.sentence


def test_a_rehearsal_says_who_would_have_waited():
    """Under another limit the same promotions let act, or wait; a challenger that did wait is told too."""
    frozen_then = facts.PromotionFrozen(version="d", gone=plus(plus(STEP, STEP), STEP), allowed=1.0)
    written = lines(
        promoted("a"), automatic("b", role="canary"), automatic("b"), automatic("c"), frozen_then, promoted("e")
    )
    told = rehearse_promotions(0.5, written)
    assert [(each.number, each.version, each.did) for each in told] == [
        (2, "b", "let it act"),
        (4, "c", "wait for a person: too far in scores and reasons"),
        (5, "d", "wait for a person: too far in scores and reasons and data"),
    ]
    assert {each.did for each in rehearse_promotions(2.0, written)} == {"let it act"}
    assert rehearse_promotions(0.5, lines(promoted("a"))) == []
