"""import_model: who is read by whom, and who is refused with which words."""

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from tradeworthy.core.errors import ModelMismatch, NotFound
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.readers.lightgbm import read_lightgbm
from tradeworthy.model.predictors.readers.ubjson import decode_ubjson
from tradeworthy.model.predictors.readers.xgboost import read_xgboost
from tradeworthy.model.predictors.trees import Trees


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    return rows, (rows[:, 0] > 0).astype(int), rng.integers(0, 3, 200)


def lightgbm_booster(rows, labels, **settings: object):
    """Train a small LightGBM booster."""
    told = {"verbose": -1, "num_threads": 1, "num_leaves": 4, **settings}
    return lightgbm.train(told, lightgbm.Dataset(rows, labels), 3)


def xgboost_booster(rows, labels, **settings: object):
    """Train a small XGBoost booster."""
    return xgboost.train({"nthread": 1, "max_depth": 2, **settings}, xgboost.DMatrix(rows, labels, nthread=1), 3)


def test_trees_stay_trees_and_the_rest_becomes_onnx(data):
    """Tree ensembles get our kernel, any other estimator ONNX Runtime."""
    rows, labels, _ = data
    assert isinstance(import_model(lightgbm_booster(rows, labels), 3), Trees)
    assert isinstance(import_model(xgboost_booster(rows, labels), 3), Trees)
    assert isinstance(import_model(RandomForestClassifier(3, random_state=0).fit(rows, labels), 3), Trees)
    assert isinstance(import_model(LogisticRegression().fit(rows, labels), 3), Onnx)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
        AdaBoostClassifier(n_estimators=3, random_state=0),
        make_pipeline(StandardScaler(), LinearRegression()),
        make_pipeline(StandardScaler(), RandomForestClassifier(5, max_depth=3, random_state=0)),
    ],
    ids=lambda model: str(model)[:40],
)
def test_other_estimators_keep_their_scores(data, model):
    """A converted estimator gives P(class 1), or the value, as scikit-learn does."""
    rows, labels, _ = data
    model.fit(rows, labels)
    expected = model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)
    predictor = import_model(model, 3)
    assert predictor.n_outputs == 1
    np.testing.assert_allclose(predictor.many(rows)[:, 0], expected, atol=1e-6)


def test_a_predictor_is_left_as_it_is(data):
    """Trees and Onnx pass through."""
    predictor = import_model(lightgbm_booster(*data[:2]), 3)
    assert import_model(predictor, 3) is predictor


def test_another_width_is_refused(data):
    """A model that was trained on other rows than the program gives is refused with both widths."""
    with pytest.raises(ModelMismatch, match="expects 3 features, the program gives 4"):
        import_model(lightgbm_booster(*data[:2]), 4)


@pytest.mark.parametrize("model", [object(), {"a": 1}, lambda rows: rows, np.zeros(3)], ids=lambda m: type(m).__name__)
def test_other_things_are_refused(model):
    """Something that is no model of a known library is refused, with what is allowed."""
    with pytest.raises(ModelMismatch, match="allowed are a LightGBM, XGBoost"):
        import_model(model, 3)


def test_files_are_read_by_their_suffix(data, tmp_path):
    """A path is read by its suffix; another suffix and a missing file are refused."""
    rows, labels, _ = data
    (tmp_path / "model.onnx").write_bytes(Onnx.from_sklearn(LinearRegression().fit(rows, labels), 3).data)
    assert isinstance(import_model(tmp_path / "model.onnx", 3), Onnx)
    lightgbm_booster(rows, labels).save_model(tmp_path / "model.txt")
    assert isinstance(import_model(str(tmp_path / "model.txt"), 3), Trees)
    with pytest.raises(ModelMismatch, match=r"\.pkl"):
        import_model(tmp_path / "model.pkl", 3)
    with pytest.raises(NotFound):
        import_model(tmp_path / "other.txt", 3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"objective": "lambdarank"}, "lambdarank"),
        ({"objective": "regression", "linear_tree": True}, "linear leaves"),
    ],
)
def test_lightgbm_models_that_trees_cannot_hold(data, settings, reason):
    """Unknown links and linear leaves are refused by name."""
    rows, labels, _ = data
    told = {"verbose": -1, "num_threads": 1, "num_leaves": 4, **settings}
    set_of = lightgbm.Dataset(rows, labels)
    if settings["objective"] == "lambdarank":
        set_of = lightgbm.Dataset(rows, labels, group=[20] * 10)
    with pytest.raises(ModelMismatch, match=reason):
        import_model(lightgbm.train(told, set_of, 2), 3)


@pytest.mark.parametrize("text", ["", "tree\nversion=v4\n", "{}", "max_feature_idx=3\n"])
def test_text_that_is_no_lightgbm_model(text):
    """Another text is refused in words, not with a KeyError."""
    with pytest.raises(ModelMismatch, match="not a LightGBM model"):
        read_lightgbm(text)


def test_xgboost_rankings_are_refused(data):
    """A ranking has no score of its own, and is refused by name."""
    rows, labels, _ = data
    matrix = xgboost.DMatrix(rows, labels, nthread=1)
    matrix.set_group([20] * 10)
    with pytest.raises(ModelMismatch, match="rank:ndcg"):
        import_model(xgboost.train({"nthread": 1, "max_depth": 2, "objective": "rank:ndcg"}, matrix, 2), 3)


def test_xgboosts_linear_booster(data):
    """A linear booster has no trees, and is refused by name."""
    text = bytes(xgboost_booster(*data[:2]).save_raw("json"))
    with pytest.raises(ModelMismatch, match="gblinear"):
        read_xgboost(text.replace(b'"gbtree"', b'"gblinear"'))


def test_xgboost_with_several_targets(data):
    """A model of several targets is refused."""
    rows, labels, _ = data
    both = np.stack([labels, 1 - labels], axis=1).astype(float)
    with pytest.raises(ModelMismatch, match="several targets"):
        import_model(xgboost_booster(rows, both), 3)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\x00\x01", b'{"learner": {}}', b"{U\x01aU\xff", b"{" * 500])
def test_bytes_that_are_no_xgboost_model(data):
    """Other bytes are refused in words, whatever they are."""
    with pytest.raises(ModelMismatch, match="not an XGBoost model"):
        read_xgboost(data)


def test_scikit_learn_models_that_one_score_cannot_hold(data):
    """Several targets, classes in ONNX, an unfitted model and a starting estimator are refused by name."""
    rows, labels, classes = data
    with pytest.raises(ModelMismatch, match="3 classes"):
        import_model(LogisticRegression().fit(rows, classes), 3)
    with pytest.raises(ModelMismatch, match="2 outputs"):
        import_model(RandomForestClassifier(2).fit(rows, np.stack([labels, labels], axis=1)), 3)
    with pytest.raises(ModelMismatch, match="not fitted"):
        import_model(RandomForestClassifier(2), 3)
    with pytest.raises(ModelMismatch, match="LinearRegression is not a constant"):
        import_model(GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(rows, labels), 3)


def test_categories_in_histogram_boosting_are_refused(data):
    """What is not read exactly is not read at all."""
    rows, labels, classes = data
    coded = np.column_stack([rows[:, :2], classes])
    with threadpool_limits(1):
        model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[2]).fit(coded, labels)
    with pytest.raises(ModelMismatch, match="categories"):
        import_model(model, 3)


def test_an_estimator_that_cannot_be_converted(data):
    """A pipeline with a user's own function is refused, since a version holds no code."""
    rows, labels, _ = data
    model = make_pipeline(FunctionTransformer(np.tanh), LogisticRegression()).fit(rows, labels)
    with pytest.raises(ModelMismatch, match="cannot become ONNX"):
        import_model(model, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Z", None),
        (b"T", True),
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\x01\x00", 256),
        (b"l\x00\x00\x00\x07", 7),
        (b"L" + bytes(7) + b"\x09", 9),
        (b"d\x3f\x80\x00\x00", 1.0),
        (b"D\x3f\xf0" + bytes(6), 1.0),
        (b"SU\x02hi", "hi"),
        (b"Cx", "x"),
        (b"[i\x01Ti\x02]", [1, True, 2]),
        (b"[#U\x02i\x01i\x02", [1, 2]),
        (b"{U\x01ai\x01NU\x01b[]}", {"a": 1, "b": []}),
        (b"{#U\x01U\x01ai\x01", {"a": 1}),
    ],
)
def test_ubjson_values(data, expected):
    """Every kind of value that XGBoost writes is read."""
    assert decode_ubjson(data) == expected


def test_ubjson_typed_arrays():
    """A typed array becomes a numpy array, big-endian in the file."""
    np.testing.assert_array_equal(decode_ubjson(b"[$I#U\x02\x00\x01\x01\x00"), [1, 256])


@pytest.mark.parametrize(
    "data", [b"", b"q", b"I\x01", b"SU\x05hi", b"[" * 100, b"[$I#U\x09\x00", b"SU\x01\xff", b"Si\xff", b"{U\x01a"]
)
def test_ubjson_that_is_none(data):
    """Unknown marks, cut values, negative lengths and deep nesting are refused with one kind of error."""
    with pytest.raises(ValueError, match=r"UBJSON"):
        decode_ubjson(data)
