"""Exact Shapley values: they add up, do not depend on neighbours, and obey the axioms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.judge.explain import treeshap
from tradeworthy.judge.explain.treeshap import METHOD, TreeShap
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, **shape: object):
    """Return random trees and rows."""
    rng = np.random.default_rng(seed)
    return Trees.from_forest(random_forest(rng, **shape)), random_rows(rng, 8, shape.get("n_features", 4))


@given(seeds, st.integers(1, 40), st.booleans())
@settings(max_examples=50, deadline=None)
def test_contributions_add_up_to_the_margin(seed, leaves, categories):
    """Baseline plus contributions is the margin, for any trees (some without cover in a leaf) and any row."""
    trees, rows = drawn(seed, leaves=leaves, categories=categories)
    found = TreeShap(trees).explain(rows)
    np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), found.explained, atol=1e-9)
    np.testing.assert_array_equal(found.scores, trees.many(rows)[:, 0])


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_rows_explanation_does_not_depend_on_its_neighbours(seed):
    """One row and many give the same bits."""
    trees, rows = drawn(seed, leaves=20)
    shap = TreeShap(trees)
    many = shap.explain(rows).contributions
    alone = np.concatenate([shap.explain(row[None]).contributions for row in rows])
    assert alone.tobytes() == many.tobytes()


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_trees_add(seed):
    """The explanation of two forests together is the sum of their explanations."""
    rng = np.random.default_rng(seed)
    first, second = (Trees.from_forest(random_forest(rng, trees=4)) for _ in range(2))
    both = ForestParts()
    rows = random_rows(rng, 5)
    rng = np.random.default_rng(seed)
    for _ in range(2):
        for tree in split_forest(random_forest(rng, trees=4)):
            both.add(tree)
    together = Trees.from_forest(both.forest(source="both", n_features=4))
    parts = [TreeShap(trees).explain(rows).contributions for trees in (first, second)]
    np.testing.assert_allclose(TreeShap(together).explain(rows).contributions, sum(parts), atol=1e-12)


def split_forest(forest):
    """Return a forest's trees one by one."""
    for number in np.unique(forest.tree):
        at = np.flatnonzero(forest.tree == number)
        first = at[0]
        yield TreeParts(
            left=np.where(forest.left[at] >= 0, forest.left[at] - first, -1),
            right=np.where(forest.right[at] >= 0, forest.right[at] - first, -1),
            feature=forest.feature[at], reading=forest.reading[at], missing_left=forest.missing_left[at],
            threshold=forest.threshold[at], value=forest.value[at], cover=forest.cover[at],
            category=forest.category[at],
        )  # fmt: skip


def test_a_feature_that_no_split_reads_gets_nothing():
    """What the trees never look at contributes exactly zero."""
    rng = np.random.default_rng(3)
    trees = Trees.from_forest(random_forest(rng, n_features=3))
    wide = Trees.from_forest(replace(random_forest(np.random.default_rng(3), n_features=3), n_features=6))
    rows = random_rows(rng, 5, 6)
    found = TreeShap(wide).explain(rows).contributions
    assert np.all(found[:, 3:] == 0.0)
    np.testing.assert_array_equal(found[:, :3], TreeShap(trees).explain(rows[:, :3]).contributions)


def chain(depth, n_features):
    """Return one tree that asks about one feature after another."""
    parts = ForestParts()
    tree = TreeParts.empty(2 * depth + 1)
    for level in range(depth):
        tree.left[2 * level], tree.right[2 * level] = 2 * level + 1, 2 * level + 2
        tree.feature[2 * level] = level % n_features
        tree.threshold[2 * level] = 0.0
        tree.value[2 * level + 1] = float(level)
        tree.cover[2 * level] = 2.0 ** (depth - level)
        tree.cover[2 * level + 1] = 2.0 ** (depth - level - 1)
    tree.cover[-1], tree.value[-1] = 1.0, -7.0
    parts.add(tree)
    return Trees.from_forest(parts.forest(source="chain", n_features=n_features, link=Link.IDENTITY))


@pytest.mark.parametrize(("features", "blocks"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3), (60, 5)])
def test_long_paths_take_more_points_and_stay_exact(features, blocks):
    """Twelve different features on a path need one block of points; more need more, and the sum still holds."""
    trees = chain(features, features)
    shap = TreeShap(trees)
    rows = np.random.default_rng(0).normal(size=(6, features)) + 0.5
    found = shap.explain(rows)
    assert len(list(shap.tables())) == blocks
    np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), found.explained, atol=1e-9)


def test_a_feature_asked_again_and_again_is_one_player():
    """A path that asks one feature many times has one player: it gets the whole difference."""
    trees = chain(30, 1)
    found = TreeShap(trees).explain(np.array([[1.0], [-1.0]]))
    np.testing.assert_allclose(found.contributions[:, 0], found.explained - found.baseline, atol=1e-9)
    assert found.explained.tolist() == [-7.0, 0.0]


def test_large_forests_are_explained_chunk_by_chunk(monkeypatch):
    """Cut into chunks, or with factors made anew for every call, the values stay within rounding."""
    trees, rows = drawn(5, trees=40, leaves=20)
    whole = TreeShap(trees).explain(rows).contributions
    monkeypatch.setattr(treeshap, "NODES_PER_CHUNK", 60)
    monkeypatch.setattr(treeshap, "FACTOR_BYTES_KEPT", 0)
    shap = TreeShap(trees)
    assert len(list(shap.tables())) > 5
    np.testing.assert_allclose(shap.explain(rows).contributions, whole, atol=1e-12)


def test_no_rows_have_no_explanations():
    """Nothing to explain gives empty arrays of the right width."""
    trees, _ = drawn(1)
    found = TreeShap(trees).explain(np.zeros((0, 4)))
    assert found.contributions.shape == (0, 4)
    assert found.method == METHOD
    assert found.errors.shape == (0, 4)


def test_trees_without_cover_are_refused():
    """Without cover there is no baseline, and the message says so."""
    parts = ForestParts()
    parts.add(TreeParts.empty(1))
    with pytest.raises(ModelMismatch, match="cover"):
        TreeShap(Trees.from_forest(parts.forest(source="bare", n_features=1)))
