"""The chart kernel: Page's sums, the recent scale, the dating of a change."""

import numpy as np
import pytest

from tradeworthy.judge.monitor.control_charts import chart_table as columns
from tradeworthy.judge.monitor.control_charts import lanes, looks
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    ALLOWANCE,
    AWAKE,
    CENTRE,
    CLIP,
    COLUMN,
    CONSTANTS,
    DECAY,
    INNOVATION,
    LIMIT_DOWN,
    LIMIT_UP,
    N_UP,
    OFFSET,
    PARTNER,
    QUIET,
    RECENT,
    SCALE,
    SINCE_UP,
    SPREAD,
    SUM_DOWN,
    SUM_UP,
    TOTAL_UP,
    VIEW,
    ChartTable,
    empty_state,
)
from tradeworthy.judge.monitor.control_charts.cusum import excursions, watch


def table(n=1, **changes):  # noqa: ANN003
    """Return charts of scores as they come: allowance 0.5, limits 4, no clipping to speak of."""
    constants = np.zeros((n, CONSTANTS))
    constants[:, COLUMN] = np.arange(n)
    constants[:, [SCALE, SPREAD, INNOVATION, CLIP, ALLOWANCE, LIMIT_UP, LIMIT_DOWN]] = 1, 1, 1, 100, 0.5, 4, 4
    for column, value in changes.items():
        constants[:, getattr(columns, column)] = value
    return ChartTable(constants)


def feed(charts, state, values, ts=None, start=0):
    """Run the kernel over a (n,) or (n, p) series."""
    rows = np.asarray(values, float).reshape(len(values), -1)
    times = np.arange(len(rows)) if ts is None else np.asarray(ts)
    return watch(charts, state, rows, times.astype(np.int64), start)


def scores_of(charts, *columns):  # noqa: ANN002
    """Return the scores that the last chart makes of its columns."""
    return looks.scores_of(charts, np.array(columns, float).T).scores[-1]


def page(values, allowance):
    """Return the upper sum after each value, by the definition."""
    total, sums = 0.0, []
    for value in values:
        total = max(0.0, total + value - allowance)
        sums.append(total)
    return sums


def test_both_sums_are_pages():
    """The sums equal Page's recursion, upwards and downwards."""
    values = np.random.default_rng(0).standard_normal(80)
    charts, state = table(LIMIT_UP=1e9, LIMIT_DOWN=1e9), empty_state(1)
    for i, value in enumerate(values):
        feed(charts, state, [value])
        assert state.sums[0, SUM_UP] == pytest.approx(page(values[: i + 1], 0.5)[-1], abs=1e-12)
        assert state.sums[0, SUM_DOWN] == pytest.approx(page(-values[: i + 1], 0.5)[-1], abs=1e-12)


@pytest.mark.parametrize(("level", "direction"), [(2.5, 1), (-2.5, -1)])
def test_the_first_alarm_stops_the_kernel_and_names_its_side(level, direction):
    """Steps of 2 beyond the allowance pass a limit of 4 at the third value."""
    state = empty_state(1)
    assert feed(table(), state, [level] * 10) == 2
    assert state.counts[0, ALARM] == direction


def test_no_alarm_consumes_everything():
    """Values within the allowance raise nothing."""
    state = empty_state(1)
    assert feed(table(), state, [0.4] * 50) == 50
    assert state.sums[0, SUM_UP] == 0.0


def test_the_change_is_dated_where_the_sum_left_zero():
    """Since, count and mean tell of the rise alone."""
    state = empty_state(1)
    charts = table(LIMIT_UP=99.0, LIMIT_DOWN=99.0)
    feed(charts, state, [0.0, 3.0, -9.0, 2.0, 2.2, 2.4], ts=[10, 20, 30, 40, 50, 60])
    assert state.counts[0, SINCE_UP] == 40
    assert state.counts[0, N_UP] == 3
    assert state.sums[0, TOTAL_UP] == pytest.approx(6.6)


def test_a_quiet_chart_learns_the_scale_but_does_not_sum():
    """While quiet a chart neither sums nor alarms; afterwards it does."""
    state = empty_state(1)
    state.counts[0, QUIET] = 5
    assert feed(table(DECAY=0.9), state, [3.0] * 5) == 5
    assert state.sums[0, SUM_UP] == 0.0
    assert state.sums[0, RECENT] > 1.0
    assert feed(table(), state, [3.0] * 5) < 5


def test_a_value_that_is_not_finite_is_skipped():
    """NaN and infinities change nothing that the chart remembers."""
    state = empty_state(2)
    feed(table(2), state, [[1.0, 1.0]])
    before = state.sums.copy()
    assert feed(table(2), state, [[np.nan, np.inf]]) == 1
    np.testing.assert_array_equal(state.sums, before)


def test_one_wild_value_is_clipped():
    """However far one value lies out, it counts as the clip."""
    state = empty_state(1)
    assert feed(table(CLIP=3.0), state, [1e12]) == 1
    assert state.sums[0, SUM_UP] == pytest.approx(2.5)


def test_scores_follow_from_the_constants():
    """Centre and scale come first, offset and spread of the clipped score last."""
    state = empty_state(1)
    feed(table(CENTRE=10.0, SCALE=2.0, OFFSET=0.5, SPREAD=0.5, ALLOWANCE=0.0, LIMIT_UP=99.0), state, [13.0])
    assert state.sums[0, SUM_UP] == pytest.approx(((13.0 - 10.0) / 2.0 - 0.5) / 0.5)


def test_clustering_is_taken_out_by_the_recent_scale():
    """A series ten times as wild for a while has scores of about the same spread."""
    values = np.random.default_rng(1).standard_normal(4_000)
    values[2_000:] *= 10.0
    scores = scores_of(table(DECAY=0.94), values)
    assert scores[2_200:].std() == pytest.approx(scores[200:2_000].std(), rel=0.1)


def test_the_recent_scale_knows_only_the_past():
    """A value's own size does not shrink its score."""
    first, second = np.array([1.0, 2.0, 50.0]), np.array([1.0, 2.0, 60.0])
    scores = [scores_of(table(DECAY=0.5), values) for values in (first, second)]
    assert scores[1][2] / scores[0][2] == pytest.approx(60.0 / 50.0)


def test_excursions_are_found_by_hand():
    """Two rises from zero give their two peaks; an unfinished one counts; low ones do not."""
    scores = np.array([[2.0, 1.5, -5.0, 0.6, -5.0, 3.0, 1.0]])
    peaks = np.empty(4)
    found = excursions(scores, 0.5, 0.2, peaks)
    assert peaks[:found].tolist() == pytest.approx([2.5, 3.0])


def test_excursions_of_separate_runs_do_not_join():
    """A rise at the end of one run does not go on in the next."""
    scores = np.array([[0.0, 2.0], [2.0, 0.0]])
    peaks = np.empty(4)
    assert excursions(scores, 0.0, 0.0, peaks) == 2
    assert peaks[:2].tolist() == [2.0, 2.0]


def test_an_excursion_is_told_as_if_it_were_followed_row_by_row():
    """Since when, how many and what they add up to are those of plain bookkeeping, past pauses and missing values."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal(700)
    values[rng.random(700) < 0.05] = np.nan
    charts, state = table(ALLOWANCE=0.2, LIMIT_UP=1e9, LIMIT_DOWN=1e9), empty_state(1)
    state.counts[0, QUIET] = 30
    told = [[0.0, 0.0, 0, 0], [0.0, 0.0, 0, 0]]  # sum, total, count and since of each side
    passed = 0
    for place, value in enumerate(values):
        passed += int(np.isfinite(value))
        for side, sign in enumerate((1.0, -1.0)):
            total, added, seen, since = told[side]
            if np.isfinite(value) and passed > 30:
                fresh = max(0.0, total + (sign * value - 0.2))
                since, added, seen = (since, added, seen) if total > 0.0 else (place, 0.0, 0)
                told[side] = [fresh, added + value, seen + 1, since] if fresh > 0.0 else [0.0, 0.0, 0, 0]
    for first in range(0, 700, 70):
        stamps = np.arange(first, first + 70)
        assert feed(charts, state, values[first : first + 70], stamps) == 70
    for side, expected in enumerate(told):
        sums, counts = state.sums[0], state.counts[0]
        found = sums[SUM_UP + side], sums[TOTAL_UP + side], counts[N_UP + side], counts[SINCE_UP + side]
        assert found == tuple(expected)


def mixed_table(p, rng, **changes):  # noqa: ANN003
    """Return charts of all views over p columns, p not a multiple of the lanes: the last looks at all together."""
    levels = table(p, **{"ALLOWANCE": 0.1, "LIMIT_UP": 25.0, "LIMIT_DOWN": 25.0} | changes).constants
    spreads, tails, pairs, codes, joint = (levels.copy() for _ in range(5))
    spreads[:, [VIEW, DECAY, OFFSET, SPREAD]] = lanes.WIDTH, 0.0, 0.4, 0.2
    tails[:, [VIEW, CLIP, OFFSET, SPREAD]] = lanes.TAIL, 2.0, 0.05, 0.2
    pairs[:, [VIEW, DECAY, OFFSET, SPREAD]] = lanes.PAIR, 0.0, 0.5, 0.5
    pairs[:, PARTNER] = np.roll(np.arange(p), 1)
    codes[:, [VIEW, CENTRE, OFFSET, SPREAD]] = lanes.CATEGORY, 1.0, 0.1, 0.3
    joint[:, [COLUMN, DECAY, OFFSET, SPREAD, CLIP]] = p, 0.0, 0.4, 0.1, 4.0
    constants = np.concatenate([levels, spreads, tails, codes[-1:], pairs, joint[:1]])
    return ChartTable(constants, rng.standard_normal((3, p)))


@pytest.mark.parametrize("decay", [0.0, 0.94])
def test_many_charts_at_once_are_each_stepped_as_if_alone(decay):
    """Sums, dates and alarms of charts side by side are those of one chart's own recursion, view by view."""
    rng = np.random.default_rng(4)
    p, n = 11, 400
    rows = rng.standard_normal((n, p)) * np.where(np.arange(n) % 90 < 40, 1.0, 2.0)[:, None]
    rows[:, -1] = rng.integers(0, 3, n)
    rows[rng.random(rows.shape) < 0.02] = np.nan
    rows[7, 3] = np.inf
    charts = mixed_table(p, rng, DECAY=decay, LIMIT_UP=1e9, LIMIT_DOWN=1e9)
    state = empty_state(len(charts.constants))
    state.counts[::3, QUIET] = 20
    assert feed(charts, state, rows) == n
    seen = looks.scores_of(charts, rows)
    for chart, own in enumerate(charts.constants):
        scores, up, down, left = seen.scores[chart], 0.0, 0.0, 20 if chart % 3 == 0 else 0
        for score in scores[np.isfinite(scores)][left:]:
            up, down = max(0.0, up + (score - own[ALLOWANCE])), max(0.0, down + (-score - own[ALLOWANCE]))
        assert state.sums[chart, SUM_UP] == up
        assert state.sums[chart, SUM_DOWN] == down
        assert state.counts[chart, AWAKE] == columns.LONG + np.isfinite(scores).sum() - left


@pytest.mark.parametrize("p", [1, 8, 13])
@pytest.mark.parametrize("decay", [0.0, 0.94])
def test_rows_one_by_one_and_all_at_once_give_the_same_bits(p, decay):
    """However rows are cut into slices: the same alarms, sums, dates and pauses, past missing values."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((600, p))
    rows[300:] += 0.7
    rows[rng.random(rows.shape) < 0.01] = np.nan
    charts, told = mixed_table(p, rng, DECAY=decay), {}
    for size in (600, 7, 1):
        state, told[size] = empty_state(len(charts.constants)), []
        for first in range(0, 600, size):
            part, at = rows[first : first + size], 0
            while at < len(part):
                at = feed(charts, state, part, np.arange(first, first + len(part)), at)
                if at < len(part):
                    alarmed = np.flatnonzero(state.counts[:, ALARM])
                    told[size].append((first + at, alarmed.tolist(), state.counts[alarmed, SINCE_UP].tolist()))
                    state.sums[alarmed, SUM_UP : SUM_DOWN + 1], state.counts[alarmed, QUIET] = 0.0, 50
                at += 1
        told[size].append((state.sums.tobytes(), state.counts.tobytes()))
    assert len(told[600]) > 2
    assert told[600] == told[7] == told[1]
