"""Whether the champion serves its groups alike, and what it goes by: both over the windows of its last decisions.

Flow:   tape → the champion's last decisions, their labels and rows → windows of as many each → rates by group with
        intervals; importance of every feature, beside that of training.
Bounds: at most `DECISIONS_MAX` decisions among the last `RECORDS_MAX` records are read, and some hundred rows of each
        window are explained; so the cost does not grow with the tape.
Units:  importance is a feature's share of the mean size of all contributions, 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.watch.monitors import monitor_settings
from tradeworthy.core.decisions import Role, rows_stream
from tradeworthy.core.errors import NotFound
from tradeworthy.judge.explain.attribution import Explainer
from tradeworthy.judge.explain.explaining import make_explainer
from tradeworthy.judge.explain.summary import importance
from tradeworthy.judge.monitor.fairness import FairnessTable
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.model.predictors.trees import Trees
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.change.train.candidate import Candidate
    from tradeworthy.model.version import Version

Records = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

RECORDS_MAX = 400_000
DECISIONS_MAX = 20_000
WINDOWS_MAX, WINDOW_MIN = 8, 100
ROWS_TREES, ROWS_OTHER = 400, 24
"""Rows of a window that are explained, exactly (trees) or as an estimate."""

NO_LOOK = 2**62
"""A window of the monitor that is never full: it counts, and tells nothing."""


@dataclass(frozen=True, slots=True)
class GroupWindow:
    """Rates of one stretch of labelled decisions: its last moment, how many, the table."""

    ts_ns: int
    rows: int
    table: FairnessTable


@dataclass(frozen=True, slots=True)
class Grouped:
    """Rates by the groups of one property: of all labelled decisions, and over their windows."""

    by: str
    whole: FairnessTable
    windows: Sequence[GroupWindow]


@dataclass(frozen=True, slots=True)
class ImportanceWindow:
    """What the champion went by in one stretch of decisions: its last moment, and each feature's share."""

    ts_ns: int
    shares: Floats


@dataclass(frozen=True, slots=True)
class Importance:
    """What the champion goes by.

    Attributes
    ----------
    training : (n,) float64
        Each feature's share over training rows.
    rows : int
        How many rows of each window were explained.
    """

    names: Sequence[str]
    method: str
    training: Floats
    windows: Sequence[ImportanceWindow]
    rows: int


@dataclass(frozen=True, slots=True)
class Insight:
    """Both, of one version; what cannot be shown is said."""

    version: str
    decisions: int
    labelled: int
    allowed: float
    groups: Sequence[Grouped]
    importance: Importance | None


def insight_of(project: "Project") -> Insight:
    """Read the champion's last decisions and say both of them.

    Raises
    ------
    NotFound
        There is no champion, or it has decided nothing yet.
    """
    digest = project.registry.standing().champion
    if digest is None:
        raise NotFound("there is no champion yet; see Versions for the next step of one")
    version, candidate = project.registry.load(digest), project.registry.candidate(digest)
    if not project.places.tape.is_dir():
        raise NotFound("nothing was recorded yet; start the desk: tradeworthy run")
    tape = TapeReader(project.places.tape)
    made = _decisions(tape, version.number)
    if not len(made):
        raise NotFound("the champion has decided nothing yet; its first windows come with the next events")
    inputs, recorded = tape.read("inputs", after=int(made["input_sequence"][0]) - 1), _recorded(version, made, tape)
    heads, rows = _rows(version, made, recorded)
    joined = _joined(project, candidate, version.number, made, inputs)
    return Insight(
        version=digest,
        decisions=len(made),
        labelled=len(joined),
        allowed=project.settings.monitor.fairness.allowed,
        groups=_groups(project, version, candidate, joined, (inputs, made, recorded)),
        importance=_importance(version, heads, rows),
    )


def _decisions(tape: TapeReader, number: int) -> Records:
    """Return the champion's last decisions."""
    if "decisions" not in tape.streams():
        return np.empty(0)
    made = tape.read("decisions", after=max(0, tape.last_sequence() - RECORDS_MAX))
    own: Records = made[(made["version"] == number) & (made["role"] == Role.CHAMPION)][-DECISIONS_MAX:]
    return own


def _recorded(version: "Version", made: Records, tape: TapeReader) -> Records:
    """Return what is on the tape of the version's feature rows."""
    stream = rows_stream(version.number)
    return tape.read(stream, after=int(made["sequence"][0])) if stream in tape.streams() else np.empty(0)


def _rows(version: "Version", made: Records, recorded: Records) -> tuple[Records, Floats]:
    """Return the decisions whose feature rows are known, with them."""
    pairing = RowPairing(version.number, len(version.program.names))
    pairing.add(made)
    pairing.add(recorded)
    return pairing.take()


def _joined(project: "Project", candidate: "Candidate", number: int, made: Records, inputs: Records) -> Records:
    """Return the decisions whose labels are known, in their order."""
    join = OutcomeJoin(candidate.label, instruments=project.settings.instrument, versions=[number])
    join.observe(made)
    join.observe(inputs)
    joined = join.take()
    return np.sort(joined[np.isfinite(joined["label"]) & np.isfinite(joined["score"])], order="decision")


def windows_of(count: int) -> list[slice]:
    """Cut so many records into windows of as many each, the last one the newest; fewer than two windows are one."""
    windows = min(WINDOWS_MAX, count // WINDOW_MIN)
    if windows < 1:
        return [slice(0, count)] if count else []
    edges = np.linspace(0, count, windows + 1).astype(np.int64).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


def _groups(
    project: "Project",
    version: "Version",
    candidate: "Candidate",
    joined: Records,
    behind: Sequence[Records],
) -> list[Grouped]:
    """Return rates by every grouping that the monitor of fairness has, as it counts them; `behind` makes its groups."""
    parts = windows_of(len(joined))
    whole = _tables(project, version, candidate, joined, behind)
    windows = [(joined[part], _tables(project, version, candidate, joined[part], behind)) for part in parts]
    return [
        Grouped(
            by,
            table,
            [GroupWindow(int(own["ts_event_ns"][-1]), len(own), tables[by]) for own, tables in windows],
        )
        for by, table in whole.items()
        if len(table.groups) > 1
    ]


def _tables(
    project: "Project", version: "Version", candidate: "Candidate", joined: Records, behind: Sequence[Records]
) -> dict[str, FairnessTable]:
    """Have the monitor count one stretch of labelled decisions."""
    settings = monitor_settings(candidate, project.settings.monitor).fairness
    monitor = FairnessMonitor(
        version=version.number,
        instruments=[each.symbol for each in project.settings.instrument],
        features=list(version.program.names),
        fields=list(version.program.row_fields),
        horizon=candidate.label.reach,
        settings=msgspec.structs.replace(settings, window=NO_LOOK),
    )
    for records in (*behind, joined):
        monitor.observe(records)
    return monitor.tables()


def _importance(version: "Version", heads: Records, rows: Floats) -> Importance | None:
    """Return what the version goes by in each window, and went by in training; None where no row is recorded."""
    if not len(rows):
        return None
    wanted = ROWS_TREES if isinstance(version.predictor, Trees) else ROWS_OTHER
    explainer = make_explainer(version.predictor, version.profile)
    stamps = heads["ts_event_ns"]
    windows = [
        ImportanceWindow(int(stamps[part][-1]), shares_of(explainer, spread(rows[part], wanted)))
        for part in windows_of(len(rows))
    ]
    sample = spread(version.profile.sample, 2 * wanted)
    found = explainer.explain(sample)
    return Importance(version.program.names, found.method, _normed(importance(found.contributions)), windows, wanted)


def spread(rows: Floats, wanted: int) -> Floats:
    """Return at most so many rows, evenly spread."""
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, min(wanted, len(rows))).astype(np.int64)])


def shares_of(explainer: Explainer, rows: Floats) -> Floats:
    """Return each feature's share of the mean size of all contributions."""
    return _normed(importance(explainer.explain(rows).contributions))


def _normed(sizes: Floats) -> Floats:
    total = float(sizes.sum())
    return sizes / total if total > 0.0 else sizes


def drift_of(training: Floats, shares: Floats) -> float:
    """Return how much of what it goes by has moved to other features: 0 nothing, 1 all of it."""
    return 0.5 * float(np.abs(shares - training).sum())
