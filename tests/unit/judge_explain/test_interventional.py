"""Shapley values against chosen baselines: the definition's, adding up, and naming what they stand against."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.judge.explain.explaining import background, explainer_against, make_explainer, typical_row, width_of
from tradeworthy.judge.explain.interventional import InterventionalShap, shapley_shares
from tradeworthy.judge.explain.margins import margin_of, margins_and_scores
from tradeworthy.judge.explain.permutation import PermutationShapley
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.testing.predictors import random_forest, random_rows

seeds = st.integers(0, 2**32 - 1)


class Product:
    """A predictor that is no trees: the product of two features."""

    format, n_features, n_outputs = "product", 2, 1

    def one(self, row):
        return self.many(row[None])[0]

    def many(self, rows):
        return (rows[:, 0] * rows[:, 1])[:, None]

    def save(self, folder):
        """Write nothing; no test stores it."""


def drawn(seed, count=6, **shape: object):
    """Return random trees, rows and baselines."""
    rng = np.random.default_rng(seed)
    width = shape.get("n_features", 4)
    return Trees.from_forest(random_forest(rng, **shape)), random_rows(rng, count, width), random_rows(rng, 3, width)


def profile_of(rows, trees=None):
    """Return the profile of training rows."""
    return Profile.of(rows, np.zeros((len(rows), 1)) if trees is None else trees.many(rows))


def mixed(trees, row, base, known):
    """Return the margin where the known features are the row's and the others the baseline's."""
    return trees.margin(np.where(np.isin(np.arange(len(row)), list(known)), row, base))


def by_definition(trees, row, base):
    """Return Shapley values summed over every subset of features."""
    n = len(row)
    values = np.zeros(n)
    for feature in range(n):
        others = [other for other in range(n) if other != feature]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for known in combinations(others, size):
                gain = mixed(trees, row, base, {*known, feature}) - mixed(trees, row, base, known)
                values[feature] += weight * gain
    return values


@given(seeds, st.integers(1, 20), st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_definition_over_all_subsets(seed, leaves, categories):
    """Every value is the definition's, for splits of every kind, missing numbers and categories included."""
    trees, rows, bases = drawn(seed, 2, leaves=leaves, categories=categories)
    found = InterventionalShap(trees, bases).explain(rows).contributions
    for row, values in zip(rows, found, strict=True):
        expected = np.mean([by_definition(trees, row, base) for base in bases], axis=0)
        np.testing.assert_allclose(values, expected, atol=1e-12)


@given(seeds, st.integers(1, 40), st.integers(4, 30))
@settings(max_examples=25, deadline=None)
def test_contributions_add_up_to_the_margin(seed, leaves, n_features):
    """The baseline and all contributions are the margin, however many features a path has."""
    trees, rows, bases = drawn(seed, leaves=leaves, n_features=n_features)
    found = InterventionalShap(trees, bases).explain(rows)
    np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), found.explained, atol=1e-9)
    np.testing.assert_array_equal(found.scores, trees.many(rows)[:, 0])


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_a_rows_explanation_does_not_depend_on_its_neighbours(seed):
    """One row and many give the same bits."""
    trees, rows, bases = drawn(seed, leaves=20)
    shap = InterventionalShap(trees, bases)
    alone = np.concatenate([shap.explain(row[None]).contributions for row in rows])
    assert alone.tobytes() == shap.explain(rows).contributions.tobytes()


def test_a_row_against_itself_has_no_reasons():
    """Where row and baseline are the same, nothing contributes."""
    trees, rows, _ = drawn(4)
    found = InterventionalShap(trees, rows[:1]).explain(rows[:1])
    assert np.all(found.contributions == 0.0)
    assert found.baseline == found.explained[0]


def test_forth_and_back_cancel():
    """What moved the margin from one row to another moves it back, feature by feature."""
    trees, rows, _ = drawn(9, leaves=15)
    there = InterventionalShap(trees, rows[:1]).explain(rows[1:2]).contributions
    back = InterventionalShap(trees, rows[1:2]).explain(rows[:1]).contributions
    np.testing.assert_allclose(there, -back, atol=1e-12)


def test_shares_are_those_of_counting():
    """(u - 1)! v! / (u + v)! for every u and v."""
    shares = shapley_shares(12)
    expected = [[factorial(u - 1) * factorial(v) / factorial(u + v) for v in range(13)] for u in range(1, 13)]
    np.testing.assert_allclose(shares[1:], expected, rtol=1e-14)
    assert not shares[0].any()
    assert shapley_shares(0).tolist() == [[0.0]]


def test_without_a_baseline_nothing_is_explained():
    """No baseline row is refused, with where to find one."""
    trees, _, _ = drawn(1)
    with pytest.raises(ModelMismatch, match="reference profile"):
        InterventionalShap(trees, np.zeros((0, 4)))


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.SOFTMAX])
def test_a_threshold_has_one_place_on_the_margin(link):
    """A score's margin is where the predictor gives that score, for every link of one score."""
    rng = np.random.default_rng(3)
    trees = Trees.from_forest(random_forest(rng, link=link))
    rows = np.clip(random_rows(rng, 20), -9.0, 9.0)
    margins, scores = margins_and_scores(trees, rows)
    np.testing.assert_array_equal(scores, trees.many(rows)[:, 0])
    np.testing.assert_array_equal(margins, [trees.margin(row) for row in rows])
    found = [margin_of(trees, score) for score in scores]
    np.testing.assert_allclose(found, margins, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("score", "margin"), [(0.0, -np.inf), (1.0, np.inf), (-0.5, -np.inf), (1.5, np.inf)])
def test_a_probability_that_no_margin_reaches(score, margin):
    """A threshold outside what a classifier can say lies at infinity."""
    trees, _, _ = drawn(2)
    assert margin_of(trees, score) == margin


def test_a_count_that_no_margin_reaches():
    """A rate at or below zero lies at minus infinity; other predictors' scores are their own margin."""
    counts = Trees.from_forest(random_forest(np.random.default_rng(1), link=Link.EXP))
    assert margin_of(counts, 0.0) == -np.inf
    assert margin_of(Product(), 0.7) == 0.7


def test_every_explanation_names_its_method_and_baseline():
    """Path-dependent and interventional answer different questions, so each says which it is, against what."""
    trees, _, _ = drawn(5)
    rows = np.random.default_rng(1).normal(size=(200, 4))
    profile = profile_of(rows, trees)
    kinds = {against: make_explainer(trees, profile, against=against) for against in ("training", "background")}
    said = {against: explainer.explain(rows[:1]).method for against, explainer in kinds.items()}
    assert isinstance(kinds["training"], TreeShap)
    assert "path-dependent" in said["training"]
    assert said["background"].endswith("baseline: mean over 32 rows of training")
    typical = make_explainer(trees, profile, against="typical").explain(rows[:1])
    assert typical.method.endswith("baseline: the most ordinary row of training")
    assert typical.baseline == trees.margin(typical_row(profile))


def test_other_predictors_walk_permutations():
    """Without trees there is no cover: the same baselines serve permutation walks, a single one many times."""
    rows = np.random.default_rng(2).normal(size=(100, 2))
    profile = profile_of(rows)
    for against, count in (("training", 32), ("background", 32), ("typical", 16)):
        explainer = make_explainer(Product(), profile, against=against)
        found = explainer.explain(rows[:3])
        assert isinstance(explainer, PermutationShapley)
        assert f"{count} antithetic pairs" in found.method
        np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), found.scores, atol=1e-12)


def test_a_single_baseline_of_two_features_is_exact_without_trees():
    """Two features have two orders, and a pair of walks takes both: no error is left."""
    found = explainer_against(Product(), np.array([[1.0, 2.0]]), name="one row").explain(np.array([[3.0, 5.0]]))
    assert found.contributions[0].tolist() == [7.0, 6.0]
    assert found.errors.tolist() == [[0.0, 0.0]]


def test_the_typical_row_was_seen_and_is_ordinary():
    """It is one of the sample's rows, nearest to the medians, and a wild feature does not outvote the others."""
    rows = np.random.default_rng(6).normal(size=(301, 3)) * [1.0, 1e6, 1e-6]
    profile = profile_of(rows)
    chosen = typical_row(profile)
    assert (rows == chosen).all(axis=1).any()
    assert np.all(np.abs(chosen - np.median(rows, axis=0)) < 0.3 * width_of(profile))


def test_widths_of_features_that_hardly_vary():
    """Where the middle 90% is one value the whole range counts; a constant has width one."""
    rows = np.zeros((400, 3))
    rows[:, 0] = np.arange(400)
    rows[0, 1] = 5.0
    assert width_of(profile_of(rows)).tolist() == pytest.approx([0.9 * 399, 5.0, 1.0])


def test_a_background_is_spread_over_the_training_span():
    """First and last row of the sample belong to it, and a short sample is taken whole."""
    rows = np.arange(500.0)[:, None]
    taken = background(profile_of(rows))[:, 0]
    assert (taken[0], taken[-1], len(taken)) == (0.0, 499.0, 32)
    assert len(background(profile_of(rows[:7]))) == 7
