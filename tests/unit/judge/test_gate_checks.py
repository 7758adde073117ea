"""Each check passes the good candidate, refuses its own kind of bad one, and never passes what is missing."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from gate_evidence import GOOD, spoiled, without

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.comparison import AgainstChampion, Calibration, NaiveRules
from tradeworthy.judge.validate.documents import ChangeFromChampion, DocumentsSettings, ModelCard
from tradeworthy.judge.validate.evidence import Evidence, Table
from tradeworthy.judge.validate.explanation import Explanation, ExplanationSettings, FoldReasons
from tradeworthy.judge.validate.fairness import FairnessSettings, Groups, Markets, Protected
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.judge.validate.latency import Latency, LatencySettings, Placement, Startup
from tradeworthy.judge.validate.leakage import FoldContact, Foresight, LookAhead
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.overfitting import (
    Memory,
    OverfittingSettings,
    Paths,
    Permutation,
    Selection,
    TrackRecord,
)
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance, PerformanceSettings
from tradeworthy.judge.validate.prior import PriorEvidence
from tradeworthy.judge.validate.robustness import EventAttacks, FeatureAttacks, Poisoning
from tradeworthy.judge.validate.trading import Trading
from tradeworthy.judge.validate.window import TrainingWindow, WindowSettings

REVIEWED = DocumentsSettings(score_distance_max=0.05, sides_differ_max=0.2, attribution_distance_max=0.3)
REASONED = ExplanationSettings(surrogate_fidelity_min=0.5, forbidden=["age"])
FAIR = FairnessSettings(protected=("region",), proxy_auc_max=0.9)
SETTINGS = GateSettings(
    overfitting=OverfittingSettings(auc_gap_max=0.3), documents=REVIEWED, explanation=REASONED, fairness=FAIR
)
SHOWN = "mitigation"
"""Requires nothing, and so refuses nobody: see `test_mitigation`."""

CHECKS = {check.name: check for check in SETTINGS.checks("full") if check.name != SHOWN}
PART = {
    "parity_features": Parity,
    "parity_serving": Parity,
    "parity_golden": Parity,
    "performance": Performance,
    "beats_baseline": Performance,
    "latency": Latency,
    "reasons_stable": Explanation,
    "reasons_allowed": Explanation,
    "reason_codes": Explanation,
    "surrogate": Explanation,
    "reasons_across_folds": FoldReasons,
    "artifact_safety": Artifact,
    "manifest_complete": Artifact,
    "limits_complete": LimitsInForce,
    "model_card": ModelCard,
    "change": ChangeFromChampion,
    "look_ahead": LookAhead,
    "label_overlap": FoldContact,
    "packages_locked": Artifact,
    "startup": Startup,
    "placement": Placement,
    "naive_rules": NaiveRules,
    "against_champion": AgainstChampion,
    "calibration": Calibration,
    "prior_supported": PriorEvidence,
    "prior_correction": PriorEvidence,
    "training_window": TrainingWindow,
    "duplicated_rows": FoldContact,
    "feature_too_good": Foresight,
    "shifted_label": Foresight,
    "worst_group": Groups,
    "worst_market": Markets,
    "fairness": Protected,
    "after_costs": Trading,
    "costs_borne": Trading,
    "deflated_sharpe": TrackRecord,
    "track_record": TrackRecord,
    "backtest_overfitting": Selection,
    "label_permutation": Permutation,
    "combinatorial_paths": Paths,
    "memory": Memory,
    "robustness": FeatureAttacks,
    "event_robustness": EventAttacks,
    "poisoning": Poisoning,
}


@pytest.mark.parametrize("name", PART)
def test_a_good_candidate_passes(name):
    """The check passes, and says its requirement, what it measured and the numbers that it rests on."""
    result = CHECKS[name].judge(GOOD)
    assert result.verdict == "pass"
    assert result.requirement == CHECKS[name].requirement
    assert result.measured
    assert result.evidence


@pytest.mark.parametrize("name", PART)
def test_evidence_that_was_not_gathered_is_missing(name):
    """An absent part is missing, never pass and never fail."""
    result = CHECKS[name].judge(without(PART[name], "nobody looked"))
    assert result.verdict == "missing"
    assert "not gathered: nobody looked" in result.measured


OWN = GOOD.part(Placement).back_ends[0]
ATTACK = GOOD.part(EventAttacks).attacks[0]
AT_01 = GOOD.part(FeatureAttacks).found[0]


def worse(name: str, place: int, **changes: float):
    """Return one of the good comparisons of a check with some figures changed."""
    return msgspec.structs.replace(GOOD.part(PART[name]).compared[place], **changes)


def region(**changes: Any):
    """Return the good protected column with some figures changed."""
    return msgspec.structs.replace(GOOD.part(Protected).columns[0], **changes)


def measured(**changes: Any):
    """Return it with some measures between groups changed."""
    return region(measures=msgspec.structs.replace(region().measures, **changes))


BAD = [
    ("robustness", FeatureAttacks, {"found": [msgspec.structs.replace(AT_01, broken=0.21)]}),
    ("robustness", FeatureAttacks, {"found": [msgspec.structs.replace(AT_01, rows=99)]}),
    ("event_robustness", EventAttacks, {"attacks": [msgspec.structs.replace(ATTACK, hits=38)]}),
    ("event_robustness", EventAttacks, {"attacks": [ATTACK, msgspec.structs.replace(ATTACK, flipped=1_300)]}),
    ("event_robustness", EventAttacks, {"attacks": [ATTACK, msgspec.structs.replace(ATTACK, loss_bps=51.0)]}),
    ("poisoning", Poisoning, {"worst_auc": 0.43}),
    ("poisoning", Poisoning, {"influence_flips": 0.31}),
    ("parity_features", Parity, {"stream_batch_differences": 1}),
    ("parity_features", Parity, {"stream_batch_rows": 5}),
    ("parity_serving", Parity, {"serving_error_max": 2e-12}),
    ("parity_serving", Parity, {"serving_error_max": 1e-3, "serving_tolerance": 1.0}),
    ("parity_serving", Parity, {"serving_rows": 3}),
    ("performance", Performance, {"auc_low": 0.5}),
    ("performance", Performance, {"n": 20}),
    ("beats_baseline", Performance, {"log_loss": 0.694}),
    ("naive_rules", NaiveRules, {"compared": [worse("naive_rules", 0, gain=-1e-6)]}),
    ("naive_rules", NaiveRules, {"compared": [worse("naive_rules", 1, gain=0.0)]}),
    ("against_champion", AgainstChampion, {"compared": [worse("against_champion", 0, high=-1e-6)]}),
    ("against_champion", AgainstChampion, {"compared": [worse("against_champion", 1, high=-0.1)]}),
    ("packages_locked", Artifact, {"packages": {}}),
    ("packages_locked", Artifact, {"packages_here": {"numba": "0.68.1", "numpy": "2.4.7"}}),
    ("packages_locked", Artifact, {"packages_here": {"numba": "0.68.1"}}),
    ("startup", Startup, {"ready_s": 61.0}),
    ("startup", Startup, {"memory_mb": 2_049.0}),
    ("placement", Placement, {"served_by": "ONNX Runtime"}),
    ("placement", Placement, {"back_ends": [OWN, msgspec.structs.replace(OWN, name="other", us=OWN.us / 3.0)]}),
    ("calibration", Calibration, {"error": 0.16}),
    ("training_window", TrainingWindow, {"effective_rows": 199.0}),
    ("prior_supported", PriorEvidence, {"share": 0.67}),
    ("prior_supported", PriorEvidence, {"same_model": False}),
    ("prior_supported", PriorEvidence, {"outcomes": 199}),
    ("prior_correction", PriorEvidence, {"gain_low": -0.001}),
    ("prior_correction", PriorEvidence, {"apart_after": 0.1}),
    ("prior_correction", PriorEvidence, {"outcomes": 199}),
    ("beats_baseline", Performance, {"auc": 0.55, "baseline_auc": 0.56}),
    ("parity_golden", Parity, {"golden_error_max": 1e-3}),
    ("parity_golden", Parity, {"golden_rows": 0}),
    ("latency", Latency, {"us_p99": 1_001.0}),
    ("latency", Latency, {"decisions": 10}),
    ("reasons_stable", Explanation, {"noise_agreement": 0.79}),
    ("reasons_allowed", Explanation, {"leading": ["a", "age"]}),
    ("reason_codes", Explanation, {"codes_missing": ["a"]}),
    ("surrogate", Explanation, {"surrogate_fidelity": 0.4}),
    ("reasons_across_folds", FoldReasons, {"importance_agreement": 0.4}),
    ("artifact_safety", Artifact, {"signature_ok": False}),
    ("artifact_safety", Artifact, {"digests_ok": False}),
    ("artifact_safety", Artifact, {"formats": ["trees", "pickle"]}),
    ("artifact_safety", Artifact, {"formats": []}),
    ("model_card", ModelCard, {"empty": ["owner"]}),
    ("model_card", ModelCard, {"days_to_review": -1.0}),
    ("model_card", ModelCard, {"days_to_review": 5_000.0}),
    ("change", ChangeFromChampion, {"score_distance": 0.06}),
    ("change", ChangeFromChampion, {"sides_differ": 0.21}),
    ("change", ChangeFromChampion, {"attribution_distance": 0.31}),
    ("look_ahead", LookAhead, {"differences": 1}),
    ("look_ahead", LookAhead, {"rows": 9}),
    ("label_overlap", FoldContact, {"overlapping_labels": 1}),
    ("label_overlap", FoldContact, {"folds": 0}),
    ("duplicated_rows", FoldContact, {"duplicated_rows": 100}),
    ("feature_too_good", Foresight, {"auc_max": 0.9}),
    ("feature_too_good", Foresight, {"rows": 50}),
    ("shifted_label", Foresight, {"lead_max": 0.11}),
    ("artifact_safety", Artifact, {"bytes_total": 1 << 30}),
    ("manifest_complete", Artifact, {"lacking": ["data_digest"]}),
    ("manifest_complete", Artifact, {"refusal": "a byte changed"}),
    ("worst_group", Groups, {"worst_high": 0.49}),
    ("worst_market", Markets, {"worst_high": 0.49}),
    ("fairness", Protected, {"columns": [region(calibration_gap=0.11)]}),
    ("fairness", Protected, {"columns": [region(proxy_auc=0.95)]}),
    ("fairness", Protected, {"columns": [region(), measured(equalized_odds_difference=(0.11, 0.05, 0.2))]}),
    ("fairness", Protected, {"columns": [measured(demographic_parity_ratio=(0.79, 0.7, 0.9))]}),
    ("beats_baseline", Performance, {"squared_error": 1.1, "baseline_squared_error": 1.0}),
    ("after_costs", Trading, {"sharpe_net": 0.0}),
    ("after_costs", Trading, {"trades": 3}),
    ("costs_borne", Trading, {"breakeven_cost_bps": 7.9}),
    ("deflated_sharpe", TrackRecord, {"deflated_sharpe": 0.94}),
    ("track_record", TrackRecord, {"periods_needed": math.inf}),
    ("backtest_overfitting", Selection, {"overfitting_probability": 0.51}),
    ("label_permutation", Permutation, {"p_value": 0.075}),
    ("combinatorial_paths", Paths, {"splits_above_chance": 0.7}),
    ("memory", Memory, {"auc_seen": 1.0}),
    ("limits_complete", LimitsInForce, {"unset": ["drawdown_value_max"]}),
]


@pytest.mark.parametrize(("name", "part", "changes"), BAD)
def test_a_bad_candidate_is_refused_by_the_right_check(name, part, changes):
    """The check for this fault fails."""
    assert CHECKS[name].judge(spoiled(part, **changes)).verdict == "fail"


@pytest.mark.parametrize(
    ("name", "part", "field"),
    [
        ("parity_serving", Parity, "serving_error_max"),
        ("performance", Performance, "auc_low"),
        ("beats_baseline", Performance, "log_loss"),
        ("latency", Latency, "us_p99"),
        ("model_card", ModelCard, "days_to_review"),
        ("change", ChangeFromChampion, "score_distance"),
        ("feature_too_good", Foresight, "auc_max"),
        ("shifted_label", Foresight, "lead_max"),
        ("worst_group", Groups, "worst_high"),
        ("worst_market", Markets, "worst_high"),
        ("after_costs", Trading, "sharpe_net"),
        ("costs_borne", Trading, "breakeven_cost_bps"),
        ("deflated_sharpe", TrackRecord, "deflated_sharpe"),
        ("track_record", TrackRecord, "periods_needed"),
        ("backtest_overfitting", Selection, "overfitting_probability"),
        ("label_permutation", Permutation, "p_value"),
        ("combinatorial_paths", Paths, "splits_above_chance"),
        ("memory", Memory, "auc_unseen"),
    ],
)
def test_a_figure_that_is_not_a_number_is_missing(name, part, field):
    """NaN is no evidence."""
    assert CHECKS[name].judge(spoiled(part, **{field: math.nan})).verdict == "missing"


def test_a_candidate_may_fail_one_check_only():
    """A fault of one part leaves the other checks as they were."""
    evidence = spoiled(Latency, us_p99=math.inf)
    verdicts = {name: check.judge(evidence).verdict for name, check in CHECKS.items()}
    assert verdicts == {name: "fail" if name == "latency" else "pass" for name in CHECKS}


def test_the_limits_that_are_not_set_are_named():
    """A person reads which limits to set."""
    part = LimitsInForce.of(Limits(position_value_max=1.0))
    result = CHECKS["limits_complete"].judge(spoiled(LimitsInForce, unset=part.unset))
    assert "order_value_max, order_quantity_max" in result.measured


def test_a_requirement_moves_with_the_settings():
    """A stricter desk refuses what the default lets pass."""
    strict = GateSettings(performance=PerformanceSettings(auc_low_min=0.54), latency=LatencySettings(us_p99_max=20.0))
    refused = {check.name for check in strict.checks() if check.judge(GOOD).stops}
    assert refused == {"performance", "latency"}


def test_unknown_settings_are_refused():
    """A misspelt requirement must not be read as none."""
    with pytest.raises(msgspec.ValidationError, match="auc_low_minimum"):
        msgspec.toml.decode(b"[performance]\nauc_low_minimum = 0.6", type=GateSettings)


def test_every_check_of_the_gate_is_tested_here():
    """A check without a good and a bad candidate is not known to judge anything."""
    assert set(PART) == set(CHECKS)
    assert {name for name, _, _ in BAD} == set(CHECKS)


def test_the_quick_profile_requires_no_profit_but_shows_it():
    """Money on paper is information there, whatever it is, and even where it was not counted."""
    checks = {check.name: check for check in GateSettings().checks("quick")}
    for evidence in (GOOD, spoiled(Trading, sharpe_net=-1.0), without(Trading)):
        result = checks["after_costs"].judge(evidence)
        assert (result.verdict, result.stops) == ("info", False)
    assert "deflated_sharpe" not in checks


def test_too_few_trials_are_no_selection():
    """With one strategy in the registry there was nothing to choose from: information, not a pass."""
    few = spoiled(Selection, trials=1, overfitting_probability=math.nan)
    assert CHECKS["backtest_overfitting"].judge(few).verdict == "info"


def test_figures_of_numpy_can_be_written_down():
    """Whatever kind of number a gatherer left, a result becomes JSON; a number that is none becomes null."""
    rows = [["a", np.float64(0.5), math.nan]]
    tables = [Table(title="t", columns=["x", "y", "z"], rows=rows)]
    result = CHECKS["feature_too_good"].judge(spoiled(Foresight, auc_max=np.float64(0.5), tables=tables))
    written = msgspec.json.decode(msgspec.json.encode(result))
    assert written["tables"][0]["rows"] == [["a", 0.5, None]]
    assert written["evidence"]["auc_max"] == 0.5


def test_a_regression_is_judged_by_its_squared_error():
    """A model without log loss is no longer missing: the share of the naive error that it removes counts."""
    found = spoiled(Performance, log_loss=math.nan, squared_error=0.98, baseline_squared_error=1.0)
    result = CHECKS["beats_baseline"].judge(found)
    assert result.verdict == "pass"
    assert "+2.00%" in result.measured


def test_a_training_without_a_choice_is_not_judged_by_its_window():
    """It learned from all rows alike: that is said, and refuses nobody."""
    [check] = WindowSettings(effective_rows_min=10**9).checks("quick")
    found = check.judge(Evidence(version="a", parts=[TrainingWindow()]))
    assert (found.verdict, found.stops) == ("info", False)
    assert "no choice of window" in found.measured
