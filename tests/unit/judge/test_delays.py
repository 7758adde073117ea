"""What monitors can see: delays of harms put into the reference, in order, and honest where nothing is seen."""

import numpy as np
import pytest

from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.control_charts.delays import drift_table, performance_table, reliability_table
from tradeworthy.judge.monitor.drift import DriftSettings, calibrate_drift
from tradeworthy.judge.monitor.performance import PerformanceSettings, performance_reference
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, ReliabilitySettings

QUICK = ChartSettings(runs=30, run_length=3_000)


@pytest.fixture(scope="module")
def reference():
    """Noise, a persistent series, and a clock."""
    rng = np.random.default_rng(5)
    slow = np.zeros(3_000)
    for i in range(1, len(slow)):
        slow[i] = 0.97 * slow[i - 1] + rng.standard_normal()
    clock = np.sin(2 * np.pi * np.arange(3_000) / 48)
    return np.column_stack([rng.standard_normal(3_000), slow, clock])


@pytest.fixture(scope="module")
def charts(reference):
    """Drift charts on it."""
    return calibrate_drift(reference, ["noise", "slow", "clock"], DriftSettings(charts=QUICK))


@pytest.fixture(scope="module")
def table(charts, reference):
    """What they can see."""
    return drift_table(charts, reference, shift_asked_sd=QUICK.shift_sd)


def series(table, name):
    """Return one series' line."""
    return next(line for line in table.series if line.name == name)


def test_a_plain_shift_is_seen_soon(table):
    """Half a deviation in independent noise is told within a few hundred rows, and nothing has to be excused."""
    noise = series(table, "noise")
    assert 10 < noise.delays["mean +0.5 sd"] < 300
    assert noise.said == ""


def test_a_larger_harm_is_never_seen_later(table):
    """A shift five times as large takes less time, where both are seen at all."""
    for line in table.series:
        waits = [np.inf if wait is None else wait for wait in line.delays.values()]
        assert waits == sorted(waits, reverse=True)


def test_what_the_reference_cannot_support_is_said(table, charts, reference):
    """A persistent series hides a half-deviation shift at the asked rate: the table says so and names what it sees."""
    slow = series(table, "slow")
    assert slow.shift_seen_sd > 0.2
    assert slow.delays["mean +0.1 sd"] is None
    assert "cannot support a shift of 0.1 sd" in next(
        line.said for line in drift_table(charts, reference, shift_asked_sd=0.1).series if line.name == "slow"
    )


def test_a_clock_is_not_watched(table):
    """No chart can judge a time of day; the table promises nothing for it."""
    clock = series(table, "clock")
    assert clock.shift_seen_sd is None
    assert set(clock.delays.values()) == {None}
    assert "clockwork" in clock.said


def test_the_reference_itself_hardly_alarms(table):
    """At one false alarm in 10,000 rows, 3,000 rows without harm bring at most two."""
    assert table.reference_rows == 3_000
    assert table.reference_alarms <= 2


def test_missing_values_are_left_out():
    """A reference with gaps gives a table all the same."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((1_500, 1))
    rows[::100] = np.nan
    charts = calibrate_drift(rows, ["gappy"], DriftSettings(charts=QUICK))
    table = drift_table(charts, rows, shift_asked_sd=0.5)
    assert table.series[0].delays["mean +0.5 sd"] is not None


def walk(accuracy, n, seed=3):
    """Return scores and labels of a model that is right so often."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.5).astype(float)
    right = rng.random(n) < accuracy
    scores = np.where(right == (labels == 1.0), 0.9, 0.1)
    return scores, labels


def of_performance(accuracy, n, **changes: object):
    """Return the table of a performance monitor on such a walk."""
    settings = PerformanceSettings(charts=ChartSettings(runs=30, run_length=3_000, shift_sd=0.2), **changes)
    made = walk(accuracy, n)
    reference = performance_reference(*made, horizon=1, settings=settings)
    return performance_table(reference, made, settings, rng=np.random.default_rng(0))


@pytest.mark.parametrize("loss", ["brier", "error"])
def test_lost_accuracy_is_named_from_the_models_own(loss):
    """The harms begin at the accuracy that the model had, and five points lost are seen no later than two."""
    table = of_performance(0.9, 6_000, loss=loss)
    two, five, *falls = table.series[0].delays.values()
    own = [name for name in table.series[0].delays if name.startswith(("accuracy 9", "accuracy 8"))]
    assert (len(own), len(falls)) == (2, 2)
    assert five is not None
    assert two is None or five <= two


@pytest.mark.parametrize("accuracy", [0.5, 0.53, 0.7])
def test_typical_falls_of_accuracy_are_told_whatever_the_models_own(accuracy):
    """From 52 and from 55 to 50%: the larger fall is heard no later, and each has a limit of its own accuracy."""
    delays = of_performance(accuracy, 6_000, loss="error").series[0].delays
    small, large = delays["accuracy 52% to 50%"], delays["accuracy 55% to 50%"]
    assert large is not None
    assert small is None or large <= small


def test_few_labels_are_said_to_be_few():
    """With an edge as thin as a market's and a short walk, two points lost cannot be seen, and the table says it."""
    table = of_performance(0.53, 800)
    assert None in table.series[0].delays.values()
    assert "cannot support this rate" in table.series[0].said


def test_the_same_seed_gives_the_same_table():
    """The table is a function of its arguments."""
    assert of_performance(0.7, 1_500) == of_performance(0.7, 1_500)


def promises(n, seed):
    """Return scores that keep their promise, and labels."""
    rng = np.random.default_rng(seed)
    scores = 1.0 / (1.0 + np.exp(-rng.standard_normal(n)))
    return scores, (rng.random(n) < scores).astype(float)


def reliability_seen(n, rate=0.5):
    """Return what a reliability monitor calibrated on n kept promises can see."""
    charts = ChartSettings(shift_sd=0.2, runs=30, run_length=3_000)
    settings = ReliabilitySettings(false_alarms_per_10k=rate, charts=charts)
    monitor = ReliabilityMonitor(*promises(n, 3), version=1, settings=settings)
    return reliability_table(monitor, promises(n, 3), rate, rng=np.random.default_rng(0))


def test_broken_promises_are_waited_for():
    """A promise broken by more is heard sooner, each by its own chart; on kept ones the charts are silent."""
    table = reliability_seen(4_000)
    assert (table.monitor, table.reference_alarms, table.reference_rows) == ("reliability", 0, 4_000)
    bias, confidence = series(table, "bias").delays, series(table, "confidence").delays
    assert bias["10 points less than promised"] < bias["5 points less than promised"]
    assert 20 < confidence["half as sure as they say"] < 2_000
    assert all(line.said == "" and line.shift_seen_sd > 0.0 for line in table.series)


def test_few_labels_cannot_tell_a_broken_promise_at_too_low_a_rate():
    """Of 300 outcomes the table says which broken promise they do not show, if next to no false alarm is allowed."""
    bias = series(reliability_seen(300, rate=1e-6), "bias")
    assert bias.delays["5 points less than promised"] is None
    assert "5 points less than promised" in bias.said
