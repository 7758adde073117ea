"""CatBoost models give CatBoost's scores to 1e-12: every tree shape, missing mode, loss and border case."""

import catboost
import numpy as np
import pytest

from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.trees import Trees

FIXED = {"iterations": 15, "depth": 4, "verbose": False, "allow_writing_files": False, "thread_count": 1}


def training_rows(*, missing=True):
    rng = np.random.default_rng(31)
    rows = rng.normal(size=(1_200, 5))
    value = rows[:, 0] * rows[:, 1] + rows[:, 2]
    if missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows, value


def probe_rows(model):
    """Return ordinary and odd rows, and rows on the model's own borders and a float32 step to each side of them."""
    rng = np.random.default_rng(32)
    rows = 2.0 * rng.normal(size=(400, 5))
    rows[rng.random(rows.shape) < 0.15] = np.nan
    rows[0], rows[1], rows[2], rows[3], rows[4] = np.inf, -np.inf, 1e300, -1e300, 0.0
    borders = np.concatenate([np.asarray(each, np.float32) for each in model.get_borders().values()])
    borders = borders[np.abs(borders) < 1e30]  # below everything stands one at the end of float32
    steps = [borders, np.nextafter(borders, np.float32(np.inf)), np.nextafter(borders, np.float32(-np.inf))]
    on_border = np.repeat(np.concatenate(steps).astype(np.float64)[:, None], 5, axis=1)
    return np.concatenate([rows, on_border, on_border * (1.0 + 2.0**-26)])


def stored(model, acts_on=None):
    return Trees.from_files(import_model(model, 5, acts_on=acts_on).to_files())


@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
@pytest.mark.parametrize("grow_policy", ["SymmetricTree", "Lossguide", "Depthwise"])
def test_binary(nan_mode, grow_policy):
    """P(class 1) of symmetric and other trees, with NaN below or above everything."""
    rows, value = training_rows()
    model = catboost.CatBoostClassifier(nan_mode=nan_mode, grow_policy=grow_policy, **FIXED)
    model.fit(rows, (value > 0).astype(int))
    probe = probe_rows(model)
    np.testing.assert_allclose(stored(model).many(probe)[:, 0], model.predict_proba(probe)[:, 1], rtol=1e-12)


def test_missing_numbers_that_training_never_saw():
    """Where no NaN was seen, NaN falls where CatBoost lets it fall."""
    rows, value = training_rows(missing=False)
    model = catboost.CatBoostClassifier(**FIXED).fit(rows, (value > 0).astype(int))
    probe = probe_rows(model)
    np.testing.assert_allclose(stored(model).many(probe)[:, 0], model.predict_proba(probe)[:, 1], rtol=1e-12)


@pytest.mark.parametrize("loss", ["MultiClass", "MultiClassOneVsAll"])
@pytest.mark.parametrize("grow_policy", ["SymmetricTree", "Depthwise"])
def test_classes(loss, grow_policy):
    """Every class's score under its own name, softmax or each for itself; the one acted on first."""
    rows, value = training_rows()
    names = np.array(["down", "flat", "up"])[np.digitize(value, [-0.5, 0.6])]
    model = catboost.CatBoostClassifier(loss_function=loss, grow_policy=grow_policy, **FIXED).fit(rows, names)
    probe = probe_rows(model)
    trees = stored(model, acts_on="up")
    assert trees.outputs == ("up", "down", "flat")
    np.testing.assert_allclose(trees.many(probe), model.predict_proba(probe)[:, [2, 0, 1]], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "loss", ["RMSE", "MAE", "Quantile:alpha=0.3", "Huber:delta=1", "Poisson", "Tweedie:variance_power=1.5"]
)
def test_regressions(tmp_path, loss):
    """Values, and the exponential of counts; the saved JSON file gives the same bits."""
    rows, value = training_rows()
    model = catboost.CatBoostRegressor(loss_function=loss, **FIXED).fit(rows, np.abs(value))
    probe = probe_rows(model)
    trees = stored(model)
    np.testing.assert_allclose(trees.many(probe)[:, 0], model.predict(probe), rtol=1e-12, atol=1e-12)
    model.save_model(str(tmp_path / "model.json"), format="json")
    assert stored(tmp_path / "model.json").many(probe).tobytes() == trees.many(probe).tobytes()


def test_explanations_add_up():
    """Shapley values over CatBoost's own leaf weights add up to the margin."""
    rows, value = training_rows()
    model = catboost.CatBoostClassifier(**FIXED).fit(rows, (value > 0).astype(int))
    explained = TreeShap(stored(model)).explain(rows[:50])
    sums = explained.contributions.sum(axis=1) + explained.baseline
    np.testing.assert_allclose(sums, model.predict(rows[:50], prediction_type="RawFormulaVal"), rtol=1e-9, atol=1e-9)
