"""The report of one run: what happened, what it cost, who was in charge, and whether the record holds.

Idea:   the first screen answers a risk officer's questions; each section below shows what the answers rest on.
Flow:   `RunReport` (filled from the record) → sections → one HTML file.
"""

from tradeworthy.apps.reports import run_changes, run_sections, run_trading
from tradeworthy.apps.reports.formats import amount, count, plural, short
from tradeworthy.apps.reports.html import Assurance, KeyFigure, assurances, badge, key_figures, page
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.run_data import RunReport
from tradeworthy.apps.reports.scales import day, minute

__all__ = ["RunReport", "render_run"]

EXPLANATION_ERROR_MAX = 1e-9


def render_run(report: RunReport) -> str:
    """Write the report as one self-contained HTML document.

    Parameters
    ----------
    report : RunReport
        Filled from the record; parts that are absent are said to be absent.

    Returns
    -------
    str
        HTML that fetches nothing and runs no script; every text in it is escaped.
    """
    first, last = report.span_ns
    subtitle = join(badge(report.env, "warn" if report.env == "live" else ""), f" {day(first)} to {day(last)}")
    opening = join(_figures(report), assurances(_assurances(report)), _remarks(report))
    sections = [*run_trading.sections(report), *run_changes.sections(report), *run_sections.sections(report)]
    closing = (
        f"Written {minute(report.generated_ns)} UTC by tradeworthy, from the record alone. Runtime: {report.runtime}."
    )
    return page(report.title, subtitle, opening, sections, closing)


def _figures(report: RunReport) -> Markup:
    """Set the numbers that are asked for first."""
    figures = []
    if (outcome := report.outcome) is not None:
        net = outcome.costs.net
        figures += [
            KeyFigure("Result after costs", amount(net), report.currency, f"costs {amount(outcome.costs.total)}"),
            KeyFigure("Largest drawdown", amount(outcome.drawdown_max), report.currency, "after costs"),
        ]
    if (made := report.decisions) is not None:
        figures += [
            KeyFigure("Decisions", count(made.total), remark=f"{count(made.denied)} refused"),
            KeyFigure("Orders", count(made.orders), remark=f"{count(made.fills)} filled"),
        ]
    champion = _champion(report)
    figures += [
        KeyFigure(
            "Findings", count(len(report.findings)), remark=_worst(report), tone="warn" if report.findings else ""
        ),
        KeyFigure("Last champion", champion, remark=plural(len(report.versions), "version")),
    ]
    return key_figures(figures)


def _champion(report: RunReport) -> str:
    """Return the name of the version that held the role last."""
    spans = [(s.last_ns, s.first_ns, v.name) for v in report.versions for s in v.roles if s.role == "champion"]
    return max(spans)[2] if spans else "none"


def _worst(report: RunReport) -> str:
    """Say of which kinds the findings are."""
    kinds = dict.fromkeys(finding.kind.replace("_", " ") for finding in report.findings)
    return ", ".join(kinds)


def _assurances(report: RunReport) -> list[Assurance]:
    """List the promises and whether this run kept them."""
    return [_verified(report), _replayed(report), _uninterrupted(report), _explained(report), _gated(report)]


def _verified(report: RunReport) -> Assurance:
    """Say whether every byte of the record is as it was written."""
    name = "The record is whole"
    if (v := report.verified) is None:
        return Assurance(name, None, "The record was not verified in this run.")
    if v.ok:
        return Assurance(name, held=True, remark=f"{v.records:,} records checked against their signed chain.")
    return Assurance(name, held=False, remark=v.problems[0] if v.problems else "Verification found damage.")


def _replayed(report: RunReport) -> Assurance:
    """Say whether a replay decided the same."""
    name = "Replay decides the same"
    if (r := report.replayed) is None:
        return Assurance(name, None, "The record was not replayed in this run.")
    if r.identical:
        return Assurance(name, held=True, remark=f"{r.decisions:,} decisions recomputed, the same to the last bit.")
    return Assurance(
        name, held=False, remark=f"{r.differences:,} of {r.decisions:,} differ. {r.first_difference}".strip()
    )


def _uninterrupted(report: RunReport) -> Assurance:
    """Say whether changing champions lost a decision."""
    name = "No event went undecided"
    if not report.swaps:
        return Assurance(name, None, "The champion was not changed in this run.")
    lost = sum(swap.decisions_lost for swap in report.swaps)
    slowest = max(swap.ms for swap in report.swaps)
    changes = plural(len(report.swaps), "change")
    return Assurance(
        name, lost == 0, f"{changes} of champion, {count(lost)} decisions lost, slowest {slowest:,.1f} ms."
    )


def _explained(report: RunReport) -> Assurance:
    """Say whether explanations add up to what was decided."""
    name = "Explanations add up"
    if not report.explained:
        return Assurance(name, None, "No decision was explained in this run.")
    worst = max(abs(item.sum_error) for item in report.explained)
    remark = f"Contributions sum to the score within {worst:.1e}."
    return Assurance(name, worst <= EXPLANATION_ERROR_MAX, remark)


def _gated(report: RunReport) -> Assurance:
    """Say whether every version that acted had passed the gate."""
    name = "Every champion passed the gate"
    acted = [v for v in report.versions if any(span.role == "champion" for span in v.roles)]
    if not acted:
        return Assurance(name, None, "No version acted in this run.")
    passed = {gate.version for gate in report.gates if gate.passed}
    without = [v for v in acted if v.digest not in passed]
    if without:
        return Assurance(name, held=False, remark=f"{without[0].name} ({short(without[0].digest)}) has no passed gate.")
    return Assurance(
        name, held=True, remark=f"{plural(len(acted), 'champion')}: " + ", ".join(v.name for v in acted) + "."
    )


def _remarks(report: RunReport) -> Markup | None:
    """Set the desk's own remarks."""
    return tag("div", (tag("p", remark) for remark in report.remarks), class_="remarks") if report.remarks else None
