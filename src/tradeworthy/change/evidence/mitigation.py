"""Gathers what would make an unfair version fairer, each remedy measured again: reweighing, thresholds by group.

Idea:   the walk-forward is done again with the remedy, on the same rows: weights go into every fold's fit; thresholds
        are chosen on the folds before and held against the next one. Nothing is trained or set: it is an offer.
Time:   the first fold has none before it, so every line, that of the version as it is too, is of the later folds.
Reference: Kamiran and Calders (2012), reweighing; Hardt, Price and Srebro (2016), thresholds by group.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.context import Context, NotGathered, Work
from tradeworthy.change.evidence.fairness import Tested, column_values, compare, selected_by, tested_rows
from tradeworthy.change.train.groups import groups_of
from tradeworthy.change.train.training import reweighed_by
from tradeworthy.core.errors import ModelMismatch
from tradeworthy.core.events import Kind
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.judge.validate.evidence import Cell, Table, known
from tradeworthy.judge.validate.fairness import Mitigated, Mitigations

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COLUMNS = (
    "remedy",
    "selection ratio",
    "ratio from",
    "ratio to",
    "equalized odds",
    "odds from",
    "odds to",
    "calibration",
    "AUC",
    "wrong",
    "more wrong",
    "more from",
    "more to",
    "is fair",
    "how",
)


class _Case(NamedTuple):
    """A column whose groups are treated too differently: its (m,) values, groups, and all that was tested."""

    name: str
    values: Floats
    groups: Longs
    names: list[str]
    tested: Tested
    later: Bools


class _Remedy(NamedTuple):
    """A remedy that was tried: its name, (m,) scores and whom it selects, and how to set it."""

    name: str
    scores: Floats
    selected: Bools
    how: str


def gather_mitigations(context: Context, work: Work) -> Mitigations:
    """Try every remedy for every protected column whose groups the version treats too differently."""
    settings = context.settings.fairness
    if not settings.protected:
        raise NotGathered("no column is protected; name some in [gate.fairness] protected")
    tested = tested_rows(context)
    options: list[Mitigated] = []
    untried: list[str] = []
    tables: list[Table] = []
    later = context.candidate.walk.fold > context.candidate.walk.fold.min()
    for done, name in enumerate(settings.protected):
        values = column_values(context, name)
        case = _Case(name, values, *groups_of(values, name), tested, later)
        if settings.is_fair(compare(context, name, (case.groups, case.names), tested)[0]):
            continue
        remedies = list(_remedies(context, case, untried))
        found = [_measured(context, case, each) for each in remedies]
        options += found
        tables.append(_table(name, remedies, found))
        work.tell((done + 1) / len(settings.protected))
    return Mitigations(options=options, untried=untried, tables=tables)


def _remedies(context: Context, case: _Case, untried: list[str]) -> Iterator[_Remedy]:
    """Yield the version as it is and every remedy that can be tried; why others cannot goes to `untried`."""
    tested = case.tested
    yield _Remedy("as it is", tested.scores, tested.selected, "")
    columns = tuple(dict.fromkeys((*reweighed_by(context.candidate.lineage), case.name)))
    try:
        scores = _reweighed(context, columns)
    except (NotGathered, ModelMismatch) as error:
        untried.append(f"reweighing by {case.name}: {error}")
    else:
        quoted = ", ".join(f'"{each}"' for each in columns)
        yield _Remedy("reweighing", scores, selected_by(context, scores), f"[training] reweigh = [{quoted}]")
    up = tested.up > 0.5
    for what, counted in (("selected alike", np.ones(len(up), bool)), ("found alike", up)):
        selected, cuts = _by_group(context, case, counted)
        yield _Remedy(f"thresholds by group, {what}", tested.scores, selected, _how(context, case, cuts))


def _reweighed(context: Context, columns: tuple[str, ...]) -> Floats:
    """Return the walk-forward's scores by models that were fitted under weights."""
    data = context.dataset.grouped(columns, context.version.program, context.candidate.label, context.history)
    fits = context.fit(data.training(fold.train) for fold in context.folds)
    return np.concatenate(
        [model.many(data.rows[fold.test])[:, 0] for fold, model in zip(context.folds, fits, strict=True)]
    )


def _by_group(context: Context, case: _Case, counted: Bools) -> tuple[Bools, Floats]:
    """Select of every group the same share of those who are counted, by thresholds that earlier folds have chosen.

    Returns
    -------
    (m,) bool, (g,) float64
        Who is selected, and the thresholds that all rows together choose.
    """
    fold, groups, tested = context.candidate.walk.fold, case.groups, case.tested
    selected = tested.selected.copy()
    for number in np.unique(fold)[1:]:
        inside = fold == number
        cuts = _cuts(groups, tested, counted & (fold < number))
        selected[inside] = tested.scores[inside] >= cuts[groups[inside]]
    return selected, _cuts(groups, tested, counted)


def _cuts(groups: Longs, tested: Tested, counted: Bools) -> Floats:
    """Return the thresholds that select of each group the share that is selected of all; infinite for nobody."""
    share = float(tested.selected[counted].mean()) if counted.any() else 0.0
    cuts = np.full(int(groups.max()) + 1, np.inf)
    for group in range(len(cuts)):
        own = tested.scores[counted & (groups == group)]
        if len(own) and share > 0.0:
            cuts[group] = np.quantile(own, 1.0 - share, method="higher")
    return cuts


def _how(context: Context, case: _Case, cuts: Floats) -> str:
    """Say what to write into the settings, or why thresholds of this column cannot be set."""
    manifest, program = context.version.manifest, context.version.program
    unique = np.unique(case.values)
    if manifest.signal.notional or program.trigger != Kind.ROW or case.name not in program.row_fields:
        return "shown only: thresholds by group are for versions that only score, by a field of their rows"
    if len(unique) != len(cuts):
        return f"shown only: {case.name} has too many values for a threshold each"
    each = ", ".join(f"{value:g}: enter_long = {cut:.4f}" for value, cut in zip(unique, cuts, strict=True))
    return f"[thresholds] by {case.name}, where the law allows it; {each}"


def _measured(context: Context, case: _Case, remedy: _Remedy) -> Mitigated:
    """Measure a remedy on the later folds, beside the version as it is."""
    tested, later = case.tested, case.later
    own = Tested(remedy.scores[later], tested.up[later], tested.rows[later], remedy.selected[later])
    column, _ = compare(context, case.name, (case.groups[later], case.names), own)
    up = own.up > 0.5
    wrong, was = own.selected != up, tested.selected[later] != up
    rng = context.rng(f"mitigation {case.name} {remedy.name}")
    more = mean_interval(wrong.astype(np.float64) - was, horizon=context.reach, rng=rng)
    return Mitigated(
        column=case.name,
        remedy=remedy.name,
        measures=column.measures,
        calibration_gap=column.calibration_gap,
        auc=auc(own.scores, own.up),
        wrong=float(wrong.mean()),
        more_wrong=(more.estimate, more.low, more.high),
        fair=context.settings.fairness.is_fair(column),
    )


def _table(name: str, remedies: list[_Remedy], found: list[Mitigated]) -> Table:
    rows: list[list[Cell]] = [
        [
            each.remedy,
            *(known(part) for part in each.measures.demographic_parity_ratio),
            *(known(part) for part in each.measures.equalized_odds_difference),
            known(each.calibration_gap),
            known(each.auc),
            known(each.wrong),
            *(known(part) for part in each.more_wrong),
            "yes" if each.fair else "no",
            remedy.how,
        ]
        for remedy, each in zip(remedies, found, strict=True)
    ]
    return Table(title=f"Remedies for the groups of {name}, on the later folds", columns=list(COLUMNS), rows=rows)
