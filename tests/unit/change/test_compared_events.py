"""A version is compared on the same events: with rules that need no model, with the champion, with what came of it."""

from dataclasses import replace

import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, STRATEGY, TRAINING, desk, write_strategy
from gate_candidates import candidate, events, judged, register, verdicts

from tradeworthy.change.evidence.comparing import losses_of, previous_label, reliability, unseen_scores
from tradeworthy.change.evidence.context import Context
from tradeworthy.change.evidence.performance import fold_table, reliability_table
from tradeworthy.change.train.candidate import OutOfFold
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import train
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.comparison import AgainstChampion, Calibration, NaiveRules
from tradeworthy.judge.validate.fairness import Groups
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.model.features.labels import outcome

GUESSING = STRATEGY.replace(
    '    """Fit a few small trees."""',
    '    """Learn from labels that belong to other rows."""\n    labels = labels[::-1].copy()',
)
SURE_OF_ITSELF = STRATEGY.replace('"seed": SEED}', '"seed": SEED, "scale_pos_weight": 20.0}')
RETURNS = STRATEGY.replace("forward_direction", "forward_return").replace('"binary"', '"regression"')
ONLY = (NaiveRules, AgainstChampion, Calibration)


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def result(report, name):
    """Return one check's result."""
    return next(each for each in report.results if each.name == name)


def walk_of(scores, labels):
    """Return a walk-forward of directions with these scores, by a base rate of one half."""
    n = len(scores)
    return OutOfFold(
        scores=np.asarray(scores, float),
        labels=np.asarray(labels, float),
        values=np.zeros(n),
        baseline=np.full(n, 0.5),
        ts_event_ns=np.arange(n, dtype=np.int64),
        fold=np.zeros(n, np.int64),
        binary=True,
    )


def context_of(home, digest, made):
    """Return what gatherers work with."""
    return Context(
        version=home.registry.load(digest),
        candidate=made,
        instruments=INSTRUMENTS,
        limits=Limits(),
        events=events(),
        profile="quick",
        training=TRAINING,
        registry=home.registry,
        settings=GateSettings(),
        now_ns=home.clock.now_ns(),
    )


def test_a_good_candidate_is_better_than_every_naive_rule(home):
    """Losses below the base rate's and the previous label's; profits beside doing nothing and holding."""
    report = judged(home, register(home, candidate()), only=ONLY)
    found = result(report, "naive_rules")
    assert (found.verdict, verdicts(report)["calibration"]) == ("pass", "pass")
    named = [row[0] for row in found.tables[0].rows]
    assert named == ["base rate, loss", "previous label, loss", "always flat, profit", "buy and hold, profit"]
    assert all(low < gain < high for _, gain, low, high, _, _ in found.tables[0].rows)


def test_a_bad_candidate_that_only_guesses_is_worse_than_naive_rules(home):
    """A model that learned the labels of other rows saves no loss."""
    assert verdicts(judged(home, register(home, candidate(GUESSING)), only=ONLY))["naive_rules"] == "fail"


def test_without_costs_no_profit_is_compared(home):
    """Where costs are not known, money is not counted, and the losses are compared all the same."""
    found = result(judged(home, register(home, candidate()), only=ONLY, cost_bps=None), "naive_rules")
    assert [row[0] for row in found.tables[0].rows] == ["base rate, loss", "previous label, loss"]
    assert found.verdict == "pass"


def test_a_bad_candidate_that_is_worse_than_the_champion_is_refused_for_it(home):
    """Beside a champion with an edge, one that guesses is surely worse in loss on the very same events."""
    home.release.promote(home.judged(register(home, candidate())), "champion", actor="ada", reason="a test")
    report = judged(home, register(home, candidate(GUESSING)), only=ONLY)
    found = result(report, "against_champion")
    assert found.verdict == "fail"
    assert [row[0] for row in found.tables[0].rows] == ["champion, loss", "champion, profit"]
    assert found.tables[0].rows[0][3] < 0.0
    same = judged(home, register(home, candidate(seed=2)), only=ONLY)
    assert result(same, "against_champion").verdict == "pass"


def test_a_version_with_another_label_is_compared_by_money_alone(home):
    """Losses of a direction and of a return have no common measure; profits have."""
    home.release.promote(home.judged(register(home, candidate())), "champion", actor="ada", reason="a test")
    found = result(judged(home, register(home, candidate(RETURNS)), only=ONLY), "against_champion")
    assert [row[0] for row in found.tables[0].rows] == ["champion, profit"]


def test_without_a_champion_there_is_nothing_to_be_worse_than(home):
    """The check says so and requires nothing."""
    found = result(judged(home, register(home, candidate()), only=ONLY), "against_champion")
    assert (found.verdict, found.measured) == ("info", "there is no champion to compare with")


def test_a_champion_is_compared_only_where_it_had_not_seen_the_row(home):
    """Its own walk-forward, then the rows behind its last label: no score of a row that it learned from."""
    strategy = load_strategy(write_strategy(home.folder))
    old = train(strategy, events()[:900], INSTRUMENTS, TRAINING, clock=VirtualClock(START_NS))
    digest = register(home, old)
    context = context_of(home, digest, candidate())
    found = unseen_scores(context, home.registry.load(digest), old)
    walked = np.isin(found.ts_event_ns, old.walk.ts_event_ns)
    assert np.array_equal(found.scores[walked], old.walk.scores)
    later = found.ts_event_ns[~walked]
    stamps = events()["ts_event_ns"]
    last = int(np.searchsorted(stamps, old.lineage.last_ts_ns))
    assert later.min() == stamps[last + 1 + old.label.horizon]
    assert later.max() == stamps[-1]


def test_the_previous_label_is_one_that_was_known():
    """A label moves the naive scores of no row before the one at which it is known."""
    rng = np.random.default_rng(1)
    labels = (rng.random(300) < 0.5).astype(float)
    before = previous_label(walk_of(np.full(300, 0.5), labels), 5)
    turned = labels.copy()
    turned[100] = 1.0 - turned[100]
    after = previous_label(walk_of(np.full(300, 0.5), turned), 5)
    assert np.flatnonzero(before != after).min() == 105
    assert np.all((before > 0.0) & (before < 1.0))


def test_the_previous_label_foresees_what_persists():
    """Where labels come in long runs, the rule is far better than the base rate; where they are tossed, it is not."""
    runs = np.repeat([0.0, 1.0] * 20, 25)
    walk = walk_of(np.full(1_000, 0.5), runs)
    assert losses_of(walk, previous_label(walk, 1)).mean() < 0.5 * losses_of(walk, walk.baseline).mean()
    tossed = walk_of(np.full(1_000, 0.5), (np.random.default_rng(2).random(1_000) < 0.5).astype(float))
    assert losses_of(tossed, previous_label(tossed, 1)).mean() > losses_of(tossed, tossed.baseline).mean() - 0.003


def test_reliability_tells_honest_scores_from_overconfident_ones():
    """Scores that are the shares of what comes lie on the line; the same scores pushed outwards do not."""
    rng = np.random.default_rng(3)
    true = rng.uniform(0.2, 0.8, 20_000)
    came = (rng.random(20_000) < true).astype(float)
    honest = [*reliability(true, came, 1)]
    assert len(honest) == 10
    assert all(abs(foreseen - share) < 4.0 * wrong for foreseen, share, wrong, _ in honest)
    pushed = [*reliability(np.where(true > 0.5, 0.95, 0.05), came, 1)]
    assert len(pushed) == 2
    assert all(abs(foreseen - share) > 0.2 for foreseen, share, _, _ in pushed)
    assert sum(n for _, _, _, n in pushed) == 20_000


def test_what_is_drawn_of_outcomes_is_as_sure_however_late_they_are_known():
    """Outcomes do not overlap: their bounds do not widen with the rows that it takes to know them."""
    soon, late = (replace(candidate(), label=outcome("bad", known_after)) for known_after in (1, 500))
    assert reliability_table(soon) == reliability_table(late)
    first, second = (fold_table(each, np.random.default_rng(4)) for each in (soon, late))
    assert first == second


def test_a_bad_candidate_that_is_too_sure_of_itself_is_refused_for_its_calibration(home):
    """A class that counts twenty times in training: the ranking stays good, the probabilities are not what comes."""
    report = judged(home, register(home, candidate(SURE_OF_ITSELF)), only=ONLY)
    assert verdicts(report)["calibration"] == "fail"


def test_calibration_cannot_be_asked_of_returns(home):
    """A model of forward returns gives no probabilities: inapplicable, not missing."""
    report = judged(home, register(home, candidate(RETURNS)), only=ONLY)
    assert verdicts(report)["calibration"] == "inapplicable"


def test_quarters_and_tiers_of_liquidity_are_groups(home):
    """The AUC is told by quarter, session, regime and by how much was traded before."""
    found = result(judged(home, register(home, candidate()), only=(Groups,)), "worst_group")
    named = {row[0].split()[0] for row in found.tables[0].rows}
    assert named == {"period", "session", "volatility", "trend", "liquidity"}
    tiers = [row[3] for row in found.tables[0].rows if row[0].startswith("liquidity")]
    assert max(tiers) - min(tiers) <= 1
