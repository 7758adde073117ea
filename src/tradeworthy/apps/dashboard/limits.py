"""Limits on the page: by scope, beside the champion's bounds, and what a change would change before it is made."""

from collections.abc import Mapping

from tradeworthy.apps.dashboard.layout import Visit, entry, form
from tradeworthy.apps.dashboard.telling import NEWLY_SET, TIGHTER, meaning
from tradeworthy.apps.deployment.limits import SCOPE
from tradeworthy.apps.reports.html import badge, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.core.limits import LIMIT_FIELDS, Limits, limit_in_words

UNITS = {"bps": "bps", "value": "currency", "quantity": "units", "minute": "a minute", "ms": "ms", "orders": "in a row"}


def limits_section(visit: Visit, scopes: Mapping[str, Limits], bounds: Limits | None) -> Markup:
    """Build the limits of the desk, and below them those of each instrument, folded away."""
    words = paragraph(
        "Of the desk's limit, an instrument's and the champion's bound the tightest counts. A limit that neither the "
        "desk nor the instrument sets refuses every order that needs it."
    )
    others = [
        tag(
            "details",
            tag("summary", f"Limits of {scope.removeprefix('instrument:')}", _count(limits)),
            _scope(visit, scope, limits, bounds),
            open=limits != Limits(),
        )
        for scope, limits in scopes.items()
        if scope != SCOPE
    ]
    return join(words, _scope(visit, SCOPE, scopes.get(SCOPE, Limits()), bounds), *others)


def _count(limits: Limits) -> str:
    """Say how many limits an instrument has of its own."""
    own = len(LIMIT_FIELDS) - len(limits.missing())
    return f": {own} of its own" if own else ": none of its own"


def _scope(visit: Visit, scope: str, limits: Limits, bounds: Limits | None) -> Markup:
    """Build the limits of one scope: to be changed by those who may, to be read by the others."""
    may_change = visit.may("limits")
    rows = [
        (
            limit_in_words(name),
            _field(scope, name, getattr(limits, name)) if may_change else value_of(getattr(limits, name)),
            "" if bounds is None else _bound(getattr(bounds, name)),
            unit_of(name),
        )
        for name in LIMIT_FIELDS
    ]
    head = ("Limit", "Desk" if scope == SCOPE else scope.removeprefix("instrument:"), "Champion's bound", "Unit")
    listed = table(head, rows, align="lrrl")
    if not may_change:
        return join(listed, paragraph("Changing limits needs the role risk.", "empty"))
    hidden = tag("input", type="hidden", name="scope", value=scope)
    button = tag("div", tag("button", "See what would change", type="submit"), class_="buttons")
    return form(visit, "/do/settings/limits/review", hidden, listed, button, class_="form wide")


def review_view(visit: Visit, scope: str, before: Limits, after: Limits, bounds: Limits | None) -> Markup:
    """Build the page between asking for a change and making it: each limit that would differ, and what it means."""
    changed = [name for name in LIMIT_FIELDS if getattr(before, name) != getattr(after, name)]
    back = tag("a", "Back to settings", href="/settings")
    if not changed:
        return join(paragraph("No limit differs; there is nothing to change."), back)
    rows = [
        (
            limit_in_words(name),
            value_of(getattr(before, name)),
            value_of(getattr(after, name)),
            unit_of(name),
            _meaning(name, before, after, bounds),
        )
        for name in changed
    ]
    fields = [
        tag("input", type="hidden", name=name, value=_text(getattr(after, name)))
        for name in LIMIT_FIELDS
        if getattr(after, name) is not None
    ]
    buttons = tag("div", tag("button", "Change limits", type="submit"), back, class_="buttons")
    scoped = tag("input", type="hidden", name="scope", value=scope)
    return join(
        table(("Limit", "Now", "Then", "Unit", "Which"), rows, align="lrrll"),
        form(visit, "/do/settings/limits", scoped, *fields, entry("reason", "Reason"), buttons),
    )


def _meaning(name: str, before: Limits, after: Limits, bounds: Limits | None) -> Markup:
    """Mark what a change means: good where it takes risk away, a warning where it gives risk or leaves a gap."""
    said = meaning(name, before, after, bounds)
    return badge(said, "good" if said == TIGHTER else "" if said == NEWLY_SET else "warn")


def unit_of(name: str) -> str:
    """Return a limit's unit."""
    return next((unit for word, unit in UNITS.items() if word in name.split("_")), "")


def value_of(value: float | None) -> Markup | str:
    """Write a limit; one that is missing stands out, because it refuses."""
    return badge("not set", "warn") if value is None else f"{value:,.12g}"


def _bound(value: float | None) -> Markup | str:
    return tag("span", "none", class_="empty") if value is None else f"{value:,.12g}"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _field(scope: str, name: str, value: float | None) -> Markup:
    label = f"{limit_in_words(name)} of {scope.removeprefix('instrument:')}"
    return tag(
        "input", name=name, value=_text(value), inputmode="decimal", size="12", aria_label=label, class_="number"
    )
