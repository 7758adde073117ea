"""``tradeworthy reconcile``, ``surveil``, ``stress`` and ``drill``: a desk examined, and the outcome kept as a fact."""

from pathlib import Path
from typing import Annotated

import typer

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Version, open_project
from tradeworthy.apps.cli.progress import waiting
from tradeworthy.apps.cli.show import finish

Why = Annotated[str, typer.Option("--reason", help="Why; recorded.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(reconcile)
    app.command()(surveil)
    app.command()(stress)
    app.command()(drill)


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
    finish(result, as_json=as_json, good=result.ok)


def surveil(project: Folder = HERE, *, actor: Actor, reason: Why = "surveillance", as_json: Json = False) -> None:
    """Look at the desk's own orders for what they could be taken for; exit code 1 where there is news."""
    with waiting("looking at our own orders"):
        result = open_project(project).surveil(actor=actor, reason=reason)
    finish(result, as_json=as_json, good=result.ok)


def stress(
    version: Version = "champion",
    project: Folder = HERE,
    *,
    factor: Annotated[float, typer.Option(help="Times the busiest second of the record.")] = 2.0,
    actor: Actor,
    reason: Why = "stress",
    as_json: Json = False,
) -> None:
    """Drive a version at twice the busiest load of the record, on a desk of its own; exit code 1 if it falls behind."""
    with waiting("driving the version"):
        result = open_project(project).stress(version, factor=factor, actor=actor, reason=reason)
    finish(result, as_json=as_json, good=result.ok)


def drill(project: Folder = HERE, *, actor: Actor, reason: Why = "rehearsal", as_json: Json = False) -> None:
    """Rehearse coming back after a kill, beside everything live; exit code 1 if the desk would not be as it was."""
    with waiting("coming back from a checkpoint"):
        result = open_project(project).rehearse_recovery(actor=actor, reason=reason)
    finish(result, as_json=as_json, good=result.ok)
