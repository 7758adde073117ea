"""The join of decisions with labels says what a slow and plain one says, on streams as bad as streams get."""

import math

import numpy as np
import pytest
from tape_slices import STEP_NS, bars, decisions_on, outcomes_of

from tradeworthy.core.events import Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import Kept
from tradeworthy.judge.monitor.joins.outcomes import JOINED, LABELLED, OutcomeJoin
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction

HORIZON, N = 4, 300
DESK = [Instrument(symbol="ETH"), Instrument(symbol="BTC")]


def market(seed):
    """Return bars of three instruments, one of them unknown; prices are missing and events refused here and there."""
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(1e-3 * rng.standard_normal(N)))
    closes[rng.random(N) < 0.05] = np.nan
    events = bars(closes)
    events["instrument"] = rng.integers(0, 3, N)
    events["flags"][rng.random(N) < 0.05] = 31
    events["kind"][rng.random(N) < 0.1] = Kind.TRADE
    return events


def asked(events, seed):
    """Return decisions of two versions: some without a score, some about an earlier input, as late ones are."""
    rng = np.random.default_rng(seed)
    decisions = decisions_on(events, rng.random(N))
    decisions["score"][rng.random(N) < 0.1] = np.nan
    decisions["version"] = rng.integers(1, 3, N)
    decisions["role"] = rng.integers(1, 4, N)
    other = np.maximum.accumulate(np.clip(np.arange(N) - rng.integers(0, 4, N), 0, None))
    decisions["input_sequence"] = events["sequence"][other]
    decisions["instrument"] = events["instrument"][other]
    return decisions


def plainly(events, decisions, versions):
    """Return what a dictionary says of every decision: those joined as tuples, and how many are given up and wait."""
    labels, passed = {}, {}
    for instrument in range(len(DESK)):
        own = [e for e in events if e["instrument"] == instrument and e["kind"] == Kind.BAR and e["flags"] == 0]
        for now, later in zip(own, own[HORIZON:], strict=False):
            passed[instrument] = int(now["sequence"])
            value = math.log(later["values"][3] / now["values"][3])
            if math.isfinite(value):
                labels[int(now["sequence"])] = int(later["sequence"]), int(later["ts_event_ns"]), float(value > 0.0)
    joined, given_up, waiting = [], 0, 0
    for each in decisions:
        if (versions is not None and int(each["version"]) not in versions) or not math.isfinite(each["score"]):
            continue
        fact = labels.get(int(each["input_sequence"]))
        if fact is not None:
            joined.append((*fact, int(each["sequence"]), float(each["score"]), int(each["version"]), int(each["role"])))
        elif int(each["input_sequence"]) <= passed.get(int(each["instrument"]), -1):
            given_up += 1
        else:
            waiting += 1
    return sorted(joined), given_up, waiting


def told(joined):
    """Return joined records as tuples, in their order."""
    names = ("sequence", "ts_known_ns", "label", "decision", "score", "version", "role")
    return list(zip(*(joined[name].tolist() for name in names), strict=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [1, 7, 64, N])
@pytest.mark.parametrize("versions", [None, [2], [1, 2]])
def test_the_market_labels_what_a_dictionary_says(seed, step, versions):
    """However streams are cut, whatever is read first, and across a restart: the same joins, given up and waiting."""
    events = market(seed)
    decisions = asked(events, seed + 10)
    join, found = OutcomeJoin(forward_direction(bar.close, HORIZON), instruments=DESK, versions=versions), []
    for first in range(0, N, step):
        parts = [events[first : first + step], decisions[first : first + step], events[:0], decisions[:0]]
        for part in parts[:: -1 if (first // step) % 2 else 1]:
            join.observe(part)
            found.append(join.take())
            assert told(found[-1]) == sorted(told(found[-1]))
        again = OutcomeJoin(forward_direction(bar.close, HORIZON), instruments=DESK, versions=versions)
        again.restore(join.state())
        join = again
    joined, given_up, waiting = plainly(events, decisions, versions)
    assert sorted(told(np.concatenate(found))) == joined
    assert len(joined) > 30
    assert (join.given_up, join.waiting) == (given_up, waiting)


def test_labels_come_in_the_order_in_which_they_became_known():
    """Decisions that ask in falling order are joined all the same, and handed on once they and the labels are known."""
    events = bars(100.0 + np.arange(20))
    decisions = decisions_on(events, 0.5)
    decisions["input_sequence"] = decisions["input_sequence"][::-1]
    join = OutcomeJoin(forward_direction(bar.close, HORIZON), instruments=DESK)
    join.observe(events)
    join.observe(decisions)
    joined = join.take()
    assert sorted(joined["sequence"].tolist()) == events["sequence"][HORIZON:].tolist()
    both = [max(each["sequence"], each["decision"]) for each in joined]
    assert both == sorted(both)
    assert set(joined["decision"].tolist()) == set(decisions["sequence"][HORIZON:].tolist())
    assert join.waiting == HORIZON


@pytest.mark.parametrize("step", [1, 5, N])
def test_outcomes_label_what_a_dictionary_says(step):
    """Late, early, repeated and without order: the first outcome that was read of a decision is its label."""
    rng = np.random.default_rng(3)
    events = bars(100.0 + np.arange(N))
    decisions = decisions_on(events, rng.random(N))
    about = rng.integers(0, N, N)
    outcomes = outcomes_of(decisions[about], (rng.random(N) < 0.5).astype(float))
    outcomes["sequence"] = 10_000 + np.arange(N)
    expected = {}
    for decision, outcome in zip(decisions["sequence"][about].tolist(), outcomes, strict=True):
        expected.setdefault(decision, (int(outcome["sequence"]), float(outcome["values"][0])))
    join, found = OutcomeJoin(), []
    for first in range(0, N, step):
        join.observe(decisions[first : first + step])
        join.observe(outcomes[first : first + step])
        found.append(join.take())
        again = OutcomeJoin()
        again.restore(join.state())
        join = again
    joined = np.concatenate(found)
    facts = zip(joined["sequence"].tolist(), joined["label"].tolist(), strict=True)
    assert dict(zip(joined["decision"].tolist(), facts, strict=True)) == expected
    assert len(joined) == len(expected)
    assert join.waiting == N - len(expected)


def test_outcomes_that_waited_before_are_read_from_older_states():
    """A state of a release that kept them as joined records goes on all the same."""
    decisions = decisions_on(bars([100.0, 101.0]), 0.5)
    state = OutcomeJoin().state()
    early = np.zeros(1, JOINED)
    early["sequence"], early["decision"], early["ts_known_ns"] = 1_000, decisions["sequence"][1], STEP_NS
    early["label"] = 1.0
    del state["outcomes"]
    state["early"] = early
    join = OutcomeJoin()
    join.restore(state)
    join.observe(decisions)
    joined = join.take()
    assert told(joined) == [(1_000, STEP_NS, 1.0, int(decisions["sequence"][1]), 0.5, int(decisions["version"][0]), 1)]
    assert join.waiting == 1


def test_records_are_kept_in_memory_that_is_used_again():
    """What comes in goes out in order, whatever is dropped in between, and the memory does not grow for ever."""
    kept, expected, rng = Kept(LABELLED), [], np.random.default_rng(5)
    for turn in range(400):
        fresh = np.zeros(int(rng.integers(0, 9)), LABELLED)
        fresh["sequence"] = 10 * turn + np.arange(len(fresh))
        kept.add(fresh)
        expected += fresh["sequence"].tolist()
        gone = int(rng.integers(0, 9))
        kept.drop(min(gone, len(kept)))
        expected = expected[gone:]
        assert kept.records["sequence"].tolist() == expected
        assert len(kept) == len(expected)
    assert len(kept.room(0).base) < 1_000
    kept.drop(-1)
    kept.shrink(2)
    assert kept.records["sequence"].tolist() == expected[:2]
    kept.replace(fresh)
    assert kept.records["sequence"].tolist() == fresh["sequence"].tolist()
