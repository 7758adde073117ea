"""The view of decisions: a list that goes on as one reads, and each decision with why, what was checked, what came."""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from tradeworthy.apps.dashboard.deciding import OUTCOMES, PAGE, Around, Decided, Filter
from tradeworthy.apps.dashboard.desk import did
from tradeworthy.apps.dashboard.layout import choice
from tradeworthy.apps.explain.explained import Explained
from tradeworthy.apps.reports.bars import Step, waterfall
from tradeworthy.apps.reports.html import badge, code, pairs, paragraph, sentences, table
from tradeworthy.apps.reports.markup import Markup, join, tag

HEAD = ("Time", "Instrument", "Version", "Score", "Held", "Wanted", "What it did", "")
SHOWN_REASONS = 12


def decisions_view(wanted: Filter, found: Sequence[Decided], symbols: Sequence[str]) -> Markup:
    """Build the list with its filter."""
    return join(
        tag(
            "form",
            choice("outcome", "What it did", OUTCOMES, wanted.outcome),
            choice("role", "By", ("champion", "canary", "shadow", "any"), wanted.role),
            choice("instrument", "Instrument", ("", *symbols), wanted.instrument),
            tag("label", tag("span", "Version"), tag("input", name="version", value=wanted.version, size="16")),
            tag("button", "Show", type="submit"),
            method="get",
            action="/decisions",
            class_="filter",
        ),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", (tag("th", name, scope="col") for name in HEAD))),
                tag("tbody", rows(wanted, found)),
            ),
            class_="table",
            tabindex="0",
        ),
    )


def rows(wanted: Filter, found: Sequence[Decided]) -> Markup:
    """Build lines of the list; the last one fetches more when it comes into sight."""
    if not found:
        return tag("tr", tag("td", "No further decisions.", colspan="8", class_="empty"))
    lines = [_row(each) for each in found]
    return join(lines, _further(wanted, found[-1].sequence) if len(found) >= PAGE else None)


def _further(wanted: Filter, before: int) -> Markup:
    asked = urlencode({k: v for k, v in msgspec.to_builtins(wanted).items() if v} | {"before": before})
    address = f"/decisions/rows?{asked}"
    link = tag("a", "Older decisions", href=f"/decisions?{asked}")
    return tag("tr", tag("td", link, colspan="8"), hx_get=address, hx_trigger="revealed", hx_swap="outerHTML")


def _row(each: Decided) -> Markup:
    return tag(
        "tr",
        tag("td", each.time[:23].replace("T", " "), class_="when"),
        tag("td", each.instrument),
        tag("td", tag("code", each.version[:8])),
        tag("td", _number(each.score, "{:.4f}"), class_="number"),
        tag("td", _number(each.position), class_="number"),
        tag("td", _number(each.target), class_="number"),
        tag("td", did(each.quantity, each.verdict)),
        tag("td", tag("a", "Why?", href=f"/decisions/{each.sequence}", aria_label=f"Why decision {each.sequence}")),
    )


def decision_view(around: Around, explained: Explained | None, unexplained: str) -> Markup:
    """Build the page of one decision."""
    decision = around.decision
    return join(
        tag("p", explained.said if explained else unexplained, class_="said"),
        pairs(_facts(decision)),
        _why(explained),
        tag("section", tag("h2", "What was checked"), _checked(decision)),
        tag("section", tag("h2", "The event"), _event(around)),
        tag("section", tag("h2", "Other versions on the same event"), _others(around.others)),
        tag("section", tag("h2", "Order and answers"), _answers(around)),
    )


def _facts(decision: Decided) -> list[tuple[str, Markup | str]]:
    return [
        ("Decision", code(str(decision.sequence))),
        ("Version", tag("a", code(decision.version), href=f"/versions/{decision.version}")),
        ("Role", decision.role),
        ("Score", _number(decision.score, "{:.6f}")),
        ("Held before", _number(decision.position)),
        ("Wanted", _number(decision.target)),
        ("Price", _number(decision.price)),
        ("Order", _number(decision.quantity)),
    ]


def _why(explained: Explained | None) -> Markup | None:
    if explained is None or not explained.reasons:
        return None
    shown, rest = explained.reasons[:SHOWN_REASONS], explained.reasons[SHOWN_REASONS:]
    steps = [Step(each.feature, each.contribution, each.sentence) for each in shown]
    if rest:
        steps.append(Step(f"{len(rest)} more features", sum(each.contribution for each in rest)))
    chart = waterfall(
        "From the baseline to the score",
        steps,
        start=Step("baseline", explained.baseline),
        end=Step("margin", explained.margin),
        unit="log odds",
        caption=f"{explained.method}. The contributions add up to the margin within {explained.sum_error:.1e}.",
    )
    said = sentences(each.sentence for each in shown)
    return tag("section", tag("h2", "Why"), chart, said)


def _checked(decision: Decided) -> Markup:
    if decision.verdict == "NONE":
        return paragraph("Every input, feature and risk check passed.")
    what = badge(decision.verdict.lower().replace("_", " "), "warn")
    return join(
        tag("p", what, f" {decision.verdict_text}."),
        pairs([("Observed", _number(decision.observed)), ("Limit", _number(decision.limit))]),
    )


def _event(around: Around) -> Markup:
    values = [(name, f"{value:,.10g}") for name, value in around.event.items()]
    head = [("Kind", around.kind), ("Happened", around.decision.time), ("Received", around.event_recv)]
    return pairs([*head, *values])


def _others(others: Sequence[Decided]) -> Markup:
    cells = [
        (code(each.version[:16]), each.role, _number(each.score, "{:.6f}"), _number(each.target)) for each in others
    ]
    return table(("Version", "Role", "Score", "Would hold"), cells, align="llrr", empty="No other version scored it.")


def _answers(around: Around) -> Markup:
    if not around.decision.quantity:
        return paragraph("No order was sent.", "empty")
    cells = [(each.time, each.said, _number(each.price), f"{each.fee:,.4f}") for each in around.answers]
    return table(("Time", "Answer", "Price", "Fee"), cells, align="tlrr", empty="The venue has not answered yet.")


def _number(value: float | None, form: str = "{:,.6g}") -> str:
    return "" if value is None else form.format(value)
