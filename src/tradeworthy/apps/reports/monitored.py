"""The report on monitoring, filled from the ledger, the evidence of each case, and the watcher's last word."""

from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.apps.commands.measuring import champion_decisions
from tradeworthy.apps.commands.results import Page
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.reports.monitoring_report import Answer, CasePage, MonitoringReport, render_monitoring
from tradeworthy.change.watch.explaining import CaseEvidence, FindingExplainer
from tradeworthy.change.watch.findings import Case, Cases
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeworthy.apps.commands.project import Project
    from tradeworthy.record.ledger import Entry

SHORT = 16


def write_monitoring(project: "Project", output: Path | None = None) -> Page:
    """Write the report on everything that was found, and say where it is.

    Raises
    ------
    NotFound
        Nothing was recorded yet.
    """
    path = output or project.places.pages / "monitoring.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = render_monitoring(monitoring_report(project))
    path.write_text(text, "utf-8")
    return Page(path=str(path), size_bytes=len(text.encode()))


def monitoring_report(project: "Project") -> MonitoringReport:
    """Fill the report; evidence that no process has gathered yet is gathered here."""
    decisions = champion_decisions(recorded(project))
    if not decisions.size:
        raise NotFound("nothing was decided yet; run: tradeworthy run")
    entries = project.ledger.facts()
    cases, by_sentence = _cases(entries)
    opened, explainer = cases.by_number.values(), explainer_of(project)

    def evidence_of(case: Case) -> CaseEvidence | None:
        return explainer.now(case) if case.version else None

    return MonitoringReport(
        title=f"{project.settings.desk.name}: monitoring",
        env=project.env,
        generated_ns=project.clock.now_ns(),
        span_ns=(int(decisions["ts_event_ns"][0]), int(decisions["ts_event_ns"][-1])),
        cases=[CasePage(case, evidence_of(case), [*_answers(case, entries, by_sentence)]) for case in opened],
        pulse=read_pulse(project.places.watcher),
    )


def explainer_of(project: "Project") -> FindingExplainer:
    """Return what explains a project's findings."""
    return FindingExplainer(
        project.registry,
        project.places.watcher,
        project.places.tape,
        project.settings.instrument,
        project.settings.monitor,
    )


def _cases(entries: "list[Entry]") -> tuple[Cases, dict[str, int]]:
    """Return the cases, and by each finding's words the case that it is in."""
    cases, by_sentence = Cases(), dict[str, int]()
    for entry in entries:
        cases.apply(entry)
        if isinstance(entry.fact, facts.FindingRaised):
            finding = entry.fact.finding
            numbers = [case.number for case in cases.by_number.values() if case.last is finding]
            by_sentence |= {f"{finding.kind}: {finding.sentence}": number for number in numbers}
    return cases, by_sentence


def _answers(case: Case, entries: "list[Entry]", by_sentence: dict[str, int]) -> "Iterator[Answer]":
    """Yield what was done about a case: steps of people, and the retraining that it started, to its end."""
    ours, version = False, ""
    for entry in entries:
        said = ""
        match entry.fact:
            case facts.FindingAcknowledged(finding=case.number):
                said = f"acknowledged: {entry.reason}"
            case facts.FindingClosed(finding=case.number):
                said = f"closed: {entry.reason}"
            case facts.RetrainStarted(trigger=trigger):
                ours = by_sentence.get(trigger) == case.number
                said = "started a retraining because of it" if ours else ""
            case facts.RetrainEnded(version=ended, error=error) if ours:
                ours, version = False, ended or version
                said = f"trained version {ended[:SHORT]}" if ended else f"the retraining failed: {error}"
            case facts.GateJudged(version=judged, passed=passed, failed_checks=failed) if judged == version:
                said = f"the gate {'passed' if passed else 'refused'} {judged[:SHORT]}" + (
                    f" ({', '.join(failed)})" if failed else ""
                )
            case facts.VersionPromoted(version=promoted, role=role) if promoted == version:
                said = f"made {promoted[:SHORT]} {role}: {entry.reason}"
            case facts.VersionRolledBack(version=left) if left == version:
                said = f"rolled {left[:SHORT]} back: {entry.reason}"
        if said:
            yield Answer(entry.ts_ns, entry.actor, said)
