"""A signed model that fails while it scores: the desk goes on, nothing is sent, and the record replays."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import BundleRefused
from tradeworthy.core.events import Kind
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import Shelf, SmallDesk, market

FEATURES = 5
TABLE = 60
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=60)
FAILS_AT = 100


def looked_up(*, first=0.0):
    """Return a model that looks its score up by the first feature; beyond the table the runtime fails."""
    places = {"zero": np.array([0]), "scale": np.float32([1_000.0]), "first": np.float32([first])}
    table = np.linspace(0.4, 0.6, TABLE).astype(np.float32)
    constants = [numpy_helper.from_array(each, name) for name, each in (places | {"table": table}).items()]
    nodes = [
        helper.make_node("Gather", ["rows", "zero"], ["feature"], axis=1),
        helper.make_node("Mul", ["feature", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "first"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["scores"], axis=0),
    ]
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, FEATURES])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "graph", [rows], [scores], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return Onnx(model.SerializeToString())


def test_a_row_that_cannot_be_scored_has_no_score():
    """One and many agree, and the rows beside it keep theirs."""
    model = looked_up()
    rows = np.zeros((3, FEATURES))
    rows[1, 0] = 1.0
    assert np.isnan(model.one(rows[1])).tolist() == [True]
    many = model.many(rows)
    assert np.isnan(many[:, 0]).tolist() == [False, True, False]
    assert many[0].tobytes() == model.one(rows[0]).tobytes()


def test_a_model_that_scores_nothing_is_refused():
    """One that fails at zeros already is no model, when it is loaded and not when it trades."""
    with pytest.raises(BundleRefused, match="cannot score a row of zeros"):
        looked_up(first=2.0 * TABLE)


def test_the_desk_goes_on_and_its_record_replays(tmp_path):
    """A return never seen in training makes the runtime fail: no order, a refusal of its own, and a restart is one."""
    shelf = Shelf(tmp_path / "shelf")
    shelf.make(0, predictor=lambda _: looked_up())
    events = market(150, seed=4)
    bars = np.flatnonzero((events["instrument"] == 0) & (events["kind"] == Kind.BAR))
    jump = events["values"][bars[FAILS_AT]]
    jump[1] = jump[3] = jump[3] * 1.08  # high and close
    for part in np.array_split(events, 2):
        with SmallDesk(tmp_path / "desk", shelf=shelf, settings=SETTINGS) as small:
            small.run(part)
    decisions = TapeReader(tmp_path / "desk" / "tape").read("decisions")
    failed = np.isnan(decisions["score"]) & (decisions["verdict"] != DenialCode.FEATURES_WARMING)
    assert failed[FAILS_AT]
    assert (decisions["quantity"][failed] == 0.0).all()
    assert len(decisions) == 150
    report = replay(tmp_path / "desk" / "tape", shelf.load)
    assert report.first_difference is None
    assert report.decisions == 150
