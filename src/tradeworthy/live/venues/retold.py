"""What a venue on paper did, made again from the tape: an account of its own, beside what the desk heard.

Idea:   given its orders and the events that it was shown, a paper venue is the same venue again. So its account does
        not come from what the engine wrote of it, and a fill that was lost, doubled or changed on the way is found.
Flow:   orders and market events in the order of the tape → a fresh `Paper` → its answers.
Restart: the engine puts back what the record says is open, and so does this. What was answered to an event that a
        crash took is believed, for nobody can show that event again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import INPUTS, ORDER, ORDERS
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import EventBatch, Kind, Word, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.control import SCOPE_INSTRUMENT, SCOPE_VERSION, Scope
from tradeworthy.live.desk import is_own, scope_of
from tradeworthy.live.playback import ANSWERS, read_or_none
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.reader import TapeReader


class Retold(NamedTuple):
    """A paper venue's account.

    Attributes
    ----------
    answers : (n,) event records
        Its fills and rejects.
    open_orders : (m,) ORDER
        What still rests, with what is left.
    believed : int
        Answers that are taken from the tape, because a crash took the event that caused them.
    """

    answers: EventBatch
    open_orders: OrderBatch
    believed: int


def retell(reader: TapeReader, settings: PaperSettings, instruments: Sequence[Instrument]) -> Retold:
    """Show a paper venue its orders and events again.

    Parameters
    ----------
    reader : TapeReader
    settings : PaperSettings
        What trading cost when the tape was written.
    instruments : sequence of Instrument
        The desk's list.
    """
    inputs = read_or_none(reader, INPUTS, event_dtype())
    orders = read_or_none(reader, ORDERS, ORDER)
    telling = _Telling(inputs, orders, settings, instruments)
    control = inputs[(inputs["kind"] == Kind.CONTROL) & (inputs["flags"] == DenialCode.NONE)]
    turns: list[tuple[int, np.void, Callable[[np.void], None]]] = []
    turns += [(int(each["sequence"]), each, telling.steer) for each in control]
    turns += [(int(each["sequence"]), each, telling.submit) for each in orders]
    for sequence, record, step in sorted(turns, key=lambda turn: turn[0]):
        telling.show_until(sequence)
        step(record)
    telling.show_until(int(np.iinfo(np.int64).max))
    return Retold(np.concatenate([inputs[:0], *telling.answers]), telling.venue.open_orders(), telling.believed)


class _Telling:
    """One paper venue on its way through a tape."""

    def __init__(
        self, inputs: EventBatch, orders: OrderBatch, settings: PaperSettings, instruments: Sequence[Instrument]
    ) -> None:
        self._market, self._orders = inputs[~is_own(inputs)], orders
        heard = np.isin(inputs["kind"], ANSWERS) & (inputs["flags"] == DenialCode.NONE)
        self._heard = inputs[heard]
        self._new: Callable[[], Paper] = partial(Paper, settings, instruments)
        self._place, self._scopes, self._champion = 0, set[Scope](), 0
        self.venue, self.answers, self.believed = self._new(), list[EventBatch](), 0

    def show_until(self, sequence: int) -> None:
        """Show what came before a record, as long as anything is pending."""
        stop = int(np.searchsorted(self._market["sequence"], sequence))
        while self.venue.pending and self._place < stop:
            self.answers.append(self.venue.observe(_shown(self._market[self._place])))
            self._place += 1
        self._place = max(self._place, stop)

    def submit(self, order: np.void) -> None:
        """Take an order."""
        self.venue.submit(np.array([order]))

    def steer(self, control: np.void) -> None:
        """Follow a control event: a restart puts back what was open, a halt takes back what rests."""
        match int(control["values"][0]):
            case Word.STARTED:
                self._restart(int(control["sequence"]))
            case Word.CHAMPION:
                self._champion = int(control["reference"])
            case Word.HALT:
                self._scopes.add(scope_of(control))
                self._cancel(scope_of(control))
            case Word.RESUME:
                self._scopes.discard(scope_of(control))

    def _restart(self, sequence: int) -> None:
        """Begin anew with what the record says is open."""
        last = self._market["sequence"][self._place - 1] if self._place else 0
        lost = (self._heard["sequence"] > last) & (self._heard["sequence"] < sequence)
        answered = _fills_and_ends(self.answers)
        orphans = [each for each in self._heard[lost] if _name(each) not in answered]
        self.believed += len(orphans)
        self.answers += [np.array([each]) for each in orphans]
        self.venue = self._new()
        left = _left(self._orders[self._orders["sequence"] < sequence], self._heard[self._heard["sequence"] < sequence])
        if left.size:
            self.venue.restore(left)
        for scope in sorted(self._scopes):
            self._cancel(scope)

    def _cancel(self, scope: Scope) -> None:
        for order in self.venue.open_orders():
            whole = scope.kind != SCOPE_INSTRUMENT and (scope.kind != SCOPE_VERSION or scope.number == self._champion)
            if whole or (scope.kind == SCOPE_INSTRUMENT and scope.number == order["instrument"]):
                self.venue.cancel(int(order["decision"]))


def _shown(event: np.void) -> np.void:
    """Return an event as the venue saw it: one that was refused only told the time."""
    if event["flags"] == DenialCode.NONE:
        return event
    timer = event.copy()
    timer["kind"], timer["values"] = int(Kind.TIMER), np.nan
    return timer


def _name(answer: np.void) -> tuple[int, int, float]:
    """Return what tells an answer from the others of its order."""
    is_fill = answer["kind"] == Kind.FILL
    return int(answer["reference"]), int(answer["kind"]), float(answer["values"][3]) if is_fill else 0.0


def _fills_and_ends(answers: list[EventBatch]) -> set[tuple[int, int, float]]:
    return {_name(each) for batch in answers for each in batch}


def _left(orders: OrderBatch, heard: EventBatch) -> OrderBatch:
    """Return the orders that are not done by what was heard, with the quantity that is left."""
    left = orders.copy()
    fills = heard[heard["kind"] == Kind.FILL]
    ended = heard["reference"][heard["kind"] == Kind.REJECT]
    places: npt.NDArray[np.int64] = np.searchsorted(left["decision"], fills["reference"])
    np.subtract.at(left["quantity"], places, fills["values"][:, 0])
    done = np.isin(left["decision"], ended) | (np.abs(left["quantity"]) < 1e-9 * np.abs(orders["quantity"]))
    return np.compress(~done, left)
