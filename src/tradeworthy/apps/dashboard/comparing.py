"""Two versions side by side: what they were told, how they did, what they go by, and where they disagree.

Idea:   they are held against each other on the same events: those that both have scored, as champion and shadow do.
        Where there are none, on the newer one's sample of training rows, if both compute the same features.
Units:  importance is the mean size of a contribution to the margin; shares are 0 to 1.
Undefined: None where one side has no such figure; no disagreement where they share neither events nor features.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.dashboard.deciding import Decided, symbols_of
from tradeworthy.apps.dashboard.shadowing import ShadowLine, shadows_of
from tradeworthy.apps.explain.explaining import rows_of
from tradeworthy.change.registry import VersionInfo
from tradeworthy.core.decisions import SHORT, version_number
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.explaining import make_explainer
from tradeworthy.judge.explain.sides import side_of
from tradeworthy.judge.explain.summary import importance
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.manifest import Manifest
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Floats = npt.NDArray[np.float64]
Records = npt.NDArray[Any]

ROWS_MAX = 300
"""So many rows are explained: enough for a mean, few enough for a page."""

LISTED = 8
MEASURED = "lineage.fold_metrics."
"""Entries of the manifest that are compared as figures instead."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both; None where a version has none."""

    name: str
    one: float | None
    other: float | None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the manifests that differs, in words."""

    name: str
    one: str
    other: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the gate on both: verdict and what was measured; empty where it was not judged."""

    name: str
    one: tuple[str, str]
    other: tuple[str, str]


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """How differently two versions score the same rows.

    Attributes
    ----------
    on : str
        Which rows these are.
    rows : int
        How many.
    sides : float
        Share of them on which the two want different sides.
    distance : float
        Mean size of the difference of their scores.
    correlation : float or None
        Of their scores; None where one of them never moves.
    examples : list of (Decided, Decided)
        The newest events on which they wanted different sides.
    """

    on: str
    rows: int
    sides: float
    distance: float
    correlation: float | None
    examples: list[tuple[Decided, Decided]]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that two versions are compared by; `shadow` where one has scored in the shadow of the other."""

    one: VersionInfo
    other: VersionInfo
    metrics: list[Pair]
    importance: list[Pair]
    disagreement: Disagreement | None
    shadow: ShadowLine | None
    gate: list[Judged]
    manifest: list[Changed]


def compare(project: "Project", one: str, other: str) -> Comparison:
    """Compare two versions, named by anything that names a version.

    Raises
    ------
    NotFound
        There is no such version.
    """
    first, second = (project.registry.load(project.resolve(word)) for word in (one, other))
    listed = {info.version: info for info in project.registry.list()}
    shared = _Shared.of(project, first, second)
    return Comparison(
        one=listed[first.digest],
        other=listed[second.digest],
        metrics=_pairs(first.manifest.lineage.fold_metrics, second.manifest.lineage.fold_metrics),
        importance=_importance(first, second, shared),
        disagreement=shared.disagreement(),
        shadow=_shadow(project, first.digest, second.digest),
        gate=_gates(project, first, second),
        manifest=list(_changes(first.manifest, second.manifest)),
    )


def _shadow(project: "Project", one: str, other: str) -> ShadowLine | None:
    """Return how one of two fared in the shadow of the other; None where neither did."""
    pair = {one[:SHORT], other[:SHORT]}
    return next((line for line in shadows_of(project).shadows if {line.version, line.champion} == pair), None)


class _Shared:
    """The rows on which two versions are held against each other: each one's row of the same event, and its score."""

    def __init__(self, on: str, rows: tuple[Floats, Floats], versions: tuple[Version, Version]) -> None:
        self.on, self.rows, self.versions = on, rows, versions
        self.scores: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        self.held: Floats = np.empty(0)
        self.examples: list[tuple[Decided, Decided]] = []

    @classmethod
    def of(cls, project: "Project", one: Version, other: Version) -> "_Shared":
        """Return the events that both scored, or else the newer one's sample of training."""
        if project.places.tape.is_dir():
            shared = cls._from_tape(project, TapeReader(project.places.tape), one, other)
            if shared is not None:
                return shared
        newer = max(one, other, key=lambda version: version.manifest.created_ns)
        sample = newer.profile.sample
        if one.manifest.program_digest != other.manifest.program_digest:
            sample = sample[:0]
        shared = cls(f"the training sample of {newer.short[:8]}", (sample, sample), (one, other))
        if len(sample):
            shared.scores = one.predictor.many(sample)[:, 0], other.predictor.many(sample)[:, 0]
            shared.held = np.zeros(len(sample))
        return shared

    @classmethod
    def _from_tape(cls, project: "Project", reader: TapeReader, one: Version, other: Version) -> "_Shared | None":
        if "decisions" not in reader.streams():
            return None
        made = reader.read("decisions")
        scored = made[np.isfinite(made["score"])]
        first, second = (scored[scored["version"] == version_number(version.digest)] for version in (one, other))
        _, at, beside = np.intersect1d(first["input_sequence"], second["input_sequence"], return_indices=True)
        if not at.size:
            return None
        first, second = first[at], second[beside]
        rows = tuple(_rows(reader, version, own) for version, own in ((one, first), (other, second)))
        shared = cls("the events that both have scored", (rows[0], rows[1]), (one, other))
        shared.scores, shared.held = (first["score"], second["score"]), first["position"]
        apart = np.flatnonzero(shared.apart())[::-1][:LISTED]
        symbols = symbols_of(project)
        shared.examples = [(Decided.of(first[n], symbols), Decided.of(second[n], symbols)) for n in apart]
        return shared

    def apart(self) -> npt.NDArray[np.bool_]:
        """Tell on which rows the two want different sides, were both in the same position."""
        one, other = (version.manifest.signal for version in self.versions)
        sides = zip(self.scores[0].tolist(), self.scores[1].tolist(), self.held.tolist(), strict=True)
        return np.array([side_of(one, a, held) != side_of(other, b, held) for a, b, held in sides], np.bool_)

    def disagreement(self) -> Disagreement | None:
        """Return how far apart the two are; None where they share no rows."""
        one, other = self.scores
        if not len(one):
            return None
        moves = len(one) > 1 and one.std() > 0.0 and other.std() > 0.0
        return Disagreement(
            on=self.on,
            rows=len(one),
            sides=float(self.apart().mean()),
            distance=float(np.abs(one - other).mean()),
            correlation=float(np.corrcoef(one, other)[0, 1]) if moves else None,
            examples=self.examples,
        )


def _rows(reader: TapeReader, version: Version, made: Records) -> Floats:
    """Return the recorded rows of the last decisions of a version, as many as are explained."""
    rows = rows_of(reader, version)
    found: Floats = (
        rows["row"][np.isin(rows["decision"], made["sequence"][-ROWS_MAX:])] if rows.size else np.empty((0, 0))
    )
    return found


def _importance(one: Version, other: Version, shared: _Shared) -> list[Pair]:
    """Return how much each goes by each feature, the largest first; each on its own rows where they share none."""
    sides = []
    for version, rows in zip((one, other), shared.rows, strict=True):
        chosen = rows if len(rows) else version.profile.sample
        chosen = chosen[:: max(1, len(chosen) // ROWS_MAX)][:ROWS_MAX]
        sizes = importance(make_explainer(version.predictor, version.profile).explain(chosen).contributions)
        sides.append(dict(zip(version.program.names, sizes.tolist(), strict=True)))
    found = _pairs(sides[0], sides[1])
    return sorted(found, key=lambda pair: -max(pair.one or 0.0, pair.other or 0.0))


def _pairs(one: dict[str, float], other: dict[str, float]) -> list[Pair]:
    """Put the figures of both beside each other, in the order in which they come."""
    return [Pair(name=name, one=one.get(name), other=other.get(name)) for name in dict.fromkeys([*one, *other])]


def _gates(project: "Project", one: Version, other: Version) -> list[Judged]:
    """Put what the gate said of both beside each other, what differs first."""
    sides = [_results(project, version) for version in (one, other)]
    none = ("", "")
    found = [
        Judged(name=name, one=sides[0].get(name, none), other=sides[1].get(name, none))
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    return sorted(found, key=lambda judged: judged.one[0] == judged.other[0])


def _results(project: "Project", version: Version) -> dict[str, tuple[str, str]]:
    try:
        report = GateReport.from_json(project.registry.gate_report(version.digest))
    except NotFound:
        return {}
    return {each.name: (each.verdict, each.measured) for each in report.results}


def _changes(one: Manifest, other: Manifest) -> Iterator[Changed]:
    """Yield what differs between two manifests, entry by entry."""
    sides = [dict(_flat(msgspec.to_builtins(manifest))) for manifest in (one, other)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        if name.startswith(MEASURED):
            continue
        before, after = sides[0].get(name, ""), sides[1].get(name, "")
        if before != after:
            yield Changed(name=name, one=before, other=after)


def _flat(value: Any, path: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield every leaf of nested settings with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    elif isinstance(value, list):
        yield ".".join(path), ", ".join(str(each) for each in value)
    else:
        told = iso(value) if path[-1:] and path[-1].endswith("_ns") and value else "" if value is None else str(value)
        yield ".".join(path), told
