"""Attacks on any predictor, against models whose true answer is known."""

import numpy as np
import pytest

from tradeworthy.judge.robust.levers import Movable, bind_levers, moved_rows
from tradeworthy.judge.robust.search import Target, decision_attack, estimated_gradient, gradient_attack

WEIGHTS = np.array([2.0, -1.0, 0.5])
NAMES = ("a", "b", "c")


def linear(rows):
    """Return scores of a linear model."""
    return rows @ WEIGHTS


def target(row=(0.0, 0.0, 0.0), *, score=linear, above=1.0, below=-np.inf, budget=np.inf, epsilon=1.0, **marks: object):
    """Return a target on own units."""
    levers = bind_levers([Movable(features=NAMES, unit="own", **marks)], NAMES, np.ones(3)).at(epsilon, budget)
    return Target(score=score, row=np.array(row), levers=levers, below=below, above=above, budget=budget)


def attacked(attack, aim, rng):
    """Return the positions that one of the two attacks finds."""
    return gradient_attack(aim, rng=rng) if attack == "gradient" else decision_attack(aim, rng=rng)[0]


@pytest.mark.parametrize(("epsilon", "breaks"), [(0.27, False), (0.3, True), (1.0, True)])
@pytest.mark.parametrize("attack", ["gradient", "decision"])
def test_a_linear_model_breaks_exactly_where_it_can(rng_seed, epsilon, breaks, attack):
    """The box's best corner moves a linear score by 3.5 epsilon: below 1 nothing is found, above it is."""
    rng = np.random.default_rng(rng_seed)
    aim = target(epsilon=epsilon)
    found = attacked(attack, aim, rng)
    assert (found is not None) == breaks
    if found is not None:
        assert linear(moved_rows(aim.row[None], aim.levers, found[None]))[0] >= 1.0
        assert np.all(np.abs(found) <= epsilon)


def test_the_decision_attack_comes_near_the_smallest_move(rng_seed):
    """A linear model's boundary lies 1 / 3.5 of the box away; decisions alone come within a third of that."""
    _, distance = decision_attack(target(), queries=1_500, rounds=10, rng=np.random.default_rng(rng_seed))
    assert 1.0 / 3.5 <= distance + 1e-9 < 1.33 / 3.5


def test_the_gradient_is_the_slope(rng_seed):
    """Central differences give a linear model's weights; with many levers SPSA gives them on average."""
    rng = np.random.default_rng(rng_seed)
    np.testing.assert_allclose(estimated_gradient(target(), np.zeros(3), rng), WEIGHTS, rtol=1e-9)
    names = tuple(f"f{place}" for place in range(40))
    levers = bind_levers([Movable(features=names, unit="own")], names, np.ones(40))
    weights = np.zeros(40)
    weights[5] = 3.0
    many = Target(score=lambda rows: rows @ weights, row=np.zeros(40), levers=levers, below=-np.inf, above=1.0)
    mean = np.mean([estimated_gradient(many, np.zeros(40), rng) for _ in range(60)], axis=0)
    assert int(np.argmax(np.abs(mean))) == 5
    np.testing.assert_allclose(mean[5], 3.0, rtol=1e-6)


@pytest.mark.parametrize("attack", ["gradient", "decision"])
def test_a_budget_and_a_direction_are_kept(rng_seed, attack):
    """With a budget of 0.4 on a cost of 1 the score moves by at most 0.8; up-only levers never go down."""
    rng = np.random.default_rng(rng_seed)

    assert attacked(attack, target(budget=0.4, cost=1.0), rng) is None
    found = attacked(attack, target(direction="up"), rng)
    assert found is not None
    assert np.all(found >= 0.0)
    assert attacked(attack, target(direction="up", above=np.inf, below=-1.5), rng) is None


def test_a_flat_score_breaks_nothing(rng_seed):
    """Where nothing moves the score, no attack is reported and none runs for ever."""
    rng = np.random.default_rng(rng_seed)
    aim = target(score=lambda rows: np.zeros(len(rows)))
    assert gradient_attack(aim, rng=rng) is None
    assert decision_attack(aim, rng=rng) == (None, np.inf)


@pytest.fixture
def rng_seed():
    """One seed for all attacks of this file."""
    return 11
