"""A finding that is answered by a retraining: within the means for it, once, and told whichever way it goes."""

import numpy as np
import pytest
from change_desk import desk, market
from change_facts import ended, judged, lines, promoted, raised, rolled_back, started
from test_conduct import conductor

from tradeworthy.change.release.answers import Reaction, rehearse, said
from tradeworthy.change.release.means import UNBOUND, Means, is_on_its_way
from tradeworthy.change.release.policy import PolicySettings, StartRetrain
from tradeworthy.change.release.standing import stand
from tradeworthy.core import facts
from tradeworthy.core.time import NS_PER_HOUR

RETRAIN = Reaction(on="performance", do="retrain")
REDUCE = Reaction(on="performance", do="reduce", share=0.25)
POLICY = PolicySettings(retrain_on=(), cool_down_decisions=0, reaction=[RETRAIN, REDUCE])


@pytest.fixture
def home(tmp_path):
    """A paper deployment with a champion and its history."""
    made = desk(tmp_path / "desk")
    made.champion(1)
    np.save(tmp_path / "events.npy", market(300))
    yield made
    made.close()


def find(home, kind="performance"):
    """Raise a finding; return its number."""
    home.ledger.append(raised(kind), actor="watcher", reason="a test")
    return home.ledger.head()[0]


def step(home, policy=POLICY, **other: object):
    """Restart the policy's hands and take one step."""
    values = {name: getattr(policy, name) for name in policy.__struct_fields__} | other
    return conductor(home, home.folder / "tape", PolicySettings(**values)).step(home.registry.standing(), 77)


def answered(home):
    """Return what was written down about findings."""
    return [entry.fact.did for entry in home.ledger.facts(facts.FindingAnswered)]


def begun(home):
    """Return the retrainings that began."""
    return [entry.fact for entry in home.ledger.facts(facts.RetrainStarted)]


def test_the_finding_starts_a_retraining_and_says_so(home):
    """With what asked for it, up to what the monitors have read, and since when it holds."""
    number = find(home)
    step(home)
    [attempt] = begun(home)
    assert attempt.trigger == "performance: " + raised("performance").finding.sentence
    assert (attempt.last_sequence, attempt.changed_ns) == (77, raised("performance").finding.since_ns)
    assert answered(home) == ["retrain, unless a challenger is on its way"]
    assert home.ledger.facts(facts.FindingAnswered)[0].fact.finding == number
    assert home.registry.standing().size == 1.0


def test_a_second_finding_meanwhile_starts_no_other(home):
    """A challenger that is on its way is answer enough; neither budget nor the next reaction is touched."""
    find(home)
    step(home)
    find(home)
    step(home, budget=1)
    assert len(begun(home)) == 1
    assert answered(home) == ["retrain, unless a challenger is on its way"] * 2


def test_killed_between_deed_and_word_it_is_done_once(home):
    """The next process finds the retraining begun, and writes down that the finding was answered."""
    find(home)
    home.ledger.append(started(last=77), actor="policy", reason="then it died")
    step(home)
    assert len(begun(home)) == 1
    assert len(answered(home)) == 1


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"budget": 0}, "0 retrainings began within 168 hours, the budget is 0"),
        ({"budget": 1}, "1 retrainings began within 168 hours, the budget is 1"),
        ({"cool_down_decisions": 9}, "0 decisions since the last retraining, the cool-down is 9"),
    ],
)
def test_what_the_means_forbid_leaves_the_finding_to_the_next_reaction(home, settings, why):
    """And the record says what was refused, and why."""
    home.ledger.append(started(), actor="policy", reason="earlier")
    home.ledger.append(ended(None, "no data"), actor="policy", reason="earlier")
    if settings.get("budget") == 0:
        why = why.replace("0 retrainings", "1 retrainings")
    find(home)
    step(home, **settings)
    assert len(begun(home)) == 1
    assert answered(home) == [
        f"retrain, unless a challenger is on its way, which was refused: {why}; reduce to 25% of full size"
    ]
    assert home.registry.standing().size == 0.25


def test_with_no_reaction_left_a_person_is_asked(home):
    """A budget that is spent is no silence: a critical finding says that nobody could do anything."""
    find(home)
    step(home, budget=0, reaction=[RETRAIN])
    told = [entry.fact.finding for entry in home.ledger.facts(facts.FindingRaised)][-1]
    assert told.severity == "critical"
    assert "the budget is 0" in told.sentence


def test_a_dry_run_trains_nothing(home):
    """It writes down what it would have done."""
    find(home)
    step(home, dry_run=True)
    assert begun(home) == []
    assert home.ledger.facts(facts.FindingAnswered)[0].fact.dry_run


def test_a_reaction_and_a_trigger_start_one_retraining(home):
    """Where the kind stands in `retrain_on` too, the finding is not asked twice."""
    find(home)
    step(home, retrain_on=("performance",))
    home.ledger.append(ended(None, "no data"), actor="policy", reason="over")
    assert not isinstance(step(home, retrain_on=("performance",)), StartRetrain)
    assert len(begun(home)) == 1


def test_a_rehearsal_counts_the_retrainings_that_there_were():
    """Against the budget, in its window; the cool-down is in decisions, which a ledger does not know."""
    hour = NS_PER_HOUR
    written = lines(
        promoted("a"),
        raised("performance"),
        started(),
        ended(None, "x"),
        raised("performance"),
        every_ns=hour,
    )
    told = [each.did for each in rehearse([RETRAIN, REDUCE], [], written, Means(1, 2.5, 1_000))]
    refused = "retrain, unless a challenger is on its way, which was refused: 1 retrainings began within 2.5 hours"
    assert told[0] == "retrain, unless a challenger is on its way"
    assert told[1] == f"{refused}, the budget is 1; reduce to 25% of full size"
    assert [each.did for each in rehearse([RETRAIN], [], written, Means(1, 1.5, 0))][1] == told[0]
    assert [each.did for each in rehearse([RETRAIN], [], written)] == [told[0]] * 2
    assert UNBOUND.refuses(stand(written), 6 * hour) is None


@pytest.mark.parametrize(
    ("written", "is_coming"),
    [
        ((), False),
        ((started(),), True),
        ((started(), ended(None, "x")), False),
        ((started(), ended("b")), True),
        ((started(), ended("b"), judged("b", passed=False)), False),
        ((started(), ended("b"), judged("b")), True),
        ((started(), ended("b"), judged("b"), promoted("b", "shadow")), True),
        ((started(), ended("b"), judged("b"), promoted("b", "retired")), False),
        ((promoted("a"), started(), ended("b"), judged("b"), promoted("b", "canary")), True),
        ((promoted("a"), started(), ended("b"), judged("b"), promoted("b")), False),
        ((promoted("a"), started(), ended("b"), judged("b"), promoted("b"), rolled_back("b", "a")), False),
    ],
)
def test_when_a_challenger_is_on_its_way(written, is_coming):
    """From the start of its training until it is champion, retired or refused."""
    assert is_on_its_way(stand(lines(*written))) == is_coming


def test_the_words_name_no_share(home):
    """A retraining takes no size away."""
    find(home)
    assert home.ledger.facts(facts.FindingRaised)
    step(home)
    assert home.ledger.facts(facts.FindingAnswered)[0].fact.share is None
    assert said(None) == "nothing"
