"""A trained model made right for another mix of classes: a candidate of its own, with the outcomes that asked for it.

Idea:   nothing is fitted but one number, the share of class 1. It is counted in the older half of recorded outcomes;
        the newer half stays for the gate, which asks whether the correction was better where it had not been counted.
Flow:   candidate + recorded scores and labels → share → predictor with other odds → candidate.
Undefined: without enough outcomes of both classes there is no share, and no correction.
"""

from dataclasses import replace

import msgspec
import numpy as np

from tradeworthy.change.train.candidate import Candidate, Recorded
from tradeworthy.change.train.training import measure, walk_metrics
from tradeworthy.core.errors import DataInvalid, ModelMismatch
from tradeworthy.core.time import Clock
from tradeworthy.model.predictors.correcting import corrected
from tradeworthy.model.prior import PriorCorrection

OUTCOMES_MIN = 200
"""With fewer labelled decisions in either part, nothing is corrected."""


def prior_of(candidate: Candidate, recorded: Recorded) -> PriorCorrection:
    """Return the correction that recorded outcomes ask for: the share is counted in the older half of them.

    Raises
    ------
    DataInvalid
        There are too few outcomes, or all of them are of one class.
    ModelMismatch
        The version foresees no class, or was corrected before.
    """
    if not candidate.walk.binary:
        raise ModelMismatch("the version foresees a return, so there is no mix of classes to correct it for")
    if candidate.prior is not None:
        before = (candidate.lineage.parent or "")[:16]
        raise ModelMismatch(f"the version is a corrected one; correct version {before}, which it was made from")
    return PriorCorrection(learned=float(candidate.profile.base_rate), share=_share(recorded))


def correct(
    candidate: Candidate, prior: PriorCorrection, recorded: Recorded, *, parent: str, clock: Clock, seed: int = 1
) -> Candidate:
    """Return a candidate whose scores are right for another mix of classes.

    Parameters
    ----------
    candidate : Candidate
        How the version was trained that is corrected.
    prior : PriorCorrection
        From `prior_of`.
    recorded : Recorded
        Its scores on the tape, with what came of them; kept for the gate.
    parent : str
        Its digest.
    clock : Clock
        Stamps the candidate.
    seed : int
        Of the bootstraps of its figures.

    Raises
    ------
    ModelMismatch
        Scores are no probabilities of one class of two, or come from no log-odds.
    """
    predictor = corrected(candidate.predictor, prior)
    walk = replace(
        candidate.walk, scores=prior.applied(candidate.walk.scores), baseline=prior.applied(candidate.walk.baseline)
    )
    foreseen, reach, rng = walk.with_share(prior.share), candidate.label.reach, np.random.default_rng(seed)
    figures = walk_metrics(foreseen, reach, rng)
    return replace(
        candidate,
        created_ns=clock.now_ns(),
        predictor=predictor,
        profile=replace(candidate.profile, sample_scores=prior.applied(candidate.profile.sample_scores)),
        golden_scores=prior.applied(candidate.golden_scores),
        walk=walk,
        performance=measure(foreseen, reach, rng),
        lineage=msgspec.structs.replace(candidate.lineage, parent=parent, fold_metrics=figures),
        prior=prior,
        recorded=recorded,
    )


def _share(recorded: Recorded) -> float:
    """Return the share of class 1 among the outcomes that it is counted in."""
    older, newer = recorded.parts()
    fewest = min(len(older), len(newer))
    if fewest < OUTCOMES_MIN:
        raise DataInvalid(
            f"{len(recorded)} recorded outcomes leave {fewest} to count in or to judge by, needed are {OUTCOMES_MIN} "
            "of each; wait for more of them, or begin earlier with --since"
        )
    share = float(older.labels.mean())
    if share in (0.0, 1.0):
        raise DataInvalid(f"all {len(older)} older outcomes are of class {share:g}; no odds make scores right for that")
    return share
