"""Invariants of metrics and monitors, for any input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.judge.metrics import auc, classification
from tradeworthy.judge.metrics_trading import drawdown
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings, calibrate_drift
from tradeworthy.judge.validate.evidence import Evidence
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.judge.validate.latency import Latency
from tradeworthy.judge.validate.parity import Parity

SCORES = arrays.arrays(np.float64, st.integers(2, 60), elements=st.integers(0, 20).map(lambda v: v / 20))
WILD = st.floats(width=64)
CHARTS = calibrate_drift(
    np.random.default_rng(0).standard_normal((400, 2)),
    ["a", "b"],
    DriftSettings(false_alarms_per_10k=50.0, charts=ChartSettings(runs=5, run_length=1_000)),
)


def labelled(scores):
    """Return labels of both classes for scores, some ties on either side."""
    return (np.arange(len(scores)) * 7 % 3 == 0).astype(float)


@settings(deadline=None, max_examples=60)
@given(scores=SCORES)
def test_auc_is_a_matter_of_order_alone(scores):
    """Any rising transformation leaves the AUC, and turning the order round turns the AUC round."""
    labels = labelled(scores)
    whole = auc(scores, labels)
    if math.isnan(whole):
        return
    assert auc(np.exp(3 * scores), labels) == whole
    assert auc(-scores, labels) == pytest.approx(1.0 - whole, abs=1e-12)
    assert auc(scores, 1.0 - labels) == pytest.approx(1.0 - whole, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(scores=SCORES, seed=st.integers(0, 99))
def test_metrics_do_not_depend_on_order(scores, seed):
    """Shuffled rows give the same metrics, each of them a share from 0 to 1."""
    labels = labelled(scores)
    turned = np.random.default_rng(seed).permutation(len(scores))
    one, two = classification(scores, labels), classification(scores[turned], labels[turned])
    for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "auc", "brier"):
        value = getattr(one, name)
        assert value == pytest.approx(getattr(two, name), abs=1e-12, nan_ok=True)
        assert math.isnan(value) or 0.0 <= value <= 1.0


@settings(deadline=None, max_examples=60)
@given(curve=arrays.arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6)))
def test_a_drawdown_is_between_nothing_and_the_whole_range(curve):
    """It is never negative, never more than highest less lowest, and its peak comes before its trough."""
    fall = drawdown(curve)
    assert 0.0 <= fall.value <= np.ptp(curve)
    assert fall.peak <= fall.trough


@settings(deadline=None, max_examples=40)
@given(
    rows=arrays.arrays(np.float64, st.tuples(st.integers(1, 80), st.just(2)), elements=WILD),
    cuts=st.lists(st.integers(0, 80), max_size=4),
)
def test_a_drift_monitor_says_the_same_however_the_tape_is_cut(rows, cuts):
    """Any values, NaN and infinities too, in any slices: the same findings, the same state, no error."""
    decisions, records = np.zeros(len(rows), DECISION), np.zeros(len(rows), row_dtype(2, 1))
    decisions["sequence"] = 2 * np.arange(len(rows)) + 1
    decisions["ts_event_ns"], decisions["version"] = np.arange(len(rows)), 5
    records["decision"], records["sequence"] = decisions["sequence"], decisions["sequence"] + 1
    records["row"] = rows
    whole, parts, found = DriftMonitor(CHARTS, 5, ["X"]), DriftMonitor(CHARTS, 5, ["X"]), []
    whole.observe(decisions)
    whole.observe(records)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        parts.observe(decisions[start:end])
        parts.observe(records[start:end])
        found += parts.findings()
    assert found == whole.findings()
    assert whole.state()["sums.0"].tobytes() == parts.state()["sums.0"].tobytes()


@settings(deadline=None, max_examples=80)
@given(
    figures=st.lists(WILD, min_size=4, max_size=4),
    counts=st.lists(st.integers(-5, 10_000), min_size=4, max_size=4),
)
def test_no_check_passes_figures_that_are_not_numbers(figures, counts):
    """Whatever was gathered, a check answers, and a NaN that it rests on is never a pass."""
    error, tolerance, p50, p99 = figures
    evidence = Evidence(
        version="00",
        parts=(
            Parity(
                stream_batch_rows=counts[0],
                stream_batch_differences=counts[1],
                serving_rows=counts[2],
                serving_error_max=error,
                serving_tolerance=tolerance,
                golden_rows=counts[3],
                golden_error_max=error,
            ),
            Latency(decisions=counts[3], us_p50=p50, us_p99=p99),
        ),
    )
    verdicts = {check.name: check.judge(evidence).verdict for check in GateSettings().checks("full")}
    assert verdicts["performance"] == "missing"
    assert verdicts["latency"] != "pass" or p99 <= 1_000.0
    assert verdicts["parity_serving"] != "pass" or error <= min(tolerance, 1e-5)
    assert verdicts["parity_features"] != "pass" or (counts[1] == 0 and counts[0] >= 100)
