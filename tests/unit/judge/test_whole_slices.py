"""Kernels over whole slices say what they say event by event."""

import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, rows_of
from test_charts import table

from tradeworthy.judge.monitor.base import Kept, by_instrument, chosen, fields_as, followed_by, latest, places_of
from tradeworthy.judge.monitor.control_charts.chart_table import ALARM, COLUMN, QUIET, SUM_UP, empty_state
from tradeworthy.judge.monitor.control_charts.cusum import watch
from tradeworthy.judge.monitor.control_charts.rate_kernels import UNSEEN
from tradeworthy.judge.monitor.control_charts.rates import RateCharts
from tradeworthy.judge.monitor.joins.pairing import PAIRED, RowPairing


def alarms_of(charts, rows, slices):
    """Return the rows and charts that alarm, and the memory at the end, where rows come in slices of some size."""
    state, found = empty_state(len(charts.constants)), []
    for first in range(0, len(rows), slices):
        part, at = np.ascontiguousarray(rows[first : first + slices]), 0
        while at < len(part):
            at = watch(charts, state, part, np.arange(first, first + len(part)), at)
            if at < len(part):
                heard = np.flatnonzero(state.counts[:, ALARM])
                found += [(first + at, int(chart), int(state.counts[chart, ALARM])) for chart in heard]
                state.counts[heard, QUIET] = 40
                state.sums[heard, SUM_UP : SUM_UP + 2] = 0.0
            at += 1
    return found, state


@pytest.mark.parametrize("slices", [1, 7, 256, 1_000])
def test_charts_alarm_at_the_same_rows_however_they_are_cut(slices):
    """Alarms, their sides and all memory are those of one row at a time, to the last bit."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((700, 3))
    rows[300:, 1] += 0.8
    rows[rng.random(rows.shape) < 0.02] = np.nan
    charts = table(3, DECAY=0.9, LIMIT_UP=5.0, LIMIT_DOWN=5.0)
    charts.constants[:, COLUMN] = np.arange(3)
    one, whole = alarms_of(charts, rows, 1), alarms_of(charts, rows, slices)
    assert len(one[0]) > 5
    assert one[0] == whole[0]
    for mine, other in zip(one[1], whole[1], strict=True):
        np.testing.assert_array_equal(mine, other)


def told_rates(hits, lanes, slices):
    """Return the events and charts that alarm where events come in slices of some size."""
    charts, found = RateCharts(4, false_alarms_per_10k=5.0, learn=50, quiet=30), []
    for first in range(0, len(hits), slices):
        part = slice(first, first + slices)
        for at in charts.alarms(lanes[part], hits[part], np.arange(first, first + len(hits[part]))):
            alarms = charts.take_alarms(int(lanes[first + at]), 2)
            found += [(first + at, each.chart, each.since_ns, each.hits, each.seen, each.longest) for each in alarms]
    return found


@pytest.mark.parametrize("slices", [3, 500, 5_000])
@pytest.mark.parametrize("mixed", [False, True])
def test_rates_alarm_at_the_same_events_however_they_are_cut(slices, mixed):
    """Alarms and what they say are those of one event at a time, for one lane and for two that take turns."""
    rng = np.random.default_rng(1)
    hits = (rng.random((5_000, 2)) < np.where(np.arange(5_000) < 2_500, 0.02, 0.2)[:, None]).astype(np.uint8)
    hits[rng.random(hits.shape) < 0.05] = UNSEEN
    lanes = 2 * (rng.random(5_000) < 0.5) if mixed else np.zeros(5_000, np.int64)
    lanes = np.where(rng.random(5_000) < 0.02, -1, lanes)
    one = told_rates(hits, lanes, 1)
    assert len(one) > 3
    assert told_rates(hits, lanes, slices) == one


def test_places_are_found_in_any_order_of_asking():
    """Rising, falling and missing keys are told alike."""
    keys = np.array([2, 5, 9, 11], np.uint64)
    assert places_of(keys, np.array([2, 4, 9, 12, 5, 11, 1], np.uint64)).tolist() == [0, -1, 2, -1, 1, 3, -1]
    assert places_of(keys[:0], keys).tolist() == [-1] * 4


def test_records_are_joined_and_cut_without_touching_their_source():
    """What is kept is in memory of its own; nothing fresh leaves what was there."""
    first, second = np.zeros(2, PAIRED), np.ones(3, PAIRED)
    both = followed_by(first, second)
    second["sequence"] = 7
    assert both["sequence"].tolist() == [0, 0, 1, 1, 1]
    assert followed_by(first, second[:0]) is first
    assert latest(first, second, 4)["sequence"].tolist() == [0, 7, 7, 7]
    assert chosen(second, np.ones(3, np.bool_)) is second
    assert chosen(second, np.array([True, False, True])).shape == (2,)


def test_fields_are_taken_by_name():
    """A narrow copy has the named fields alone."""
    wide = np.zeros(2, np.dtype([("other", "<f8"), ("sequence", "<u8"), ("ts_event_ns", "<i8"), ("instrument", "<u4")]))
    wide["sequence"] = [3, 4]
    assert fields_as(wide, PAIRED)["sequence"].tolist() == [3, 4]


@pytest.mark.parametrize("n", [1, 7, 50])
def test_the_last_records_are_kept_whatever_they_came_with(n):
    """Pushed one by one, many at once, or none at all: the last n of all, as `latest` of them would be."""
    rng, kept, seen = np.random.default_rng(n), Kept(PAIRED), np.zeros(0, PAIRED)
    for count in rng.integers(0, 30, 80):
        fresh = np.zeros(count, PAIRED)
        fresh["sequence"] = len(seen) + np.arange(count)
        seen = np.concatenate([seen, fresh])
        kept.push(fresh, n)
        assert kept.records.tolist() == seen[-n:].tolist()
        assert latest(seen[:0], seen, n).tolist() == seen[-n:].tolist()
    kept.push(seen, n)
    assert kept.records.tolist() == seen[-n:].tolist()
    assert not np.shares_memory(kept.records, seen)


def test_instruments_are_told_apart():
    """Each instrument comes with the places of its own records, in order."""
    records = np.zeros(4, PAIRED)
    assert by_instrument(records[:0]) == []
    assert [(instrument, len(records[own])) for instrument, own in by_instrument(records)] == [(0, 4)]
    records["instrument"] = [1, 0, 1, 1]
    assert [(instrument, own.tolist()) for instrument, own in by_instrument(records)] == [(0, [1]), (1, [0, 2, 3])]


def test_monitors_that_share_a_pairing_get_the_same_pairs():
    """The second to ask for the same records gets what the first got, and nothing is paired twice."""
    decisions = decisions_on(bars([1.0] * 4), 0.5)
    rows, pairing = rows_of(decisions, np.arange(8.0).reshape(4, 2)), RowPairing(VERSION, 2)
    assert len(pairing.pair(decisions)[0]) == 0
    first, again = pairing.pair(rows), pairing.pair(rows)
    assert len(first[0]) == 4
    assert first is again
    assert len(pairing.pair(rows[:0])[0]) == 0
