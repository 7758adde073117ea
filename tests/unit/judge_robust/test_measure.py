"""Robustness figures: shares that add up, for trees and for networks."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from tradeworthy.judge.robust.levers import Movable, bind_levers
from tradeworthy.judge.robust.measure import cuts_around, cuts_of, measure
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

NAMES = ("a", "b", "c", "d")


def test_the_cuts_are_the_signals_own():
    """A score of exactly a threshold is beyond it, on both sides."""
    signal = Signal(enter_long=0.6, exit_long=0.5, enter_short=0.4, exit_short=0.5, allow_short=True)
    cuts = cuts_of(signal)
    below, above = cuts_around(np.array([0.4, 0.41, 0.6, 0.59]), cuts)
    assert np.isinf(below).tolist() == [True, False, False, False]
    assert np.isinf(above).tolist() == [False, False, True, False]
    assert cuts_of(Signal(enter_long=0.6)).tolist() == [0.6]


def test_trees_are_broken_certified_or_undecided():
    """The three shares add up to one, and grow with epsilon the way they must."""
    rng = np.random.default_rng(5)
    trees, rows = Trees.from_forest(random_forest(rng, trees=20)), random_rows(rng, 80, 4)
    cut = np.array([float(np.median(trees.many(rows)))])
    levers = bind_levers([Movable(features=NAMES[:2], unit="own")], NAMES, np.ones(4))
    small, large = measure(trees, levers, rows, cut, epsilons=(0.1, 0.8), seed=1)
    for each in (small, large):
        assert each.rows == 80
        assert abs(each.broken + each.certified + each.undecided - 1.0) < 1e-12
    assert small.broken <= large.broken
    assert small.certified >= large.certified
    again = measure(trees, levers, rows, cut, epsilons=(0.8,), seed=1)
    assert again == [large]


def test_a_network_is_attacked_but_not_certified():
    """A logistic regression as ONNX breaks where its linear margin allows; there is no certificate to show."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(400, 4))
    model = LogisticRegression().fit(rows, rows[:, 0] + 0.5 * rows[:, 1] > 0)
    predictor = import_model(model, 4)
    levers = bind_levers([Movable(features=NAMES, unit="own")], NAMES, np.ones(4))
    found = measure(predictor, levers, rows[:30], np.array([0.5]), epsilons=(0.3,), seed=1)[0]
    margin = np.abs(rows[:30] @ model.coef_[0] + model.intercept_[0])
    truth = np.mean(margin < 0.3 * np.abs(model.coef_).sum())
    assert abs(found.broken - truth) <= 1 / 30
    assert (found.certified, found.undecided) == (None, None)
