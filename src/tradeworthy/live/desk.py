"""A desk at work: the deterministic machine that the engine drives live and that replay drives again.

Idea:   whatever the desk does follows from the inputs it consumes, in their order: market events, the venue's answers,
        control events. Here is no clock, no disk, no venue. So a stored record gives the same desk again.
State:  arrays (`state.DeskState`, and each pipeline's own), the versions in their `roles`, the limits that people set.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Rule, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import DataInvalid, ModelMismatch
from tradeworthy.core.events import WIDTH_MIN, EventBatch, Kind, Word, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.core.limits import Limits, ScopedLimits, tightest
from tradeworthy.live.answers import settle
from tradeworthy.live.control import (
    SCOPE_ALL,
    SCOPE_INSTRUMENT,
    SCOPE_VERSION,
    ControlWords,
    Part,
    Scope,
    no_control,
)
from tradeworthy.live.inbox import Inbox
from tradeworthy.live.inputs import is_believable
from tradeworthy.live.overrides import Overrides
from tradeworthy.live.path import STANDBY
from tradeworthy.live.pipeline import Arrays, Pipeline, Run, needs_of
from tradeworthy.live.risk.judge import send_cancel
from tradeworthy.live.roles import Roles
from tradeworthy.live.state import CheckSettings, DeskState, Records, dump_desk, hold_desk, new_desk, restore_desk
from tradeworthy.model.version import Version

CONTROL_KINDS = (int(Kind.FILL), int(Kind.REJECT), int(Kind.CONTROL))
_CONFIG, _PART = "config", "part"
_WHOLE, _NOBODY = np.ones(1), np.zeros(1, np.uint64)


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk is made of; kept in every checkpoint, so that replay needs nothing else.

    Attributes
    ----------
    row_fields : int
        How many values a row event carries.
    width : int
        How many values any event carries.
    room : int
        The most events of one run.
    """

    instruments: tuple[Instrument, ...]
    settings: CheckSettings = CheckSettings()
    row_fields: int = 0
    width: int = WIDTH_MIN
    room: int = 1024


class Desk(Roles):
    """The machine.

    Parameters
    ----------
    config : DeskConfig
    control : (512,) uint64, optional
        The control block's words; a run ends where their generation changes.

    Attributes
    ----------
    state : DeskState
        The shared arrays.
    inbox : Inbox
        The events of the present run.
    set_limits : (1 + instruments, limits) float64
        What was set: for the whole desk, then for each instrument; NaN is not set.
    overrides : Overrides
        Orders that may pass a check which refused them.
    """

    def __init__(self, config: DeskConfig, *, control: ControlWords | None = None) -> None:
        super().__init__(len(config.instruments))
        self.config = config
        self.control = no_control() if control is None else control
        self.state: DeskState = new_desk(config.instruments, None, config.settings, row_fields=config.row_fields)
        self.inbox = Inbox(config.room, config.width)
        self.set_limits = ScopedLimits(Limits()).table(len(config.instruments))
        self.overrides = Overrides()
        self._answers = Inbox(config.room, config.width)
        self._handle = hold_desk(self.state)
        self._settle = entry(settle, self._handle, self._answers.words, self._answers.numbers, 0)
        self._send_cancel = entry(send_cancel, self._handle, 0, 0)  # now: a halt may come when no file can be opened
        self._is_believable = entry(is_believable, self._handle, self.inbox.words, self.inbox.numbers, 0)
        self._order_names, self._open_orders = self.state.orders["order"], self.state.account["open_orders"]

    # -- versions ------------------------------------------------------------------------------------------------

    def make_pipeline(self, version: Version) -> Pipeline:
        """Return a cold pipeline of a version on this desk, in no role yet.

        Raises
        ------
        ModelMismatch
            It reads more fields of a row, or a wider event (deeper levels of a book), than the desk has room for.
        """
        fields, width = needs_of(version)
        if fields > self.config.row_fields or width > self.config.width:
            raise ModelMismatch(
                f"version {version.short} reads {fields} fields of a row and {width} values of an event, the desk has "
                f"room for {self.config.row_fields} and {self.config.width}; start the engine again with this version "
                "as champion"
            )
        settings, instruments = self.config.settings, self.config.instruments
        return Pipeline(
            version, instruments, self.state, self.inbox, control=self.control, settings=settings, role=STANDBY
        )

    # -- inputs --------------------------------------------------------------------------------------------------

    def run(self, start: int, stop: int, *, generation: int = 0, first_sequence: int = 0) -> Run:
        """Let whoever acts take market events of the inbox, up to another's turn; see `Pipeline.run`."""
        if self._of_canary is not None:
            stop = start + self.take_turn(self.inbox.records["instrument"][start:stop])
        return self.acting.run(start, stop, generation=generation, first_sequence=first_sequence)

    def shown(self, place: int) -> np.void:
        """Return an event of the inbox as the venue may see it: one that will be refused only tells the time."""
        event: np.void = self.inbox.records[place]
        if self._is_believable(self._handle, self.inbox.words, self.inbox.numbers, place):
            return event
        timer = event.copy()
        timer["kind"], timer["values"] = int(Kind.TIMER), np.nan
        return timer

    def name_order(self, decision: int) -> None:
        """Give the order just sent its id: the sequence of its decision."""
        self._order_names[self._open_orders[0] - 1] = decision

    def settle(self, answers: EventBatch) -> int:
        """Book the venue's answers, writing verdicts into their flags; return how many were believed."""
        count, words, numbers = self._answers.load(answers), self._answers.words, self._answers.numbers
        verdicts = [self._settle(self._handle, words, numbers, place) for place in range(count)]
        answers["flags"][:count] = verdicts
        believed = verdicts.count(DenialCode.NONE)
        return believed + (self.settle(answers[count:]) if count < len(answers) else 0)

    def apply(self, control: np.void, find: Callable[[np.void], Pipeline]) -> None:
        """Apply one control event.

        Parameters
        ----------
        control : event record
            Of kind CONTROL.
        find : callable
            Gives, for a control event, the pipeline of the version that it names: warm, wherever it comes from.
        """
        word, value = int(control["values"][0]), float(control["values"][1])
        number = int(control["reference"])
        if word in {Word.HALT, Word.RESUME}:
            self._halt(scope_of(control), halt=word == Word.HALT)
            if word == Word.HALT:
                self._count_cancels(scope_of(control), int(control["ts_event_ns"]))
        elif self.hear_role(control, find) or self.overrides.hear(control):
            self._tighten()
        elif word >= Word.LIMIT:
            self.set_limits[number, word - Word.LIMIT] = value
            self._tighten()

    def resting(self, scope: Scope) -> Records:
        """Return copies of the open orders that a halt of this scope takes back."""
        orders: Records = self.state.orders[: self.state.account["open_orders"][0]].copy()
        if scope.kind == SCOPE_INSTRUMENT:
            return np.compress(orders["instrument"] == scope.number, orders)
        if scope.kind == SCOPE_VERSION:
            return np.compress(self.acts_on(scope.number)[orders["instrument"]], orders)
        return orders

    def _count_cancels(self, scope: Scope, now_ns: int) -> None:
        """Count as messages the cancels that the engine sends for a halt."""
        for instrument in self.resting(scope)["instrument"]:
            self._send_cancel(self._handle, int(instrument), now_ns)

    def _halt(self, scope: Scope, *, halt: bool) -> None:
        change = self.scopes.add if halt else self.scopes.discard
        change(scope)
        if scope.kind == SCOPE_ALL:
            self.state.account["halted"] = halt
            if not halt:
                self._unlatch()
        elif scope.kind == SCOPE_INSTRUMENT and scope.number < len(self.config.instruments):
            self.state.positions["halted"][scope.number] = halt
        elif scope.kind == SCOPE_VERSION:
            self.halt_version(scope.number, halt=halt)

    def _unlatch(self) -> None:
        """Re-enable a strategy that repeated itself: a person has resumed it."""
        self.state.account["latched"] = 0
        self.state.positions["repeated_orders"] = 0

    def _tighten(self) -> None:
        """Hold orders to the tightest of the desk's limits, their instrument's and the bounds of who acts on it."""
        limits = tightest(self.set_limits[1:], self.set_limits[0])
        for actor in self.actors():
            own = self.acts_on(actor.number)
            limits[own] = tightest(limits[own], actor.version.manifest.bounds.as_array())
        self.state.limits[:] = limits
        self.overrides.widen(self.state.limits)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def dump(self) -> Arrays:
        """Return the whole state as named arrays, for a checkpoint."""
        arrays: Arrays = {f"desk/{name}": array for name, array in dump_desk(self.state).items()}
        arrays["limits"] = self.set_limits.copy()
        arrays["size"] = np.array([self.size, self.rule])
        arrays["scopes"] = np.array(sorted(self.scopes), np.uint64).reshape(-1, 2)
        arrays["roster"] = self._roster()
        arrays[_PART] = np.array([self.part.version, *sorted(self.part.instruments)], np.uint64)
        arrays |= self.overrides.dump()
        arrays[_CONFIG] = np.frombuffer(msgspec.json.encode(self.config), np.uint8)
        for pipeline in self.pipelines():
            arrays |= {f"version/{pipeline.name}/{name}": array for name, array in pipeline.dump().items()}
        return arrays

    def _roster(self) -> npt.NDArray[np.uint64]:
        champion = self.champion.number if self.champion else 0
        previous = self.previous.number if self.previous else 0
        return np.array([champion, previous, *self.shadows], np.uint64)

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], load: Callable[[int], Version]) -> None:
        """Put back what `dump` returned into a new desk of the same instruments."""
        restore_desk(self.state, _under("desk/", arrays))
        limits = np.atleast_2d(arrays["limits"])  # one row in a checkpoint from before instruments had limits
        self.set_limits[: len(limits)] = limits
        self.scopes = {Scope(int(kind), int(number)) for kind, number in arrays["scopes"]}
        self.overrides.restore(arrays)
        share, rule = (*arrays.get("size", _WHOLE).tolist(), 0.0)[:2]  # older releases had neither, or no rule
        version, *instruments = arrays.get(_PART, _NOBODY).tolist()  # nor a canary on some instruments
        self.size, self.rule, self.part = share, Rule(int(rule)), Part(version, frozenset(instruments))
        champion, previous, *shadows = (self._revive(int(number), arrays, load) for number in arrays["roster"])
        self.restore_roles(champion, previous, [each for each in shadows if each is not None])

    def _revive(
        self, number: int, arrays: Mapping[str, npt.NDArray[Any]], load: Callable[[int], Version]
    ) -> Pipeline | None:
        if not number:
            return None
        pipeline = self.make_pipeline(load(number))
        pipeline.restore(_under(f"version/{version_name(number)}/", arrays))
        return pipeline


def desk_config(
    instruments: Sequence[Instrument], settings: CheckSettings, row_fields: int, room: int, width: int = WIDTH_MIN
) -> DeskConfig:
    """Return a desk's configuration, wide enough for its rows and for the widest event that is read."""
    width = max(width, row_fields)
    return DeskConfig(instruments=tuple(instruments), settings=settings, row_fields=row_fields, width=width, room=room)


def config_in(arrays: Mapping[str, npt.NDArray[Any]]) -> DeskConfig:
    """Return the configuration kept in a checkpoint."""
    if _CONFIG not in arrays:
        raise DataInvalid("the checkpoint holds no desk; replay needs a tape written by this engine")
    return msgspec.json.decode(arrays[_CONFIG].tobytes(), type=DeskConfig)


def control_event(
    width: int, word: int, now_ns: int, *, value: float = np.nan, reference: int = 0, scope: Scope | None = None
) -> EventBatch:
    """Return one control event as a (1,) batch; a halt's scope is its value (the kind) and its reference."""
    batch = np.zeros(1, event_dtype(width))
    batch["values"] = np.nan
    batch["kind"], batch["ts_event_ns"], batch["ts_recv_ns"] = int(Kind.CONTROL), now_ns, now_ns
    if scope is not None:
        value, reference = float(scope.kind), scope.number
    batch["reference"] = reference
    batch["values"][0, :2] = word, value
    return batch


def scope_of(control: np.void) -> Scope:
    """Return the scope of a halt or resume event."""
    return Scope(int(control["values"][1]), int(control["reference"]))


def is_own(events: EventBatch) -> npt.NDArray[np.bool_]:
    """Tell which inputs did not come from a feed: control events and the venue's answers, believed or not."""
    ours = np.isin(events["kind"], CONTROL_KINDS) & (events["flags"] != DenialCode.INPUT_UNKNOWN_KIND)
    own: npt.NDArray[np.bool_] = ours | (events["flags"] == DenialCode.INPUT_NOT_AN_ANSWER)
    return own


def _under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
