"""Evidence of a finding, gathered in a process of its own once it was told: what to plot, and what explains it.

Idea:   all of it follows from the tape and the version, so no alert waits for it, and it can be made again.
Flow:   tape → the version's monitors once more, for the statistic's path → rows and labels since the change → what
        moved, what that costs, which features account for it → one JSON file beside the watcher's state.
State:  ``findings/<number>/evidence.json``, a case's first finding each; small: histograms and at most 200 points.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.change.alerts.delivery import replace_file
from tradeworthy.change.attempts import Attempt, Job, run_attempt
from tradeworthy.change.registry import Registry
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.monitors import CALIBRATIONS, KEPT, monitors_of
from tradeworthy.core.decisions import DECISIONS, INPUTS, Role, rows_stream, version_number
from tradeworthy.core.errors import UNDECODABLE, DataInvalid, NotFound
from tradeworthy.core.findings import Finding
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock, SystemClock
from tradeworthy.judge.explain.change import Change, Model, explain_change
from tradeworthy.judge.monitor.base import Heir
from tradeworthy.judge.monitor.control_charts.kept import calibrations_kept
from tradeworthy.judge.monitor.gauges import Gauged
from tradeworthy.judge.monitor.joins.outcomes import OutcomeJoin
from tradeworthy.judge.monitor.joins.pairing import RowPairing
from tradeworthy.judge.monitor.standing import MonitorSettings, of_desk, succeed
from tradeworthy.model.trust import TrustStore
from tradeworthy.model.version import Version
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.reader import TapeReader

Records = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

EVIDENCE = "evidence.json"
POINTS_MAX = 200
ROWS_NOW_MAX = 20_000
ROWS_NOW_MIN = 100
"""A change that was dated to the very alarm is explained by so many rows up to it."""

KINDS = (
    "data_drift",
    "attribution_drift",
    "concept_drift",
    "label_shift",
    "performance",
    "estimated_performance",
    "calibration_error",
)
"""Findings that rows and labels can explain."""


class CaseEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind the first finding of a case.

    Attributes
    ----------
    number : int
        Of the case.
    version : str
        Digest of the version it is about.
    path : list of (int, float)
        Event times, and the statistic as a share of its limit (1 is an alarm), up to the finding; empty for a monitor
        that shows none.
    change : Change or None
        What moved and what explains it; `said` tells why there is none.
    """

    number: int
    version: str
    finding: Finding
    path: list[tuple[int, float]]
    change: Change | None
    said: str = ""


class ExplainJob(Job, frozen=True, kw_only=True):
    """What an explaining process is told.

    Attributes
    ----------
    number, version, finding
        The case, the digest of the version it is about, its first finding.
    env, versions, ledger, trust : str
        The registry's env and folder, the ledger's address and the folder of trusted keys.
    tape, kept : str
        The tape's folder, and that of kept calibrations.
    """

    number: int
    version: str
    finding: Finding
    env: str
    versions: str
    ledger: str
    trust: str
    tape: str
    kept: str
    instruments: list[Instrument]
    monitors: MonitorSettings


class FindingExplainer:
    """Has findings explained, one at a time.

    Parameters
    ----------
    registry : Registry
        Every version of the deployment.
    folder : Path
        The watcher's state folder.
    tape : Path
        The tape's folder.
    instruments : sequence of Instrument
        The desk's list.
    settings : MonitorSettings
        How is watched.
    """

    def __init__(
        self, registry: Registry, folder: Path, tape: Path, instruments: Sequence[Instrument], settings: MonitorSettings
    ) -> None:
        self._registry, self._folder, self._tape = registry, folder, tape
        self._instruments, self._settings = list(instruments), settings
        self._settled: set[int] = set()

    def explain(self, cases: Iterable[Case]) -> None:
        """Start what is not explained yet; what failed once is left."""
        for case in cases:
            if case.number in self._settled or not case.version:
                continue
            work = explanation(self._folder, case.number)
            if work.state == "absent":
                work.start(self._job(case))
            if work.state == "running":
                return
            self._settled.add(case.number)

    def start(self, case: Case) -> None:
        """Start explaining a case, also one that failed; one that runs or is done is left alone."""
        explanation(self._folder, case.number).start(self._job(case))

    def now(self, case: Case) -> CaseEvidence:
        """Return a case's evidence, gathered here if no process has."""
        kept = read_evidence(self._folder, case.number)
        if kept is not None:
            return kept
        evidence = gather_evidence(self._job(case), self._registry)
        _keep(evidence, explanation(self._folder, case.number).folder)
        return evidence

    def _job(self, case: Case) -> ExplainJob:
        registry = self._registry
        return ExplainJob(
            number=case.number,
            version=case.version,
            finding=case.first,
            env=registry.env,
            versions=str(registry.folder.resolve()),
            ledger=registry.ledger.address,
            trust=str(registry.trust.folder.resolve()),
            tape=str(self._tape),
            kept=str((self._folder / CALIBRATIONS / KEPT).resolve()),
            instruments=self._instruments,
            monitors=self._settings,
        )


def explanation(folder: Path, number: int) -> Attempt:
    """Return the attempt at explaining a case."""
    return Attempt(folder / "findings" / str(number), "tradeworthy.change.watch.explaining", EVIDENCE)


def read_evidence(folder: Path, number: int) -> CaseEvidence | None:
    """Return a case's evidence from the watcher's state folder; None if it was not gathered, or is damaged."""
    try:
        data = (explanation(folder, number).folder / EVIDENCE).read_bytes()
        return msgspec.json.decode(data, type=CaseEvidence)
    except (FileNotFoundError, *UNDECODABLE):
        return None


def gather_evidence(job: ExplainJob, registry: Registry) -> CaseEvidence:
    """Read from tape and version what stands behind a finding."""
    tape = TapeReader(Path(job.tape))
    version = registry.load(job.version)
    change, said = None, ""
    try:
        change = _change(job, registry, version, tape)
    except (DataInvalid, NotFound) as error:
        said = str(error)
    with calibrations_kept(Path(job.kept)):
        path = _path(job, registry, version, tape)
    return CaseEvidence(
        number=job.number, version=job.version, finding=job.finding, path=path, change=change, said=said
    )


def _change(job: ExplainJob, registry: Registry, version: Version, tape: TapeReader) -> Change:
    """Explain the rows since the change, with the labels that were known by the finding."""
    if job.finding.kind not in KINDS:
        raise DataInvalid(f"a finding of {job.finding.kind} is not one that features explain")
    candidate = registry.candidate(job.version)
    decisions = tape.read(DECISIONS)
    own = decisions[(decisions["version"] == version.number) & (decisions["sequence"] <= job.finding.sequence)]
    since = int(np.searchsorted(own["ts_event_ns"], job.finding.since_ns))
    own = own[max(min(since, len(own) - ROWS_NOW_MIN), len(own) - ROWS_NOW_MAX, 0) :]
    if len(own) == 0:
        raise NotFound(f"version {version.short} had made no decision up to the finding")
    model = Model(
        predictor=version.predictor,
        profile=version.profile,
        names=version.program.names,
        walk_scores=candidate.foreseen.scores,
        walk_labels=candidate.foreseen.labels,
        binary=candidate.walk.binary,
        horizon=candidate.label.reach,
    )
    join = OutcomeJoin(candidate.label, instruments=job.instruments, versions=[version.number])
    inputs = tape.read(INPUTS, after=int(own["input_sequence"][0]) - 1)
    join.observe(own)
    join.observe(inputs[inputs["sequence"] <= max(job.finding.sequence, int(own["sequence"][-1]))])
    joined = np.sort(join.take(), order="decision")
    return explain_change(model, _rows(version, own, tape), (joined["score"], joined["label"]))


def _rows(version: Version, decisions: Records, tape: TapeReader) -> Floats:
    """Return the feature rows of decisions."""
    stream = rows_stream(version.number)
    if stream not in tape.streams():
        raise NotFound(f"version {version.short} has no rows on the tape")
    pairing = RowPairing(version.number, len(version.program.names))
    pairing.add(decisions)
    pairing.add(tape.read(stream, after=int(decisions["sequence"][0])))
    return pairing.take()[1]


def _path(job: ExplainJob, registry: Registry, version: Version, tape: TapeReader) -> list[tuple[int, float]]:
    """Run the version's monitors once more up to the finding, and read how near to an alarm its subject was."""
    make = partial(monitors_of, registry, version_number(job.version), job.instruments, job.monitors)
    monitors, first = make(), _first_input(tape, version)
    watched = monitors.get(job.finding.monitor)
    if first is None or not isinstance(watched, Gauged):
        return []
    if isinstance(watched, Heir):
        before = make()
        for inputs in tape.scan(INPUTS, upto=first - 1):
            before[job.finding.monitor].observe(inputs)
        succeed(monitors, of_desk(before))
    path: list[tuple[int, float]] = []
    for slices in _slices(tape, version, first, job.finding.sequence):
        for records in slices:
            for monitor in monitors.values():
                monitor.observe(records)
        shares = [
            each.value
            for each in watched.gauges()
            if each.family == "evidence" and each.subject == job.finding.subject and np.isfinite(each.value)
        ]
        stamps = [int(records["ts_event_ns"][-1]) for records in slices if "ts_event_ns" in (records.dtype.names or ())]
        if shares and stamps:
            path.append((max(stamps), max(shares)))
    return forwards(path[:-1], job.finding) if path else []


def forwards(path: Sequence[tuple[int, float]], finding: Finding) -> list[tuple[int, float]]:
    """Return the points of a path that come one after the other and before its finding, and the finding as the last.

    Events come late and out of order, and some findings are told at a later record than the one whose time they have.
    """
    kept = list[tuple[int, float]]()
    for ts_ns, share in path:
        if (not kept or ts_ns > kept[-1][0]) and ts_ns < finding.ts_event_ns:
            kept.append((ts_ns, share))
    return [*kept, (finding.ts_event_ns, finding.statistic / finding.threshold)]


def _first_input(tape: TapeReader, version: Version) -> int | None:
    """Return the first input that a version acted on, which is where its monitors began; None before it has."""
    for decisions in tape.scan(DECISIONS):
        own = decisions[(decisions["version"] == version.number) & (decisions["role"] == Role.CHAMPION)]
        if len(own):
            return int(own["input_sequence"][0])
    return None


def _slices(tape: TapeReader, version: Version, first: int, last: int) -> Iterator[list[Records]]:
    """Yield what the monitors read, from one input to a sequence, in at most 200 parts."""
    known = tape.streams()
    names = [name for name in (INPUTS, DECISIONS, rows_stream(version.number)) if name in known]
    streams = [tape.read(name, after=first - 1) for name in names]
    ends = np.linspace(first, last, POINTS_MAX + 1).astype(np.uint64)[1:]
    places = [np.append(0, np.searchsorted(_order(records), ends, side="right")) for records in streams]
    for part in range(POINTS_MAX):
        found = [
            records[at[part] : at[part + 1]]
            for records, at in zip(streams, places, strict=True)
            if at[part + 1] > at[part]
        ]
        if found:
            yield found


def _order(records: Records) -> Records:
    """Return what orders a stream: a row, which is written after its decision, goes with it."""
    ordered: Records = records["decision" if "decision" in (records.dtype.names or ()) else "sequence"]
    return ordered


def run_job(job: ExplainJob, folder: Path, *, clock: Clock) -> None:
    """Gather a finding's evidence and leave it in `folder`.

    Raises
    ------
    TradeworthyError
        The version or the tape could not be read; the message says why.
    """
    with closing(Ledger(job.ledger, clock=clock)) as ledger:
        registry = Registry(Path(job.versions), ledger=ledger, trust=TrustStore(Path(job.trust)), env=job.env)
        _keep(gather_evidence(job, registry), folder)


def _keep(evidence: CaseEvidence, folder: Path) -> None:
    """Write evidence whole; two who write it write the same."""
    replace_file(folder / EVIDENCE, msgspec.json.encode(evidence))


if __name__ == "__main__":
    sys.exit(run_attempt(Path(sys.argv[1]), ExplainJob, partial(run_job, clock=SystemClock())))
