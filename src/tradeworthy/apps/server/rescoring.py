"""Stateless requests scored again from the tape: by the version that answered, bit for bit, or by another one.

Idea:   what callers really asked is the best test of a version that has not answered anybody yet.
"""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.server.scores import PREFIX
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.errors import ModelMismatch
from tradeworthy.model.version import Version

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class RescoredLine(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that one version answered, scored again.

    Attributes
    ----------
    changed : int
        Rows whose score, the first where a version has several, is not the same to the last bit.
    difference_mean, difference_max : float
        Of the absolute differences of these scores, over all rows.
    """

    version: str
    against: str
    rows: int
    changed: int
    difference_mean: float
    difference_max: float


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
        if stream.startswith(PREFIX):
            asked = project.registry.load(version_number(stream.removeprefix(PREFIX)))
            parts = [_line(asked, other or asked, part) for part in reader.scan(stream)]
            lines += [_sum(parts)] if parts else []
    return Rescored(
        rows=sum(line.rows for line in lines), identical=not any(line.changed for line in lines), versions=lines
    )


def _line(asked: Version, scorer: Version, records: np.ndarray) -> RescoredLine:
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
    )


def _sum(parts: list[RescoredLine]) -> RescoredLine:
    """Put the parts of one version's records together."""
    rows = sum(part.rows for part in parts)
    return msgspec.structs.replace(
        parts[0],
        rows=rows,
        changed=sum(part.changed for part in parts),
        difference_mean=sum(part.difference_mean * part.rows for part in parts) / rows,
        difference_max=max(part.difference_max for part in parts),
    )
