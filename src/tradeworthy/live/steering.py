"""What people and policies ask of a running desk, turned into control events.

Idea:   the control block and the limits say how things should be; the desk says how they are. Every difference becomes
        one event on the tape, and only the event changes the desk: replay needs neither the block nor the ledger.
Order:  halts first, then limits and overrides of them, then versions. A version that is not warm yet is staged; until
        it is ready, or if it is refused, the one before it keeps serving. A smaller size comes before the version that
        it is meant for, a larger one only with it, so that no version ever acts at a size meant for another. So it is
        with a rule that decides in the champion's place: set at once, lifted only when the version that is to decide
        again is there.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Role, Rule
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.events import EventBatch, Word
from tradeworthy.core.limits import Limits, Override, ScopedLimits
from tradeworthy.core.time import Clock
from tradeworthy.live.control import GENERATION, ControlBlock, ControlView, Part, Scope
from tradeworthy.live.desk import Desk, control_event
from tradeworthy.live.overrides import End
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.staging import Staging

Permit = Callable[[int, Role], None]
"""Raises a `TradeworthyError` if a version, by number, may not take a role."""


class Swap(NamedTuple):
    """One change of champion.

    Attributes
    ----------
    sequence : int
        Of the control event: every later event is decided by `version`.
    wait_ns : int
        From noticing the wish to the new champion standing, staging included.
    events : int
        Consumed meanwhile, by the old champion.
    """

    sequence: int
    version: int
    previous: int
    wait_ns: int
    events: int


class Steering:
    """Brings a desk to what is asked.

    Parameters
    ----------
    desk : Desk
    block : ControlBlock
    limits : callable
        Reads the desk's limits; called when the block says that they changed.
    staging : Staging
    clock : Clock
    warm_from : callable
        Gives the sequence after which a version that comes in is warmed.
    permit : callable, optional
        Asked before a version takes a role.
    """

    def __init__(
        self,
        desk: Desk,
        block: ControlBlock,
        *,
        limits: Callable[[], Limits | ScopedLimits],
        staging: Staging,
        clock: Clock,
        warm_from: Callable[[], int],
        permit: Permit | None = None,
    ) -> None:
        self._desk, self._block, self._limits = desk, block, limits
        self._word = block.words.data
        self.staging, self._clock, self._warm_from, self._permit = staging, clock, warm_from, permit
        self.generation = int(block.view().generation) - 1
        self._limits_generation = -1
        self._wished: tuple[int, int] = (0, 0)
        self._allowed: tuple[Override, ...] = ()
        self._begun: dict[int, int] = {}  # until when, by order, of overrides in force
        self._used: dict[int, int] = {}  # which decision's order was sent, by order
        self._soonest_ns = 0

    @property
    def due(self) -> bool:
        """Whether anything may have to change before the next event."""
        if self._word[GENERATION] != self.generation or self.staging.pending:
            return True
        return bool(self._begun) and (bool(self._used) or self._clock.now_ns() >= self._soonest_ns)

    def wishes(self) -> Iterator[EventBatch]:
        """Yield the control events that are due; each must be applied before the next is asked for."""
        view = self._block.view()
        if view.generation != self.generation:
            self.staging.refused.clear()  # somebody may have put right what was wrong
        self.generation = view.generation
        self._collect(view)
        yield from self._halts(view)
        if view.limits_generation != self._limits_generation:
            self._limits_generation = view.limits_generation
            yield from self._limit_changes()
        yield from self._overrides_ended()
        yield from self._overrides_begun()
        if view.size < self._desk.size:
            yield self._event(Word.SIZE, value=view.size)
        if view.rule not in (Rule.NONE, self._desk.rule):
            yield self._event(Word.RULE, value=float(view.rule))
        yield from self._versions(view)
        if not self._is_champion(view.champion):
            return
        yield from self._part_named(_part_of(view, view.champion))
        if view.rule != self._desk.rule:
            yield self._event(Word.RULE, value=float(view.rule))
        if view.size > self._desk.size:
            yield self._event(Word.SIZE, value=view.size)

    def pipeline(self, control: np.void) -> Pipeline:
        """Return the pipeline that a control event of ours lets in."""
        number = int(control["reference"])
        found = self._desk.find(number)
        if found is not None:
            return found
        staged = self.staging.take(number)
        if staged is None:
            raise LookupError(number)
        staged.catch_up()
        return staged.pipeline

    @property
    def wished(self) -> int:
        """The champion last wished for, 0 for none."""
        return self._wished[0]

    def waited_ns(self, number: int) -> int:
        """Return how long ago a champion was wished for."""
        wished, since_ns = self._wished
        return self._clock.monotonic_ns() - since_ns if wished == number else 0

    def _event(self, word: int, *, value: float = np.nan, reference: int = 0, scope: Scope | None = None) -> EventBatch:
        width = self._desk.config.width
        return control_event(width, word, self._clock.now_ns(), value=value, reference=reference, scope=scope)

    def _is_champion(self, number: int) -> bool:
        """Tell whether a version, by number, is the one that decides now."""
        return self._desk.champion is not None and self._desk.champion.number == number

    def _halts(self, view: ControlView) -> Iterator[EventBatch]:
        for scope in sorted(view.scopes - self._desk.scopes):
            yield self._event(Word.HALT, scope=scope)
        lifted = self._desk.scopes - view.scopes
        if view.resumes != view.resumes_heard:
            lifted = lifted | ({Scope.everything()} - view.scopes)
        for scope in sorted(lifted):
            yield self._event(Word.RESUME, scope=scope)
        if view.resumes != view.resumes_heard:
            self._block.hear_resumes(view.resumes)

    def _limit_changes(self) -> Iterator[EventBatch]:
        limits = ScopedLimits.of(self._limits())
        self._allowed, wanted = limits.overrides, limits.table(len(self._desk.config.instruments))
        present = self._desk.set_limits
        changed = (wanted != present) & ~(np.isnan(wanted) & np.isnan(present))
        for scope, place in np.argwhere(changed).tolist():
            yield self._event(Word.LIMIT + place, value=float(wanted[scope, place]), reference=scope)

    def sent(self, order: npt.NDArray[np.void], decision: int) -> None:
        """Note that an order was sent: an override of its instrument is used up before the next event."""
        if self._begun:
            instrument = int(order["instrument"][0])
            self._used |= {
                each.order: decision for each in self._desk.overrides.active() if each.instrument == instrument
            }

    def _overrides_ended(self) -> Iterator[EventBatch]:
        """End what was used, what has expired, and what an earlier engine began: it may have been used already."""
        for order in [each.order for each in self._desk.overrides.active()]:
            if order not in self._begun:
                end = End.RESTARTED
            elif order in self._used:
                end = End.SENT
            elif self._clock.now_ns() >= self._begun[order]:
                end = End.EXPIRED
            else:
                continue
            self._begun.pop(order, None)
            event = self._event(Word.OVERRIDE_ENDED, value=end, reference=order)
            event["values"][0, 2] = self._used.pop(order, 0)
            yield event

    def _overrides_begun(self) -> Iterator[EventBatch]:
        """Begin what people allowed, each once."""
        now_ns = self._clock.now_ns()
        for each in self._allowed:
            if each.until_ns > now_ns and each.order not in self._desk.overrides:
                self._begun[each.order] = each.until_ns
                event = self._event(Word.OVERRIDE, value=each.limit, reference=each.order)
                event["values"][0, 2:4] = each.instrument, each.check
                yield event
        self._soonest_ns = min(self._begun.values(), default=0)

    def _part_named(self, part: Part) -> Iterator[EventBatch]:
        """Name the instruments on which a version acts alone, where others are named."""
        if part == self._desk.part:
            return
        yield self._event(Word.CANARY, reference=part.version)
        for instrument in sorted(part.instruments):
            yield self._event(Word.CANARY, value=float(instrument), reference=part.version)

    def _versions(self, view: ControlView) -> Iterator[EventBatch]:
        part = _part_of(view, view.champion)
        if part.version and view.champion and not self._is_champion(view.champion):  # who acts on the other instruments
            yield from self._champion(view.previous, Part())
        if not part.version or self._is_champion(view.previous):
            yield from self._champion(view.champion, part)
        for number in sorted(set(self._desk.shadows) - set(view.shadows)):
            yield self._event(Word.SHADOW_REMOVED, reference=number)
        for number in sorted(set(view.shadows) - set(self._desk.shadows)):
            if self._desk.champion is None or number != self._desk.champion.number:
                yield from self._let_in(Word.SHADOW_ADDED, number)

    def _champion(self, number: int, part: Part) -> Iterator[EventBatch]:
        """Let in a champion that is another, after naming the part that is its own."""
        if number and not self._is_champion(number):
            for event in self._let_in(Word.CHAMPION, number):
                if part.version:
                    yield from self._part_named(part)
                yield event

    def _let_in(self, word: Word, number: int) -> Iterator[EventBatch]:
        """Yield the event that gives a version its role, if it may have it and is ready; begin to stage it if not."""
        if not self._is_permitted(number, Role.CHAMPION if word == Word.CHAMPION else Role.SHADOW):
            return
        if self._desk.find(number) is not None:
            yield self._event(word, reference=number)
            return
        self.staging.want(number, self._warm_from())
        self.staging.collect()
        warm_from = self.staging.warm_from(number)
        if warm_from is not None:
            yield self._event(word, reference=number, value=float(warm_from))

    def _is_permitted(self, number: int, role: Role) -> bool:
        """Ask whether a version may take a role; a refusal stands until somebody steers again."""
        if number in self.staging.refused:
            return False
        try:
            if self._permit is not None:
                self._permit(number, role)
        except TradeworthyError as error:
            self.staging.refused[number] = f"{type(error).__name__}: {error}"
            return False
        return True

    def _collect(self, view: ControlView) -> None:
        """Look at what staging has done, and note when a champion was first wished for."""
        wanted = {view.champion, *view.shadows, view.previous if view.part.version else 0}
        self.staging.forget(wanted)
        self.staging.collect()
        present = self._desk.champion.number if self._desk.champion else 0
        if view.champion != present and self._wished[0] != view.champion:
            self._wished = (view.champion, self._clock.monotonic_ns())


def _part_of(view: ControlView, number: int) -> Part:
    """Return the part that is meant for a version; none where another one's is still written."""
    return view.part if view.part.version == number else Part()
