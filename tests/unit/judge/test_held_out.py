"""Monitors are calibrated on parts of a reference and tell of the other parts what an operator would be told."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from tape_slices import VERSION

from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_HOUR
from tradeworthy.judge.monitor.class_balance import BalanceSettings
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.estimated import EstimatedSettings
from tradeworthy.judge.monitor.group_fairness import FairnessSettings
from tradeworthy.judge.monitor.held_out import LIVE, ROWS_MIN, Walked, held_out
from tradeworthy.judge.monitor.performance import PerformanceSettings
from tradeworthy.judge.monitor.reasons import ReasonSettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.model.version import Version
from tradeworthy.testing.predictors import random_forest

CHARTS = ChartSettings(runs=10, run_length=3_000)
SETTINGS = MonitorSettings(
    drift=DriftSettings(charts=CHARTS),
    performance=PerformanceSettings(charts=CHARTS),
    class_balance=BalanceSettings(charts=CHARTS),
    estimated=EstimatedSettings(charts=CHARTS),
    reasons=ReasonSettings(charts=CHARTS),
    off=(),
)
LABEL = forward_direction(bar.close, 6)
ETH = [Instrument(symbol="ETH")]


def version(rows):
    """Return a version of small trees whose training had these rows."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(2), trees=5, n_features=2))
    times = NS_PER_HOUR * np.arange(len(rows))
    profile = Profile.of(rows, trees.many(rows), None, times)
    program = SimpleNamespace(names=("fast", "slow"), row_fields=())
    return Version(
        digest="ab" * 32, number=VERSION, manifest=None, program=program, predictor=trees, profile=profile, golden=None
    )


def walk(n, lost_from=None):
    """Return scores that are right in 80% of cases; from a place on only in half of them."""
    rng = np.random.default_rng(1)
    labels, right = (rng.random(n) < 0.5).astype(float), rng.random(n) < 0.8
    if lost_from is not None:
        right[lost_from:] = rng.random(n - lost_from) < 0.5
    return Walked(np.where(right == (labels > 0.5), 0.8, 0.2), labels, NS_PER_HOUR * np.arange(n))


def noise(n):
    """Return (n, 2) rows without change."""
    return np.random.default_rng(0).standard_normal((n, 2))


@pytest.fixture(scope="module")
def calm():
    """What is told of a reference without change."""
    return held_out(version(noise(4_000)), ETH, label=LABEL, walk=walk(2_000), settings=SETTINGS)


def test_every_row_and_every_label_is_held_out_once(calm):
    """Monitors of rows see the whole sample, the others the whole walk; those of the live feed have no reference."""
    assert {name: calm[name].events for name in ("drift", "range", "reasons")} == dict.fromkeys(
        ("drift", "range", "reasons"), 4_000
    )
    labelled = ("performance", "class_balance", "estimated", "fairness")
    assert {name: calm[name].events for name in labelled} == dict.fromkeys(labelled, 2_000)
    assert set(LIVE).isdisjoint(calm)


def test_a_calm_reference_is_left_in_peace(calm):
    """At one in 10,000 a monitor tells of 4,000 events at most two things."""
    assert max(count.alarms for count in calm.values()) <= 2


def test_a_reference_that_changes_is_told_of():
    """A sample whose last quarter lies elsewhere, and a walk that loses its skill, are no calm to calibrate on."""
    rows = noise(4_000)
    rows[3_000:, 0] += 2.0
    found = held_out(version(rows), ETH, label=LABEL, walk=walk(4_000, lost_from=3_000), settings=SETTINGS)
    assert found["drift"].alarms >= 1
    assert found["performance"].alarms >= 1


def test_what_is_too_short_is_not_held_out():
    """Neither a short sample nor a short walk is cut; that nothing was checked is said by a count of no events."""
    found = held_out(version(noise(ROWS_MIN - 1)), ETH, label=LABEL, walk=walk(999), settings=SETTINGS)
    assert {count.events for count in found.values()} == {0}
    assert {count.alarms for count in found.values()} == {0}


def test_a_monitor_that_is_off_is_not_checked():
    """What is not watched tells nothing."""
    settings = MonitorSettings(drift=DriftSettings(charts=CHARTS), off=("reasons", "estimated"))
    found = held_out(version(noise(1_200)), ETH, label=LABEL, walk=walk(1_000), settings=settings)
    assert {"reasons", "estimated"}.isdisjoint(found)
    assert found["drift"].events == 1_200


def test_groups_of_a_feature_are_held_out_with_their_rows():
    """A group whose calls turn wrong in one stretch is told there, though its rows are the profile's alone."""
    rows, found = noise(4_000), walk(4_000)
    wrong = (rows[:, 0] > 0.5) & (np.arange(4_000) >= 3_000)
    worse = found._replace(labels=np.where(wrong, 1.0 - found.labels, found.labels))
    fairness = FairnessSettings(by=("fast",), window=500)
    settings = msgspec.structs.replace(
        SETTINGS, fairness=fairness, off=tuple({*SETTINGS.rates} - {"fairness", "performance"})
    )
    told = {
        name: held_out(version(rows), ETH, label=forward_direction(bar.close, 1), walk=each, settings=settings)
        for name, each in (("calm", found), ("worse", worse))
    }
    assert told["calm"]["fairness"].alarms == 0
    assert told["worse"]["fairness"].alarms >= 1
