"""Resampling of dependent series: block lengths follow the data."""

import math

import numpy as np
import pytest

from tradeworthy.judge.resampling import (
    autocovariance,
    block_length,
)


def persistent(phi, n=4_000, seed=0):
    """Return an autoregression of order one with unit variance."""
    shocks = np.random.default_rng(seed).standard_normal(n) * math.sqrt(1 - phi**2)
    series = np.empty(n)
    level = 0.0
    for i, shock in enumerate(shocks):
        level = phi * level + shock
        series[i] = level
    return series


def test_autocovariance_by_hand():
    """The covariance at each lag is the sum of products over the whole length."""
    found = autocovariance(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    np.testing.assert_allclose(found, [1.25, 0.3125, -0.375])


def test_blocks_grow_with_persistence():
    """Independent values need blocks of about one; the more persistent a series, the longer its blocks."""
    lengths = [block_length(persistent(phi)) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] < 5.0 < lengths[1] < lengths[2] < 1_000.0


def test_fixed_blocks_are_longer_than_random_ones():
    """Blocks of fixed length may be a bit longer than the mean of random ones."""
    series = persistent(0.8)
    assert block_length(series, "circular") == pytest.approx(1.5 ** (1 / 3) * block_length(series))


@pytest.mark.parametrize("series", [np.zeros(100), np.ones(3), np.arange(5.0)])
def test_a_constant_or_tiny_series_has_blocks_of_one(series):
    """Where there is nothing to estimate, blocks are single values."""
    assert block_length(series) == 1.0


def test_an_alternating_series_still_has_a_length():
    """A series that swings between two values does not break the choice."""
    assert 1.0 <= block_length(np.tile([1.0, -1.0], 200)) <= 100.0
