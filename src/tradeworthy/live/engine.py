"""The engine: one loop from events to decisions on the tape, the same for replay, paper and live.

Flow:   for each event: what people have steered; the venue's answers; then the event itself: decision, row and order on
        the tape, order to the venue; only then the shadows. While no order is open, a stretch of events is one run.
State:  the desk (`desk.Desk`), kept in checkpoints; all else is on the tape. After kill -9 it goes on from there.
Time:   the clock is asked once a run; a decision is never timed before its event was received.
Failure: a tape that cannot be written halts: nothing more is sent, its reserve keeps the halt, what rests is cancelled.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec
import numpy as np

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import NotFound, RecordBusy, RecordUnwritable
from tradeworthy.core.events import EventBatch, Word
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits, ScopedLimits
from tradeworthy.core.time import Clock, VirtualClock
from tradeworthy.live.control import ControlBlock, Scope
from tradeworthy.live.desk import Desk, control_event, scope_of
from tradeworthy.live.feeds.base import Feed
from tradeworthy.live.inbox import TS_EVENT
from tradeworthy.live.pipeline import needs_of
from tradeworthy.live.reconcile import reconcile
from tradeworthy.live.recorder import Recorder
from tradeworthy.live.staging import Staging
from tradeworthy.live.starting import Resumption, starting_config
from tradeworthy.live.state import CheckSettings
from tradeworthy.live.steering import Permit, Steering, Swap
from tradeworthy.live.summary import Counters, RunSummary, summarise
from tradeworthy.live.venues.base import Venue
from tradeworthy.model.version import Version
from tradeworthy.record.tape import TapeReader, TapeWriter


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the engine runs.

    Attributes
    ----------
    checks : CheckSettings
        What is believed of inputs and features, and how orders are priced.
    run_events_max : int
        The most events taken in one run.
    checkpoint_every : int
        Events between checkpoints of the whole state.
    warm_records : int
        How far back on the tape, in records of any stream, a version that comes in is warmed.
    stage_in_background : bool
        Load new versions in a thread; otherwise between two events.
    steer_every_ms : float
        How often the control block is read while no events come.
    """

    checks: CheckSettings = CheckSettings()
    run_events_max: int = 1024
    checkpoint_every: int = 50_000
    warm_records: int = 1_000_000
    stage_in_background: bool = True
    steer_every_ms: float = 100.0

    def __post_init__(self) -> None:
        """Refuse a loop that could not turn."""
        require(self, "engine", counts=("run_events_max", "checkpoint_every"), positive=("steer_every_ms",))


class Engine:
    """Takes a feed's events to decisions on the tape, and approved orders to a venue.

    Parameters
    ----------
    instruments : sequence of Instrument
        In the order of their numbers.
    load : callable
        Gives the verified version of a 64-bit number, or raises a `TradeworthyError`.
    tape : TapeWriter
        Open; the engine is its only user.
    control : ControlBlock
        Names the champion and shadows, and halts.
    venue : Venue
        Where orders go.
    clock : Clock
        Times decisions.
    limits : callable
        Gives the desk's limits, alone or with instruments' own; asked when the control block says that they changed.
    settings : EngineSettings, optional
    permit : callable, optional
        Raises a `TradeworthyError` for a version (by number) that may not take a role, whatever the control block asks;
        if left out, the block is believed.
    width : int
        Values of an event to keep at least, where rows carry more than versions read.

    Raises
    ------
    NotFound
        The control block names no champion.
    SettingsInvalid
        The tape is of a desk with other instruments.
    """

    def __init__(
        self,
        *,
        instruments: Sequence[Instrument],
        load: Callable[[int], Version],
        tape: TapeWriter,
        control: ControlBlock,
        venue: Venue,
        clock: Clock,
        limits: Callable[[], Limits | ScopedLimits],
        settings: EngineSettings | None = None,
        permit: Permit | None = None,
        width: int = 0,
    ) -> None:
        self.settings = settings or EngineSettings()
        self._control, self._venue, self._clock = control, venue, clock
        champion = control.view().champion
        if not champion:
            raise NotFound("the control block names no champion; promote a version before the engine starts")
        room, checks = self.settings.run_events_max, self.settings.checks
        config = starting_config(tape, instruments, checks, lambda: needs_of(load(champion), width), room)
        self.desk = Desk(config, control=control.words)
        self.counters = Counters()
        self.swaps: list[Swap] = []
        self._recorder = Recorder(tape, self.desk.inbox)
        background = self.settings.stage_in_background
        self._staging = Staging(load, self.desk.make_pipeline, tape.folder, background=background)
        self._steering = Steering(
            self.desk,
            control,
            limits=limits,
            staging=self._staging,
            clock=clock,
            warm_from=self._warm_from,
            permit=permit,
        )
        self._events_at_wish = self._last_checkpoint = 0
        self._stopping = self._failed = False
        self._is_virtual = isinstance(clock, VirtualClock)
        self._start(load)

    # -- coming up -----------------------------------------------------------------------------------------------

    def _start(self, load: Callable[[int], Version]) -> None:
        """Resume from the tape, then bring the desk to what is asked now."""
        resumption = Resumption(self.desk, self._recorder, load, self._clock)
        resumption.resume()
        self.counters.late_decisions = resumption.late_decisions
        self._checkpoint()
        self._recorder.tape.sync()  # what comes after it cannot be understood without it
        width = self.desk.config.width
        started = control_event(width, Word.STARTED, self._clock.now_ns(), value=float(self._recorder.tape.epoch))
        self._recorder.inputs(started)
        self._hear(reconcile(self.desk, TapeReader(self._recorder.tape.folder), self._venue, self._clock.now_ns()))
        self._steer()
        wanted = self._control.view()
        self._staging.wait(wanted.champion, wanted.previous)
        self._steer()
        if self.desk.champion is None:
            raise NotFound(
                f"the champion cannot be let in: {self._staging.refused.get(wanted.champion, 'it is absent')}"
            )
        for scope in sorted(self.desk.scopes):  # a crash may have come between a halt and its cancels
            self._cancel(scope)
        self._recorder.tape.sync()

    def _warm_from(self) -> int:
        return max(0, self._recorder.next_sequence - self.settings.warm_records)

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self, feed: Feed) -> RunSummary:
        """Consume a feed to its end, and answer with the summary.

        Raises
        ------
        RecordUnwritable, RecordBusy
            The tape failed, or another engine has taken it over; this one sends nothing more.
        """
        self.look_up()
        watching = asyncio.create_task(self._keep_watch())
        feeding = asyncio.create_task(self._take(feed))
        try:
            await asyncio.wait({watching, feeding}, return_when=asyncio.FIRST_COMPLETED)
            await (watching if watching.done() else feeding)
        finally:
            await _cancelled(watching, feeding)
            feed.close()
        return self.summary()

    async def _take(self, feed: Feed) -> None:
        """Consume a feed's batches, until it ends or somebody stops the engine."""
        async for batch in feed.events():
            self.consume(batch)
            if self._stopping:
                break
        try:
            self._recorder.flush()
        except (RecordBusy, RecordUnwritable) as error:
            self._fail_safe(error)
            raise

    async def _keep_watch(self) -> None:
        """Look up every steering interval, whether events come or not."""
        while True:
            await asyncio.sleep(self.settings.steer_every_ms / 1_000)
            self.look_up()
            if self._stopping:
                return

    def stop(self) -> None:
        """End `run` after the batch in hand, and without one within a steering interval."""
        self._stopping = True

    def close(self) -> None:
        """Keep a last checkpoint and let go of the staging thread; the tape stays the caller's."""
        self._staging.close()
        if self._recorder.tape.failure is None:
            self._checkpoint()

    def summary(self) -> RunSummary:
        """Return what has been done so far."""
        self.counters.last_sequence = self._recorder.next_sequence - 1
        return summarise(self.desk, self.counters, self.swaps, self._staging.refused)

    @property
    def refused(self) -> dict[int, str]:
        """Versions, by number, that were asked for and cannot be let in, with the reason."""
        return self._staging.refused

    def consume(self, batch: EventBatch) -> None:
        """Take a batch of market events, in order, each to its decision.

        Raises
        ------
        RecordUnwritable
            The tape failed; trading has stopped.
        """
        done = 0
        while done < len(batch):
            count = self.desk.inbox.load(batch[done:] if done else batch)
            self.consume_inbox(count)
            done += count

    def consume_inbox(self, count: int) -> None:
        """Take the first `count` events of the desk's inbox, as `consume` does; for who wrote them there himself."""
        try:
            place = 0
            while place < count:
                if self._steering.due:
                    self._steer()
                stop = count
                if self._venue.pending:
                    self._hear(self._venue.observe(self.desk.shown(place)))
                    stop = place + 1 if self._venue.pending else count
                place = self._run(place, stop)
            if self.counters.events - self._last_checkpoint >= self.settings.checkpoint_every:
                self._checkpoint()
        except (RecordBusy, RecordUnwritable) as error:
            self._fail_safe(error)
            raise

    def look_up(self) -> None:
        """Hear, between two events, of a failed sync, of a newer engine on this tape, and of what people have steered.

        Raises
        ------
        RecordUnwritable, RecordBusy
            As `run`.
        """
        try:
            self._check_tape()
            if not self._is_virtual:  # a seed gives the same bytes: rows do not wait for the machine's time
                self._recorder.flush()
            self._steer()
        except (RecordBusy, RecordUnwritable) as error:
            self._fail_safe(error)
            raise

    def _check_tape(self) -> None:
        if self._recorder.tape.failure is not None:
            raise RecordUnwritable(self._recorder.tape.failure)
        self._recorder.tape.check()

    def _run(self, start: int, stop: int) -> int:
        """Take a stretch of events to decisions, write them, send the order; return how far it went."""
        desk, recorder = self.desk, self._recorder
        desk.inbox.stamp(start, stop, self._now_ns())
        run = desk.run(start, stop, generation=self._steering.generation, first_sequence=recorder.next_sequence)
        if run.stop == start:
            return start
        last = recorder.run(desk.acting, run, start)
        self.counters.took(start, run, self.desk.inbox.header[run.stop - 1, TS_EVENT])
        if run.ordered:
            desk.name_order(last)
            self._venue.submit(desk.acting.order)
            self._steering.sent(desk.acting.order, last)
        if desk.has_followers:
            self._follow(start, run.stop)
        return run.stop

    def _follow(self, start: int, stop: int) -> None:
        """Let everybody else take what the champion has taken, and write what the shadows make of it."""
        for pipeline, run in self.desk.follow(start, stop):
            self._recorder.run(pipeline, run, stop)
            self.counters.shadow_decisions += run.decisions

    def _now_ns(self) -> int:
        """Return the time of decisions; on a virtual clock an event is decided at its own arrival."""
        return 0 if self._is_virtual else self._clock.now_ns()

    def _hear(self, answers: EventBatch) -> None:
        """Consume the venue's answers as inputs."""
        if not len(answers):
            return
        self.desk.settle(answers)
        self._recorder.inputs(answers)
        self.counters.heard(answers)

    # -- steering ------------------------------------------------------------------------------------------------

    def _steer(self) -> None:
        """Bring the desk to what is asked: each difference is recorded, then applied."""
        steering = self._steering
        wished = steering.wished
        for event in steering.wishes():
            previous = self.desk.champion.number if self.desk.champion else 0
            self._recorder.inputs(event)
            self.desk.apply(event[0], steering.pipeline)
            self._followed(event[0], previous)
        if steering.wished != wished:
            self._events_at_wish = self.counters.events

    def _followed(self, control: np.void, previous: int) -> None:
        """Do what an applied control event asks of the world outside the desk."""
        word = int(control["values"][0])
        if word == Word.HALT:
            self._cancel(scope_of(control))
        elif word == Word.CHAMPION and previous:
            number = int(control["reference"])
            events = self.counters.events - self._events_at_wish if self._steering.wished == number else 0
            waited = self._steering.waited_ns(number)
            self.swaps.append(Swap(int(control["sequence"]), number, previous, waited, events))

    def _cancel(self, scope: Scope) -> None:
        """Cancel every resting order in a halted scope; that the venue fails at one keeps none of the others."""
        with ExitStack() as stack:
            for order in self.desk.resting(scope)[::-1]:
                stack.callback(self._venue.cancel, int(order["order"]))
                self.counters.cancels += 1

    # -- keeping and failing -------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        self._recorder.checkpoint(self.desk.dump())
        self.counters.checkpoints += 1
        self._last_checkpoint = self.counters.events

    def _fail_safe(self, error: RecordBusy | RecordUnwritable) -> None:
        """Stop trading when the tape cannot be written any more; only once, however often it is met."""
        if isinstance(error, RecordBusy):
            self._refuse()
        elif not self._failed:
            self._fail_stop()

    def _refuse(self) -> EventBatch:
        """Refuse everything from now on, and return the halt that says so."""
        self._stopping = self._failed = True
        halt = control_event(self.desk.config.width, Word.HALT, self._clock.now_ns(), scope=Scope.everything())
        self.desk.apply(halt[0], self._steering.pipeline)
        return halt

    def _fail_stop(self) -> None:
        """Refuse everything, halt in the block, cancel what rests, record the halt in the reserve; each if it can."""
        halt = self._refuse()
        with ExitStack() as stack:
            stack.callback(self._recorder.last_input, halt)
            stack.callback(self._cancel, Scope.everything())
            stack.callback(self._control.halt)


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and return when they have ended, whatever they say."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
