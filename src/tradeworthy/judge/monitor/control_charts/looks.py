"""What is looked at in the rows of a reference: which charts, over which columns, and what harm each shall hear.

Idea:   every column is looked at by its level. A monitor of rows adds spread and tails of every column of many values,
        the frequency of every code of a column of few, the pair of every column with its closest other one, and all
        columns together along the directions in which training hardly varied: there broken relations show most.
Flow:   reference -> looks, constants, axes -> scores of each look (`scores_of`) -> `fitting`.
Reference: Kuncheva and Faithfull (2014), low-variance components for change detection.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from tradeworthy.judge.monitor.control_charts.chart_table import (
    CENTRE,
    CLIP,
    COLUMN,
    CONSTANTS,
    DECAY,
    INNOVATION,
    NO_AXES,
    PARTNER,
    RHO,
    SCALE,
    SPREAD,
    VIEW,
    ChartState,
    ChartTable,
    Floats,
    empty_state,
)
from tradeworthy.judge.monitor.control_charts.lanes import AXES_MAX, CATEGORY, LEVEL, PAIR, TAIL, WIDTH
from tradeworthy.judge.monitor.control_charts.null import Places, autoregression, clusters
from tradeworthy.judge.monitor.control_charts.views import BOUND, write_scores
from tradeworthy.model.season import CODES_MAX

Kind = Literal["level", "spread", "tail", "pair", "category", "joint"]
VIEWS: dict[Kind, int] = {
    "level": LEVEL,
    "spread": WIDTH,
    "tail": TAIL,
    "pair": PAIR,
    "category": CATEGORY,
    "joint": LEVEL,
}
LEVELS_ONLY: tuple[Kind, ...] = ("level",)

CATEGORIES_MAX = CODES_MAX
"""A series of no more different values is one of codes: never devolatilised, and watched code by code."""

TAIL_SHARE = 0.02
"""Share of the reference beyond a tail's edge."""

PAIR_REACH = 4.0
"""Standard errors of a correlation of independent rows, beyond which two columns are related."""

FOLDS = 10
"""Stretches of a reference, each of which is seen along the axes of all others."""

SPREAD_HARM = 1.5
"""The growth of a spread that is worth an alarm."""

SCORE_HARMS: dict[Kind, float] = {"tail": 0.2, "pair": 0.4, "category": 0.2, "joint": 0.4}
"""Of what has no natural size: moves of the mean score worth an alarm, in score spreads."""


class Look(NamedTuple):
    """One chart's object: its name for people, its kind, its column and, of a pair, the other one."""

    name: str
    kind: Kind
    column: int
    partner: int = -1


class Plan(NamedTuple):
    """The looks of a reference, their constants but for the limits, and the axes of all columns together."""

    looks: list[Look]
    table: ChartTable


def robust_scale(series: Floats) -> tuple[float, float]:
    """Return the median and 1.4826 times the median distance from it; mean and deviation where most values are equal.

    A constant series gets the smallest scale at which any other value stands out.
    """
    centre = float(np.median(series))
    scale = 1.4826 * float(np.median(np.abs(series - centre)))
    deviation = float(series.std())
    if scale < 1e-9 * deviation:
        scale, centre = deviation, float(series.mean())
    return centre, scale if scale > 0.0 else 1e-9 * max(1.0, abs(centre))


def level_constants(series: Floats, breaks: Places, *, clip: float, decay: float, bounded: bool = False) -> Floats:
    """Return the (CONSTANTS,) of a level's chart: where a finite (n,) series clusters, with its recent scale.

    Of a bounded series nothing as large as the reference's own values is cut: losses of a rare class are nearly all of
    the harm, and to a robust scale they are outliers.
    """
    own = np.zeros(CONSTANTS)
    centre, scale = robust_scale(series)
    if bounded and series.std() > 0.0:
        centre, scale = float(series.mean()), float(series.std())
        clip = max(clip, float(np.abs(series - centre).max()) / scale)
    own[[CENTRE, SCALE, CLIP, SPREAD, INNOVATION]] = centre, scale, clip, 1.0, 1.0
    z = (series - centre) / scale
    if not is_categorical(series) and clusters(autoregression(np.clip(z, -8.0, 8.0), breaks).residuals):
        rho = float(np.corrcoef(z[1:], z[:-1])[0, 1])
        innovations = z[1:] - rho * z[:-1]
        own[[RHO, DECAY]] = rho, decay
        own[INNOVATION] = 1.0 / float(np.mean(np.minimum(innovations**2, np.quantile(innovations**2, 0.999))))
    return own


def is_categorical(series: Floats) -> bool:
    """Whether a finite series has few different values."""
    return len(np.unique(series)) <= CATEGORIES_MAX


def plan(rows: Floats, names: Sequence[str], levels: Floats, kinds: Sequence[Kind]) -> Plan:
    """Return what is looked at in (n, p) rows, given the (p, CONSTANTS) of their levels."""
    looks = [Look(name, "level", column) for column, name in enumerate(names)]
    constants, many = list(levels), list[int]()
    for column, name in enumerate(names):
        values = rows[np.isfinite(rows[:, column]), column]
        if not is_categorical(values):
            many.append(column)
            more = _of_values(name, column, levels[column], values)
        else:
            more = _of_codes(name, column, levels[column], np.unique(values))
        for look, own in more:
            if look.kind in kinds:
                looks.append(look)
                constants.append(own)
    z = np.clip((rows - levels[:, CENTRE]) / levels[:, SCALE], -BOUND, BOUND)
    whole = z[np.isfinite(z).all(axis=1)]
    if "pair" in kinds:
        for one, other in _pairs(whole, many):
            looks.append(Look(f"{names[one]} with {names[other]}", "pair", one, other))
            constants.append(_changed(levels[one], {DECAY: 0.0, PARTNER: other}))
    axes = _axes(whole, many) if "joint" in kinds and len(many) > 1 else NO_AXES
    if len(axes):
        looks.append(Look("all features together", "joint", len(names)))
        constants.append(np.zeros(CONSTANTS))
    table = ChartTable(np.array(constants), axes)
    for own, look in zip(table.constants, looks, strict=True):
        own[VIEW], own[COLUMN] = VIEWS[look.kind], look.column
    if len(axes):
        table.constants[-1, [CLIP, SCALE, SPREAD]] = BOUND, 1.0, 1.0
        distance = scores_of(table, rows).told[-1]
        table.constants[-1, [CENTRE, SCALE]] = robust_scale(distance[np.isfinite(distance)])
    return Plan(looks, table)


def _of_values(name: str, column: int, level: Floats, values: Floats) -> list[tuple[Look, Floats]]:
    """Return what is looked at in one column of many values beside its level."""
    own = _changed(level, {CLIP: np.inf, COLUMN: 0, VIEW: LEVEL})
    sizes = np.abs(scores_of(ChartTable(own[None, :]), values[:, None]).scores[0])
    edge = float(np.quantile(sizes, 1.0 - TAIL_SHARE))
    return [
        (Look(f"spread of {name}", "spread", column), _changed(level, {DECAY: 0.0})),
        (Look(f"tails of {name}", "tail", column), _changed(level, {CLIP: edge})),
    ]


def _of_codes(name: str, column: int, level: Floats, codes: Floats) -> list[tuple[Look, Floats]]:
    """Return what is looked at in one column of codes; of two the level says it all."""
    wanted = codes if len(codes) > 2 else codes[:0]
    return [(Look(f"{name} = {code:g}", "category", column), _changed(level, {CENTRE: code})) for code in wanted]


def _changed(own: Floats, changes: dict[int, float]) -> Floats:
    """Return a copy of constants with some columns changed."""
    other = own.copy()
    for column, value in changes.items():
        other[column] = value
    return other


def _pairs(z: Floats, many: Sequence[int]) -> list[tuple[int, int]]:
    """Return each column's closest other one, every pair once; what chance explains is no relation."""
    if len(many) < 2:
        return []
    with np.errstate(invalid="ignore", divide="ignore"):
        close = np.abs(np.nan_to_num(np.corrcoef(z[:, many].T)))
    np.fill_diagonal(close, -1.0)
    related = [(i, int(row.argmax())) for i, row in enumerate(close) if row.max() > PAIR_REACH / np.sqrt(len(z))]
    return sorted({(many[min(pair)], many[max(pair)]) for pair in related})


def _axes(z: Floats, many: Sequence[int]) -> Floats:
    """Return the directions of least variance of some columns, each of deviation 1 in (n, p) rows."""
    variance, directions = np.linalg.eigh(np.cov(z[:, many].T))
    kept = variance > 1e-9 * max(float(variance.max()), 1e-300)
    chosen = directions[:, kept][:, :AXES_MAX] / np.sqrt(variance[kept][:AXES_MAX])
    axes = np.zeros((chosen.shape[1], z.shape[1]))
    axes[:, many] = chosen.T
    return axes


class Seen(NamedTuple):
    """What q charts make of n rows: (q, n) scores, NaN where one says nothing, what they tell, and their memory."""

    scores: Floats
    told: Floats
    memory: ChartState


def scores_of(table: ChartTable, rows: Floats) -> Seen:
    """Return what all charts make of (n, p) rows, as their constants centre and scale them."""
    q, n = len(table.constants), len(rows)
    seen = Seen(np.empty((q, n)), np.empty((q, n)), empty_state(q))
    write_scores(table, seen.memory, np.ascontiguousarray(rows), seen.scores, seen.told)
    return seen


def seen_by(planned: Plan, rows: Floats) -> Seen:
    """Return what the looks of a plan make of the (n, p) rows that it was made from.

    The reference varies less along its own axes than any other rows do, so each of its stretches is seen along those of
    all others.
    """
    table, seen = planned.table, scores_of(planned.table, rows)
    levels = table.constants[: rows.shape[1]]
    z = np.clip((rows - levels[:, CENTRE]) / levels[:, SCALE], -BOUND, BOUND)
    known = np.asarray(np.isfinite(z).all(axis=1))
    many = np.flatnonzero(table.axes.any(axis=0)).tolist()
    alone = np.vstack([levels, table.constants[-1:]])
    for fold in np.array_split(np.arange(len(rows)), FOLDS) if len(table.axes) else ():
        others = known.copy()
        others[fold] = False
        part = scores_of(ChartTable(alone, _axes(z[others], many)), rows[fold])
        seen.scores[-1, fold], seen.told[-1, fold] = part.scores[-1], part.told[-1]
    return seen


def gains_of(plan: Plan, rows: Floats, scores: Floats, shift_sd: float) -> Floats:
    """Return by how much the harm that each look shall hear, put into the second half, moves its mean raw score."""
    levels, half = plan.table.constants[: rows.shape[1]], len(rows) // 2
    shifted, wider = rows.copy(), rows.copy()
    shifted[half:] += shift_sd * np.nanstd(rows, axis=0)
    wider[half:] = levels[:, CENTRE] + SPREAD_HARM * (rows[half:] - levels[:, CENTRE])
    harmed: dict[Kind, Floats] = {
        "level": scores_of(plan.table, shifted).scores[:, half:],
        "spread": scores_of(plan.table, wider).scores[:, half:],
    }
    gains = np.empty(len(plan.looks))
    for chart, look in enumerate(plan.looks):
        if look.kind in harmed:
            change = np.nanmean(harmed[look.kind][chart]) - np.nanmean(scores[chart, half:])
            gains[chart] = abs(float(change))
        else:
            gains[chart] = SCORE_HARMS[look.kind] * float(np.nanstd(scores[chart]))
    return gains
