"""What each command answers: immutable values, printed as a table or as JSON.

Units:  times as ISO 8601 UTC text; money in the desk's currency; numbers are never rounded here.
"""

from collections import Counter
from typing import TYPE_CHECKING, Self

import msgspec

from tradeworthy.apps.commands.handling import WatcherStatus, findings_of, watcher_status
from tradeworthy.apps.commands.under_way import under_way, unfinished
from tradeworthy.change.registry import VersionInfo
from tradeworthy.change.release.answers import Rehearsed, RehearsedPromotion
from tradeworthy.change.release.distance import gone_by, in_words
from tradeworthy.change.release.standing import Standing
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.facts import Distance
from tradeworthy.core.time import iso
from tradeworthy.live.feeds.quality import FileReport
from tradeworthy.live.feeds.rows import RowReport
from tradeworthy.live.replay import ReplayReport
from tradeworthy.live.summary import RunSummary
from tradeworthy.record.epochs import writer_alive

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class LookFile(msgspec.Struct, frozen=True, kw_only=True):
    """One market file: the figures that matter most, and everything in words."""

    instrument: str
    rows: int
    bars: int
    first: str
    last: str
    gaps: int
    missing: int
    duplicates: int
    inconsistent: int
    stamps: str
    said: list[str]

    @classmethod
    def of(cls, report: FileReport) -> Self:
        """Take the main figures of a file's report."""
        return cls(
            instrument=report.symbol,
            rows=report.rows,
            bars=report.events,
            first=iso(report.first_ns),
            last=iso(report.last_ns),
            gaps=report.gap_count,
            missing=report.missing,
            duplicates=report.duplicates,
            inconsistent=report.inconsistent,
            stamps=report.stamps.sentence() if report.stamps else "not bars",
            said=report.sentences(),
        )


class LookRows(msgspec.Struct, frozen=True, kw_only=True):
    """One file of rows computed elsewhere; `missing` counts values that are no numbers, by field."""

    path: str
    rows: int
    events: int
    missing: dict[str, int]
    unknown: dict[str, int]
    said: str

    @classmethod
    def of(cls, path: str, report: RowReport) -> Self:
        """Take the figures of a file's report."""
        without = ", ".join(f"{name} {count:,}" for name, count in report.missing.items() if count) or "none"
        return cls(
            path=path,
            rows=report.rows,
            events=report.events,
            missing=report.missing,
            unknown=report.unknown,
            said=f"{path}: {report.rows:,} rows read, {report.events:,} row events, {report.unreadable} unreadable "
            f"stamps, {report.out_of_order} out of order; values missing: {without}",
        )


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the market files and the row files."""

    files: list[LookFile]
    rows: list[LookRows]


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate: what it learned from, and how it did on rows that it had not seen."""

    rows: int
    features: int
    first: str
    last: str
    auc: float
    auc_low: float
    auc_high: float
    log_loss: float
    baseline_log_loss: float
    out_of_fold_rows: int
    folds: dict[str, float]
    next: str = "tradeworthy register"

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        """Take the main figures of a candidate."""
        lineage, performance = candidate.lineage, candidate.performance
        return cls(
            rows=lineage.trained_on_rows,
            features=len(candidate.program.names),
            first=iso(lineage.first_ts_ns),
            last=iso(lineage.last_ts_ns),
            auc=performance.auc,
            auc_low=performance.auc_low,
            auc_high=performance.auc_high,
            log_loss=performance.log_loss,
            baseline_log_loss=performance.baseline_log_loss,
            out_of_fold_rows=performance.n,
            folds=lineage.fold_metrics,
        )


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A version, signed and stored."""

    version: str
    name: str
    author: str
    env: str
    next: str = "tradeworthy gate newest"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a version's life, or of the desk's."""

    done: str
    version: str
    actor: str
    reason: str


class RehearsedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the past, and what the policy would have done about it."""

    finding: int
    time: str
    kind: str
    severity: str
    did: str
    sentence: str


class RehearsedPromotionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One challenger that good figures let act by itself: how far it had come, and what the policy would have done."""

    number: int
    time: str
    version: str
    distance: str
    did: str


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have done, finding by finding and challenger by challenger; nothing was done."""

    findings: list[RehearsedLine]
    promotions: list[RehearsedPromotionLine]

    @classmethod
    def of(cls, told: list[Rehearsed], promotions: list[RehearsedPromotion]) -> Self:
        """Take what a rehearsal told."""
        lines = [
            RehearsedLine(
                finding=each.finding,
                time=iso(each.ts_ns),
                kind=each.kind,
                severity=each.severity,
                did=each.did,
                sentence=each.sentence,
            )
            for each in told
        ]
        challengers = [
            RehearsedPromotionLine(
                number=each.number,
                time=iso(each.ts_ns),
                version=each.version[:SHORT],
                distance=in_words(each.gone),
                did=each.did,
            )
            for each in promotions
        ]
        return cls(findings=lines, promotions=challengers)


class WhoCan(msgspec.Struct, frozen=True, kw_only=True):
    """The roles that may do an action, and the people who have one of them."""

    action: str
    roles: list[str]
    people: list[str]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the record is what was written, byte for byte."""

    ok: bool
    records: int
    size_bytes: int
    facts: int
    versions: int
    problems: list[str]
    notes: list[str]


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What archiving moved and deleted, what stays for now and why, and what the record takes."""

    segments: int
    records: int
    bytes_before: int
    bytes_after: int
    waiting: dict[str, int]
    deleted: int
    holds: list[str]
    tape_bytes: int
    archive_bytes: int
    free_bytes: int
    problems: list[str]
    findings: list[str]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was written."""

    path: str
    size_bytes: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a deployment stands; `distance` is how far automatic promotions came since a person last let one act."""

    env: str
    engine: str
    halted: list[str]
    size: float
    rule: str
    champion: str | None
    previous: str | None
    canary_on: list[str]
    shadows: list[str]
    distance: Distance
    versions: list[VersionInfo]
    findings: dict[str, int]
    findings_open: int
    watcher: WatcherStatus | None
    retrains: int
    unfinished: str
    facts: int


def status_of(project: "Project") -> Status:
    """Read where a deployment stands from its facts and from the tape's lock."""
    standing, running, work = project.registry.standing(), writer_alive(project.places.tape), under_way(project)
    return Status(
        env=project.env,
        engine="running" if running else "not running",
        halted=project.release.halted(),
        size=standing.size,
        rule=standing.rule,
        champion=standing.champion,
        previous=standing.previous,
        canary_on=list(standing.canary_on),
        shadows=standing.shadows,
        distance=gone_by(standing.champions, standing.steps)[0],
        versions=project.registry.list(),
        findings=findings_by_kind(standing),
        findings_open=len(findings_of(project, open_only=True).cases),
        watcher=watcher_status(project),
        retrains=len(standing.retrains),
        unfinished=work.said if running and work is not None else unfinished(project),
        facts=project.ledger.head()[0],
    )


def findings_by_kind(standing: Standing) -> dict[str, int]:
    """Count findings by kind."""
    return dict(Counter(finding.kind for _, finding in standing.findings))


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of the engine did; money after all costs. `unfinished` is what the next run takes up."""

    events: int
    decisions: int
    orders: int
    fills: int
    denied: dict[str, int]
    champion: str
    positions: dict[str, float]
    pnl_after_costs: float
    fees: float
    swaps: int
    refused_versions: dict[str, str]
    seconds: float
    unfinished: str = ""

    @classmethod
    def of(cls, summary: RunSummary, seconds: float, unfinished: str = "") -> Self:
        """Take the main figures of an engine's summary."""
        return cls(
            events=summary.events,
            decisions=summary.decisions,
            orders=summary.orders,
            fills=summary.fills,
            denied=summary.denied,
            champion=summary.champion,
            positions=summary.positions,
            pnl_after_costs=summary.equity,
            fees=summary.fees,
            swaps=len(summary.swaps),
            refused_versions=summary.refused_versions,
            seconds=seconds,
            unfinished=unfinished,
        )


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether deciding everything again gave the same bytes; retention may have left less than everything."""

    identical: bool
    decisions: int
    orders: int
    differences: int
    first_difference: str
    same_runtime: bool
    began_after: int = 0
    rows_deleted: int = 0

    @classmethod
    def of(cls, report: ReplayReport) -> Self:
        """Take what a replay found."""
        return cls(
            identical=report.identical,
            decisions=report.decisions,
            orders=report.orders,
            differences=report.differences,
            first_difference=report.first_difference or "",
            same_runtime=report.fingerprint_same,
            began_after=report.began_after,
            rows_deleted=report.rows_deleted,
        )
