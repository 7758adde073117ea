"""Levers: what the user marked, as arrays, and moves kept within it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.judge.robust.levers import Movable, bind_levers, moved_rows, settle

NAMES = ("depth", "imbalance", "return_1", "hour")
STD = np.array([10.0, 0.5, 0.01, 1.0])


def test_each_feature_is_a_lever_unless_they_move_together():
    """Two marked features are two levers; features of one act are one, each by its own weight and deviation."""
    alone = bind_levers([Movable(features=("depth", "imbalance"), reach=2.0)], NAMES, STD)
    assert alone.first.tolist() == [0, 1, 2]
    assert alone.high.tolist() == [2.0, 2.0]
    one_act = Movable(features=("depth", "imbalance"), together=True, weights=(1.0, -2.0))
    together = bind_levers([one_act], NAMES, STD)
    assert together.first.tolist() == [0, 2]
    assert together.scale.tolist() == [10.0, -1.0]
    moved = moved_rows(np.zeros((1, 4)), together, np.array([[0.5]]))
    assert moved.tolist() == [[5.0, -0.5, 0.0, 0.0]]


def test_a_direction_and_own_units_are_kept():
    """What can only grow has no way down; own units do not know the training data."""
    levers = bind_levers([Movable(features=("depth",), reach=3.0, unit="own", direction="up")], NAMES, STD)
    assert (levers.low.tolist(), levers.high.tolist(), levers.scale.tolist()) == ([0.0], [3.0], [1.0])
    down = bind_levers([Movable(features=("depth",), direction="down")], NAMES, STD)
    assert (down.low.tolist(), down.high.tolist()) == ([-1.0], [0.0])


def test_epsilon_and_budget_shrink_the_box():
    """Epsilon takes a share of the reach; nobody moves further than the whole budget pays for."""
    dear = Movable(features=("return_1",), reach=2.0, cost=4.0)
    free = Movable(features=("depth",), reach=2.0)
    levers = bind_levers([dear, free], NAMES, STD).at(0.5, budget=2.0)
    assert levers.high.tolist() == [0.5, 1.0]
    assert levers.low.tolist() == [-0.5, -1.0]


@pytest.mark.parametrize(
    ("movable", "said"),
    [
        ([Movable(features=("imbalace",))], "near: 'imbalance'"),
        ([Movable(features=("depth",)), Movable(features=("depth", "hour"))], "marked twice"),
    ],
)
def test_a_mark_that_fits_no_feature_is_refused(movable, said):
    """A wrong name is answered with the nearest; a feature has one lever."""
    with pytest.raises(SettingsInvalid, match=said):
        bind_levers(movable, NAMES, STD)


@pytest.mark.parametrize(
    "facts",
    [
        {"features": []},
        {"features": ["a"], "reach": 0.0},
        {"features": ["a"], "step": 2.0},
        {"features": ["a"], "cost": -1.0},
        {"features": ["a", "b"], "weights": [1.0, 1.0]},
        {"features": ["a", "b"], "together": True, "weights": [1.0]},
        {"features": ["a", "b"], "together": True, "weights": [1.0, 0.0]},
        {"features": ["a"], "direction": "sideways"},
    ],
)
def test_a_mark_that_means_nothing_is_refused(facts):
    """A reach of nothing, a step beyond it, a wrong number of weights: refused where they are read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(facts, Movable)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 5.0))
@settings(max_examples=50, deadline=None)
def test_settled_positions_keep_box_steps_and_budget(seed, budget):
    """Whatever an attack wishes, what it gets is within reach, on a step, and paid for."""
    rng = np.random.default_rng(seed)
    movable = [
        Movable(features=("depth",), reach=2.0, unit="own", step=0.25, cost=1.0),
        Movable(features=("imbalance",), direction="up", cost=0.5),
        Movable(features=("return_1",)),
    ]
    levers = bind_levers(movable, NAMES, STD).at(0.7, budget)
    held = settle(levers, rng.normal(scale=3.0, size=(20, 3)), budget)
    assert np.all((held >= levers.low) & (held <= levers.high))
    assert np.all(np.abs(held) @ levers.cost <= budget + 1e-12)
    np.testing.assert_array_equal(held[:, 0] / 0.25, np.round(held[:, 0] / 0.25))
