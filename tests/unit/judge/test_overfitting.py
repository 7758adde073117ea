"""Sharpe ratios deflated, and selection that overfits: against closed forms and simulations with a known truth."""

import math

import numpy as np
import pytest

from tradeworthy.judge.overfitting import (
    SharpeStatistics,
    backtest_overfitting,
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    sharpe_statistics,
    track_record_min,
)


def normal_record(sharpe, periods):
    """Return the statistics of normal returns."""
    return SharpeStatistics(periods=periods, sharpe=sharpe, skewness=0.0, kurtosis=3.0)


def test_moments_are_those_of_the_distribution():
    """Of an exponential distribution: skewness 2, kurtosis 9, mean over spread 1."""
    found = sharpe_statistics(np.random.default_rng(1).exponential(size=400_000))
    assert found.sharpe == pytest.approx(1.0, abs=0.01)
    assert found.skewness == pytest.approx(2.0, abs=0.1)
    assert found.kurtosis == pytest.approx(9.0, abs=0.8)


def test_the_published_example_is_met():
    """Bailey and López de Prado (2014): annual 2.5, 1,250 days, 100 trials, variance 1/2: 0.1132 a day, DSR 0.9004."""
    found = SharpeStatistics(periods=1_250, sharpe=2.5 / math.sqrt(250), skewness=-3.0, kurtosis=10.0)
    spread = math.sqrt(0.5 / 250)
    assert expected_best_sharpe(100, spread) == pytest.approx(0.1132, abs=1e-4)
    assert deflated_sharpe(found, 100, spread) == pytest.approx(0.9004, abs=1e-3)


def test_the_error_is_that_of_repeated_samples():
    """Skewed returns: the formula's standard error is the spread of Sharpe ratios over 4,000 samples."""
    rng = np.random.default_rng(2)
    drawn = rng.exponential(size=(4_000, 500)) - 0.9
    found = [sharpe_statistics(row) for row in drawn]
    spread = np.std([each.sharpe for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.08)


def test_the_best_of_many_without_skill_is_as_expected():
    """Simulated: the mean of the best of 50 Sharpe ratios is what the formula says, within a few percent."""
    rng = np.random.default_rng(3)
    best = (rng.standard_normal((3_000, 50)) * 0.1).max(axis=1)
    assert expected_best_sharpe(50, 0.1) == pytest.approx(best.mean(), rel=0.02)
    assert expected_best_sharpe(1, 0.1) == 0.0


def test_the_best_of_many_is_rarely_taken_for_skill():
    """The best of 20 trials without skill passes a naive test half the time, the deflated one almost never."""
    rng, naive, deflated = np.random.default_rng(4), [], []
    for _ in range(300):
        trials = [sharpe_statistics(row) for row in rng.standard_normal((20, 400))]
        best = max(trials, key=lambda each: each.sharpe)
        naive.append(probabilistic_sharpe(best) > 0.95)
        deflated.append(deflated_sharpe(best, 20, float(np.std([each.sharpe for each in trials]))) > 0.95)
    assert np.mean(naive) > 0.4
    assert np.mean(deflated) < 0.05


def test_a_track_record_is_long_enough_exactly_when_it_is_confident():
    """At the least length the probabilistic Sharpe ratio is the confidence asked for."""
    needed = track_record_min(normal_record(0.1, 100), 0.95)
    assert probabilistic_sharpe(normal_record(0.1, round(needed))) == pytest.approx(0.95, abs=2e-3)
    assert track_record_min(normal_record(-0.1, 100)) == math.inf


def test_without_skill_selection_overfits_half_the_time():
    """Trials of noise: the chosen one is below the median as often as above."""
    rng = np.random.default_rng(5)
    found = [backtest_overfitting(rng.standard_normal((320, 11)), slices=8) for _ in range(150)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_skill_is_found_again_in_the_other_half():
    """One trial with a strong edge is chosen, and stays best."""
    returns = np.random.default_rng(6).standard_normal((640, 10))
    returns[:, 3] += 0.5
    assert backtest_overfitting(returns, slices=8) < 0.01


def test_selection_that_reverses_is_certain_to_overfit():
    """Trials that are good in one half are bad in the other by the same amount."""
    noise = 1e-3 * np.random.default_rng(7).standard_normal((80, 5))
    edge = np.linspace(-1.0, 1.0, 5) * np.repeat([1.0, -1.0], 40)[:, None]
    assert backtest_overfitting(noise + edge, slices=2) == 1.0


@pytest.mark.parametrize("returns", [np.zeros((100, 1)), np.zeros((10, 4))])
def test_too_little_to_tell_is_not_a_number(returns):
    """One trial, or slices of less than two periods, say nothing."""
    assert math.isnan(backtest_overfitting(returns))


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.1, 0.1, 0.1]])
def test_a_record_that_does_not_vary_says_nothing(returns):
    """No spread, no Sharpe ratio, no probability."""
    found = sharpe_statistics(returns)
    assert math.isnan(found.sharpe)
    assert math.isnan(probabilistic_sharpe(found))
    assert math.isnan(track_record_min(found))
