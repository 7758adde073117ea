"""Trees: what the table looks like, what it computes, and what it refuses."""

import numpy as np
import pytest

from tradeworthy.core.errors import BundleRefused, ModelMismatch, NotFound
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.forest import Forest, layout
from tradeworthy.model.predictors.formats import files_of, load_predictor, predictor_files
from tradeworthy.model.predictors.readers.parts import ForestParts, TreeParts
from tradeworthy.model.predictors.tree_table import Link, Reading
from tradeworthy.model.predictors.trees import TREES_FILE, Trees
from tradeworthy.testing.predictors import random_forest, random_rows


def stump(*, threshold=0.5, reading=Reading.PLAIN, missing_left=False, members=None, link=Link.IDENTITY, scale=1.0):
    """Return one split on feature 0: -1 on the left, +1 on the right."""
    parts = ForestParts()
    tree = TreeParts.empty(3)
    tree.left[0], tree.right[0] = 1, 2
    tree.reading[0], tree.missing_left[0], tree.threshold[0] = reading, missing_left, threshold
    tree.value[1:] = -1.0, 1.0
    tree.cover[:] = 10.0, 4.0, 6.0
    if members is not None:
        tree.category[0] = parts.add_set(np.array(members))
    parts.add(tree)
    return Trees.from_forest(parts.forest(source="stump", n_features=2, link=link, scale=scale))


def side(trees, number):
    """Return -1 or +1: where a number goes."""
    return trees.margin(np.array([number, 0.0]))


@pytest.mark.parametrize("missing_left", [False, True])
def test_a_number_at_the_threshold_goes_left(missing_left):
    """X <= threshold goes left, the next float goes right, whichever side missing numbers take."""
    trees = stump(missing_left=missing_left)
    assert [side(trees, x) for x in (0.5, np.nextafter(0.5, 1), -np.inf, np.inf)] == [-1, 1, -1, 1]
    assert side(trees, np.nan) == (-1 if missing_left else 1)


@pytest.mark.parametrize("missing_left", [False, True])
def test_an_infinite_threshold_sends_only_missing_numbers_right(missing_left):
    """X <= inf is true of every number, of infinity too; NaN takes its own side."""
    trees = stump(threshold=np.inf, missing_left=missing_left)
    assert [side(trees, x) for x in (1e308, np.inf, -np.inf)] == [-1, -1, -1]
    assert side(trees, np.nan) == (-1 if missing_left else 1)


def test_missing_may_count_as_zero():
    """Where a library counts NaN as 0, it goes where 0 goes."""
    assert side(stump(reading=Reading.MISSING_IS_ZERO), np.nan) == -1
    assert side(stump(reading=Reading.MISSING_IS_ZERO, threshold=-0.5), np.nan) == 1


@pytest.mark.parametrize("zero", [0.0, -0.0, 1e-36, -1e-35, float(np.float32(1e-35))])
def test_zero_may_count_as_missing(zero):
    """Where a library counts zero as missing, anything within 1e-35 of it takes the missing side."""
    assert side(stump(reading=Reading.ZERO_IS_MISSING, missing_left=False), zero) == 1
    assert side(stump(reading=Reading.ZERO_IS_MISSING, missing_left=True, threshold=-9.0), zero) == -1
    assert side(stump(reading=Reading.ZERO_IS_MISSING), 2e-35) == -1


def test_float32_rounding_happens_before_the_comparison():
    """A float64 just above a float32 threshold rounds onto it, and goes left."""
    trees = stump(reading=Reading.FLOAT32, threshold=float(np.float32(0.1)))
    assert side(trees, 0.1) == -1
    assert side(trees, float(np.float32(0.1)) + 1e-12) == -1
    assert side(trees, 0.11) == 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (3.0, 1),
        (3.9, 1),
        (33.0, 1),
        (4.0, -1),
        (64.0, -1),
        (1e9, -1),
        (1e300, -1),
        (-3.0, -1),
        (np.inf, -1),
        (np.nan, -1),
    ],
)
def test_a_category_goes_right_if_it_is_in_the_set(number, expected):
    """Codes are cut to whole numbers; unknown, negative and missing codes are in no set."""
    assert side(stump(reading=Reading.CATEGORY, members=[0, 3, 33]), number) == expected


def test_readings_of_categories_differ_near_zero_and_for_missing():
    """-0.5 is cut to category 0 in one library, and is in no set in the other; NaN can be told to be in the set."""
    assert side(stump(reading=Reading.CATEGORY, members=[0]), -0.5) == 1
    assert side(stump(reading=Reading.CATEGORY_FLOAT32, members=[0]), -0.5) == -1
    assert side(stump(reading=Reading.CATEGORY | Reading.MISSING_IN_SET, members=[0]), np.nan) == 1


@pytest.mark.parametrize(
    ("link", "scale", "expected"),
    [
        (Link.IDENTITY, 1.0, lambda m: m),
        (Link.SIGMOID, 1.0, lambda m: 1 / (1 + np.exp(-m))),
        (Link.SIGMOID, 2.0, lambda m: 1 / (1 + np.exp(-2 * m))),
        (Link.EXP, 1.0, np.exp),
        (Link.SIGNED_SQUARE, 1.0, lambda m: m * abs(m)),
    ],
)
def test_links(link, scale, expected):
    """The score follows from the margin by the link."""
    trees = stump(link=link, scale=scale)
    for number in (0.0, 1.0):
        row = np.array([number, 0.0])
        assert trees.one(row)[0] == pytest.approx(expected(trees.margin(row)), rel=1e-15)


def test_a_single_leaf_is_a_tree():
    """A tree that never splits adds its value."""
    parts = ForestParts()
    tree = TreeParts.empty(1)
    tree.value[0], tree.cover[0] = 0.25, 3.0
    parts.add(tree)
    trees = Trees.from_forest(parts.forest(source="leaf", n_features=1, bases=(1.0,)))
    assert trees.many(np.array([[np.nan], [7.0]])).tolist() == [[1.25], [1.25]]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_groups_are_filled_up_without_a_trace(count):
    """Any number of trees is walked in groups of eight; the empty ones add nothing."""
    forest = random_forest(np.random.default_rng(count), trees=count, link=Link.IDENTITY)
    trees = Trees.from_forest(forest)
    assert trees.table.groups.shape == (-(-count // 8), 9)
    assert len(trees.roots) == count


def test_children_stand_side_by_side_behind_their_parent():
    """The table's order: a tree's nodes together, parents first, siblings adjacent, leaves at themselves."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(0), trees=6, leaves=20))
    nodes = trees.table.nodes
    places = np.arange(len(nodes))
    leaf = nodes["slot"] == 0
    assert np.all(nodes["child"][leaf][2:] + 1 == places[leaf][2:])
    assert np.all(nodes["child"][~leaf] > places[~leaf])


def test_equal_sets_share_a_slot():
    """Splits that ask the same question read one slot, however often they ask it."""
    parts = ForestParts()
    for _ in range(5):
        tree = TreeParts.empty(3)
        tree.left[0], tree.right[0], tree.reading[0] = 1, 2, Reading.CATEGORY
        tree.category[0] = parts.add_set(np.array([1, 5]))
        tree.cover[:] = 2.0, 1.0, 1.0
        parts.add(tree)
    assert len(Trees.from_forest(parts.forest(source="sets", n_features=1)).table.slots) == 2


def test_the_table_cannot_be_written():
    """What was checked stays as it was checked."""
    trees = stump()
    for array in (*trees.table[:4], trees.covers, trees.roots):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[-1]


def forest_of(left, right):
    """Return a forest of one tree with these children."""
    n = len(left)
    zero, whole = np.zeros(n), np.zeros(n, np.int64)
    return Forest(
        source="test", n_features=1, tree=whole, left=np.array(left), right=np.array(right), feature=whole,
        reading=np.ones(n, np.int64), missing_left=np.zeros(n, np.bool_), threshold=zero, value=zero, cover=zero,
        category=whole - 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ([0, -1, -1], [1, -1, -1], "two parents"),
        ([1, -1, -1], [1, -1, -1], "two parents"),
        ([1, 0, -1], [2, 2, -1], "two parents"),
        ([-1, -1, -1], [-1, -1, -1], "not reached"),
    ],
)
def test_a_model_that_is_no_tree_is_refused(left, right, reason):
    """A circle, a shared child and a node out of reach are found while reading."""
    with pytest.raises(ModelMismatch, match=reason):
        layout(forest_of(left, right))


def test_readers_refuse_children_that_do_not_exist():
    """A child beyond the tree's nodes is found while reading."""
    tree = TreeParts.empty(1)
    tree.left[0] = tree.right[0] = 4
    with pytest.raises(ModelMismatch, match="does not exist"):
        ForestParts().add(tree)


def test_a_model_without_trees_is_refused():
    """An untrained model is no model."""
    with pytest.raises(ModelMismatch, match="no trees"):
        ForestParts().forest(source="LightGBM", n_features=1)


def test_an_infinite_leaf_is_refused():
    """A leaf that is not finite would make every score NaN."""
    parts = ForestParts()
    tree = TreeParts.empty(1)
    tree.value[0] = np.inf
    parts.add(tree)
    with pytest.raises(BundleRefused, match="not finite"):
        Trees.from_forest(parts.forest(source="leaf", n_features=1))


def test_wrong_widths_are_refused_with_both_numbers():
    """The message says what was found and what is allowed."""
    with pytest.raises(ModelMismatch, match=r"\(3,\).*\(2,\)"):
        stump().one(np.zeros(3))
    with pytest.raises(ModelMismatch, match=r"\(4, 3\).*\(m, 2\)"):
        stump().many(np.zeros((4, 3)))


def test_lists_and_other_types_are_rows_too():
    """A list, float32 or whole numbers are converted."""
    trees = stump()
    assert trees.one([1, 0]) == trees.one(np.array([1, 0], np.float32)) == 1.0


def test_trees_are_a_predictor(tmp_path):
    """Trees satisfy the protocol and come back from a folder."""
    trees = Trees.from_forest(random_forest(np.random.default_rng(3)))
    assert isinstance(trees, Predictor)
    trees.save(tmp_path)
    rows = random_rows(np.random.default_rng(4), 9)
    assert Trees.load(tmp_path).many(rows).tobytes() == trees.many(rows).tobytes()
    assert load_predictor(tmp_path, "trees").many(rows).tobytes() == trees.many(rows).tobytes()
    assert predictor_files("trees") == (TREES_FILE,)
    assert files_of(trees) == trees.to_files()


def test_unknown_formats_and_missing_files_are_named(tmp_path):
    """A format that this release does not know, and a file that is missing, are told by name."""
    with pytest.raises(BundleRefused, match="pickle"):
        load_predictor(tmp_path, "pickle")
    with pytest.raises(NotFound, match=TREES_FILE):
        load_predictor(tmp_path, "trees")


def test_a_users_own_predictor_cannot_be_stored():
    """A class of the user's would have to run code when loaded."""
    with pytest.raises(ModelMismatch, match="run its code"):
        files_of(object())
