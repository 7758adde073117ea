"""The training library's own view of a model: its scores, and the parameters it was trained with.

Idea:   serving never uses these libraries; training does, once, so that the gate can compare our scores with theirs.
Scores: P(class 1) of a binary classifier, the value of a regression; one float64 a row.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import ModelMismatch

Floats = npt.NDArray[np.float64]


def source_scores(model: Any, rows: Floats) -> Floats:
    """Score rows with the library that trained the model.

    Parameters
    ----------
    model : object
        A LightGBM or XGBoost booster or wrapper, or a scikit-learn estimator.
    rows : (m, n) float64
        Features in the order of training.

    Returns
    -------
    (m,) float64
        One score a row.

    Raises
    ------
    ModelMismatch
        The model has no way to predict, or gives more than one score a row.
    """
    if hasattr(model, "predict_proba"):
        found = np.asarray(model.predict_proba(rows), np.float64)
        if found.ndim != 2 or found.shape[1] != 2:
            raise ModelMismatch(f"the classifier gives scores of shape {found.shape}; allowed are two classes")
        return np.ascontiguousarray(found[:, 1])
    if not hasattr(model, "predict"):
        raise ModelMismatch(
            f"train() returned a {type(model).__name__}, which cannot predict; return a LightGBM, XGBoost or "
            "scikit-learn model"
        )
    found = np.asarray(_predict(model, rows), np.float64)
    if found.shape != (len(rows),):
        raise ModelMismatch(f"the model gives scores of shape {found.shape}; allowed is one score a row")
    return found


def source_parameters(model: Any) -> dict[str, str]:
    """Return the parameters a model was trained with, as text, for its lineage."""
    if hasattr(model, "get_params"):
        found = model.get_params()
    elif type(model).__module__.startswith("xgboost"):
        found = {"config": model.save_config()}
    else:
        found = getattr(model, "params", {})
    kept = {name: str(value) for name, value in sorted(found.items()) if value is not None}
    return {"library": type(model).__module__.partition(".")[0], "model": type(model).__name__} | kept


def _predict(model: Any, rows: Floats) -> Any:
    """Call predict; XGBoost's booster wants its own matrix."""
    if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
        import xgboost  # noqa: PLC0415  # a training library, loaded only where its model is

        return model.predict(xgboost.DMatrix(rows, feature_names=model.feature_names))
    return model.predict(rows)
