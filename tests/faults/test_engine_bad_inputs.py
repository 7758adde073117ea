"""FAULTS 9 and 13: bad numbers, repeats and disorder, anywhere in a stream, change nothing but the record."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.live.replay import replay
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market

BARS = 90
EVENTS = market(BARS, seed=6)
BAD = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308]
CALM = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.make(0)
    return shelf


class Clean(NamedTuple):
    """What the stream as it should be led to; its repr stays short in reports."""

    decisions: np.ndarray
    orders: np.ndarray

    def __repr__(self) -> str:
        return "Clean"


def run(folder, shelf, events, batch_max=32):
    """Run a desk over events and return its inputs, decisions and orders."""
    with SmallDesk(folder, shelf=shelf) as small:
        small.run(events, batch_max=batch_max)
    reader = TapeReader(folder / "tape")
    return reader.read("inputs"), reader.read("decisions"), reader.read("orders")


@pytest.fixture(scope="module")
def clean(tmp_path_factory, shelf):
    """Decisions and orders of the stream as it should be."""
    return Clean(*run(tmp_path_factory.mktemp("clean"), shelf, EVENTS)[1:])


def essence(decisions):
    """What a decision decided, without names and times of writing."""
    return [decisions[name].tobytes() for name in ("ts_event_ns", "score", "target", "quantity", "verdict", "price")]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("field", range(5))
def test_bad_number_in_any_field_is_refused_and_recorded(tmp_path, shelf, field, value):
    """The bar is on the tape with its code, its decision says the same, and nothing was sent on it."""
    bad = EVENTS.copy()
    bad["values"][121, field] = value
    inputs, decisions, orders = run(tmp_path, shelf, bad)
    refused = inputs[inputs["flags"] != 0]
    fine = field == 4 and value == 0.0  # a bar without volume is a bar
    assert len(refused) == (0 if fine else 1)
    assert len(decisions) == BARS
    if fine:
        return
    assert refused["values"][0, field] == value or np.isnan(value)
    decision = decisions[decisions["input_sequence"] == refused["sequence"][0]]
    assert decision["verdict"][0] == refused["flags"][0]
    assert decision["verdict"][0] in (DenialCode.INPUT_NOT_FINITE, DenialCode.INPUT_NOT_POSITIVE)
    assert decision["sequence"][0] not in orders["decision"]
    assert replay(tmp_path / "tape", shelf.load).identical


@pytest.mark.parametrize("value", BAD)
def test_bad_number_in_the_instrument_only_read_is_refused(tmp_path, shelf, value):
    """A bar of the other instrument asks for no decision; it is refused and recorded all the same."""
    bad = EVENTS.copy()
    bad["values"][120, 3] = value
    inputs, decisions, _ = run(tmp_path, shelf, bad)
    assert inputs["instrument"][inputs["flags"] != 0].tolist() == [1]
    assert len(decisions) == BARS
    assert np.isfinite(decisions["score"][20:]).all()


def test_stream_of_nothing_but_bad_bars_sends_nothing(tmp_path, shelf):
    """However long the feed is broken, every bar has its refusal and no order leaves."""
    bad = EVENTS.copy()
    bad["values"][:, 3] = np.nan
    inputs, decisions, orders = run(tmp_path, shelf, bad)
    market_inputs = inputs[inputs["kind"] == Kind.BAR]
    assert (market_inputs["flags"] == DenialCode.INPUT_NOT_FINITE).all()
    assert (decisions["verdict"] == DenialCode.INPUT_NOT_FINITE).all()
    assert len(orders) == 0


@CALM
@given(seed=st.integers(0, 2**32 - 1), batch_max=st.integers(1, 64))
def test_repeats_and_late_copies_are_idempotent(tmp_path_factory, shelf, clean, seed, batch_max):
    """Events sent again, at once or much later, leave the decisions of the clean stream as they were."""
    rng = np.random.default_rng(seed)
    dirty = []
    for place, event in enumerate(EVENTS):
        dirty.append(event)
        if rng.random() < 0.3:
            back = int(rng.integers(0, min(place, 30) + 1))
            dirty.extend(EVENTS[place - back : place + 1])
    inputs, decisions, orders = run(tmp_path_factory.mktemp("dirty"), shelf, np.array(dirty), batch_max)
    market_inputs = inputs[inputs["kind"] == Kind.BAR]
    assert (market_inputs["flags"] == 0).sum() == len(EVENTS)
    refused = market_inputs["flags"][market_inputs["flags"] != 0]
    assert set(refused.tolist()) <= {DenialCode.INPUT_DUPLICATE, DenialCode.INPUT_OUT_OF_ORDER}
    believed = decisions[(decisions["verdict"] < 100) | (decisions["verdict"] > 199)]
    assert essence(believed) == essence(clean.decisions)
    assert orders["quantity"].tolist() == clean.orders["quantity"].tolist()


@CALM
@given(seed=st.integers(0, 2**32 - 1))
def test_disorder_is_refused_by_the_same_rule_as_a_model(tmp_path_factory, shelf, seed):
    """What is accepted of a shuffled stream is what a three-line model accepts: time moves forward, by lane."""
    rng = np.random.default_rng(seed)
    places = np.argsort(np.arange(len(EVENTS)) + rng.normal(0, 3, len(EVENTS)), kind="stable")
    shuffled = EVENTS[places]
    last, accepted = {0: 0, 1: 0}, []
    for event in shuffled:
        accepted.append(bool(event["ts_event_ns"] > last[int(event["instrument"])]))
        if accepted[-1]:
            last[int(event["instrument"])] = event["ts_event_ns"]
    inputs, decisions, _ = run(tmp_path_factory.mktemp("shuffled"), shelf, shuffled)
    market_inputs = inputs[inputs["kind"] == Kind.BAR]
    assert (market_inputs["flags"] == 0).tolist() == accepted
    assert len(decisions) == BARS


def test_feed_cannot_steer(tmp_path, shelf):
    """Control, fill and reject events from a feed are refused: only the block steers, only the venue fills."""
    forged = EVENTS.copy()
    forged["kind"][50:56] = [Kind.CONTROL, Kind.FILL, Kind.REJECT, Kind.CONTROL, 0, 200]
    forged["values"][50, :2] = (2, 0)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.control.halt()
        summary = small.run(forged)
    assert summary.halted
    assert summary.orders == 0
    assert summary.denied["INPUT_UNKNOWN_KIND"] == 6
    assert replay(tmp_path / "tape", shelf.load).identical


def test_venue_cannot_steer_or_invent(tmp_path, shelf):
    """Whatever a venue answers that is no answer to an open order is recorded and changes nothing."""

    class Lying(Paper):
        def observe(self, event: np.void) -> np.ndarray:
            answers = super().observe(event)
            lies = np.repeat(np.array([event]), 4)
            lies["kind"] = [Kind.FILL, Kind.REJECT, Kind.CONTROL, Kind.BAR]
            lies["reference"] = [123456, 123456, 0, 0]
            lies["values"][:, :3] = (1.0, 1.0, 0.0)
            return np.concatenate([lies, answers, answers])

    with SmallDesk(tmp_path / "lying", shelf=shelf, venue=Lying(PaperSettings(), INSTRUMENTS)) as small:
        lying = small.run(EVENTS)
    with SmallDesk(tmp_path / "honest", shelf=shelf) as small:
        honest = small.run(EVENTS)
    assert lying.positions == honest.positions
    assert lying.equity == honest.equity
    assert lying.fills == honest.fills
    assert replay(tmp_path / "lying" / "tape", shelf.load).identical
