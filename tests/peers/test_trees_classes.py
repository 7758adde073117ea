"""Models of several classes give each class's score as their library does: 1e-12, or float32 rounding for XGBoost."""

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.trees import Trees

WORDS = np.array(["down", "flat", "up"])


def training_rows(*, missing=True):
    """Return rows of five features and one of three classes each."""
    rng = np.random.default_rng(21)
    rows = rng.normal(size=(1_200, 5))
    classes = np.digitize(rows[:, 0] * rows[:, 1] + rows[:, 2] + rng.normal(0, 0.3, len(rows)), [-0.5, 0.6])
    if missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows, classes


def probe_rows(*, missing=True):
    rng = np.random.default_rng(22)
    rows = 2.0 * rng.normal(size=(500, 5))
    rows[rng.random(rows.shape) < 0.1] = 0.0
    if missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def stored(model, acts_on=None):
    """Return our trees of a model, through the bytes of their file."""
    return Trees.from_files(import_model(model, 5, acts_on=acts_on).to_files())


def require_same(trees, rows, expected, tolerance=1e-12):
    """Compare all scores, and one row at a time with many."""
    found = trees.many(rows)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert np.array([trees.one(row) for row in rows]).tobytes() == found.tobytes()


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "multiclass"},
        {"objective": "multiclassova", "sigmoid": 1.5},
        {"objective": "multiclass", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "multiclass", "boosting": "dart", "drop_rate": 0.5},
    ],
    ids=str,
)
def test_lightgbm(settings):
    """LightGBM's softmax and one against the rest, boosted, dropped or as a forest."""
    rows, classes = training_rows()
    told = {"verbose": -1, "num_threads": 1, "num_class": 3, "num_leaves": 12, **settings}
    booster = lightgbm.train(told, lightgbm.Dataset(rows, classes), 10)
    require_same(stored(booster), probe_rows(), booster.predict(probe_rows()))


@pytest.mark.parametrize(
    "settings",
    [{"objective": "multi:softprob"}, {"objective": "multi:softprob", "num_parallel_tree": 2}, {"booster": "dart"}],
    ids=str,
)
def test_xgboost(tmp_path, settings):
    """XGBoost's classes, each with a base score of its own; the JSON file gives the same."""
    rows, classes = training_rows()
    told = {"nthread": 1, "max_depth": 4, "num_class": 3, "objective": "multi:softprob", **settings}
    booster = xgboost.train(told, xgboost.DMatrix(rows, classes, nthread=1), 8)
    trees = stored(booster)
    require_same(trees, probe_rows(), booster.predict(xgboost.DMatrix(probe_rows(), nthread=1)), 2e-6)
    booster.save_model(tmp_path / "model.json")
    assert stored(tmp_path / "model.json").many(probe_rows()).tobytes() == trees.many(probe_rows()).tobytes()


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(8, random_state=1),
        ExtraTreesClassifier(8, random_state=1),
        DecisionTreeClassifier(random_state=1),
        HistGradientBoostingClassifier(max_iter=8),
        GradientBoostingClassifier(n_estimators=6, random_state=1),
        GradientBoostingClassifier(n_estimators=6, init="zero", random_state=1),
    ],
    ids=lambda model: f"{type(model).__name__} {getattr(model, 'init', None)}",
)
def test_scikit_learn(model):
    """scikit-learn's forests, trees and both kinds of boosting, the scores called by the classes' names."""
    missing = not isinstance(model, GradientBoostingClassifier)
    rows, classes = training_rows(missing=missing)
    with threadpool_limits(1):
        expected = model.fit(rows, WORDS[classes]).predict_proba(probe_rows(missing=missing))
    trees = stored(model)
    assert trees.outputs == ("down", "flat", "up")
    require_same(trees, probe_rows(missing=missing), expected)


def test_the_class_acted_on_comes_first_and_is_explained():
    """The named class's score is the first, the rest follow, and its margin is what Shapley values add up to."""
    rows, classes = training_rows()
    model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=8, verbose=-1, n_jobs=1).fit(rows, WORDS[classes])
    probe = probe_rows()
    trees = stored(model, acts_on="up")
    assert trees.outputs == ("up", "down", "flat")
    require_same(trees, probe, model.predict_proba(probe)[:, [2, 0, 1]])
    explained = TreeShap(trees).explain(probe[:60])
    expected = model.booster_.predict(probe[:60], pred_contrib=True).reshape(60, 3, 6)[:, 2]
    np.testing.assert_allclose(explained.contributions, expected[:, :5], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(explained.baseline, expected[:, 5], rtol=1e-9)
    np.testing.assert_allclose(explained.explained, expected.sum(axis=1), rtol=1e-9)
