"""Gathers signs of the future in the past: truncated history, folds that touch, features that foresee too much."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.evidence.overfitting import up_of
from tradeworthy.change.train.folds import Fold, overlaps
from tradeworthy.core.events import EventBatch
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.judge.validate.leakage import FoldContact, Foresight, LookAhead
from tradeworthy.model.features.runtime import FeatureState

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Folding = Callable[[EventBatch], tuple[Floats, Longs]]
"""From events to rows, and the places of the events that gave them."""

CUTS = {"quick": 5, "full": 25}
TAIL = 200
"""So many events before a cut are compared: a feature that peeks does so at the end of what it is given."""

BINS = 20
LEADS = (1, 2, 5)
"""How many horizons further ahead a label lies that no feature may foresee better than its own."""


def gather_look_ahead(context: Context, _work: Work) -> LookAhead:
    """Compute features on history that ends early, and compare them with those of the whole of it."""
    events = context.stream.events

    def fold(part: EventBatch) -> tuple[Floats, Longs]:
        return FeatureState(context.version.program, context.instruments).many(part)

    count = CUTS[context.profile]
    cuts = np.unique(np.linspace(len(events) // 4, len(events) - 1, count).astype(np.int64))
    return look_ahead(fold, events, cuts.tolist())


def look_ahead(fold: Folding, events: EventBatch, cuts: Sequence[int]) -> LookAhead:
    """Compare the rows just before each cut with the rows of the whole batch, bit for bit."""
    whole, places = fold(events)
    rows = differences = 0
    for cut in cuts:
        part, at = fold(events[:cut])
        here, there = at >= cut - TAIL, (places >= cut - TAIL) & (places < cut)
        shared, of_part, of_whole = np.intersect1d(at[here], places[there], assume_unique=True, return_indices=True)
        same = np.all(part[here][of_part].view(np.int64) == whole[there][of_whole].view(np.int64), axis=1)
        alone = int(here.sum()) + int(there.sum()) - 2 * len(shared)
        rows += len(shared) + alone
        differences += int(np.count_nonzero(~same)) + alone
    return LookAhead(cuts=len(cuts), rows=rows, differences=differences)


def gather_fold_contact(context: Context, _work: Work) -> FoldContact:
    """Count labels that reach into the span that tests them, and rows that stand on both sides."""
    data, folds = context.dataset, context.folds
    return FoldContact(
        folds=len(folds),
        tested_rows=sum(len(fold.test) for fold in folds),
        overlapping_labels=sum(overlaps(fold, data.starts, data.ends) for fold in folds),
        duplicated_rows=sum(duplicates(data.rows, fold) for fold in folds),
    )


def duplicates(rows: Floats, fold: Fold) -> int:
    """Count the tested rows of a fold that are equal, in every feature, to one of its training rows."""
    whole = np.ascontiguousarray(rows).view([("bytes", f"V{rows.shape[1] * 8}")]).ravel()
    return int(np.isin(whole["bytes"][fold.test], whole["bytes"][fold.train]).sum())


def gather_foresight(context: Context, work: Work) -> Foresight:
    """Make each feature a forecast by itself, of its own row's label and of later ones.

    Raises
    ------
    NotGathered
        There are too few rows to halve.
    """
    data, horizon = context.dataset, context.candidate.label.horizon
    up = up_of(data.labels, data.values)
    if len(up) < 2 * BINS + (1 + LEADS[-1]) * horizon:
        raise NotGathered(f"{len(up)} rows are too few to fit a forecast on one half of them and test it on the other")
    names, found = context.version.program.names, []
    for number in range(len(names)):
        later = [foresight(data.rows[: len(up) - k * horizon, number], up[k * horizon :]) for k in LEADS]
        found.append((foresight(data.rows[:, number], up), max(later)))
        work.tell((number + 1) / len(names))
    own, ahead = np.array(found).T
    strongest, leading = int(np.argmax(own)), int(np.argmax(ahead - own))
    return Foresight(
        rows=len(up),
        strongest=names[strongest],
        auc_max=float(own[strongest]),
        leading=names[leading],
        lead_max=float((ahead - own)[leading]),
        auc_error=1.0 / math.sqrt(3.0 * len(up) / 2.0 / context.reach),
        tables=[
            Table(
                title="AUC of each feature alone",
                columns=["feature", "own label", "later label"],
                rows=[[name, known(own[n]), known(ahead[n])] for n, name in enumerate(names)],
                chart="bars",
            )
        ],
    )


def foresight(values: Floats, up: Floats) -> float:
    """Return the AUC, in the second half, of the forecast that a feature's bins make from the first half.

    Parameters
    ----------
    values : (m,) float64
        The feature, in the order of time.
    up : (m,) float64
        Classes, 1.0 or 0.0.
    """
    half = len(values) // 2
    edges = np.unique(np.quantile(values[:half], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, values, "right")
    count = np.bincount(bins[:half], minlength=BINS + 1)
    mean = up[:half].mean()
    shares = (np.bincount(bins[:half], up[:half], minlength=BINS + 1) + mean) / (count + 1)
    return auc(shares[bins[half:]], up[half:])
