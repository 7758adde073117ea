"""Gathers comparisons on the same events: with naive rules, with the champion, and of scores with what came of them.

Idea:   two averages that were taken over different events say little about each other; the difference, event by event,
        says much, and a block bootstrap of it says how much is luck.
Time:   the champion is compared where it had not seen the row: in its own walk-forward, and after its training.
Units:  losses in nats a row (of regressions: squared error over the labels' variance); profits in bps an event.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.evidence.walk import BPS
from tradeworthy.change.train.candidate import Candidate, OutOfFold
from tradeworthy.judge.metrics import log_losses
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.judge.validate.comparison import AgainstChampion, Calibration, Compared, NaiveRules
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

Z = 1.96
BINS = 10


def gather_naive_rules(context: Context, work: Work) -> NaiveRules:
    """Compare out-of-fold scores with rules that need no model, and what they earn with doing nothing, or holding."""
    walk, label = context.candidate.foreseen, context.candidate.label
    own = losses_of(walk, walk.scores)
    rules = {"base rate": walk.baseline, "previous label": previous_label(walk, label.horizon)}
    found = [_compared(context, f"{name}, loss", losses_of(walk, scores) - own) for name, scores in rules.items()]
    work.tell(0.5)
    if context.counts_money:
        paper = context.paper_walk
        net, held = paper.net(), paper.steps.copy()
        held[0] -= paper.cost_bps * BPS
        for name, other in (("always flat", np.zeros(len(net))), ("buy and hold", held)):
            found.append(_compared(context, f"{name}, profit", (net - other) / BPS, money=True))
    return NaiveRules(
        rows=len(own), compared=found, tables=[_table("Better than naive rules, on the same events", found)]
    )


def gather_against_champion(context: Context, work: Work) -> AgainstChampion:
    """Compare loss and profit with the champion's, event by event, where neither had seen the row.

    Raises
    ------
    NotGathered
        There is no such event.
    """
    if context.champion is None:
        return AgainstChampion(champion="", compared=[], tables=[])
    champion, trained = context.champion
    mine, theirs = context.candidate.foreseen, unseen_scores(context, champion, trained)
    work.tell(0.5)
    _, own, other = np.intersect1d(mine.ts_event_ns, theirs.ts_event_ns, assume_unique=True, return_indices=True)
    if not len(own):
        raise NotGathered("no event is out of sample for both; train the version on later events than the champion's")
    found = []
    if trained.label.to_json() == context.candidate.label.to_json():
        shared = replace(mine, scores=mine.scores[own], labels=mine.labels[own])
        gain = losses_of(shared, theirs.scores[other]) - losses_of(shared, shared.scores)
        found.append(_compared(context, "champion, loss", gain))
    if context.counts_money:
        ours, past = context.paper_walk, context.walk_of(champion, replace(trained, walk=theirs))
        _, one, two = np.intersect1d(ours.ts_event_ns, past.ts_event_ns, assume_unique=True, return_indices=True)
        found.append(_compared(context, "champion, profit", (ours.net()[one] - past.net()[two]) / BPS, money=True))
    tables = [_table("Better than the champion, on the same events", found)]
    return AgainstChampion(champion=champion.digest, compared=found, tables=tables)


def gather_calibration(context: Context, _work: Work) -> Calibration:
    """Hold scores against the share of positives that came of them, in tenths of the scores.

    Raises
    ------
    NotGathered
        Scores are no probabilities.
    """
    walk = context.candidate.foreseen
    if not walk.binary:
        raise NotGathered("scores of forward returns are no probabilities")
    lines = [*reliability(walk.scores, walk.labels, context.reach)]
    error = sum(abs(foreseen - came) * n for foreseen, came, _, n in lines) / len(walk.scores)
    return Calibration(
        rows=len(walk.scores),
        error=float(error),
        tables=[
            Table(
                title="Reliability: what was foreseen and what came of it, by tenths of the scores",
                columns=["mean score", "share of positives", "low", "high", "rows"],
                rows=[[s, came, known(came - Z * e), known(came + Z * e), n] for s, came, e, n in lines],
                chart="reliability",
            )
        ],
    )


def reliability(scores: Floats, labels: Floats, reach: int) -> Iterator[tuple[float, float, float, int]]:
    """Yield, by tenths of the scores: mean score, share of positives, its standard error, rows."""
    edges = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, scores, "right")
    for number in range(len(edges) + 1):
        inside = bins == number
        n = int(inside.sum())
        if n:
            came = float(labels[inside].mean())
            yield float(scores[inside].mean()), came, float(np.sqrt(came * (1.0 - came) * reach / n)), n


def losses_of(walk: OutOfFold, scores: Floats) -> Floats:
    """Return the loss of scores at each row of a walk."""
    if walk.binary:
        return log_losses(scores, walk.labels)
    found: Floats = np.square(scores - walk.labels) / np.var(walk.labels)
    return found


def previous_label(walk: OutOfFold, horizon: int) -> Floats:
    """Return the mean label that followed the like of the last known label so far, as scores of a naive rule.

    Parameters
    ----------
    walk : OutOfFold
        Of which labels are read.
    horizon : int
        So many rows later a label is known.
    """
    labels, base = walk.labels, walk.baseline
    past = np.concatenate([np.full(min(horizon, len(labels)), np.nan), labels[: max(len(labels) - horizon, 0)]])
    middle = 0.5 if walk.binary else 0.0
    scores = base.copy()
    for like in (past > middle, past <= middle):
        sums, counts = np.cumsum(np.where(like, labels, 0.0)), np.cumsum(like)
        before = np.arange(len(labels)) - horizon
        known_yet = like & (before >= 0)
        at = before[known_yet]
        scores[known_yet] = (sums[at] + base[known_yet]) / (counts[at] + 1.0)
    return scores


def unseen_scores(context: Context, version: Version, trained: Candidate) -> OutOfFold:
    """Return a version's scores of events that it had not seen: its walk-forward's, and those after its training."""
    rows, places = FeatureState(version.program, context.instruments).many(context.history)
    of_own = context.history["instrument"][places] == context.number
    rows, stamps = rows[of_own], context.history["ts_event_ns"][places[of_own]]
    later = slice(int(np.searchsorted(stamps, trained.lineage.last_ts_ns, "right")) + trained.label.horizon, None)
    scores = np.concatenate([trained.walk.scores, version.predictor.many(rows[later])[:, 0]])
    times = np.concatenate([trained.walk.ts_event_ns, stamps[later]])
    times, first = np.unique(times, return_index=True)
    return replace(trained.walk, scores=scores[first], ts_event_ns=times)


def _compared(context: Context, other: str, gain: Floats, *, money: bool = False) -> Compared:
    """Return a mean difference with its interval; profits of neighbouring events do not overlap, labels do."""
    found = mean_interval(
        gain,
        horizon=1 if money else context.reach,
        rng=context.rng(f"compared {other}"),
        level=context.training.level,
    )
    return Compared(other=other, n=len(gain), gain=found.estimate, low=found.low, high=found.high, money=money)


def _table(title: str, found: list[Compared]) -> Table:
    """Lay comparisons out; above 0 is better."""
    return Table(
        title=title,
        columns=["against", "better by", "at least", "at most", "unit", "events"],
        rows=[[each.other, known(each.gain), known(each.low), known(each.high), each.unit, each.n] for each in found],
    )
