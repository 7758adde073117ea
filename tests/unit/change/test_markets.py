"""Instruments and venues in the gate: what is traded by a version that learned elsewhere is judged there too."""

import msgspec
import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, REVIEWED, START_NS, TRAINING, desk, market, write_strategy

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.evidence.gatherers import GATHERERS
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.fairness import FairnessSettings, Markets
from tradeworthy.judge.validate.gate import GateSettings, judge

BOTH = (*INSTRUMENTS, Instrument(symbol="BTC"))
VENUES = FairnessSettings(venues={"north": ("ETH", "BTC"), "south": ("XRP",)})


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def both(other):
    """Return the market of the training, and another instrument's bars at the same times."""
    other = other.copy()
    other["instrument"] = 1
    events = np.concatenate([market(), other])
    return events[np.argsort(events["ts_event_ns"], kind="stable")]


def swinging():
    """Return bars whose price comes back at once: whoever follows the last return is wrong."""
    events, rng = market(seed=2), np.random.default_rng(6)
    events["values"][:, 3] = 300.0 * np.exp(0.01 * rng.standard_normal(len(events)))
    return events


def evidence_of(home, events, *, instruments=BOTH, settings=VENUES, strategy=True, profile="full"):
    """Gather what is known by instrument."""
    return gather(
        home.registry,
        home.registered(),
        instruments=instruments,
        limits=EVERY_LIMIT,
        events=events,
        profile=profile,
        strategy=write_strategy(home.folder) if strategy else None,
        training=TRAINING,
        settings=GateSettings(fairness=settings, documents=REVIEWED),
        gatherers=[each for each in GATHERERS if each.kind is Markets],
        clock=VirtualClock(START_NS),
    )


def result_of(evidence):
    """Judge, and return the check's result."""
    report = judge(evidence, GateSettings(fairness=VENUES), clock=VirtualClock(START_NS))
    return next(result for result in report.results if result.name == "worst_market")


def test_a_bad_candidate_that_is_wrong_elsewhere_is_refused_for_it(home):
    """It follows returns, and trades a market that swings back: refused, by the name of the instrument."""
    found = result_of(evidence_of(home, both(swinging())))
    assert found.verdict == "fail"
    assert found.measured.startswith("instrument BTC: AUC 0.3")
    assert [row[0] for row in found.tables[0].rows] == ["instrument ETH", "instrument BTC", "venue north"]
    assert all(row[3] > 900 for row in found.tables[0].rows)


def test_where_it_is_as_right_it_passes(home):
    """Another market with the same habit is judged by models that had not seen its time."""
    evidence = evidence_of(home, both(market(seed=2)))
    found = result_of(evidence)
    assert found.verdict == "pass"
    eth, btc, north = found.tables[0].rows
    assert min(eth[1], btc[1]) > 0.55
    assert north[3] == eth[3] + btc[3]


def test_only_what_no_model_had_seen_counts(home):
    """The other instrument's rows are those of the tested spans: bars before the first test change nothing."""
    before = both(market(seed=2))
    first = before["ts_event_ns"] < market()["ts_event_ns"][400]
    changed = before.copy()
    changed["values"][first & (changed["instrument"] == 1), :4] *= 2.0
    one, other = (evidence_of(home, each).part(Markets).tables[0].rows[1] for each in (before, changed))
    assert one == other


def test_a_traded_instrument_that_was_not_seen_is_missing(home):
    """Without bars of it nobody knows: the verdict is missing, and names it."""
    found = result_of(evidence_of(home, market()))
    assert found.verdict == "missing"
    assert "traded and not seen: BTC" in found.measured


def test_one_instrument_alone_needs_no_fit(home):
    """What is only read is not judged, and a desk of one instrument is judged by its own walk-forward."""
    only_read = (*INSTRUMENTS, msgspec.structs.replace(BOTH[1], traded=False))
    found = result_of(evidence_of(home, both(swinging()), instruments=only_read, strategy=False))
    assert found.verdict == "pass"
    assert [row[0] for row in found.tables[0].rows] == ["instrument ETH", "venue north"]


def test_without_a_strategy_nobody_says_that_it_is_right_elsewhere(home):
    """The models of the walk-forward cannot be fitted again: missing, with the reason."""
    found = result_of(evidence_of(home, both(market(seed=2)), strategy=False))
    assert found.verdict == "missing"
    assert "no strategy file" in found.measured
