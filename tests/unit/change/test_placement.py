"""Where a score is computed fastest is measured beside parity; what a new process needs is measured on one."""

import numpy as np
import pytest
from change_desk import STRATEGY, desk
from gate_candidates import candidate, judged, register
from test_compared_events import context_of
from test_hostile_candidates import NETWORK

from tradeworthy.change.evidence.context import NotGathered, Work
from tradeworthy.change.evidence.placement import as_onnx, back_ends
from tradeworthy.change.evidence.startup import gather_startup
from tradeworthy.core.time import processor_ns
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.judge.validate.latency import Placement, Startup
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
