"""Gathers what tells skill from luck: the record among all trials, fits on shifted labels, combinatorial paths."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.change.train.folds import Combination, combinations
from tradeworthy.judge.metrics import auc, log_losses
from tradeworthy.judge.overfitting import (
    backtest_overfitting,
    deflated_sharpe,
    expected_best_sharpe,
    sharpe_statistics,
    track_record_min,
)
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.judge.validate.overfitting import Memory, Paths, Permutation, Selection, TrackRecord
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

GROUPS, TESTED = 6, 2
TRAIN_SHARE = 2 / 3
"""Of the rows, for the fits on shifted labels; what follows is tested."""


def gather_track_record(context: Context, _work: Work) -> TrackRecord:
    """Deflate the Sharpe ratio of the walk-forward by the number of trials."""
    own = sharpe_statistics(context.paper_walk.net())
    others = [sharpe_statistics(context.walk_of(*other).net()).sharpe for other in context.trials]
    trials = 1 + len(others) + context.settings.overfitting.trials_declared
    sharpes = [sharpe for sharpe in (own.sharpe, *others) if math.isfinite(sharpe)]
    spread = float(np.std(sharpes, ddof=1)) if len(sharpes) > 1 else own.error
    return TrackRecord(
        periods=own.periods,
        sharpe=own.sharpe,
        skewness=own.skewness,
        kurtosis=own.kurtosis,
        trials=trials,
        trials_spread=spread,
        best_by_luck=expected_best_sharpe(trials, spread),
        deflated_sharpe=deflated_sharpe(own, trials, spread),
        periods_needed=track_record_min(own),
    )


def gather_selection(context: Context, _work: Work) -> Selection:
    """Compare all registered trials over the periods that they share."""
    results = [_result(context, *each) for each in ((context.version, context.candidate), *context.trials)]
    shared = results[0][0]
    for stamps, _ in results[1:]:
        shared = np.intersect1d(shared, stamps)
    found = np.column_stack([values[np.isin(stamps, shared)] for stamps, values in results])
    return Selection(trials=len(results), periods=len(shared), overfitting_probability=backtest_overfitting(found))


def _result(context: Context, version: Version, candidate: Candidate) -> tuple[Places, Floats]:
    """Return event times, and what a trial brought at each: its return after costs, or the loss it saved a row."""
    if not candidate.label.is_reported:
        walk = context.walk_of(version, candidate)
        return walk.ts_event_ns, walk.net()
    seen = candidate.foreseen
    return seen.ts_event_ns, log_losses(seen.baseline, seen.labels) - log_losses(seen.scores, seen.labels)


def gather_permutation(context: Context, work: Work) -> Permutation:
    """Fit on labels shifted in a circle: they keep their own pattern in time and lose their tie to the rows."""
    data, horizon = context.dataset, context.candidate.label.horizon
    first = int(len(data) * TRAIN_SHARE)
    train = np.flatnonzero(data.ends[:first] + horizon < data.starts[first])
    own, test = data.training(train), slice(first, None)
    if len(train) < 4 * horizon:
        raise NotGathered(f"{len(train)} rows to fit on are too few for shifts beyond a horizon of {horizon}")
    draws = context.settings.overfitting.permutation_draws
    shifts = context.rng("permutation").integers(2 * horizon, len(train) - 2 * horizon, draws)
    found: list[float] = []
    shifted = (own._replace(labels=np.roll(own.labels, int(shift))) for shift in shifts)
    fits = context.fit(itertools.chain([own], shifted))
    for predictor in fits:
        found.append(gain_of(predictor.many(data.rows[test])[:, 0], data.labels[test], float(own.labels.mean())))
        work.tell(len(found) / (1 + len(shifts)))
        if work.left_s < 0:
            break
    gain, others = found[0], found[1:]
    if not others:
        raise NotGathered("the budget ended before one fit on shifted labels")
    return Permutation(
        draws=len(others),
        gain=gain,
        gain_shifted_mean=float(np.mean(others)),
        gain_shifted_max=max(others),
        p_value=(1 + sum(each >= gain for each in others)) / (1 + len(others)),
    )


def gather_paths(context: Context, work: Work) -> Paths:
    """Fit on every combination of groups, and put the tested groups together to whole paths."""
    data, label = context.dataset, context.candidate.label
    splits = combinations(data.starts, data.ends, groups=GROUPS, tested=TESTED, embargo=label.horizon)
    up = up_of(data.labels, data.values)
    scores: dict[int, list[Floats]] = {group: [] for group in range(GROUPS)}
    aucs: list[list[float]] = [[] for _ in range(GROUPS)]
    fits = context.fit(data.training(split.train) for split in splits)
    for done, (split, predictor) in enumerate(zip(splits, fits, strict=True)):
        for group, test in zip(split.groups, split.tests, strict=True):
            scores[group].append(predictor.many(data.rows[test])[:, 0])
            aucs[group].append(auc(scores[group][-1], up[test]))
        work.tell((done + 1) / len(splits))
    paths = list(_path_aucs(scores, splits, up))
    return Paths(
        fits=len(splits),
        paths=len(paths),
        auc_min=min(paths),
        auc_median=float(np.median(paths)),
        auc_max=max(paths),
        splits_above_chance=float(np.mean([each > 0.5 for group in aucs for each in group])),
        tables=[_table(aucs)],
    )


def gather_memory(context: Context, _work: Work) -> Memory:
    """Score the rows that the final model learned from."""
    data = context.dataset
    seen = context.version.predictor.many(data.rows)[:, 0]
    return Memory(auc_seen=auc(seen, up_of(data.labels, data.values)), auc_unseen=context.candidate.performance.auc)


def up_of(labels: Floats, values: Floats) -> Floats:
    """Return labels as classes: directions as they are, forward returns by their sign."""
    binary = bool(np.isin(labels, (0.0, 1.0)).all())
    return labels if binary else (values > 0).astype(np.float64)


def gain_of(scores: Floats, labels: Floats, mean: float) -> float:
    """Return by how much scores say more than the mean label: log loss, or squared error over the variance, a row."""
    if np.isin(labels, (0.0, 1.0)).all():
        return float(np.mean(log_losses(np.full(len(labels), mean), labels) - log_losses(scores, labels)))
    error, naive = np.mean((scores - labels) ** 2), np.mean((mean - labels) ** 2)
    return float((naive - error) / naive) if naive > 0 else math.nan


def _path_aucs(scores: dict[int, list[Floats]], splits: list[Combination], up: Floats) -> Iterator[float]:
    """Yield the AUC of each path: one of every group's scores, groups in the order of time."""
    places = {group: test for split in splits for group, test in zip(split.groups, split.tests, strict=True)}
    labels = np.concatenate([up[places[group]] for group in range(GROUPS)])
    for path in range(len(scores[0])):
        yield auc(np.concatenate([scores[group][path] for group in range(GROUPS)]), labels)


def _table(aucs: list[list[float]]) -> Table:
    """Return the AUC of each group in each of its splits."""
    width = len(aucs[0])
    return Table(
        title="AUC of each group of rows, by the path it is on",
        columns=["group", *(f"path {number + 1}" for number in range(width))],
        rows=[[f"{group + 1} of {GROUPS}", *map(known, found)] for group, found in enumerate(aucs)],
    )
