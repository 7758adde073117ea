"""Agreement with the Adversarial Robustness Toolbox, where it can attack the model: what it breaks, nobody certified.

ART does not attack ensembles of trees with its tree attack, so its HopSkipJump attacks them as a black box, in an
environment of its own (`make bench-peers`).
"""

import json
import os
import subprocess
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from tradeworthy.judge.robust.levers import Movable, bind_levers
from tradeworthy.judge.robust.measure import cuts_around
from tradeworthy.judge.robust.tree_attack import attack_trees
from tradeworthy.judge.robust.tree_bounds import certify
from tradeworthy.model.predictors.importing import import_model

BENCH = Path(__file__).parents[2] / "bench"
PYTHON = BENCH / ".peers" / "art" / "bin" / "python"
EPSILON, FEATURES = 0.4, 6


@pytest.fixture
def needs_art():
    """Skip where ART is not installed; in continuous integration too, which installs no peers."""
    if not PYTHON.exists():
        pytest.skip("ART is not installed; `make bench-peers` does it")


def test_what_art_breaks_nobody_certified_and_the_greedy_attack_breaks_too(tmp_path, needs_art):
    """Of the rows that ART turns within the box none is certified, and our attack misses at most a few of them."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(3_000, FEATURES)).astype(np.float32).astype(np.float64)
    labels = (rows[:, 0] + 0.5 * rows[:, 1] * rows[:, 2] > 0).astype(int)
    settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=40)
    booster.save_model(tmp_path / "model.txt")
    tried = rows[:30]
    asked = {"model": str(tmp_path / "model.txt"), "rows": tried.tolist(), "std": [1.0] * FEATURES, "seed": 1}
    asked |= {"mask": [1.0] * FEATURES, "budget": {"max_iter": 5, "max_eval": 300, "init_eval": 30}}
    command = [str(PYTHON), str(BENCH / "peers" / "art_attack.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, env=environment)
    told = json.loads(done.stdout.splitlines()[-1])
    distances = np.array([np.inf if each is None else each for each in told["distances"]])
    by_art = distances <= EPSILON * 0.999
    trees = import_model(booster, FEATURES)
    names = tuple("abcdef")
    levers = bind_levers([Movable(features=names, unit="own")], names, np.ones(FEATURES)).at(EPSILON)
    below, above = cuts_around(trees.many(tried)[:, 0], np.array([0.5]))
    low, high = certify(trees, levers, tried)
    safe = (low >= below) & (high < above)
    ours = attack_trees(trees, levers, tried, below, above, rng=rng).broken
    assert by_art.any()
    assert not np.any(by_art & safe)
    assert np.count_nonzero(by_art & ~ours) <= 1
    assert ours.sum() >= by_art.sum() - 1
