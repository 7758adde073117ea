"""The report on monitoring: for each case when it began, then and now, why, what it costs, and what was done.

Idea:   a case is a section that a person can act on alone; the overview shows all of them on one time axis.
Flow:   `MonitoringReport` (filled from ledger, evidence and pulse) → sections → one HTML file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.reports.case_story import CasePage, answers_table, case_facts, cases_timeline, drawn
from tradeworthy.apps.reports.formats import count
from tradeworthy.apps.reports.html import (
    Assurance,
    KeyFigure,
    Section,
    assurances,
    badge,
    heading,
    key_figures,
    page,
    pairs,
    paragraph,
    table,
)
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.scales import day, minute
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.pulse import ALERT_DELAY_S_MAX, Pulse
from tradeworthy.change.watch.sight import MonitorSight, Sight


@dataclass(frozen=True, slots=True)
class MonitoringReport:
    """All that the report says.

    Attributes
    ----------
    generated_ns : int
        When it was written.
    span_ns : tuple of int
        Event times of the first and the last decision of the record.
    cases : sequence of CasePage
        In the order in which they were opened.
    pulse : Pulse or None
        The watcher's last word; None if none ever ran.
    sight : Sight or None
        What the monitors last saw; None if none was ever at work.
    """

    title: str
    env: str
    generated_ns: int
    span_ns: tuple[int, int]
    cases: Sequence[CasePage]
    pulse: Pulse | None
    sight: Sight | None


def render_monitoring(report: MonitoringReport) -> str:
    """Write the report as one self-contained HTML document.

    Returns
    -------
    str
        HTML that fetches nothing and runs no script; every text in it is escaped.
    """
    first, last = report.span_ns
    subtitle = join(badge(report.env, "warn" if report.env == "live" else ""), f" {day(first)} to {day(last)}")
    opening = join(_figures(report), assurances(_promises(report)))
    sections = [_overview(report), _monitors(report), *(_case(item) for item in report.cases)]
    closing = f"Written {minute(report.generated_ns)} UTC by tradeworthy, from ledger, tape and versions alone."
    return page(report.title, subtitle, opening, sections, closing)


def _figures(report: MonitoringReport) -> Markup:
    """Set the numbers that are asked for first."""
    cases = [item.case for item in report.cases]
    standing = [case for case in cases if case.state != "closed"]
    answered = sum(bool(item.answers) for item in report.cases)
    return key_figures(
        [
            KeyFigure("Cases", count(len(cases)), remark=f"{count(len(standing))} not closed"),
            KeyFigure("Findings", count(sum(case.count for case in cases)), remark="repeats included"),
            KeyFigure("Answered", count(answered), remark="by the policy or a person"),
            KeyFigure("Kinds", count(len({kind for case in cases for kind in case.kinds})), remark=_kinds(cases)),
        ]
    )


def _kinds(cases: Sequence[Case]) -> str:
    return ", ".join(dict.fromkeys(kind.replace("_", " ") for case in cases for kind in case.kinds))


def _promises(report: MonitoringReport) -> list[Assurance]:
    """List what the watcher promised, and whether it kept it."""
    name = "Alerts in time"
    if report.pulse is None:
        return [Assurance(name, None, "No watcher ever ran on this desk.")]
    slowest, failed = report.pulse.alert_delay_s_max, report.pulse.alerts_failed
    remark = f"slowest {slowest:.2f} s from the event to its sink, allowed {ALERT_DELAY_S_MAX:g} s; {failed} given up"
    step = report.pulse.step_ns_max / 1e9
    return [
        Assurance(name, slowest <= ALERT_DELAY_S_MAX and not failed, remark),
        Assurance("No long look away", step <= ALERT_DELAY_S_MAX, f"longest look of the watcher {step:.2f} s"),
    ]


def _overview(report: MonitoringReport) -> Section:
    """Draw all cases on one time axis."""
    sentence = "From the estimated change until it was heard, and on to the last finding of the same cause."
    if not report.cases:
        said = "Nothing was found. Every monitor stayed below its limit."
        return Section("overview", "Cases", "", paragraph(said if report.pulse else "Nothing was watched.", "empty"))
    return Section("overview", "Cases", sentence, cases_timeline([item.case for item in report.cases], report.span_ns))


def _monitors(report: MonitoringReport) -> Section:
    """List every monitor that was at work last, with what came nearest to an alarm, and what each has found."""
    sight = report.sight
    if sight is None or not sight.monitors:
        return Section("monitors", "Monitors", "", paragraph("No monitor was at work.", "empty"))
    head = ("Monitor", "Nearest to an alarm", "Of its limit", "Findings")
    rows = table(head, [_monitor(each, report.cases) for each in sight.monitors], align="llrr")
    said = f"Those of version {sight.version}, as they stood last. A series at 1 of its limit is an alarm."
    return Section("monitors", "Monitors", said, rows)


def _monitor(monitor: MonitorSight, cases: Sequence[CasePage]) -> tuple[str, ...]:
    """Write one monitor's row."""
    near, causes = monitor.nearest, [found for item in cases for found in item.case.causes.items()]
    times = sum(times for (name, _, _), times in causes if name == monitor.monitor)
    share = near.now if near else None
    return (
        monitor.monitor,
        near.subject if near else "looks by windows",
        "" if share is None else f"{share:.2f}",
        count(times),
    )


def _case(item: CasePage) -> Section:
    """Tell one case."""
    case = item.case
    title = f"{case.number}: {case.first.subject} ({case.first.kind.replace('_', ' ')})"
    parts = [pairs(case_facts(case)), drawn(item), heading("What was done"), answers_table(item.answers)]
    return Section(f"case-{case.number}", title, case.first.sentence, join(parts))
