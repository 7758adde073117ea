"""Cases with all that stands behind them, for the report on monitoring and for the page.

Flow:   ledger → cases, and what followed each of them; the watcher's folder → the evidence of each.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tradeworthy.apps.commands.measuring import champion_decisions
from tradeworthy.apps.commands.results import Page
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.reports.case_story import Answer, CasePage
from tradeworthy.apps.reports.monitoring_report import MonitoringReport, render_monitoring
from tradeworthy.change.watch.explaining import CaseEvidence, FindingExplainer, explanation, read_evidence
from tradeworthy.change.watch.findings import Case, Cases
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.change.watch.sight import read_sight
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeworthy.apps.commands.project import Project
    from tradeworthy.record.ledger import Entry


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
    told, explainer = told_of(entries), explainer_of(project)

    def evidence_of(case: Case) -> CaseEvidence | None:
        return explainer.now(case) if case.version else None

    return MonitoringReport(
        title=f"{project.settings.desk.name}: monitoring",
        env=project.env,
        generated_ns=project.clock.now_ns(),
        span_ns=(int(decisions["ts_event_ns"][0]), int(decisions["ts_event_ns"][-1])),
        cases=[CasePage(case, evidence_of(case), told.answers(case)) for case in told.cases.by_number.values()],
        pulse=read_pulse(project.places.watcher),
        sight=read_sight(project.places.watcher),
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


def case_page(project: "Project", told: "Told", number: int) -> CasePage:
    """Return one case with what is known of it; evidence that nobody has gathered is left out, and why.

    Raises
    ------
    NotFound
        There is no such case.
    """
    case, work = told.cases.of(number), explanation(project.places.watcher, number)
    evidence = read_evidence(project.places.watcher, number)
    return CasePage(
        case, evidence, told.answers(case), gathering=work.state, failure=work.error if work.state == "failed" else ""
    )


def gather(project: "Project", number: int) -> None:
    """Have a case's evidence gathered by a process of its own.

    Raises
    ------
    NotFound
        There is no such case, or no version was champion when it was found.
    """
    case = told_of(project.ledger.facts()).cases.of(number)
    if not case.version:
        raise NotFound(f"finding {number} came before the first champion; there is no version to explain it by")
    explainer_of(project).start(case)


@dataclass(slots=True)
class Told:
    """The cases of a ledger, and which of them each finding is in."""

    entries: "list[Entry]"
    cases: Cases = field(default_factory=Cases)
    by_sentence: dict[str, int] = field(default_factory=dict)
    by_finding: dict[int, int] = field(default_factory=dict)

    def answers(self, case: Case) -> list[Answer]:
        """Return what was done about a case: steps of people, the policy's answers, and the retraining it started."""
        return [*_answers(case, self)]


def told_of(entries: "list[Entry]") -> Told:
    """Add up facts, oldest first."""
    told = Told(entries)
    for entry in entries:
        told.cases.apply(entry)
        if isinstance(entry.fact, facts.FindingRaised):
            finding = entry.fact.finding
            case = next(each for each in reversed(told.cases.by_number.values()) if each.last is finding)
            told.by_sentence[f"{finding.kind}: {finding.sentence}"] = case.number
            told.by_finding[entry.number] = case.number
    return told


def _answers(case: Case, told: Told) -> "Iterator[Answer]":
    """Yield what was done about a case, in order: of a retraining that it started, all until its end."""
    ours, version = False, ""
    for entry in told.entries:
        said = ""
        match entry.fact:
            case facts.RetrainStarted(trigger=trigger):
                ours = told.by_sentence.get(trigger) == case.number
                said = "started a retraining because of it" if ours else ""
            case facts.RetrainEnded(version=ended, error=error) if ours:
                ours, version = False, ended or version
                said = f"trained version {ended[:SHORT]}" if ended else f"the retraining failed: {error}"
            case facts.FindingAnswered(did=did, dry_run=dry) if told.by_finding.get(entry.fact.finding) == case.number:
                said = f"{'in rehearsal: ' if dry else ''}{did}"
            case _:
                said = _step_of_person(entry, case.number) or _step_of_version(entry, version)
        if said:
            yield Answer(entry.ts_ns, entry.actor, said)


def _step_of_person(entry: "Entry", number: int) -> str:
    """Say how a person handled the case of that number; nothing of any other fact."""
    match entry.fact:
        case facts.FindingAcknowledged(finding=finding) if finding == number:
            return f"acknowledged: {entry.reason}"
        case facts.FindingClosed(finding=finding) if finding == number:
            return f"closed: {entry.reason}"
    return ""


def _step_of_version(entry: "Entry", version: str) -> str:
    """Say what became of the version that the case had trained; nothing of any other fact."""
    match entry.fact:
        case facts.GateJudged(version=judged, passed=passed, failed_checks=failed) if judged == version:
            why = f" ({', '.join(failed)})" if failed else ""
            return f"the gate {'passed' if passed else 'refused'} {judged[:SHORT]}{why}"
        case facts.VersionPromoted(version=promoted, role=role) if promoted == version:
            return f"made {promoted[:SHORT]} {role}: {entry.reason}"
        case facts.VersionRolledBack(version=left) if left == version:
            return f"rolled {left[:SHORT]} back: {entry.reason}"
    return ""
