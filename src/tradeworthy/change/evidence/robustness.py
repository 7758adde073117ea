"""Gathers robustness at the level of features: attacks and certificates on rows that the candidate saw live.

Idea:   the reach is the strategy's own declaration (`movable`), because whoever made the features knows who can move
        them. A strategy that says nothing leaves the evidence missing; one that says "none" says so.
"""

import numpy as np

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.judge.robust.levers import bind_levers
from tradeworthy.judge.robust.measure import cuts_of, measure
from tradeworthy.judge.validate.robustness import FeatureAttacks
from tradeworthy.model.predictors.trees import Trees

EPSILONS = (0.05, 0.1, 0.3)
ROWS_TREES, ROWS_OTHER = 1_000, 150
"""Rows attacked: of trees, and of predictors that are asked one row at a time."""


def gather_feature_attacks(context: Context, work: Work) -> FeatureAttacks:
    """Attack rows of the live stream, spread evenly, at each epsilon; and certify them where that is possible."""
    movable = context.candidate.movable
    if movable is None:
        raise NotGathered(
            "the strategy does not say which features an outsider can move; add movable = [tw.Movable(...)] to it, "
            "or movable = [] if there is none"
        )
    if not movable:
        return FeatureAttacks(movable=[], rows=0, found=[])
    version = context.version
    levers = bind_levers(movable, version.program.names, version.profile.std)
    rows = context.stream.rows
    wanted = ROWS_TREES if isinstance(version.predictor, Trees) else ROWS_OTHER
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(wanted, len(rows))).astype(np.int64))]
    found = []
    for number, epsilon in enumerate(EPSILONS):
        cuts = cuts_of(version.manifest.signal)
        budget = context.candidate.movable_budget
        found += measure(version.predictor, levers, chosen, cuts, epsilons=(epsilon,), budget=budget, seed=context.seed)
        work.tell((number + 1) / len(EPSILONS))
    return FeatureAttacks(movable=[name for each in movable for name in each.features], rows=len(chosen), found=found)
