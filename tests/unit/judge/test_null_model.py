"""Histories without change have the dependence of the series that they are drawn from."""

import numpy as np
import pytest
from drift_streams import stream

from tradeworthy.judge.monitor.control_charts.null import (
    ROOT_MAX,
    NullModel,
    autoregression,
    clusters,
    draw_histories,
    fit_null,
)
from tradeworthy.judge.resampling import autocovariance


def histories(series, runs=20, length=4_000, seed=0):
    """Return drawn histories of a series."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((runs, length))
    draw_histories(fit_null(series - series.mean(), runs, rng), drawn, rng)
    return drawn


def test_the_autoregression_is_found():
    """Order and coefficients of a known autoregression come back."""
    shocks = np.random.default_rng(0).standard_normal(6_000)
    series = np.zeros(6_000)
    for t in range(2, 6_000):
        series[t] = 0.5 * series[t - 1] + 0.3 * series[t - 2] + shocks[t]
    fit = autoregression(series)
    np.testing.assert_allclose(fit.coefficients, [0.5, 0.3], atol=0.04)
    assert fit.residuals.std() == pytest.approx(1.0, abs=0.05)


def test_independent_values_need_no_autoregression():
    """BIC prefers none where there is nothing to explain."""
    assert len(autoregression(stream("gauss", 3_000, 1)).coefficients) == 0


def test_a_break_hides_no_dependence_and_invents_none():
    """Stretches put end to end give the coefficient of each, whatever jump lies between them."""
    parts = [stream("ar1", 500, seed) + 6.0 * (seed % 2) for seed in range(8)]
    series = np.concatenate([part - part.mean() for part in parts])
    fit = autoregression(series, np.arange(500, 4_000, 500))
    assert fit.coefficients.sum() == pytest.approx(0.94, abs=0.02)
    assert len(fit.residuals) == 4_000 - 8 * len(fit.coefficients)


@pytest.mark.parametrize("law", ["gauss", "ar1", "overlap"])
def test_drawn_histories_have_the_reference_spread_of_means(law):
    """The means of stretches vary among histories as they do in reality, which sets how loud an alarm must be."""
    real = np.array([stream(law, 1_000, seed).mean() for seed in range(100)])
    drawn = histories(stream(law, 6_000, 999), runs=100, length=1_000).mean(axis=1)
    assert drawn.std() == pytest.approx(real.std(), rel=0.35)


def test_drawn_histories_keep_the_persistence():
    """The autocorrelation at lags 1 and 10 is the reference's."""
    series = stream("ar1", 6_000, 3)
    drawn = np.mean([autocovariance(each, 10) / autocovariance(each, 0) for each in histories(series)], axis=0)
    np.testing.assert_allclose(drawn[[1, 10]], [0.95, 0.95**10], atol=0.06)


def test_clustering_is_told_from_independence_and_persistence():
    """Quiet and wild stretches are noticed; heavy tails alone are not."""
    assert clusters(stream("garch", 3_000, 1))
    assert not clusters(stream("t3", 3_000, 1))
    assert not clusters(stream("gauss", 3_000, 1))
    assert not clusters(np.zeros(100))


def test_an_explosive_fit_is_tamed():
    """A random walk's histories stay finite: no root leaves the allowed circle."""
    walk = np.cumsum(np.random.default_rng(4).standard_normal(1_000))
    model = fit_null(walk - walk.mean(), 50, np.random.default_rng(0))
    roots = [np.abs(np.roots([1.0, *-row])).max() for row in model.coefficients]
    assert max(roots) <= ROOT_MAX + 1e-9


def test_the_same_generator_gives_the_same_histories():
    """Randomness comes from the generator alone."""
    series = stream("ar1", 1_000, 5)
    np.testing.assert_array_equal(histories(series, 3, 100, 7), histories(series, 3, 100, 7))


def test_a_constant_series_has_constant_histories():
    """Nothing to resample gives nothing that moves."""
    drawn = np.empty((2, 50))
    draw_histories(NullModel(np.empty((2, 0)), np.zeros(10), 1.0), drawn, np.random.default_rng(0))
    assert not drawn.any()
