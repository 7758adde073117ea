"""Means that may be looked at whenever one likes."""

import itertools

import numpy as np
import pytest

from tradeworthy.judge import sequential
from tradeworthy.judge.sequential import BLOCKS_MIN, anytime_mean

RUNS, LENGTH = 300, 1_500


def overlapping(rng, n, horizon):
    """Values of mean 0, each the sum of what its neighbours share with it, like labels that look ahead."""
    return np.convolve(rng.standard_t(4, n + horizon - 1), np.ones(horizon), "valid")


@pytest.mark.parametrize("horizon", [1, 6])
def test_the_truth_stays_inside_at_all_times_together(horizon, monkeypatch):
    """Over hundreds of records looked at after every block, at most about one in twenty ever leaves the truth out."""
    monkeypatch.setattr(sequential, "POINTS", LENGTH)
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(RUNS):
        path = anytime_mean(overlapping(rng, LENGTH, horizon), horizon=horizon, tuned_for=LENGTH // 2).path
        missed += any(look.low > 0.0 or look.high < 0.0 for look in path)
    assert missed / RUNS <= 0.08


def test_looking_again_at_a_fixed_interval_would_deceive():
    """The same looks at plain 95% intervals leave the truth out several times as often: the test above can fail."""
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(RUNS):
        values = rng.standard_normal(LENGTH)
        n = np.arange(1, LENGTH + 1)
        reach = 1.96 * np.sqrt(1.0 / n)
        missed += bool((np.abs(np.cumsum(values) / n) > reach)[200::8].any())
    assert missed / RUNS > 0.2


def test_a_clear_difference_is_seen_long_before_the_end():
    """The bounds leave zero as soon as the data allow, and a larger difference sooner."""
    rng = np.random.default_rng(2)
    noise = rng.standard_normal(4_000)
    first = []
    for mean in (0.15, 0.3):
        path = anytime_mean(noise + mean, horizon=1, tuned_for=2_000).path
        first.append(next(look.n for look in path if look.low > 0.0))
    assert first[1] < first[0] < 2_000


def test_later_values_do_not_change_what_was_said_before():
    """A look is a function of what was known then."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal(800)
    early = anytime_mean(values[:400], horizon=1, tuned_for=800)
    late = anytime_mean(np.concatenate([values[:400], rng.standard_normal(8) * 100]), horizon=1, tuned_for=800)
    before = next(look for look in late.path if look.n == early.n)
    assert (before.low, before.high) == pytest.approx((early.low, early.high), rel=1e-12)


def test_few_values_have_no_bounds():
    """Before there are enough blocks nothing is claimed; the estimate is there from the first block on."""
    none = anytime_mean([], horizon=1, tuned_for=100)
    assert (none.n, none.path) == (0, [])
    few = anytime_mean(np.ones(8 * (BLOCKS_MIN - 1)), horizon=1, tuned_for=1_000)
    assert few.estimate == 1.0
    assert np.isnan([few.low, few.high]).all()
    enough = anytime_mean(np.ones(8 * BLOCKS_MIN), horizon=1, tuned_for=1_000)
    assert (enough.low, enough.high) == (1.0, 1.0)


def test_blocks_are_twice_the_horizon():
    """Values of an unfinished block wait for the next look."""
    found = anytime_mean(np.arange(100.0), horizon=10, tuned_for=100)
    assert (found.block, found.n, found.estimate) == (20, 100, 49.5)
    assert anytime_mean(np.arange(119.0), horizon=10, tuned_for=100).n == 100


def test_dependence_of_neighbouring_blocks_widens_the_bounds():
    """Values that go on as they were tell less than independent ones of the same size."""
    rng = np.random.default_rng(5)
    free = rng.standard_normal(4_000)
    held = np.zeros(4_000)
    for i, j in itertools.pairwise(range(4_000)):
        held[j] = 0.95 * held[i] + np.sqrt(1 - 0.95**2) * free[j]
    one, other = (anytime_mean(values, horizon=1, tuned_for=4_000) for values in (free, held))
    assert other.high - other.low > 3.0 * (one.high - one.low)


def test_a_path_is_thinned_out_and_ends_now():
    """A long record keeps no more looks than a drawing needs."""
    found = anytime_mean(np.random.default_rng(1).standard_normal(50_000), horizon=1, tuned_for=2_000)
    assert len(found.path) == sequential.POINTS
    assert found.path[-1].n == found.n == 50_000
    assert found.path[0].n == 8 * BLOCKS_MIN
