"""Gathers what is written down about the version, and how it differs from the champion."""

import math
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.explain.explaining import make_explainer
from tradeworthy.judge.validate.documents import ChangeFromChampion, ModelCard
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.live.signal import sides_of
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]

EXPLAINED_ROWS = {"quick": 200, "full": 2_000}
NO_CHAMPION = ChangeFromChampion(
    champion="",
    rows=0,
    features_added=[],
    features_removed=[],
    score_distance=math.nan,
    sides_differ=math.nan,
    attribution_distance=math.nan,
    tables=[],
)


def gather_card(context: Context, _work: Work) -> ModelCard:
    """Note which entries are empty, and when the next review is due."""
    card = msgspec.structs.asdict(context.version.manifest.card)
    return ModelCard(
        empty=[name for name, text in card.items() if not text.strip()],
        entries=len(card),
        next_review=card["next_review"],
        days_to_review=_days_to(card["next_review"], context.now_ns),
    )


def gather_change(context: Context, work: Work) -> ChangeFromChampion:
    """Let version and champion score the same events, and compare them."""
    if context.champion is None:
        return NO_CHAMPION
    champion, trained = context.champion
    events, places, rows = context.stream.events, context.stream.places, context.stream.rows
    theirs, at = FeatureState(champion.program, context.instruments).many(events)
    shared, ours, other = np.intersect1d(places, at, assume_unique=True, return_indices=True)
    if not len(shared):
        return _never_together(context, champion, trained)
    scores = context.version.predictor.many(rows[ours])[:, 0]
    past = champion.predictor.many(theirs[other])[:, 0]
    work.tell(0.3)
    kept = slice(-EXPLAINED_ROWS[context.profile], None)
    mine = _shares(context.version, rows[ours][kept])
    work.tell(0.6)
    before = _shares(champion, theirs[other][kept])
    names = [*mine, *(name for name in before if name not in mine)]
    apart = [abs(mine.get(name, 0.0) - before.get(name, 0.0)) for name in names]
    sides = [sides_of(each.manifest.signal, s) for each, s in ((context.version, scores), (champion, past))]
    return ChangeFromChampion(
        champion=champion.digest,
        rows=len(shared),
        features_added=[name for name in mine if name not in before],
        features_removed=[name for name in before if name not in mine],
        score_distance=float(np.mean(np.abs(scores - past))),
        sides_differ=float(np.mean(sides[0] != sides[1])),
        attribution_distance=sum(apart) / 2.0,
        tables=[
            _figures(context.candidate, trained),
            Table(
                title="Share in all contributions",
                columns=["feature", "version", "champion"],
                rows=[[name, mine.get(name), before.get(name)] for name in names],
                chart="bars",
            ),
        ],
    )


def _never_together(context: Context, champion: Version, trained: Candidate) -> ChangeFromChampion:
    """Return what is known where no event is scored by both: features, data and metrics, and no distance."""
    mine, before = context.version.program.names, champion.program.names
    return msgspec.structs.replace(
        NO_CHAMPION,
        champion=champion.digest,
        features_added=[name for name in mine if name not in before],
        features_removed=[name for name in before if name not in mine],
        tables=[_figures(context.candidate, trained)],
    )


def _shares(version: Version, rows: Floats) -> dict[str, float]:
    """Return each feature's share in the absolute contributions to the scores of rows."""
    found = make_explainer(version.predictor, version.profile).explain(rows)
    sizes = np.abs(found.contributions).sum(axis=0)
    whole = float(sizes.sum())
    return {
        name: float(size) / whole if whole else 0.0 for name, size in zip(version.program.names, sizes, strict=True)
    }


def _figures(mine: Candidate, theirs: Candidate) -> Table:
    """Return data and metrics of both."""
    lines: list[tuple[str, float, float]] = [
        ("training rows", mine.lineage.trained_on_rows, theirs.lineage.trained_on_rows),
        ("out-of-fold rows", mine.performance.n, theirs.performance.n),
        ("out-of-fold AUC", mine.performance.auc, theirs.performance.auc),
        ("log loss", mine.performance.log_loss, theirs.performance.log_loss),
    ]
    return Table(
        title="Data and metrics",
        columns=["figure", "version", "champion"],
        rows=[[name, known(ours), known(past)] for name, ours, past in lines],
    )


def _days_to(day: str, now_ns: int) -> float:
    """Return the days from now to a day; NaN where it is none."""
    try:
        due = date.fromisoformat(day)
    except ValueError:
        return math.nan
    today = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).date()
    return float((due - today).days)
