"""A fitted scikit-learn estimator becomes an ONNX file with one input and one output; training time only.

Idea:   skl2onnx converts; then the graph is cut down to what is served: the column P(class 1) of a classifier, or the
        value of a regression. Double precision is tried first, because it agrees with scikit-learn to the last digits;
        where an operator exists in single precision only, float32 is used.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tradeworthy.core.errors import ModelMismatch

_SCORES = "tradeworthy_scores"


def sklearn_to_onnx(model: Any, n_features: int) -> Iterator[bytes]:
    """Yield ONNX files of a fitted estimator or pipeline, the more precise first.

    Raises
    ------
    ModelMismatch
        skl2onnx is missing, the classifier is not binary, or no conversion worked.
    """
    try:
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # noqa: PLC0415
    except ImportError as error:
        raise ModelMismatch(f"converting needs skl2onnx ({error}); install tradeworthy[train]") from error
    if hasattr(model, "classes_") and len(model.classes_) != 2:
        raise ModelMismatch(f"found {len(model.classes_)} classes, allowed are two: the score is P(class 1)")
    reason: Exception | None = None
    for tensor in (DoubleTensorType, FloatTensorType):
        try:
            data = _convert(model, n_features, tensor)
        except Exception as error:  # noqa: BLE001 - skl2onnx raises errors of many kinds
            reason = error
        else:
            yield data
    if reason is not None:
        raise ModelMismatch(f"{type(model).__name__} cannot become ONNX: {reason}") from reason


def _convert(model: Any, n_features: int, tensor: Any) -> bytes:
    from skl2onnx import convert_sklearn  # noqa: PLC0415

    classifies = hasattr(model, "predict_proba")
    options = {id(model): {"zipmap": False}} if classifies else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = convert_sklearn(model, initial_types=[("rows", tensor([None, n_features]))], options=options)
    _cut(converted, classifies=classifies)
    data: bytes = converted.SerializeToString()
    return data


def _cut(converted: Any, *, classifies: bool) -> None:
    """Leave one output: the last column of the probabilities, or the value."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    graph = converted.graph
    source = graph.output[1 if classifies else 0]
    kind = source.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise ModelMismatch("the estimator's scores are not numbers; it needs predict_proba or must be a regression")
    if classifies:
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "tradeworthy_class_1"))
        graph.node.append(helper.make_node("Gather", [source.name, "tradeworthy_class_1"], [_SCORES], axis=1))
    else:
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "tradeworthy_shape"))
        graph.node.append(helper.make_node("Reshape", [source.name, "tradeworthy_shape"], [_SCORES]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(_SCORES, kind, [None, 1]))
    _drop_unused(graph)


def _drop_unused(graph: Any) -> None:
    """Remove nodes whose results nobody reads, such as the predicted class."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
