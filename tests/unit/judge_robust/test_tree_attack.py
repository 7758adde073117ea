"""The attack on trees: what it reports is true, within box, steps and budget, and it finds what is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.judge.robust.levers import Movable, bind_levers, moved_rows, settle
from tradeworthy.judge.robust.tree_attack import attack_trees
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts
from tradeworthy.model.predictors.tree_table import Link, Reading
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

NAMES = ("a", "b", "c", "d")
NOWHERE = np.inf
seeds = st.integers(0, 2**32 - 1)


def stumps(*splits: tuple[int, float], reading=Reading.PLAIN):
    """Return trees of one split each: (feature, threshold) gives 0 on the left, 1 on the right."""
    parts = ForestParts()
    for feature, threshold in splits:
        tree = TreeParts.empty(3)
        tree.left[0], tree.right[0] = 1, 2
        tree.reading[0], tree.feature[0], tree.threshold[0] = reading, feature, threshold
        tree.value[1:] = 0.0, 1.0
        parts.add(tree)
    return Trees.from_forest(parts.forest(source="stumps", n_features=4))


def attack(trees, levers, row, *, below=-NOWHERE, above=NOWHERE, budget=np.inf, starts=0):
    """Attack one row with cuts."""
    rows = np.atleast_2d(np.asarray(row, np.float64))
    cuts = (np.full(len(rows), below), np.full(len(rows), above))
    return attack_trees(trees, levers, rows, *cuts, budget=budget, starts=starts, rng=np.random.default_rng(1))


def levers_of(*movable: Movable):
    return bind_levers(movable, NAMES, np.ones(4))


@given(seeds, st.floats(0.05, 1.5), st.floats(0.1, 3.0))
@settings(max_examples=60, deadline=None)
def test_a_success_is_a_fact(seed, epsilon, budget):
    """Moved rows differ only where allowed, as far as allowed, for no more than allowed, and score across the cut."""
    rng = np.random.default_rng(seed)
    trees, rows = Trees.from_forest(random_forest(rng, trees=7)), random_rows(rng, 12, 4)
    stepped = Movable(features=("a",), unit="own", step=0.05, cost=1.0)
    levers = levers_of(stepped, Movable(features=("c",), direction="up", cost=0.5)).at(epsilon, budget)
    scores = trees.many(rows)[:, 0]
    below, above = scores - 0.05, scores + 0.05
    found = attack_trees(trees, levers, rows, below, above, budget=budget, rng=rng)
    with np.errstate(invalid="ignore"):  # a row may hold infinity
        moved = np.nan_to_num(found.adversarial - rows)
    assert np.all(moved[:, [1, 3]] == 0.0)
    assert np.all(np.abs(moved[:, 0]) <= epsilon + 1e-9)
    assert np.all((moved[:, 2] >= 0.0) & (moved[:, 2] <= epsilon + 1e-9))
    assert np.all(np.abs(moved[:, 0]) + 0.5 * moved[:, 2] <= budget + 1e-9)
    np.testing.assert_allclose(moved[:, 0] / 0.05, np.round(moved[:, 0] / 0.05), atol=1e-6)
    after = trees.many(found.adversarial)[:, 0]
    np.testing.assert_array_equal(found.broken, (after < below) | (after >= above))
    assert not np.any(found.broken & found.safe)


@pytest.mark.parametrize("reading", [Reading.PLAIN, Reading.FLOAT32, Reading.ZERO_IS_MISSING])
def test_it_finds_the_way_across_two_thresholds(reading):
    """Two levers must both move: the greedy passes take one after the other."""
    trees = stumps((0, 0.3), (1, 0.4), reading=reading)
    found = attack(trees, levers_of(Movable(features=("a", "b"))), [0.1, 0.1, 0, 0], above=2.0)
    assert found.broken.all()
    near = attack(trees, levers_of(Movable(features=("a", "b"))).at(0.09), [0.1, 0.1, 0, 0], above=2.0)
    assert (near.broken.any(), near.safe.all()) == (False, True)


def test_features_of_one_act_move_together():
    """A coupled lever cannot raise one feature without lowering the other."""
    trees = stumps((0, 0.3), (1, -0.2))
    together = levers_of(Movable(features=("a", "b"), together=True, weights=(1.0, -1.0)))
    row = [0.1, -0.1, 0, 0]
    assert trees.many(np.array([row]))[0, 0] == 1.0
    assert not attack(trees, together, row, above=2.0).broken.any()
    assert attack(trees, levers_of(Movable(features=("a", "b"))), row, above=2.0).broken.all()


def test_a_budget_pays_for_the_cheap_way():
    """Where one feature is dear and another cheap, the cheap one is moved."""
    trees = stumps((0, 0.3), (1, 0.3))
    levers = levers_of(Movable(features=("a",), cost=10.0), Movable(features=("b",), cost=0.1))
    found = attack(trees, levers, [0.0, 0.0, 0, 0], above=1.0, budget=1.0)
    assert found.broken.all()
    assert found.adversarial[0, 0] == 0.0
    assert not attack(trees, levers, [0.0, 0.0, 0, 0], above=2.0, budget=1.0).broken.any()


def test_one_way_levers_break_only_one_way():
    """What can only grow cannot bring a score down that grows with it."""
    trees = stumps((0, 0.3))
    levers = levers_of(Movable(features=("a",), direction="up"))
    assert not attack(trees, levers, [0.4, 0, 0, 0], below=0.5).broken.any()
    assert attack(trees, levers, [0.0, 0, 0, 0], above=0.5).broken.all()


def test_ticks_that_jump_over_a_narrow_band_do_not_hit_it():
    """A feature on ticks of 0.5 cannot stop inside a band of 0.1; without ticks it can."""
    parts = ForestParts()
    tree = TreeParts.empty(5)
    tree.left[:2], tree.right[:2] = [1, 3], [2, 4]
    tree.reading[:2], tree.threshold[:2] = Reading.PLAIN, [0.3, 0.2]
    tree.value[2:] = 0.0, 0.0, 1.0
    parts.add(tree)
    trees = Trees.from_forest(parts.forest(source="band", n_features=4))
    free, ticks = (levers_of(Movable(features=("a",), unit="own", step=step)) for step in (0.0, 0.5))
    assert attack(trees, free, [0.0, 0, 0, 0], above=1.0).broken.all()
    assert not attack(trees, ticks, [0.0, 0, 0, 0], above=1.0, starts=5).broken.any()


def test_random_starts_find_no_less():
    """Starting again from elsewhere only adds successes."""
    rng = np.random.default_rng(7)
    trees, rows = Trees.from_forest(random_forest(rng, trees=30, leaves=20)), random_rows(rng, 60, 4)
    scores = trees.many(rows)[:, 0]
    levers = levers_of(Movable(features=NAMES, unit="own"))
    cuts = (scores - 0.3, scores + 0.3)
    once, often = (
        attack_trees(trees, levers, rows, *cuts, starts=starts, rng=np.random.default_rng(3)) for starts in (0, 4)
    )
    assert np.all(once.broken <= often.broken)
    np.testing.assert_array_equal(once.safe, often.safe)


def test_a_share_is_attacked_through_the_other_classes_trees():
    """Where only a rival's trees look at the movable feature, the first class's share still moves, and is bounded."""
    parts = ForestParts()
    for feature, threshold, output in ((0, 0.0, 0), (1, 0.5, 1), (1, 0.4, 2)):
        tree = TreeParts.empty(3)
        tree.left[0], tree.right[0] = 1, 2
        tree.reading[0], tree.feature[0], tree.threshold[0] = Reading.PLAIN, feature, threshold
        tree.value[1:] = -1.0, 1.0
        parts.add(tree, output)
    forest = parts.forest(
        source="stumps", n_features=4, outputs=("up", "flat", "down"), bases=[0.0] * 3, link=Link.SOFTMAX
    )
    trees = Trees.from_forest(forest)
    row = np.zeros(4)
    found = attack(trees, levers_of(Movable(features=("b",), unit="own")).at(1.0), row, below=0.3)
    assert found.broken.all()
    assert found.adversarial[0, 1] > 0.5
    barely = attack(trees, levers_of(Movable(features=("b",), unit="own")).at(0.3), row, below=0.3)
    assert barely.safe.all()
    assert not barely.broken.any()


@given(seeds, st.floats(0.1, 1.5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_of_two_features_it_knows_exactly_which_rows_break(seed, epsilon, categories):
    """On a grid of every cell that two features can reach, a row breaks where the search says so, and nowhere else."""
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees=6, leaves=10, categories=categories)
    trees, rows = Trees.from_forest(forest), random_rows(rng, 8, 4)
    levers = levers_of(Movable(features=("a", "c"), unit="own")).at(epsilon)
    scores = trees.many(rows)[:, 0]
    below, above = scores - 0.1, scores + 0.1
    found = attack_trees(trees, levers, rows, below, above, boxes_max=20_000, rng=rng)
    for number, row in enumerate(rows):
        cells = [cells_of(forest, row, place, epsilon) for place in (0, 2)]
        tried = np.repeat(row[None], len(cells[0]) * len(cells[1]), axis=0)
        tried[:, 0], tried[:, 2] = (each.ravel() for each in np.meshgrid(*cells))
        reached = trees.many(tried)[:, 0]
        breaks = bool(np.any((reached < below[number]) | (reached >= above[number])))
        assert not (breaks and found.safe[number])
        if breaks and not categories:
            assert found.broken[number] or sets_or_zeros(forest)
        if not breaks:
            assert not found.broken[number]


def cells_of(forest, row, place, epsilon):
    """Return values of a feature on both sides of each threshold within reach, ends and the value itself among them."""
    edges = forest.threshold[(forest.left >= 0) & (forest.feature == place)]
    low, high = row[place] - epsilon, row[place] + epsilon
    near = np.concatenate([edges, edges * (1.0 - 1e-6) - 1e-9, edges * (1.0 + 1e-6) + 1e-9])
    near = near[(near >= low) & (near <= high)]
    return np.unique(np.concatenate([near, [row[place]], [low, high] if np.isfinite(row[place]) else []]))


def sets_or_zeros(forest):
    """Tell whether a split is no comparison of numbers: those are left open where the box does not decide them."""
    inner = forest.left >= 0
    return bool(np.isin(forest.reading[inner] & 15, [3, 5, 6]).any())


@given(seeds, st.sampled_from([0.0, 0.05, 0.3]), st.floats(0.2, 2.0), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_proved_safe_no_move_breaks(seed, step, budget, together):
    """Random moves on steps, within budget, of coupled features and of several classes, never break a safe row."""
    rng = np.random.default_rng(seed)
    outputs = ("up", "flat", "down") if seed % 3 == 0 else ("score",)
    link = Link.SOFTMAX if seed % 3 == 0 else Link.SIGMOID
    trees = Trees.from_forest(random_forest(rng, trees=9, leaves=12, outputs=outputs, link=link))
    rows = random_rows(rng, 10, 4)
    weights = (1.0, -0.7) if together else ()
    moved = Movable(features=("a", "b"), unit="own", step=step, cost=1.0, together=together, weights=weights)
    levers = levers_of(moved, Movable(features=("d",), unit="own", direction="down", cost=0.3)).at(0.6, budget)
    scores = trees.many(rows)[:, 0]
    below, above = scores - 0.05, scores + 0.05
    found = attack_trees(trees, levers, rows, below, above, budget=budget, rng=rng)
    assert not np.any(found.safe & found.broken)
    for _ in range(200):
        share = rng.choice([0.0, 1.0, rng.random()], (len(rows), len(levers.low)))
        positions = settle(levers, levers.low + share * (levers.high - levers.low), budget)
        reached = trees.many(moved_rows(rows, levers, positions))[:, 0]
        assert not np.any(found.safe & ((reached < below) | (reached >= above)))


def test_what_costs_more_than_the_budget_is_proved_out_of_reach():
    """Each feature alone is affordable, both are not: no interval proves that, the search does."""
    trees = stumps((0, 0.3), (1, 0.3))
    levers = levers_of(Movable(features=("a", "b"), cost=1.0)).at(1.0, 0.5)
    found = attack(trees, levers, [0.0, 0, 0, 0], above=2.0, budget=0.5)
    assert (found.broken.any(), found.safe.all()) == (False, True)
    assert attack(trees, levers_of(Movable(features=("a", "b"), cost=1.0)), [0.0, 0, 0, 0], above=2.0).broken.all()


def test_what_lies_between_ticks_or_asks_one_act_for_two_places_is_proved_out_of_reach():
    """A band that steps jump over, and features of one act wanted in places that it cannot give both."""
    trees = stumps((0, 0.3), (1, -0.2))
    together = levers_of(Movable(features=("a", "b"), together=True, weights=(1.0, -1.0)))
    assert attack(trees, together, [0.1, -0.3, 0, 0], above=2.0).safe.all()
    ticks = levers_of(Movable(features=("a",), unit="own", reach=0.4, step=0.4))
    assert attack(stumps((0, 0.45)), ticks, [0.1, 0, 0, 0], above=1.0).broken.all()
    assert attack(stumps((0, 0.55)), ticks, [0.1, 0, 0, 0], above=1.0).safe.all()


def test_a_search_that_may_look_at_fewer_boxes_decides_no_more():
    """What few boxes decide more boxes decide alike; without any, what greed and interval leave is undecided."""
    rng = np.random.default_rng(11)
    trees, rows = Trees.from_forest(random_forest(rng, trees=60, leaves=30)), random_rows(rng, 60, 4)
    scores = trees.many(rows)[:, 0]
    levers = levers_of(Movable(features=NAMES, unit="own")).at(0.5)
    none, few, many = (
        attack_trees(
            trees, levers, rows, scores - 0.2, scores + 0.2, boxes_max=boxes, starts=0, rng=np.random.default_rng(1)
        )
        for boxes in (0, 5, 5_000)
    )
    for less, more in ((none, few), (few, many)):
        assert np.all(less.broken <= more.broken)
        assert np.all(less.safe <= more.safe)
    undecided = [int(np.sum(~each.broken & ~each.safe)) for each in (none, few, many)]
    assert undecided[0] > undecided[1] >= undecided[2]


def test_what_greed_cannot_climb_the_search_finds():
    """Two features that help only together: each alone makes it worse, so greed stays where it is."""
    parts = ForestParts()
    tree = TreeParts.empty(7)
    tree.left[:3], tree.right[:3] = [1, 3, 5], [2, 4, 6]
    tree.reading[:3], tree.feature[:3], tree.threshold[:3] = Reading.PLAIN, [0, 1, 1], 0.3
    tree.value[3:] = 0.0, -1.0, -1.0, 1.0
    parts.add(tree)
    trees = Trees.from_forest(parts.forest(source="both or none", n_features=4))
    levers = levers_of(Movable(features=("a", "b")))
    rows, cuts = np.zeros((1, 4)), (np.array([-NOWHERE]), np.array([0.5]))
    greedy = attack_trees(trees, levers, rows, *cuts, starts=0, boxes_max=0, rng=np.random.default_rng(1))
    assert (greedy.broken.any(), greedy.safe.any()) == (False, False)
    assert attack(trees, levers, rows, above=0.5).broken.all()
