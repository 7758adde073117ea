"""Scores made right for another mix of classes: the odds, the predictors that carry them, and what a bundle says."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.correcting import corrected, margin_shift
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.version import load_version
from tradeworthy.testing.predictors import random_forest, random_rows
from tradeworthy.testing.versions import N_FEATURES, small_trees, trusted_key, write_small_version

PRIOR = PriorCorrection(learned=0.5, share=0.8)


def test_corrected_probabilities_are_those_of_bayes():
    """With two known densities the correction of one mix's posterior is the other mix's posterior."""
    x = np.linspace(-4.0, 4.0, 201)
    up, down = np.exp(-0.5 * (x - 1.0) ** 2), np.exp(-0.5 * (x + 1.0) ** 2)
    learned, now = (share * up / (share * up + (1.0 - share) * down) for share in (0.3, 0.85))
    prior = PriorCorrection(learned=0.3, share=0.85)
    np.testing.assert_allclose(prior.applied(learned), now, rtol=1e-13)
    np.testing.assert_allclose(prior.undone(now), learned, rtol=1e-12)


def test_certainties_and_order_stay():
    """0 and 1 are sure under any mix, and no score passes another."""
    scores = np.array([0.0, 1e-12, 0.2, 0.5, 0.999, 1.0])
    after = PRIOR.applied(scores)
    assert (after[0], after[-1]) == (0.0, 1.0)
    assert (np.diff(after) > 0.0).all()


def test_the_same_share_changes_nothing():
    """Corrected to what was learned, every score stays, and nothing is added to the log-odds."""
    same = PriorCorrection(learned=0.37, share=0.37)
    assert same.log_odds == 0.0
    scores = np.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose(same.applied(scores), scores, rtol=1e-15)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_without_the_other_class_is_refused(share):
    """There are no odds that make scores right where one class is all there is."""
    with pytest.raises(ValueError, match="allowed is a share between 0 and 1"):
        PriorCorrection(learned=0.5, share=share)
    with pytest.raises(ValueError, match="learned"):
        PriorCorrection(learned=share, share=0.5)


def test_trees_carry_the_correction_in_their_base():
    """Every score is the corrected one, alone and in a batch alike, and only the start of the sum has moved."""
    rng = np.random.default_rng(1)
    trees, rows = Trees.from_forest(random_forest(rng)), random_rows(rng, 300)
    moved = corrected(trees, PRIOR)
    assert isinstance(moved, Trees)
    np.testing.assert_allclose(moved.many(rows), PRIOR.applied(trees.many(rows)), rtol=1e-12)
    assert all((moved.one(row) == moved.many(rows[i : i + 1])[0]).all() for i, row in enumerate(rows))
    assert moved.table.bases[0] - trees.table.bases[0] == pytest.approx(margin_shift(trees, PRIOR), rel=1e-12)
    np.testing.assert_array_equal(moved.table.nodes, trees.table.nodes)
    again = Trees.from_files(moved.to_files())
    np.testing.assert_array_equal(again.many(rows), moved.many(rows))


def test_the_scale_inside_the_sigmoid_is_allowed_for():
    """Trees whose margins are squashed by a factor are shifted on their own scale."""
    rng = np.random.default_rng(2)
    trees, rows = Trees.from_forest(replace(random_forest(rng), scale=2.5)), random_rows(rng, 100)
    assert margin_shift(trees, PRIOR) == pytest.approx(PRIOR.log_odds / 2.5)
    np.testing.assert_allclose(corrected(trees, PRIOR).many(rows), PRIOR.applied(trees.many(rows)), rtol=1e-12)


@pytest.mark.parametrize("link", [Link.IDENTITY, Link.EXP])
def test_trees_without_log_odds_are_refused(link):
    """An average of probabilities, or a count, has no log-odds to shift; the message says what can be corrected."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(3), link=link))
    with pytest.raises(ModelMismatch, match=r"train boosted trees with a log loss, or a model that is served as ONNX"):
        corrected(trees, PRIOR)


def test_several_classes_are_refused():
    """A correction is of one class of two."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(4), link=Link.SOFTMAX, outputs=("a", "b", "c")))
    with pytest.raises(ModelMismatch, match="the model has 3 scores"):
        corrected(trees, PRIOR)


def test_a_network_gets_four_operators_more():
    """A model served as ONNX gives the corrected probability, and passes every check of a bundle's file."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(200, 3))
    labels = (rows[:, 0] + rng.normal(size=200) > 0).astype(int)
    model = import_model(LogisticRegression().fit(rows, labels), 3)
    moved = corrected(model, PRIOR)
    assert isinstance(moved, Onnx)
    np.testing.assert_allclose(moved.many(rows), PRIOR.applied(model.many(rows)), rtol=1e-12)
    assert all((moved.one(row) == moved.many(rows[i : i + 1])[0]).all() for i, row in enumerate(rows[:20]))
    with pytest.raises(ModelMismatch, match="given other odds before"):
        corrected(moved, PRIOR)


def test_a_forest_can_be_corrected_as_onnx():
    """What trees cannot carry, a network can: a random forest's mean of probabilities, in single precision."""
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(200, 3)).astype(np.float32).astype(np.float64)
    labels = (rows[:, 1] > 0).astype(int)
    forest = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=1).fit(rows, labels)
    model = Onnx.from_sklearn(forest, 3)
    after = corrected(model, PRIOR).many(rows)
    np.testing.assert_allclose(after, PRIOR.applied(model.many(rows)), atol=1e-6)
    assert ((after >= 0.0) & (after <= 1.0)).all()


def test_other_predictors_are_refused():
    """A predictor that cannot be part of a version cannot be corrected either."""

    class Foreign:
        n_outputs = 1

    with pytest.raises(ModelMismatch, match="a Foreign cannot be corrected"):
        corrected(Foreign(), PRIOR)


def test_a_bundle_says_what_was_done(tmp_path):
    """The signed manifest names both shares, and the scores of the version are the corrected ones."""
    rng = np.random.default_rng(7)
    trees = small_trees(rng)
    key, trust = trusted_key(tmp_path / "keys")
    write_small_version(tmp_path / "v", key, rng, predictor=corrected(trees, PRIOR), prior=PRIOR)
    version = load_version(tmp_path / "v", trust)
    assert version.manifest.prior == PRIOR
    assert version.golden_error_max() == 0.0
    rows = rng.normal(scale=0.01, size=(50, N_FEATURES))
    np.testing.assert_allclose(version.predictor.many(rows), PRIOR.applied(trees.many(rows)), rtol=1e-12)


def test_a_bundle_without_a_correction_is_spelt_as_before(tmp_path):
    """What older releases cannot say is not said, so their versions keep their names."""
    key, trust = trusted_key(tmp_path / "keys")
    write_small_version(tmp_path / "v", key, np.random.default_rng(8))
    assert "prior" not in msgspec.json.decode((tmp_path / "v" / "manifest.json").read_bytes())
    assert load_version(tmp_path / "v", trust).manifest.prior is None
