"""Seeded bad candidates: each is refused by the check that is there for its fault, and a good one passes."""

import msgspec
import pytest
from change_desk import CARD, REVIEWED, STRATEGY, desk
from gate_candidates import PATIENT, candidate, judged, register, verdicts

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.fairness import FairnessSettings
from tradeworthy.judge.validate.latency import LatencySettings
from tradeworthy.judge.validate.overfitting import Memory, OverfittingSettings, Permutation, TrackRecord
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.judge.validate.trading import Trading
from tradeworthy.model.manifest import Card

DEEP = STRATEGY.replace('"num_leaves": 4', '"num_leaves": 200, "min_data_in_leaf": 1').replace(
    "num_boost_round=12", "num_boost_round=40"
)
"""Trees that learn every row by heart."""

FEW_FITS = msgspec.structs.replace(PATIENT, overfitting=OverfittingSettings(permutation_draws=19))


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_good_candidate_passes_every_check(home, profile):
    """A model with an edge, traded at low costs, is stopped by nothing in either profile."""
    text = STRATEGY + "\nmovable = []  # nothing that an outsider could move\n"
    report = judged(home, register(home, candidate(text)), text=text, profile=profile, settings=FEW_FITS)
    assert report.failed == []
    assert report.passed
    assert {"pass", "info"} >= set(verdicts(report).values())


def test_a_bad_candidate_that_is_slow_is_refused_for_its_latency(home):
    """A budget that no decision keeps: nothing but latency refuses it."""
    strict = msgspec.structs.replace(PATIENT, latency=LatencySettings(us_p99_max=0.01))
    assert judged(home, register(home, candidate()), settings=strict).failed == ["latency"]


def test_a_bad_candidate_that_costs_eat_is_refused_for_what_it_earns(home):
    """The same model where trading is dear: the checks that count money refuse it, those of its scores do not."""
    money = {"after_costs", "costs_borne", "deflated_sharpe", "track_record"}
    only = (Trading, TrackRecord, Performance)
    found = verdicts(judged(home, register(home, candidate()), profile="full", only=only, cost_bps=100.0))
    assert {found[name] for name in money} == {"fail"}
    assert {found[name] for name in ("performance", "beats_baseline")} == {"pass"}


def test_a_bad_candidate_that_overfits_is_refused(home):
    """Trees that memorise a random walk: right on what they saw, no better than chance on what they did not."""
    made = candidate(DEEP, "noise")
    bounded = OverfittingSettings(permutation_draws=19, auc_gap_max=0.3)
    report = judged(
        home,
        register(home, made),
        text=DEEP,
        kind="noise",
        profile="full",
        settings=msgspec.structs.replace(PATIENT, overfitting=bounded),
        only=(Memory, Permutation, TrackRecord, Performance, Parity),
    )
    found = verdicts(report)
    assert {found[name] for name in ("memory", "label_permutation", "deflated_sharpe", "beats_baseline")} == {"fail"}
    assert found["parity_features"] == "pass"


def test_a_bad_candidate_chosen_among_many_is_refused_for_the_number_of_trials(home):
    """What passes as the only trial does not pass as the best of a thousand million."""
    digest = register(home, candidate())
    many = msgspec.structs.replace(PATIENT, overfitting=OverfittingSettings(trials_declared=10**9))
    given = {"profile": "full", "only": (TrackRecord,), "cost_bps": 20.0}
    once, often = judged(home, digest, **given), judged(home, digest, settings=many, **given)
    assert (verdicts(once)["deflated_sharpe"], verdicts(once)["track_record"]) == ("pass", "pass")
    assert (verdicts(often)["deflated_sharpe"], verdicts(often)["track_record"]) == ("fail", "pass")


def test_trials_are_counted_once_a_strategy(home):
    """A retraining of the same strategy is no new trial; another strategy is."""
    register(home, candidate(seed=2))
    digest = register(home, candidate())
    report = judged(home, digest, profile="full", only=(TrackRecord,))
    (record,) = (result for result in report.results if result.name == "deflated_sharpe")
    assert record.evidence["trials"] == 2


def test_trials_that_cannot_be_read_are_missing_not_forgotten(home):
    """A damaged version of the registry was a trial too: how often was tried is not known, and the report says why."""
    other = register(home, candidate(seed=2))
    digest = register(home, candidate())
    path = home.folder / "versions" / other[:16] / "profile.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    report = judged(home, digest, profile="full", only=(TrackRecord,))
    (record,) = (result for result in report.results if result.name == "deflated_sharpe")
    assert record.verdict == "missing"
    assert other[:12] in record.measured


def test_a_bad_candidate_with_a_leaky_feature_is_refused_for_it(home):
    """A column of the file that knows the next returns: far too good, and nothing else says so."""
    text = STRATEGY.replace('"volatility_12"', '"volume": tw.log(bar.volume), "volatility_12"')
    report = judged(home, register(home, candidate(text, "leaky")), kind="leaky")
    assert report.failed == ["feature_too_good"]
    (found,) = (result for result in report.results if result.name == "feature_too_good")
    assert found.measured.startswith("volume alone has an AUC of 0.9")


def test_a_bad_candidate_that_was_tested_on_what_it_learned_is_refused(home):
    """A file that holds the same stretch of prices over and over: rows of the tests are rows of the training."""
    report = judged(home, register(home, candidate(STRATEGY, "repeated")), kind="repeated")
    assert "duplicated_rows" in report.failed


def test_a_bad_candidate_without_a_card_is_refused_for_what_is_not_written(home):
    """An empty card names every entry that is empty; one with a review that is past is refused too."""
    digest = register(home, candidate(), card=Card())
    report = judged(home, digest)
    assert report.failed == ["model_card"]
    stale = register(home, candidate(seed=2), card=msgspec.structs.replace(CARD, next_review="2017-07-01"))
    assert judged(home, stale).failed == ["model_card"]


def test_a_bad_candidate_without_limits_is_refused_for_them(home):
    """A limit that neither desk nor bundle sets stops it."""
    digest = register(home, candidate(), bounds=Limits(order_value_max=1.0))
    report = judged(home, digest, limits=Limits())
    assert report.failed == ["limits_complete"]


def test_a_challenger_is_compared_with_the_champion(home):
    """Distances of scores, sides and reasons, on rows that both score; bounds make them a requirement."""
    home.release.promote(home.judged(register(home, candidate())), "champion", actor="ada", reason="a test")
    digest = register(home, candidate(seed=2))
    strict = msgspec.structs.replace(PATIENT, documents=msgspec.structs.replace(REVIEWED, score_distance_max=1e-9))
    shown, refused = judged(home, digest), judged(home, digest, settings=strict)
    assert (verdicts(shown)["change"], verdicts(refused)["change"]) == ("info", "fail")
    (found,) = (result for result in shown.results if result.name == "change")
    assert found.evidence["rows"] == 1_500 - 12
    assert 0 < found.evidence["score_distance"] < 0.1
    assert 0 <= found.evidence["attribution_distance"] < 0.5


def test_a_bad_candidate_that_is_biased_between_groups_is_refused_for_it(home):
    """Decisions that follow a protected column: one half of its values is hardly ever selected."""
    fair = msgspec.structs.replace(PATIENT, fairness=FairnessSettings(protected=("return_1",)))
    report = judged(home, register(home, candidate()), settings=fair)
    assert report.failed == ["fairness"]
    (found,) = (result for result in report.results if result.name == "fairness")
    assert [row[0].split()[0] for row in found.tables[0].rows] == ["return_1", "return_1"]
    misnamed = msgspec.structs.replace(PATIENT, fairness=FairnessSettings(protected=("return_l",)))
    (found,) = (r for r in judged(home, register(home, candidate()), settings=misnamed).results if r.stops)
    assert (found.name, found.verdict) == ("fairness", "missing")
    assert "return_1" in found.measured


def test_a_regression_can_be_judged(home):
    """A model of forward returns has no log loss; it passes by the squared error that it removes."""
    text = STRATEGY.replace("tw.forward_direction(bar.close, 3)", "tw.forward_return(bar.close, 3)")
    text = text.replace('"objective": "binary"', '"objective": "regression"')
    report = judged(home, register(home, candidate(text)), only=(Performance,))
    assert verdicts(report)["beats_baseline"] == "pass"
    assert verdicts(report)["performance"] == "pass"
