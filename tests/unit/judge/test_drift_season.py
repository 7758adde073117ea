"""A feature with a strong season of the week: its Monday open is no drift, and a drift is not hidden by it."""

import msgspec
import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, rows_of

from tradeworthy.core.time import NS_PER_HOUR, NS_PER_MINUTE, wall_clock_ns
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings, drift_monitor
from tradeworthy.model.profile import Profile

TRAINED, WEEK = 8 * 7 * 24 * 60, 7 * 24 * 60
"""Rows of a minute each."""

SETTINGS = DriftSettings(false_alarms_per_10k=0.02, watch=("level",), charts=ChartSettings(runs=30))


def is_monday_open(ts_ns):
    """Whether times lie in the four hours in which the market opens on a Monday."""
    hours = ts_ns // NS_PER_HOUR % 168
    return (hours >= 104) & (hours < 108)


def stream(first, n, seed):
    """Return the times of n minutes, and a feature that is three deviations up while the market opens on a Monday."""
    ts_ns = (first + np.arange(n)) * NS_PER_MINUTE
    return ts_ns, np.random.default_rng(seed).standard_normal((n, 1)) + 3.0 * is_monday_open(ts_ns)[:, None]


def monitor_of(*, timed):
    """Return a monitor of eight weeks of training, with their times or without."""
    ts_ns, rows = stream(0, TRAINED, 0)
    profile = Profile.of(rows, np.zeros((TRAINED, 1)), None, ts_ns if timed else None)
    assert not is_monday_open(profile.sample_places * NS_PER_MINUTE).any()  # the sample shows no Monday open
    reference = profile.season.taken_out(profile.sample, profile.sample_times)
    names, places, season = ["volume"], profile.sample_places, profile.season
    return drift_monitor(
        reference, names, version=VERSION, instruments=["ETH"], settings=SETTINGS, places=places, season=season
    )


@pytest.fixture(scope="module")
def seasonal():
    """Return a monitor whose profile keeps times."""
    return monitor_of(timed=True)


@pytest.fixture(scope="module")
def timeless():
    """Return a monitor whose profile keeps none."""
    return monitor_of(timed=False)


def findings_of(monitor, rows, ts_ns, cut=None):
    """Return what a fresh copy of a monitor finds; its state is taken and given back at `cut`."""
    copy = DriftMonitor(monitor.charts, VERSION, ["ETH"], season=monitor.season)
    decisions = decisions_on(bars(np.ones(len(rows))), 0.5)
    decisions["ts_event_ns"] = ts_ns
    records = rows_of(decisions, rows)
    copy.observe(decisions)
    if cut is not None:
        copy.observe(records[:cut])
        copy, records = DriftMonitor.resume(copy.state()), records[cut:]
    copy.observe(records)
    return copy.findings()


def test_a_monday_open_alarms_without_a_season_and_not_with_one(seasonal, timeless):
    """Three usual weeks: each Monday is an alarm to the monitor without times, none to the one with them."""
    ts_ns, rows = stream(TRAINED, 3 * WEEK, 1)
    assert findings_of(seasonal, rows, ts_ns) == []
    told = np.array([finding.ts_event_ns for finding in findings_of(timeless, rows, ts_ns)])
    assert is_monday_open(told).sum() >= 3


@pytest.mark.parametrize("at", [2 * WEEK, 2 * WEEK + 6_245])
def test_a_drift_is_found_on_any_day(seasonal, at):
    """A move of half a deviation is heard within half a day, though it begin on a Monday morning."""
    ts_ns, rows = stream(TRAINED, 3 * WEEK, 1)
    rows[at:] += 0.5
    finding = findings_of(seasonal, rows, ts_ns)[0]
    assert at < (finding.ts_event_ns - ts_ns[0]) // NS_PER_MINUTE < at + 720
    assert "volume of ETH has moved up" in finding.sentence
    assert finding.sentence.endswith("; what is usual at that hour of the week is taken out.")


def test_a_drift_inside_the_season_is_found(seasonal):
    """A Monday that opens far above all Mondays is a change, in the feature's own units."""
    ts_ns, rows = stream(TRAINED, 2 * WEEK, 1)
    rows[is_monday_open(ts_ns)] += 2.0
    finding = findings_of(seasonal, rows, ts_ns)[0]
    assert is_monday_open(finding.ts_event_ns)
    assert 0.5 < finding.observed - finding.reference < 2.5


def test_a_restart_keeps_the_season(seasonal):
    """A monitor resumed from its state takes out the same season, whatever it was made with."""
    ts_ns, rows = stream(TRAINED, 3 * WEEK, 1)
    rows[2 * WEEK :] += 0.5
    whole = findings_of(seasonal, rows, ts_ns)
    assert whole
    assert findings_of(seasonal, rows, ts_ns, cut=6_300) == whole


def test_a_state_without_a_season_is_read(seasonal):
    """The state of an earlier release, which knew no seasons, goes on without one."""
    state = {key: value for key, value in seasonal.state().items() if not key.startswith("season.")}
    assert not DriftMonitor.resume(state).season.is_known


def test_settings_refuse_what_is_no_switch():
    """The switch is true or false."""
    assert msgspec.convert({"season": False}, DriftSettings).season is False
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"season": "weekly"}, DriftSettings)


def test_the_change_to_summer_time_is_no_drift(seasonal):
    """The opening hour of a market is taken out in summer as in winter, after a restart too; by UTC it is another."""
    year = np.arange(365 * 48) * 30 * NS_PER_MINUTE
    open_now = wall_clock_ns(year, "America/New_York") // NS_PER_HOUR % 24 == 9
    rows = np.random.default_rng(5).standard_normal((len(year), 1)) + 3.0 * open_now[:, None]
    winter = year < 100 * 24 * NS_PER_HOUR
    level = {}
    for zone in ("America/New_York", "UTC"):
        profile = Profile.of(rows[winter], np.zeros((winter.sum(), 1)), None, year[winter], time_zone=zone)
        monitor = DriftMonitor(seasonal.charts, VERSION, ["ETH"], season=profile.season)
        copy = DriftMonitor(seasonal.charts, VERSION, ["ETH"])
        copy.restore(monitor.state())
        assert copy.season.time_zone == zone
        summer = copy.season.taken_out(rows, year)[~winter & open_now]
        level[zone] = abs(float(summer.mean()) - float(rows[winter & ~open_now].mean()))
    assert level["America/New_York"] < 0.5
    assert level["UTC"] > 1.5
