"""``tradeworthy limits``: what every order is held to, and how one limit is changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, open_project
from tradeworthy.apps.cli.show import cell, console, show
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.limits import LIMIT_FIELDS

if TYPE_CHECKING:
    from tradeworthy.apps.commands.limiting import LimitsShown

app = typer.Typer(help="Show what every order is held to; change one limit.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def limits(context: typer.Context, project: Folder = HERE, *, as_json: Json = False) -> None:
    """Show the limits that stand, by scope, beside the champion's bounds; of all of them the tightest counts."""
    if context.invoked_subcommand is not None:
        context.obj = project
        return
    found = open_project(project).limits()
    if as_json:
        show(found, as_json=True)
        return
    console.print(_table(found))


@app.command("set")
def set_(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(help="desk, or a symbol (or instrument:SYMBOL).")],
    name: Annotated[str, typer.Argument(help="Such as order_value_max.")],
    value: Annotated[str, typer.Argument(help="A number; none takes it away, and then what needs it is refused.")],
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Change one limit of a scope, from the next event on."""
    from tradeworthy.apps.commands.limiting import UNSET  # noqa: PLC0415

    try:
        number = None if value == UNSET else float(value)
    except ValueError:
        raise SettingsInvalid(f"the value is {value!r}, allowed is a number of zero or more, or {UNSET}") from None
    folder: Path = project if project != HERE else context.obj
    show(open_project(folder).set_limit(scope, name, number, actor=actor, reason=reason), as_json=as_json)


def _table(found: "LimitsShown") -> Table:
    """Lay limits out: a line each, a column a scope."""
    table = Table("limit", box=None, pad_edge=False)
    columns = [*found.scopes.items(), *([] if found.bounds is None else [("champion's bound", found.bounds)])]
    for head, _ in columns:
        table.add_column(head.removeprefix("instrument:"), justify="right")
    for name in LIMIT_FIELDS:
        values = (getattr(each, name) for _, each in columns)
        table.add_row(name, *("not set" if value is None else str(cell(value)) for value in values))
    return table
