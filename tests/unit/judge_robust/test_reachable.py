"""What is left of trees within a box: exactly the leaves that it reaches, told by exact thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.judge.robust.levers import Movable, bind_levers, moved_rows
from tradeworthy.judge.robust.reachable import LEAF, index_turns, low_sides, reach_row, room_for
from tradeworthy.model.predictors.tree_table import Reading
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

NAMES = ("a", "b", "c", "d")
ODD = [0.0, -0.0, 1e-46, -1e-46, 5e-324, 1e-40, 1e300, -1e300, 3.4028234663852886e38, -3.4028234663852886e38, -np.inf]
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("negated", [0, int(Reading.NEGATED)])
@pytest.mark.parametrize("kind", [Reading.PLAIN, Reading.FLOAT32])
def test_a_split_turns_exactly_where_it_is_said_to(kind, negated):
    """The value told is on the low side and the next double is not, for drawn, rounded and extreme thresholds."""
    drawn = np.random.default_rng(1).normal(size=2_000)
    thresholds = np.concatenate([drawn, drawn.astype(np.float32).astype(np.float64), ODD])
    turns = low_sides(np.full(len(thresholds), int(kind) | negated, np.uint32), thresholds)
    with np.errstate(over="ignore"):
        for values, is_low in ((turns, True), (np.nextafter(turns, np.inf), False)):
            read = values.astype(np.float32).astype(np.float64) if kind == Reading.FLOAT32 else values
            low = ((-read if negated else read) <= thresholds) != bool(negated)
            assert np.all((low == is_low) | np.isinf(turns))


def test_a_split_that_never_turns_has_no_turn():
    """A threshold that is no number, or that every number is under, sends all rows one way."""
    nan, all_low = low_sides(np.array([1, 17], np.uint32), np.array([np.nan, np.inf]))
    assert np.isnan(nan)
    assert np.isnan(all_low)


@given(seeds, st.floats(0.01, 2.0), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_leaf_that_a_row_in_the_box_reaches_is_left(seed, epsilon, categories):
    """Whatever the levers do, each tree's answer is one of the leaves that were left, between least and most."""
    rng = np.random.default_rng(seed)
    trees = Trees.from_forest(random_forest(rng, trees=1, leaves=25, categories=categories))
    levers = bind_levers([Movable(features=("a", "c"), unit="own")], NAMES, np.ones(4)).at(epsilon)
    turns, reach = index_turns(trees, levers), room_for(trees, levers)
    for row in random_rows(rng, 8, 4):
        end = reach_row(trees.table, trees.roots, turns, levers, row, reach)
        left = reach.nodes[:end]
        leaves = left["value"][left["axis"] == LEAF]
        assert (left["least"][0], left["most"][0]) == (leaves.min(), leaves.max())
        positions = levers.low + rng.choice([0.0, 1.0, 0.5, rng.random()], (100, 2)) * (levers.high - levers.low)
        moved = moved_rows(np.repeat(row[None], 100, axis=0), levers, positions)
        margins = np.array([trees.margin(each) for each in moved]) - trees.table.bases[0]
        assert np.all(np.isclose(margins[:, None], leaves[None], rtol=1e-9, atol=1e-12).any(axis=1))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_where_nothing_moves_one_leaf_is_left_of_each_tree(seed):
    """A box without room decides every split, of missing and infinite numbers too."""
    rng = np.random.default_rng(seed)
    trees = Trees.from_forest(random_forest(rng, trees=9, leaves=12, categories=True))
    levers = bind_levers([Movable(features=NAMES, unit="own")], NAMES, np.ones(4)).at(0.0)
    turns, reach = index_turns(trees, levers), room_for(trees, levers)
    for row in random_rows(rng, 6, 4):
        assert reach_row(trees.table, trees.roots, turns, levers, row, reach) == len(trees.roots)
        assert np.all(reach.nodes["axis"][: len(trees.roots)] == LEAF)


def test_one_feature_read_in_two_ways_is_one_feature():
    """A split on the feature and one on its negative narrow each other: nothing contradictory is left."""
    rng = np.random.default_rng(3)
    forest = random_forest(rng, trees=1, leaves=12, n_features=1)
    forest.reading[:] = Reading.PLAIN
    trees = Trees.from_forest(forest)
    levers = bind_levers([Movable(features=("a",), unit="own", reach=9.0)], ("a",), np.ones(1))
    turns, reach = index_turns(trees, levers), room_for(trees, levers)
    end = reach_row(trees.table, trees.roots, turns, levers, np.zeros(1), reach)
    leaves = reach.nodes[:end]["value"][reach.nodes[:end]["axis"] == LEAF]
    values = np.concatenate([turns.turn, np.nextafter(turns.turn, np.inf)])
    reached = {trees.margin(np.array([each])) - trees.table.bases[0] for each in values}
    assert len(leaves) == len({round(each, 9) for each in reached})
