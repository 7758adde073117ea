"""Every version can be watched from what it carries, and goes on from saved states."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from tape_slices import VERSION, bars, decisions_on, outcomes_of, rows_of

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import load_states, save_states
from tradeworthy.judge.monitor.class_balance import BalanceSettings
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.estimated import EstimatedSettings
from tradeworthy.judge.monitor.group_fairness import FairnessSettings
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings
from tradeworthy.judge.monitor.standing import NEEDS, OF_DIRECTIONS, MonitorSettings, resume, standing_set
from tradeworthy.model.features.labels import outcome
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.season import Season
from tradeworthy.testing.predictors import random_forest

CHARTS = ChartSettings(runs=5, run_length=1_000)
SETTINGS = MonitorSettings(
    drift=DriftSettings(charts=CHARTS),
    performance=PerformanceSettings(charts=CHARTS),
    class_balance=BalanceSettings(charts=CHARTS),
    estimated=EstimatedSettings(charts=CHARTS),
    reasons=ReasonSettings(charts=CHARTS),
    off=(),
)
ETH = [Instrument(symbol="ETH")]


def version(number=VERSION):
    """Return what the monitors read of a version: number, feature names, profile."""
    sample = np.random.default_rng(0).standard_normal((1_000, 2))
    profile = SimpleNamespace(
        sample=sample,
        sample_places=np.arange(1_000),
        sample_times=np.empty(0, np.int64),
        season=Season.unknown(2),
        minimum=sample.min(axis=0),
        maximum=sample.max(axis=0),
    )
    trees = Trees.from_forest(random_forest(np.random.default_rng(2), trees=5, n_features=2))
    program = SimpleNamespace(names=("fast", "slow"), row_fields=())
    return SimpleNamespace(number=number, program=program, profile=profile, predictor=trees)


def walk(n):
    """Return out-of-fold scores and labels of a model that is right in 80% of cases."""
    rng = np.random.default_rng(1)
    labels = (rng.random(n) < 0.5).astype(float)
    right = rng.random(n) < 0.8
    return np.where(right == (labels > 0.5), 0.8, 0.2), labels


def tape(n=1_200):
    """Return slices of a tape on which the first feature and the skill are lost half way."""
    rows = np.random.default_rng(2).standard_normal((n, 2))
    rows[n // 2 :, 0] += 2.0
    scores, labels = walk(n)
    labels[n // 2 :] = 1.0 - labels[n // 2 :]
    decisions = decisions_on(bars(np.ones(n)), scores)
    return [decisions, rows_of(decisions, rows), outcomes_of(decisions, labels)]


def test_the_standing_set_hears_drift_and_harm():
    """A tape with both gives findings of both kinds."""
    monitors = standing_set(version(), ETH, walk=walk(1_000), settings=SETTINGS)
    for records in tape():
        for monitor in monitors.values():
            monitor.observe(records)
    assert {f.kind for m in monitors.values() for f in m.findings()} >= {"data_drift", "performance"}


def test_every_monitor_is_on_unless_it_is_off():
    """A version of directions is watched by all that can be set; what is named in `off` is not even made."""
    assert MonitorSettings().off == ()
    everything = standing_set(version(), ETH, walk=walk(1_000), settings=SETTINGS)
    assert set(everything) == set(SETTINGS.rates)
    chosen = msgspec.structs.replace(SETTINGS, off=("class_balance",))
    assert set(standing_set(version(), ETH, walk=walk(1_000), settings=chosen)) == set(everything) - {"class_balance"}


@pytest.mark.parametrize("known", [None, walk(100), (np.linspace(-1.0, 1.0, 1_000), np.linspace(-1.0, 1.0, 1_000))])
def test_monitors_of_directions_are_silent_where_there_are_none(known):
    """Without a walk, with a short one, or of a model of returns, exactly those that need directions are not made."""
    made = standing_set(version(), ETH, walk=known, settings=SETTINGS)
    of_directions = {name for name, needs in NEEDS.items() if needs == OF_DIRECTIONS}
    assert set(SETTINGS.rates) - set(made) == of_directions


@pytest.mark.parametrize("known", [None, walk(100)])
def test_without_a_walk_harm_is_not_tested(known):
    """Too few out-of-fold scores are no reference; drift is watched all the same."""
    monitors = standing_set(version(), ETH, walk=known, settings=SETTINGS)
    for records in tape():
        for monitor in monitors.values():
            monitor.observe(records)
    assert monitors["performance"].findings() == []
    assert monitors["drift"].findings()


@pytest.mark.parametrize("known_after", [1, 1_080])
def test_outcomes_that_are_known_late_count_as_much_as_those_known_at_once(known_after):
    """A loan's outcome months later is still one case of its own: a gap between groups is told as surely."""
    fairness = FairnessSettings(by=("fast",), window=500)
    settings = msgspec.structs.replace(SETTINGS, fairness=fairness)
    monitors = standing_set(version(), ETH, label=outcome("bad", known_after), walk=walk(1_000), settings=settings)
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((500, 2))
    decisions = decisions_on(bars(np.ones(500)), np.where(rows[:, 0] > 0.5, 0.8, 0.2))
    for records in (decisions, rows_of(decisions, rows), outcomes_of(decisions, (rng.random(500) < 0.5).astype(float))):
        for monitor in monitors.values():
            monitor.observe(records)
    (found,) = monitors["fairness"].findings()
    assert found.observed == 1.0
    assert found.statistic > 0.8


def test_a_killed_watcher_goes_on_where_it_was(tmp_path):
    """States saved to a file and resumed in fresh monitors give the findings of an uninterrupted run."""
    whole = standing_set(version(), ETH, walk=walk(1_000), settings=SETTINGS)
    first = standing_set(version(), ETH, walk=walk(1_000), settings=SETTINGS)
    second = standing_set(version(), ETH, walk=walk(1_000), settings=SETTINGS)
    slices = [part for records in tape() for part in np.array_split(records, 4)]
    for records in slices[:5]:
        for monitors in (whole, first):
            for monitor in monitors.values():
                monitor.observe(records)
    save_states(tmp_path / "states.npz", {name: monitor.state() for name, monitor in first.items()})
    resume(second, load_states(tmp_path / "states.npz"))
    for records in slices[5:]:
        for monitors in (whole, second):
            for monitor in monitors.values():
                monitor.observe(records)
    found = {name: monitor.findings() for name, monitor in whole.items()}
    assert {name: monitor.findings() for name, monitor in second.items()} == found
    assert found["drift"]
    assert found["performance"]


def test_another_versions_states_are_refused(tmp_path):
    """Resuming with the states of another version is an error, not a silent mixture."""
    states = {name: m.state() for name, m in standing_set(version(7), ETH, settings=SETTINGS).items()}
    with pytest.raises(DataInvalid):
        resume(standing_set(version(), ETH, settings=SETTINGS), states)
