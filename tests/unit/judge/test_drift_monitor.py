"""The drift monitor tells what moved, since when, how far; it does not nag, and it goes on after a restart."""

import numpy as np
import pytest
from tape_slices import STEP_NS, VERSION, bars, decisions_on, rows_of

from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings, calibrate_drift, drift_monitor

NAMES = ["momentum", "spread", "volume"]


@pytest.fixture(scope="module")
def charts():
    """Return charts over three independent features around 5."""
    reference = 5.0 + np.random.default_rng(0).standard_normal((2_000, 3))
    return calibrate_drift(reference, NAMES, DriftSettings(charts=ChartSettings(runs=30)))


def feed(monitor, rows, instrument=0):
    """Give a monitor rows with their decisions and return its findings."""
    events = bars(np.ones(len(rows)), instrument=instrument)
    decisions = decisions_on(events, 0.5)
    monitor.observe(decisions)
    monitor.observe(rows_of(decisions, rows))
    return monitor.findings()


def noise(n, seed=4):
    """Return rows like the reference."""
    return 5.0 + np.random.default_rng(seed).standard_normal((n, 3))


def moved(n, at, by, column=0, seed=4):
    """Return rows of which one column moves."""
    rows = noise(n, seed)
    rows[at:, column] += by
    return rows


@pytest.mark.parametrize(("by", "word"), [(1.5, "up"), (-1.5, "down")])
def test_a_moved_feature_is_told_with_time_and_size(charts, by, word):
    """The finding names the feature, the direction, when it began and how far it moved, in its own units."""
    finding = feed(DriftMonitor(charts, VERSION, ["ETH"]), moved(1_000, 600, by))[0]
    assert (finding.monitor, finding.kind, finding.subject) == ("drift", "data_drift", "momentum")
    assert 0 <= finding.ts_event_ns - 600 * STEP_NS < 60 * STEP_NS
    assert abs(finding.since_ns - 601 * STEP_NS) <= 10 * STEP_NS
    assert finding.observed == pytest.approx(5.0 + by, abs=0.5)
    assert finding.reference == pytest.approx(5.0, abs=0.1)
    assert finding.statistic > finding.threshold
    assert finding.false_alarms_per_10k == 1.0
    assert f"momentum of ETH has moved {word}" in finding.sentence


def test_a_shift_that_stays_is_told_ever_more_rarely(charts):
    """A lasting shift is told again, after pauses that double, and not at every event."""
    found = feed(DriftMonitor(charts, VERSION, ["ETH"]), moved(8_000, 100, 2.0))
    times = [f.ts_event_ns // STEP_NS for f in found if f.subject == "momentum"]
    assert 4 <= len(times) <= 5
    assert all(later >= 1.7 * earlier for earlier, later in zip(np.diff(times), np.diff(times)[1:], strict=False))


def test_features_that_move_together_are_one_finding(charts):
    """One cause, one finding: the others are named in it or follow in silence."""
    rows = moved(800, 400, 1.5)
    rows[400:, 1:] -= 1.5
    found = feed(DriftMonitor(charts, VERSION, ["ETH"]), rows)
    assert len(found) == 1
    assert "with it moved" in found[0].sentence


def test_each_instrument_has_its_own_memory(charts):
    """A shift in one instrument is told of that one alone."""
    monitor = DriftMonitor(charts, VERSION, ["ETH", "BTC"])
    assert feed(monitor, noise(600)) == []
    found = feed(monitor, moved(600, 300, 2.0), instrument=1)
    assert len(found) == 1
    assert "momentum of BTC" in found[0].sentence


def test_missing_values_neither_alarm_nor_hide(charts):
    """A feature that is NaN stands still; the others go on."""
    rows = moved(1_000, 500, 2.0, column=2)
    rows[:, 0] = np.nan
    assert [f.subject for f in feed(DriftMonitor(charts, VERSION, ["ETH"]), rows)] == ["volume"]


def test_other_versions_rows_are_left(charts):
    """A monitor of another version hears nothing."""
    assert feed(DriftMonitor(charts, VERSION + 1, ["ETH"]), moved(1_000, 100, 3.0)) == []


def test_a_monitor_resumes_from_its_state_alone(charts):
    """Charts are part of the state, so nothing is calibrated again and the findings are the same."""
    rows = moved(900, 450, 1.0)
    whole = feed(DriftMonitor(charts, VERSION, ["ETH"]), rows)
    events = bars(np.ones(900))
    decisions = decisions_on(events, 0.5)
    first = DriftMonitor(charts, VERSION, ["ETH"])
    first.observe(decisions)
    first.observe(rows_of(decisions, rows)[:470])
    second = DriftMonitor.resume(first.state())
    second.observe(rows_of(decisions, rows)[470:])
    assert second.findings() == whole
    assert len(whole) == 1


def test_a_state_of_another_monitor_is_refused(charts):
    """Restoring another version's state says whose it is and what to do."""
    state = DriftMonitor(charts, VERSION + 1, ["ETH"]).state()
    with pytest.raises(DataInvalid, match="resume the state's own monitor"):
        DriftMonitor(charts, VERSION, ["ETH"]).restore(state)


def test_a_monitor_is_made_in_one_call():
    """`drift_monitor` calibrates with the settings given and watches."""
    settings = DriftSettings(false_alarms_per_10k=5.0, charts=ChartSettings(runs=10, run_length=2_000))
    monitor = drift_monitor(noise(900, 3), NAMES, version=VERSION, instruments=["ETH"], settings=settings)
    assert monitor.charts.false_alarms_per_10k == 5.0
    assert "momentum" in feed(monitor, moved(600, 300, 2.0))[0].sentence
