"""Stateless requests scored again from the tape: by the version that answered, bit for bit, or by another one.

Idea:   what callers really asked is the best test of a version that has not answered anybody yet; and where they told
        the groups of their rows, of what it would do to each of these.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.server.rows import RowColumns, RowLayout
from tradeworthy.apps.server.scores import scored_by
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import ModelMismatch
from tradeworthy.judge.monitor.group_fairness import FairnessSettings
from tradeworthy.judge.monitor.grouping import Columns, Grouping, Known
from tradeworthy.model.version import Version

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class RescoredGroup(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of one group were selected (scored above ``[monitor.fairness] score_cut``), then and now."""

    by: str
    group: str
    rows: int
    selected: int
    selected_now: int


class RescoredLine(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that one version answered, scored again.

    Attributes
    ----------
    changed : int
        Rows whose score, the first where a version has several, is not the same to the last bit.
    difference_mean, difference_max : float
        Of the absolute differences of these scores, over all rows.
    groups : list of RescoredGroup
        Of rows whose callers told their groups.
    """

    version: str
    against: str
    rows: int
    changed: int
    difference_mean: float
    difference_max: float
    groups: list[RescoredGroup] = []


class Rescored(msgspec.Struct, frozen=True, kw_only=True):
    """Every version's requests scored again; `identical` where no score changed."""

    rows: int
    identical: bool
    versions: list[RescoredLine]


def rescore(project: "Project", *, against: str | None = None) -> Rescored:
    """Score recorded stateless requests again.

    Parameters
    ----------
    against : str, optional
        The version that scores them, as in `Registry.resolve`; the one that answered, if left out.

    Raises
    ------
    NotFound
        Nothing was recorded, or there is no such version.
    ModelMismatch
        That version reads other features.
    """
    reader = recorded(project)
    other = None if against is None else project.registry.load(project.resolve(against))
    lines = []
    for stream in reader.streams():
        if number := scored_by(stream):
            asked = project.registry.load(number)
            settings = project.settings.monitor.fairness
            parts = [_line(asked, other or asked, part, settings) for part in reader.scan(stream)]
            lines += [_sum(parts)] if parts else []
    return Rescored(
        rows=sum(line.rows for line in lines), identical=not any(line.changed for line in lines), versions=lines
    )


def _line(asked: Version, scorer: Version, records: np.ndarray, settings: FairnessSettings) -> RescoredLine:
    """Score some of a version's records again."""
    if scorer.manifest.features != asked.manifest.features:
        raise ModelMismatch(
            f"version {scorer.short} reads {scorer.manifest.features}, the rows of {asked.short} have "
            f"{asked.manifest.features}; choose a version of the same features"
        )
    now = scorer.predictor.many(np.ascontiguousarray(records["row"]))
    difference = np.abs(now[:, 0] - records["scores"][:, 0])
    return RescoredLine(
        version=asked.digest[:SHORT],
        against=scorer.digest[:SHORT],
        rows=len(records),
        changed=int(np.count_nonzero(difference)),
        difference_mean=float(difference.mean()),
        difference_max=float(difference.max()),
        groups=_groups(asked, records, now[:, 0], settings),
    )


def _groups(
    asked: Version, records: np.ndarray, now: npt.NDArray[np.float64], settings: FairnessSettings
) -> list[RescoredGroup]:
    """Count what was selected of each group; nothing where no groups were told, or other ones than now."""
    names = [*RowLayout(asked, RowColumns(settings.columns, settings.words)).groups]
    if "groups" not in (records.dtype.names or ()) or records["groups"].shape[1] != len(names):
        return []
    found, columns = [], Columns((), fields=names, words=settings.words)
    stamps, nowhere = records["ts_ns"], np.zeros(len(records), np.int64)
    before, after = records["scores"][:, 0] > settings.score_cut, now > settings.score_cut
    for column, by in enumerate(names):
        grouping = Grouping(by, columns, settings.cuts.get(by, ()))
        places = grouping.places(Known(stamps, nowhere, records["groups"][:, column]))
        counted = ((name, places == place) for place, name in enumerate(grouping.names))
        found += [
            RescoredGroup(
                by=by, group=name, rows=int(of.sum()), selected=int(before[of].sum()), selected_now=int(after[of].sum())
            )
            for name, of in counted
        ]
    return found


def _sum(parts: list[RescoredLine]) -> RescoredLine:
    """Put the parts of one version's records together."""
    rows = sum(part.rows for part in parts)
    return msgspec.structs.replace(
        parts[0],
        rows=rows,
        changed=sum(part.changed for part in parts),
        difference_mean=sum(part.difference_mean * part.rows for part in parts) / rows,
        difference_max=max(part.difference_max for part in parts),
        groups=[_sum_of_group(each) for each in zip(*(part.groups for part in parts), strict=True)],
    )


def _sum_of_group(parts: Sequence[RescoredGroup]) -> RescoredGroup:
    """Put the parts of one group together."""
    return msgspec.structs.replace(
        parts[0],
        rows=sum(part.rows for part in parts),
        selected=sum(part.selected for part in parts),
        selected_now=sum(part.selected_now for part in parts),
    )
