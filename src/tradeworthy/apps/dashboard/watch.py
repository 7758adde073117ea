"""The view of the watcher: what was found, its story, and what people did about it."""

from collections.abc import Sequence

from tradeworthy.apps.commands.handling import CaseLine
from tradeworthy.apps.dashboard.desk import tone
from tradeworthy.apps.dashboard.following import Frame
from tradeworthy.apps.dashboard.layout import Visit, reason_form
from tradeworthy.apps.reports.html import KeyFigure, badge, code, key_figures, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.watch.findings import Case
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso


def watch_view(frame: Frame, cases: Sequence[CaseLine]) -> Markup:
    """Build the list of findings, the newest first, with how the watcher is."""
    return join(_watcher(frame), tag("section", tag("h2", "Findings"), _cases(cases)))


def _watcher(frame: Frame) -> Markup:
    watcher = frame.watcher
    if watcher is None:
        return paragraph("No watcher has run on this desk; start it with: tradeworthy run", "told bad")
    errors = [f"{name}: {said}" for name, said in watcher.errors.items()]
    return key_figures(
        [
            KeyFigure("Watcher last heard", f"{watcher.heard_s_ago:,.0f}", "s ago"),
            KeyFigure("Behind the tape", f"{frame.behind_records:,}", "records"),
            KeyFigure(
                "Slowest alert",
                f"{watcher.alert_delay_s_max:,.2f}",
                "s",
                remark="from the event to the alert; five seconds are promised",
                tone="good" if watcher.alerts_in_time else "bad",
            ),
            KeyFigure(
                "Alerts sent",
                f"{watcher.alerts_sent:,}",
                remark="; ".join(errors) or f"{watcher.alerts_failed:,} failed",
                tone="bad" if watcher.alerts_failed else "",
            ),
        ]
    )


def _cases(cases: Sequence[CaseLine]) -> Markup:
    rows = [
        (
            tag("a", str(case.number), href=f"/watch/{case.number}"),
            badge(case.state, "warn" if case.state == "open" else ""),
            badge(case.severity, tone(case.severity)),
            case.monitor,
            case.subject,
            case.last[:16].replace("T", " "),
            f"{case.count:,}",
            case.sentence,
        )
        for case in reversed(cases)
    ]
    head = ("", "State", "Severity", "Monitor", "Subject", "Last", "Times", "In words")
    return table(head, rows, align="llllltrl", empty="Nothing was found yet.")


def case_view(visit: Visit, case: Case) -> Markup:
    """Tell the story of one case, with the steps that this person may take."""
    last = case.last
    return join(
        tag("p", badge(case.severity, tone(case.severity)), " ", badge(case.state), " ", last.sentence, class_="said"),
        pairs(_figures(case, last)),
        tag("section", tag("h2", "What people did"), _history(case)),
        _steps(visit, case),
    )


def _figures(case: Case, last: Finding) -> list[tuple[str, Markup | str]]:
    return [
        ("Monitor", last.monitor),
        ("Subject", last.subject),
        ("Kind", last.kind.replace("_", " ")),
        ("Champion of that time", tag("a", code(case.version[:16] or "none"), href=f"/versions/{case.version[:16]}")),
        ("Changed at about", iso(last.since_ns)),
        ("First found", iso(case.first.ts_event_ns)),
        ("Last found", f"{iso(last.ts_event_ns)}, {case.count:,} times in all"),
        ("Now", f"{last.observed:,.6g} {last.unit}"),
        ("Before", f"{last.reference:,.6g} {last.unit}"),
        ("Statistic and threshold", f"{last.statistic:,.4g} against {last.threshold:,.4g}"),
        ("False alarms asked for", f"{last.false_alarms_per_10k:g} per 10,000 events without change"),
        ("Tape record", str(last.sequence)),
    ]


def _history(case: Case) -> Markup:
    if not case.actor:
        return paragraph("Nobody has taken it on yet.", "empty")
    return paragraph(f"{case.state} by {case.actor}: {case.reason}")


def _steps(visit: Visit, case: Case) -> Markup | None:
    """Return the forms that move the case on."""
    steps = []
    if case.state == "open" and visit.may("acknowledge"):
        steps.append(reason_form(visit, f"/do/watch/{case.number}/acknowledge", "Acknowledge"))
    if case.state != "closed" and visit.may("close"):
        steps.append(reason_form(visit, f"/do/watch/{case.number}/close", "Close"))
    return tag("div", *steps, class_="steps") if steps else None
