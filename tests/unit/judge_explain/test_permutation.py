"""Permutation walks: they add up, agree with exact values, and their stated error is honest."""

import numpy as np
import pytest

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.judge.explain.permutation import PermutationShapley


class Function:
    """A predictor made of a function of rows."""

    format = "function"
    n_outputs = 1

    def __init__(self, function, n_features) -> None:
        self.function, self.n_features = function, n_features

    def one(self, row):
        return self.many(row[None])[0]

    def many(self, rows):
        return self.function(rows)[:, None]

    def save(self, folder):
        raise NotImplementedError


def product(rows):
    return rows[:, 0] * rows[:, 1] + rows[:, 2] ** 2


@pytest.fixture
def references():
    return np.random.default_rng(0).normal(size=(24, 4))


def test_contributions_add_up_to_the_score(references):
    """However few the walks, baseline plus contributions is the score."""
    rows = np.random.default_rng(1).normal(size=(5, 4))
    found = PermutationShapley(Function(product, 4), references[:2]).explain(rows)
    np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), product(rows), atol=1e-12)


def test_a_sum_is_explained_exactly(references):
    """Where features add, every walk finds the same: exact values, against the mean of the references."""
    weights = np.array([1.0, -2.0, 0.5, 0.0])
    found = PermutationShapley(Function(lambda rows: rows @ weights, 4), references).explain(np.ones((1, 4)))
    np.testing.assert_allclose(found.contributions[0], weights * (1 - references.mean(axis=0)), atol=1e-12)


def test_an_unused_feature_gets_nothing(references):
    """A feature that the model does not read contributes zero, with zero error."""
    found = PermutationShapley(Function(product, 4), references).explain(np.ones((1, 4)))
    assert found.contributions[0, 3] == 0.0
    assert found.errors[0, 3] == 0.0


def test_two_players_are_exact_given_the_references(references):
    """A pair of walks covers both orders of two features: the value is exact for each reference."""
    two = references[:, :2]
    found = PermutationShapley(Function(lambda rows: rows[:, 0] * rows[:, 1], 2), two).explain(np.array([[2.0, 3.0]]))
    first = 0.5 * ((2 - two[:, 0]) * two[:, 1] + (2 - two[:, 0]) * 3)
    assert found.contributions[0, 0] == pytest.approx(first.mean())


def test_the_stated_error_covers_the_truth():
    """Over many draws the true value lies within two standard errors about as often as it should."""
    rng = np.random.default_rng(2)
    crowd = rng.normal(size=(200_000, 3))
    row = np.array([1.0, 2.0, 0.5])
    truth = 0.5 * ((1 - crowd[:, 0]) * crowd[:, 1] + (1 - crowd[:, 0]) * 2).mean()
    inside = 0
    for draw in range(60):
        references = crowd[draw * 64 : (draw + 1) * 64]
        found = PermutationShapley(Function(product, 3), references, seed=draw).explain(row[None])
        inside += abs(found.contributions[0, 0] - truth) <= 2 * found.errors[0, 0]
    assert inside >= 51


def test_the_same_seed_gives_the_same_bits(references):
    """An explanation is repeatable, and does not depend on the other rows explained with it."""
    rows = np.random.default_rng(3).normal(size=(4, 4))
    shapley = PermutationShapley(Function(product, 4), references, seed=5)
    many = shapley.explain(rows).contributions
    assert shapley.explain(rows).contributions.tobytes() == many.tobytes()
    assert shapley.explain(rows[2:3]).contributions[0].tobytes() == many[2].tobytes()
    assert (
        PermutationShapley(Function(product, 4), references, seed=6).explain(rows).contributions.tobytes()
        != many.tobytes()
    )


def test_the_method_names_its_effort(references):
    """The number of walks and the baseline are part of the explanation."""
    assert "24 antithetic pairs" in PermutationShapley(Function(product, 4), references).explain(np.ones((1, 4))).method


def test_one_reference_is_too_few(references):
    """Without a second reference there is no error to state."""
    with pytest.raises(ModelMismatch, match="1 reference"):
        PermutationShapley(Function(product, 4), references[:1])


def test_no_rows_have_no_walks(references):
    """Nothing to explain gives empty arrays."""
    found = PermutationShapley(Function(product, 4), references).explain(np.zeros((0, 4)))
    assert found.contributions.shape == found.errors.shape == (0, 4)
