"""The smallest change that flips a decision: nothing cheaper exists, and nothing that must stay is moved."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeworthy.core.errors import NotFound
from tradeworthy.judge.explain.boxes import Wanted, box_bound, cheapest, cut
from tradeworthy.judge.explain.counterfactual import counterfactual, written
from tradeworthy.judge.explain.explaining import width_of
from tradeworthy.judge.explain.sides import side_of
from tradeworthy.model.manifest import Signal
from tradeworthy.model.predictors.tree_table import Reading
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.testing.predictors import random_forest, random_rows

seeds = st.integers(0, 2**32 - 1)
NAMES = ("a", "b", "c", "d")
SIGNAL = Signal(enter_long=0.55, exit_long=0.5)


class Plane:
    """A predictor that is no trees: a weighted sum squeezed into a probability."""

    format, n_features, n_outputs = "plane", 4, 1

    def one(self, row):
        return self.many(row[None])[0]

    def many(self, rows):
        return (1.0 / (1.0 + np.exp(-(rows @ np.array([2.0, -1.0, 0.0, 0.5])))))[:, None]

    def save(self, folder):
        """Write nothing; no test stores it."""


def drawn(seed, **shape: object):
    """Return random trees, a profile of ordinary rows, and one of them."""
    rng = np.random.default_rng(seed)
    trees = Trees.from_forest(random_forest(rng, **shape))
    rows = rng.normal(size=(300, 4))
    return trees, Profile.of(rows, trees.many(rows)), rows[7]


def every_cell(trees, wanted, features_max):
    """Return the least cost of all rows past the margin, by trying every cell of every pair of features."""
    nodes = trees.table.nodes[trees.table.nodes["slot"] != 0]
    slots = trees.table.slots[nodes["slot"]]
    values = []
    for feature in range(len(wanted.row)):
        own = slots["feature"] == feature
        cuts = {v for r, t in zip(slots["reading"][own], nodes["threshold"][own], strict=True) for v in cut(int(r), t)}
        tiny = {
            s * v for s in (1, -1) for v in (1e-35, float(np.float32(1e-35)), np.nextafter(float(np.float32(1e-35)), 1))
        }
        inside = [v for v in cuts | tiny if wanted.low[feature] <= v <= wanted.high[feature]]
        values.append([float(wanted.row[feature]), *inside])
    best = np.inf
    for first in range(4):
        for second in range(first):
            grid = np.array(list(product(values[first], values[second])))
            rows = np.repeat(wanted.row[None], len(grid), axis=0)
            rows[:, first], rows[:, second] = grid.T
            if features_max == 1:
                rows = rows[(rows != wanted.row).sum(axis=1) <= 1]
            passed = [row for row in rows if wanted.sign * trees.margin(row) >= wanted.sign * wanted.margin]
            costs = [np.sum(np.abs(row - wanted.row) / wanted.width) for row in passed]
            best = min([best, *costs])
    return best


@given(seeds, st.sampled_from([1.0, -1.0]), st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_nothing_cheaper_exists(seed, sign, features_max):
    """The search's answer costs what the cheapest of all cells costs, for splits of every kind."""
    trees, profile, row = drawn(seed, trees=4, leaves=5)
    margin = trees.margin(row) + sign * 0.4
    wanted = Wanted(row, margin, sign, profile.minimum, profile.maximum, width_of(profile), features_max)
    found = cheapest(trees, wanted, boxes_max=20_000)
    assert found.proven
    assert found.cost == pytest.approx(every_cell(trees, wanted, features_max), rel=1e-6, abs=1e-6)
    assert found.row is None or sign * trees.margin(found.row) >= sign * margin


@given(seeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_boxs_bound_holds_for_every_row_in_it(seed, categories):
    """No row inside a box has a margin above its bound."""
    rng = np.random.default_rng(seed)
    trees = Trees.from_forest(random_forest(rng, leaves=12, categories=categories))
    ends = np.sort(rng.normal(size=(2, 4)) * rng.choice([1e-35, 1.0]), axis=0)
    if categories:
        ends[1] = ends[0]
    rows = ends[0] + (ends[1] - ends[0]) * rng.random((50, 4))
    bound, _ = box_bound(trees.table, trees.roots, *ends, 1.0, np.empty((2, len(trees.table.slots))))
    assert max(trees.margin(row) for row in rows) <= bound + 1e-12


@pytest.mark.parametrize("reading", [Reading.PLAIN, Reading.FLOAT32, Reading.PLAIN | 16, Reading.FLOAT32 | 16])
@pytest.mark.parametrize("threshold", [0.1, -2.5, 0.0, 1 / 3])
def test_a_cut_lies_between_neighbours(reading, threshold):
    """The two values of a cut are decided differently by its split, and nothing readable lies between them."""
    below, above = cut(int(reading), threshold)
    read = np.float32 if reading & 15 == Reading.FLOAT32 else np.float64
    sign = -1.0 if reading & 16 else 1.0
    assert (sign * float(read(below)) <= threshold) != (sign * float(read(above)) <= threshold)
    assert np.nextafter(read(below), read(np.inf)) == read(above)


@given(seeds, st.sampled_from([0.0, 2.0]))
@settings(max_examples=20, deadline=None)
def test_the_change_flips_the_decision(seed, held):
    """The changed row wants another side, says so, and stays inside what training saw."""
    trees, profile, row = drawn(seed, trees=6, leaves=6)
    found = counterfactual(trees, SIGNAL, profile, row, NAMES, held=held)
    moved = row.copy()
    for change in found.changes:
        moved[NAMES.index(change.feature)] = change.after
    if found.changes:
        assert found.exact
        assert found.side == side_of(SIGNAL, float(trees.one(moved)[0]), held)
        assert found.side != side_of(SIGNAL, float(trees.one(row)[0]), held)
        assert np.all((moved >= profile.minimum) & (moved <= profile.maximum))
        assert found.cost == pytest.approx(sum(change.widths for change in found.changes))
    else:
        assert "No change of at most 2 features" in found.sentence


def test_what_may_not_change_stays():
    """Immutable features, missing numbers and categories are left as they are; with all of them fixed nothing flips."""
    trees, profile, row = drawn(3, trees=8, leaves=8)
    free = counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0)
    first = free.changes[0].feature
    bound = counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0, immutable=[first])
    assert first not in [change.feature for change in bound.changes]
    assert bound.cost >= free.cost
    none = counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0, immutable=NAMES)
    assert (none.changes, none.exact) == ([], True)


def test_missing_numbers_and_categories_stay():
    """A number that is missing, and one that a split reads as a category, never move."""
    rng = np.random.default_rng(1)
    trees = Trees.from_forest(random_forest(rng, categories=True, trees=8))
    profile = Profile.of(rng.normal(size=(200, 4)), np.zeros((200, 1)))
    slots = trees.table.slots[1:]
    codes = {int(f) for f in slots["feature"][np.isin(slots["reading"] & 15, [5, 6])]}
    assert codes
    for row in random_rows(rng, 10):
        found = counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0)
        moved = {NAMES.index(change.feature) for change in found.changes}
        assert not moved & (codes | set(np.flatnonzero(~np.isfinite(row)).tolist()))


def test_an_unknown_immutable_feature_is_refused():
    """A misspelt name is refused with the nearest one."""
    trees, profile, row = drawn(3)
    with pytest.raises(NotFound, match="no feature 'aa'"):
        counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0, immutable=["aa"])


def test_a_search_that_ends_early_says_how_much_it_knows():
    """With few boxes the answer is no longer proven, and what is proven is said."""
    rng = np.random.default_rng(5)
    trees = Trees.from_forest(random_forest(rng, trees=40, leaves=12))
    rows = rng.normal(size=(300, 4))
    profile = Profile.of(rows, trees.many(rows))
    some = [counterfactual(trees, SIGNAL, profile, row, NAMES, held=0.0, boxes_max=2) for row in rows[:20]]
    early = [found for found in some if found.changes and not found.exact]
    assert early
    for found in early:
        assert found.cost_lower < found.cost
        assert "ended early" in found.sentence or "bounded" in found.sentence


def test_other_models_are_searched_and_say_that_they_are_not_exact():
    """Without trees the change flips too, is near the smallest, and promises nothing."""
    rows = np.random.default_rng(2).normal(size=(400, 4))
    profile = Profile.of(rows, Plane().many(rows))
    row = np.array([-0.4, 0.2, 0.0, 0.1])
    found = counterfactual(Plane(), SIGNAL, profile, row, NAMES, held=0.0)
    needed = (np.log(0.55 / 0.45) - row @ np.array([2.0, -1.0, 0.0, 0.5])) / 2.0 / width_of(profile)[0]
    assert not found.exact
    assert found.side == "long"
    assert found.cost == pytest.approx(needed, rel=1e-3)
    assert "a smaller change may exist" in found.sentence


def test_a_model_that_cannot_be_flipped_within_reach():
    """Where the search finds nothing it says that something may exist."""
    rows = np.random.default_rng(2).normal(size=(400, 4)) * 0.01
    profile = Profile.of(rows, Plane().many(rows))
    found = counterfactual(Plane(), SIGNAL, profile, rows[0], NAMES, held=0.0)
    assert (found.changes, found.exact, found.side) == ([], False, "")
    assert "may exist" in found.sentence


@pytest.mark.parametrize(
    ("value", "said"),
    [(1e-35, "just above 0"), (-1e-35, "just below 0"), (0.0, "0"), (-2.5e-7, "-2.5e-07"), (0.1234567, "0.123457")],
)
def test_a_cut_at_zero_is_written_in_words(value, said):
    """Some trees tell zero from what lies above it by 1e-35, which is no value that anybody can read."""
    assert written(value) == said
