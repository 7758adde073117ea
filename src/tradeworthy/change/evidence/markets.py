"""Gathers how right a version is on every traded instrument and at every venue, and not only where it learned.

Idea:   a desk trades all its instruments by the version that learned from one of them. The walk-forward's models score
        the others' rows too, each in the span that its fold tests, so no score is of a time that the model had seen.
Undefined: an instrument without rows and labels in those spans is named, and not judged.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.change.evidence.fairness import auc_error, auc_table, weakest
from tradeworthy.change.train.dataset import build_dataset
from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.validate.fairness import Markets

Floats = npt.NDArray[np.float64]


class _Scored(NamedTuple):
    """One instrument's out-of-fold scores and classes, (m,) each."""

    symbol: str
    scores: Floats
    up: Floats


def gather_markets(context: Context, work: Work) -> Markets:
    """Take the AUC apart by instrument and venue."""
    scored, silent = _instruments(context, work)
    lines = [(f"instrument {each.symbol}", [each]) for each in scored]
    for venue, symbols in context.settings.fairness.venues.items():
        lines.append((f"venue {venue}", [each for each in scored if each.symbol in symbols]))
    found = [(name, *_line(own, context.reach)) for name, own in lines if own]
    worst, _, value, high = weakest(found, "instrument or venue")
    table = auc_table(found, "market", "AUC by instrument and venue")
    return Markets(markets=len(found), silent=silent, worst=worst, worst_auc=value, worst_high=high, tables=[table])


def _line(own: list[_Scored], reach: int) -> tuple[int, float, float]:
    """Return rows, AUC and its upper end; instruments that move together count as one."""
    scores, up = np.concatenate([each.scores for each in own]), np.concatenate([each.up for each in own])
    value = auc(scores, up)
    return len(up), value, value + 3.0 * auc_error(up, reach * len(own))


def _instruments(context: Context, work: Work) -> tuple[list[_Scored], list[str]]:
    """Return the scores of every traded instrument, and the symbols of those that have none."""
    walk, listed = context.candidate.walk, context.instruments
    scored, silent = [_Scored(listed[context.number].symbol, walk.scores, walk.up)], list[str]()
    others = [place for place, each in enumerate(listed) if each.traded and place != context.number]
    for done, place in enumerate(others):
        own = _scored(context, place)
        if own is None:
            silent.append(listed[place].symbol)
        else:
            scored.append(own)
        work.tell((done + 1) / len(others))
    return scored, silent


def _scored(context: Context, place: int) -> _Scored | None:
    """Score another instrument's rows by the fold that tests their time; nothing where it has no such rows."""
    label = context.candidate.label
    try:
        data = build_dataset(context.version.program, label, context.history, context.instruments, place)
    except DataInvalid:
        return None
    stamps, scores, chosen = context.dataset.ts_event_ns, [], []
    for fold, model in zip(context.folds, context.fold_predictors, strict=True):
        first, last = stamps[fold.test[0]], stamps[fold.test[-1]]
        inside = np.flatnonzero((data.ts_event_ns >= first) & (data.ts_event_ns <= last))
        if len(inside):
            scores.append(model.many(data.rows[inside])[:, 0])
            chosen.append(inside)
    if not chosen:
        return None
    rows = np.concatenate(chosen)
    up = data.labels[rows] if context.candidate.walk.binary else (data.values[rows] > 0).astype(np.float64)
    return _Scored(context.instruments[place].symbol, np.concatenate(scores), up)
