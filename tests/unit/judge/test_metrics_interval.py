"""Intervals cover the truth as often as they say, overlapping labels included."""

import math

import numpy as np
import pytest

from tradeworthy.judge.metrics import auc
from tradeworthy.judge.metrics_interval import auc_influence, auc_interval, mean_interval

HORIZON = 10


def market(seed, n=1_500):
    """Return scores that know nothing and labels whose horizons overlap; scores persist, as features do."""
    rng = np.random.default_rng(seed)
    window = np.ones(HORIZON)
    ahead = np.convolve(rng.standard_normal(n + HORIZON - 1), window, "valid")
    scores = np.convolve(rng.standard_normal(n + HORIZON - 1), window, "valid")
    return scores, (ahead > 0).astype(float)


def test_the_auc_interval_covers_chance_when_labels_overlap():
    """Scores that know nothing are within the 90% interval about nine times in ten; a naive interval is not."""
    blocks = naive = 0
    for seed in range(60):
        scores, labels = market(seed)
        rng = np.random.default_rng([1, seed])
        found = auc_interval(scores, labels, horizon=HORIZON, rng=rng, level=0.9, draws=200)
        blocks += found.low <= 0.5 <= found.high
        spread = math.sqrt((len(labels) + 1) / (12 * labels.sum() * (len(labels) - labels.sum())))
        naive += abs(found.estimate - 0.5) <= 1.645 * spread
    assert blocks >= 46
    assert naive <= blocks - 8


def test_the_auc_interval_holds_the_estimate_and_says_its_block():
    """The estimate is the AUC itself, lies inside, and blocks are at least two horizons long."""
    scores, labels = market(99)
    found = auc_interval(scores, labels, horizon=HORIZON, rng=np.random.default_rng(0), draws=200)
    assert found.estimate == auc(scores, labels)
    assert found.low < found.estimate < found.high
    assert found.block >= 2 * HORIZON


def test_the_same_seed_gives_the_same_interval():
    """Randomness comes from the generator alone."""
    scores, labels = market(5)
    first, second = (auc_interval(scores, labels, horizon=2, rng=np.random.default_rng(3), draws=100) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("labels", [[1.0, 1.0, 1.0], [math.nan] * 3])
def test_an_interval_of_one_class_is_undefined(labels):
    """Without both classes there is neither an AUC nor an interval, and nothing raises."""
    found = auc_interval([0.1, 0.2, 0.3], labels, horizon=1, rng=np.random.default_rng(0))
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)


def test_a_perfect_ranking_has_a_degenerate_interval():
    """Where every redrawn AUC is 1, so are both ends."""
    found = auc_interval(np.arange(50.0), np.arange(50) > 24, horizon=1, rng=np.random.default_rng(0), draws=50)
    assert (found.low, found.high) == (1.0, 1.0)


def test_influence_is_the_effect_of_one_row_on_the_auc():
    """Influence values have mean zero, and predict what leaving one row out does."""
    rng = np.random.default_rng(7)
    labels = (rng.random(300) < 0.4).astype(float)
    scores = rng.standard_normal(300) + labels
    influence, whole = auc_influence(scores, labels), auc(scores, labels)
    assert abs(influence.mean()) < 1e-12
    without = np.array([auc(np.delete(scores, i), np.delete(labels, i)) for i in range(20)])
    np.testing.assert_allclose(300 * (whole - without), influence[:20], rtol=0.02, atol=0.02)


def test_the_mean_interval_widens_with_persistence():
    """Persistent losses know less than independent ones of the same spread."""
    rng = np.random.default_rng(11)
    fresh = rng.standard_normal(2_000)
    lasting = np.convolve(rng.standard_normal(2_019), np.ones(20), "valid") / math.sqrt(20)
    widths = [
        (found := mean_interval(v, horizon=1, rng=np.random.default_rng(0), draws=300)).high - found.low
        for v in (fresh, lasting)
    ]
    assert widths[1] > 2.5 * widths[0]


def test_the_mean_of_nothing_is_undefined():
    """No values, no mean."""
    assert math.isnan(mean_interval([], horizon=1, rng=np.random.default_rng(0)).estimate)
