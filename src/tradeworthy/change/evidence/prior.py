"""Gathers whether a prior correction is borne out: by outcomes that the share was not counted in.

Units:  shares of class 1, 0 to 1; log loss in nats a decision; intervals hold under overlapping labels.
"""

import math
from statistics import NormalDist

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.train.candidate import Recorded
from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.core.time import iso
from tradeworthy.judge.metrics import log_losses
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.judge.monitor.class_balance import wilson
from tradeworthy.judge.monitor.label_shift import LabelShift, Mix
from tradeworthy.judge.validate.evidence import Cell, Table, known
from tradeworthy.judge.validate.prior import PriorEvidence
from tradeworthy.model.predictors.correcting import corrected
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.prior import PriorCorrection


def gather_prior(context: Context, _work: Work) -> PriorEvidence:
    """Hold a correction, if there is one, against the newer half of the outcomes that it rests on.

    Raises
    ------
    NotGathered
        Its outcomes were not kept.
    """
    candidate, prior = context.candidate, context.version.manifest.prior
    if prior is None:
        return PriorEvidence()
    if candidate.recorded is None:
        raise NotGathered("the outcomes that the correction rests on were not kept; correct the version again")
    older, newer = candidate.recorded.parts()
    after = prior.applied(newer.scores)
    gain = mean_interval(
        log_losses(newer.scores, newer.labels) - log_losses(after, newer.labels),
        horizon=context.reach,
        rng=context.rng("prior"),
        level=context.training.level,
    )
    seen = float(newer.labels.mean())
    low, high = _between(older, newer, context.reach, context.training.level)
    return PriorEvidence(
        learned=prior.learned,
        share=prior.share,
        same_model=_same_model(context, prior),
        counted=len(older),
        outcomes=len(newer),
        share_seen=seen,
        share_low=low,
        share_high=high,
        gain=gain.estimate,
        gain_low=gain.low,
        gain_high=gain.high,
        apart_before=abs(float(newer.scores.mean()) - seen),
        apart_after=abs(float(after.mean()) - seen),
        tables=[_mixes(context, prior, older, newer)],
    )


def _same_model(context: Context, prior: PriorCorrection) -> bool:
    """Whether the predictor is the parent's with other odds, byte for byte; not, where the parent cannot be read."""
    parent = context.version.manifest.lineage.parent
    try:
        before = context.registry.load(parent) if parent else None
    except (BundleRefused, NotFound):
        return False
    if before is None:
        return False
    return files_of(corrected(before.predictor, prior)) == files_of(context.version.predictor)


def _between(older: Recorded, newer: Recorded, reach: int, level: float) -> tuple[float, float]:
    """Return between which bounds the older outcomes' share lies if the newer ones' mix is the same.

    Both counts err, so the newer one's interval is widened by the older one's error.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2.0) * math.sqrt(1.0 + len(newer) / len(older))
    return wilson(float(newer.labels.mean()), len(newer) / reach, z)


def _mixes(context: Context, prior: PriorCorrection, older: Recorded, newer: Recorded) -> Table:
    """Return the share of class 1 in training, among both halves of the outcomes, and behind the newer scores alone."""
    walk, reach = context.candidate.walk, context.reach
    shift = LabelShift(
        prior.undone(walk.scores), walk.labels, rng=context.rng("mix"), block=2 * reach if reach > 1 else 1
    )
    rows: list[list[Cell]] = [["training", known(prior.learned), None, None, context.candidate.lineage.trained_on_rows]]
    for name, part in (("older outcomes", older), ("newer outcomes", newer)):
        share = float(part.labels.mean())
        low, high = wilson(share, len(part) / reach)
        rows.append([f"{name}, from {iso(int(part.ts_event_ns[0]))[:16]}", share, low, high, len(part)])
    for name, mix in (
        ("newer scores alone, by likelihood", shift.by_likelihood(newer.scores)),
        ("newer scores alone, by the confusion matrix", shift.by_confusion(newer.scores)),
    ):
        rows.append([name, *_cells(mix), len(newer)])
    return Table(
        title="The share of class 1, by every way of telling it",
        columns=["told by", "share", "low", "high", "rows"],
        rows=rows,
        chart="intervals",
    )


def _cells(mix: Mix) -> list[Cell]:
    """Return the share of class 1 with its interval."""
    return [known(float(part[1])) for part in (mix.shares, mix.low, mix.high)]
