"""``tradeworthy report``: one page about a run, what was found, a year, a version, or an order."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeworthy.apps.cli.options import HERE, Folder, Json, Subject, open_project
from tradeworthy.apps.cli.progress import waiting
from tradeworthy.apps.cli.show import show
from tradeworthy.core.errors import SettingsInvalid

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.apps.commands.results import Page

WAITING = {
    Subject.RUN: "replaying, verifying, drawing",
    Subject.MONITORING: "explaining what was found, drawing",
    Subject.RTS6: "verifying, reading the year",
    Subject.MODEL_CARD: "reading the version",
    Subject.DECISIONS: "reading the order",
}


def report(
    what: Annotated[
        Subject,
        typer.Argument(
            help="The run, all that was found, a year by RTS 6, a version's card, or one order's decisions."
        ),
    ] = Subject.RUN,
    project: Folder = HERE,
    *,
    year: Annotated[int | None, typer.Option(help="Of rts6: the calendar year, UTC.")] = None,
    version: Annotated[str, typer.Option(help="Of model-card: whose.")] = "champion",
    order: Annotated[str | None, typer.Option(help="Of decisions: the order's id.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write; in the state folder if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write one HTML file; of rts6, model-card and decisions the same as JSON beside it."""
    with waiting(WAITING[what]):
        desk = open_project(project)
        result = _write(desk, what, year=year, version=version, order=order, output=output)
    show(result, as_json=as_json)


def _write(
    desk: "Project", what: Subject, *, year: int | None, version: str, order: str | None, output: Path | None
) -> "Page":
    """Write what was asked for."""
    if what is Subject.RUN:
        return desk.report(output)
    if what is Subject.MONITORING:
        return desk.report_monitoring(output)
    which = {Subject.RTS6: year, Subject.MODEL_CARD: version, Subject.DECISIONS: order}[what]
    if which in {None, ""}:
        example = "--year 2026" if what is Subject.RTS6 else "--order 123"
        raise SettingsInvalid(f"a report on {what.value} needs to know which: add {example}")
    return desk.document(what.value, str(which), output)
