"""A change explained: what moved, what it costs, and which feature accounts for it."""

import msgspec
import numpy as np
import pytest

from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.explain.change import Change, Model, expected_loss, explain_change
from tradeworthy.judge.metrics import log_losses
from tradeworthy.model.profile import Profile

NAMES = ("skill", "noise", "flat")
NOTHING = (np.empty(0), np.empty(0))


class Logistic:
    """Scores a row by its first feature alone."""

    n_features, n_scores, format = 3, 1, "test"

    def one(self, row):
        """Score one row."""
        return self.many(row[None])[0]

    def many(self, rows):
        """Score rows."""
        return 1.0 / (1.0 + np.exp(-2.0 * rows[:, :1]))


class Slope(Logistic):
    """Foresees a return from the first feature."""

    def many(self, rows):
        """Score rows."""
        return 0.01 * rows[:, :1]


def rows_of(rng, n, shift=0.0, scale=1.0):
    """Return rows whose first feature is shifted and scaled, and whose last never moves."""
    rows = rng.normal(size=(n, 3))
    rows[:, 0], rows[:, 2] = rows[:, 0] * scale + shift, 4.0
    return rows


def labels_of(rng, rows):
    """Draw labels with the probabilities that the model says."""
    return (rng.random(len(rows)) < Logistic().many(rows)[:, 0]).astype(float)


def model(seed=0, predictor=None, *, binary=True):
    """Return a calibrated model with its profile."""
    rng = np.random.default_rng(seed)
    predictor, rows = predictor or Logistic(), rows_of(rng, 3_000)
    scores = predictor.many(rows)
    labels = labels_of(rng, rows) if binary else scores[:, 0] + rng.normal(scale=0.02 + np.abs(scores[:, 0]))
    return Model(predictor, Profile.of(rows, scores, labels), NAMES, scores[:, 0], labels, binary, 1)


def by_name(change):
    """Return the features by name."""
    return {each.name: each for each in change.features}


def test_contributions_add_up_to_the_expected_change():
    """Shapley values share out exactly what the pairs' losses changed by."""
    found = explain_change(model(), rows_of(np.random.default_rng(1), 500, scale=0.2), NOTHING)
    total = sum(each.loss for each in found.features)
    assert total == pytest.approx(found.effect.change, abs=1e-12)
    assert found.effect.expected_now - found.effect.expected_then == pytest.approx(total, abs=1e-12)


def test_the_feature_that_made_cases_harder_gets_the_blame():
    """Scores near one half cost what a coin costs; the feature behind it explains all of it."""
    found = explain_change(model(), rows_of(np.random.default_rng(1), 800, scale=0.1), NOTHING)
    feature = by_name(found)
    assert found.effect.low > 0.1
    assert feature["skill"].loss == pytest.approx(found.effect.change, abs=1e-9)
    assert feature["noise"].loss == feature["flat"].loss == 0.0
    assert found.features[0].name == "skill"
    assert feature["skill"].reason_now < 0.5 * feature["skill"].reason_then
    assert "baseline: 3000 rows of the training profile" in found.effect.method


def test_a_moved_feature_that_the_model_does_not_use_costs_nothing():
    """It is told that it moved, and that it explains nothing."""
    rows = rows_of(np.random.default_rng(1), 800)
    rows[:, 1] += 3.0
    found = explain_change(model(), rows, NOTHING)
    assert found.features[0].name == "noise"
    assert found.features[0].moved == pytest.approx(3.0, abs=0.2)
    assert found.features[0].loss == 0.0
    assert found.effect.low < 0.0 < found.effect.high


def test_a_changed_relation_is_the_rest():
    """Labels turned around cost much, and no feature's move explains it."""
    rng = np.random.default_rng(2)
    rows = rows_of(rng, 1_500)
    scores, labels = Logistic().many(rows)[:, 0], 1.0 - labels_of(rng, rows)
    found = explain_change(model(), rows, (scores, labels)).effect
    assert found.low < 0.0 < found.high
    assert found.rest > 0.5
    assert found.realised_low < found.realised_now < found.realised_high
    assert found.realised_now == pytest.approx(log_losses(scores, labels).mean())
    assert found.rest == pytest.approx(found.realised_now - found.realised_then - found.change)


def test_without_labels_nothing_is_said_of_what_was_realised():
    """Missing is not zero."""
    found = explain_change(model(), rows_of(np.random.default_rng(1), 100), NOTHING).effect
    assert (found.labelled, found.realised_now, found.rest) == (0, None, None)


def test_the_expected_loss_of_returns_is_learned_by_score():
    """Where large scores are less certain, they are expected to cost more."""
    asked = model(predictor=Slope(), binary=False)
    cheap, dear = expected_loss(asked)(np.array([0.0, 0.03]))
    assert dear > 2.0 * cheap > 0.0
    found = explain_change(asked, rows_of(np.random.default_rng(1), 800, scale=2.0), NOTHING)
    assert found.effect.loss == "squared error"
    assert by_name(found)["skill"].loss == pytest.approx(found.effect.change, abs=1e-12) != 0.0


def test_histograms_are_shares_of_both():
    """Then and now share their bins, each adds up to one, and what lies beyond is in the outer bins."""
    rows = rows_of(np.random.default_rng(1), 400, shift=1.0)
    rows[0, 0] = 1e9
    for each in explain_change(model(), rows, NOTHING).features:
        assert sum(each.then) == pytest.approx(1.0)
        assert sum(each.now) == pytest.approx(1.0)
        assert len(each.edges) == len(each.now) + 1
        assert np.all(np.diff(each.edges) > 0.0)


def test_it_is_the_same_every_time_and_survives_its_file():
    """One seed, one answer; JSON keeps it."""
    rows = rows_of(np.random.default_rng(1), 100)
    found = explain_change(model(), rows, NOTHING)
    assert explain_change(model(), rows, NOTHING) == found
    assert msgspec.json.decode(msgspec.json.encode(found), type=Change) == found


def test_too_few_rows_are_refused():
    """A handful of rows has no distribution."""
    with pytest.raises(DataInvalid, match="found 29 scored rows"):
        explain_change(model(), rows_of(np.random.default_rng(1), 29), NOTHING)
