"""The view of the watcher: what was found, its story, and what people did about it."""

from collections.abc import Sequence

from tradeworthy.apps.dashboard.desk import age, tone
from tradeworthy.apps.dashboard.following import Frame
from tradeworthy.apps.dashboard.layout import Visit, form, reason_form
from tradeworthy.apps.dashboard.monitors import monitors_table
from tradeworthy.apps.reports.case_story import CasePage, answers_table, case_facts, cases_timeline, drawn, is_dated
from tradeworthy.apps.reports.html import KeyFigure, badge, code, key_figures, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import minute
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.sight import Sight

DRAWN = 30
"""So many cases are drawn on the time axis; all are listed."""


def watch_view(frame: Frame, cases: Sequence[Case], sight: Sight | None) -> Markup:
    """Build the view: how the watcher is, each monitor, and what was found, the newest first; all of it follows."""
    return join(
        tag("div", watcher_figures(frame), sse_swap="watcher"),
        tag("section", tag("h2", "Monitors"), tag("div", monitors_table(sight, cases), sse_swap="monitors")),
        tag("section", tag("h2", "Findings"), tag("div", stories(frame, cases), sse_swap="stories")),
    )


def watcher_figures(frame: Frame) -> Markup:
    """Say how the watcher is."""
    watcher = frame.watcher
    if watcher is None:
        return paragraph("No watcher has run on this desk; start it with: tradeworthy run", "told bad")
    errors = [f"{name}: {said}" for name, said in watcher.errors.items()]
    return key_figures(
        [
            KeyFigure("Watcher last heard", f"{age(watcher.heard_s_ago)} ago"),
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


def stories(frame: Frame, cases: Sequence[Case]) -> Markup:
    """List cases under a drawing of when each began, was heard and was last found."""
    if not cases:
        watched = "Every monitor has stayed below its limit." if frame.watcher else "Nobody has watched yet."
        return paragraph(f"Nothing was found. {watched}", "empty")
    drawing = cases_timeline(cases[-DRAWN:])
    left = paragraph(f"The newest {DRAWN} of {len(cases):,} are drawn.", "empty") if len(cases) > DRAWN else None
    return join(drawing, left, tag("ol", (_line(case) for case in reversed(cases)), class_="stories"))


def _line(case: Case) -> Markup:
    """Tell one case in a few lines."""
    times = "" if case.count == 1 else f"{case.count:,} findings, the last {minute(case.last.ts_event_ns)}"
    handled = f"{case.state} by {case.actor}: {case.reason}" if case.actor else ""
    began = f"began about {minute(case.first.since_ns)} UTC" if is_dated(case.first) else ""
    told = [began, f"told {minute(case.first.ts_event_ns)} UTC", times, handled]
    head = (
        tag("a", f"{case.number} {case.first.subject}", href=f"/watch/{case.number}"),
        badge(case.severity, tone(case.severity)),
        badge(case.state, "warn" if case.state == "open" else ""),
        tag("span", ", ".join(kind.replace("_", " ") for kind in case.kinds), class_="empty"),
    )
    return tag(
        "li", tag("h3", *head), tag("p", case.told.sentence), tag("p", "; ".join(filter(None, told)), class_="empty")
    )


def case_view(visit: Visit, page: CasePage) -> Markup:
    """Tell the story of one case, with the steps that this person may take."""
    case = page.case
    words = (badge(case.severity, tone(case.severity)), " ", badge(case.state), " ", case.told.sentence)
    return join(
        tag("p", *words, class_="said"),
        _steps(visit, case),
        pairs(_figures(case)),
        tag("section", tag("h2", "What was done about it"), answers_table(page.answers)),
        evidence_part(visit, page),
        _causes(case),
    )


def _figures(case: Case) -> list[tuple[str, Markup | str]]:
    version = tag("a", code(case.version[:16]), href=f"/versions/{case.version[:16]}") if case.version else "none"
    around = tag("a", "decisions up to the alarm", href=f"/decisions?before={case.first.sequence + 1}")
    facts = [(name, value) for name, value in case_facts(case) if name not in ("Version", "With it")]
    return [*facts, ("Champion of that time", version), ("Look at", around)]


def evidence_part(visit: Visit, page: CasePage) -> Markup:
    """Draw what explains a case; while a process gathers it, this part asks for itself again."""
    case = page.case
    asks = {}
    if page.evidence is not None:
        shown = drawn(page)
    elif not case.version:
        shown = paragraph("It was found before the first champion: there is no version to explain it by.", "empty")
    elif page.gathering == "running":
        shown = paragraph("A process of its own reads the tape for what explains this; it will stand here.", "empty")
        asks = {"hx_get": f"/watch/{case.number}/evidence", "hx_trigger": "every 2s", "hx_swap": "outerHTML"}
    else:
        why = (
            f"Explaining it failed: {page.failure}" if page.failure else "Nothing has been gathered to explain it yet."
        )
        button = tag("button", "Gather the evidence", type="submit")
        shown = join(paragraph(why, "empty"), form(visit, f"/do/watch/{case.number}/explain", button))
    return tag("section", tag("h2", "What explains it"), shown, id="evidence", **asks)


def _causes(case: Case) -> Markup | None:
    """List what was found together, where that is more than one thing."""
    if len(case.causes) == 1:
        return None
    rows = [
        (tag("a", monitor, href=f"/watch/monitors/{monitor}"), kind.replace("_", " "), subject, f"{count:,}")
        for (monitor, kind, subject), count in case.causes.items()
    ]
    said = paragraph("Found in the same stretch of time, so taken to have one cause; one step settles all of it.")
    return tag(
        "section", tag("h2", "Of one cause"), said, table(("Monitor", "Kind", "Subject", "Times"), rows, align="lllr")
    )


def _steps(visit: Visit, case: Case) -> Markup | None:
    """Return the forms that move the case on."""
    steps = []
    if case.state == "open" and visit.may("acknowledge"):
        steps.append(reason_form(visit, f"/do/watch/{case.number}/acknowledge", "Acknowledge"))
    if case.state != "closed" and visit.may("close"):
        steps.append(reason_form(visit, f"/do/watch/{case.number}/close", "Close"))
    return tag("div", *steps, class_="steps") if steps else None
