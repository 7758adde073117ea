"""Reasons of small trees over several features, explained and watched row by row, as a watcher does."""

import lightgbm
import numpy as np
from jobs import Floats

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.judge.monitor.reasons import ReasonSettings, ReasonsMonitor
from tradeworthy.model.predictors.importing import import_model
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.profile import Profile

VERSION = 7
SAYS = (1.0, 0.6, 0.3, 0.15)
"""By how much each feature, in deviations, moves the log odds of the label twice over."""


def alarms_of_reasons(reference: Floats, rows: Floats) -> list[int]:
    """Train on (n, 4) rows, calibrate on them, watch others; return at which a change of reasons is told."""
    monitor = ReasonsMonitor(
        TreeShap(_trained(reference)),
        Profile.of(reference, reference[:, :1]),
        [f"f{place}" for place in range(reference.shape[1])],
        version=VERSION,
        instruments=["ETH"],
        settings=ReasonSettings(false_alarms_per_10k=1.0),
    )
    decisions, records = np.zeros(len(rows), DECISION), np.zeros(len(rows), row_dtype(rows.shape[1], 1))
    decisions["sequence"], decisions["version"] = 1 + np.arange(len(rows)), VERSION
    decisions["ts_event_ns"] = decisions["sequence"]
    records["decision"], records["row"] = decisions["sequence"], rows
    records["sequence"] = len(rows) + decisions["sequence"]
    monitor.observe(decisions)
    monitor.observe(records)
    return [finding.sequence - 1 for finding in monitor.findings()]


def _trained(rows: Floats) -> Trees:
    """Return trees that foresee a label that the features say something of."""
    rng = np.random.default_rng(len(rows))
    odds = 0.5 * (rows / rows.std(axis=0)) @ np.array(SAYS)
    labels = (rng.random(len(rows)) < 1.0 / (1.0 + np.exp(-odds))).astype(np.float64)
    shape = {"num_leaves": 15, "min_data_in_leaf": 200, "learning_rate": 0.05, "num_threads": 1, "seed": 1}
    settings = {"objective": "binary", "verbose": -1, **shape}
    model = import_model(lightgbm.train(settings, lightgbm.Dataset(rows, labels), 60), rows.shape[1])
    if not isinstance(model, Trees):
        raise TypeError(f"LightGBM became a {type(model).__name__}")
    return model
