"""``tradeworthy findings``: what monitors found, and what people did about it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, open_project
from tradeworthy.apps.cli.show import console, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeworthy.apps.handling import CaseLine

app = typer.Typer(help="List what monitors found; acknowledge it; close it.", no_args_is_help=False)

Number = Annotated[int, typer.Argument(help="Number of the finding, as listed.")]
STYLES = {"open": "bold yellow", "acknowledged": "cyan", "closed": "dim"}


@app.callback(invoke_without_command=True)
def findings(
    context: typer.Context,
    project: Folder = HERE,
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that nobody has closed.")] = False,
    as_json: Json = False,
) -> None:
    """List what monitors found, repeats of one cause as one line."""
    if context.invoked_subcommand is not None:
        context.obj = project
        return
    found = open_project(project).findings(open_only=open_only)
    if as_json:
        show(found, as_json=True)
    elif found.cases:
        console.print(cases_table(found.cases))
    else:
        console.print("nothing is open" if open_only else "nothing was found")


@app.command()
def ack(
    context: typer.Context,
    number: Number,
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Take on a finding; its repeats are no longer told unless they are graver."""
    folder = project if project != HERE else context.obj
    show(open_project(folder).acknowledge(number, actor=actor, reason=reason), as_json=as_json)


@app.command()
def close(
    context: typer.Context,
    number: Number,
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Settle a finding; the next one of the same cause opens a new case."""
    folder = project if project != HERE else context.obj
    show(open_project(folder).close_finding(number, actor=actor, reason=reason), as_json=as_json)


def cases_table(cases: "Sequence[CaseLine]") -> Table:
    """Lay out cases, a line each, with the last finding in words below."""
    table = Table("number", "state", "severity", "finding", "times", "first", "last", box=None, pad_edge=False)
    for case in cases:
        words = Text(case.sentence)
        if case.actor:
            words.append(f"\n{case.state} by {case.actor}: {case.reason}", style="dim")
        table.add_row(
            str(case.number),
            Text(case.state, style=STYLES[case.state]),
            Text(case.severity, style="bold red" if case.severity == "critical" else ""),
            words,
            f"{case.count:,}",
            case.first[:16],
            case.last[:16],
        )
    return table
