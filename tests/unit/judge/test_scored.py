"""Scores are read from decisions in one walk: of one version, with a score, instrument by instrument."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on

from tradeworthy.judge.monitor.joins.scored import scored_of


@pytest.fixture
def decisions():
    """Return sixty decisions of two versions on three instruments, some of them warming."""
    rng = np.random.default_rng(5)
    made = decisions_on(bars(np.ones(60)), rng.random(60))
    made["version"] = np.where(rng.random(60) < 0.3, VERSION + 1, VERSION)
    made["instrument"], made["score"][rng.random(60) < 0.2] = rng.integers(0, 3, 60), np.nan
    made["score"][7] = np.inf
    return made


@pytest.mark.parametrize("step", [1, 2, -1])
def test_columns_are_those_of_the_scored_decisions_of_one_version(decisions, step):
    """Whatever the layout of the records, each column has the fields of the very decisions that a mask finds."""
    records = decisions[::step]
    scored = scored_of(records, VERSION)
    places = np.flatnonzero((records["version"] == VERSION) & np.isfinite(records["score"]))
    assert 5 < len(places) < len(records)
    assert scored.places.tolist() == places.tolist()
    for name, column in (
        ("score", scored.scores),
        ("ts_event_ns", scored.ts_ns),
        ("instrument", scored.instruments),
    ):
        assert column.tolist() == records[name][places].tolist()


def test_each_instrument_has_its_own_in_order(decisions):
    """The parts of all instruments together are the whole, and each stays in the order decided."""
    scored, seen = scored_of(decisions, VERSION), list[int]()
    for instrument, places in scored.by_instrument():
        own = scored.at(places)
        assert set(own.instruments.tolist()) == {instrument}
        assert own.scores.tolist() == decisions["score"][own.places].tolist()
        assert (np.diff(own.places) > 0).all()
        seen += own.places.tolist()
    assert sorted(seen) == scored.places.tolist()


def test_nothing_scored_is_no_instrument(decisions):
    """No decision, one of another version, and one without a score: there is nothing to chart."""
    for records in (decisions[:0], decisions[decisions["version"] != VERSION], decisions[np.isnan(decisions["score"])]):
        scored = scored_of(records, VERSION)
        assert len(scored.scores) == 0
        assert scored.by_instrument() == []
