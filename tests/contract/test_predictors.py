"""The built-in predictors keep the promise of the contract kit, and the kit notices who does not."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.predictors.formats import load_predictor
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.tree_table import Link
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.testing.contract import ContractBroken
from tradeworthy.testing.predictors import (
    check_any_layout,
    check_one_is_many,
    check_predictor,
    check_rows_are_left,
    check_shapes,
    check_storage,
    check_width,
    random_forest,
    random_rows,
)


class Sum:
    """A predictor that keeps every promise; its descendants break one each."""

    format = "sum"
    n_features = 4
    n_outputs = 1

    def one(self, row):
        if row.shape != (4,):
            raise ModelMismatch("wrong width")
        return np.array([row[0] + row[1]])

    def many(self, rows):
        return np.array([self.one(row) for row in rows]).reshape(len(rows), 1)

    def save(self, folder):
        (folder / "sum.txt").write_text("sum")


class OtherBits(Sum):
    """Rounds a batch to float32."""

    def many(self, rows):
        return super().many(rows).astype(np.float32).astype(np.float64)


class Scribbler(Sum):
    """Writes into its input."""

    def many(self, rows):
        scores = super().many(rows)
        rows[0, 0] = 7.0
        return scores


class Reuser(Sum):
    """Returns one array again and again."""

    def __init__(self) -> None:
        self.scores = np.zeros(1)

    def one(self, row):
        self.scores[:] = super().one(row)
        return self.scores


class Careless(Sum):
    """Scores rows of any width."""

    def one(self, row):
        return np.array([row[0]])


class Flat(Sum):
    """Forgets the second axis."""

    def many(self, rows):
        return super().many(rows)[:, 0]


class Forgetful(Sum):
    """Cannot be loaded as what it was."""

    n_outputs = 1

    def __init__(self, offset=0.0) -> None:
        self.offset = offset

    def one(self, row):
        return super().one(row) + self.offset


class Raw(Sum):
    """Reads the memory of its rows, whatever their layout."""

    def many(self, rows):
        return super().many(np.frombuffer(rows.tobytes(order="A")).reshape(rows.shape))


@pytest.fixture
def rows():
    return np.random.default_rng(1).normal(size=(40, 4))


@pytest.mark.parametrize("link", list(Link))
@pytest.mark.parametrize("categories", [False, True])
def test_trees_keep_the_promise(tmp_path, link, categories):
    """Trees of every link and every way to read a feature keep it, on rows with NaN and infinities."""
    rng = np.random.default_rng(5)
    outputs = ("a", "b", "c") if link is Link.SOFTMAX else ("score",)
    predictor = Trees.from_forest(random_forest(rng, link=link, categories=categories, outputs=outputs))
    check_predictor(predictor, random_rows(rng, 60), tmp_path, lambda folder: load_predictor(folder, "trees"))


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=400, tol=1.0, random_state=1)),
    ],
)
def test_onnx_keeps_the_promise(tmp_path, rows, model):
    """ONNX Runtime keeps it too, for a classifier and a network."""
    model.fit(rows, (rows[:, 0] > 0).astype(int))
    predictor = Onnx.from_sklearn(model, 4)
    check_predictor(predictor, rows, tmp_path, lambda folder: load_predictor(folder, "onnx"))


def test_a_faithful_stranger_passes(tmp_path, rows):
    """A user's own predictor passes if it keeps the promise; it needs no base class."""
    check_predictor(Sum(), rows, tmp_path, lambda _: Sum())


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (OtherBits(), check_one_is_many),
        (Scribbler(), check_rows_are_left),
        (Reuser(), check_rows_are_left),
        (Careless(), check_width),
        (Flat(), check_shapes),
    ],
)
def test_the_kit_notices_a_broken_promise(rows, broken, check):
    """Each check fails on a predictor that breaks its promise."""
    with pytest.raises(ContractBroken):
        check(broken, rows)


def test_the_kit_notices_a_layout_that_matters(rows):
    """A predictor that reads memory instead of the array is found out."""
    with pytest.raises(ContractBroken):
        check_any_layout(Raw(), rows)


def test_the_kit_notices_a_lossy_store(tmp_path, rows):
    """A predictor that comes back with other scores is found out."""
    with pytest.raises(ContractBroken):
        check_storage(Forgetful(), rows, tmp_path, lambda _: Forgetful(1.0))
