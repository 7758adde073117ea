"""CatBoost's JSON, written by hand: what its parts mean can be checked with pencil and paper."""

import copy
import json

import numpy as np
import pytest

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.readers.catboost import is_catboost, read_catboost
from tradeworthy.model.predictors.trees import Trees

X, Y = 0.5, -1.0


def number(place, treatment="AsFalse"):
    return {"feature_index": place, "flat_feature_index": place, "borders": [], "nan_value_treatment": treatment}


def split(feature, border):
    return {"split_type": "FloatFeature", "float_feature_index": feature, "border": border, "split_index": 0}


def model(trees, *, nested=False, bases=(0.0,), scale=1.0, loss="RMSE", treatment="AsFalse"):
    return {
        "features_info": {"float_features": [number(0, treatment), number(1, treatment)]},
        "model_info": {"params": {"loss_function": {"type": loss}}},
        "trees" if nested else "oblivious_trees": trees,
        "scale_and_bias": [scale, list(bases)],
    }


SYMMETRIC = {"splits": [split(0, X), split(1, Y)], "leaf_values": [1.0, 2.0, 4.0, 8.0], "leaf_weights": [1, 2, 3, 4]}
NESTED = {
    "split": split(0, X),
    "left": {"value": 1.0, "weight": 5},
    "right": {"split": split(1, Y), "left": {"value": 2.0, "weight": 3}, "right": {"value": 4.0, "weight": 2}},
}


def score(document, row):
    return Trees.from_forest(read_catboost(document)).one(np.array(row, np.float64)).tolist()


@pytest.mark.parametrize(
    ("row", "leaf"),
    [
        ([0.0, -2.0], 1.0),  # neither is above
        ([0.6, -2.0], 2.0),  # the first split is bit 0
        ([0.0, 0.0], 4.0),  # the second is bit 1
        ([0.6, 0.0], 8.0),
        ([X, Y], 1.0),  # on the border is not above it
        ([np.nan, 0.0], 4.0),
        ([np.inf, -np.inf], 2.0),
    ],
)
def test_bits_of_a_symmetric_tree(row, leaf):
    """Split i is bit i of the leaf's number, and is set where the number lies above the border."""
    assert score(model([SYMMETRIC]), row) == [leaf]


@pytest.mark.parametrize(("treatment", "leaf"), [("AsFalse", 1.0), ("AsIs", 1.0), ("AsTrue", 8.0)])
def test_where_missing_numbers_go(treatment, leaf):
    """NaN is below every border or above every border, as the file says."""
    assert score(model([SYMMETRIC], treatment=treatment), [np.nan, np.nan]) == [leaf]


def test_a_nested_tree():
    """A tree that is not symmetric asks what each node asks."""
    rows = [[0.0, 0.0], [0.6, -2.0], [0.6, 0.0]]
    assert [score(model([NESTED], nested=True), row) for row in rows] == [[1.0], [2.0], [4.0]]


def test_a_tree_without_splits():
    """A tree of one leaf adds its value to every row."""
    bare = {"splits": None, "leaf_values": [3.0], "leaf_weights": [7]}
    assert score(model([bare, SYMMETRIC], bases=[10.0]), [0.0, -2.0]) == [14.0]


def test_scale_and_bias():
    """The sum of the leaves is scaled, then the bias is added."""
    assert score(model([SYMMETRIC, SYMMETRIC], scale=0.5, bases=[100.0]), [0.6, 0.0]) == [108.0]


def test_values_of_several_classes_stand_leaf_by_leaf():
    """A leaf's values of all classes stand together."""
    tree = {"splits": [split(0, X)], "leaf_values": [1.0, 2.0, 3.0, 40.0, 50.0, 60.0], "leaf_weights": [1, 1]}
    document = model([tree], bases=[0.0, 0.0, 0.0], loss="MultiClass")
    document["model_info"]["class_params"] = {"class_names": ["a", "b", "c"]}
    forest = read_catboost(document)
    assert forest.outputs == ("a", "b", "c")
    shares = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    np.testing.assert_allclose(score(document, [0.0, 0.0]), shares, rtol=1e-15)


def test_numbers_are_compared_in_float32():
    """A float64 that rounds to the border is not above it."""
    border = float(np.float32(0.1))
    tree = {"splits": [split(0, border)], "leaf_values": [1.0, 2.0], "leaf_weights": [1, 1]}
    assert score(model([tree]), [np.nextafter(border, 1.0), 0.0]) == [1.0]
    assert score(model([tree]), [float(np.nextafter(np.float32(0.1), np.float32(1.0))), 0.0]) == [2.0]


def test_cover_adds_up_to_the_root():
    """A node's cover is that of the leaves below it."""
    forest = read_catboost(model([SYMMETRIC]))
    assert forest.cover[0] == 10.0
    assert sorted(forest.cover[1:3]) == [3.0, 7.0]


def test_a_file_is_told_from_xgboosts(tmp_path):
    """Both write .json; the content says whose it is."""
    path = tmp_path / "model.json"
    path.write_text(json.dumps(model([SYMMETRIC])))
    assert import_model(path, 2).one(np.array([0.6, 0.0])).tolist() == [8.0]
    assert not is_catboost({"learner": {}})
    assert not is_catboost([1])


def spoilt(change):
    document = copy.deepcopy(model([SYMMETRIC]))
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["features_info"].update(categorical_features=[{"feature_index": 0}]), "categorical_features"),
        (lambda d: d["oblivious_trees"][0]["splits"][0].update(split_type="OnlineCtr"), "OnlineCtr"),
        (lambda d: d["model_info"]["params"]["loss_function"].update(type="YetiRank"), "YetiRank"),
        (lambda d: d["features_info"]["float_features"][0].update(nan_value_treatment="AsGuess"), "AsGuess"),
        (lambda d: d["oblivious_trees"][0].update(splits=[split(0, X)] * 17), "17 levels"),
        (lambda d: d["oblivious_trees"][0].update(leaf_values=[1.0]), "not a CatBoost model"),
        (lambda d: d["oblivious_trees"][0]["splits"][0].update(float_feature_index=9), "not a CatBoost model"),
        (lambda d: d.update(scale_and_bias=[1.0]), "not a CatBoost model"),
        (lambda d: d.update(oblivious_trees=[]), "no trees"),
        (lambda d: d.update(oblivious_trees=[{"splits": 3}]), "not a CatBoost model"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(change, reason):
    """Tables for categories, other losses, and files that contradict themselves are refused by name."""
    with pytest.raises(ModelMismatch, match=reason):
        read_catboost(spoilt(change))
