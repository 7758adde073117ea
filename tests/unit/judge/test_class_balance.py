"""What a finding of the class mix says of scores without labels: the mix behind them, or that there is none."""

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION
from tradeworthy.judge.monitor.class_balance import BalanceSettings, ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings

CHARTS = ChartSettings(runs=10, run_length=2_000, shift_sd=0.3)


def scored(rng, n, share=0.5, skill=1.0):
    """Return scores of a model and labels, `share` of them 1."""
    labels = (rng.random(n) < share).astype(float)
    return 1.0 / (1.0 + np.exp(-rng.normal(skill * (2.0 * labels - 1.0), 1.0))), labels


def found_in(scores, *, skill):
    """Return what is found in scores by a monitor of a model of a skill."""
    monitor = ClassBalanceMonitor(
        *scored(np.random.default_rng(1), 3_000, skill=skill),
        version=1,
        instruments=["ETH"],
        settings=BalanceSettings(charts=CHARTS),
    )
    decisions = np.zeros(len(scores), DECISION)
    decisions["sequence"], decisions["version"], decisions["score"] = np.arange(len(scores)), 1, scores
    monitor.observe(decisions)
    return monitor.findings()


def test_a_changed_mix_is_named():
    """Scores of a skilled model of which more are of class 1 are told with the share, and both ways agree."""
    finding = found_in(scored(np.random.default_rng(2), 1_500, share=0.85)[0], skill=1.0)[0]
    assert finding.observed == pytest.approx(0.85, abs=0.12)
    assert finding.reference == pytest.approx(0.5, abs=0.03)
    assert finding.unit == "share of class 1"
    assert "both say the same" in finding.sentence


def test_scores_that_no_mix_makes_have_no_share():
    """A weak model whose scores all rise is told in scores, without a share of 1 that nobody could believe."""
    scores = scored(np.random.default_rng(3), 1_500, skill=0.05)[0]
    finding = found_in(np.clip(scores + 0.2, 0.0, 0.999), skill=0.05)[0]
    assert finding.unit == "score"
    assert finding.reference == pytest.approx(0.5, abs=0.02)
    assert finding.observed > finding.reference + 0.1
    assert finding.kind == "label_shift"
    assert "cannot explain its scores" in finding.sentence
    assert "in training" not in finding.sentence
