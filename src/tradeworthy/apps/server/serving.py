"""`tradeworthy serve`: an engine without a feed of its own; events and rows come through the port.

Flow:   companions start → the engine resumes from the tape → the port opens → SIGTERM or SIGINT → the port closes →
        the engine keeps a checkpoint → companions end.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import uvloop

from tradeworthy.apps.commands import results
from tradeworthy.apps.deployment.desk import (
    Alongside,
    AtWork,
    Running,
    all_of,
    at_work,
    collector_off,
    record_settings,
    require_champion,
    until_told,
)
from tradeworthy.apps.deployment.keeping import keep_summary
from tradeworthy.apps.feed.figures import written
from tradeworthy.apps.server.port import Port
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.apps.server.workers import Workers
from tradeworthy.core.time import NS_PER_S
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed
from tradeworthy.live.feeds.pushed import PushedFeed
from tradeworthy.live.summary import RunSummary

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Opened = Callable[[list[str]], None]


def serve_project(
    project: "Project", *, settings: ServeSettings | None = None, watch: bool = True, opened: Opened | None = None
) -> results.Run:
    """Serve until told to stop.

    Parameters
    ----------
    project : Project
        The deployment.
    settings : ServeSettings, optional
        In place of the project's.
    watch : bool
        Run the watcher beside the engine.
    opened : callable, optional
        Told the addresses when the port is open.

    Raises
    ------
    ReleaseRefused
        No version is champion.
    RecordUnwritable, RecordBusy
        The tape failed, or another engine took it over.
    """
    require_champion(project)
    record_settings(project)
    started_ns = project.clock.monotonic_ns()
    with at_work(project, project.clock, watch=watch, market_past=True) as work:  # callers stamp events as they like
        port = port_beside(settings=settings, opened=opened)
        with collector_off(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            summary = runner.run(_serve(project, work, port))
    keep_summary(project, summary)
    return results.Run.of(summary, (project.clock.monotonic_ns() - started_ns) / NS_PER_S)


def changed(
    settings: ServeSettings,
    *,
    host: str | None = None,
    port: int | None = None,
    socket: str | None = None,
    workers: int | None = None,
    rows_port: int | None = None,
) -> ServeSettings:
    """Return the settings with what a command line says in their place; naming an address leaves the socket out."""
    words = {"host": host, "port": port, "socket": socket, "workers": workers, "rows_port": rows_port}
    told = {name: value for name, value in words.items() if value is not None}
    if socket is None and told.keys() & {"host", "port"}:
        told["socket"] = ""
    return msgspec.structs.replace(settings, **told)


def port_beside(*, settings: ServeSettings | None = None, opened: Opened | None = None) -> Alongside:
    """Return a port that is open while a run's feed brings events; it is closed with the run.

    Parameters
    ----------
    settings : ServeSettings, optional
        In place of the project's.
    opened : callable, optional
        Told the addresses when the port is open.
    """

    async def serve(running: Running) -> None:
        port = Port(running.project, running.engine, running.tape, running.clock, settings)
        if isinstance(running.feed, ExchangeFeed):
            port.others.append(partial(written, running.feed.figures))
        try:
            addresses = await port.open()
            await _attend(port, running, addresses, opened)
        finally:
            await port.close()

    return serve


async def _attend(port: Port, running: Running, addresses: list[str], opened: Opened | None) -> None:
    """Attend to a port and its workers until cancelled, or until one fails; tell the addresses when all listen."""
    workers = Workers(port, running.engine, running.tape) if port.settings.workers else None
    parts = [port.attend(), _announce(addresses, workers, opened)]
    if workers is not None:
        port.others.append(workers.figures)
        parts.append(workers.run())
    await all_of(*parts)


async def _announce(addresses: list[str], workers: Workers | None, opened: Opened | None) -> None:
    """Tell the addresses once everybody listens; the last is the workers'."""
    if workers is not None:
        addresses = [*addresses, await workers.ready()]
    if opened is not None:
        opened(addresses)


async def _serve(project: "Project", work: AtWork, port: Alongside) -> RunSummary:
    """Serve in this loop until a signal, or until something fails."""
    running = Running(project, work.engine, PushedFeed(), work.companions, work.tape, project.clock)
    return await until_told(running, port)
