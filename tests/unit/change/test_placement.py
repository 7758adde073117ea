"""Where a score is computed fastest is measured beside parity; what a new process needs is measured on one."""

import numpy as np
import pytest
from change_desk import STRATEGY, desk
from gate_candidates import candidate, judged, register
from onnx import helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from test_compared_events import context_of
from test_hostile_candidates import NETWORK

from tradeworthy.change.evidence.context import NotGathered, Work
from tradeworthy.change.evidence.placement import IR_VERSION, OPSET, as_onnx, back_ends, quantised
from tradeworthy.change.evidence.startup import gather_startup
from tradeworthy.core.time import processor_ns
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.judge.validate.latency import Placement, Startup
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def result(report, name):
    """Return one check's result."""
    return next(each for each in report.results if each.name == name)


@pytest.mark.parametrize(("text", "served"), [(STRATEGY, "own kernel"), (NETWORK, "CPUExecutionProvider")])
def test_what_serves_is_timed_beside_every_back_end_that_is_present(home, text, served):
    """Trees run on our kernel, and in ONNX Runtime for comparison; a network where it runs. What serves has parity."""
    report = judged(home, register(home, candidate(text)), text=text, profile="full", only=(Placement,))
    rows = result(report, "placement").tables[0].rows
    assert (rows[0][0], rows[0][3]) == (served, True)
    assert all(us > 0.0 for _, us, _, _ in rows)
    assert GateReport.from_json(report.to_json()) == report, "NumPy's numbers have no place in a report"
    if text == STRATEGY:
        assert [name for name, *_ in rows][1:] == ["ONNX Runtime, CPUExecutionProvider"]


def test_trees_in_onnx_give_the_same_scores_where_32_bits_can_tell_the_sides_apart():
    """The ensemble that is written for comparison is the same model: rows away from every threshold score alike."""
    rng = np.random.default_rng(1)
    trees = Trees.from_forest(random_forest(rng, trees=20, n_features=4))
    named = dict(back_ends(trees))
    rows = rng.normal(size=(50, 4)).astype(np.float32).astype(np.float64)
    other = named["ONNX Runtime, CPUExecutionProvider"]
    assert max(abs(other(row) - float(trees.one(row)[0])) for row in rows) < 1e-4


def test_what_onnx_cannot_say_is_not_compared():
    """Sets of categories and several classes have no ensemble of this kind: only what serves is timed."""
    rng = np.random.default_rng(2)
    sets = Trees.from_forest(random_forest(rng, trees=20, n_features=4, categories=True))
    several = Trees.from_forest(random_forest(rng, trees=20, n_features=4, outputs=("a", "b", "c")))
    assert [as_onnx(each) for each in (sets, several)] == [None, None]
    assert [name for name, _ in back_ends(sets)] == ["own kernel"]


def network_of(weights):
    """Return a network of one layer with these (6,) weights, and rows of its kind."""
    kind = helper.np_dtype_to_tensor_dtype(weights.dtype)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["sum"]), helper.make_node("Sigmoid", ["sum"], ["score"])],
        "layer",
        [helper.make_tensor_value_info("rows", kind, [None, 6])],
        [helper.make_tensor_value_info("score", kind, [None, 1])],
        [numpy_helper.from_array(weights[:, None], "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return Onnx(model.SerializeToString()), np.random.default_rng(3).normal(size=(50, 6))


def test_a_network_is_tried_in_8_bits_too():
    """With weights in 8 bits a network scores nearly the same: nearly, which parity tells apart."""
    network, rows = network_of(np.array([0.7, -1.3, 0.2, 0.05, 2.0, -0.4], np.float32))
    named = dict(back_ends(network))
    assert next(iter(named)) == "CPUExecutionProvider"
    other = named["CPUExecutionProvider, 8 bits"]
    apart = [abs(other(row) - float(network.one(row)[0])) for row in rows]
    assert 1e-6 < max(apart) < 0.1


def test_what_has_no_weights_to_quantise_is_not_tried_in_8_bits():
    """Weights of 64 bits are not quantised, nor a linear model of one operator, nor what is quantised already."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(100, 3))
    linear = Onnx.from_sklearn(LogisticRegression().fit(rows, rows[:, 0] > 0.0), 3)
    weights = rng.normal(size=6)
    assert [quantised(each.data) for each in (linear, network_of(weights)[0])] == [None, None]
    assert [name for name, _ in back_ends(linear)] == ["CPUExecutionProvider"]
    once = quantised(network_of(weights.astype(np.float32))[0].data)
    assert once is not None
    assert quantised(once) is None


def test_a_new_process_is_timed_until_its_first_score(home):
    """Seconds from nothing and the memory that it took; within bounds that any machine keeps."""
    found = result(judged(home, register(home, candidate()), profile="full", only=(Startup,)), "startup")
    assert found.verdict == "pass"
    assert 0.05 < found.evidence["ready_s"] < 60.0
    assert 30.0 < found.evidence["memory_mb"] < 2_048.0


def test_a_start_that_ends_without_a_score_is_no_evidence(home):
    """Where a new process cannot load the bundle, the reason is told and nothing was gathered."""
    digest = register(home, candidate())
    context = context_of(home, digest, candidate())
    (home.folder / "versions" / digest[:16]).rename(home.folder / "gone")
    with pytest.raises(NotGathered, match=r"a new process ended without a score: .*NotFound"):
        gather_startup(context, Work("starting", 1.0, timer=processor_ns, report=lambda *_: None))


def test_a_start_that_takes_too_long_is_no_evidence(home):
    """A process that has not scored in time is stopped, and the gate goes on: nothing was gathered."""
    context = context_of(home, register(home, candidate()), candidate())
    with pytest.raises(NotGathered, match=r"gave no score within 0\.01 s"):
        gather_startup(context, Work("starting", 1.0, timer=processor_ns, report=lambda *_: None), seconds_max=0.01)
