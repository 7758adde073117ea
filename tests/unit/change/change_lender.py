"""A lender whose past decisions favoured one group, for the tests of fairness: applicants, a strategy, a desk."""

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from change_desk import EVERY_LIMIT, INSTRUMENTS, SETTINGS, START_NS, Desk, write_strategy

from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.change.train.training import TrainingSettings, train
from tradeworthy.core.events import EventBatch, Kind, events_from_columns
from tradeworthy.core.time import NS_PER_HOUR, VirtualClock
from tradeworthy.model.manifest import Signal

FIELDS = ("skill", "district", "group")
KNOWN_AFTER = 5
TRAINING = TrainingSettings(folds=3, golden_rows=50)
SETTINGS = msgspec.structs.replace(
    SETTINGS, name="lender", bounds=EVERY_LIMIT, signal=Signal(enter_long=0.5, exit_long=0.5, notional=0.0)
)

STRATEGY = f'''
import lightgbm

import tradeworthy as tw

trigger = tw.Kind.ROW
row_fields = {FIELDS}
features = {{"skill": tw.row("skill"), "district": tw.row("district")}}
label = tw.outcome("granted", {KNOWN_AFTER})
movable = []


def train(rows, labels, weights=None):
    """Fit a few small trees that see where somebody lives, and not who he is."""
    settings = {{"objective": "binary", "num_leaves": 6, "verbose": -1, "num_threads": 1, "seed": 1}}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels, weight=weights), num_boost_round=60)
'''
UNWEIGHED = STRATEGY.replace(", weights=None", "").replace(", weight=weights", "")
"""The same, by somebody who did not think of weights."""


@cache
def applicants(count: int = 3_000) -> EventBatch:
    """Return applicants: people of group 1 live in other districts, and were granted less at the same skill."""
    rng = np.random.default_rng(11)
    group = (rng.random(count) < 0.4).astype(float)
    skill = rng.standard_normal(count)
    district = group + 0.5 * rng.standard_normal(count)
    granted = rng.random(count) < 1.0 / (1.0 + np.exp(-(1.5 * skill - 1.6 * group + 0.8)))
    columns = {"skill": skill, "district": district, "group": group, "granted": granted.astype(float)}
    stamps = START_NS + NS_PER_HOUR * np.arange(count, dtype=np.int64)
    return events_from_columns(Kind.ROW, 0, stamps, columns, names=(*FIELDS, "granted"))


@cache
def lent(text: str = STRATEGY, reweigh: tuple[str, ...] = ()) -> Candidate:
    """Train on the applicants; the same is trained once a run."""
    import tempfile  # noqa: PLC0415  # only the first test of a run trains

    with tempfile.TemporaryDirectory() as folder:
        strategy = load_strategy(write_strategy(Path(folder), text))
        settings = msgspec.structs.replace(TRAINING, reweigh=reweigh)
        return train(strategy, applicants(), INSTRUMENTS, settings, clock=VirtualClock(START_NS))


def register(home: Desk, made: Candidate, **changes: object) -> str:
    """Register a candidate of the lender's."""
    settings = msgspec.structs.replace(SETTINGS, **changes)
    return home.registry.register(made, settings, key=home.key, author="ada", reason="a test")
