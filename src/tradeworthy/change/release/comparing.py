"""How every shadow fares beside the champion: read from the tape as it grows, and kept in a file for whoever looks.

Flow:   `Comparer.compare` reads both versions' decisions, rows and labels, compares them (`shadow`) and replaces
        `comparisons/<shadow>.mp` (msgpack, which keeps NaN) in the watcher's state folder; `read_comparisons` is for
        status, page and reports.
State:  those files. What is compared depends on the tape alone, so a process that was killed says the same again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tradeworthy.change.alerts.delivery import replace_file
from tradeworthy.change.registry import Registry
from tradeworthy.change.release.distance import data_apart, features_apart
from tradeworthy.change.release.shadow import Comparison, Reasons, Records, Side, compare, label_inputs
from tradeworthy.core.decisions import SHORT, Role, rows_stream, version_number
from tradeworthy.core.errors import UNDECODABLE, DataInvalid, ModelMismatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.explain.treeshap import TreeShap
from tradeworthy.model.features.labels import Label
from tradeworthy.model.features.program import Program
from tradeworthy.model.manifest import Lineage
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader

COMPARISONS = "comparisons"


class Comparer:
    """Compares shadows with champions over one tape.

    Parameters
    ----------
    registry : Registry
        The versions.
    tape : Path
        The tape's folder.
    folder : Path
        The watcher's state folder.
    instruments : sequence of Instrument
        The desk's list.
    cost_bps : float
        What trading costs, one way.
    """

    def __init__(
        self, registry: Registry, tape: Path, folder: Path, instruments: Sequence[Instrument], *, cost_bps: float
    ) -> None:
        self._registry, self._tape, self._folder = registry, tape, folder / COMPARISONS
        self._instruments, self._cost_bps = instruments, cost_bps
        self._known: dict[str, _Known] = {}

    def compare(self, champion: str, shadow: str, *, since: int, decisions: int, seen: int) -> Comparison:
        """Compare two versions as of the input of the shadow's `seen`-th decision, and write it down.

        Parameters
        ----------
        champion, shadow : str
            Digests.
        since : int
            The input that the shadow scored first.
        decisions : int
            How many labelled pairs to compare at most.
        seen : int
            So many decisions of the shadow's are looked at; what came later, also labels, is not.
        """
        reader, label = TapeReader(self._tape), self._known_version(shadow).label
        inputs, decided = reader.read("inputs", after=max(since - 1, 0)), reader.read("decisions", after=since)
        of_shadow = (decided["role"] == Role.SHADOW) & (decided["version"] == version_number(shadow))
        last = decided["input_sequence"][of_shadow][seen - 1]
        inputs, decided = inputs[inputs["sequence"] <= last], decided[decided["input_sequence"] <= last]
        found = compare(
            self._side(reader, champion, decided, since),
            self._side(reader, shadow, decided, since),
            label_inputs(inputs[inputs["flags"] == 0], label, self._instruments),
            decisions=decisions,
            horizon=label.reach,
            binary=label.kind != "forward_return",
            cost_bps=self._cost_bps,
        )
        found = msgspec.structs.replace(self._with_versions(found), seen=seen)
        replace_file(self._folder / f"{shadow[:SHORT]}.mp", msgspec.msgpack.encode(found))
        return found

    def _with_versions(self, found: Comparison) -> Comparison:
        """Add to the distance what the versions themselves say."""
        one, other = self._known_version(found.champion), self._known_version(found.version)
        distance = msgspec.structs.replace(
            found.distance,
            features=features_apart(one.program, other.program),
            data=data_apart(one.lineage, other.lineage),
        )
        return msgspec.structs.replace(found, distance=distance)

    def _side(self, reader: TapeReader, digest: str, decided: Records, since: int) -> Side:
        """Return what one version did after an input: its decisions are among those of both."""
        known, stream, reasons = self._known_version(digest), rows_stream(version_number(digest)), None
        if known.explainer is not None and stream in reader.streams():
            reasons = Reasons(known.program.names, reader.read(stream, after=since), known.explainer)
        return Side(digest, decided, reasons)

    def _known_version(self, digest: str) -> "_Known":
        """Load a version, once."""
        if digest not in self._known:
            version = self._registry.load(digest)
            label = Label.from_json(version.manifest.label_json())
            self._known[digest] = _Known(label, version.program, version.manifest.lineage, _explainer(version))
        return self._known[digest]


class _Known(NamedTuple):
    """What a comparison needs of a version."""

    label: Label
    program: Program
    lineage: Lineage
    explainer: TreeShap | None


def _explainer(version: Version) -> TreeShap | None:
    """Return what splits a version's scores; None where that is not exact and cheap."""
    trees = version.predictor
    try:
        return TreeShap(trees) if isinstance(trees, Trees) else None
    except ModelMismatch:  # trees without cover have no baseline
        return None


def read_comparisons(folder: Path) -> list[Comparison]:
    """Return every comparison that a watcher's state folder holds, by version; those of the past too.

    Raises
    ------
    DataInvalid
        A file is damaged, or of another edition.
    """
    return [_read(path) for path in sorted((folder / COMPARISONS).glob("*.mp"))]


def _read(path: Path) -> Comparison:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Comparison)
    except UNDECODABLE as error:
        raise DataInvalid(
            f"{path} is no comparison of this edition ({error}); remove it: it is written again while its "
            "version is in shadow"
        ) from error
