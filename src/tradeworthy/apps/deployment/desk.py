"""One deployment at work: tape, control block, versions, venue and feed, wired to an engine.

Flow:   companions start → the engine resumes from the tape → the feed's events → the engine's end → companions end.
Time:   a market of the past is traded in market time, with the machine's own time for pauses and latencies.
"""

import asyncio
import gc
import math
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tradeworthy.apps.commands import results
from tradeworthy.apps.commands.settings import require_columns
from tradeworthy.apps.commands.under_way import unfinished
from tradeworthy.apps.deployment.keeping import keep_summary
from tradeworthy.apps.deployment.limits import record_limits, scoped_limits, symbols_of
from tradeworthy.apps.deployment.policy import record_policy
from tradeworthy.apps.deployment.processes import Companions, companions, see_companions_through, start_keepers
from tradeworthy.change.release.expiry import Backstop
from tradeworthy.change.release.order_overrides import Endings
from tradeworthy.change.release.refusals import Refusals
from tradeworthy.change.train.training import Report
from tradeworthy.core.decisions import version_name
from tradeworthy.core.errors import DataInvalid, ReleaseRefused, SettingsInvalid
from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import NS_PER_S, Clock, MarketClock
from tradeworthy.live.desk import is_own
from tradeworthy.live.engine import Engine
from tradeworthy.live.feeds.base import Feed
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.feeds.rows import require_fields
from tradeworthy.live.summary import RunSummary
from tradeworthy.live.venues.paper import Paper
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader
from tradeworthy.record.tape import TapeWriter

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

CHECK_EVERY_S = 0.5
TELL_EVERY_S = 0.2
LOOK_BACK, LOOK_BACK_MORE = 100_000, 10
"""Records at the tape's end among which the last market event is looked for first; how many more the next time."""
NOTHING_LEFT = (
    "every event after the training part was traded already; add data, or start anew: name another folder as [desk] "
    "state, and train there"
)


@dataclass(frozen=True)
class Running:
    """What stands beside a run while it goes on."""

    project: "Project"
    engine: Engine
    feed: Any  # a ReplayFeed of files, an ExchangeFeed of a live market
    companions: Companions
    tape: TapeWriter
    clock: Clock


Alongside = Callable[[Running], Coroutine[Any, Any, None]]
"""Something that happens while events flow; it ends when it likes, and is cancelled with the run."""

Around = Callable[[Running], Feed]
"""Puts something between the files' feed and the engine."""


def run_files(
    project: "Project",
    *,
    speed: float | None = None,
    watch: bool = True,
    pace: Callable[[], float] | None = None,
    alongside: Alongside | None = None,
    around: Around | None = None,
    see_through: Report | None = None,
) -> results.Run:
    """Trade the market files' events after the training part, to their end.

    Parameters
    ----------
    project : Project
        The deployment.
    speed : float, optional
        Events a second; as fast as possible if left out.
    watch : bool
        Run the watcher beside the engine.
    pace : callable, optional
        Events a second, asked again and again; instead of `speed`.
    alongside : callable, optional
        Started with the first event.
    around : callable, optional
        Gives the feed that the engine reads in place of the files' own, which goes on below it.
    see_through : callable, optional
        At the end, wait until the watcher has judged all of it and the policy has nothing under way, and report so.

    Raises
    ------
    SettingsInvalid
        `speed` is not positive.
    ReleaseRefused
        No version is champion.
    DataInvalid
        There is nothing left to trade, and nothing under way to see through.
    """
    if speed is not None and not speed > 0:
        raise SettingsInvalid(f"speed is {speed:g} events a second, allowed is a positive number, or none for full")
    require_champion(project)
    events = remaining(project)
    if len(events) == 0 and not (watch and see_through and unfinished(project)):
        raise DataInvalid(NOTHING_LEFT)
    start_ns = int(events["ts_event_ns"][0]) if len(events) else _last_recorded_ns(project)
    clock = MarketClock(start_ns, real=project.clock)
    record_settings(project)
    rate = math.inf if speed is None else speed
    feed = ReplayFeed(events, clock=clock, pace=pace or (lambda: rate))
    started_ns = project.clock.monotonic_ns()
    with at_work(project, clock, watch=watch, see_through=see_through) as work, collector_off():
        running = Running(project, work.engine, feed, work.companions, work.tape, clock)
        summary = asyncio.run(trade(running, alongside, None if around is None else around(running)))
        keep_summary(project, summary)
        seconds = (project.clock.monotonic_ns() - started_ns) / NS_PER_S
    return results.Run.of(summary, seconds, unfinished(project) if watch else "")


class AtWork(NamedTuple):
    """What a run has before its first event."""

    companions: Companions
    tape: TapeWriter
    engine: Engine


@contextmanager
def at_work(
    project: "Project", clock: Clock, *, watch: bool, market_past: bool = True, see_through: Report | None = None
) -> Iterator[AtWork]:
    """Start companions, open the tape and wire an engine to it around a block; see what is expected of them through.

    Where `see_through` is given, that is also what the watcher finds and the policy begins.

    Raises
    ------
    ProcessFailed
        A companion ended early, or was not ready in time.
    """
    with companions(project, watch=watch, market_past=market_past) as beside:
        with _open_tape(project, clock) as tape, closing(_open_engine(project, tape, clock)) as engine:
            start_keepers(project, beside)
            yield AtWork(beside, tape, engine)
        beside.wait()
        if see_through is not None:
            see_companions_through(project, beside, see_through)


def telling(report: Report) -> Alongside:
    """Return what reports, while events flow, how far they are: ``report(what goes on, share done)``."""

    async def tell(running: Running) -> None:
        while True:
            report(*_progress(running.feed))
            await asyncio.sleep(TELL_EVERY_S)

    return tell


def _progress(feed: Any) -> tuple[str, float]:
    """Say how far a feed is; a live one has no end."""
    if isinstance(feed, ReplayFeed):
        return f"trading: {feed.position:,} of {len(feed):,} events", feed.position / max(len(feed), 1)
    return f"trading live: {feed.figures.words()}", 0.0


def together(*parts: Alongside) -> Alongside:
    """Return what does several things alongside."""

    async def go_on(running: Running) -> None:
        await all_of(*(part(running) for part in parts))

    return go_on


async def all_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Do several things until all have ended or one fails; return when each has ended what it had begun."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _open_tape(project: "Project", clock: Clock) -> TapeWriter:
    """Open the tape for writing; closing it is the caller's."""
    settings = project.settings
    return TapeWriter.open(
        project.places.tape,
        clock=clock,
        segment_s=settings.archive.rotate_every_s,
        meta={"desk": settings.desk.name},
    )


def _open_engine(project: "Project", tape: TapeWriter, clock: Clock) -> Engine:
    """Wire an engine to a tape; closing both is the caller's."""
    settings = project.settings
    project.release.reconcile()

    def load(number: int) -> Version:
        version = project.registry.load(number)
        fields = version.program.row_fields
        require_fields(settings.rows, fields)
        require_columns(settings.monitor.fairness.columns, fields, f"version {version_name(number)}")
        return version

    return Engine(
        instruments=settings.instrument,
        load=load,
        tape=tape,
        control=project.control,
        venue=Paper(settings.paper, settings.instrument),
        clock=clock,
        limits=lambda: scoped_limits(project),
        settings=settings.engine,
        permit=project.release.permit,
        width=max(
            len(fields) for fields in (settings.monitor.fairness.columns, *(file.fields for file in settings.rows))
        ),
    )


def remaining(project: "Project") -> EventBatch:
    """Return the events after the training part that the tape does not have yet."""
    events, _ = project.market
    after = max(project.training_end_ns, _last_recorded_ns(project))
    return events[events["ts_event_ns"] > after]


def record_settings(project: "Project") -> None:
    """Record what the settings say of limits and of the policy, where that has changed."""
    record_limits(project)
    record_policy(project)


def require_champion(project: "Project") -> None:
    """Refuse to run a desk on which nobody decides."""
    if project.registry.standing().champion is None:
        raise ReleaseRefused("no version is champion; run: tradeworthy promote newest --to champion --reason first")


def _last_recorded_ns(project: "Project") -> int:
    """Return the event time of the last market event on the tape; back from its end only as far as there is none."""
    if not project.places.tape.is_dir():
        return 0
    reader = TapeReader(project.places.tape)
    if "inputs" not in reader.streams():
        return 0
    last, back = reader.last_sequence(), LOOK_BACK
    while True:
        after = max(last - back, 0)
        parts = (part["ts_event_ns"].max(initial=0, where=~is_own(part)) for part in reader.scan("inputs", after))
        found = int(max(parts, default=0))
        if found or after == 0:
            return found
        back *= LOOK_BACK_MORE


async def trade(running: Running, alongside: Alongside | None, feed: Feed | None = None) -> RunSummary:
    """Run the engine to the feed's end, looking after the companions."""
    engine = asyncio.create_task(running.engine.run(running.feed if feed is None else feed))
    tell = telling_refusals(running.project, running.engine)
    end = Backstop(running.project.release, clock=running.project.clock).look
    others = [asyncio.create_task(look_after(running.companions, tell, end))]
    if alongside is not None:
        others.append(asyncio.create_task(alongside(running)))
    try:
        waiting = {engine, *others}
        while not engine.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return engine.result()
    finally:
        tell()
        running.feed.close()
        for task in others:
            task.cancel()
        await asyncio.gather(engine, *others, return_exceptions=True)


async def until_told(running: Running, *parts: Alongside) -> RunSummary:
    """Trade until SIGTERM or SIGINT closes the feed; `parts` go on alongside."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.feed.close)
    return await trade(running, together(*parts) if parts else None)


def telling_refusals(project: "Project", engine: Engine) -> Callable[[], None]:
    """Return what tells which versions an engine has refused to let in, as findings, and which overrides are over."""
    refusals, endings, symbols = Refusals(project.ledger), Endings(project.ledger), symbols_of(project)

    def tell() -> None:
        refused = {version_name(number): why for number, why in engine.refused.items()}
        endings.tell(engine.desk.overrides.ended(), symbols)
        refusals.tell(refused, now_ns=project.clock.now_ns(), sequence=engine.counters.last_sequence)

    return tell


async def look_after(beside: Companions, tell: Callable[[], None], end: Callable[[], object]) -> None:
    """Stop the run if a companion fails; tell what was refused, end what is over; collect what garbage there is."""
    while True:
        beside.check()
        tell()
        await asyncio.to_thread(end)  # it reads facts, for which no event waits
        gc.collect(0)
        await asyncio.sleep(CHECK_EVERY_S)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python's collector from beginning on the way of an event, and from looking at what was there before."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
