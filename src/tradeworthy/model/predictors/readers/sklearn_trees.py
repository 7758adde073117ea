"""scikit-learn's forests and gradient boosting, read from the fitted estimators at training time.

Rules:  forests and gradient boosting round features to float32 and go left where ``x <= threshold``; a forest averages
        its trees, boosting adds them, shrunk, to a constant. Histogram boosting compares float64. NaN takes the side
        that each split stores.
Classes: with more than two, a forest's leaf holds a share of each, so a tree is kept once a class; boosting grows a
        tree a class, and takes the softmax.
Refused: several targets, categories in histogram boosting, an initial estimator that is not a constant.
Reference: scikit-learn, sklearn/tree/_tree.pyx and sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx.
"""

from typing import Any

import numpy as np

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts, class_names
from tradeworthy.model.predictors.tree_table import Link, Reading

FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
HISTOGRAMS = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
NAMES = (*FORESTS, *TREES, *BOOSTED, *HISTOGRAMS)

_HISTOGRAM_LINKS = {
    "squared_error": Link.IDENTITY,
    "absolute_error": Link.IDENTITY,
    "quantile": Link.IDENTITY,
    "gamma": Link.EXP,
    "poisson": Link.EXP,
}


def read_sklearn(model: Any) -> Forest:
    """Read a fitted estimator of `NAMES`.

    Raises
    ------
    ModelMismatch
        It is another estimator, is not fitted, or cannot be represented by trees.
    """
    name = type(model).__name__
    if not hasattr(model, "n_features_in_"):
        raise ModelMismatch(f"the {name} is not fitted; call fit first")
    _check_outputs(model)
    if name in FORESTS:
        return _forest(model, model.estimators_)
    if name in TREES:
        return _forest(model, [model])
    if name in BOOSTED:
        return _boosted(model)
    if name in HISTOGRAMS:
        return _histograms(model)
    raise ModelMismatch(f"{name} is not a tree ensemble that can be read; allowed are {list(NAMES)}")


def _check_outputs(model: Any) -> None:
    if getattr(model, "n_outputs_", 1) != 1:
        raise ModelMismatch(f"the model has {model.n_outputs_} outputs, allowed is one")
    if len(getattr(model, "classes_", (0, 1))) < 2:
        raise ModelMismatch("the classifier knows one class only, so there is nothing to decide; train on both")


def _tree(source: Any, values: Any) -> TreeParts:
    """Read one `sklearn.tree._tree.Tree` with the given value of each node."""
    tree = TreeParts.empty(source.node_count)
    split = source.children_left >= 0
    tree.left[:], tree.right[:] = source.children_left, source.children_right
    tree.feature[:] = np.where(split, source.feature, 0)
    tree.threshold[:] = source.threshold
    tree.missing_left[:] = np.asarray(source.missing_go_to_left) > 0
    tree.reading[:] = Reading.FLOAT32
    tree.value[:] = np.where(split, 0.0, values)
    tree.cover[:] = source.weighted_n_node_samples
    return tree


def _forest(model: Any, estimators: Any) -> Forest:
    parts, names = ForestParts(), _outputs(model)
    for estimator in estimators:
        value = estimator.tree_.value[:, 0, :]
        mean = value / value.sum(axis=1, keepdims=True) if hasattr(model, "classes_") else value
        for output in range(len(names)):
            column = 1 if hasattr(model, "classes_") and len(names) == 1 else output
            parts.add(_tree(estimator.tree_, mean[:, column] / len(estimators)), output)
    return parts.forest(source="scikit-learn", n_features=model.n_features_in_, outputs=names, bases=[0.0] * len(names))


def _outputs(model: Any) -> tuple[str, ...]:
    """Name the scores: two classes have one, P(class 1)."""
    classes = getattr(model, "classes_", ())
    return class_names(len(classes) if len(classes) > 2 else 1, classes)


def _boosted(model: Any) -> Forest:
    if type(model.init_).__name__ not in ("str", "DummyClassifier", "DummyRegressor"):
        raise ModelMismatch(f"initial estimator {type(model.init_).__name__} is not a constant; leave init unset")
    bases = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]  # noqa: SLF001 - no public way
    parts, names = ForestParts(), _outputs(model)
    for stage in model.estimators_:
        for output, estimator in enumerate(stage):
            parts.add(_tree(estimator.tree_, estimator.tree_.value[:, 0, 0] * model.learning_rate), output)
    return parts.forest(
        source="scikit-learn",
        n_features=model.n_features_in_,
        outputs=names,
        bases=bases.tolist(),
        scale=2.0 if model.loss == "exponential" else 1.0,
        link=_class_link(names) if hasattr(model, "classes_") else Link.IDENTITY,
    )


def _histograms(model: Any) -> Forest:
    if model.is_categorical_ is not None:
        raise ModelMismatch("categories in histogram boosting cannot be read; use LightGBM, or encode them as numbers")
    parts, names = ForestParts(), _outputs(model)
    for stage in model._predictors:  # noqa: SLF001 - the only place where its trees are
        for output, predictor in enumerate(stage):
            parts.add(_histogram_tree(predictor.nodes), output)
    return parts.forest(
        source="scikit-learn",
        n_features=model.n_features_in_,
        outputs=names,
        bases=np.ravel(model._baseline_prediction).tolist(),  # noqa: SLF001 - no public way
        link=_class_link(names) if model.loss == "log_loss" else _HISTOGRAM_LINKS[model.loss],
    )


def _class_link(names: tuple[str, ...]) -> Link:
    return Link.SIGMOID if len(names) == 1 else Link.SOFTMAX


def _children(places: Any, split: Any) -> Any:
    return np.where(split, places.astype(np.int64), -1)


def _histogram_tree(nodes: Any) -> TreeParts:
    tree = TreeParts.empty(len(nodes))
    split = nodes["is_leaf"] == 0
    tree.left[:], tree.right[:] = _children(nodes["left"], split), _children(nodes["right"], split)
    tree.feature[:] = np.where(split, nodes["feature_idx"], 0)
    tree.threshold[:] = nodes["num_threshold"]
    tree.missing_left[:] = nodes["missing_go_to_left"] > 0
    tree.reading[:] = Reading.PLAIN
    tree.value[:] = np.where(split, 0.0, nodes["value"])
    tree.cover[:] = nodes["count"]
    return tree
