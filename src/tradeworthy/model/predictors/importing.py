"""A model that was just trained becomes a predictor that can be served; training time only.

Idea:   the model's class says who reads it, by name, so that no training library is imported here: whoever passes a
        LightGBM model has LightGBM.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tradeworthy.core.errors import UNDECODABLE, ModelMismatch, NotFound
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.readers.catboost import is_catboost, read_catboost
from tradeworthy.model.predictors.readers.lightgbm import read_lightgbm
from tradeworthy.model.predictors.readers.parts import class_names
from tradeworthy.model.predictors.readers.sklearn_trees import NAMES, read_sklearn
from tradeworthy.model.predictors.readers.xgboost import read_xgboost
from tradeworthy.model.predictors.trees import Trees

SUFFIXES = (".txt", ".json", ".ubj", ".onnx")

ALLOWED = (
    "allowed are a LightGBM, XGBoost, CatBoost or scikit-learn model, a PyTorch module, "
    "or the path of a .txt, .json, .ubj or .onnx file"
)


def import_model(model: Any, n_features: int, *, acts_on: str | None = None) -> Predictor:
    """Turn a fitted model into a predictor.

    Parameters
    ----------
    model : object
        A LightGBM or XGBoost Booster or scikit-learn wrapper, a CatBoost model, any scikit-learn estimator or pipeline,
        a PyTorch module, a predictor, or the path of a saved LightGBM (.txt), XGBoost (.json, .ubj), CatBoost (.json)
        or ONNX (.onnx) model.
    n_features : int
        Width of the program's rows.
    acts_on : str, optional
        Of trees with several classes: the class whose score the desk acts on; the first if left out.

    Raises
    ------
    ModelMismatch
        The model is of another kind, cannot be represented exactly, or has another width.
    """
    predictor = _predictor(model, n_features)
    if acts_on is not None:
        if not isinstance(predictor, Trees):
            raise ModelMismatch(f"acts_on is {acts_on!r}, but only trees have named scores; leave it out")
        predictor = predictor.acting_on(acts_on)
    if predictor.n_features != n_features:
        raise ModelMismatch(
            f"the model expects {predictor.n_features} features, the program gives {n_features}; "
            "train it on rows of this program"
        )
    return predictor


def _predictor(model: Any, n_features: int) -> Predictor:
    if isinstance(model, (str, Path)):
        return _from_file(Path(model))
    if isinstance(model, (Trees, Onnx)):
        return model
    libraries = {base.__module__.split(".")[0] for base in type(model).__mro__}
    for library, read in _READERS.items():
        if library in libraries:
            return read(model, n_features)
    raise ModelMismatch(f"a {type(model).__module__}.{type(model).__name__} cannot be imported; {ALLOWED}")


def _from_file(path: Path) -> Predictor:
    if path.suffix not in SUFFIXES:
        raise ModelMismatch(f"model file {path.name} has suffix {path.suffix!r}, allowed are {list(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no model file {path}") from error
    if path.suffix == ".onnx":
        return Onnx(data)
    return Trees.from_forest(_forest_of(data, path.suffix))


def _forest_of(data: bytes, suffix: str) -> Forest:
    """Read the bytes of a saved model; JSON may be XGBoost's or CatBoost's."""
    if suffix == ".txt":
        return read_lightgbm(data.decode("utf-8"))
    document: Any = None
    if suffix == ".json":
        with suppress(*UNDECODABLE):  # what is no JSON, the reader refuses in its own words
            document = msgspec.json.decode(data)
    return read_catboost(document) if is_catboost(document) else read_xgboost(data)


def _named(forest: Forest, model: Any) -> Forest:
    """Call the scores of a scikit-learn wrapper by its classes."""
    return replace(forest, outputs=class_names(len(forest.outputs), getattr(model, "classes_", ())))


def _catboost_document(model: Any) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return msgspec.json.decode(path.read_bytes())


def _lightgbm_text(model: Any) -> str:
    booster = getattr(model, "booster_", model)
    text: str = booster.model_to_string()  # up to the best iteration, as predict does
    return text


def _xgboost_forest(model: Any) -> Forest:
    if not hasattr(model, "get_booster"):
        return read_xgboost(bytes(model.save_raw("json")))
    booster = model.get_booster()
    best = booster.attr("best_iteration")
    if best is not None:  # the wrapper's predict stops there; a bare Booster's does not
        booster = booster[: int(best) + 1]
    return read_xgboost(bytes(booster.save_raw("json")))


def _from_sklearn(model: Any, n_features: int) -> Predictor:
    trees = type(model).__module__.startswith("sklearn.") and type(model).__name__ in NAMES
    return Trees.from_forest(read_sklearn(model)) if trees else Onnx.from_sklearn(model, n_features)


_READERS: Mapping[str, Callable[[Any, int], Predictor]] = {
    "lightgbm": lambda model, _: Trees.from_forest(_named(read_lightgbm(_lightgbm_text(model)), model)),
    "xgboost": lambda model, _: Trees.from_forest(_named(_xgboost_forest(model), model)),
    "catboost": lambda model, _: Trees.from_forest(read_catboost(_catboost_document(model))),
    "sklearn": _from_sklearn,
    "torch": Onnx.from_torch,
}
"""Who reads the models of a library, in the order of asking: the wrappers of trees are scikit-learn's too."""
