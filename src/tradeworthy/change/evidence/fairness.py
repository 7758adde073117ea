"""Gathers fairness: the out-of-fold scores by session and regime, and by the groups of protected columns."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.evidence.slices import periods, regimes, sessions, tiers
from tradeworthy.change.train.folds import out_of_fold
from tradeworthy.change.train.groups import column_of, groups_of
from tradeworthy.judge.group_bootstrap import group_measures
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.monitor.fairness import POSITIVES, SELECTED, count_groups, fairness_table
from tradeworthy.judge.validate.evidence import Table, known
from tradeworthy.judge.validate.fairness import Groups, Protected, ProtectedColumn

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

ROWS_MIN = 50
"""Groups with fewer rows of either class are shown, and no harm is told from them."""


Line = tuple[str, int, float, float]
"""A part of the rows: its name, how many rows, their AUC, and its upper end, NaN with too few."""


class Tested(NamedTuple):
    """The rows that some fold tested: (m,) out-of-fold scores and classes, (m, n) features, who is selected."""

    scores: Floats
    up: Floats
    rows: Floats
    selected: npt.NDArray[np.bool_]


def gather_groups(context: Context, _work: Work) -> Groups:
    """Take the AUC apart by quarter and session and, where trades can be counted, by regime and liquidity."""
    walk = context.candidate.walk
    scores, up = walk.scores, walk.up
    if not context.counts_money:
        slices = [*periods(walk.ts_event_ns), *sessions(walk.ts_event_ns)]
    else:
        paper = context.paper_walk
        traded = np.isin(walk.ts_event_ns, paper.ts_event_ns)
        scores, up = scores[traded], up[traded]
        stamps = paper.ts_event_ns
        slices = [*periods(stamps), *sessions(stamps), *regimes(paper), *tiers(paper)]
    found = []
    for each in slices:
        value, error = auc(scores[each.rows], up[each.rows]), auc_error(up[each.rows], context.reach)
        found.append((f"{each.by} {each.name}", int(each.rows.sum()), value, value + 3.0 * error))
    worst, _, value, high = weakest(found, "quarter, session, regime or tier")
    table = auc_table(found, "group", "AUC by quarter, session, regime and liquidity")
    return Groups(groups=len(found), worst=worst, worst_auc=value, worst_high=high, tables=[table])


def weakest(found: Sequence[Line], kinds: str) -> Line:
    """Return the line whose AUC is lowest at its upper end.

    Raises
    ------
    NotGathered
        No line has rows enough for an end.
    """
    sure = [line for line in found if math.isfinite(line[3])]
    if not sure:
        raise NotGathered(f"no {kinds} has {ROWS_MIN} rows of either class")
    return min(sure, key=lambda line: line[3])


def auc_table(found: Sequence[Line], column: str, title: str) -> Table:
    """Return every line as a row, with bars."""
    rows = [[name, known(value), known(high), n] for name, n, value, high in found]
    return Table(title=title, columns=[column, "AUC", "at most", "rows"], rows=rows, chart="bars")


def gather_protected(context: Context, _work: Work) -> Protected:
    """Compare the groups of every protected column, out of fold.

    Raises
    ------
    NotGathered
        No column is protected, or one of them is not known.
    """
    settings = context.settings.fairness
    if not settings.protected:
        raise NotGathered("no column is protected; name some in [gate.fairness] protected")
    tested = tested_rows(context)
    compared = [
        compare(context, name, groups_of(column_values(context, name), name), tested) for name in settings.protected
    ]
    columns, tables = [column for column, _ in compared], [table for _, table in compared]
    return Protected(rows=len(tested.scores), columns=columns, tables=tables)


def tested_rows(context: Context) -> Tested:
    """Return the rows that some fold tested, and who the version would select of them."""
    walk = context.candidate.walk
    rows = context.dataset.rows[out_of_fold(context.folds)]
    return Tested(walk.scores, walk.up, rows, selected_by(context, walk.scores))


def selected_by(context: Context, scores: Floats) -> npt.NDArray[np.bool_]:
    """Return which out-of-fold rows (m,) scores select: those above the cut, or from their group's own threshold on."""
    selected: npt.NDArray[np.bool_] = scores > context.settings.fairness.score_cut
    thresholds = context.version.manifest.thresholds
    if thresholds is None:
        return selected
    numbers = thresholds.numbers(column_values(context, thresholds.column))
    own = np.array([np.nan, *(each.enter_long for each in thresholds.group)])[numbers]
    return np.where(numbers > 0, scores >= own, selected)


def auc_error(up: Floats, horizon: int) -> float:
    """Return the standard error of an AUC of 1/2, labels overlapping; NaN for too few rows of a class."""
    positives = float(up.sum())
    negatives = len(up) - positives
    if min(positives, negatives) < ROWS_MIN:
        return math.nan
    return math.sqrt(horizon * (len(up) + 1) / (12.0 * positives * negatives))


def column_values(context: Context, name: str) -> Floats:
    """Return a protected column over the rows that some fold tests."""
    places, data = out_of_fold(context.folds), context.dataset
    fields = context.candidate.label.row_fields
    events = context.history[data.places[places]]
    return column_of(name, data.rows[places], events, features=context.version.program.names, fields=fields)


def compare(
    context: Context, name: str, grouping: tuple[Longs, list[str]], tested: Tested
) -> tuple[ProtectedColumn, Table]:
    """Compare the groups of one column: their (m,) places and names."""
    groups, names = grouping
    counts = count_groups(groups, tested.selected, tested.up, len(names))
    shown = fairness_table(counts, names, training=counts, horizon=context.reach)
    inside = [groups == place for place in range(len(names))]
    gaps = [abs(float((tested.scores - tested.up)[rows].mean())) for rows in inside]
    proxies = list(_proxies(context, groups, tested.rows, name))
    proxy, proxy_auc = max(proxies, key=lambda each: each[1], default=("none", 0.5))
    column = ProtectedColumn(
        name=name,
        measures=group_measures(counts, rng=context.rng(f"fairness {name}"), horizon=context.reach),
        calibration_gap=max(gaps),
        amplification=max(shown.amplification.values(), default=math.nan),
        proxy=proxy,
        proxy_auc=proxy_auc,
    )
    lines = zip(names, counts, inside, gaps, strict=True)
    return column, Table(
        title=f"Groups of {name}",
        columns=[
            "group",
            "selected",
            "positive",
            "true positive rate",
            "false positive rate",
            "AUC",
            "calibration",
            "rows",
        ],
        rows=[
            [
                group,
                known(count[SELECTED] / rows.sum()),
                known(count[POSITIVES] / rows.sum()),
                known(shown.groups[group]["true_positive_rate"].value),
                known(shown.groups[group]["false_positive_rate"].value),
                known(auc(tested.scores[rows], tested.up[rows])),
                known(gap),
                int(rows.sum()),
            ]
            for group, count, rows, gap in lines
        ],
        chart="bars",
    )


def _proxies(context: Context, groups: Longs, rows: Floats, protected: str) -> Iterator[tuple[str, float]]:
    """Yield how well each other feature tells the largest group from the rest."""
    largest = (groups == np.bincount(groups).argmax()).astype(np.float64)
    for number, name in enumerate(context.version.program.names):
        if name != protected:
            found = auc(rows[:, number], largest)
            if math.isfinite(found):
                yield name, max(found, 1.0 - found)
