"""Ten million steps: window sums neither drift nor remember."""

import math
import statistics

import numpy as np
import pytest
from feature_market import DESK, bars

from tradeworthy.model.features.expressions import bar, corr
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

STEPS = 10_000_000
WINDOW = 50


def hostile(n: int) -> np.ndarray:
    """Return small moves on a high level, with a spike of 1e12 times their size now and then."""
    rng = np.random.default_rng(5)
    values = 1e6 + rng.normal(0.0, 0.01, n)
    values[rng.integers(0, n - 4 * WINDOW, n // 5000)] *= 1e4
    return values


def test_ten_million_steps_end_on_the_exact_window():
    """After ten million steps through spikes, sum, deviation and correlation have the digits of the exact window."""
    close, volume = hostile(250_000), np.random.default_rng(6).lognormal(0.0, 2.0, 250_000)
    events = bars(close, volume=volume)
    features = {"sum": bar.close.sum(WINDOW), "std": bar.close.std(WINDOW), "corr": corr(bar.close, bar.volume, WINDOW)}
    state = FeatureState(compile_program(features), DESK)
    for _ in range(STEPS // len(events)):
        rows, _ = state.many(events)
    x, y = close[-WINDOW:].tolist(), volume[-WINDOW:].tolist()
    assert rows[-1, 0] == math.fsum(x)
    assert rows[-1, 1] == pytest.approx(statistics.stdev(x), rel=1e-12)
    assert rows[-1, 2] == pytest.approx(statistics.correlation(x, y), rel=1e-6)  # the reference keeps fewer digits
    exact = _correlation(x, y)
    assert rows[-1, 2] == pytest.approx(exact, rel=1e-12)


def _correlation(x: list[float], y: list[float]) -> float:
    """Return Pearson's correlation in exact fractions until the square root."""
    from fractions import Fraction  # noqa: PLC0415  # here only

    a, b = [Fraction(v) for v in x], [Fraction(v) for v in y]
    n = len(a)
    together = n * sum(p * q for p, q in zip(a, b, strict=True)) - sum(a) * sum(b)
    spread = (n * sum(p * p for p in a) - sum(a) ** 2) * (n * sum(q * q for q in b) - sum(b) ** 2)
    return math.copysign(math.sqrt(together**2 / spread), together)


def test_a_spike_is_forgotten_with_its_window():
    """A value 1e30 times too large leaves no digit behind once two windows have passed."""
    values = np.random.default_rng(7).normal(size=400)
    spiked = values.copy()
    spiked[100] = 1e30
    program = compile_program({"sum": bar.close.sum(WINDOW), "std": bar.close.std(WINDOW)})
    clean, _ = FeatureState(program, DESK).asked(bars(values))
    found, _ = FeatureState(program, DESK).asked(bars(spiked))
    np.testing.assert_allclose(found[100 + 2 * WINDOW :], clean[100 + 2 * WINDOW :], rtol=1e-13, atol=1e-14)
