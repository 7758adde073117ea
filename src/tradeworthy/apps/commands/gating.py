"""Judging a version of a project, and its report in every format: for a ledger, for CI, for a reader."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.apps.reports.gate_report import gate_page
from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.release.overriding import DAYS_MAX, Overriding, override, overrides_in_force
from tradeworthy.change.train.training import Report
from tradeworthy.core.errors import ReleaseRefused
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.validate.gate import GateReport, judge
from tradeworthy.judge.validate.report import to_junit, to_markdown

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def gate_version(
    project: "Project", version: str, *, profile: str, actor: str, report: Report | None = None
) -> GateReport:
    """Gather evidence for a version, judge it, and keep the report in every format."""
    settings = project.settings
    evidence = gather(
        project.registry,
        project.resolve(version),
        instruments=settings.instrument,
        limits=settings.limits,
        events=project.history(),
        profile=profile,
        strategy=project.folder / settings.desk.strategy if profile == "full" else None,
        training=settings.training,
        cost_bps=settings.paper.cost_bps,
        settings=settings.gate,
        catalogue=project.catalogue(),
        clock=project.clock,
        report=report,
    )
    judged = judge(evidence, settings.gate, clock=project.clock)
    aside = overrides_in_force(project.registry.standing(), judged.version, judged.created_ns)
    judged = judged.overridden_by(aside, judged.created_ns)
    path = project.registry.record_gate(judged, actor=actor, reason=f"gate, profile {profile}")
    _write_beside(project, judged, path)
    return judged


def override_check(project: "Project", version: str, check: str, *, until: str, actor: str, reason: str) -> Overriding:
    """Record one person's override of a check, and keep the report judged anew once a second person's makes it count.

    Raises
    ------
    ReleaseRefused
        The check does not stop the version, cannot be set aside, or the day is not allowed.
    """
    registry, digest = project.registry, project.resolve(version)
    told = override(registry, digest, check, until_ns=_day_ns(until), actor=actor, reason=reason)
    if told.in_force:
        _write_beside(project, GateReport.from_json(registry.gate_report(digest)), registry.gate_path(digest))
    return told


def _day_ns(day: str) -> int:
    """Return the end of a UTC day."""
    try:
        ends = date.fromisoformat(day) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ReleaseRefused(f"until is {day!r}, allowed is a day such as 2027-01-31, within {DAYS_MAX} days") from None
    return int(datetime.combine(ends, time.min, UTC).timestamp()) * NS_PER_S


def _write_beside(project: "Project", judged: GateReport, path: Path) -> None:
    """Write a report's other formats beside its JSON."""
    for suffix, text in _formats(project, judged).items():
        path.with_suffix(suffix).write_text(text, "utf-8")


def write_gate(project: "Project", judged: GateReport, folder: Path) -> list[Path]:
    """Write a gate report into a folder, made if absent, as `gate.json`, `.xml` (JUnit), `.md` and `.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    formats = {".json": judged.to_json().decode(), **_formats(project, judged)}
    for suffix, text in formats.items():
        (folder / f"gate{suffix}").write_text(text, "utf-8")
    return [folder / f"gate{suffix}" for suffix in formats]


def _formats(project: "Project", judged: GateReport) -> dict[str, str]:
    """Return a report for CI, for a pull request and for a reader, by the file's suffix."""
    registered = project.registry.standing().registered.get(judged.version)
    return {
        ".xml": to_junit(judged),
        ".md": to_markdown(judged),
        ".html": gate_page(judged, registered.name if registered else judged.version[:16]),
    }
