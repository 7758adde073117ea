"""Decisions meet their labels, early, late or never, from outcome events or from the market."""

import math

import msgspec
import numpy as np
import pytest
from tape_slices import STEP_NS, VERSION, bars, decisions_on, outcomes_of

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction, outcome

HORIZON = 3
ETH = [Instrument(symbol="ETH")]
CLOSES = [100.0, 101.0, 99.0, 102.0, 103.0, 98.0, 97.0, 104.0]


def market_join(**more):  # noqa: ANN003
    """Return a join that reads labels from closes."""
    return OutcomeJoin(forward_direction(bar.close, HORIZON), instruments=ETH, **more)


def test_an_outcome_event_labels_its_decision():
    """Label, value and the time at which they were known stand beside the decision's score."""
    decisions = decisions_on(bars(CLOSES[:2]), [0.4, 0.6])
    join = OutcomeJoin()
    join.observe(decisions)
    join.observe(outcomes_of(decisions, [0.0, 1.0]))
    joined = join.take()
    assert joined["decision"].tolist() == decisions["sequence"].tolist()
    assert joined["score"].tolist() == [0.4, 0.6]
    assert joined["label"].tolist() == [0.0, 1.0]
    assert joined["value"].tolist() == [-0.5, 0.5]
    assert (joined["ts_known_ns"] - joined["ts_event_ns"]).tolist() == [2 * STEP_NS] * 2
    assert (join.waiting, join.given_up, len(join.take())) == (0, 0, 0)


def test_an_outcome_read_before_its_decision_waits():
    """Streams are read in turn: an outcome may come first."""
    decisions = decisions_on(bars(CLOSES[:2]), 0.5)
    join = OutcomeJoin()
    join.observe(outcomes_of(decisions, [0.0, 1.0]))
    assert len(join.take()) == 0
    join.observe(decisions)
    assert join.take()["label"].tolist() == [0.0, 1.0]


def test_a_decision_is_labelled_once():
    """A repeated outcome changes nothing."""
    decisions = decisions_on(bars(CLOSES[:1]), 0.5)
    join = OutcomeJoin()
    join.observe(decisions)
    first, second = outcomes_of(decisions, [1.0]), outcomes_of(decisions, [0.0], at=2_000)
    join.observe(np.concatenate([first, second]))
    join.observe(second)
    assert join.take()["label"].tolist() == [1.0]
    assert len(join.take()) == 0


def test_an_outcome_of_nothing_known_is_dropped():
    """Outcomes of other versions' decisions do not pile up."""
    events = bars(CLOSES)
    decisions = decisions_on(events, 0.5, version=VERSION + 1)
    join = OutcomeJoin(versions=[VERSION])
    join.observe(decisions)
    join.observe(outcomes_of(decisions, 1.0))
    assert len(join.take()) == 0
    assert len(join.state()["outcomes"]) == 0


def test_the_market_labels_a_decision_when_its_horizon_has_passed():
    """Labels are those of the label itself, known at the bar that completes them and not before."""
    events = bars(CLOSES)
    join = market_join()
    join.observe(events)
    join.observe(decisions_on(events, 0.5))
    joined = join.take()
    np.testing.assert_allclose(joined["value"], np.log(np.array(CLOSES[HORIZON:]) / CLOSES[:-HORIZON]))
    assert joined["label"].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert joined["sequence"].tolist() == events["sequence"][HORIZON:].tolist()
    assert (joined["ts_known_ns"] - joined["ts_event_ns"]).tolist() == [HORIZON * STEP_NS] * 5
    assert join.waiting == HORIZON


@pytest.mark.parametrize("step", [1, 2, 5])
def test_slices_of_the_tape_give_the_same_labels(step):
    """Labels do not depend on how many records were read at a time."""
    closes = 100 + np.cumsum(np.random.default_rng(0).standard_normal(300))
    events = bars(closes)
    decisions = decisions_on(events, 0.5)
    whole, parts, found = market_join(), market_join(), []
    whole.observe(events)
    whole.observe(decisions)
    for i in range(0, 300, step):
        parts.observe(events[i : i + step])
        parts.observe(decisions[i : i + step])
        found.append(parts.take())
    np.testing.assert_array_equal(np.concatenate(found), whole.take())
    assert len(parts.state()["lane.0.prices"]) == HORIZON


def test_a_price_that_is_missing_leaves_its_decision_without_a_label():
    """Where the market has passed a decision without a label, it is given up and counted."""
    closes = list(CLOSES)
    closes[3] = math.nan
    events = bars(closes)
    join = market_join()
    join.observe(events)
    join.observe(decisions_on(events, 0.5))
    joined = join.take()
    assert len(joined) == 3
    assert join.given_up == 2
    assert join.waiting == HORIZON


def test_two_instruments_do_not_mix():
    """Each decision is labelled by its own instrument's bars."""
    up, down = bars([100.0, 101, 102, 103, 104]), bars([100.0, 99, 98, 97, 96], first_sequence=101, instrument=1)
    join = OutcomeJoin(
        forward_direction(bar.close, HORIZON), instruments=[Instrument(symbol="ETH"), Instrument(symbol="BTC")]
    )
    for events in (up, down):
        join.observe(events)
        join.observe(decisions_on(events, 0.5))
    joined = join.take()
    assert {(int(j["instrument"]), float(j["label"])) for j in joined} == {(0, 1.0), (1, 0.0)}
    assert len(joined) == 4


def test_decisions_without_a_score_are_not_joined():
    """A warming decision foresaw nothing, so nothing is asked of it."""
    events = bars(CLOSES)
    scores = np.full(len(CLOSES), 0.5)
    scores[:4] = np.nan
    join = market_join()
    join.observe(events)
    join.observe(decisions_on(events, scores))
    assert len(join.take()) == 1


def test_what_waits_survives_a_restart():
    """A restored join labels the decisions that waited, from events seen before and after."""
    events = bars(CLOSES)
    decisions = decisions_on(events, 0.5)
    whole, first, second = market_join(), market_join(), market_join()
    for join in (whole, first):
        join.observe(events[:5])
        join.observe(decisions[:5])
    assert len(first.take()) == 2
    second.restore(first.state())
    for join in (whole, second):
        join.observe(events[5:])
    assert second.take()["decision"].tolist() == whole.take()["decision"].tolist()[2:]


@pytest.mark.parametrize("at", range(len(CLOSES)))
def test_refused_events_are_no_part_of_a_label(at):
    """A wild bar that the input checks refused changes no label, wherever it stands: as in training."""
    clean = bars(CLOSES)
    wild = bars([1e6])
    wild["sequence"], wild["ts_event_ns"] = clean["sequence"][at] + 1, clean["ts_event_ns"][at]
    wild["flags"] = DenialCode.INPUT_JUMP
    expected, found = market_join(), market_join()
    for join, events in ((expected, clean), (found, np.insert(clean, at + 1, wild[0]))):
        join.observe(events)
        join.observe(decisions_on(clean, 0.5))
    assert expected.take().tobytes() == found.take().tobytes()
    assert found.waiting == HORIZON


@pytest.mark.parametrize("step", [1, 4, 100])
def test_labels_and_outcomes_are_told_apart_among_all_kinds_of_events(step):
    """Beside quotes, refused bars and another instrument's, in any slicing: the same labels, to the last byte."""
    clean = bars(CLOSES * 4, stride=10)
    decisions, others = decisions_on(clean, 0.5), np.repeat(clean, 3)
    reported = outcomes_of(decisions[:20:5], [1.0, 0.0, 0.0, 1.0], at=7)
    others["sequence"] += np.tile([2, 4, 6], len(clean)).astype(np.uint64)
    others["kind"][::3], others["flags"][1::3], others["instrument"][2::3] = Kind.QUOTE, DenialCode.INPUT_JUMP, 7
    plain, mixed = market_join(), market_join()
    for join, parts in ((plain, [clean, reported]), (mixed, [clean, reported, others])):
        tape = np.concatenate(parts)
        tape = tape[np.argsort(tape["sequence"])]
        for start in range(0, len(tape), step):
            join.observe(tape[start : start + step])
        join.observe(decisions)
    joined = mixed.take()
    assert joined["label"][joined["value"] == joined["label"] - 0.5].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert len(joined) == len(clean) - HORIZON
    assert joined.tobytes() == plain.take().tobytes()
    assert not joined["reserved"].any()


def test_an_outcome_that_rows_do_not_carry_may_be_reported_at_any_time():
    """The rows' own outcome counts when its rows have passed; a decision without one waits for an OUTCOME event."""
    label = msgspec.structs.replace(outcome("bad", 2), row_fields=("income",))
    rows = bars(CLOSES)
    rows["kind"] = Kind.ROW
    rows["values"][:, 1] = [1.0, math.nan, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    decisions = decisions_on(rows, 0.5)
    join = OutcomeJoin(label, instruments=ETH)
    join.observe(rows)
    join.observe(decisions)
    joined = join.take()
    assert joined["label"].tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    assert (joined["ts_known_ns"] - joined["ts_event_ns"]).tolist() == [2 * STEP_NS] * 5
    assert (join.waiting, join.given_up) == (3, 0)
    join.observe(outcomes_of(decisions[1:2], [0.0]))
    late = join.take()
    assert (late["decision"].tolist(), late["label"].tolist()) == ([int(decisions["sequence"][1])], [0.0])
