"""Trading the walk-forward on paper: the signal, costs and delays against sums done by hand."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from change_desk import BAR_NS, INSTRUMENTS, START_NS, market

from tradeworthy.change.evidence.slices import periods, regimes, sessions, tiers
from tradeworthy.change.evidence.walk import REGIME_EVENTS, PaperWalk, paper_walk
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction
from tradeworthy.model.manifest import Signal

SIGNAL = Signal(enter_long=0.6, exit_long=0.5, enter_short=0.4, exit_short=0.5, allow_short=True)
EVENTS = market(400)
CLOSES = EVENTS["values"][:, 3]


def walked(scores, first=10, signal=SIGNAL, cost_bps=8.0):
    """Trade scores given from the bar `first` on."""
    stamps = EVENTS["ts_event_ns"][first : first + len(scores)]
    return paper_walk(
        np.array(scores),
        stamps,
        signal=signal,
        label=forward_direction(bar.close, 3),
        events=EVENTS,
        instruments=INSTRUMENTS,
        number=0,
        cost_bps=cost_bps,
    )


def test_positions_follow_the_signal_with_its_hysteresis():
    """Long at 0.7, still long at 0.55, flat at 0.45, short at 0.3, still short at 0.45, flat at 0.52."""
    assert walked([0.7, 0.55, 0.45, 0.3, 0.45, 0.52]).sides.tolist() == [1, 1, 0, -1, -1, 0]
    long_only = msgspec.structs.replace(SIGNAL, allow_short=False)
    assert walked([0.7, 0.3], signal=long_only).sides.tolist() == [1, 0]


def test_a_period_earns_the_next_move_less_what_its_trade_costs():
    """Long over one bar, short over the next: each move once, three units traded at 8 bps."""
    walk = walked([0.7, 0.3, 0.52])
    moves = np.log(CLOSES[11:14] / CLOSES[10:13])
    np.testing.assert_allclose(walk.steps, moves)
    np.testing.assert_allclose(walk.past, np.log(CLOSES[10:13] / CLOSES[9:12]))
    np.testing.assert_allclose(walk.traded, [1, 2, 1])
    np.testing.assert_allclose(walk.net(), [moves[0] - 8e-4, -moves[1] - 16e-4, -8e-4])
    np.testing.assert_allclose(walk.net(costs=0.0), [moves[0], -moves[1], 0])


def test_a_delay_earns_the_moves_that_are_left():
    """One event late, the first position misses the first move."""
    walk = walked([0.7, 0.3, 0.52])
    np.testing.assert_allclose(walk.net(costs=0.0, delay=1), [0.0, walk.steps[1], -walk.steps[2]])


def test_a_score_without_a_next_event_is_left_out():
    """The last bar has no move yet."""
    assert len(walked([0.7] * 5, first=395)) == 4


def test_a_year_has_as_many_periods_as_half_hours():
    """Bars of half an hour: 17,532 a year, within the one at the end."""
    assert walked([0.5] * 300).periods_per_year == pytest.approx(17_532, rel=1e-2)


def test_regimes_are_told_from_the_past_alone():
    """Changing what follows a score does not change its regime; thirds and halves cover what is known."""
    rng = np.random.default_rng(1)
    past = rng.standard_normal(1_000)
    walk = PaperWalk(
        ts_event_ns=START_NS + BAR_NS * np.arange(1_000),
        steps=np.append(past[1:], 0.0),
        past=past,
        sizes=rng.exponential(size=1_000),
        sides=np.zeros(1_000),
        cost_bps=0.0,
    )
    found = {each.name: each.rows for each in regimes(walk)}
    known = np.arange(1_000) >= REGIME_EVENTS
    np.testing.assert_array_equal(found["calm"] | found["middling"] | found["wild"], known)
    np.testing.assert_array_equal(found["rising"] ^ found["falling"], known)
    expected = np.sqrt(np.mean(past[905 : 905 + REGIME_EVENTS - 1] ** 2))
    assert walk.volatility[999] == pytest.approx(expected, rel=0.02)


def test_tiers_of_liquidity_are_told_from_the_past_and_only_where_sizes_are_known():
    """Thirds by the mean size of the events before: thin before, deep after it grew; nothing without sizes."""
    sizes = np.concatenate([np.full(500, 1.0), np.full(500, 9.0)])
    walk = PaperWalk(
        ts_event_ns=START_NS + BAR_NS * np.arange(1_000),
        steps=np.zeros(1_000),
        past=np.zeros(1_000),
        sizes=sizes,
        sides=np.zeros(1_000),
        cost_bps=0.0,
    )
    found = {each.name: np.flatnonzero(each.rows) for each in tiers(walk)}
    assert found["thin"].max() < 500 < found["middling"].max() <= 1_000
    assert walk.liquidity[500] > walk.liquidity[499] == 1.0
    assert sum(len(rows) for rows in found.values()) == 1_000 - REGIME_EVENTS
    assert [*tiers(replace(walk, sizes=np.full(1_000, np.nan)))] == []


def test_quarters_and_sessions_cover_every_row_once():
    """Each row is in one quarter and in one third of the day; they are named by the calendar."""
    stamps = np.array(["2018-01-01T00:00", "2018-03-31T23:30", "2018-04-01T08:00"], "datetime64[ns]").astype(np.int64)
    assert [(each.name, each.rows.tolist()) for each in periods(stamps)] == [
        ("2018-Q1", [True, True, False]),
        ("2018-Q2", [False, False, True]),
    ]
    assert [(each.name, each.rows.tolist()) for each in sessions(stamps)] == [
        ("00-08 UTC", [True, False, False]),
        ("08-16 UTC", [False, False, True]),
        ("16-24 UTC", [False, True, False]),
    ]
