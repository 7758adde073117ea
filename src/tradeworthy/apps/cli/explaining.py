"""``tradeworthy explain`` and ``tradeworthy reasons``: why a decision was made, and in which words it is said."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.cli.options import HERE, Folder, Json, Version, open_project
from tradeworthy.apps.cli.progress import bar, waiting
from tradeworthy.apps.cli.show import console, finish, show
from tradeworthy.core.errors import NotFound

if TYPE_CHECKING:
    from tradeworthy.apps.explain.explained import Compared, Explained

Decision = Annotated[str, typer.Argument(help="A decision's tape sequence, order:N, a UTC time, or largest.")]
Since = Annotated[str, typer.Option("--since", help="Say why the score moved from this decision to the one named.")]
Under = Annotated[str, typer.Option("--under", help="Say why this version scores the same event differently.")]
Against = Annotated[str, typer.Option(help="Baseline: training, background or typical; the project's if left out.")]
Page = Annotated[Path | None, typer.Option("--html", help="Also draw it on one self-contained page.")]
Bulk = Annotated[Path | None, typer.Option(help="Explain every decision into this Parquet file instead.")]


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(explain)
    app.command()(reasons)


def explain(
    decision: Decision = "largest",
    project: Folder = HERE,
    *,
    since: Since = "",
    under: Under = "",
    against: Against = "",
    html: Page = None,
    bulk: Bulk = None,
    as_json: Json = False,
) -> None:
    """Say why a decision was made: exact contributions that sum to the score; or why two scores differ."""
    desk = open_project(project)
    asked = [name for name, given in (("--since", since), ("--under", under), ("--bulk", bulk)) if given]
    if len(asked) > 1 or (asked and (html or against)):
        raise NotFound(f"{asked[0]} stands alone; leave out --html, --against and every other of its kind")
    if bulk is not None:
        with bar("explaining") as report:
            done = desk.explain_all(bulk, report=report)
        show(done, as_json=as_json)
        return
    if since or under:
        with waiting("explaining"):
            compared = desk.explain_since(decision, since) if since else desk.explain_under(decision, under)
        show_compared(compared, as_json=as_json)
        return
    with waiting("explaining"):
        found = desk.explain(decision, against=against)
    if html is not None:
        from tradeworthy.apps.reports.explanation_page import render_explanation  # noqa: PLC0415

        html.write_text(render_explanation(found, desk.timestamp()), encoding="utf-8")
    show_explanation(found, as_json=as_json)


def reasons(version: Version = "newest", project: Folder = HERE, *, as_json: Json = False) -> None:
    """Check that every feature has a reason code; write a catalogue to start from. Exit code 1 if one has none."""
    found = open_project(project).reasons(version)
    finish(found, as_json=as_json, good=not found.missing)


def show_explanation(found: "Explained", *, as_json: bool) -> None:
    """Print why a decision was made: in words, then every contribution, then what would have changed it."""
    if as_json:
        show(found, as_json=True)
        return
    console.print(Text(found.said))
    if found.reasons:
        console.print(_contributions(found))
        prior = f" + prior correction {found.prior:+.6f}" if found.prior else ""
        console.print(
            f"baseline {found.baseline:+.6f}{prior} + contributions = margin {found.margin:+.6f} "
            f"(off by {found.sum_error:.1e}), score {found.score:.6f}"
        )
    if found.counterfactual is not None:
        console.print(Text(found.counterfactual.sentence))
    if found.checks:
        console.print(_checks(found))
    if found.checks_untold:
        console.print(Text(found.checks_untold))
    if found.codes is not None and found.codes.codes:
        console.print(Text(f"Reasons against (catalogue {found.codes.catalogue}, {found.codes.digest[:16]}):"))
        for code in found.codes.codes:
            console.print(Text(f"  {code.code}  {code.text}"))
    again = "the recorded score to the last bit" if found.identical else "NOT the recorded score"
    console.print(
        Text(f"{found.method}; decision {found.decision} of version {found.version[:16]}; computed again: {again}")
    )


def show_compared(found: "Compared", *, as_json: bool) -> None:
    """Print why two scores differ: in words, then by features."""
    if as_json:
        show(found, as_json=True)
        return
    console.print(Text(found.said))
    table = Table("feature", "before", "after", "contribution", box=None, pad_edge=False)
    for part in found.difference.parts:
        table.add_row(escape(part.feature), f"{part.before:.6g}", f"{part.after:.6g}", f"{part.contribution:+.6f}")
    console.print(table)
    split = found.difference
    apart = f" + baselines {split.unattributed:+.6f}" if split.unattributed else ""
    console.print(
        f"margin {split.before:+.6f}{apart} + contributions = {split.after:+.6f} (off by {split.sum_error:.1e})"
    )
    console.print(Text(split.method))


def _contributions(found: "Explained") -> Table:
    """Lay out every contribution; a star marks those that alone kept the decision."""
    surely = any(reason.error for reason in found.reasons)
    table = Table("feature", "value", "contribution", *(["± error"] if surely else []), "", box=None, pad_edge=False)
    for reason in found.reasons:
        error = [f"{reason.error:.2g}"] if surely else []
        mark = "decisive" if reason.decides else ""
        table.add_row(escape(reason.feature), f"{reason.value:.6g}", f"{reason.contribution:+.6f}", *error, mark)
    return table


def _checks(found: "Explained") -> Table:
    """Lay out what the order was checked for; a number that nothing tells is blank."""
    table = Table("check", "", "observed", "limit", "unit", box=None, pad_edge=False)
    for check in found.checks:
        observed, limit = ("" if value is None else f"{value:,.6g}" for value in (check.observed, check.limit))
        table.add_row(check.name, check.outcome, observed or check.said, limit, check.unit)
    return table
