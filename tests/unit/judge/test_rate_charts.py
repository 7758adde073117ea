"""Charts of rates alarm as rarely as asked, hear what has become frequent or long, and forget nothing they need."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.judge.monitor.control_charts.rate_kernels import RUN_MIN, UNSEEN, upper_chance
from tradeworthy.judge.monitor.control_charts.rates import HARM_ODDS, HARM_SHARE, RateCharts

NONE = np.empty(0, np.int64)


def alarms(charts, hits):
    """Return the places at which a single chart alarms."""
    hits = np.asarray(hits, np.uint8)[:, None]
    places = charts.alarms(np.zeros(len(hits), np.int64), hits, np.arange(len(hits)))
    return [(at, charts.take_alarms(0, 1)[0]) for at in places]


def chain(rng, n, onset, stay):
    """Return (n,) bits of a two-state chain."""
    draws, bits, last = rng.random(n), np.zeros(n, np.uint8), 0
    for i in range(n):
        last = bits[i] = draws[i] < (stay if last else onset)
    return bits


@pytest.mark.parametrize(("onset", "stay"), [(0.001, 0.001), (0.02, 0.5), (0.3, 0.3), (0.01, 0.9)])
def test_false_alarms_stay_under_the_asked_rate(onset, stay):
    """With usual chances known, alarms are no more frequent than asked, whatever the chances."""
    rng, told, n = np.random.default_rng(1), 0, 30_000
    for _ in range(10):
        charts = RateCharts(1, false_alarms_per_10k=2.0, quiet=0)
        charts.set_usual(0, onset, max(stay, RUN_MIN))
        told += len(alarms(charts, chain(rng, n, onset, stay)))
    assert told / (10 * n) * 1e4 <= 2.0


@pytest.mark.parametrize("usual", [0.001, 0.02, 0.3, 0.6])
def test_the_expected_delay_is_what_events_of_that_share_take(usual):
    """Five times the usual odds, at least one event in twenty: the median wait is within a quarter of what is told."""
    share = max(HARM_SHARE, HARM_ODDS * usual / (1.0 + (HARM_ODDS - 1.0) * usual))
    rng, waits = np.random.default_rng(4), []
    for _ in range(60):
        charts = RateCharts(1, false_alarms_per_10k=0.2)
        charts.set_usual(0, usual, max(usual, RUN_MIN))
        waits.append(alarms(charts, rng.random(5_000) < share)[0][0] + 1)
    charts = RateCharts(1, false_alarms_per_10k=0.2)
    charts.set_usual(0, usual, max(usual, RUN_MIN))
    assert np.median(waits) == pytest.approx(charts.delays()[0], rel=0.25)


def test_no_delay_is_told_while_a_chart_learns_or_where_no_more_can_come():
    """Before what is usual is known, and where it is always, nothing is promised."""
    charts = RateCharts(2, false_alarms_per_10k=1.0, learn=1_000)
    charts.set_usual(0, 0.01)
    assert np.isfinite(charts.delays()).tolist() == [True, False]
    assert list(charts.alarms(np.ones(1_000, np.int64), np.ones((1_000, 1), np.uint8), np.arange(1_000))) == []
    assert np.isfinite(charts.delays()).tolist() == [True, False]


def test_what_is_learned_from_the_first_events_is_no_alarm():
    """A chart that learns a rate does not alarm while that rate stays."""
    rng, told = np.random.default_rng(2), 0
    for _ in range(20):
        told += len(alarms(RateCharts(1, false_alarms_per_10k=1.0, learn=1_000), chain(rng, 20_000, 0.03, 0.03)))
    assert told / 40.0 <= 1.0


@pytest.mark.parametrize("rare", [0, 1])
def test_what_is_always_there_is_no_news_however_long(rare):
    """A yes at every event, or at nearly every one, of the time of learning: no run of it is ever too long."""
    hits = np.ones(100_000, np.uint8)
    hits[300 : 300 + rare] = 0
    assert alarms(RateCharts(1, false_alarms_per_10k=1.0, learn=1_000), hits) == []


def test_a_tenfold_rate_is_heard_soon_and_dated():
    """From 0.1% to 5% of events the alarm comes within about a hundred events, and dates the change near it."""
    rng = np.random.default_rng(3)
    delays = []
    for _ in range(20):
        charts = RateCharts(1, false_alarms_per_10k=0.2)
        charts.set_usual(0, 0.001)
        at, alarm = alarms(charts, np.append(np.zeros(2_000, np.uint8), chain(rng, 2_000, 0.05, 0.05)))[0]
        delays.append(at - 2_000)
        assert alarm.since_ns >= 2_000
    assert np.median(delays) <= 120


def test_a_feed_that_gets_stuck_is_one_alarm_not_one_an_event():
    """A run without end is told within forty events, and then rarer and rarer."""
    charts = RateCharts(1, false_alarms_per_10k=0.2, quiet=500)
    charts.set_usual(0, 0.01)
    told = alarms(charts, np.append(np.zeros(500, np.uint8), np.ones(3_000, np.uint8)))
    assert told[0][0] <= 540
    assert told[0][1].longest == told[0][0] - 499
    assert len(told) <= 4


def test_what_cannot_be_said_changes_nothing():
    """Events that are neither yes nor no leave a chart as it was."""
    charts = RateCharts(1, false_alarms_per_10k=1.0)
    before = {name: array.copy() for name, array in charts.export("").items()}
    assert alarms(charts, np.full(100, UNSEEN)) == []
    assert all((charts.export("")[name] == array).all() for name, array in before.items())


def test_a_reference_says_what_is_usual():
    """Chances are upper bounds of what the reference showed, onsets and runs apart."""
    charts = RateCharts(1, false_alarms_per_10k=1.0)
    bits = chain(np.random.default_rng(4), 20_000, 0.02, 0.8)
    charts.learn_from(np.zeros(len(bits), np.int64), bits[:, None])
    assert charts.state.usual[0] == pytest.approx(bits.mean())
    assert charts.state.chances[0] == pytest.approx([0.02, 0.8], rel=0.2)
    assert alarms(charts, chain(np.random.default_rng(5), 5_000, 0.02, 0.8)) == []


@given(hits=st.integers(0, 500), more=st.integers(0, 5_000))
@settings(max_examples=50, deadline=None)
def test_an_upper_chance_is_above_what_was_seen(hits, more):
    """The bound lies between the share seen and 1, and tightens with more of the same."""
    n = max(1, hits + more)
    bound = upper_chance(float(hits), float(n))
    assert hits / n <= bound <= 1.0
    assert upper_chance(10.0 * hits, 10.0 * n) <= bound + 1e-12


def stepped(parts, charts):
    """Return which charts side by side alarm where, by part and place, each quiet for a while after it."""
    told = []
    for number, part in enumerate(parts):
        for at in charts.alarms(np.zeros(len(part), np.int64), part, np.arange(len(part))):
            told += [(alarm.chart, number, at) for alarm in charts.take_alarms(0, part.shape[1])]
    return told


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 300]), st.lists(st.integers(1, 6_000), max_size=3))
def test_charts_side_by_side_do_what_each_does_alone(seed, learn, cuts):
    """Alarms and memory of a column owe its neighbours nothing: calm, busy, stuck, unseen or learning; anyhow cut."""
    rng, n = np.random.default_rng(seed), 9_000
    columns = np.column_stack([chain(rng, n, onset, stay) for onset, stay in ((0.0, 0.0), (0.01, 0.1), (0.002, 0.999))])
    columns = np.column_stack([columns, np.where(np.arange(n) < n // 2, UNSEEN, columns[:, 1]), np.full(n, UNSEEN)])
    parts = np.split(columns.astype(np.uint8), sorted(cuts))
    together = RateCharts(5, false_alarms_per_10k=5.0, learn=learn or 1_000, quiet=200)
    alone = [RateCharts(1, false_alarms_per_10k=1.0, learn=learn or 1_000, quiet=200) for _ in range(5)]
    for charts in [together, *alone] if learn == 0 else []:
        for chart in range(len(charts.state.usual)):
            charts.set_usual(chart, 0.005)
    told = sorted(stepped(parts, together))
    assert told == [
        (at, number, place)
        for at, charts in enumerate(alone)
        for _, number, place in stepped([part[:, [at]] for part in parts], charts)
    ]
    for at, charts in enumerate(alone):
        for name, memory in charts.state._asdict().items():
            np.testing.assert_array_equal(getattr(together.state, name)[at], memory[0], err_msg=name)
