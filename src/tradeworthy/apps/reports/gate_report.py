"""The gate's report as one page for a risk officer: the verdict, every check, and the figures behind each.

Idea:   what stops a version comes first; a reader who stops there has read what matters.
"""

from collections.abc import Sequence

from tradeworthy.apps.reports.formats import plural
from tradeworthy.apps.reports.gate_drawings import shown
from tradeworthy.apps.reports.html import KeyFigure, Section, Tone, badge, key_figures, page, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.core.time import iso
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

TONES: dict[str, Tone] = {
    "pass": "good",
    "fail": "bad",
    "missing": "warn",
    "overridden": "warn",
    "info": "",
    "inapplicable": "",
}

ALWAYS_COUNTED = ("pass", "fail", "missing")
"""Verdicts that are counted even where no check has them."""


def gate_page(report: GateReport, name: str) -> str:
    """Return the page of one report; `name` is what people call the version."""
    words = "refused" if not report.passed else "passed with overrides" if report.overridden else "passed"
    title = f"Gate: {name} {words}"
    subtitle = f"Version {report.version[:16]}, profile {report.profile}, judged {iso(report.created_ns)}."
    closing = f"SHA-256 of the report as JSON: {report.digest}"
    return page(title, subtitle, gate_opening(report), gate_sections(report), closing)


def gate_opening(report: GateReport) -> Markup:
    """Say the verdict and why in one sentence, and count the verdicts of the checks."""
    counted = [(verdict, sum(each.verdict == verdict for each in report.results)) for verdict in TONES]
    figures = key_figures(
        KeyFigure(verdict.capitalize(), str(count), tone=TONES[verdict] if count else "")
        for verdict, count in counted
        if count or verdict in ALWAYS_COUNTED
    )
    return join(paragraph(why(report), "said"), figures)


def gate_sections(report: GateReport) -> list[Section]:
    """Show what stops the version first, then every check, then the figures behind each, drawn."""
    behind = [_behind(result) for result in report.results if result.tables]
    return [*_stopping(report), _all(report), *behind]


def why(report: GateReport) -> str:
    """Say in one sentence why a version was refused, or that it was not."""
    stops = [result for result in report.results if result.stops]
    if not stops and report.overridden:
        aside = ", ".join(name.replace("_", " ") for name in report.overridden)
        return f"Passed with overrides: two people have set aside {aside}, at the longest until {_until(report)}."
    if not stops:
        return f"Passed: nothing of {plural(len(report.results), 'check')} of the profile {report.profile} stops it."
    first, others = stops[0], [result.name.replace("_", " ") for result in stops[1:]]
    more = f" It also fails {', '.join(others)}." if others else ""
    name = first.name.replace("_", " ")
    return f"Refused by {name}. Required: {first.requirement}. Found: {first.measured}.{more}"


def _stopping(report: GateReport) -> list[Section]:
    """Show what stops the version or would, had people not set it aside; nothing where there is neither."""
    stops = [result for result in report.results if result.stops]
    aside = [result for result in report.results if result.verdict == "overridden"]
    sentence = "Each of these must hold before the version may trade; what is missing stops it as a failure does."
    found = [Section("stops", "What stops it", sentence, _checks(stops))] if stops else []
    if not aside:
        return found
    sentence = f"Each of these would stop it; two people set them aside, at the longest until {_until(report)}."
    return [*found, Section("overridden", "What was set aside", sentence, _checks(aside))]


def _until(report: GateReport) -> str:
    return "nobody said when" if report.until_ns is None else iso(report.until_ns)


def _all(report: GateReport) -> Section:
    sentence = "Every check of the profile: what was measured, and what is required."
    return Section("checks", "All checks", sentence, _checks(report.results))


def _checks(results: Sequence[CheckResult]) -> Markup:
    """Lay out checks as a table."""
    return table(("Verdict", "Check", "Measured", "Required"), [_line(result) for result in results])


def _line(result: CheckResult) -> tuple[Markup | str, ...]:
    verdict = badge(result.verdict, TONES[result.verdict])
    return verdict, result.name.replace("_", " "), result.measured, result.requirement


def _behind(result: CheckResult) -> Section:
    """Show the figures behind one check."""
    content = join(shown(each) for each in result.tables)
    name = result.name.replace("_", " ").capitalize()
    return Section(f"check-{result.name}", name, f"{result.measured}. Required: {result.requirement}.", content)
