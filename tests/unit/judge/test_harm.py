"""The bets: fair while nothing is wrong, rich when the model is, blind to overlap."""

import numpy as np
import pytest
from drift_streams import OVERLAP, stream

from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    CLIP,
    CONSTANTS,
    LIMIT_DOWN,
    LIMIT_UP,
    SCALE,
    SPREAD,
    ChartTable,
)
from tradeworthy.judge.monitor.control_charts.chart_table import empty_state as empty_chart
from tradeworthy.judge.monitor.control_charts.harm import (
    BEST,
    COUNT,
    FORTUNE,
    SINCE,
    STAKES,
    TOTAL,
    LossTests,
    bet,
    empty_harm,
    reset,
    watch_losses,
)


def bets_only(bound, limit):
    """Return tests whose chart never alarms."""
    constants = np.zeros((1, CONSTANTS))
    constants[0, [SCALE, SPREAD, CLIP, LIMIT_UP, LIMIT_DOWN]] = 1.0, 1.0, 9.0, np.inf, np.inf
    return LossTests(ChartTable(constants), empty_chart(1), empty_harm(), bound, limit)


def times(n, late):
    """Return when decisions were made and when their labels were known."""
    made = np.arange(n)
    return np.column_stack([made, made + late]).astype(np.int64)


def test_evidence_is_the_sum_over_all_starts():
    """The mean fortune equals the Shiryaev-Roberts sum computed from its definition."""
    losses = np.array([0.2, 0.9, 0.7, 1.0])
    state = empty_harm()
    evidence = [bet(state, loss, 0.4, i) for i, loss in enumerate(losses)][-1]
    growth = 1 + STAKES[:, None] / 0.4 * (losses - 0.4)
    expected = sum(growth[:, start:].prod(axis=1) for start in range(4)).mean()
    assert evidence == pytest.approx(expected)


def test_fortunes_never_go_below_zero():
    """Whatever the losses, no stake can lose more than it has."""
    state = empty_harm()
    for i in range(200):
        bet(state, 0.0, 0.3, i)
    assert (state.fortunes[:, FORTUNE] >= 0.0).all()


def test_overlapping_labels_are_bet_on_once_a_horizon():
    """Of decisions whose labels take five events, every fifth counts."""
    tests = bets_only(0.9, 1e12)
    assert watch_losses(tests, np.full(50, 0.5), times(50, 5), 0) == 50
    assert tests.harm.fortunes[0, COUNT] <= 10
    fresh = bets_only(0.1, 1e12)
    watch_losses(fresh, np.full(50, 0.5), times(50, 5), 0)
    assert fresh.harm.fortunes[:, COUNT].tolist() == [10.0] * len(STAKES)


def test_overlapping_errors_without_harm_do_not_alarm():
    """Errors at the bound's rate, twenty of them sharing each stretch of market, stay below the limit."""
    limit = 1e4 / OVERLAP
    alarms = 0
    for seed in range(20):
        errors = stream("overlap", 10_000, 50 + seed)
        alarms += watch_losses(bets_only(0.45, limit), errors, times(10_000, OVERLAP), 0) < 10_000
    assert alarms <= 14  # one per 10,000 events would be 12.6 of 20 streams with an alarm, on average


def test_harm_is_heard_and_dated():
    """When errors rise from 45 to 65%, the evidence passes its limit, and dates the rise."""
    rng = np.random.default_rng(3)
    errors = (rng.random(4_000) < np.where(np.arange(4_000) < 2_000, 0.45, 0.65)).astype(float)
    tests = bets_only(0.47, 1e4)
    at = watch_losses(tests, errors, times(4_000, 1), 0)
    assert 2_000 < at < 2_400
    best = int(np.argmax(tests.harm.fortunes[:, FORTUNE]))
    assert abs(tests.harm.times[best, SINCE] - 2_000) < 150
    assert tests.harm.fortunes[best, TOTAL] / tests.harm.fortunes[best, COUNT] == pytest.approx(0.65, abs=0.08)
    assert tests.harm.fortunes[best, BEST] > 1.0


def test_a_reset_forgets_the_bets_but_not_the_horizon():
    """After a reset fortunes start afresh, and the last label's stretch is still not bet on twice."""
    tests = bets_only(0.2, 1e12)
    watch_losses(tests, np.ones(3), times(3, 10), 0)
    reset(tests.harm)
    watch_losses(tests, np.ones(8), times(8, 10), 3)
    assert not tests.harm.fortunes[:, COUNT].any()


def test_the_chart_alarms_beside_the_bets():
    """Whichever test passes its limit first stops the kernel; the chart's side is in its state."""
    tests = bets_only(0.5, 1e12)
    tests.table.constants[0, LIMIT_UP] = 3.0
    assert watch_losses(tests, np.ones(10), times(10, 1), 0) == 3
    assert tests.chart.counts[0, ALARM] == 1
