"""What each command answers: immutable values, printed as a table or as JSON.

Units:  times as ISO 8601 UTC text; money in the desk's currency; numbers are never rounded here.
"""

from collections import Counter
from typing import Self

import msgspec

from tradeworthy.change.registry import VersionInfo
from tradeworthy.change.release.standing import Standing
from tradeworthy.change.train.candidate import Candidate
from tradeworthy.core.time import iso
from tradeworthy.live.feeds.quality import FileReport


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


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the market files."""

    files: list[LookFile]


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


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the record is what was written, byte for byte."""

    ok: bool
    records: int
    size_bytes: int
    facts: int
    versions: int
    problems: list[str]
    notes: list[str]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was written."""

    path: str
    size_bytes: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a deployment stands."""

    env: str
    engine: str
    halted: list[str]
    champion: str | None
    previous: str | None
    shadows: list[str]
    versions: list[VersionInfo]
    findings: dict[str, int]
    retrains: int
    facts: int


def findings_by_kind(standing: Standing) -> dict[str, int]:
    """Count findings by kind."""
    return dict(Counter(finding.kind for _, finding in standing.findings))
