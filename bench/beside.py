"""What works beside a desk while its decisions are timed: `retrain` trains without end, `watch` follows the tape.

python bench/beside.py retrain
python bench/beside.py watch TAPE VERSION TRUST
"""

import sys
import time
from pathlib import Path

import lightgbm
import numpy as np
from desks import HORIZON, TRAINED
from jobs import ETH, engine_features, eth_bars

from tradeworthy.change.train.strategy import Strategy
from tradeworthy.change.train.training import train
from tradeworthy.core.time import SystemClock
from tradeworthy.judge.explain.explaining import explain_row, make_explainer
from tradeworthy.judge.monitor.standing import standing_set
from tradeworthy.model.features.expressions import bar
from tradeworthy.model.features.labels import forward_direction
from tradeworthy.model.trust import TrustStore
from tradeworthy.model.version import load_version
from tradeworthy.record.reader import TapeReader

EXPLAIN_EVERY = 50


def fit(rows: np.ndarray, labels: np.ndarray) -> object:
    """Train as the engine job's strategy does."""
    settings = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "num_threads": 1, "verbose": -1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels), 200)


def retrain() -> None:
    """Train candidates until terminated: features, labels, folds, model."""
    strategy = Strategy(engine_features(), forward_direction(bar.close, HORIZON), fit)
    events = eth_bars(TRAINED)
    while True:
        train(strategy, events, [ETH], clock=SystemClock())


def watch(tape: Path, bundle: Path, trust: Path) -> None:
    """Follow inputs, decisions and rows; feed the standing monitors; explain every fiftieth decision."""
    version = load_version(bundle, TrustStore(trust))
    monitors = standing_set(version, [ETH])
    explainer = make_explainer(version.predictor, version.profile)
    reader, rows = TapeReader(tape), f"rows-{version.short}"
    cursors = {name: reader.follow(name) for name in ("inputs", "decisions", rows)}
    while True:
        for name, cursor in cursors.items():
            records = cursor.poll()
            for monitor in monitors.values():
                monitor.observe(records)
            for record in records[::EXPLAIN_EVERY] if name == rows else ():
                explain_row(
                    version.predictor, record["row"], version.program.names, version.profile, explainer=explainer
                )
        for monitor in monitors.values():
            monitor.findings()
        time.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1] == "retrain":
        retrain()
    else:
        watch(*map(Path, sys.argv[2:]))
