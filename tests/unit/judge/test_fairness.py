"""Fairness by group agrees with the published definitions, worked out here from counts in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.judge.monitor.fairness import count_groups, fairness_table
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings, Grouping
from tradeworthy.judge.monitor.joins.outcomes import JOINED

NAMES = ["a", "b", "c"]


def by_hand(groups, selected, labels):
    """Return selection rates, true and false positive rates by group, from the definitions."""
    found = {}
    for name, place in zip(NAMES, range(3), strict=True):
        own = groups == place
        chosen, truth = selected[own], labels[own] > 0.5
        found[name] = (chosen.mean(), chosen[truth].mean(), chosen[~truth].mean())
    return found


@pytest.mark.parametrize("seed", range(5))
def test_differences_and_ratios_agree_with_their_definitions(seed):
    """Demographic parity and equalized odds, difference and ratio, to 1e-12."""
    rng = np.random.default_rng(seed)
    groups, selected = rng.integers(0, 3, 500), rng.random(500) < 0.4
    labels = (rng.random(500) < 0.5).astype(float)
    rates = by_hand(groups, selected, labels)
    table = fairness_table(count_groups(groups, selected, labels, 3), NAMES)
    selection, true, false = (np.array([rates[name][i] for name in NAMES]) for i in range(3))
    assert table.demographic_parity_difference == pytest.approx(selection.max() - selection.min(), abs=1e-12)
    assert table.demographic_parity_ratio == pytest.approx(selection.min() / selection.max(), abs=1e-12)
    assert table.equalized_odds_difference == pytest.approx(max(np.ptp(true), np.ptp(false)), abs=1e-12)
    ratios = true.min() / true.max(), false.min() / false.max()
    assert table.equalized_odds_ratio == pytest.approx(min(ratios), abs=1e-12)


def test_intervals_cover_the_true_difference():
    """Between two groups the 95% interval holds the truth in at least 92% of repetitions."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(300):
        groups = rng.integers(0, 2, 400)
        selected = rng.random(400) < np.where(groups == 1, 0.6, 0.4)
        gap = fairness_table(count_groups(groups, selected, np.ones(400), 2), ["a", "b"]).gaps["selection_rate"]
        held += gap.difference_low <= 0.2 <= gap.difference_high
    assert held >= 276


def test_bias_amplification_compares_shares_of_predicted_and_of_training_rises():
    """A group with half of the training's rises and four fifths of the predicted ones is favoured by 0.3."""
    training = np.array([[100, 0, 50, 0, 0], [100, 0, 50, 0, 0]])
    now = np.array([[100, 80, 50, 40, 40], [100, 20, 50, 10, 10]])
    table = fairness_table(now, ["a", "b"], training=training)
    assert table.amplification == pytest.approx({"a": 0.3, "b": -0.3})


@given(
    counts=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_counts_give_a_table(counts):
    """Empty groups, no positives, no negatives: intervals hold their estimates, and nothing raises."""
    rows = np.array([[a + b + c + d, a + c, a + b, a, c] for a, b, c, d in counts])
    table = fairness_table(rows, [f"g{i}" for i in range(len(rows))])
    for gap in table.gaps.values():
        assert np.isnan(gap.difference) or gap.difference_low <= gap.difference <= gap.difference_high
        assert np.isnan(gap.ratio) or gap.ratio_low <= gap.ratio <= gap.ratio_high


def test_decisions_fall_into_their_groups():
    """Sessions, weekdays and cut columns are told from time and value."""
    monday = np.array([4 * NS_PER_DAY + 9 * NS_PER_HOUR])
    zero, value = np.zeros(1, np.int64), np.array([0.7])
    names = [
        (grouping := Grouping(by, ["ETH"], ["size"], cuts)).names[int(grouping.places(monday, zero, value)[0])]
        for by, cuts in (("session", ()), ("weekday", ()), ("instrument", ()), ("size", (0.5, 1.0)))
    ]
    assert names == ["08-16 UTC", "Monday", "ETH", "size 0.5 to 1"]


def outcomes(rng, n, gap):
    """Return joined outcomes whose scores favour the second instrument by `gap`."""
    records = np.zeros(n, JOINED)
    records["instrument"], records["version"] = rng.integers(0, 2, n), 7
    records["sequence"] = records["decision"] = np.arange(1, n + 1)
    records["label"] = rng.random(n) < 0.5
    records["score"] = rng.random(n) < 0.4 + gap * records["instrument"]
    return records


@pytest.mark.parametrize(("gap", "told"), [(0.0, False), (0.05, False), (0.4, True)])
def test_a_gap_is_told_only_beyond_what_is_allowed(gap, told):
    """Equal groups and small gaps are quiet; a wide one is named with both groups and counts."""
    settings = FairnessSettings(by=("instrument",), window=1_000)
    monitor = FairnessMonitor(version=7, instruments=["ETH", "BTC"], settings=settings)
    monitor.observe(outcomes(np.random.default_rng(2), 20_000, gap))
    found = monitor.findings()
    assert bool(found) is told
    assert all("BTC" in f.sentence and "ETH" in f.sentence for f in found)
    assert len(found) <= 5
