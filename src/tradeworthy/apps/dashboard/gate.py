"""The view of one gate report: the verdict in a sentence, what stops the version, every check, the figures drawn.

Idea:   two people may set a check aside here, each with a reason and until a day; what each has said stands by it.
"""

from collections.abc import Sequence

from tradeworthy.apps.dashboard.layout import Visit, choice, entry, form
from tradeworthy.apps.reports.gate_report import gate_opening, gate_sections
from tradeworthy.apps.reports.html import Tone, badge, paragraph, section_of, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import minute
from tradeworthy.change.access.roles import roles_that_may
from tradeworthy.change.release.overriding import DAYS_MAX, NEVER, PEOPLE
from tradeworthy.change.release.standing import OverrideGiven
from tradeworthy.judge.validate.gate import GateReport


def gate_view(visit: Visit, report: GateReport, given: Sequence[OverrideGiven], now_ns: int) -> Markup:
    """Build the view; the same drawings as the report that CI keeps, and what people have `given` to set aside."""
    verdict = badge(report.outcome.partition(" (")[0], _tone(report))
    version = tag("a", tag("code", report.version[:16]), href=f"/versions/{report.version[:16]}")
    about = join(verdict, " Version ", version, f", profile {report.profile}, judged {minute(report.created_ns)} UTC.")
    return join(
        paragraph(about),
        gate_opening(report),
        _aside(visit, report, given, now_ns),
        *(section_of(section) for section in gate_sections(report)),
    )


def _tone(report: GateReport) -> Tone:
    return "bad" if not report.passed else "warn" if report.overridden else "good"


def _aside(visit: Visit, report: GateReport, given: Sequence[OverrideGiven], now_ns: int) -> Markup | None:
    """Return who has set which check aside, and the form for the next; nothing where nothing stops the version."""
    stops = [name for name in report.failed if name not in NEVER]
    if not stops and not given:
        return None
    words = paragraph(
        f"A check counts as set aside once {_NUMBERS.get(PEOPLE, PEOPLE)} people have said so, each with a reason, for "
        f"at most {DAYS_MAX} days; the report is then judged anew and names them. What was signed cannot be set aside."
    )
    rows = [
        (
            each.fact.check.replace("_", " "),
            each.actor,
            each.reason,
            minute(each.fact.until_ns),
            badge("expired", "warn") if each.fact.until_ns <= now_ns else "",
        )
        for each in given
    ]
    listed = table(("Check", "Who", "Why", "Until, UTC", ""), rows, align="llltl", empty="Nobody has set one aside.")
    return tag("section", tag("h2", "Setting a check aside"), words, listed, _form(visit, report, stops), id="aside")


_NUMBERS = {2: "two"}


def _form(visit: Visit, report: GateReport, stops: Sequence[str]) -> Markup | None:
    """Return the form for those who may; to others, who could."""
    if not stops:
        return None
    if not visit.may("set_aside"):
        return paragraph(f"It needs the role {' or '.join(roles_that_may('set_aside'))}.", "empty")
    return tag(
        "details",
        tag("summary", "Set a check aside"),
        form(
            visit,
            f"/do/versions/{report.version[:16]}/override",
            choice("check", "Check", stops),
            entry("until", "Until the end of (UTC)", type_="date"),
            entry("reason", "Reason"),
            tag("button", "Set aside", type="submit", class_="stop"),
        ),
    )
