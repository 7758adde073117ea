"""Explanations of one row, and their words."""

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tradeworthy.judge.explain.attribution import Explanation
from tradeworthy.judge.explain.explaining import explain_row, make_explainer
from tradeworthy.judge.explain.permutation import PermutationShapley
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.explain.words import reasons, standing, summary
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.profile import Profile
from tradeworthy.testing.versions import small_program, small_trees

ROWS = np.random.default_rng(0).normal(size=(300, 4))
NAMES = ("return_1", "return_3", "mean_5", "std_5")


def explanation(contributions=(0.5, -1.5, 0.0, 0.25), errors=(0.0, 0.0, 0.0, 0.0)):
    """Return an explanation with these contributions."""
    return Explanation(
        method="by hand", baseline=0.1, margin=0.1 + sum(contributions), score=0.3, names=NAMES,
        values=(0.0, 9.0, 1.0, -9.0), contributions=contributions, errors=errors,
    )  # fmt: skip


@pytest.fixture
def profile():
    return Profile.of(ROWS, ROWS[:, :1])


def test_trees_are_explained_exactly(profile):
    """A row of trees gets exact values that add up to 1e-9."""
    trees = small_trees(np.random.default_rng(1))
    found = explain_row(trees, ROWS[0], NAMES, profile)
    assert isinstance(make_explainer(trees, profile), TreeShap)
    assert found.sum_error <= 1e-9
    assert found.score == trees.one(ROWS[0])[0]
    assert found.margin == trees.margin(ROWS[0])
    assert found.errors == (0.0,) * 4
    assert "exact" in found.method


def test_other_models_are_explained_with_an_error(profile):
    """ONNX models get permutation walks over the profile's sample, and state an error."""
    model = Onnx.from_sklearn(LogisticRegression().fit(ROWS, ROWS[:, 0] * ROWS[:, 1] > 0), 4)
    found = explain_row(model, ROWS[0], NAMES, profile)
    assert isinstance(make_explainer(model, profile), PermutationShapley)
    assert found.sum_error <= 1e-9
    assert found.margin == found.score
    assert any(error > 0 for error in found.errors)


def test_an_explainer_can_be_kept(profile):
    """Explaining many rows with one explainer gives what one at a time gives."""
    trees = small_trees(np.random.default_rng(1))
    explainer = make_explainer(trees, profile)
    assert explain_row(trees, ROWS[3], NAMES, profile, explainer=explainer) == explain_row(
        trees, ROWS[3], NAMES, profile
    )


def test_an_explanation_is_a_message(profile):
    """It goes through JSON without loss."""
    found = explain_row(small_trees(np.random.default_rng(1)), ROWS[0], NAMES, profile)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found


def test_the_largest_contribution_comes_first():
    """Size counts, whatever the sign."""
    assert explanation().by_size() == (1, 0, 3, 2)


def test_reasons_are_in_order_and_in_words(profile):
    """Reasons name the feature in the program's words, its value, its standing and what it did."""
    first, second, third = reasons(explanation(), profile, small_program().describe)
    assert [reason.feature for reason in (first, second, third)] == ["return_3", "return_1", "std_5"]
    assert first.sentence.startswith("The log return of bar close over 3 bars was 9, above everything seen in training")
    assert first.sentence.endswith("it lowered the margin by 1.5.")
    assert "it raised the margin by 0.5." in second.sentence
    assert "below everything" in third.sentence


def test_reasons_can_be_one_sided_and_few(profile):
    """Only what raised or lowered the margin, and no more than asked for."""
    describe = small_program().describe
    assert [r.feature for r in reasons(explanation(), profile, describe, towards=1)] == ["return_1", "std_5"]
    assert [r.feature for r in reasons(explanation(), profile, describe, towards=-1)] == ["return_3"]
    assert len(reasons(explanation(), profile, describe, count=1)) == 1


def test_a_feature_that_did_nothing_is_no_reason(profile):
    """Where nothing contributed there are no reasons."""
    assert reasons(explanation((0.0, 0.0, 0.0, 0.0)), profile, small_program().describe) == ()


def test_an_estimated_contribution_says_so(profile):
    """Where a contribution has an error, the sentence tells it."""
    found = reasons(explanation(errors=(0.0, 0.125, 0.0, 0.0)), profile, small_program().describe)
    assert "± 0.12" in found[0].sentence
    assert "±" not in found[1].sentence


def test_the_summary_opens_with_the_score(profile):
    """All reasons in one text, after the score, margin and baseline."""
    text = summary(explanation(), reasons(explanation(), profile, small_program().describe))
    assert text.startswith("The score is 0.3; its margin -0.65 stands against a baseline of +0.1. The log return")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (50.0, "ordinary (rank 50% of training)"),
        (97.0, "higher than 97% of training"),
        (3.0, "lower than 97% of training"),
        (-1.0, "below everything seen in training (lowest 0)"),
        (101.0, "above everything seen in training (highest 100)"),
        (float("nan"), "which is missing"),
    ],
)
def test_where_a_value_stands(value, words):
    """A value's standing among training rows, in words."""
    ramp = Profile.of(np.arange(101.0)[:, None], np.zeros((101, 1)))
    assert standing(ramp, 0, value) == words


def test_a_constant_feature_stands_as_always():
    """A feature that never varied is as it always was."""
    assert standing(Profile.of(np.ones((5, 1)), np.ones((5, 1))), 0, 1.0) == "as always in training"
