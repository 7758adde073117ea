"""Our trees give the scores of the library that trained them: 1e-12, or float32 rounding where it adds in float32."""

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.trees import Trees

CATEGORY = 5


def training_rows(kind="whole"):
    """Return rows whose last feature is a category code, with nothing, numbers or zeros missing, and labels."""
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(1_500, 6))
    rows[:, CATEGORY] = rng.integers(0, 60, len(rows))
    signal = rows[:, 0] * rows[:, 1] + rows[:, 2] + rows[:, CATEGORY] % 3 + rng.normal(size=len(rows))
    if kind == "missing":
        rows[rng.random(rows.shape) < 0.1] = np.nan
    elif kind == "zeros":
        rows[rng.random(rows.shape) < 0.2] = 0.0
    return rows, (signal > 0).astype(int)


def scoring_rows(*, infinite=True, missing=True):
    """Return rows with everything that a library treats in a way of its own."""
    rng = np.random.default_rng(12)
    rows = 2 * rng.normal(size=(800, 6))
    rows[:, CATEGORY] = rng.integers(-2, 70, len(rows))
    rows[rng.random(rows.shape) < 0.1] = 0.0
    rows[rng.random(rows.shape) < 0.02] = 1e-36
    rows[0, CATEGORY], rows[1, CATEGORY] = -0.5, 2.7
    if missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    if infinite:
        rows[2], rows[3], rows[4], rows[5] = 1e300, -1e300, np.inf, -np.inf
    return rows


def scores(model, rows):
    """Return our scores, and check on the way that nothing but our arrays gives them."""
    predictor = Trees.from_files(import_model(model, 6).to_files())
    return predictor.many(rows)[:, 0]


@pytest.mark.parametrize("kind", ["whole", "missing", "zeros"])
@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary"},
        {"objective": "binary", "sigmoid": 2.0},
        {"objective": "binary", "boosting": "dart", "drop_rate": 0.5},
        {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "regression"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "regression_l1"},
        {"objective": "poisson"},
        {"objective": "cross_entropy"},
    ],
    ids=str,
)
def test_lightgbm(kind, settings):
    """LightGBM: every missing type, default directions, categories, links, dart and forests, to 1e-12."""
    rows, labels = training_rows(kind)
    fixed = {"verbose": -1, "num_threads": 1, "num_leaves": 15, "min_data_per_group": 5, "cat_smooth": 1}
    told = {**fixed, **settings, "zero_as_missing": kind == "zeros"}
    booster = lightgbm.train(told, lightgbm.Dataset(rows, labels, categorical_feature=[CATEGORY]), 15)
    probe = scoring_rows()
    np.testing.assert_allclose(scores(booster, probe), booster.predict(probe), rtol=1e-12, atol=1e-12)


def test_lightgbm_wrapper_file_and_early_stopping(tmp_path):
    """The scikit-learn wrapper, a saved text and a booster that stopped early are read as they predict."""
    rows, labels = training_rows()
    model = lightgbm.LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1, learning_rate=0.5)
    model.fit(
        rows[:1000],
        labels[:1000],
        eval_X=rows[1000:],
        eval_y=labels[1000:],
        callbacks=[lightgbm.early_stopping(2, verbose=False)],
    )
    probe = scoring_rows()
    expected = model.booster_.predict(probe)
    np.testing.assert_allclose(scores(model, probe), expected, rtol=1e-12, atol=1e-12)
    model.booster_.save_model(tmp_path / "model.txt")
    np.testing.assert_allclose(scores(tmp_path / "model.txt", probe), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary:logistic"},
        {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3},
        {"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.5},
        {"objective": "binary:logitraw"},
        {"objective": "binary:logistic", "gamma": 2.0, "max_depth": 8},
        {"objective": "reg:squarederror", "base_score": 0.7},
        {"objective": "reg:logistic"},
        {"objective": "count:poisson"},
    ],
    ids=str,
)
def test_xgboost(tmp_path, settings):
    """XGBoost: float32 features, default directions, base score, dart, pruned nodes; JSON and UBJSON alike."""
    rows, labels = training_rows("missing")
    booster = xgboost.train({"nthread": 1, "max_depth": 5, **settings}, xgboost.DMatrix(rows, labels, nthread=1), 12)
    probe = scoring_rows(infinite=False)
    expected = booster.predict(xgboost.DMatrix(probe, nthread=1))
    found = scores(booster, probe)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
    for suffix in ("json", "ubj"):
        booster.save_model(tmp_path / f"model.{suffix}")
        assert scores(tmp_path / f"model.{suffix}", probe).tobytes() == found.tobytes()


def test_xgboost_takes_every_leaf_that_xgboost_takes():
    """The very leaf that XGBoost reaches is reached: thresholds are compared in float32."""
    rows, labels = training_rows("missing")
    booster = xgboost.train({"nthread": 1, "max_depth": 6}, xgboost.DMatrix(rows, labels, nthread=1), 1)
    values = np.unique(np.array([float(t) for t in booster.trees_to_dataframe()["Split"].dropna()]))
    probe = np.repeat(np.nextafter(values, np.inf)[:, None], 6, axis=1)
    probe = np.concatenate(
        [probe, np.repeat(values[:, None], 6, axis=1), np.repeat(np.nextafter(values, -np.inf)[:, None], 6, axis=1)]
    )
    expected = booster.predict(xgboost.DMatrix(probe, nthread=1))
    np.testing.assert_allclose(scores(booster, probe), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("one_hot", [1, 100])
def test_xgboost_categories(one_hot):
    """XGBoost's categorical splits: sets and one against the rest, unknown, negative and missing codes."""
    rows, labels = training_rows("missing")
    types = ["q"] * 5 + ["c"]
    matrix = xgboost.DMatrix(rows, labels, nthread=1, feature_types=types, enable_categorical=True)
    booster = xgboost.train({"nthread": 1, "max_depth": 5, "max_cat_to_onehot": one_hot}, matrix, 12)
    probe = scoring_rows(infinite=False)
    expected = booster.predict(
        xgboost.DMatrix(probe, nthread=1, feature_types=types, enable_categorical=True), validate_features=False
    )
    np.testing.assert_allclose(scores(booster, probe), expected, rtol=2e-6, atol=2e-6)


def test_xgboost_wrapper_stops_where_its_predict_stops():
    """An early-stopped XGBClassifier is read up to its best iteration."""
    rows, labels = training_rows()
    model = xgboost.XGBClassifier(n_estimators=40, early_stopping_rounds=2, n_jobs=1, learning_rate=0.8)
    model.fit(rows[:1000], labels[:1000], eval_set=[(rows[1000:], labels[1000:])], verbose=False)
    probe = scoring_rows(infinite=False)
    assert model.best_iteration + 1 < len(model.get_booster().get_dump())
    np.testing.assert_allclose(scores(model, probe), model.predict_proba(probe)[:, 1], rtol=2e-6, atol=2e-6)


FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
ONE_TREE = (DecisionTreeClassifier, DecisionTreeRegressor)
BOOSTED = (GradientBoostingClassifier, GradientBoostingRegressor)
HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


def expected_of(model, rows):
    """Return scikit-learn's own score."""
    with threadpool_limits(1):
        return model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)


@pytest.mark.parametrize("kind", ["whole", "missing"])
@pytest.mark.parametrize("make", [*FORESTS, *ONE_TREE, *HISTOGRAMS], ids=lambda make: make.__name__)
def test_scikit_learn(make, kind):
    """scikit-learn's forests, single trees and histogram boosting, with and without missing numbers, to 1e-12."""
    rows, labels = training_rows(kind)
    few = {} if make in HISTOGRAMS + ONE_TREE else {"n_estimators": 10}
    few |= {"max_iter": 15} if make in HISTOGRAMS else {}
    with threadpool_limits(1):
        model = make(random_state=1, **few).fit(rows, labels)
    probe = scoring_rows(infinite=make in HISTOGRAMS, missing=kind == "missing" or make in HISTOGRAMS)
    np.testing.assert_allclose(scores(model, probe), expected_of(model, probe), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingClassifier(n_estimators=10, random_state=1),
        GradientBoostingClassifier(n_estimators=10, loss="exponential", random_state=1),
        GradientBoostingClassifier(n_estimators=10, init="zero", random_state=1),
        GradientBoostingRegressor(n_estimators=10, random_state=1),
        GradientBoostingRegressor(n_estimators=10, loss="quantile", alpha=0.8, random_state=1),
        HistGradientBoostingRegressor(max_iter=10, loss="poisson"),
        HistGradientBoostingRegressor(max_iter=10, loss="quantile", quantile=0.3),
    ],
    ids=str,
)
def test_scikit_learn_boosting_losses(model):
    """Boosting with each loss's own link and starting constant."""
    rows, labels = training_rows()
    with threadpool_limits(1):
        model.fit(rows, labels)
    probe = scoring_rows(infinite=False, missing=False)
    np.testing.assert_allclose(scores(model, probe), expected_of(model, probe), rtol=1e-12, atol=1e-12)
