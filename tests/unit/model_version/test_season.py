"""The season: what is usual at an hour of the week, taken out, and nothing that is there by chance."""

import numpy as np
import pytest

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, wall_clock_ns
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


def opening(times, zone="America/New_York"):
    """Return where an exchange's first hour is, by its own clocks."""
    return wall_clock_ns(times, zone) // NS_PER_HOUR % 24 == 9


def test_a_market_opens_by_its_own_clocks_all_year():
    """An opening hour is taken out in winter and in summer by its own clocks; by others much of it stays."""
    values = noise() + 3.0 * opening(TIMES)
    winter = TIMES // NS_PER_DAY < 100  # of 1970, whose summer time began on the 26th of April
    far = {}
    for zone in ("America/New_York", "UTC"):
        season = Season.of(values[:, None], TIMES, np.random.default_rng(1), zone)
        level = season.taken_out(values[:, None], TIMES)[:, 0]
        far[zone] = max(abs(level[opening(TIMES) & part].mean() - level.mean()) for part in (winter, ~winter))
    assert far["America/New_York"] < 0.2
    assert far["UTC"] > 3.0 * far["America/New_York"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_season_comes_back_from_arrays_with_its_clocks(zone):
    """What is taken out is the same afterwards; UTC is not written, and is what is read where nothing is."""
    values = noise()[:, None] + 3.0 * opening(TIMES, zone)[:, None]
    season = Season.of(values, TIMES, np.random.default_rng(1), zone)
    arrays = season.to_arrays()
    assert ("time_zone" in arrays) is (zone != "UTC")
    back = Season.from_arrays(arrays)
    assert back.time_zone == zone
    assert np.array_equal(back.taken_out(values, TIMES), season.taken_out(values, TIMES))


@pytest.mark.parametrize("letters", [b"Mars/Olympus", b"", b"\xff", b"../zones"])
def test_clocks_that_nobody_keeps_are_refused(letters):
    """Whatever stands in the place of a time zone's name, nothing is read by it."""
    unknown = Season.unknown(1).to_arrays() | {"time_zone": np.frombuffer(letters, np.uint8)}
    with pytest.raises(ValueError, match=r"time_zone|ascii"):
        Season.from_arrays(unknown)
