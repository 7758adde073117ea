"""The walk over the table is exact: it is what the forest says, for any forest and any row, alone or in a batch."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tradeworthy.model.predictors.tree_table import Link, Reading, score_with
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.predictors import random_forest, random_rows

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from([("score",), ("a", "b"), ("a", "b", "c")])
shapes = st.fixed_dictionaries(
    {"trees": st.integers(1, 20), "leaves": st.integers(1, 24), "categories": st.booleans(), "outputs": names}
)


def goes_left(forest, node, row):
    """Say which way a row goes, straight from the rules."""
    number = row[forest.feature[node]]
    reading = int(forest.reading[node])
    if forest.category[node] >= 0:
        members = set(forest.sets[forest.category[node]].tolist())
        if np.isnan(number):
            return not reading & Reading.MISSING_IN_SET
        if reading & 15 == Reading.CATEGORY_FLOAT32:
            with np.errstate(over="ignore"):
                number = np.float32(number)
            return number < 0 or not np.isfinite(number) or int(number) not in members
        return not np.isfinite(number) or int(number) not in members
    if reading == Reading.MISSING_IS_ZERO:
        number = 0.0 if np.isnan(number) else number
    elif reading == Reading.ZERO_IS_MISSING:
        number = np.nan if abs(number) <= np.float64(np.float32(1e-35)) else number
    elif reading == Reading.FLOAT32:
        with np.errstate(over="ignore"):
            number = np.float64(np.float32(number))
    if np.isnan(number):
        return bool(forest.missing_left[node])
    return number <= forest.threshold[node]


def plain_margins(forest, row):
    """Add the leaves that a row reaches to their tree's output, one tree after another."""
    margins = np.array(forest.bases)
    for tree, root in enumerate(np.unique(forest.tree, return_index=True)[1]):
        node = root
        while forest.left[node] >= 0:
            node = forest.left[node] if goes_left(forest, node, row) else forest.right[node]
        margins[forest.output[tree]] += forest.value[node]
    return margins


@given(seeds, shapes)
@settings(max_examples=60, deadline=None)
def test_the_table_walks_as_the_forest_says(seed, shape):
    """The eight-tree walk reaches the leaves that the library's rules name, whatever stands in the row."""
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, **shape, link=Link.IDENTITY)
    trees, rows = Trees.from_forest(forest), random_rows(rng, 20)
    expected = [plain_margins(forest, row) for row in rows]
    np.testing.assert_allclose(trees.many(rows), expected, rtol=1e-13, atol=1e-13)


@given(seeds, shapes, st.sampled_from(list(Link)), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_one_is_many_bit_for_bit(seed, shape, link, count):
    """A row alone, in a batch of any size, and through the kernel with its own scratch, gives the same bits."""
    rng, k = np.random.default_rng(seed), len(shape["outputs"])
    assume(link is not Link.SOFTMAX or k > 1)
    trees, rows = Trees.from_forest(random_forest(rng, **shape, link=link)), random_rows(rng, count)
    many = trees.many(rows)
    assert np.array([trees.one(row) for row in rows]).tobytes() == many.tobytes()
    numbers, scores = np.empty(len(trees.table.slots)), np.empty((count, k))
    for place, row in enumerate(rows):
        score_with(trees.table, row, numbers, scores[place])
    assert scores.tobytes() == many.tobytes()


@given(seeds, shapes)
@settings(max_examples=30, deadline=None)
def test_storage_keeps_every_bit(seed, shape):
    """A forest that was stored and read again gives the same scores and the same bytes."""
    rng = np.random.default_rng(seed)
    trees, rows = Trees.from_forest(random_forest(rng, **shape)), random_rows(rng, 10)
    files = trees.to_files()
    again = Trees.from_files(files)
    assert again.many(rows).tobytes() == trees.many(rows).tobytes()
    assert again.to_files() == files
    assert again.covers.tobytes() == trees.covers.tobytes()
