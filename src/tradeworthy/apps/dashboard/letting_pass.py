"""A refused order on its page: who has let it pass the check that refused it, and the form for the next person.

Idea:   two people of two roles, each with a reason and an end: then the next order of that instrument may pass that one
        check, once. What nobody may override is offered to nobody.
"""

from collections.abc import Sequence

from tradeworthy.apps.dashboard.around import Around
from tradeworthy.apps.dashboard.layout import Visit, entry, step_form
from tradeworthy.apps.explain.checking import Checked
from tradeworthy.apps.reports.formats import compact_or_nothing, plural
from tradeworthy.apps.reports.html import badge, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import minute
from tradeworthy.change.access.roles import roles_that_may
from tradeworthy.change.release.order_overrides import MINUTES_MAX, OVERRIDABLE, PEOPLE
from tradeworthy.core import facts
from tradeworthy.core.denials import DenialCode
from tradeworthy.record.ledger import Entry

MINUTES = 30
"""For how long the form asks at first."""


def letting_pass(visit: Visit, around: Around, entries: Sequence[Entry], now_ns: int) -> Markup | None:
    """Build the section; nothing for a decision that no check refused."""
    order, symbol = around.decision.sequence, around.decision.instrument
    denied = next((each for each in around.checks if each.outcome == "denied"), None)
    if denied is None or DenialCode[denied.code] not in OVERRIDABLE:
        return None
    given = [(e, e.fact) for e in entries if isinstance(e.fact, facts.OrderOverridden) and e.fact.order == order]
    over = [e.fact for e in entries if isinstance(e.fact, facts.OrderOverrideEnded) and e.fact.order == order]
    words = paragraph(
        f"What the check of {denied.name} has stopped may pass it once {PEOPLE} people of two roles say so, each with "
        f"a reason and for a time: then the next order of {symbol} may, and every other check holds as ever."
    )
    rows = [
        (
            entry.actor,
            ", ".join(fact.roles),
            entry.reason,
            compact_or_nothing(fact.up_to),
            minute(fact.until_ns),
            badge("expired", "warn") if fact.until_ns <= now_ns else "",
        )
        for entry, fact in given
    ]
    head = ("Who", "As", "Why", "Up to", "Until, UTC", "")
    listed = table(head, rows, align="lllrtl", empty="Nobody has let it pass.")
    end = paragraph(join("It is over: ", _how(over[0]), "."), "empty") if over else _form(visit, order, denied)
    return tag("section", tag("h2", "Letting it pass"), words, listed, end, id="passing")


def _how(ended: facts.OrderOverrideEnded) -> Markup | str:
    """Say how an override ended."""
    if not ended.sent:
        return ended.how
    return join("an order was sent, by ", tag("a", f"decision {ended.sent}", href=f"/decisions/{ended.sent}"))


def _form(visit: Visit, order: int, denied: Checked) -> Markup:
    """Return the form for those who may; to others, who could."""
    if not visit.may("override"):
        return paragraph(f"It needs the role {' or '.join(roles_that_may('override'))}.", "empty")
    longest = plural(MINUTES_MAX // 60, "hour")
    return step_form(
        visit,
        f"/do/decisions/{order}/override",
        "Let it pass",
        entry("minutes", f"For how many minutes; {longest} at most", inputmode="numeric", value=f"{MINUTES}", size="6"),
        entry(
            "up_to",
            f"What the check may reach, {denied.unit}; what it observed if empty",
            required=False,
            inputmode="decimal",
            size="12",
        ),
        tone="stop",
    )
