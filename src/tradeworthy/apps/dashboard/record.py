"""The view of the record: is it what was written, how large is it and how long kept, who did what, and two ways out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from tradeworthy.apps.commands.exporting import FORMATS, ROWS_MAX, TABLES
from tradeworthy.apps.commands.results import Verified
from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.dashboard.layout import Visit, choice, entry, form
from tradeworthy.apps.dashboard.storing import SOON_DAYS, Storage, Stored
from tradeworthy.apps.dashboard.telling import FactLine
from tradeworthy.apps.reports.formats import plural, size
from tradeworthy.apps.reports.html import KeyFigure, badge, code, key_figures, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag

EXAMPLE = "SELECT version_name, count(*) AS decisions FROM decisions GROUP BY ALL"
PAGE = 30


class FactFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which facts are wanted: of a kind, by somebody, below a number; any where empty."""

    kind: str = ""
    actor: str = ""
    before: int | None = None

    def wants(self, line: FactLine) -> bool:
        """Tell whether a fact is wanted."""
        below = self.before is None or line.number < self.before
        return below and self.kind in ("", line.kind) and self.actor in ("", line.actor)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what came of it."""

    sql: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    more: bool = False
    failure: str = ""


def record_view(
    visit: Visit, storage: Storage | None, facts: Sequence[FactLine], wanted: FactFilter, verified: Verified | None
) -> Markup:
    """Build the view; of all facts, newest first, the first page of those that are wanted is shown."""
    may_ask = visit.may("query")
    parts = {
        "Is it what was written?": _verified(visit, verified),
        "What it takes, and what goes": _storage(storage),
        "Who did what": _facts(facts, wanted),
        "Take a period along": export_form() if may_ask else None,
        "Ask the record": query_form(visit, Asked(sql=EXAMPLE)) if may_ask else None,
    }
    return join(tag("section", tag("h2", heading), content) for heading, content in parts.items() if content)


def _verified(visit: Visit, verified: Verified | None) -> Markup:
    button = form(visit, "/do/record/verify", tag("div", tag("button", "Verify now", type="submit"), class_="buttons"))
    if verified is None:
        return join(paragraph("Not verified since this page's process started.", "empty"), button)
    figures = key_figures(
        [
            KeyFigure("Record", "whole" if verified.ok else "damaged", tone="good" if verified.ok else "bad"),
            KeyFigure("Records", f"{verified.records:,}", remark=size(verified.size_bytes)),
            KeyFigure("Facts", f"{verified.facts:,}"),
            KeyFigure("Versions", f"{verified.versions:,}"),
        ]
    )
    said = [tag("li", each) for each in (*verified.problems, *verified.notes)]
    return join(figures, tag("ul", said, class_="sentences") if said else None, button)


def _storage(storage: Storage | None) -> Markup:
    if storage is None:
        return paragraph("Nothing is recorded yet; run: tradeworthy run", "empty")
    used, budget = storage.usage, storage.budget_gb
    every = storage.archived_every_s
    figures = key_figures(
        [
            KeyFigure("On the tape", size(used.tape_bytes), remark=f"{size(used.day_bytes)} within a day"),
            KeyFigure("In the archive", size(used.archive_bytes), remark=_archiving(every)),
            KeyFigure("Budget", "none" if budget is None else f"{budget:g} GB", remark="of both together"),
            KeyFigure("Free", size(used.free_bytes), remark=f"{storage.free_min_gb:g} GB must stay free"),
        ]
    )
    rows = [_stream(each) for each in storage.streams]
    head = ("Stream", "On the tape", "", "Archived", "", "Kept", "Goes next", f"Within {SOON_DAYS} days")
    return join(figures, table(head, rows, align="lrrrrlrr"), _holds(storage))


def _archiving(every_s: float | None) -> str:
    return "when somebody archives" if every_s is None else f"moved there every {every_s / 3600:,.4g} h"


def _stream(each: Stored) -> tuple[Markup | str, ...]:
    return (
        code(each.stream),
        plural(each.segments, "segment"),
        size(each.tape_bytes),
        plural(each.archived, "segment") if each.archived else "none",
        size(each.archive_bytes) if each.archived else "",
        "for ever" if each.kept_days is None else f"{each.kept_days:g} days",
        f"{each.due:,}" if each.due else "nothing",
        f"{each.due_soon:,}" if each.due_soon else "nothing",
    )


def _holds(storage: Storage) -> Markup:
    """Say what keeps segments from going, whatever their age."""
    if not storage.holds:
        return paragraph("No legal hold is in force. How long streams are kept: [archive.keep_days].", "empty")
    held = (f"{hold.name} on {', '.join(hold.streams)}" for hold in storage.holds)
    return paragraph(join(badge("legal hold", "warn"), " ", "; ".join(held), ": nothing that it covers goes."))


def _facts(facts: Sequence[FactLine], wanted: FactFilter) -> Markup:
    """List a page of facts with the choice of whose and which."""
    kinds, actors = sorted({each.kind for each in facts}), sorted({each.actor for each in facts})
    chooser = tag(
        "form",
        choice("kind", "Fact", ("", *kinds), wanted.kind),
        choice("actor", "Who", ("", *actors), wanted.actor),
        tag("div", tag("button", "Show", type="submit"), tag("a", "All", href="/record#facts"), class_="buttons"),
        method="get",
        action="/record#facts",
        class_="filter",
    )
    chosen = [each for each in facts if wanted.wants(each)]
    older = None
    if len(chosen) > PAGE:
        asked = {"kind": wanted.kind, "actor": wanted.actor, "before": chosen[PAGE - 1].number}
        older = tag("p", tag("a", "Older facts", href=f"/record?{urlencode(asked)}#facts"))
    return tag("div", chooser, facts_table(chosen[:PAGE]), older, id="facts", class_="stack")


def facts_table(facts: Sequence[FactLine]) -> Markup:
    """List facts, the newest first."""
    rows = [(str(each.number), clock(each.time), badge(each.kind), each.said, each.actor, each.why) for each in facts]
    head = ("No.", "Time, UTC", "Fact", "What", "Who", "Why")
    return table(head, rows, align="rtllll", empty="No fact fits. Take a condition away, or show all.")


def export_form() -> Markup:
    """Return the form that downloads a period of a table."""
    return join(
        tag(
            "form",
            choice("table", "Table", list(TABLES), "decisions"),
            entry("since", "From, UTC", required=False, type_="datetime-local"),
            entry("until", "Before, UTC", required=False, type_="datetime-local"),
            choice("form", "As", list(FORMATS), "csv"),
            tag("div", tag("button", "Download", type="submit"), class_="buttons"),
            method="get",
            action="/record/export",
            class_="filter",
        ),
        paragraph(f"Whole or not at all: a period of more than {ROWS_MAX:,} rows is refused.", "empty"),
    )


def query_form(visit: Visit, asked: Asked) -> Markup:
    """Return the box for a question, with the answer below it."""
    box = tag("textarea", asked.sql, name="sql", rows="3", required=True, spellcheck="false", aria_label="SQL")
    hint = paragraph(
        "One SELECT over decisions, orders, fills, rows, pnl_by_day, facts and more: SHOW TABLES. It only reads.",
        "empty",
    )
    button = tag("div", tag("button", "Ask", type="submit"), class_="buttons")
    return join(form(visit, "/do/record/query", box, button), hint, _answer(asked))


def _answer(asked: Asked) -> Markup | None:
    if asked.failure:
        return tag("p", asked.failure, class_="told bad", role="alert")
    if not asked.columns:
        return None
    numbers = [all(isinstance(row[place], int | float) for row in asked.rows) for place in range(len(asked.columns))]
    rows = [[_cell(cell) for cell in row] for row in asked.rows]
    align = "".join("r" if number and rows else "l" for number in numbers)
    more = paragraph(f"There are more rows; the first {len(rows):,} are shown.", "empty") if asked.more else None
    return join(table(asked.columns, rows, align=align, empty="No rows."), more)


def _cell(cell: Any) -> str:
    return "" if cell is None else f"{cell:,.10g}" if isinstance(cell, float) else str(cell)
