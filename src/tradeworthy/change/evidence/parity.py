"""Gathers parity: stream rows against the batch fold, our scores against the library's, golden rows scored again."""

import numpy as np

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.change.evidence.stream import StreamRun
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.running import machine_here
from tradeworthy.model.version import Version

TOLERANCES = {"xgboost": 1e-6}
"""Allowed difference from the training library's score: XGBoost adds its leaves in 32 bits."""

TOLERANCE_TREES, TOLERANCE_ONNX = 1e-12, 1e-5


def gather_parity(context: Context, work: Work) -> Parity:
    """Compare the stream's rows with the batch fold, bit for bit, and scores with those recorded."""
    stream = context.stream
    work.tell(0.8)
    rows, differences = _stream_batch(context, stream)
    golden_rows = context.candidate.golden_rows
    error = np.abs(context.version.predictor.many(golden_rows)[:, 0] - context.candidate.golden_scores)
    return Parity(
        stream_batch_rows=rows,
        stream_batch_differences=differences,
        serving_rows=len(error),
        serving_error_max=float(error.max(initial=0.0)),
        serving_tolerance=_tolerance(context.version),
        golden_rows=len(context.version.golden.rows),
        golden_error_max=context.version.golden_error_max(),
        golden_machine=context.version.manifest.machine,
        machine_here=machine_here(),
    )


def _stream_batch(context: Context, stream: StreamRun) -> tuple[int, int]:
    """Return how many rows the batch fold gives, and how many of them the stream lacks or has otherwise."""
    rows, places = FeatureState(context.version.program, context.instruments).many(stream.events)
    both, of_batch, of_stream = np.intersect1d(places, stream.places, assume_unique=True, return_indices=True)
    same = np.all(rows[of_batch].view(np.int64) == stream.rows[of_stream].view(np.int64), axis=1)
    alone = len(places) + len(stream.places) - 2 * len(both)
    return len(places), int(np.count_nonzero(~same)) + alone


def _tolerance(version: Version) -> float:
    """Return how far our scores may be from the training library's."""
    if version.manifest.predictor != Trees.format:
        return TOLERANCE_ONNX
    return TOLERANCES.get(version.manifest.lineage.parameters.get("library", ""), TOLERANCE_TREES)
