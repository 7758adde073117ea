"""XGBoost's JSON or UBJSON model, read without XGBoost.

Rules:  features are rounded to float32; a number goes left where it is *below* the threshold; NaN takes the default
        side. A category goes right if it is in the set; one below zero is in no set. The base score is stored as a
        score, and enters as a margin.
Bits:   XGBoost adds float32 leaves in float32, we in float64: scores agree to float32 rounding.
Classes: every tree names its class; `multi:softprob` and `multi:softmax` both give the softmax here.
Refused: linear boosters, several targets, vector leaves, objectives whose link is not known here.
Reference: XGBoost documentation, "Introduction to Model IO" (JSON schema) and "Categorical Data".
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import UNDECODABLE, ModelMismatch
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts, class_names
from tradeworthy.model.predictors.readers.ubjson import decode_ubjson
from tradeworthy.model.predictors.tree_table import Link, Reading

_LINKS = {
    "reg:squarederror": Link.IDENTITY,
    "reg:absoluteerror": Link.IDENTITY,
    "reg:pseudohubererror": Link.IDENTITY,
    "reg:quantileerror": Link.IDENTITY,
    "reg:squaredlogerror": Link.IDENTITY,
    "binary:logitraw": Link.IDENTITY,
    "binary:logistic": Link.SIGMOID,
    "reg:logistic": Link.SIGMOID,
    "count:poisson": Link.EXP,
    "reg:gamma": Link.EXP,
    "reg:tweedie": Link.EXP,
    "multi:softprob": Link.SOFTMAX,
    "multi:softmax": Link.SOFTMAX,
}
_BASE_IS_MARGIN = ("binary:logitraw", "multi:softprob", "multi:softmax")


def read_xgboost(data: bytes) -> Forest:
    """Read the bytes of an XGBoost model, JSON or UBJSON.

    Raises
    ------
    ModelMismatch
        They are not such a model, or hold something that trees cannot represent.
    """
    try:
        return _read(_decode(data)["learner"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelMismatch(
            f"these bytes are not an XGBoost model ({type(error).__name__}: {error}); "
            "save it with Booster.save_model as .json or .ubj"
        ) from error


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except UNDECODABLE:
        return decode_ubjson(data)


def _read(learner: Mapping[str, Any]) -> Forest:
    settings = learner["learner_model_param"]
    objective = learner["objective"]["name"]
    if objective not in _LINKS:
        raise ModelMismatch(f"XGBoost objective {objective!r} is not supported; allowed are {sorted(_LINKS)}")
    if int(settings.get("num_target", 1)) > 1:
        raise ModelMismatch("the XGBoost model has several targets, allowed is one; train one model a target")
    k = max(1, int(settings.get("num_class", 0)))
    booster = learner["gradient_booster"]
    model, weights = _trees(booster)
    parts = ForestParts()
    for tree, weight, output in zip(model["trees"], weights, model["tree_info"], strict=True):
        _read_tree(tree, weight, parts, int(output))
    link = _LINKS[objective]
    begins = Link.IDENTITY if objective in _BASE_IS_MARGIN else link
    bases = [_margin(score, begins) for score in _base_scores(settings, k)]
    n_features = int(settings["num_feature"])
    return parts.forest(source="XGBoost", n_features=n_features, outputs=class_names(k), bases=bases, link=link)


def _trees(booster: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[float]]:
    """Return the tree model and one weight a tree (dart drops some)."""
    name = booster["name"]
    if name == "dart":
        return booster["gbtree"]["model"], [float(np.float32(weight)) for weight in booster["weight_drop"]]
    if name != "gbtree":
        raise ModelMismatch(f"XGBoost booster {name!r} has no trees; allowed are gbtree and dart")
    return booster["model"], [1.0] * len(booster["model"]["trees"])


def _base_scores(settings: Mapping[str, Any], k: int) -> list[float]:
    found = [float(np.float32(text)) for text in str(settings["base_score"]).strip("[]").split(",")]
    return found * k if len(found) == 1 else found


def _margin(score: float, link: Link) -> float:
    if link is Link.SIGMOID:
        return -math.log(1.0 / score - 1.0)
    if link is Link.EXP:
        return math.log(score)
    return score


def _read_tree(source: Mapping[str, Any], weight: float, parts: ForestParts, output: int) -> None:
    if int(source["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise ModelMismatch("the XGBoost model has vector leaves; train one model an output")
    left = _array(source["left_children"], np.int64)
    tree = TreeParts.empty(len(left))
    split = left >= 0
    tree.left[:], tree.right[:] = left, _array(source["right_children"], np.int64)
    conditions = _array(source["split_conditions"], np.float32).astype(np.float64)
    tree.value[:] = np.where(split, 0.0, conditions * weight)
    tree.cover[:] = _array(source["sum_hessian"], np.float32)
    tree.feature[:] = np.where(split, _array(source["split_indices"], np.int64), 0)
    tree.threshold[:] = _largest_below(conditions)
    tree.missing_left[:] = _array(source["default_left"], np.int64) > 0
    tree.reading[:] = Reading.FLOAT32
    _read_categories(source, tree, parts)
    parts.add(_reached(tree), output)


def _reached(tree: TreeParts) -> TreeParts:
    """Drop nodes that pruning left in the arrays, where no parent names them any more."""
    keep = np.zeros(len(tree.left), np.bool_)
    front = np.zeros(1, np.int64)
    while len(front) and not keep[front].any():
        keep[front] = True
        inner = front[tree.left[front] >= 0]
        front = np.concatenate([tree.left[inner], tree.right[inner]])
    if keep.all():
        return tree
    renamed = np.cumsum(keep) - 1
    kept = {name: getattr(tree, name)[keep] for name in tree.__dataclass_fields__}
    for name in ("left", "right"):
        kept[name] = np.where(kept[name] >= 0, renamed[kept[name]], -1)
    return TreeParts(**kept)


def _largest_below(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn x < t into x <= s; below minus infinity there is nothing, which NaN says."""
    return np.where(np.isneginf(threshold), np.nan, np.nextafter(threshold, -np.inf))


def _read_categories(source: Mapping[str, Any], tree: TreeParts, parts: ForestParts) -> None:
    nodes = _array(source.get("categories_nodes", []), np.int64)
    starts = _array(source.get("categories_segments", []), np.int64)
    sizes = _array(source.get("categories_sizes", []), np.int64)
    members = _array(source.get("categories", []), np.int64)
    for node, start, size in zip(nodes, starts, sizes, strict=True):
        tree.category[node] = parts.add_set(members[start : start + size])
        in_set = 0 if tree.missing_left[node] else Reading.MISSING_IN_SET
        tree.reading[node] = Reading.CATEGORY_FLOAT32 | in_set


def _array(numbers: Any, dtype: Any) -> npt.NDArray[Any]:
    return np.asarray(numbers).astype(dtype)
