"""Group measures agree with fairlearn's and scikit-learn's."""

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from sklearn.metrics import recall_score

from tradeworthy.judge.group_bootstrap import group_measures
from tradeworthy.judge.monitor.fairness import GroupCounts, count_groups, fairness_table


@pytest.mark.parametrize("seed", range(4))
def test_differences_and_ratios_are_fairlearns(seed):
    """Four groups of different rates: parity, equalized odds and opportunity are the same to rounding."""
    rng = np.random.default_rng(seed)
    groups, labels = rng.integers(0, 4, 3_000), rng.integers(0, 2, 3_000)
    said = (rng.random(3_000) < 0.2 + 0.1 * groups + 0.3 * labels).astype(int)
    counts = count_groups(groups, said > 0, labels, 4)
    found = group_measures(counts, rng=rng, draws=50)
    given = {"y_true": labels, "y_pred": said, "sensitive_features": groups}
    for name in (
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equal_opportunity_difference",
    ):
        assert getattr(found, name)[0] == pytest.approx(getattr(fairlearn, name)(**given), abs=1e-12)
    table = fairness_table(counts, list("abcd"))
    recalls = [recall_score(labels[groups == group], said[groups == group]) for group in range(4)]
    assert [table.groups[name]["true_positive_rate"].value for name in "abcd"] == pytest.approx(recalls, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_streamed_counts_are_fairlearns_frames(seed):
    """Counted slice by slice, every rate and the calibration of every group are those of fairlearn's whole frame."""
    rng = np.random.default_rng(seed)
    groups, scores = rng.integers(0, 3, 5_000), rng.random(5_000)
    labels = (rng.random(5_000) < np.clip(scores + 0.1 * groups - 0.1, 0.0, 1.0)).astype(float)
    counts = GroupCounts.none(3)
    for part in np.array_split(np.arange(5_000), 37):
        counts.add(groups[part], scores[part], labels[part], (0.4, 0.5))
    table = fairness_table(counts.cases, list("abc"), misses=counts.misses)
    measured = {
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
    }
    frame = fairlearn.MetricFrame(
        metrics=measured, y_true=labels, y_pred=(scores > 0.4).astype(int), sensitive_features=groups
    )
    misses = fairlearn.MetricFrame(
        metrics=lambda y, p: float(np.mean(p - y)), y_true=labels, y_pred=scores, sensitive_features=groups
    )
    for name in measured:
        for place, group in enumerate("abc"):
            assert table.groups[group][name].value == pytest.approx(frame.by_group[name][place], abs=1e-12)
        assert table.gaps[name].difference == pytest.approx(frame.difference()[name], abs=1e-12)
        assert table.gaps[name].ratio == pytest.approx(frame.ratio()[name], abs=1e-12)
    assert table.gaps["calibration"].difference == pytest.approx(misses.difference(), abs=1e-12)
