"""The training library's own view of a model: its scores, and the parameters it was trained with.

Idea:   serving never uses these libraries; training does, once, so that the gate can compare our scores with theirs.
Scores: P(class 1) of a binary classifier, P(the class acted on) of several, the value of a regression; one a row.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.importing import ALLOWED
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.trees import Trees

Floats = npt.NDArray[np.float64]


def source_scores(model: Any, rows: Floats, acts_on: str | None = None) -> Floats:
    """Score rows with the library that trained the model.

    Parameters
    ----------
    model : object
        A LightGBM or XGBoost booster or wrapper, a CatBoost classifier or regressor, a scikit-learn estimator, or a
        PyTorch module.
    rows : (m, n) float64
        Features in the order of training.
    acts_on : str, optional
        Of a classifier with several classes: the one whose score is meant.

    Returns
    -------
    (m,) float64
        One score a row.

    Raises
    ------
    ModelMismatch
        The model has no way to predict, or does not say which of several scores is meant.
    """
    if isinstance(model, (Trees, Onnx)):  # imported before: its library is not here, its own scores are
        return np.ascontiguousarray(model.many(rows)[:, 0])
    if is_torch(model):
        torch = sys.modules["torch"]
        with torch.no_grad():
            given = model.eval()(torch.tensor(rows, dtype=torch.float32))
        return np.ascontiguousarray(given.numpy().reshape(len(rows), -1)[:, 0], np.float64)
    if hasattr(model, "predict_proba"):
        found = np.asarray(model.predict_proba(rows), np.float64)
        classes = [str(name) for name in getattr(model, "classes_", ())]
        return _column(found, classes, classes[1] if len(classes) == 2 and acts_on is None else acts_on)
    if not hasattr(model, "predict"):
        raise ModelMismatch(f"train() returned a {type(model).__name__}, which cannot predict; {ALLOWED}")
    found = np.asarray(_predict(model, rows), np.float64)
    if found.ndim == 2 and found.shape[1] > 1:
        return _column(found, [str(place) for place in range(found.shape[1])], acts_on)
    if found.shape != (len(rows),):
        raise ModelMismatch(f"the model gives scores of shape {found.shape}; allowed is one score a row")
    return found


def is_torch(model: Any) -> bool:
    """Whether a model is a PyTorch module; PyTorch is not imported for the answer."""
    return "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module)


def _column(scores: Floats, classes: list[str], acts_on: str | None) -> Floats:
    """Return the scores of the class that is meant."""
    if scores.ndim != 2 or len(classes) != scores.shape[1] or len(classes) < 2:
        raise ModelMismatch(f"the classifier gives scores of shape {scores.shape} for the classes {classes}")
    if acts_on not in classes:
        raise ModelMismatch(
            f"the classifier knows the classes {classes}, the strategy acts on {acts_on!r}; "
            f'write acts_on = "{classes[-1]}", or another of them, into strategy.py'
        )
    return np.ascontiguousarray(scores[:, classes.index(acts_on)])


def source_parameters(model: Any) -> dict[str, str]:
    """Return the parameters a model was trained with, its library and that one's version, as text, for its lineage."""
    if hasattr(model, "get_params"):
        found = model.get_params()
    elif type(model).__module__.startswith("xgboost"):
        found = {"config": model.save_config()}
    else:
        found = getattr(model, "params", {})
    kept = {name: str(value) for name, value in sorted(found.items()) if value is not None}
    library = type(model).__module__.partition(".")[0]
    version = str(getattr(sys.modules[library], "__version__", ""))
    return {"library": library, "library_version": version, "model": type(model).__name__} | kept


def _predict(model: Any, rows: Floats) -> Any:
    """Call predict; XGBoost's booster wants its own matrix."""
    if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
        import xgboost  # noqa: PLC0415  # a training library, loaded only where its model is

        return model.predict(xgboost.DMatrix(rows, feature_names=model.feature_names))
    return model.predict(rows)
