"""The certificate: no row in the box has a score outside of it, and within one tree it is exact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.judge.robust.levers import Movable, bind_levers, moved_rows
from tradeworthy.judge.robust.tree_bounds import certify
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

NAMES = ("a", "b", "c", "d")
seeds = st.integers(0, 2**32 - 1)


def levers_on(features=NAMES, reach=1.0):
    """Return levers in own units."""
    return bind_levers([Movable(features=features, reach=reach, unit="own")], NAMES, np.ones(4))


@given(seeds, st.floats(0.01, 2.0), st.booleans(), st.sampled_from(list(Link)))
@settings(max_examples=60, deadline=None)
def test_no_row_in_the_box_scores_outside(seed, epsilon, categories, link):
    """Random moves within reach, edges and NaN features included, never leave the certified interval."""
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees=7, leaves=20, categories=categories)
    trees = Trees.from_forest(forest)
    trees.table = trees.table._replace(link=int(link))
    rows = random_rows(rng, 6, 4)
    levers = levers_on(("a", "c")).at(epsilon)
    low, high = certify(trees, levers, rows)
    for _ in range(200):
        positions = rng.choice([-1.0, 1.0, 0.0, rng.uniform(-1, 1)], (6, 2)) * epsilon
        scores = trees.many(moved_rows(rows, levers, positions))[:, 0]
        assert np.all((low <= scores) & (scores <= high))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_one_tree_is_bounded_exactly(seed):
    """With one tree of plain numbers a grid of its own thresholds attains both ends of the interval."""
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees=1, leaves=12, n_features=2, categories=False)
    forest.reading[:], forest.missing_left[:] = 1, False
    trees = Trees.from_forest(forest)
    levers = bind_levers([Movable(features=("a", "b"), unit="own")], ("a", "b"), np.ones(2))
    row = rng.normal(size=2)
    inner = forest.left >= 0
    axes = []
    for feature in (0, 1):
        edges = forest.threshold[inner & (forest.feature == feature)]
        values = np.concatenate([edges, np.nextafter(edges, np.inf), row[feature] + np.array([-1.0, 0.0, 1.0])])
        axes.append(values[np.abs(values - row[feature]) <= 1.0])
    grid = np.array(np.meshgrid(*axes)).reshape(2, -1).T
    scores = trees.many(np.ascontiguousarray(grid))[:, 0]
    low, high = certify(trees, levers, row[None])
    np.testing.assert_allclose([low[0], high[0]], [scores.min(), scores.max()], rtol=1e-12)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_row_that_cannot_be_moved_has_its_own_score(seed):
    """At epsilon 0 the interval is the score, up to the rounding that it allows for."""
    rng = np.random.default_rng(seed)
    trees, rows = Trees.from_forest(random_forest(rng, trees=9)), random_rows(rng, 5, 4)
    low, high = certify(trees, levers_on().at(0.0), rows)
    scores = trees.many(rows)[:, 0]
    assert np.all((low <= scores) & (scores <= high))
    np.testing.assert_allclose(low, high, rtol=1e-9, atol=1e-12)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_wider_box_gives_a_wider_interval(seed):
    """What is certified at an epsilon is certified at every smaller one."""
    rng = np.random.default_rng(seed)
    trees, rows = Trees.from_forest(random_forest(rng, trees=9)), random_rows(rng, 5, 4)
    (low, high), (lower, higher) = (certify(trees, levers_on().at(epsilon), rows) for epsilon in (0.3, 0.9))
    assert np.all((lower <= low) & (high <= higher))
