"""What the policy does about findings at once, and the way through a canary."""

import pytest
from change_comparisons import compared
from change_facts import ended, finding, judged, lines, promoted, raised, registered, rolled_back, started

from tradeworthy.change.release.answers import Reaction, next_answer, rehearse, said
from tradeworthy.change.release.policy import (
    PolicySettings,
    Progress,
    PromoteChallenger,
    StartCanary,
    decide,
)
from tradeworthy.change.release.standing import stand
from tradeworthy.change.watch.findings import ALONE
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid

REDUCE = Reaction(on="data_drift", do="reduce", share=0.4)
HALT = Reaction(on="performance", do="halt", severity="critical")
CANARY = facts.VersionPromoted(version="b", role="canary", env="paper", previous="a", share=0.2)
POLICY = PolicySettings(canary_share=0.2, canary_decisions=100, shadow_decisions=50)
CHALLENGED = (promoted("a"), started(), registered("b"), ended("b"), judged("b"))


def graver(kind):
    found = finding(kind)
    return facts.FindingRaised(finding=type(found)(**{**as_dict(found), "severity": "critical"}))


def as_dict(found):
    return {name: getattr(found, name) for name in found.__struct_fields__}


def answer(*written: facts.Fact, reactions=(REDUCE, HALT), rollback_on=("performance",)):
    return next_answer(reactions, rollback_on, stand(lines(*written)))


def step(*written: facts.Fact, decisions=0, comparison=None, policy=POLICY, env="paper"):
    progress = Progress(now_ns=10_000, decisions_since_retrain=10, canary_decisions=decisions, comparison=comparison)
    return decide(policy, stand(lines(*written)), progress, env=env)


def good(version="b"):
    return compared(version, loss=(-0.03, -0.01))


def test_the_first_reaction_that_fits_is_taken():
    """A finding of a listed kind is answered with the share that its rule names."""
    found = answer(promoted("a"), raised("data_drift"))
    assert (found.finding, found.do, found.share) == (2, "reduce", 0.4)
    assert said(found) == "reduce to 40% of full size"


def test_a_milder_finding_is_left_alone():
    """A rule for critical findings does not answer a warning."""
    assert answer(promoted("a"), raised("performance")) is None
    assert answer(promoted("a"), graver("performance")).do == "halt"


@pytest.mark.parametrize("kind", ALONE)
def test_what_is_wrong_with_the_machine_can_be_answered_too(kind):
    """A desk may halt when records are lost, the clock is set, or a stranger knocks; no other kind's rule does it."""
    rule = Reaction(on=kind, do="halt")
    assert answer(promoted("a"), raised(kind), reactions=(rule,)).do == "halt"
    assert answer(promoted("a"), raised(kind)) is None


def test_a_finding_is_answered_once():
    """After the fact of an answer only later findings are answered."""
    told = facts.FindingAnswered(finding=2, did="reduce")
    assert answer(promoted("a"), raised("data_drift"), told) is None
    assert answer(promoted("a"), raised("data_drift"), told, raised("data_drift")).finding == 4


def test_a_finding_about_the_champion_before_is_not_answered():
    """Whoever acts now is not punished for another."""
    assert answer(promoted("a"), raised("data_drift"), promoted("b")) is None
    assert answer(promoted("a"), promoted("b"), raised("data_drift"), rolled_back("b", "a")) is None


FALL_BACK = Reaction(on="performance", do="fallback", to="hold")
ROLL_BACK = Reaction(on="performance", do="rollback")


def test_a_reaction_that_cannot_be_leaves_the_finding_to_the_next():
    """With nobody to go back to, the rule behind is taken; with somebody, it is only the second choice."""
    alone = answer(promoted("a"), raised("performance"), reactions=(ROLL_BACK, REDUCE, FALL_BACK))
    assert alone.impossible(stand(lines(promoted("a")))) == "there is no previous champion to go back to"
    assert (alone.otherwise.do, alone.otherwise.to, alone.otherwise.otherwise) == ("fallback", "hold", None)
    assert alone.impossible(stand(lines(promoted("a"), promoted("b")))) is None


@pytest.mark.parametrize(("to", "words"), [("previous", "the version before"), ("base_rate", "the rule base_rate")])
def test_a_fallback_says_to_whom(to, words):
    """The version before, or a rule by its name; only the former needs somebody to go back to."""
    found = answer(promoted("a"), raised("latency"), reactions=(Reaction(on="latency", do="fallback", to=to),))
    assert said(found) == f"fall back to {words}"
    assert (found.impossible(stand([])) is None) == (to != "previous")


def test_a_rehearsal_passes_over_what_could_not_have_been():
    """It says what was refused and what would have come in its place, or that nothing would have."""
    written = lines(promoted("a"), raised("performance"), promoted("b"), raised("performance"))
    assert [each.did for each in rehearse([ROLL_BACK, FALL_BACK], [], written)] == [
        "rollback, which was refused: there is no previous champion to go back to; fall back to the rule hold",
        "rollback",
    ]
    assert rehearse([ROLL_BACK], [], written)[0].did.endswith("to go back to; nothing")


def test_harm_under_a_canary_takes_it_back():
    """The kinds that end a canary roll back at once, before any other rule; a champion of long standing is not."""
    assert answer(promoted("a"), CANARY, raised("performance")).do == "rollback"
    assert answer(promoted("a"), raised("performance")) is None


def test_a_good_challenger_acts_at_a_share_first():
    """After its comparison it is canary, and champion only after so many decisions."""
    shadow = (*CHALLENGED, promoted("b", "shadow"))
    found = step(*shadow, comparison=good())
    assert found == StartCanary("b", 0.2, found.reason, good().distance)
    assert step(*shadow, CANARY, decisions=99) is None
    assert isinstance(step(*shadow, CANARY, decisions=100), PromoteChallenger)


def test_a_person_promotes_where_the_policy_may_not():
    """On a live desk a canary waits for its approver, and nothing else is trained meanwhile."""
    shadow = (*CHALLENGED, promoted("b", "shadow"))
    assert step(*shadow, CANARY, decisions=1_000, env="live") is None


def test_a_canary_that_was_taken_back_is_over():
    """Its story ends with the roll back; it is retired, not canary again."""
    shadow = (*CHALLENGED, promoted("b", "shadow"))
    standing = stand(lines(*shadow, CANARY, rolled_back("b", "a")))
    assert (standing.champion, standing.canary, standing.size) == ("a", None, 1.0)
    assert "b" in standing.retired
    assert step(*shadow, CANARY, rolled_back("b", "a"), decisions=1_000, comparison=good()) is None


def test_roles_and_sizes_follow_the_facts():
    """A canary takes its share, the champion that it becomes takes all, and a person may take less."""
    standing = stand(lines(promoted("a"), CANARY))
    assert standing.roles() == {"b": "canary", "a": "previous"}
    assert standing.size == 0.2
    whole = stand(lines(promoted("a"), CANARY, promoted("b")))
    assert (whole.roles()["b"], whole.size, whole.champion_since) == ("champion", 1.0, 2)
    assert stand(lines(promoted("a"), facts.SizeChanged(share=0.5))).size == 0.5


def test_a_rehearsal_tells_every_finding_and_does_nothing():
    """Findings without a rule are told too; the standing of their own time counts."""
    written = lines(promoted("a"), raised("latency"), raised("data_drift"), CANARY, raised("performance"))
    told = rehearse([REDUCE], ["performance"], written)
    assert [(each.finding, each.did) for each in told] == [
        (2, "nothing"),
        (3, "reduce to 40% of full size"),
        (5, "rollback"),
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on": "data_drft", "do": "halt"}, "near: 'data_drift'"),
        ({"on": "latency", "do": "halt", "severity": "grave"}, "allowed are info, warning, critical"),
        ({"on": "latency", "do": "reduce", "share": 1.0}, "above 0 and below 1"),
    ],
)
def test_rules_that_could_not_act_are_refused(wrong, said):
    """The message names what is allowed."""
    with pytest.raises(SettingsInvalid, match=said):
        Reaction(**wrong)


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_a_canary_takes_a_part(share):
    """Neither nothing nor everything."""
    with pytest.raises(SettingsInvalid, match="canary_share"):
        PolicySettings(canary_share=share)
