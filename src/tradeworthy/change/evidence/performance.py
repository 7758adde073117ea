"""Gathers how right the out-of-fold scores were: the figures of training, each fold with its interval, reliability.

Units:  intervals hold under overlapping labels: by bootstrap of blocks for an AUC, and with counts that weigh one in
        `reach` (Wilson's) for a share.
"""

import msgspec
import numpy as np

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.judge.metrics_interval import auc_interval
from tradeworthy.judge.monitor.class_balance import wilson
from tradeworthy.judge.validate.evidence import Cell, Table
from tradeworthy.judge.validate.performance import DrawnPerformance

BINS = 10
DRAWS = 200


def gather_performance(context: Context, _work: Work) -> DrawnPerformance:
    """Return the figures that training drew from its walk-forward, with what a page draws of them."""
    candidate = context.candidate
    tables = [fold_table(candidate, context.rng("folds"))]
    if candidate.walk.binary:
        tables.append(reliability_table(candidate))
    known = msgspec.structs.asdict(candidate.performance)
    return DrawnPerformance(**known, tables=[table for table in tables if table.rows])


def fold_table(candidate: Candidate, rng: np.random.Generator) -> Table:
    """Return the AUC of each fold of the walk-forward between its bounds, and that of all of them."""
    walk, known = candidate.foreseen, candidate.performance
    up = walk.up
    rows: list[list[Cell]] = []
    for number in np.unique(walk.fold).tolist():
        own = walk.fold == number
        found = auc_interval(walk.scores[own], up[own], horizon=candidate.label.reach, rng=rng, draws=DRAWS)
        rows.append([f"fold {number + 1}", found.estimate, found.low, found.high, int(own.sum())])
    rows.append(["all folds", known.auc, known.auc_low, known.auc_high, known.n])
    return Table(
        title="AUC by fold of the walk-forward",
        columns=["fold", "AUC", "low", "high", "rows"],
        rows=rows,
        chart="intervals",
    )


def reliability_table(candidate: Candidate) -> Table:
    """Return what scores foretold and what came, in ten bins of about as many rows each."""
    walk = candidate.foreseen
    scores, labels = walk.scores.ravel(), walk.labels.ravel()
    known = np.isfinite(scores) & np.isfinite(labels)
    scores, labels = scores[known], labels[known]
    edges = np.unique(np.quantile(scores, np.arange(1, BINS) / BINS)) if len(scores) else np.empty(0)
    places = np.searchsorted(edges, scores, side="left")
    rows: list[list[Cell]] = []
    for place in np.unique(places).tolist():
        own = places == place
        share, n = float(labels[own].mean()), int(own.sum())
        low, high = wilson(share, n / candidate.label.reach)
        rows.append([float(scores[own].mean()), share, low, high, n])
    return Table(
        title="Reliability: what scores foretold and what came",
        columns=["mean score", "share that came true", "low", "high", "rows"],
        rows=rows,
        chart="reliability",
    )
