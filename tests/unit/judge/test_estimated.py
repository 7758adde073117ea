"""Estimated performance sees that cases become harder, and says that it cannot see concept drift."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on

from tradeworthy.judge.metrics import auc
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.estimated import (
    BLIND,
    EstimatedPerformanceMonitor,
    EstimatedSettings,
    estimate,
)

SETTINGS = EstimatedSettings(charts=ChartSettings(runs=5, run_length=1_000, shift_sd=0.3))


def cases(rng, n, spread):
    """Return calibrated probabilities, more telling with more spread, and labels."""
    p = 1.0 / (1.0 + np.exp(-rng.normal(0.0, spread, n)))
    return p, (rng.random(n) < p).astype(float)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_a_covariate_shift_is_foreseen_to_within_five_thousandths_of_auc(spread):
    """Estimated AUC and accuracy agree with realised ones on many cases."""
    p, labels = cases(np.random.default_rng(1), 200_000, spread)
    foreseen = estimate(p)
    assert foreseen.auc == pytest.approx(auc(p, labels), abs=0.005)
    assert foreseen.accuracy == pytest.approx(np.mean((p > 0.5) == (labels > 0.5)), abs=0.005)
    assert foreseen.brier == pytest.approx(np.mean((p - labels) ** 2), abs=0.005)


def test_the_auc_foreseen_counts_every_pair():
    """It equals the sum over all pairs of the chance that they are ranked right, ties half."""
    p = np.array([0.2, 0.5, 0.5, 0.9])
    right = sum(
        p[i] * (1 - p[j]) * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0) for i in range(4) for j in range(4)
    )
    assert estimate(p).auc == pytest.approx(right / (p.sum() * (1 - p).sum()))


def test_nothing_foreseen_is_not_a_number():
    """Without scores, or with one class only, there is no AUC."""
    assert np.isnan(estimate(np.empty(0)).accuracy)
    assert np.isnan(estimate(np.ones(3)).auc)


def test_it_is_blind_to_concept_drift_and_says_so():
    """When labels turn over the estimate does not move, and the summary carries the words beside realised figures."""
    rng = np.random.default_rng(2)
    monitor = EstimatedPerformanceMonitor(*cases(rng, 2_000, 2.0), version=VERSION, settings=SETTINGS)
    p, _ = cases(rng, 1_000, 2.0)
    decisions = decisions_on(bars(np.ones(1_000)), p)
    monitor.observe(decisions)
    summary = monitor.summary()
    assert summary.estimated.auc == pytest.approx(estimate(p).auc, abs=0.02)
    assert summary.realised.decisions == 0
    assert "concept drift" in summary.caveat == BLIND


def test_without_a_realised_label_nothing_is_told():
    """An estimate is never shown alone."""
    rng = np.random.default_rng(3)
    monitor = EstimatedPerformanceMonitor(*cases(rng, 2_000, 2.0), version=VERSION, settings=SETTINGS)
    events = bars(np.ones(2_000))
    monitor.observe(decisions_on(events, cases(rng, 2_000, 0.2)[0]))
    monitor.observe(events)
    assert monitor.findings() == []
