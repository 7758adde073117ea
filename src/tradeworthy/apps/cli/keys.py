"""``tradeworthy keys``: who may use the port."""

from typing import Annotated

import typer

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, open_project
from tradeworthy.apps.cli.show import console, show

app = typer.Typer(help="Make, list and revoke the API keys of the port.", no_args_is_help=True)

Scopes = Annotated[
    list[str],
    typer.Option("--scope", "-s", help="infer, outcomes, explain, admin, risk or approve; may be given several times."),
]


@app.command()
def create(
    owner: Annotated[str, typer.Argument(help="Who will use it.")],
    project: Folder = HERE,
    *,
    scope: Scopes,
    rate: Annotated[float | None, typer.Option(help="Requests a second; no bound if left out.")] = None,
    rows_per_day: Annotated[int | None, typer.Option(help="Rows and events a UTC day; no bound if left out.")] = None,
    days: Annotated[float | None, typer.Option(help="How long it is good; for ever if left out.")] = None,
    actor: Actor,
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded.")] = "made by hand",
    as_json: Json = False,
) -> None:
    """Make a key. Its secret is shown once and kept nowhere."""
    from tradeworthy.apps.commands.access import create_key  # noqa: PLC0415

    made = create_key(
        open_project(project),
        owner,
        scope,
        rate_per_s=rate,
        rows_per_day=rows_per_day,
        days=days,
        actor=actor,
        reason=reason,
    )
    if as_json:
        show(made, as_json=True)
        return
    show(made.key, as_json=False)
    console.print("secret, shown only now; send it as Authorization: Bearer", style="bold")
    console.print(made.secret, soft_wrap=True, highlight=False)


@app.command("list")
def list_(project: Folder = HERE, *, as_json: Json = False) -> None:
    """List every key, without its secret."""
    from tradeworthy.apps.commands.access import list_keys  # noqa: PLC0415

    found = list_keys(open_project(project))
    if as_json or found.keys:
        show(found, as_json=as_json)
    else:
        console.print("no key was made, nobody may use the port; run: tradeworthy keys create", soft_wrap=True)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id, as listed.")],
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Take a key back; running ports refuse it within a second."""
    from tradeworthy.apps.commands.access import revoke_key  # noqa: PLC0415

    show(revoke_key(open_project(project), key, actor=actor, reason=reason), as_json=as_json)
