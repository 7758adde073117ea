"""Signs of the future in the past, against features whose sins are known."""

import numpy as np
import pytest

from tradeworthy.change.evidence.leakage import duplicates, foresight, look_ahead
from tradeworthy.change.train.folds import Fold

N = 4_000


def honest(events):
    """Return rows that use the past: the mean of the last three values."""
    means = np.convolve(events, np.ones(3) / 3, "valid")
    return means[:, None], np.arange(2, len(events))


def peeking(events):
    """Return rows that use the next value, or the last where there is none."""
    return np.append(events[1:], events[-1:])[:, None], np.arange(len(events))


def normalising(events):
    """Return rows that are scaled by the whole history's spread: a peek that is easily overlooked."""
    return (events / events.std())[:, None], np.arange(len(events))


def withholding(events):
    """Return rows that come a few events late when history goes on."""
    return events[:-5, None].copy(), np.arange(len(events) - 5)


@pytest.mark.parametrize(
    ("fold", "guilty"), [(honest, False), (peeking, True), (normalising, True), (withholding, True)]
)
def test_features_that_see_the_future_change_when_it_is_cut_off(fold, guilty):
    """Honest features stay the same bit for bit; a peek, a scale from all of history, and rows that vanish do not."""
    events = np.random.default_rng(1).standard_normal(1_000)
    found = look_ahead(fold, events, [400, 700, 999])
    assert found.rows >= 3 * 190
    assert (found.differences > 0) == guilty


def test_a_peek_of_one_event_is_found_once_a_cut():
    """Only the last row before each cut differs."""
    events = np.random.default_rng(2).standard_normal(1_000)
    assert look_ahead(peeking, events, [400, 700]).differences == 2


def test_foresight_is_the_auc_of_what_the_feature_knows():
    """A feature with the label in it foresees it, a noisy one less, one about nothing not at all."""
    rng = np.random.default_rng(3)
    up = (rng.random(N) < 0.5).astype(float)
    assert foresight(up + 0.01 * rng.standard_normal(N), up) > 0.99
    assert foresight(up + rng.standard_normal(N), up) == pytest.approx(0.76, abs=0.03)  # Phi(1 / sqrt 2)
    assert foresight(rng.standard_normal(N), up) == pytest.approx(0.5, abs=0.04)


def test_foresight_is_not_blind_to_what_is_no_ranking():
    """A label that follows from how far a feature lies from its middle is foreseen, though its own ranking is blind."""
    values = np.random.default_rng(4).standard_normal(N)
    assert foresight(values, (np.abs(values) > 0.67).astype(float)) > 0.95


def test_a_feature_of_one_value_foresees_nothing():
    """A constant makes one bin, and so no ranking."""
    assert foresight(np.ones(N), (np.arange(N) % 3 == 0).astype(float)) == 0.5


def test_duplicates_are_rows_equal_in_every_feature():
    """A row counts where all its features stand among the training rows; half of them is not enough."""
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 4.0], [3.0, 4.0]])
    assert duplicates(rows, Fold(0, np.array([0, 1]), np.array([2, 3, 4]))) == 2
