"""An ONNX file gets other odds: four operators behind its one output; at training time only, for it needs onnx."""

import numpy as np

from tradeworthy.core.errors import ModelMismatch

_NAME = "tradeworthy_odds"


def times_odds(data: bytes, factor: float) -> bytes:
    """Return an ONNX file that gives p factor / (1 + p (factor - 1)) where `data` gives p.

    Raises
    ------
    ModelMismatch
        The package onnx is missing, or the file has been given other odds before.
    """
    try:
        from onnx import ModelProto, checker, helper, numpy_helper  # noqa: PLC0415
    except ImportError as error:
        raise ModelMismatch(f"correcting a network needs onnx ({error}); install tradeworthy[train]") from error
    model = ModelProto()
    model.ParseFromString(data)
    graph, (output,) = model.graph, model.graph.output
    if output.name == _NAME:
        raise ModelMismatch("the model has been given other odds before; correct the version that it was made from")
    kind = output.type.tensor_type.elem_type
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    for name, value in (("factor", factor), ("rest", factor - 1.0), ("one", 1.0)):
        graph.initializer.append(numpy_helper.from_array(np.array([value], dtype), f"{_NAME}_{name}"))
    for operator, inputs, result in (
        ("Mul", [output.name, f"{_NAME}_factor"], f"{_NAME}_up"),
        ("Mul", [output.name, f"{_NAME}_rest"], f"{_NAME}_more"),
        ("Add", [f"{_NAME}_more", f"{_NAME}_one"], f"{_NAME}_whole"),
        ("Div", [f"{_NAME}_up", f"{_NAME}_whole"], _NAME),
    ):
        graph.node.append(helper.make_node(operator, inputs, [result]))
    shape = [size.dim_value or None for size in output.type.tensor_type.shape.dim]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(_NAME, kind, shape))
    checker.check_model(model)
    changed: bytes = model.SerializeToString()
    return changed
