"""Intervals between groups, against a bootstrap of rows and a simulation with a known truth."""

import numpy as np
import pytest

from tradeworthy.judge.group_bootstrap import group_measures
from tradeworthy.judge.monitor.fairness import count_groups


def drawn(rng, n, rates=(0.5, 0.4)):
    """Return groups, labels, and predictions that find the positives of each group at its own rate."""
    groups, labels = rng.integers(0, 2, n), (rng.random(n) < 0.5).astype(float)
    found = np.array(rates)[groups]
    return groups, rng.random(n) < np.where(labels > 0, found, 0.2), labels


def test_intervals_are_those_of_a_bootstrap_of_rows():
    """Redrawing cells is redrawing rows: the ends agree within the noise of the draws."""
    rng = np.random.default_rng(1)
    groups, said, labels = drawn(rng, 2_000)
    found = group_measures(count_groups(groups, said, labels, 2), rng=rng, draws=4_000)
    redrawn = []
    for _ in range(1_000):
        at = rng.integers(0, 2_000, 2_000)
        rates = [np.mean(said[at][groups[at] == group]) for group in (0, 1)]
        redrawn.append(max(rates) - min(rates))
    expected = np.percentile(redrawn, [2.5, 97.5])
    assert found.demographic_parity_difference[1:] == pytest.approx(expected, abs=0.006)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """A true difference of 0.2 between the rates of positives found: 95% of 200 intervals hold it, within noise."""
    rng, inside = np.random.default_rng(2), 0
    for _ in range(200):
        groups, said, labels = drawn(rng, 3_000, rates=(0.7, 0.5))
        found = group_measures(count_groups(groups, said, labels, 2), rng=rng, draws=400)
        inside += found.equal_opportunity_difference[1] <= 0.2 <= found.equal_opportunity_difference[2]
    assert 180 <= inside <= 198


def test_overlapping_labels_widen_the_interval():
    """With a horizon of 9 it is three times as wide."""
    rng = np.random.default_rng(3)
    counts = count_groups(*drawn(rng, 9_000, rates=(0.8, 0.4)), 2)
    widths = [np.diff(group_measures(counts, rng=rng, horizon=h).equal_opportunity_difference[1:])[0] for h in (1, 9)]
    assert widths[1] / widths[0] == pytest.approx(3.0, rel=0.15)


@pytest.mark.filterwarnings("error")
def test_one_group_has_no_gap():
    """Between one group and nothing there is no difference: NaN, without a warning."""
    counts = count_groups(np.zeros(50, np.int64), np.ones(50, bool), np.ones(50), 3)
    assert np.isnan(group_measures(counts, rng=np.random.default_rng(4)).demographic_parity_difference).all()
