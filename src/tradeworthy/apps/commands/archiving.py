"""Storage over its life, for one project: archive, delete what may go, raise the alarm; and ask the record in SQL.

Flow:   sealed segments to Parquet -> deletions by age, except under a legal hold, each stream's a fact first -> what
        tape and archive take, as a finding where it is too much.
"""

import hashlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.commands.results import Archived, Step
from tradeworthy.core.errors import NotFound, TradeworthyError
from tradeworthy.core.facts import FindingRaised, LegalHoldLifted, LegalHoldPlaced, RecordDeleted
from tradeworthy.core.findings import Finding
from tradeworthy.record.archive import archive_lock, archive_tape
from tradeworthy.record.budget import storage_findings, usage
from tradeworthy.record.deletions import Deletion, read_deletions
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.retention import Hold, delete, expired

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.record.query import Answer


def archive_project(project: "Project", *, actor: str, reason: str) -> Archived:
    """Archive what is old enough, delete what is past its days, and say what all of it takes.

    Raises
    ------
    NotFound
        Nothing was recorded yet, or packages are missing.
    RecordBusy
        Another process is archiving.
    """
    settings, tape, now_ns = project.settings.archive, project.places.tape, project.clock.now_ns()
    folder = Path(project.folder / settings.folder) if settings.folder else None
    report = archive_tape(tape, settings, clock=project.clock, folder=folder)
    held = holds(project.ledger)
    with archive_lock(tape):
        going = expired(tape, keep_days=settings.keep_days, holds=held, now_ns=now_ns)
        for fact in _deletion_facts(tape, going):
            project.ledger.append(fact, actor=actor, reason=reason)
        deleted = delete(tape, going)
    now = usage(tape, now_ns=now_ns)
    findings = storage_findings(tape, settings, now, now_ns=now_ns)
    _raise(project.ledger, findings)
    return Archived(
        segments=len(report.moved),
        records=sum(moved.records for moved in report.moved),
        bytes_before=sum(moved.tape_bytes for moved in report.moved),
        bytes_after=sum(moved.archive_bytes for moved in report.moved),
        waiting=report.waiting,
        deleted=deleted,
        holds=sorted(hold.name for hold in held),
        tape_bytes=now.tape_bytes,
        archive_bytes=now.archive_bytes,
        free_bytes=now.free_bytes,
        problems=report.problems,
        findings=[finding.sentence for finding in findings],
    )


def holds(ledger: Ledger) -> list[Hold]:
    """Return the legal holds in force; the one placed last counts for a name."""
    found: dict[str, Hold] = {}
    for entry in ledger.facts(LegalHoldPlaced, LegalHoldLifted):
        match entry.fact:
            case LegalHoldPlaced(name=name, streams=streams, from_ns=from_ns, to_ns=to_ns):
                found[name] = Hold(name=name, streams=tuple(streams), from_ns=from_ns, to_ns=to_ns)
            case LegalHoldLifted(name=name):
                found.pop(name, None)
            case _:
                pass
    return list(found.values())


def place_hold(project: "Project", hold: Hold, *, actor: str, reason: str) -> Step:
    """Keep what a hold covers from being deleted, from now on."""
    fact = LegalHoldPlaced(name=hold.name, streams=list(hold.streams), from_ns=hold.from_ns, to_ns=hold.to_ns)
    project.ledger.append(fact, actor=actor, reason=reason)
    return Step(done=f"legal hold {hold.name} placed", version="", actor=actor, reason=reason)


def lift_hold(project: "Project", name: str, *, actor: str, reason: str) -> Step:
    """End a hold.

    Raises
    ------
    NotFound
        There is no hold of this name.
    """
    names = [hold.name for hold in holds(project.ledger)]
    if name not in names:
        raise NotFound(f"no legal hold is called {name!r}; there are {names}")
    project.ledger.append(LegalHoldLifted(name=name), actor=actor, reason=reason)
    return Step(done=f"legal hold {name} lifted", version="", actor=actor, reason=reason)


def _deletion_facts(tape: Path, going: list[Deletion]) -> Iterator[RecordDeleted]:
    """Yield a fact for each stream of which something is deleted that no earlier call announced."""
    listed = read_deletions(tape)
    new = [deletion for deletion in going if deletion.records and deletion.path not in listed]
    for stream, group in groupby(new, key=lambda deletion: deletion.stream):
        deletions = list(group)
        yield RecordDeleted(
            stream=stream,
            segments=len(deletions),
            records=sum(deletion.records for deletion in deletions),
            first_sequence=deletions[0].first_sequence,
            last_sequence=deletions[-1].last_sequence,
            digest=hashlib.sha256(b"\n".join(msgspec.json.encode(deletion) for deletion in deletions)).hexdigest(),
        )


def _raise(ledger: Ledger, findings: list[Finding]) -> None:
    """Write findings as facts, except those that the last finding about the same subject already says."""
    said = {
        entry.fact.finding.subject: entry.fact.finding
        for entry in ledger.facts(FindingRaised)
        if isinstance(entry.fact, FindingRaised) and entry.fact.finding.kind == "storage"
    }
    for finding in findings:
        before = said.get(finding.subject)
        if before is None or (before.since_ns, before.severity) != (finding.since_ns, finding.severity):
            ledger.append(FindingRaised(finding=finding), actor="storage", reason=finding.sentence)


def ask_project(project: "Project", sql: str, *, rows_max: int, within_s: float | None = None) -> "Answer":
    """Answer a query over tape, archive and ledger, within a time if one is given.

    Raises
    ------
    NotFound
        The packages that answer queries are not installed.
    QueryInvalid
        It cannot be asked.
    """
    try:
        from tradeworthy.record.query import Record  # noqa: PLC0415  # optional packages
    except ImportError as error:
        raise NotFound("queries need further packages: pip install 'tradeworthy[archive]'") from error
    record = Record(
        project.places.tape,
        facts=project.ledger.facts(),
        instruments=project.settings.instrument,
        features=_features(project) if "rows" in sql.lower() else {},
    )
    return record.ask(sql, rows_max=rows_max, within_s=within_s)


def _features(project: "Project") -> dict[str, tuple[str, ...]]:
    """Return the names of the features of every version that can be loaded."""
    found = {}
    for info in project.registry.list():
        try:
            found[info.version[:16]] = tuple(project.registry.load(info.version).program.names)
        except TradeworthyError:
            continue  # its columns stay numbered; `tradeworthy verify` tells what is wrong with it
    return found
