"""Why two scores differ, and why something was refused: exact by features, in numbers and words."""

from types import SimpleNamespace

import numpy as np
import pytest

from tradeworthy.core.denials import DenialCode
from tradeworthy.judge.explain.comparing import explain_change, explain_versions, nearest_rows
from tradeworthy.judge.explain.refusals import explain_refusal
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.testing.predictors import random_forest

NAMES = ("a", "b", "c", "d")


def version(seed, names=NAMES, leaves=12):
    """Return what explaining reads of a version: predictor, feature names, profile."""
    rng = np.random.default_rng(seed)
    trees = Trees.from_forest(random_forest(rng, n_features=len(names), leaves=leaves))
    rows = rng.normal(size=(200, len(names)))
    return SimpleNamespace(
        predictor=trees, program=SimpleNamespace(names=names), profile=Profile.of(rows, trees.many(rows))
    )


@pytest.fixture
def rows():
    """Two ordinary rows."""
    return np.random.default_rng(8).normal(size=(2, 4))


def test_a_change_is_split_exactly(rows):
    """Between two rows of one version the parts are the whole difference, and what did not change has none."""
    rows[1, 2] = rows[0, 2]
    one = version(1)
    explanation, found = explain_change(one, rows[0], rows[1])
    assert (found.before, found.after) == pytest.approx([one.predictor.margin(row) for row in rows], abs=1e-12)
    assert found.sum_error <= 1e-9
    assert "the earlier event" in explanation.method
    same = next(part for part in found.parts if part.feature == "c")
    assert (same.contribution, same.before, same.after) == (0.0, rows[0, 2], rows[0, 2])


def test_two_versions_are_compared_by_the_names_of_their_features(rows):
    """Features that only one version has bring all of their contribution; baselines stay apart; all adds up."""
    old, new = version(1), version(2, ("b", "c", "e"))
    found = explain_versions(old, rows[0], new, rows[1, :3])
    assert {part.feature for part in found.parts} == {"a", "b", "c", "d", "e"}
    assert found.sum_error <= 1e-9
    assert found.unattributed != 0.0
    gone = next(part for part in found.parts if part.feature == "a")
    assert np.isnan(gone.after)
    assert gone.before == rows[0, 0]
    sizes = [abs(part.contribution) for part in found.parts]
    assert sizes == sorted(sizes, reverse=True)


def test_the_same_version_does_not_differ(rows):
    """One version against itself on one row has nothing to say."""
    one = version(3)
    found = explain_versions(one, rows[0], one, rows[0])
    assert found.before == found.after
    assert all(part.contribution == 0.0 for part in found.parts)


def test_the_nearest_rows_are_nearest_in_widths():
    """A feature counts by how wide it is; rows that miss the same number are near, others are not."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(100, 2)) * [1.0, 1e6]
    profile = Profile.of(rows, np.zeros((100, 1)))
    near = rows[5] + [0.01, 2e4]
    places, far = nearest_rows(profile, near, rows, 3)
    assert places[0] == 5
    assert far.tolist() == sorted(far)
    missing = np.array([[np.nan, 0.0], [0.0, 0.0]])
    places, far = nearest_rows(profile, np.array([np.nan, 0.0]), missing, 5)
    assert (places.tolist(), far.tolist()) == ([0, 1], [0.0, 0.5])


def test_few_of_many_rows_are_those_that_sorting_all_finds():
    """Also where many are as near as the last that is told, and where no distance is known."""
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 3, (500, 2)).astype(np.float64)
    rows[::7, 0] = np.nan
    rows[::5, 1] = np.inf
    profile = Profile.of(rng.normal(size=(100, 2)), np.zeros((100, 1)))
    for row in (rows[1], rows[0], np.array([np.inf, np.inf])):
        with np.errstate(invalid="ignore"):
            all_places, all_far = nearest_rows(profile, row, rows, len(rows))
            for count in (1, 5, 60, 499):
                places, far = nearest_rows(profile, row, rows, count)
                assert places.tolist() == all_places[:count].tolist()
                np.testing.assert_array_equal(far, all_far[:count])


@pytest.mark.parametrize("code", [code for code in DenialCode if code != DenialCode.NONE], ids=lambda code: code.name)
def test_every_refusal_says_what_would_have_passed(code):
    """Each code has a whole sentence, with or without numbers, and no placeholder is left."""
    for observed, limit in ((12.5, 10.0), (np.nan, np.nan)):
        found = explain_refusal(code, observed, limit)
        assert found.code == code.name
        assert found.passing.endswith(".")
        assert "{" not in found.sentence
        assert "nan" not in found.sentence


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code.name)
def test_units_are_those_of_the_checks(check):
    """A refused order's numbers carry the unit that its check has."""
    assert explain_refusal(check.code, 1.0, 2.0).unit == check.unit


def test_a_refusal_in_words():
    """The check, what it observed, what is allowed, what would have passed."""
    found = explain_refusal(DenialCode.ORDER_VALUE, 5_200.0, 5_000.0)
    assert found.sentence == (
        "The order's value is over the limit (observed 5,200 currency, allowed 5,000). "
        "An order worth at most 5,000 passes."
    )


def test_nothing_was_refused():
    """Without a refusal there is nothing to explain."""
    assert explain_refusal(DenialCode.NONE, np.nan, np.nan) is None
