"""What a model goes by over many rows: importance, dependence, interactions, a surrogate's fidelity."""

import numpy as np
import pytest

from tradeworthy.judge.explain.summary import agreement, dependence, importance, interaction, surrogate_fidelity


@pytest.fixture
def rows():
    """Return rows of three independent features."""
    return np.random.default_rng(0).normal(size=(2_000, 3))


def test_importance_is_the_mean_size():
    """Signs do not cancel."""
    assert importance(np.array([[1.0, -2.0], [-1.0, 0.0]])).tolist() == [1.0, 1.0]


def test_agreement_of_explanations():
    """Like directions agree whatever their length, opposite ones do not, and no reason agrees with no reason."""
    first = np.array([[1.0, 2.0], [0.0, 0.0]])
    assert agreement(first, 3.0 * first) == pytest.approx(1.0)
    assert agreement(first, -first) == pytest.approx(0.0)
    assert agreement(first[:1], np.zeros((1, 2))) == 0.0


def test_dependence_follows_the_function(rows):
    """The mean contribution rises with the value as the function does, in order of the value."""
    found = dependence(rows[:, 0], rows[:, 0] ** 3)
    values, means = zip(*found, strict=True)
    assert len(found) == 10
    assert list(values) == sorted(values)
    assert list(means) == sorted(means)


def test_dependence_on_a_constant():
    """A feature that never varies has one bin."""
    assert dependence(np.ones(50), np.full(50, 0.5)) == [(1.0, 0.5)]


def test_an_interaction_is_told_from_none(rows):
    """What depends on another feature shows, what does not stays near nothing."""
    together = rows[:, 0] * rows[:, 1]
    assert interaction(rows[:, 0], together, rows[:, 1]) > 0.5
    assert interaction(rows[:, 0], together, rows[:, 2]) < 0.1
    assert interaction(rows[:, 0], rows[:, 0], rows[:, 1]) < 0.1
    assert interaction(rows[:, 0], np.zeros(len(rows)), rows[:, 1]) == 0.0


def test_a_small_tree_stands_in_for_a_step_and_not_for_noise(rows):
    """A step is explained whole, noise not at all, a constant trivially."""
    assert surrogate_fidelity(rows, np.where(rows[:, 1] > 0.0, 1.0, -1.0), depth=2) > 0.8
    assert surrogate_fidelity(rows, np.random.default_rng(1).normal(size=len(rows)), depth=2) < 0.1
    assert surrogate_fidelity(rows, np.ones(len(rows)), depth=2) == 1.0
