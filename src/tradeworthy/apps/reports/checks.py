"""The controls of one order as a table, on the page and in files alike: what each saw, what it allows, how near it was.

Undefined: a number that cannot be told is blank, with the reason below; one that is not set refuses, and stands out.
"""

from collections.abc import Sequence

from tradeworthy.apps.explain.checking import Checked
from tradeworthy.apps.reports.formats import compact_or_nothing
from tradeworthy.apps.reports.html import Tone, badge, meter, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join

_TONES: dict[str, Tone] = {"passed": "good", "denied": "bad", "would deny": "warn"}


def checks_table(checks: Sequence[Checked], untold: str) -> Markup:
    """List controls in the order in which they are asked; `untold` says why numbers are missing, if they are."""
    head = ("Check", "", "Observed", "Limit", "Unit", "Used")
    cells = [_row(check, told=not untold) for check in checks]
    return join(table(head, cells, align="llrrll"), paragraph(untold, "empty") if untold else None)


def _row(check: Checked, *, told: bool) -> tuple[Markup | str, ...]:
    missing = told and check.limit is None and check.outcome != "not asked"
    return (
        check.name,
        badge(check.outcome, _TONES.get(check.outcome, "")),
        compact_or_nothing(check.observed) or check.said,
        badge("not set", "warn") if missing else compact_or_nothing(check.limit),
        check.unit,
        "" if check.used is None else meter(check.name, check.used),
    )
