"""``tradeworthy reconcile``: what a desk must show about its orders, examined now and kept as a fact."""

from pathlib import Path
from typing import Annotated

import typer

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, open_project
from tradeworthy.apps.cli.progress import waiting
from tradeworthy.apps.cli.show import show

Why = Annotated[str, typer.Option("--reason", help="Why; recorded.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(reconcile)


def reconcile(
    project: Folder = HERE,
    *,
    statement: Annotated[
        Path | None, typer.Option(help="The venue's .csv or .json of fills; the paper venue's own if left out.")
    ] = None,
    actor: Actor,
    reason: Why = "reconciliation",
    as_json: Json = False,
) -> None:
    """Compare orders, fills and positions with the venue's own account; exit code 1 where they differ."""
    with waiting("comparing with the venue's account"):
        result = open_project(project).reconcile(statement, actor=actor, reason=reason)
    show(result, as_json=as_json)
    if not result.ok:
        raise typer.Exit(1)
