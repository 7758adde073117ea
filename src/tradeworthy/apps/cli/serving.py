"""``tradeworthy serve``: the inference port, with an engine behind it."""

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tradeworthy.apps.cli.options import HERE, Folder, Json, open_project
from tradeworthy.apps.cli.show import console, errors, finish, show

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project
    from tradeworthy.apps.deployment.desk import Alongside

Host = Annotated[str | None, typer.Option(help="Address to listen on; that of the settings if left out.")]
PortNumber = Annotated[int | None, typer.Option(help="TCP port; that of the settings if left out.", min=0, max=65_535)]
PortBeside = Annotated[
    int | None, typer.Option("--port", help="Open the inference port here, beside the feed.", min=0, max=65_535)
]
WorkerCount = Annotated[
    int | None, typer.Option(help="Further processes that score rows, at an address of their own.", min=0)
]
RowsPort = Annotated[int | None, typer.Option(help="TCP port of that address.", min=0, max=65_535)]
Socket = Annotated[str | None, typer.Option(help="Path of a unix socket to listen on instead.")]


def beside(desk: "Project", port: int | None) -> "list[Alongside]":
    """Return the port that a run opens, if one was asked for."""
    if port is None:
        return []
    from tradeworthy.apps.server.serving import changed, port_beside  # noqa: PLC0415

    def opened(addresses: list[str]) -> None:
        errors.print(f"listening on {', '.join(addresses)}")

    return [port_beside(settings=changed(desk.settings.serve, port=port), opened=opened)]


def serve(
    project: Folder = HERE,
    *,
    host: Host = None,
    port: PortNumber = None,
    socket: Socket = None,
    workers: WorkerCount = None,
    rows_port: RowsPort = None,
    watch: Annotated[bool, typer.Option(help="Run the watcher beside the engine.")] = True,
    as_json: Json = False,
) -> None:
    """Serve the champion over HTTP: events and rows in, decisions and scores out; Ctrl-C ends."""
    from tradeworthy.apps.server.serving import changed, serve_project  # noqa: PLC0415

    desk = open_project(project)
    settings = changed(desk.settings.serve, host=host, port=port, socket=socket, workers=workers, rows_port=rows_port)

    def opened(addresses: list[str]) -> None:
        if as_json:
            sys.stdout.write(msgspec.json.encode({"listening": addresses}).decode() + "\n")
            sys.stdout.flush()
        else:
            console.print(f"listening on {', '.join(addresses)}; Ctrl-C ends", soft_wrap=True)

    show(serve_project(desk, settings=settings, watch=watch, opened=opened), as_json=as_json)


def rescore(
    project: Folder = HERE,
    *,
    against: Annotated[str | None, typer.Option(help="Version that scores; the one that answered if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Score the recorded stateless requests again; without --against, exit code 1 where a bit differs."""
    from tradeworthy.apps.server.rescoring import rescore as score_again  # noqa: PLC0415

    found = score_again(open_project(project), against=against)
    finish(found, as_json=as_json, good=against is not None or found.identical)
