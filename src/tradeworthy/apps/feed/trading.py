"""`tradeworthy run` on a live market: an exchange's public stream, the engine, the paper venue.

Flow:   companions start → the engine resumes from the tape → the feed connects → SIGTERM or SIGINT → the feed closes →
        the engine keeps a checkpoint → companions end. What the tape holds last tells whether anything was missed.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import uvloop

from tradeworthy.apps.commands import results
from tradeworthy.apps.commands.settings import Settings
from tradeworthy.apps.deployment.desk import (
    Alongside,
    AtWork,
    Running,
    at_work,
    collector_off,
    record_settings,
    require_champion,
    until_told,
)
from tradeworthy.apps.deployment.keeping import keep_summary
from tradeworthy.apps.feed.figures import write_figures
from tradeworthy.apps.feed.sockets import Sockets
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.events import WIDTH_MIN, EventBatch, Kind
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.lanes import Known
from tradeworthy.live.feeds.exchange.market import KIND_OF, Listed, Market
from tradeworthy.live.feeds.exchange.messages import ShowsBooks, ShowsPast
from tradeworthy.live.summary import RunSummary
from tradeworthy.model.features.program import Program
from tradeworthy.record.reader import TapeReader

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def run_exchange(project: "Project", *, watch: bool = True, alongside: Alongside | None = None) -> results.Run:
    """Trade an exchange's live market on paper, until told to stop.

    Parameters
    ----------
    project : Project
        The deployment; `[feed]` says which market.
    watch : bool
        Run the watcher beside the engine.
    alongside : callable, optional
        Started with the first event.

    Raises
    ------
    ReleaseRefused
        No version is champion.
    SettingsInvalid
        The champion decides on events that the feed does not bring.
    FeedRefused
        The exchange refused the subscription.
    """
    require_champion(project)
    record_settings(project)
    started_ns = project.clock.monotonic_ns()
    known = last_known(project)
    with at_work(project, project.clock, watch=watch, market_past=False) as work:
        require_trigger(project, work.engine.desk.acting.version.program)
        with collector_off(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            summary = runner.run(_run(project, work, known, alongside))
    keep_summary(project, summary)
    return results.Run.of(summary, (project.clock.monotonic_ns() - started_ns) / NS_PER_S)


async def _run(
    project: "Project", work: AtWork, known: Mapping[tuple[int, Kind], Known], alongside: Alongside | None
) -> RunSummary:
    """Make the feed in the loop that reads it, and trade."""
    width, deliver = work.engine.desk.config.width, work.engine.consume
    feed = make_feed(project.folder, project.settings, project.clock, known=known, width=width, deliver=deliver)
    running = Running(project, work.engine, feed, work.companions, work.tape, project.clock)
    return await until_told(running, write_figures, *([] if alongside is None else [alongside]))


def make_feed(
    folder: Path,
    settings: Settings,
    clock: Clock,
    *,
    known: Mapping[tuple[int, Kind], Known] | None = None,
    width: int = WIDTH_MIN,
    deliver: Callable[[EventBatch], None] | None = None,
) -> ExchangeFeed:
    """Return the feed that `[feed]` describes, not connected yet; call it inside the loop that will read it.

    Parameters
    ----------
    folder : Path
        The project's.
    settings : Settings
        The whole of them.
    clock : Clock
        Stamps arrivals; pauses are drawn from its present time.
    known : mapping of (int, Kind) to Known, optional
        What the tape has last.
    width : int
        Values that an event of the desk carries.
    deliver : callable, optional
        Takes events at once; see `ExchangeFeed`.
    """
    feed, figures = settings.feed, Figures()
    dialect, started_ns = feed.speaker(), clock.now_ns()
    listed = [
        Listed(number, each, feed.symbols[each.symbol])
        for number, each in enumerate(settings.instrument)
        if each.symbol in feed.symbols
    ]
    market = Market(
        listed,
        feed.channels,
        period_ns=feed.period_ns,
        levels=feed.book_levels,
        figures=figures,
        known=known,
        width=width,
        asks=isinstance(dialect, ShowsBooks),
        trades_asked_max=feed.trades_asked_max if isinstance(dialect, ShowsPast) else 0,
    )
    authority = folder / feed.authority if feed.authority else None
    dial = Sockets(bytes_max=feed.message_bytes_max, timeout_s=feed.open_s_max, authority=authority)
    rng = np.random.default_rng(started_ns)
    return ExchangeFeed(
        feed, market, dialect=dialect, dial=dial, clock=clock, figures=figures, rng=rng, deliver=deliver
    )


def last_known(project: "Project") -> dict[tuple[int, Kind], Known]:
    """Return the last event that was believed of each instrument and kind on the tape."""
    if not project.places.tape.is_dir():
        return {}
    reader = TapeReader(project.places.tape)
    if "inputs" not in reader.streams():
        return {}
    found = {}
    for inputs in reader.scan("inputs"):
        believed = inputs[(inputs["kind"] <= Kind.BOOK) & (inputs["flags"] == DenialCode.NONE)]
        for each in _last_of_each(believed):
            lane = (int(each["instrument"]), Kind(int(each["kind"])))
            found[lane] = Known(int(each["ts_event_ns"]), int(each["reference"]))
    return found


def _last_of_each(events: EventBatch) -> EventBatch:
    lane = events["instrument"].astype(np.int64) * (max(Kind) + 1) + events["kind"]
    _, from_the_end = np.unique(lane[::-1], return_index=True)
    found: EventBatch = events[len(events) - 1 - from_the_end]
    return found


def require_trigger(project: "Project", program: Program) -> None:
    """Refuse to run a version on a feed that never asks it for a decision.

    Raises
    ------
    SettingsInvalid
        It decides on events of a kind that is not subscribed to.
    """
    kinds = [KIND_OF[channel] for channel in project.settings.feed.channels]
    if program.trigger not in (*kinds, Kind.ROW):
        name = program.trigger.name.lower()
        raise SettingsInvalid(
            f"the champion decides on {name} events, [feed] channels are {project.settings.feed.channels}; add {name!r}"
        )
