"""A model that was just trained becomes a predictor that can be served; training time only.

Idea:   the model's class says who reads it, by name, so that no training library is imported here: whoever passes a
        LightGBM model has LightGBM.
"""

from pathlib import Path
from typing import Any

from tradeworthy.core.errors import ModelMismatch, NotFound
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.forest import Forest
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.readers.lightgbm import read_lightgbm
from tradeworthy.model.predictors.readers.sklearn_trees import NAMES, read_sklearn
from tradeworthy.model.predictors.readers.xgboost import read_xgboost
from tradeworthy.model.predictors.trees import Trees

SUFFIXES = (".txt", ".json", ".ubj", ".onnx")


def import_model(model: Any, n_features: int) -> Predictor:
    """Turn a fitted model into a predictor.

    Parameters
    ----------
    model : object
        A LightGBM or XGBoost Booster or scikit-learn wrapper, any scikit-learn estimator or pipeline, a predictor, or
        the path of a saved LightGBM (.txt), XGBoost (.json, .ubj) or ONNX (.onnx) model.
    n_features : int
        Width of the program's rows.

    Raises
    ------
    ModelMismatch
        The model is of another kind, cannot be represented exactly, or has another width.
    """
    predictor = _predictor(model, n_features)
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
    kinds = [(base.__module__.split(".")[0], base.__name__) for base in type(model).__mro__]
    libraries = {library for library, _ in kinds}
    if "lightgbm" in libraries:
        return Trees.from_forest(read_lightgbm(_lightgbm_text(model)))
    if "xgboost" in libraries:
        return Trees.from_forest(_xgboost_forest(model))
    if "sklearn" in libraries:
        trees = type(model).__module__.startswith("sklearn.") and type(model).__name__ in NAMES
        return Trees.from_forest(read_sklearn(model)) if trees else Onnx.from_sklearn(model, n_features)
    raise ModelMismatch(
        f"a {type(model).__module__}.{type(model).__name__} cannot be imported; allowed are LightGBM, XGBoost and "
        "scikit-learn models, or the path of a .txt, .json, .ubj or .onnx file"
    )


def _from_file(path: Path) -> Predictor:
    if path.suffix not in SUFFIXES:
        raise ModelMismatch(f"model file {path.name} has suffix {path.suffix!r}, allowed are {list(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no model file {path}") from error
    if path.suffix == ".onnx":
        return Onnx(data)
    return Trees.from_forest(read_lightgbm(data.decode("utf-8")) if path.suffix == ".txt" else read_xgboost(data))


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
