"""A small, complete, signed version, for tests of whatever runs or judges versions."""

from pathlib import Path
from typing import Any

import numpy as np

from tradeworthy.core.events import Kind
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.model.features.expressions import bar, log_return
from tradeworthy.model.features.program import Program, compile_program
from tradeworthy.model.predictors.base import Predictor
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.model.version import write_version
from tradeworthy.testing.predictors import random_forest

N_FEATURES = 4


def small_program() -> Program:
    """Return a program of four features of one instrument's bars."""
    price = log_return(bar.close)
    features = {"return_1": price, "return_3": log_return(bar.close, 3), "mean_5": price.mean(5), "std_5": price.std(5)}
    return compile_program(features, trigger=Kind.BAR)


def small_trees(rng: np.random.Generator) -> Trees:
    """Return a few random trees that fit `small_program`."""
    return Trees.from_forest(random_forest(rng, trees=10, n_features=N_FEATURES))


def trusted_key(folder: Path, name: str = "a test") -> tuple[SigningKey, TrustStore]:
    """Make a key, and a store that trusts it, below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key, store = SigningKey.create(folder / f"{name}.key", name), TrustStore(folder / "trust")
    store.add(key.public)
    return key, store


def write_small_version(
    folder: Path, key: SigningKey, rng: np.random.Generator, *, predictor: Predictor | None = None, **facts: Any
) -> str:
    """Write a complete version into a new folder and return its digest.

    Further facts go to `write_version` in place of the defaults here.
    """
    predictor = predictor or small_trees(rng)
    rows = rng.normal(scale=0.01, size=(600, predictor.n_features))
    scores = predictor.many(rows)
    known: dict[str, Any] = {
        "name": "small",
        "created_ns": 1_500_000_000_000_000_000,
        "author": "a test",
        "env": "paper",
        "program": small_program(),
        "profile": Profile.of(rows, scores, (scores[:, 0] > 0.5).astype(np.float64)),
        "golden_rows": rows[:20],
        "bounds": Limits(**dict.fromkeys(LIMIT_FIELDS, 1e6)),
    }
    return write_version(folder, predictor=predictor, key=key, **{**known, **facts})
