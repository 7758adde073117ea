"""The gate's report as one page for a risk officer: the verdict, every check, and the figures behind each.

Idea:   what stops a version comes first; a reader who stops there has read what matters.
"""

from collections.abc import Sequence

from tradeworthy.apps.reports.html import KeyFigure, Section, Tone, badge, key_figures, page, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.core.time import iso
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.evidence import Cell, Table
from tradeworthy.judge.validate.gate import GateReport

TONES: dict[str, Tone] = {
    "pass": "good",
    "fail": "bad",
    "missing": "warn",
    "overridden": "warn",
    "info": "",
    "inapplicable": "",
}
BAR_EM = 6.0
"""How wide the longest bar beside a number is."""


def gate_page(report: GateReport, name: str) -> str:
    """Return the page of one report; `name` is what people call the version."""
    words = "refused" if not report.passed else "passed with overrides" if report.overridden else "passed"
    title = f"Gate: {name} {words}"
    subtitle = f"Version {report.version[:16]}, profile {report.profile}, judged {iso(report.created_ns)}."
    counted = [(verdict, sum(each.verdict == verdict for each in report.results)) for verdict in TONES]
    opening = key_figures(KeyFigure(verdict, str(count), tone=TONES[verdict]) for verdict, count in counted)
    behind = [_behind(result) for result in report.results if result.tables]
    closing = f"SHA-256 of the report as JSON: {report.digest}"
    return page(title, subtitle, opening, [*_stopping(report), _all(report), *behind], closing)


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
    return table(("verdict", "check", "measured", "interval", "required"), [_line(result) for result in results])


def _line(result: CheckResult) -> tuple[Markup | str, ...]:
    bounds = f"{result.interval[0]:.4g} to {result.interval[1]:.4g}" if result.interval else ""
    verdict = badge(result.verdict, TONES[result.verdict])
    return verdict, result.name.replace("_", " "), result.measured, bounds, result.requirement


def _behind(result: CheckResult) -> Section:
    """Show the tables behind one check."""
    content = join(_table(each) for each in result.tables)
    return Section(f"check-{result.name}", result.name.replace("_", " "), result.measured, content)


def _table(shown: Table) -> Markup:
    """Lay out one table; where it asks for bars, the first number of each row gets one."""
    if not shown.rows:
        return paragraph(f"{shown.title}: nothing.", "empty")
    numbers = [_is_number(cell) for cell in shown.rows[0]]
    barred = numbers.index(True) if shown.chart == "bars" and True in numbers else -1
    longest = max((abs(float(row[barred] or 0.0)) for row in shown.rows), default=0.0) if barred >= 0 else 0.0
    rows = [[_cell(cell, longest if place == barred else 0.0) for place, cell in enumerate(row)] for row in shown.rows]
    return table(shown.columns, rows, align="".join("r" if number else "l" for number in numbers), caption=shown.title)


def _cell(cell: Cell, longest: float) -> Markup | str:
    """Write a cell, with a bar beside it where bars are as long as `longest`."""
    text = "" if cell is None else f"{cell:,.4g}" if isinstance(cell, float) else str(cell)
    if not longest or cell is None or isinstance(cell, str):
        return text
    width = BAR_EM * abs(float(cell)) / longest
    kind = "bar below" if float(cell) < 0 else "bar"
    return join(text, tag("span", class_=kind, style=f"width:{width:.2f}em", aria_hidden="true"))


def _is_number(cell: Cell) -> bool:
    """Tell whether a column's first cell makes it one of numbers."""
    return isinstance(cell, float | int) and not isinstance(cell, bool)
