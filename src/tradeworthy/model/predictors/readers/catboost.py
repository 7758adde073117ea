"""CatBoost's JSON model, read without CatBoost.

Rules:  features are rounded to float32; a split is true where x is *above* its border. A symmetric tree asks one
        question a level: split i gives bit i of the leaf's number, and a leaf holds one value an output. Other trees
        nest. NaN is false in every split of its feature where the file says ``AsFalse`` (smaller than anything) or
        ``AsIs`` (none was seen at training), true where it says ``AsTrue`` (larger).
Classes: every leaf has a value for each, so a tree is kept once a class.
Refused: categories, texts and embeddings, which CatBoost turns into numbers by tables of its own; several targets;
        losses whose link is not known here.
Reference: CatBoost documentation, "Model export: JSON"; catboost/libs/model/model_export/json_model_helpers.cpp.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts, class_names
from tradeworthy.model.predictors.tree_table import Link, Reading

_LINKS = {
    "RMSE": Link.IDENTITY,
    "MAE": Link.IDENTITY,
    "Quantile": Link.IDENTITY,
    "Huber": Link.IDENTITY,
    "MAPE": Link.IDENTITY,
    "Poisson": Link.EXP,
    "Tweedie": Link.EXP,
    "Logloss": Link.SIGMOID,
    "CrossEntropy": Link.SIGMOID,
    "MultiClass": Link.SOFTMAX,
    "MultiClassOneVsAll": Link.SIGMOID,
}
_FLOAT_SPLIT = "FloatFeature"
_DEPTH_MAX = 16  # of a symmetric tree; CatBoost's own limit
_KINDS = ("categorical_features", "text_features", "embedding_features")


def is_catboost(document: object) -> bool:
    """Tell whether a JSON document is a CatBoost model."""
    return isinstance(document, dict) and "scale_and_bias" in document and "features_info" in document


def read_catboost(document: Mapping[str, Any]) -> Forest:
    """Read a decoded CatBoost JSON model.

    Raises
    ------
    ModelMismatch
        It is not such a model, or holds something that trees cannot represent.
    """
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise ModelMismatch(
            f"this JSON is not a CatBoost model ({type(error).__name__}: {error}); "
            'save it with model.save_model("model.json", format="json")'
        ) from error


def _read(document: Mapping[str, Any]) -> Forest:
    info = document["features_info"]
    other = [kind for kind in _KINDS if info.get(kind)]
    if other:
        raise ModelMismatch(f"the CatBoost model has {other}; encode them as numbers and train again")
    scale, bases = document["scale_and_bias"]
    bases = [float(base) for base in np.atleast_1d(bases)]
    loss = document["model_info"]["params"]["loss_function"]["type"]
    if loss not in _LINKS:
        raise ModelMismatch(f"CatBoost loss {loss!r} is not supported; allowed are {sorted(_LINKS)}")
    features = _Features(info["float_features"])
    parts = ForestParts()
    for tree, values in _trees(document, features):
        for output in range(len(bases)):
            grown = TreeParts(**vars(tree)) if output else tree
            grown.value = values[:, output] * float(scale)
            parts.add(grown, output)
    return parts.forest(
        source="CatBoost",
        n_features=features.count,
        outputs=class_names(len(bases), _class_names(document, loss)),
        bases=bases,
        link=_LINKS[loss],
    )


def _class_names(document: Mapping[str, Any], loss: str) -> Sequence[object]:
    known: Sequence[object] = document["model_info"].get("class_params", {}).get("class_names", ())
    return known if loss.startswith("MultiClass") else ()


class _Features:
    """Where a number stands in a row, and on which side of its feature's splits NaN falls."""

    def __init__(self, described: Sequence[Mapping[str, Any]]) -> None:
        self._places = {int(each["feature_index"]): int(each["flat_feature_index"]) for each in described}
        self._nan_left = {int(each["feature_index"]): _is_left(str(each["nan_value_treatment"])) for each in described}
        self.count = max(self._places.values()) + 1

    def write(self, tree: TreeParts, node: int, split: Mapping[str, Any]) -> None:
        """Make a node ask what a split asks."""
        if split["split_type"] != _FLOAT_SPLIT:
            raise ModelMismatch(f"the CatBoost model has splits of type {split['split_type']!r}, allowed is a number's")
        feature = int(split["float_feature_index"])
        tree.feature[node] = self._places[feature]
        tree.threshold[node] = float(np.float32(split["border"]))
        tree.missing_left[node] = self._nan_left[feature]
        tree.reading[node] = Reading.FLOAT32


def _is_left(treatment: str) -> bool:
    if treatment not in {"AsIs", "AsFalse", "AsTrue"}:
        raise ModelMismatch(f"CatBoost nan_value_treatment {treatment!r} is unknown to this release")
    return treatment != "AsTrue"


def _trees(document: Mapping[str, Any], features: _Features) -> Iterator[tuple[TreeParts, npt.NDArray[np.float64]]]:
    """Yield each tree with its (nodes, outputs) values."""
    outputs = len(np.atleast_1d(document["scale_and_bias"][1]))
    for source in document.get("oblivious_trees", ()):
        yield _symmetric(source, features, outputs)
    for source in document.get("trees", ()):
        yield _nested(source, features, outputs)


def _symmetric(
    source: Mapping[str, Any], features: _Features, outputs: int
) -> tuple[TreeParts, npt.NDArray[np.float64]]:
    """Lay a symmetric tree out level by level: node n's children are 2n + 1 and 2n + 2, the last split at the root."""
    splits = source["splits"] or []
    if len(splits) > _DEPTH_MAX:
        raise ModelMismatch(f"a CatBoost tree has {len(splits)} levels, allowed are {_DEPTH_MAX}")
    leaves = 2 ** len(splits)
    inner = leaves - 1
    tree = TreeParts.empty(inner + leaves)
    tree.left[:inner] = 2 * np.arange(inner) + 1
    tree.right[:inner] = 2 * np.arange(inner) + 2
    for level, split in enumerate(reversed(splits)):
        for node in range(2**level - 1, 2 ** (level + 1) - 1):
            features.write(tree, node, split)
    values = np.zeros((inner + leaves, outputs))
    values[inner:] = np.reshape(np.asarray(source["leaf_values"], np.float64), (leaves, outputs))
    tree.cover[inner:] = np.asarray(source.get("leaf_weights") or np.zeros(leaves), np.float64)
    return _covered(tree), values


def _nested(source: Mapping[str, Any], features: _Features, outputs: int) -> tuple[TreeParts, npt.NDArray[np.float64]]:
    """Lay a nested tree out, parents before children."""
    found: list[Mapping[str, Any]] = [source]
    children: list[tuple[int, int]] = []
    for node in found:  # grows while it is read
        is_split = "split" in node
        children.append((len(found), len(found) + 1) if is_split else (-1, -1))
        found += [node["left"], node["right"]] if is_split else []
    tree = TreeParts.empty(len(found))
    values = np.zeros((len(found), outputs))
    tree.left[:], tree.right[:] = np.transpose(children)
    for place, node in enumerate(found):
        if "split" in node:
            features.write(tree, place, node["split"])
        else:
            values[place] = np.atleast_1d(node["value"])
            tree.cover[place] = float(node.get("weight", 0.0))
    return _covered(tree), values


def _covered(tree: TreeParts) -> TreeParts:
    """Add the leaves' cover up; children stand behind their parents."""
    for node in np.flatnonzero(tree.left >= 0)[::-1]:
        tree.cover[node] = tree.cover[tree.left[node]] + tree.cover[tree.right[node]]
    return tree
