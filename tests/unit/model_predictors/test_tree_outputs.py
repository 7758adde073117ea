"""Trees with several scores: named, stored, put in order, explained; a file that lies about them is refused."""

import numpy as np
import pytest

from tradeworthy.core.errors import BundleRefused, ModelMismatch
from tradeworthy.judge.explain.interventional import InterventionalShap
from tradeworthy.judge.explain.margins import margin_of
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.robust.tree_bounds import score_bounds
from tradeworthy.model.arrays import pack, unpack
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import TREES_FILE, Trees
from tradeworthy.testing.predictors import random_forest, random_rows

NAMES = ("down", "flat", "up")
SINGLE = ("nodes", "slots", "categories", "roots", "covers", "numbers", "counts")


def drawn(seed=0, link=Link.SOFTMAX, outputs=NAMES, trees=25):
    return Trees.from_forest(random_forest(np.random.default_rng(seed), trees=trees, link=link, outputs=outputs))


def test_shares_add_up_to_one():
    """A softmax of margins is a distribution over the classes, whatever the row."""
    scores = drawn().many(random_rows(np.random.default_rng(1), 300))
    assert scores.shape == (300, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-12)
    assert (scores > 0).all()


@pytest.mark.parametrize("link", [Link.IDENTITY, Link.SIGMOID, Link.SOFTMAX])
@pytest.mark.parametrize("trees", [3, 25, 70])
def test_one_is_many_for_several_outputs(link, trees):
    """One row at a time and a batch agree to the last bit, also where groups of trees are not full."""
    made, rows = drawn(2, link, trees=trees), random_rows(np.random.default_rng(3), 200)
    assert np.array([made.one(row) for row in rows]).tobytes() == made.many(rows).tobytes()


def test_margins_far_from_zero_do_not_overflow():
    """The largest margin is taken out before the exponential."""
    forest = random_forest(np.random.default_rng(4), trees=6, link=Link.SOFTMAX, outputs=NAMES)
    scores = Trees.from_forest(forest.__class__(**{**vars(forest), "bases": (900.0, -900.0, 899.0)})).one(np.zeros(4))
    assert np.isfinite(scores).all()
    assert scores[1] == 0.0


def test_each_output_is_the_sum_of_its_own_trees():
    """An output's margin is what the same trees alone would give."""
    made, rows = drawn(5, Link.IDENTITY), random_rows(np.random.default_rng(6), 100)
    for place, name in enumerate(NAMES):
        alone = made.acting_on(name)
        expected = np.array([alone.margin(row) for row in rows])
        assert expected.tobytes() == made.many(rows)[:, place].copy().tobytes()


def test_acting_on_puts_a_score_first():
    """The rest keep their order; nothing but the order changes."""
    made, rows = drawn(7, Link.SIGMOID), random_rows(np.random.default_rng(8), 50)
    other = made.acting_on("up")
    assert other.outputs == ("up", "down", "flat")
    assert other.many(rows).tobytes() == made.many(rows)[:, [2, 0, 1]].copy().tobytes()
    assert made.acting_on("down").many(rows).tobytes() == made.many(rows).tobytes()


def test_a_score_that_is_not_there():
    """A wrong name is refused with the near one; a model that has no names has none to choose."""
    with pytest.raises(ModelMismatch, match="'up'"):
        drawn().acting_on("upp")
    with pytest.raises(ModelMismatch, match="no score 'up'"):
        import_model(Trees.from_forest(random_forest(np.random.default_rng(0))), 4, acts_on="up")


def test_the_file_keeps_names_and_outputs():
    """What is stored and read again scores and is called the same."""
    made, rows = drawn(9), random_rows(np.random.default_rng(10), 60)
    again = Trees.from_files(made.to_files())
    assert again.outputs == NAMES
    assert again.many(rows).tobytes() == made.many(rows).tobytes()
    assert again.to_files() == made.to_files()


def test_one_output_is_stored_as_ever():
    """Files of trees with one score are what earlier releases wrote and read."""
    (data,) = Trees.from_forest(random_forest(np.random.default_rng(11))).to_files().values()
    assert set(unpack(data, TREES_FILE, expected=SINGLE)) == set(SINGLE)


def changed_file(changes):
    """Return a file of several outputs with some arrays replaced, or left out where the change is None."""
    (data,) = drawn(12).to_files().values()
    arrays = unpack(data, TREES_FILE, expected=SINGLE, optional=("output", "names")) | changes
    return {TREES_FILE: pack({name: array for name, array in arrays.items() if array is not None})}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output": np.full(25, 3, np.uint32)}, "does not exist"),
        ({"output": np.zeros(24, np.uint32)}, "differ in number"),
        ({"output": np.zeros(25, np.int64)}, "output is int64"),
        ({"output": None}, "names without trees"),
        ({"names": None}, "names without trees"),
        ({"names": np.frombuffer(b'["a","a","b"]', np.uint8)}, "the name of another"),
        ({"names": np.frombuffer(b'["a","b"]', np.uint8)}, "3 bases for 2 outputs"),
        ({"names": np.frombuffer(b'["a","b",""]', np.uint8)}, "no name"),
        ({"names": np.frombuffer(b"[1,2,3]", np.uint8)}, "not a list of texts"),
        ({"names": np.frombuffer(b"\xff\xfe", np.uint8)}, "not a list of texts"),
        ({"numbers": np.array([1.0])}, "two entries or more"),
        ({"numbers": np.array([1.0, 2.0, np.nan, 1.0])}, "not finite"),
    ],
    ids=str,
)
def test_a_file_that_lies_about_its_outputs(changes, reason):
    """No kernel is given arrays in which it could write beyond the scores."""
    with pytest.raises(BundleRefused, match=reason):
        Trees.from_files(changed_file(changes))


def test_a_softmax_of_one_is_refused():
    """A share of one output is one for every row."""
    with pytest.raises(BundleRefused, match="always one"):
        drawn(13, Link.SOFTMAX, outputs=("score",))


def test_explained_is_the_score_that_acts():
    """Shapley values are of the first output's margin; the other outputs' trees have no part in them."""
    made, rows = drawn(14, Link.SIGMOID), random_rows(np.random.default_rng(15), 40)
    found = TreeShap(made).explain(rows)
    sums = found.contributions.sum(axis=1) + found.baseline
    np.testing.assert_allclose(sums, [made.margin(row) for row in rows], rtol=1e-9, atol=1e-9)
    assert found.scores.tobytes() == made.many(rows)[:, 0].copy().tobytes()


def test_a_baseline_explains_the_score_that_acts_too():
    """Against baseline rows as well, only the first output's trees have a part."""
    made, rows = drawn(18), random_rows(np.random.default_rng(19), 20)
    rows[~np.isfinite(rows)] = 0.25
    found = InterventionalShap(made, rows[:5]).explain(rows)
    sums = found.contributions.sum(axis=1) + found.baseline
    np.testing.assert_allclose(sums, [made.margin(row) for row in rows], rtol=1e-9, atol=1e-9)
    assert found.scores.tobytes() == made.many(rows)[:, 0].copy().tobytes()
    assert np.isnan(margin_of(made, 0.5))


def test_bounds_of_a_share_hold_for_every_mixture_of_margins():
    """The certificate's interval of the first share holds wherever the margins lie between their bounds."""
    rng, made = np.random.default_rng(16), drawn(17)
    least = rng.normal(size=3)
    most = least + rng.uniform(0.0, 2.0, 3)
    low, high = score_bounds(made.table, least, most)
    margins = rng.uniform(least, most, (2_000, 3))
    margins[0], margins[1] = [least[0], most[1], most[2]], [most[0], least[1], least[2]]
    shares = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    assert low <= shares[:, 0].min() <= low + 1e-9
    assert high - 1e-9 <= shares[:, 0].max() <= high
