"""Each check passes the good candidate, refuses its own kind of bad one, and never passes what is missing."""

import math

import msgspec
import pytest
from gate_evidence import GOOD, spoiled, without

from tradeworthy.judge.validate.gate import GateSettings

CHECKS = {check.name: check for check in GateSettings().checks()}
PART = {
    "parity_features": "parity",
    "parity_serving": "parity",
    "performance": "performance",
    "beats_baseline": "performance",
    "latency": "latency",
    "artifact_safety": "artifact",
    "limits_complete": "limits",
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
    result = CHECKS[name].judge(without(PART[name]))
    assert result.verdict == "missing"
    assert "not gathered" in result.measured


BAD = [
    ("parity_features", "parity", {"stream_batch_differences": 1}),
    ("parity_features", "parity", {"stream_batch_rows": 5}),
    ("parity_serving", "parity", {"serving_error_max": 2e-12}),
    ("parity_serving", "parity", {"serving_error_max": 1e-3, "serving_tolerance": 1.0}),
    ("parity_serving", "parity", {"serving_rows": 3}),
    ("performance", "performance", {"auc_low": 0.5}),
    ("performance", "performance", {"n": 20}),
    ("beats_baseline", "performance", {"log_loss": 0.694}),
    ("beats_baseline", "performance", {"log_loss_gain_low": -0.001, "log_loss_gain_high": 0.01}),
    ("beats_baseline", "performance", {"auc": 0.55, "baseline_auc": 0.56}),
    ("latency", "latency", {"us_p99": 1_001.0}),
    ("latency", "latency", {"decisions": 10}),
    ("artifact_safety", "artifact", {"signature_ok": False}),
    ("artifact_safety", "artifact", {"digests_ok": False}),
    ("artifact_safety", "artifact", {"formats": ["trees", "pickle"]}),
    ("artifact_safety", "artifact", {"formats": []}),
    ("limits_complete", "limits", {"drawdown_value_max": None}),
]


@pytest.mark.parametrize(("name", "part", "changes"), BAD)
def test_a_bad_candidate_is_refused_by_the_right_check(name, part, changes):
    """The check for this fault fails."""
    assert CHECKS[name].judge(spoiled(part, **changes)).verdict == "fail"


@pytest.mark.parametrize(
    ("name", "part", "field"),
    [
        ("parity_serving", "parity", "serving_error_max"),
        ("performance", "performance", "auc_low"),
        ("beats_baseline", "performance", "log_loss"),
        ("latency", "latency", "us_p99"),
    ],
)
def test_a_figure_that_is_not_a_number_is_missing(name, part, field):
    """NaN is no evidence."""
    assert CHECKS[name].judge(spoiled(part, **{field: math.nan})).verdict == "missing"


def test_a_candidate_may_fail_one_check_only():
    """A fault of one part leaves the other checks as they were."""
    evidence = spoiled("latency", us_p99=math.inf)
    verdicts = {name: check.judge(evidence).verdict for name, check in CHECKS.items()}
    assert verdicts == {name: "fail" if name == "latency" else "pass" for name in CHECKS}


def test_the_limits_that_are_not_set_are_named():
    """A person reads which limits to set."""
    result = CHECKS["limits_complete"].judge(spoiled("limits", order_value_max=None, drawdown_value_max=None))
    assert "order_value_max, drawdown_value_max" in result.measured


def test_a_requirement_moves_with_the_settings():
    """A stricter desk refuses what the default lets pass."""
    strict = GateSettings(auc_low_min=0.54, latency_us_p99_max=20.0)
    refused = {check.name for check in strict.checks() if check.judge(GOOD).verdict != "pass"}
    assert refused == {"performance", "latency"}


def test_unknown_settings_are_refused():
    """A misspelt requirement must not be read as none."""
    with pytest.raises(msgspec.ValidationError, match="auc_low_minimum"):
        msgspec.toml.decode(b"auc_low_minimum = 0.6", type=GateSettings)
