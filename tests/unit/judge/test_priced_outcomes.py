"""A label whose price is an expression is the very same for monitors as in training, wherever the tape is cut."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import FIELDS, Gap, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.joins.joined import ForwardingJoin
from tradeworthy.judge.monitor.joins.outcomes import JOINED, LABELLED, OutcomeJoin
from tradeworthy.judge.monitor.performance import PerformanceMonitor
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, ReliabilitySettings
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction, forward_return
from tradeworthy.testing.monitors import run

HORIZON, N = 5, 900
DESK = [Instrument(symbol="ETH"), Instrument(symbol="BTC")]
PRICES = {
    "as it stands": bar.close,
    "of two fields": (bar.high + bar.low) / 2.0,
    "a short window": bar.close.mean(20),
    "a window longer than any seam": bar.close.mean(200),
    "never forgets": bar.close.ema(50),
}


def market(seed=0, *, hole_at=None):
    """Return bars of two instruments that take turns; one in 50 was refused; where asked, bars of ETH were lost."""
    rng = np.random.default_rng(seed)
    events = bars(100.0 * np.exp(np.cumsum(1e-3 * rng.standard_normal(N))))
    events["values"][:, 1] *= 1.001
    events["instrument"] = np.arange(N) % 2
    refused = rng.random(N) < 0.02
    events["values"][refused, :4] *= 50.0
    events["flags"][refused] = DenialCode.INPUT_JUMP
    if hole_at is not None:
        events["kind"][hole_at], events["flags"][hole_at] = Kind.GAP, 0
        events["values"][hole_at, FIELDS[Kind.GAP].index("cause")] = Gap.LOST
        events["values"][hole_at, FIELDS[Kind.GAP].index("kind")] = Kind.BAR
    return events


def joined_in(label, events, cuts):
    """Return what joins say that are each restarted at every cut."""
    decisions, found, join = decisions_on(events, 0.5), [], OutcomeJoin(label, instruments=DESK)
    decisions = decisions[events["kind"] == Kind.BAR]
    for first, last in zip([0, *cuts], [*cuts, len(events)], strict=True):
        own = decisions["input_sequence"]
        part = events[first:last]
        join.observe(part)
        join.observe(decisions[(own >= part["sequence"][0]) & (own <= part["sequence"][-1])])
        found.append(join.take())
        again = OutcomeJoin(label, instruments=DESK)
        again.restore(join.state())
        join = again
    return np.concatenate(found)


@pytest.mark.parametrize("price", PRICES.values(), ids=PRICES)
@pytest.mark.parametrize("cuts", [[1], [450], [899], [300, 301, 700], range(37, N, 37), range(1, N)], ids=len)
def test_labels_are_the_same_to_the_last_bit_wherever_the_tape_is_cut(price, cuts):
    """Restarted at every cut, a join gives the bytes that it gives of the whole tape at once."""
    label, events = forward_return(price, HORIZON), market()
    whole, parts = joined_in(label, events, []), joined_in(label, events, cuts)
    assert len(whole) > N // 3
    assert whole.tobytes() == parts.tobytes()


@pytest.mark.parametrize("price", PRICES.values(), ids=PRICES)
@pytest.mark.parametrize("hole_at", [None, 400])
def test_monitors_label_as_training_does(price, hole_at):
    """The values are those of the label itself over the accepted events; a window begins anew where bars were lost."""
    label, events = forward_direction(price, HORIZON), market(1, hole_at=hole_at)
    accepted, found = events[events["flags"] == 0], joined_in(label, events, range(53, N, 53))
    for instrument in range(len(DESK)):
        labels, values, places = label.compute(accepted, instrument, DESK)
        own = np.sort(found[found["instrument"] == instrument], order="decision")
        at = np.isin(accepted["sequence"][places], own["decision"] - 1)
        assert at.sum() == len(own) > 30
        np.testing.assert_array_equal(own["label"], labels[at])
        np.testing.assert_array_equal(own["value"], values[at])


@pytest.mark.parametrize("cuts", [[450], range(37, N, 37), range(1, N)], ids=len)
def test_what_was_known_first_decides_wherever_the_tape_is_cut(cuts):
    """Decisions that both the market and an outcome label, or that the market passes without, get what came first."""
    rng, label = np.random.default_rng(5), forward_return(bar.close, HORIZON)
    events = market(3)
    events["values"][rng.random(N) < 0.05, 3] = np.nan
    reported = np.flatnonzero(rng.random(N) < 0.2)
    about = np.clip(reported + rng.integers(-30, 10, len(reported)), 0, N - 1)
    events["kind"][reported], events["flags"][reported] = Kind.OUTCOME, 0
    events["reference"][reported] = events["sequence"][about] + 1
    events["values"][reported, :2] = 7.0
    whole, parts = joined_in(label, events, []), joined_in(label, events, cuts)
    assert whole.tobytes() == parts.tobytes()
    by_outcome = whole["value"] == 7.0
    assert 10 < by_outcome.sum() < len(whole) - 300
    of = dict(zip(events["reference"][reported].tolist(), events["sequence"][reported].tolist(), strict=True))
    late = [each for each in whole[~by_outcome] if of.get(int(each["decision"]), N * N) < each["sequence"]]
    assert late == []


def reliability(label):
    """Return performance with a listener that hears labels, on a desk of two instruments."""
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.3, 0.7, 2_000)
    settings = ReliabilitySettings(false_alarms_per_10k=20.0, quiet=50)
    labels = (rng.random(2_000) < scores).astype(np.float64)
    listener = ReliabilityMonitor(scores, labels, version=VERSION, settings=settings)
    join = ForwardingJoin(label, instruments=DESK, versions=[VERSION], listeners=[listener])
    return PerformanceMonitor(join), listener


@pytest.mark.parametrize("step", [7, 64, 250])
def test_no_finding_depends_on_the_slices(step):
    """A monitor of labels tells the same sentences of slices of any size as of the whole tape."""
    events = market(2)
    decisions = decisions_on(events, np.random.default_rng(4).uniform(0.3, 0.7, N))
    told = []
    for size in (N, step):
        monitor, listener = reliability(forward_direction(bar.close.ema(100), HORIZON))
        for first in range(0, N, size):
            run(monitor, [events[first : first + size], decisions[first : first + size]])
        told.append([(each.sequence, each.sentence) for each in listener.findings()])
    assert len(told[0]) > 1
    assert told[0] == told[1]


def test_a_state_that_kept_the_last_events_is_read_on():
    """A watcher that is upgraded labels the decisions that waited, once each, by the events of its older state."""
    label, events = forward_return(bar.close, HORIZON), market()[::2]
    decisions = decisions_on(events, 0.5)
    whole = OutcomeJoin(label, instruments=DESK)
    whole.observe(events)
    whole.observe(decisions)
    expected, join = whole.take(), OutcomeJoin(label, instruments=DESK)
    kept = events[:200][events["flags"][:200] == 0]
    older = {name: array for name, array in join.state().items() if not name.startswith("lane.")}
    older["newest"] = np.array([decisions["sequence"][199], events["sequence"][199]], np.uint64)
    older["waiting"] = waiting_of(label, events[:200], decisions[:200])
    older |= {"labels.0": np.empty(0, LABELLED), "events.0": kept[-64 - HORIZON :].copy()}
    older["passed.0"] = np.array([kept["sequence"][-1 - HORIZON]])
    join.restore(older)
    join.observe(events[200:])
    join.observe(decisions[200:])
    late = expected[expected["sequence"] > events["sequence"][199]]
    assert late.tobytes() == join.take().tobytes()
    assert late.dtype == JOINED
    assert len(late) > 200


def waiting_of(label, events, decisions):
    """Return the decisions that wait after events."""
    join = OutcomeJoin(label, instruments=DESK)
    join.observe(events)
    join.observe(decisions)
    join.take()
    return join.state()["waiting"]


def test_the_memory_of_another_price_is_refused():
    """A state of a label with another program is not taken for this one's."""
    join = OutcomeJoin(forward_return(bar.close.mean(20), HORIZON), instruments=DESK)
    join.observe(market())
    other = OutcomeJoin(forward_return(bar.close.mean(200), HORIZON), instruments=DESK)
    with pytest.raises(DataInvalid, match="do not fit program"):
        other.restore(join.state())
