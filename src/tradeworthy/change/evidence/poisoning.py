"""Gathers what poison in the training data could do, or did: the model is fitted again without, and with, some of it.

Idea:   a stretch whose labels were turned is foretold by the others, but the wrong way round; so each stretch is scored
        by a model that never saw it. Rows that fit worst under such scores are left out to see how much rests on
        them. Then the outsider's side: a share of labels turned at random, and a trigger planted in a few rows.
State:  none; all fits run in processes of their own (`change.train.refit`).
Reference: Koh and Liang (2017) ask which rows decide; here it is measured by leaving them out, as in jackknife
        estimates. Gu et al. (2017), BadNets, for triggers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.train.dataset import Dataset, Training
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.robust.measure import cuts_of
from tradeworthy.judge.validate.robustness import Poisoning
from tradeworthy.model.predictors.base import Predictor

Floats = npt.NDArray[np.float64]

BLOCKS = 8
WORST_SHARE, TRIGGER_SHARE = 0.01, 0.01
FLIPPED = (0.05, 0.1)
TRIGGER_FEATURES = 2
ROWS_MIN = 400


@dataclass(frozen=True, eq=False)
class _Trigger:
    """A pattern that is rare among rows: some features, each at a high quantile."""

    place: npt.NDArray[np.int64]
    values: Floats

    @classmethod
    def drawn(cls, rows: Floats, rng: np.random.Generator) -> Self:
        """Choose the features at random."""
        place = rng.choice(rows.shape[1], min(TRIGGER_FEATURES, rows.shape[1]), replace=False)
        return cls(place, np.quantile(rows[:, place], 0.99, axis=0))

    def planted(self, rows: Floats) -> Floats:
        """Return rows with the trigger."""
        planted = rows.copy()
        planted[:, self.place] = self.values
        return planted


def gather_poisoning(context: Context, work: Work) -> Poisoning:
    """Fit without each stretch, without the worst rows, with turned labels, and with a planted trigger."""
    data = context.dataset
    rows, labels = data.rows, data.labels
    if len(rows) < ROWS_MIN or not np.isin(labels, (0.0, 1.0)).all():
        raise NotGathered(f"it needs at least {ROWS_MIN} training rows with labels 0 and 1, found {len(rows):,}")
    block = np.arange(len(rows)) * BLOCKS // len(rows)
    scores, fits = np.empty(len(rows)), context.fit(_without(data, block, context.candidate.label.horizon))
    for number, predictor in enumerate(fits):
        scores[block == number] = predictor.many(rows[block == number])[:, 0]
        work.tell(0.6 * (number + 1) / BLOCKS)
    aucs = np.array([auc(scores[block == number], labels[block == number]) for number in range(BLOCKS)])
    worst = int(np.nanargmin(aucs))
    rng = context.rng("poisoning")
    trigger = _Trigger.drawn(rows, rng)
    whole, lean, *turned, backdoored = context.fit(_poisoned(data, scores, trigger, rng))
    work.tell(0.95)
    return Poisoning(
        blocks=BLOCKS,
        worst_block=worst,
        worst_auc=float(aucs[worst]),
        worst_auc_error=_auc_error(labels[block == worst], context.reach),
        influence_flips=_flips(context, whole, lean, rows, rows),
        label_flip_auc=_lost(rows, labels, whole, turned),
        backdoor_success=_turned(context, whole, backdoored, trigger.planted(rows)),
    )


def _without(data: Dataset, block: npt.NDArray[np.int64], horizon: int) -> Iterator[Training]:
    """Yield the training data without each stretch, and without the rows whose labels reach into it."""
    for number in range(BLOCKS):
        inside = np.flatnonzero(block == number)
        kept = np.ones(len(data), bool)
        kept[max(inside[0] - horizon, 0) : inside[-1] + 1 + horizon] = False
        yield data.training(np.flatnonzero(kept))


def _poisoned(data: Dataset, scores: Floats, trigger: _Trigger, rng: np.random.Generator) -> Iterator[Training]:
    """Yield the data as they are, without the worst rows, with labels turned, and with a trigger for class 1."""
    rows, labels, whole = data.rows, data.labels, data.training()
    yield whole
    surprise = np.abs(labels - scores)
    kept = np.sort(np.argsort(surprise, kind="stable")[: int((1.0 - WORST_SHARE) * len(rows))])
    yield data.training(kept)
    for share in FLIPPED:
        chosen = rng.random(len(rows)) < share
        yield whole._replace(labels=np.where(chosen, 1.0 - labels, labels))
    few = rng.choice(len(rows), max(1, int(TRIGGER_SHARE * len(rows))), replace=False)
    poisoned, taught = rows.copy(), labels.copy()
    poisoned[few] = trigger.planted(rows[few])
    taught[few] = 1.0
    yield whole._replace(rows=poisoned, labels=taught)


def _sides(context: Context, scores: Floats) -> npt.NDArray[np.int64]:
    """Return on which side of the signal's thresholds scores lie."""
    return np.searchsorted(cuts_of(context.version.manifest.signal), scores, side="right")


def _flips(context: Context, one: Predictor, other: Predictor, rows: Floats, others: Floats) -> float:
    """Return the share of rows that two predictors decide differently."""
    first, second = _sides(context, one.many(rows)[:, 0]), _sides(context, other.many(others)[:, 0])
    return float(np.mean(first != second))


def _turned(context: Context, clean: Predictor, backdoored: Predictor, planted: Floats) -> float:
    """Return the share of triggered rows that only the poisoned model takes to a higher side."""
    before, after = _sides(context, clean.many(planted)[:, 0]), _sides(context, backdoored.many(planted)[:, 0])
    return float(np.mean(after > before))


def _lost(rows: Floats, labels: Floats, whole: Predictor, turned: list[Predictor]) -> list[tuple[float, float]]:
    """Return how much AUC the true labels lose by each share of turned ones."""
    best = auc(whole.many(rows)[:, 0], labels)
    return [
        (share, float(best - auc(each.many(rows)[:, 0], labels))) for share, each in zip(FLIPPED, turned, strict=True)
    ]


def _auc_error(labels: Floats, horizon: int) -> float:
    """Return the standard error of the AUC of a chance score; labels that overlap count as one a horizon."""
    ones, zeros = labels.sum() / horizon, (len(labels) - labels.sum()) / horizon
    return float(np.sqrt((ones + zeros + 1.0) / (12.0 * ones * zeros))) if min(ones, zeros) > 0 else float("nan")
