"""Group measures agree with fairlearn's and scikit-learn's."""

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from sklearn.metrics import recall_score

from tradeworthy.judge.group_bootstrap import group_measures
from tradeworthy.judge.monitor.fairness import count_groups, fairness_table


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
