"""The season: what is usual at an hour of the week, taken out, and nothing that is there by chance."""

import numpy as np
import pytest

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.model.season import WEEK, Season

STEP_NS = NS_PER_HOUR // 2
WEEKS = 40
TIMES = np.arange(WEEKS * WEEK * 2) * STEP_NS
HOURS = TIMES // NS_PER_HOUR % WEEK
MONDAY_OPEN = 4 * 24 + 8
"""Hours of the week count from a Thursday, as the clock's first day was one."""


def noise(seed=0):
    """Return one value for each time."""
    return np.random.default_rng(seed).standard_normal(len(TIMES))


def persistent(phi, seed=0):
    """Return an autoregression of unit variance."""
    values = noise(seed)
    for i in range(1, len(values)):
        values[i] = phi * values[i - 1] + np.sqrt(1.0 - phi * phi) * values[i]
    return values


def season_of(columns, times=TIMES):
    """Learn the season of columns."""
    return Season.of(np.column_stack(columns), times, np.random.default_rng(1))


def taken_out(season, columns):
    """Return the columns as at a usual hour."""
    return season.taken_out(np.column_stack(columns), TIMES).T


def test_a_monday_open_is_taken_out_and_other_hours_stay():
    """A value that is far up in one hour of the week alone comes out as at any other hour, nearly whole."""
    values = noise() + 3.0 * (HOURS == MONDAY_OPEN)
    level = taken_out(season_of([values]), [values])[0]
    assert abs(level[HOURS == MONDAY_OPEN].mean()) < 0.3
    assert level[HOURS != MONDAY_OPEN].mean() == pytest.approx(values[HOURS != MONDAY_OPEN].mean(), abs=0.03)


def test_a_daily_course_is_taken_out_of_a_persistent_feature():
    """What is left of a daily wave on an autoregression is the autoregression."""
    slow = persistent(0.9)
    values = slow + 2.0 * np.sin(2.0 * np.pi * HOURS / 24.0)
    level = taken_out(season_of([values]), [values])[0]
    assert np.corrcoef(level, slow)[0, 1] > 0.99


def test_wild_hours_are_made_as_wide_as_the_others():
    """Sizes have a season as well; on the whole they stay what they were."""
    trading = (HOURS % 24 >= 8) & (HOURS % 24 < 16)
    values = 5.0 + noise() * np.where(trading, 3.0, 1.0)
    level = taken_out(season_of([values]), [values])[0]
    assert level[trading].std() == pytest.approx(level[~trading].std(), rel=0.1)
    assert np.abs(level - 5.0).mean() == pytest.approx(np.abs(values - 5.0).mean(), rel=0.02)


@pytest.mark.parametrize("phi", [0.0, 0.9, 0.99, 0.998])
def test_persistence_alone_makes_no_season(phi):
    """Features without a season are left to the last bit, however slowly they wander."""
    values = [persistent(phi, seed) for seed in range(5)]
    season = season_of(values)
    assert season.changes.sum() <= 1
    if not season.changes.any():
        rows = np.column_stack(values)
        assert season.taken_out(rows, TIMES) is rows


def test_clocks_and_codes_are_left_as_they_are():
    """What the hours say nearly all of is a clock, and a code has no middle."""
    clock = np.sin(2.0 * np.pi * TIMES / NS_PER_DAY)
    code = (HOURS % 24 < 8).astype(float)
    assert not season_of([clock, code, noise() + 3.0 * (HOURS == MONDAY_OPEN)]).changes[:2].any()


def test_a_drift_within_the_season_stays():
    """A Monday that opens higher than Mondays do stands out by just as much."""
    values = noise() + 3.0 * (HOURS == MONDAY_OPEN)
    season = season_of([values])
    moved = values + 2.0 * (HOURS == MONDAY_OPEN)
    difference = taken_out(season, [moved])[0] - taken_out(season, [values])[0]
    np.testing.assert_allclose(difference[HOURS == MONDAY_OPEN], 2.0, rtol=0.1)
    assert not difference[HOURS != MONDAY_OPEN].any()


@pytest.mark.parametrize(("days", "daily", "weekly"), [(13, False, False), (20, True, False), (60, True, True)])
def test_a_short_past_tells_less(days, daily, weekly):
    """Two weeks are needed for hours of the day, four for a difference between weekdays."""
    rows = days * 48
    values = noise() + 3.0 * (HOURS % 24 == 8) + 4.0 * (HOURS == MONDAY_OPEN)
    season = Season.of(values[:rows, None], TIMES[:rows], np.random.default_rng(1))
    assert season.changes.any() == daily
    tuesday, monday = (season.offsets[hour, 0] for hour in (MONDAY_OPEN + 24, MONDAY_OPEN))
    assert (abs(monday - tuesday) > 1.0) == weekly


def test_gaps_and_weekends_without_rows_are_no_season():
    """Hours without rows keep their values; the others are learned from the days that there are."""
    open_hours = (HOURS // 24 != 2) & (HOURS // 24 != 3) & (HOURS % 24 >= 8)
    values = (noise() + 3.0 * (HOURS == MONDAY_OPEN))[open_hours]
    season = season_of([values], times=TIMES[open_hours])
    assert season.offsets[MONDAY_OPEN, 0] < -2.0
    closed = np.setdiff1d(np.arange(WEEK), HOURS[open_hours])
    assert np.abs(season.offsets[closed, 0] + (season.factors[closed, 0] - 1.0)).max() < 0.5


def test_rows_of_unknown_times_have_no_season():
    """Nothing is known, nothing is changed."""
    season = Season.unknown(2)
    rows = np.ones((3, 2))
    assert not season.is_known
    assert season.taken_out(rows, np.zeros(3, np.int64)) is rows
