"""LightGBM's text model, read without LightGBM.

Rules:  a number goes left where ``x <= threshold``. Missing type "none": NaN counts as 0. "NaN": NaN takes the default
        side. "zero": NaN and anything within 1e-35 of 0 take it. A category goes left if it is in the set; NaN and
        negative numbers are in no set.
Classes: one tree a class and round, in turn; `multiclass` takes the softmax, `multiclassova` each class's sigmoid.
Refused: linear leaves, objectives whose link is not known here.
Reference: LightGBM, include/LightGBM/tree.h (decision types) and src/io/gbdt_model_text.cpp (the file).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts, class_names
from tradeworthy.model.predictors.tree_table import Link, Reading

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_READING_OF_MISSING_TYPE = np.array([Reading.MISSING_IS_ZERO, Reading.ZERO_IS_MISSING, Reading.PLAIN])
_LINKS = {
    "regression": Link.IDENTITY,
    "regression_l1": Link.IDENTITY,
    "huber": Link.IDENTITY,
    "fair": Link.IDENTITY,
    "quantile": Link.IDENTITY,
    "mape": Link.IDENTITY,
    "custom": Link.IDENTITY,
    "binary": Link.SIGMOID,
    "cross_entropy": Link.SIGMOID,
    "poisson": Link.EXP,
    "gamma": Link.EXP,
    "tweedie": Link.EXP,
    "multiclass": Link.SOFTMAX,
    "multiclassova": Link.SIGMOID,
}


def read_lightgbm(text: str) -> Forest:
    """Read the text of a LightGBM model.

    Raises
    ------
    ModelMismatch
        It is not such a text, or holds something that trees cannot represent.
    """
    head, *blocks = _blocks(text)
    if "max_feature_idx" not in head or not blocks:
        raise ModelMismatch("the text is not a LightGBM model with trees; save it with Booster.save_model")
    k = int(head.get("num_tree_per_iteration", "1"))
    share = len(blocks) // k if "average_output" in head else 1
    parts = ForestParts()
    for place, block in enumerate(blocks):
        _read_tree(block, parts, share, place % k)
    link, scale = _link(head.get("objective", "custom"))
    n_features = int(head["max_feature_idx"]) + 1
    names = class_names(k)
    return parts.forest(
        source="LightGBM", n_features=n_features, outputs=names, bases=[0.0] * k, link=link, scale=scale
    )


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the head, then one mapping of key to value a tree."""
    block: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("end of trees"):
            break
        if line.startswith("Tree="):
            yield block
            block = {}
        key, _, value = line.partition("=")
        block[key.strip()] = value.strip()
    yield block


def _link(objective: str) -> tuple[Link, float]:
    name, *options = objective.split()
    if name not in _LINKS:
        raise ModelMismatch(f"LightGBM objective {name!r} is not supported; allowed are {sorted(_LINKS)}")
    link, scale = _LINKS[name], 1.0
    for option in options:
        key, _, value = option.partition(":")
        if key == "sigmoid":
            scale = float(value)
        elif key == "sqrt":
            link = Link.SIGNED_SQUARE
    return link, scale


def _ints(block: Mapping[str, str], key: str) -> npt.NDArray[np.int64]:
    return np.array(block.get(key, "").split(), np.int64)


def _floats(block: Mapping[str, str], key: str) -> npt.NDArray[np.float64]:
    return np.array(block.get(key, "").split(), np.float64)


def _read_tree(block: Mapping[str, str], parts: ForestParts, share: int, output: int) -> None:
    if block.get("is_linear", "0") != "0":
        raise ModelMismatch("the LightGBM model has linear leaves; train with linear_tree=false")
    leaves = int(block["num_leaves"])
    splits = leaves - 1
    tree = TreeParts.empty(splits + leaves)
    tree.value[splits:] = _floats(block, "leaf_value") / share
    tree.cover[splits:] = _floats(block, "leaf_count") if splits else 1.0
    tree.cover[:splits] = _floats(block, "internal_count")
    for name, child in (("left_child", tree.left), ("right_child", tree.right)):
        numbers = _ints(block, name)[:splits]
        child[:splits] = np.where(numbers >= 0, numbers, splits + ~numbers)
    decision = _ints(block, "decision_type")[:splits]
    tree.feature[:splits] = _ints(block, "split_feature")
    tree.threshold[:splits] = _floats(block, "threshold")
    tree.missing_left[:splits] = (decision & _DEFAULT_LEFT) > 0
    tree.reading[:splits] = _READING_OF_MISSING_TYPE[(decision >> 2) & 3]
    _read_categories(block, tree, np.flatnonzero(decision & _CATEGORICAL), parts)
    parts.add(tree, output)


def _read_categories(
    block: Mapping[str, str], tree: TreeParts, places: npt.NDArray[np.int64], parts: ForestParts
) -> None:
    bounds, words = _ints(block, "cat_boundaries"), _ints(block, "cat_threshold")
    for place in places:
        number = int(tree.threshold[place])
        bits = words[bounds[number] : bounds[number + 1]].astype(np.uint32).view(np.uint8)
        tree.category[place] = parts.add_set(np.flatnonzero(np.unpackbits(bits, bitorder="little")))
        tree.reading[place] = Reading.CATEGORY
        tree.left[place], tree.right[place] = tree.right[place], tree.left[place]
