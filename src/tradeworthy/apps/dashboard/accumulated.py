"""How far automatic promotions have come from what a person last let act: drawn against what the policy allows.

Idea:   many small changes are a large one that nobody looked at; so their sum, component by component, is shown where
        versions are.
Units:  shares of a whole version, 0 to 1 a promotion; their sums may be larger.
"""

from collections.abc import Iterable, Sequence

from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.reports.bars import Bar, bar_chart
from tradeworthy.apps.reports.formats import decimal, plural
from tradeworthy.apps.reports.html import badge, code, more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.release.distance import COMPONENTS, counted, gone_by, too_far
from tradeworthy.change.release.standing import Standing
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import iso
from tradeworthy.record.ledger import Entry

APART = {
    "features": "features defined otherwise",
    "scores": "ranks of the scores",
    "reasons": "contributions attributed otherwise",
    "data": "time not learned from by both",
}
"""What each component measures."""


def accumulated_section(standing: Standing, allowed: float, entries: Sequence[Entry]) -> Markup | None:
    """Build the section; nothing before the first champion.

    Parameters
    ----------
    allowed : float
        How far automatic promotions may come by themselves, of a whole version.
    entries : sequence of Entry
        Every fact: each automatic promotion of the past is listed.
    """
    if not standing.champions:
        return None
    gone, since = gone_by(standing.champions, standing.steps)
    sums = {name: counted(getattr(gone, name)) for name in COMPONENTS}
    words = join(
        "Automatic promotions may come as far as ",
        decimal(allowed, 2),
        " of a whole version in each component; beyond it a person has to approve. They count from ",
        code(since[:8]) if since else "the beginning: no person let a champion act",
        ". ",
        badge(f"a person has to look: {', '.join(too_far(gone, allowed))}", "bad") if too_far(gone, allowed) else "",
    )
    if any(sums.values()):
        bars = [Bar(APART[name], value) for name, value in sums.items()]
        drawn = bar_chart("Come by itself", bars, unit="of a whole version", level=(allowed, "allowed"))
    else:
        drawn = paragraph("Nothing has come by itself since: a person let the present champion act.", "empty")
    waiting = tag("ul", (_waits(fact) for fact in standing.frozen.values())) if standing.frozen else None
    return tag(
        "section", tag("h2", "Come without a person"), paragraph(words), drawn, waiting, _past(standing, entries)
    )


def _waits(fact: facts.PromotionFrozen) -> Markup:
    """Say which challenger waits for a person, and why."""
    over = ", ".join(too_far(fact.gone, fact.allowed))
    address = f"/versions/{fact.version[:SHORT]}"
    return tag("li", tag("a", code(fact.version[:8]), href=address), f" waits for a person: too far in {over}.")


def _past(standing: Standing, entries: Iterable[Entry]) -> Markup | None:
    """List every promotion that nobody asked for, with what it added."""
    made = [(e, e.fact, e.fact.distance) for e in entries if isinstance(e.fact, facts.VersionPromoted)]
    rows = [
        (
            clock(iso(entry.ts_ns)),
            tag("a", code(fact.version[:8]), href=f"/versions/{fact.version[:SHORT]}"),
            fact.role,
            *(_share(getattr(step, name)) for name in COMPONENTS),
            "counts" if fact.version in standing.steps and fact.version in standing.champions else "no longer",
        )
        for entry, fact, step in reversed(made)
        if step is not None
    ]
    if not rows:
        return None
    head = ("Time, UTC", "Version", "Became", *(name.capitalize() for name in COMPONENTS), "")
    return more(plural(len(rows), "automatic promotion"), table(head, rows, align="tllrrrrl"))


def _share(component: float | None) -> Markup | str:
    return badge("not known: counts as 1", "warn") if component is None else decimal(component, 2)
