"""The list of decisions: filtered, the newest first, going on as one reads."""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from tradeworthy.apps.dashboard.deciding import CODES, OUTCOMES, PAGE, ROLES, SIDES, Decided, Filter
from tradeworthy.apps.dashboard.desk import did
from tradeworthy.apps.dashboard.layout import choice
from tradeworthy.apps.reports.formats import compact_or_nothing, decimal_or_nothing
from tradeworthy.apps.reports.html import table
from tradeworthy.apps.reports.markup import Markup, join, tag

HEAD = ("Time, UTC", "Instrument", "Version", "Score", "Held", "Wanted", "What it did", "")
ALIGN = ("when", "", "", "number", "number", "number", "", "")


def decisions_view(wanted: Filter, found: Sequence[Decided], symbols: Sequence[str]) -> Markup:
    """Build the list with its filter."""
    head = (tag("th", name, scope="col", class_=kind or None) for name, kind in zip(HEAD, ALIGN, strict=True))
    body = tag("tbody", rows(wanted, found))
    listed = tag("table", tag("thead", tag("tr", head)), body)
    return join(_filter(wanted, symbols), tag("div", listed, class_="table list", tabindex="0"))


def _filter(wanted: Filter, symbols: Sequence[str]) -> Markup:
    """Return the form that says which decisions are wanted; what is rarely asked for is folded away."""
    rare = tag(
        "div",
        choice("role", "By", ROLES, wanted.role),
        tag("label", tag("span", "Version begins with"), tag("input", name="version", value=wanted.version, size="10")),
        choice("code", "Refused with", CODES, wanted.code),
        _time("since", "From, UTC", wanted.since),
        _time("until", "Before, UTC", wanted.until),
        class_="filter",
    )
    asked = wanted.role != "champion" or bool(wanted.version or wanted.code or wanted.since or wanted.until)
    return tag(
        "form",
        choice("outcome", "What it did", OUTCOMES, wanted.outcome),
        choice("side", "Side", SIDES, wanted.side),
        choice("instrument", "Instrument", ("", *symbols), wanted.instrument),
        tag("div", tag("button", "Show", type="submit"), tag("a", "All", href="/decisions"), class_="buttons"),
        tag("details", tag("summary", "More conditions"), rare, open=asked),
        method="get",
        action="/decisions",
        class_="filter",
    )


def _time(name: str, label: str, value: str) -> Markup:
    return tag("label", tag("span", label), tag("input", type="datetime-local", name=name, value=value or None))


def rows(wanted: Filter, found: Sequence[Decided]) -> Markup:
    """Build lines of the list; the last one fetches more when it comes into sight."""
    if not found:
        said = "No further decisions." if wanted.before else "No decision fits. Take a condition away, or show all."
        return tag("tr", tag("td", said, colspan="8", class_="empty"))
    lines = [_row(each) for each in found]
    return join(lines, _further(wanted, found[-1].sequence) if len(found) >= PAGE else None)


def _further(wanted: Filter, before: int) -> Markup:
    asked = urlencode({k: v for k, v in msgspec.to_builtins(wanted).items() if v} | {"before": before})
    address = f"/decisions/rows?{asked}"
    link = tag("a", "Older decisions", href=f"/decisions?{asked}")
    return tag("tr", tag("td", link, colspan="8"), hx_get=address, hx_trigger="revealed", hx_swap="outerHTML")


def _row(each: Decided) -> Markup:
    cells: list[Markup | str] = [
        each.time[:23].replace("T", " ").removesuffix("Z"),
        each.instrument,
        tag("code", each.version[:8]),
        decimal_or_nothing(each.score, 4),
        compact_or_nothing(each.position),
        compact_or_nothing(each.target),
        did(each.quantity, each.verdict),
        tag("a", "Why?", href=f"/decisions/{each.sequence}", aria_label=f"Why decision {each.sequence}"),
    ]
    return tag("tr", (tag("td", cell, class_=kind or None) for cell, kind in zip(cells, ALIGN, strict=True)))


def decisions_table(found: Sequence[Decided], *, empty: str) -> Markup:
    """List a few decisions of different versions on one event."""
    cells = [
        (
            tag("a", tag("code", each.version[:16]), href=f"/versions/{each.version}"),
            each.role,
            decimal_or_nothing(each.score, 4),
            compact_or_nothing(each.target),
            tag("a", "Why?", href=f"/decisions/{each.sequence}", aria_label=f"Why decision {each.sequence}"),
        )
        for each in found
    ]
    return table(("Version", "Role", "Score", "Would hold", ""), cells, align="llrrl", empty=empty)
