"""Everything that is not trees: networks and pipelines as ONNX, run by ONNX Runtime on one thread.

Idea:   one file, one input of rows, one output of scores. The file is checked (`onnx_safety`) before the runtime sees
        it, and it is the runtime's own bytes that were checked.
Bits:   libraries multiply a batch differently from a row, which changes the last bits; so `many` runs row by row, and
        one and many agree exactly.
Undefined: a row at which the runtime fails has no score: NaN, of which no order comes, live and in every replay.
"""

import importlib
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from tradeworthy.core.errors import BundleRefused, ModelMismatch
from tradeworthy.model.predictors.base import Floats, as_row, as_rows
from tradeworthy.model.predictors.onnx_safety import check_onnx

ONNX_FILE = "model.onnx"
OUTPUTS_MAX = 1_000
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Onnx:
    """A model in ONNX format with one (m, n) input and one (m, k) output, float or double.

    Parameters
    ----------
    data : bytes
        The ONNX file.

    Raises
    ------
    BundleRefused
        The file is not safe or not readable, or has other inputs or outputs.
    """

    format = "onnx"

    def __init__(self, data: bytes) -> None:
        check_onnx(data, ONNX_FILE)
        self.data = data
        self._session = _session(data)
        self._input, self._type, self.n_features = _input_of(self._session)
        self._output = [_output_of(self._session)]
        try:
            scores = self._run(np.zeros((1, self.n_features), self._type))
        except Exception as error:  # the runtime's errors share no base class
            raise BundleRefused(f"{ONNX_FILE} cannot score a row of zeros: {error}") from error
        if scores.ndim != 2 or len(scores) != 1 or not 1 <= scores.shape[1] <= OUTPUTS_MAX:
            raise BundleRefused(f"{ONNX_FILE} gives scores of shape {scores.shape} for one row, allowed is (1, k)")
        self.n_outputs = int(scores.shape[1])

    def one(self, row: Floats) -> Floats:
        """Return the (k,) scores of one (n,) row."""
        return self._scores(as_row(row, self.n_features).astype(self._type)[None, :])

    def many(self, rows: Floats) -> Floats:
        """Return the (m, k) scores of (m, n) rows, with the bits of `one`."""
        rows = as_rows(rows, self.n_features).astype(self._type)
        scores = np.empty((len(rows), self.n_outputs))
        for place in range(len(rows)):
            scores[place] = self._scores(rows[place : place + 1])
        return scores

    def _scores(self, row: np.ndarray[Any, Any]) -> Floats:
        """Return the (k,) scores of a (1, n) row, NaN where it has none."""
        try:
            return self._run(row).reshape(self.n_outputs)
        except Exception:  # noqa: BLE001  # as in `__init__`
            return np.full(self.n_outputs, np.nan)

    def _run(self, rows: np.ndarray[Any, Any]) -> Floats:
        scores: Floats = self._session.run(self._output, {self._input: rows})[0].astype(np.float64)
        return scores

    def to_files(self) -> dict[str, bytes]:
        """Return the predictor's file as bytes by name."""
        return {ONNX_FILE: self.data}

    def save(self, folder: Path) -> None:
        """Write the predictor's file into an existing folder."""
        (folder / ONNX_FILE).write_bytes(self.data)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Build from the bytes of `to_files`."""
        return cls(files[ONNX_FILE])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the file that `save` wrote."""
        return cls((folder / ONNX_FILE).read_bytes())

    @classmethod
    def from_sklearn(cls, model: Any, n_features: int) -> Self:
        """Convert a fitted scikit-learn estimator or pipeline; training time only.

        Raises
        ------
        ModelMismatch
            It cannot be converted, has several outputs, or classifies into more than two classes.
        """
        from tradeworthy.model.predictors.readers.sklearn_onnx import sklearn_to_onnx  # noqa: PLC0415 - needs skl2onnx

        reason: Exception | None = None
        for data in sklearn_to_onnx(model, n_features):
            try:
                return cls(data)
            except BundleRefused as error:
                reason = error
        raise ModelMismatch(f"{type(model).__name__} cannot be served as ONNX: {reason}") from reason

    @classmethod
    def from_torch(cls, model: Any, n_features: int) -> Self:
        """Convert a PyTorch module of one (m, n) float input and one (m, k) output; training time only.

        Raises
        ------
        ModelMismatch
            It cannot be converted, or gives something else.
        """
        torch, buffer = importlib.import_module("torch"), BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs no further package
                row = (torch.zeros(1, n_features),)
                torch.onnx.export(model.eval(), row, buffer, input_names=["rows"], dynamo=False)
            return cls(buffer.getvalue())
        except Exception as error:  # PyTorch raises errors of many kinds
            raise ModelMismatch(f"{type(model).__name__} cannot be served as ONNX: {error}") from error


def _session(data: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415 - 20 MB and 0.1 s that a desk of trees does without

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no base class
        raise BundleRefused(f"ONNX Runtime cannot load {ONNX_FILE}: {error}") from error


def _input_of(session: Any) -> tuple[str, Any, int]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 2:
        found = [(node.name, node.type, node.shape) for node in inputs]
        raise BundleRefused(f"{ONNX_FILE} takes {found}, allowed is one (rows, features) tensor of float or double")
    rows, features = inputs[0].shape
    if (isinstance(rows, int) and rows != 1) or not isinstance(features, int) or features < 1:
        raise BundleRefused(f"{ONNX_FILE} takes shape {inputs[0].shape}, allowed is (any number or 1, a fixed number)")
    return inputs[0].name, _TYPES[inputs[0].type], features


def _output_of(session: Any) -> str:
    outputs = session.get_outputs()
    if len(outputs) != 1 or outputs[0].type not in _TYPES:
        found = [(node.name, node.type) for node in outputs]
        raise BundleRefused(f"{ONNX_FILE} gives {found}, allowed is one tensor of float or double")
    name: str = outputs[0].name
    return name
