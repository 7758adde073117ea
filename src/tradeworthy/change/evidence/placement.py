"""Gathers where a score is computed fastest: what serves, beside every other back end that is present on this machine.

Idea:   each back end scores the golden rows one at a time; the fastest whose scores are those that were recorded is
        named in the report. Trees are written down for ONNX Runtime, which compares in 32 bits; a network is tried with
        its weights in 8 bits as well, where it has any to quantise.
Units:  microseconds a row; errors in units of the score.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.judge.validate.evidence import Table
from tradeworthy.judge.validate.latency import BackEnd, Placement
from tradeworthy.model.predictors.onnx import ONNX_FILE, Onnx
from tradeworthy.model.predictors.tree_table import Link, Reading
from tradeworthy.model.predictors.trees import Trees

Floats = npt.NDArray[np.float64]
Score = Callable[[Floats], float]

ROWS, PASSES = 64, 5
OWN = "own kernel"
REMOTE = frozenset({"AzureExecutionProvider"})
"""Providers that ask another machine, which no decision may wait for."""

OPSET, OPSET_ML, IR_VERSION = 17, 3, 8
_FLAGS = np.uint32(Reading.NEGATED | Reading.MISSING_IN_SET)


def gather_placement(context: Context, work: Work) -> Placement:
    """Time every back end that is present, and hold its scores against those recorded.

    Raises
    ------
    NotGathered
        The version has no golden rows.
    """
    golden, predictor = context.version.golden, context.version.predictor
    rows, scores = golden.rows[:ROWS], golden.scores[:ROWS, 0]
    if not len(rows):
        raise NotGathered("the version has no golden rows")
    allowed = context.settings.parity.golden_tolerance_max
    found = []
    for name, score in back_ends(predictor):
        error = max(abs(score(row) - wanted) for row, wanted in zip(rows, scores, strict=True))
        found.append(BackEnd(name=name, us=_us_of(score, rows), error_max=float(error), keeps=bool(error <= allowed)))
        work.tell(len(found) / (len(found) + 1))
    return Placement(
        served_by=found[0].name,
        back_ends=found,
        tables=[
            Table(
                title="Back ends on this machine, one row at a time",
                columns=["back end", "us a row", "largest error", "keeps parity"],
                rows=[[each.name, each.us, each.error_max, each.keeps] for each in found],
                chart="bars",
            )
        ],
    )


def back_ends(predictor: object) -> Iterator[tuple[str, Score]]:
    """Yield what serves, then every other back end that can run the same model here.

    ONNX Runtime falls back to its CPU provider where another cannot run a model; such a one is not yielded.
    """
    if isinstance(predictor, Trees):
        yield OWN, lambda row: float(predictor.one(row)[0])
        data = as_onnx(predictor)
        if data is not None:
            yield from _runtimes(data, predictor)
    elif isinstance(predictor, Onnx):
        yield "CPUExecutionProvider", lambda row: float(predictor.one(row)[0])
        yield from (each for each in _runtimes(predictor.data, None) if each[0] != "CPUExecutionProvider")
        data = quantised(predictor.data)
        if data is not None:
            yield from ((f"{name}, 8 bits", score) for name, score in _runtimes(data, None))


def quantised(data: bytes) -> bytes | None:
    """Return a model with its weights in 8 bits, quantised as it runs; None where nothing in it can be.

    ONNX Runtime quantises weights of 32 bits only. None as well without the package `onnx`, which writes the model.
    """
    try:
        from onnx import TensorProto, load_model_from_string  # noqa: PLC0415  # of the extra `train`
    except ImportError:
        return None
    before = load_model_from_string(data)
    if not any(each.data_type == TensorProto.FLOAT and each.dims for each in before.graph.initializer):
        return None
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # a second of imports

    with TemporaryDirectory() as folder:
        path = Path(folder) / ONNX_FILE
        quantize_dynamic(before, path, weight_type=QuantType.QInt8)
        written = path.read_bytes()
    kinds = {node.op_type for node in load_model_from_string(written).graph.node}
    return written if kinds - {node.op_type for node in before.graph.node} else None


def as_onnx(trees: Trees) -> bytes | None:
    """Write trees of one output as an ONNX ensemble that gives margins; None where that cannot be said in ONNX.

    Sets of categories, and links other than identity and sigmoid, cannot; nor without the package `onnx`. How a missing
    number is read is not written down: parity on the golden rows tells whether that matters.
    """
    table = trees.table
    sets = np.isin(table.slots["reading"] & ~_FLAGS, [Reading.CATEGORY, Reading.CATEGORY_FLOAT32]).any()
    if trees.n_outputs > 1 or sets or table.link not in {Link.IDENTITY, Link.SIGMOID}:
        return None
    try:
        from onnx import TensorProto, helper  # noqa: PLC0415  # of the extra `train`
    except ImportError:
        return None
    node = helper.make_node(
        "TreeEnsembleRegressor", ["rows"], ["margin"], domain="ai.onnx.ml", n_targets=1, **_attributes(trees)
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, trees.n_features])],
        [helper.make_tensor_value_info("margin", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return data


def _attributes(trees: Trees) -> dict[str, Any]:
    """Return the ensemble's nodes and leaves as ONNX names them; a tree's nodes are numbered from its root."""
    nodes, slots, first = trees.table.nodes, trees.table.slots, int(trees.roots[0])
    widths = np.diff([*trees.roots.tolist(), len(nodes)])
    tree_of, root = np.repeat(np.arange(len(widths)), widths), np.repeat(trees.roots.astype(np.int64), widths)
    own = nodes[first:]
    slot, is_leaf = slots[own["slot"]], own["slot"] == 0
    negated = (slot["reading"] & int(Reading.NEGATED)) != 0
    mode = np.where(is_leaf, "LEAF", np.where(negated, "BRANCH_GTE", "BRANCH_LEQ"))
    ids, child = np.arange(first, len(nodes)) - root, own["child"].astype(np.int64) - root
    return {
        "nodes_treeids": tree_of.tolist(),
        "nodes_nodeids": ids.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, slot["feature"]).tolist(),
        "nodes_modes": mode.tolist(),
        "nodes_values": np.where(is_leaf, 0.0, np.where(negated, -own["threshold"], own["threshold"])).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, child).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, child + 1).tolist(),
        "nodes_missing_value_tracks_true": np.zeros(len(own), np.int64).tolist(),
        "target_treeids": tree_of[is_leaf].tolist(),
        "target_nodeids": ids[is_leaf].tolist(),
        "target_ids": np.zeros(int(is_leaf.sum()), np.int64).tolist(),
        "target_weights": own["threshold"][is_leaf].tolist(),
        "base_values": [float(trees.table.bases[0])],
    }


def _runtimes(data: bytes, trees: Trees | None) -> Iterator[tuple[str, Score]]:
    """Yield the providers of ONNX Runtime that are present and take the model, with its scores."""
    import onnxruntime  # noqa: PLC0415  # 20 MB that a desk of trees does without

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for provider in sorted(set(onnxruntime.get_available_providers()) - REMOTE):
        session = onnxruntime.InferenceSession(data, options, providers=[provider])
        if session.get_providers()[0] == provider:
            yield (provider if trees is None else f"ONNX Runtime, {provider}"), _score_of(session, trees)


def _score_of(session: Any, trees: Trees | None) -> Score:
    """Return how a session scores one row."""
    asked = session.get_inputs()[0]
    kind = np.float64 if "double" in asked.type else np.float32

    def score(row: Floats) -> float:
        found = float(np.ravel(session.run(None, {asked.name: row.astype(kind)[None, :]})[-1])[0])
        if trees is None or trees.table.link == Link.IDENTITY:
            return found
        return float(1.0 / (1.0 + np.exp(-trees.table.scale * found)))

    return score


def _us_of(score: Score, rows: Floats) -> float:
    """Return the least mean time of a row over several passes: what other processes take is not the back end's."""
    spent = []
    for _ in range(PASSES):
        begun = perf_counter_ns()
        for row in rows:
            score(row)
        spent.append((perf_counter_ns() - begun) / len(rows) / 1_000.0)
    return min(spent)
