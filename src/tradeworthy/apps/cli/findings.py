"""``tradeworthy findings``: what monitors found, and what people did about it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, open_project
from tradeworthy.apps.cli.show import console, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeworthy.apps.commands.handling import CaseLine

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
        console.print(cases_view(found.cases), soft_wrap=True)
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


def cases_view(cases: "Sequence[CaseLine]") -> Text:
    """Lay out cases: a line of figures each, what was found in words below it."""
    view = Text()
    for case in cases:
        view.append(f"{case.number:>5}  ")
        view.append(f"{case.state:<12}", style=STYLES[case.state])
        view.append(f"  {case.severity:<8}", style="bold red" if case.severity == "critical" else "")
        times = "once" if case.count == 1 else f"{case.count:,} times, last {case.last[:16]}"
        view.append(f"  {case.monitor}: {case.subject}, {case.first[:16]}, {times}\n")
        view.append(f"       {case.sentence}\n")
        if case.others:
            view.append(f"       with it: {', '.join(case.others)}\n", style="dim")
        if case.actor:
            view.append(f"       {case.state} by {case.actor}: {case.reason}\n", style="dim")
    view.rstrip()
    return view
