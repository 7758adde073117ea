"""A version at work: one, many, batches, predictors outside the kernels, roles."""

import dataclasses

import msgspec
import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.limits import Limits
from tradeworthy.live.path import STANDBY
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.state import CheckSettings
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.manifest import Signal
from tradeworthy.testing.desks import BAR_NS, INSTRUMENTS, LIMITS, Shelf, market, random_trees, small_program

WARMING = 20


class Outside:
    """A predictor that no kernel knows: the same scores, from Python."""

    format = "outside"

    def __init__(self, trees) -> None:
        self._trees = trees
        self.n_features, self.n_outputs = trees.n_features, trees.n_outputs

    def one(self, row):
        return self._trees.one(np.ascontiguousarray(row))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def version(shelf):
    return shelf.make(1)


@pytest.fixture(scope="module")
def events():
    return market(150, seed=3)


def decisions_of(pipeline, events):
    """Return all decisions over events; an order, if any, is rejected at once so that the desk goes on."""
    made, place = [], 0
    while place < len(events):
        found, place = pipeline.many(events, place)
        made.append(found)
        account, positions = pipeline.desk.account, pipeline.desk.positions
        account["open_orders"] = 0
        positions["buying"], positions["selling"] = 0.0, 0.0
    return np.concatenate(made)


def same(left, right):
    """Compare records byte for byte."""
    return left.tobytes() == right.tobytes()


def test_every_traded_bar_gives_one_decision(version, events):
    """Bars of the read-only instrument and other kinds give none."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    decisions = decisions_of(pipeline, events)
    asked = events[events["instrument"] == 0]
    assert len(decisions) == len(asked)
    assert (decisions["ts_event_ns"] == asked["ts_event_ns"]).all()
    assert (decisions["instrument"] == 0).all()
    assert (decisions["version"] == version.number).all()
    assert (decisions["role"] == Role.CHAMPION).all()


def test_decisions_warm_up_first(version, events):
    """Until the longest window is full the verdict says so, and there is no score."""
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)
    assert (decisions["verdict"][:WARMING] == DenialCode.FEATURES_WARMING).all()
    assert np.isnan(decisions["score"][:WARMING]).all()
    assert np.isfinite(decisions["score"][WARMING:]).all()


def test_scores_are_the_predictors_own(version, events):
    """Features and trees called by themselves give the same bits as the whole path."""
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)
    rows, _ = FeatureState(version.program, INSTRUMENTS).many(events)
    scores = np.array([version.predictor.one(row)[0] for row in rows])
    assert same(decisions["score"][WARMING:], scores)


@pytest.mark.parametrize("room", [1, 7, 64])
def test_one_and_many_agree_to_the_last_bit(version, events, room):
    """One event at a time, or batches of any size: the same decisions."""
    whole = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS, room=1024), events)
    parts = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS, room=room), events)
    assert same(whole, parts)


def test_one_event_gives_its_decision_or_none(version, events):
    """`one` answers for the event itself."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    btc, eth = events[0], events[1]
    assert pipeline.one(btc) is None
    decision = pipeline.one(eth)
    assert decision["ts_event_ns"] == eth["ts_event_ns"]


def test_predictors_outside_the_kernels_decide_the_same(version, events):
    """The path with a gap for a foreign predictor gives the same bits as the closed one."""
    outside = dataclasses.replace(version, predictor=Outside(version.predictor))
    inside = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)
    assert same(inside, decisions_of(Pipeline.alone(outside, INSTRUMENTS, LIMITS), events))


def test_score_that_is_no_number_is_refused(version, events):
    """A predictor that answers NaN gets no order, and its decision says why."""

    class Broken(Outside):
        def one(self, row: np.ndarray) -> np.ndarray:
            return np.full_like(super().one(row), np.nan)

    broken = dataclasses.replace(version, predictor=Broken(version.predictor))
    decisions = decisions_of(Pipeline.alone(broken, INSTRUMENTS, LIMITS), events)
    assert (decisions["verdict"][WARMING:] == DenialCode.SCORE_NOT_FINITE).all()
    assert (decisions["quantity"] == 0.0).all()


def test_run_stops_after_an_order(version, events):
    """The venue's answers must be consumed before the next event."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    decisions, stop = pipeline.many(events)
    assert stop < len(events)
    assert decisions["quantity"][-1] != 0.0
    assert (decisions["quantity"][:-1] == 0.0).all()
    assert events["ts_event_ns"][stop - 1] == decisions["ts_event_ns"][-1]


def test_order_carries_what_the_decision_says(version, events):
    """Quantity, reference price and version are one, and the limit price is no better than the reference."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    decisions, _ = pipeline.many(events)
    order, last = pipeline.order[0], decisions[-1]
    assert order["quantity"] == last["quantity"] == last["target"] - last["position"]
    assert order["reference_price"] == last["price"]
    assert order["version"] == last["version"]
    assert order["limit_price"] >= last["price"]
    assert pipeline.desk.positions["buying"][0] == last["quantity"]


def test_without_limits_every_order_is_refused(version, events):
    """A desk that nobody gave limits decides, and sends nothing."""
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, Limits()), events)
    refused = decisions[decisions["verdict"] == DenialCode.LIMIT_MISSING]
    assert len(refused)
    assert (decisions["quantity"] == 0.0).all()
    assert np.isnan(refused["limit"]).all()


def test_refusal_is_recorded_with_what_was_observed(version, events):
    """The decision shows the observed value and the limit of the check that refused."""
    tight = Limits(**{name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__} | {"order_value_max": 10.0})
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, tight), events)
    refused = decisions[decisions["verdict"] == DenialCode.ORDER_VALUE]
    assert len(refused)
    assert (refused["observed"] > 900.0).all()
    assert (refused["limit"] == 10.0).all()


def test_features_outside_the_training_range_refuse(version, events):
    """A version does not decide where it was never validated, and the score is still recorded."""
    wild = events.copy()
    wild["values"][200:, 1:4] *= np.array([1.15, 0.85, 1.0])
    wild["values"][250::4, 0:4] *= 1.15
    narrow, wide = CheckSettings(range_margin=0.0), CheckSettings(range_margin=None)
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS, settings=narrow), wild)
    outside = decisions[decisions["verdict"] == DenialCode.FEATURES_OUT_OF_RANGE]
    assert len(outside)
    assert np.isfinite(outside["score"]).all()
    free = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS, settings=wide), wild)
    assert not (free["verdict"] == DenialCode.FEATURES_OUT_OF_RANGE).any()


def test_refused_events_change_no_feature(version, events):
    """Decisions after a bad bar are those of a stream without it."""
    bad = events[100:102].copy()
    bad["values"][:, 3] = np.nan
    bad["ts_event_ns"] += BAR_NS // 2
    dirty = np.concatenate([events[:102], bad, events[102:]])
    clean = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)
    found = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), dirty)
    refused = found["verdict"] == DenialCode.INPUT_NOT_FINITE
    assert refused.sum() == 1
    assert same(found[~refused], clean)


def test_halted_version_decides_and_sends_nothing(version, events):
    """A halt shows in every verdict, warm or not, and features go on."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    pipeline.halted = True
    decisions = decisions_of(pipeline, events)
    assert (decisions["verdict"] == DenialCode.HALTED).all()
    assert np.isfinite(decisions["score"][WARMING:]).all()


def test_late_decisions_are_flagged_and_send_nothing(version, events):
    """What is decided after a restart is marked and refused."""
    pipeline = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    pipeline.late = True
    decisions = decisions_of(pipeline, events)
    assert (decisions["flags"] == 1).all()
    assert (decisions["quantity"] == 0.0).all()


def test_standby_decides_nothing_and_keeps_warm(version, events):
    """A standby's first decision as champion is that of one that was champion all along."""
    always, waiting = (Pipeline.alone(version, INSTRUMENTS, LIMITS) for _ in range(2))
    waiting.role = STANDBY
    first, _ = waiting.many(events[:200])
    assert len(first) == 0
    waiting.role = Role.CHAMPION
    expected = decisions_of(always, events)[-50:]
    found = decisions_of(waiting, events[200:])
    assert same(found["score"], expected["score"])


def test_warmed_pipeline_continues_like_one_that_was_there(version, events):
    """Folding the record through a new version gives the features it would have had."""
    always, joined = (Pipeline.alone(version, INSTRUMENTS, LIMITS) for _ in range(2))
    expected = decisions_of(always, events)[-50:]
    joined.warm(events[:200])
    assert same(decisions_of(joined, events[200:])["score"], expected["score"])


def test_warming_leaves_out_what_was_refused(version, events):
    """A recorded input with a refusal in its flags never touched the features."""
    dirty = np.concatenate([events[:100], events[90:100], events[100:200]])
    dirty["flags"][100:110] = DenialCode.INPUT_DUPLICATE
    joined = Pipeline.alone(version, INSTRUMENTS, LIMITS)
    joined.warm(dirty)
    expected = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)[-50:]
    assert same(decisions_of(joined, events[200:])["score"], expected["score"])


def test_state_survives_dump_and_restore(version, events):
    """A pipeline restored from its arrays goes on as if nothing had happened."""
    first, second = (Pipeline.alone(version, INSTRUMENTS, LIMITS) for _ in range(2))
    decisions_of(first, events[:200])
    second.restore(first.dump())
    rest = decisions_of(first, events[200:])
    assert same(decisions_of(second, events[200:])["score"], rest["score"])


def test_state_of_another_version_is_refused(shelf, version):
    """Versions never share memory."""
    other = Pipeline.alone(shelf.make(2), INSTRUMENTS, LIMITS)
    with pytest.raises(DataInvalid, match="the state is of"):
        other.restore(Pipeline.alone(version, INSTRUMENTS, LIMITS).dump())


def test_nan_after_warm_up_is_told_from_warming(shelf):
    """A feature that becomes undefined later has its own verdict."""
    flat = market(80, seed=5)
    flat["values"][80:, :4] = 300.0  # no variance: the z-score is 0/0
    version = shelf.make(9, program=small_program(5), predictor=lambda rows: random_trees(rows, 9))
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), flat)
    assert decisions["verdict"][0] == DenialCode.FEATURES_WARMING
    assert decisions["verdict"][-1] == DenialCode.FEATURES_NOT_FINITE
    assert np.isnan(decisions["score"][-1])


def test_frame_is_left_to_the_tape(version, events):
    """Sequence, checksum and epoch are not ours to write."""
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, LIMITS), events)
    assert decisions.dtype == DECISION
    assert not decisions["sequence"].any()
    assert not decisions["crc"].any()


def test_orders_lie_on_the_lot_grid(shelf):
    """What an order asks for is a whole number of lots to the last bit, though positions are sums of such numbers."""
    held, wanted = 0.1 + 0.1 + 0.1, 1.1
    instruments = (msgspec.structs.replace(INSTRUMENTS[0], lot=0.1), INSTRUMENTS[1])
    version = shelf.make(9, signal=Signal(enter_long=-1.0, exit_long=-1.0, notional=wanted * 300.0 * 1.02))
    pipeline = Pipeline.alone(version, instruments, LIMITS)
    bars = market(30, seed=2)
    decisions, stop = pipeline.many(bars)
    assert decisions["quantity"][-1] > 0
    assert decisions["quantity"][-1] == round(decisions["quantity"][-1] / 0.1) / 10
    pipeline.desk.positions["quantity"], pipeline.desk.positions["buying"] = -held, 0.0
    pipeline.desk.account["open_orders"] = 0
    decisions, _ = pipeline.many(bars, stop)
    quantity = decisions["quantity"][-1]
    assert quantity > 0
    assert decisions["target"][-1] + held != quantity
    assert quantity == round(quantity / 0.1) / 10


def test_a_version_that_only_scores_is_refused_nothing(shelf):
    """On a desk without any limit, where every order would be refused, each score still is a decision; none orders."""
    version = shelf.make(11, signal=Signal(enter_long=-1.0, exit_long=-1.0, notional=0.0))
    decisions = decisions_of(Pipeline.alone(version, INSTRUMENTS, Limits()), market(60, seed=2))
    scored = decisions[np.isfinite(decisions["score"])]
    assert len(scored) >= 60 - WARMING
    assert not scored["verdict"].any()
    assert not scored["quantity"].any()
    trading = shelf.make(11, signal=Signal(enter_long=-1.0, exit_long=-1.0))
    refused = decisions_of(Pipeline.alone(trading, INSTRUMENTS, Limits()), market(60, seed=2))
    assert refused["verdict"][-1] == DenialCode.LIMIT_MISSING
