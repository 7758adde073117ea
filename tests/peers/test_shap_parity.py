"""Exact Shapley values agree with the libraries' own, and with the definition summed over all subsets."""

import warnings
from itertools import combinations
from math import factorial

import lightgbm
import numpy as np
import pytest
import shap
import xgboost
from sklearn.ensemble import RandomForestRegressor

from tradeworthy.judge.explain.interventional import InterventionalShap
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.importing import import_model


def data(count=1_200, width=8, seed=2):
    """Return rows with missing numbers and a category, and labels."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, width))
    rows[:, -1] = rng.integers(0, 12, count)
    labels = (rows[:, 0] * rows[:, 1] + np.abs(rows[:, 2]) + rows[:, -1] % 2 + rng.normal(size=count) > 1).astype(int)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows, labels


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary", "num_leaves": 31},
        {"objective": "binary", "num_leaves": 4},
        {"objective": "regression", "num_leaves": 127, "min_data_in_leaf": 2},
        {"objective": "poisson", "boosting": "dart"},
    ],
    ids=str,
)
def test_lightgbm_pred_contrib(settings):
    """Contributions and baseline are LightGBM's to 1e-9, and add up to the margin to 1e-9."""
    rows, labels = data()
    told = {"verbose": -1, "num_threads": 1, "min_data_per_group": 5, "cat_smooth": 1, **settings}
    booster = lightgbm.train(told, lightgbm.Dataset(rows, labels, categorical_feature=[7]), 25)
    theirs = booster.predict(rows[:100], pred_contrib=True)
    ours = TreeShap(import_model(booster, 8)).explain(rows[:100])
    np.testing.assert_allclose(ours.contributions, theirs[:, :-1], atol=1e-9)
    np.testing.assert_allclose(ours.baseline, theirs[0, -1], atol=1e-9)
    np.testing.assert_allclose(ours.baseline + ours.contributions.sum(axis=1), ours.explained, atol=1e-9)
    np.testing.assert_allclose(ours.explained, booster.predict(rows[:100], raw_score=True), atol=1e-12)


def test_xgboost_pred_contribs():
    """Contributions are XGBoost's, to its float32."""
    rows, labels = data()
    booster = xgboost.train(
        {"nthread": 1, "objective": "binary:logistic"}, xgboost.DMatrix(rows, labels, nthread=1), 15
    )
    theirs = booster.predict(xgboost.DMatrix(rows[:80], nthread=1), pred_contribs=True)
    ours = TreeShap(import_model(booster, 8)).explain(rows[:80])
    np.testing.assert_allclose(ours.contributions, theirs[:, :-1], atol=1e-4)
    np.testing.assert_allclose(ours.baseline, theirs[0, -1], atol=1e-4)
    np.testing.assert_allclose(ours.baseline + ours.contributions.sum(axis=1), ours.explained, atol=1e-9)


def test_paths_with_more_features_than_one_block_of_points_covers():
    """Deep trees over many features take several blocks, and stay exact: LightGBM agrees to 1e-9."""
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(3_000, 40))
    labels = (rows[:, :30].sum(axis=1) + rng.normal(size=3_000) > 0).astype(int)
    told = {"verbose": -1, "num_threads": 1, "num_leaves": 400, "min_data_in_leaf": 1, "feature_fraction": 0.8}
    booster = lightgbm.train({**told, "min_sum_hessian_in_leaf": 0}, lightgbm.Dataset(rows, labels), 6)
    shap = TreeShap(import_model(booster, 40))
    theirs = booster.predict(rows[:20], pred_contrib=True)
    assert len(list(shap.tables())) > 1
    np.testing.assert_allclose(shap.explain(rows[:20]).contributions, theirs[:, :-1], atol=1e-9)


def expectation(tree, row, known, node=0):
    """Return a fitted scikit-learn tree's value where only some features are known, the rest by cover."""
    if tree.children_left[node] < 0:
        return tree.value[node, 0, 0]
    left, right = tree.children_left[node], tree.children_right[node]
    if tree.feature[node] in known:
        chosen = left if np.float32(row[tree.feature[node]]) <= tree.threshold[node] else right
        return expectation(tree, row, known, chosen)
    cover = tree.weighted_n_node_samples
    both = [expectation(tree, row, known, child) * cover[child] for child in (left, right)]
    return sum(both) / cover[node]


def shapley(tree, row, feature, width):
    """Return one Shapley value by its definition."""
    others = [f for f in range(width) if f != feature]
    total = 0.0
    for size in range(width):
        weight = factorial(size) * factorial(width - size - 1) / factorial(width)
        for known in combinations(others, size):
            gain = expectation(tree, row, {*known, feature}) - expectation(tree, row, set(known))
            total += weight * gain
    return total


def test_the_definition_over_all_subsets():
    """Values are those of the definition, summed over every subset of features."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(300, 5))
    model = RandomForestRegressor(n_estimators=3, max_depth=5, random_state=1).fit(
        rows, rows[:, 0] * rows[:, 1] + rows[:, 2]
    )
    ours = TreeShap(import_model(model, 5)).explain(rows[:3]).contributions
    for place, row in enumerate(rows[:3]):
        expected = [np.mean([shapley(tree.tree_, row, f, 5) for tree in model.estimators_]) for f in range(5)]
        np.testing.assert_allclose(ours[place], expected, atol=1e-12)


def lightgbm_model(rows, labels):
    """Return a LightGBM classifier of numbers, with missing ones."""
    told = {"verbose": -1, "num_threads": 1, "objective": "binary"}
    return lightgbm.train(told, lightgbm.Dataset(rows[:, :7], labels), 25)


def shap_values(model, rows, data=None):
    """Return shap's own values and baseline; its warning about the form of its answer is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        explainer = shap.TreeExplainer(model, data=data)
        return explainer.shap_values(rows), float(np.ravel(explainer.expected_value)[-1])


def test_shap_path_dependent():
    """Contributions and baseline are shap's to 1e-9."""
    rows, labels = data()
    model = lightgbm_model(rows, labels)
    theirs, baseline = shap_values(model, rows[:60, :7])
    ours = TreeShap(import_model(model, 7)).explain(rows[:60, :7])
    np.testing.assert_allclose(ours.contributions, theirs, atol=1e-9)
    np.testing.assert_allclose(ours.baseline, baseline, atol=1e-9)


def test_shap_interventional():
    """Against given rows, contributions are shap's to the float32 in which it weighs them; the baseline to 1e-9."""
    rows, labels = data()
    model = lightgbm_model(rows, labels)
    bases = np.nan_to_num(rows[200:220, :7])
    theirs, baseline = shap_values(model, rows[:60, :7], bases)
    ours = InterventionalShap(import_model(model, 7), bases).explain(rows[:60, :7])
    np.testing.assert_allclose(ours.contributions, theirs, atol=2e-6)
    np.testing.assert_allclose(ours.baseline, baseline, atol=1e-9)


def test_shap_of_a_scikit_learn_forest():
    """A random forest's values are shap's, to the float32 in which scikit-learn reads rows."""
    rows, labels = data()
    rows = np.nan_to_num(rows).astype(np.float32).astype(np.float64)
    model = RandomForestRegressor(n_estimators=6, max_depth=7, random_state=1).fit(rows, labels)
    theirs, _ = shap_values(model, rows[:40])
    ours = TreeShap(import_model(model, 8)).explain(rows[:40])
    np.testing.assert_allclose(ours.contributions, theirs, atol=1e-9)
