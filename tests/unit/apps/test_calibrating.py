"""`tradeworthy calibrate` says what its tables cannot: of hours of the week, and of monitors that are silent."""

import numpy as np
import pytest

from tradeworthy.apps.commands.calibrating import season_words, silent_words
from tradeworthy.core.time import NS_PER_HOUR
from tradeworthy.judge.monitor.drift import DriftSettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.model.profile import Profile


def profile(*, timed):
    """Return a profile of two features, of which the first is far up at every midnight."""
    times = np.arange(2_000) * NS_PER_HOUR
    rows = np.random.default_rng(0).standard_normal((2_000, 2))
    rows[::24, 0] += 4.0
    return Profile.of(rows, np.zeros((2_000, 1)), None, times if timed else None)


@pytest.mark.parametrize(
    ("timed", "season", "said"),
    [
        (True, True, "taken out of 1 of 2 features"),
        (False, True, "made before profiles kept times"),
        (True, False, "season = false in [monitor.drift]"),
    ],
)
def test_the_season_is_said(timed, season, said):
    """A seasonal profile, one without times and a switch that is off are told apart."""
    assert said in season_words(profile(timed=timed), DriftSettings(season=season))


def test_what_is_on_and_was_not_made_says_what_it_needs():
    """A model of returns has none of the monitors of directions; what is off is not missed, nor what was made."""
    said = silent_words(MonitorSettings(off=("estimated",)), ["drift", "reasons", "performance"])
    assert set(said) == {"class_balance", "reliability"}
    assert said["class_balance"] == "silent, it needs a model of directions (labels 0 and 1) and 500 out-of-fold scores"
    assert silent_words(MonitorSettings(), MonitorSettings().rates) == {}
