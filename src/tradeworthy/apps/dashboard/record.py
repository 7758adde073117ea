"""The view of the record: is it what was written, how large is it, who did what, and a box for questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tradeworthy.apps.commands.results import Verified
from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.dashboard.layout import Visit, form
from tradeworthy.apps.reports.html import KeyFigure, badge, code, key_figures, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag

EXAMPLE = "SELECT version, count(*) AS decisions FROM decisions GROUP BY version"


@dataclass(frozen=True, slots=True)
class Storage:
    """One stream of the tape: its segments and what they take on the disk."""

    stream: str
    segments: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FactLine:
    """One fact of the ledger: who did what when, and why."""

    number: int
    time: str
    kind: str
    said: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what came of it."""

    sql: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    failure: str = ""


def record_view(
    visit: Visit, storage: Sequence[Storage], free_bytes: int, facts: Sequence[FactLine], verified: Verified | None
) -> Markup:
    """Build the view."""
    return join(
        tag("section", tag("h2", "Is it what was written?"), _verified(visit, verified)),
        tag("section", tag("h2", "Storage"), _storage(storage, free_bytes)),
        tag("section", tag("h2", "Who did what"), facts_table(facts)),
        tag("section", tag("h2", "Ask the record"), query_form(visit, Asked(sql=EXAMPLE)))
        if visit.may("query")
        else None,
    )


def _verified(visit: Visit, verified: Verified | None) -> Markup:
    button = form(visit, "/do/record/verify", tag("button", "Verify now", type="submit"))
    if verified is None:
        return join(paragraph("Not verified since this page's process started.", "empty"), button)
    figures = key_figures(
        [
            KeyFigure("Record", "whole" if verified.ok else "damaged", tone="good" if verified.ok else "bad"),
            KeyFigure("Records", f"{verified.records:,}"),
            KeyFigure("Size", f"{verified.size_bytes / 1e6:,.1f}", "MB"),
            KeyFigure("Facts", f"{verified.facts:,}"),
            KeyFigure("Versions", f"{verified.versions:,}"),
        ]
    )
    said = [tag("li", each) for each in (*verified.problems, *verified.notes)]
    return join(figures, tag("ul", said, class_="sentences") if said else None, button)


def _storage(storage: Sequence[Storage], free_bytes: int) -> Markup:
    rows = [(code(each.stream), f"{each.segments:,}", f"{each.size_bytes / 1e6:,.1f}") for each in storage]
    total = sum(each.size_bytes for each in storage) / 1e6
    return join(
        table(("Stream", "Segments", "MB"), rows, align="lrr", empty="Nothing is recorded yet."),
        paragraph(f"{total:,.1f} MB in all, {free_bytes / 1e9:,.1f} GB free on this disk."),
    )


def facts_table(facts: Sequence[FactLine]) -> Markup:
    """List facts, the newest first."""
    rows = [
        (
            str(each.number),
            clock(each.time),
            badge(each.kind),
            each.said,
            each.actor,
            each.reason if each.reason != each.said else "",
        )
        for each in facts
    ]
    return table(("", "Time, UTC", "Fact", "What", "Who", "Why"), rows, align="rtllll")


def query_form(visit: Visit, asked: Asked) -> Markup:
    """Return the box for a question, with the answer below it."""
    box = tag("textarea", asked.sql, name="sql", rows="3", required=True, spellcheck="false", aria_label="SQL")
    hint = paragraph("One SELECT over inputs, decisions, orders, rows, facts; nothing can be changed.", "empty")
    return join(form(visit, "/do/record/query", box, tag("button", "Ask", type="submit")), hint, _answer(asked))


def _answer(asked: Asked) -> Markup | None:
    if asked.failure:
        return tag("p", asked.failure, class_="told bad", role="alert")
    if not asked.columns:
        return None
    rows = [["" if cell is None else str(cell) for cell in row] for row in asked.rows]
    return table(asked.columns, rows, empty="No rows.")
