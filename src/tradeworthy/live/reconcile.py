"""Orders that were open when the engine stopped: known by name, never sent again.

Flow:   an order whose record is not on the tape was never sent. Of the others, a venue on paper takes its orders back
        from the record. A venue that recalls its answers gives those that we missed; one that lists its open orders is
        believed about the rest. Where it can do neither, an order in doubt stays in flight, and counts against every
        limit, until the venue answers or a person intervenes.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import ORDER, ORDERS
from tradeworthy.core.events import OUR_REJECTS, EventBatch, Kind, event_dtype
from tradeworthy.live.desk import Desk
from tradeworthy.live.playback import read_or_none
from tradeworthy.live.venues.base import OrderBatch, Venue
from tradeworthy.record.tape import TapeReader

NEVER_SENT = OUR_REJECTS
"""Reject code of our own: the order was approved, but the engine stopped before sending it."""

NOT_AT_VENUE = OUR_REJECTS + 1.0
"""Reject code of our own: after a restart the venue does not know the order."""


@runtime_checkable
class KeepsNothing(Protocol):
    """A venue that forgets with the process, and takes its open orders back from the record."""

    def restore(self, orders: OrderBatch) -> None:
        """Put open orders back."""


@runtime_checkable
class ListsOrders(Protocol):
    """A venue that can say which orders are open."""

    def open_orders(self) -> OrderBatch:
        """Return the open orders, with what is left of them."""


@runtime_checkable
class RecallsAnswers(Protocol):
    """A venue that can say what it answered about an order, also while nobody listened."""

    def answers_of(self, orders: npt.NDArray[np.uint64]) -> EventBatch:
        """Return every fill and reject of these orders so far, in the order given."""


def reconcile(desk: Desk, reader: TapeReader, venue: Venue, now_ns: int) -> EventBatch:
    """Compare the desk's open orders with the record and the venue.

    Returns
    -------
    (m,) event records
        Answers that we missed, and rejects of orders that are open nowhere; to be consumed as inputs.
    """
    count = int(desk.state.account["open_orders"][0])
    if not count:
        return np.zeros(0, event_dtype(desk.config.width))
    still = desk.state.orders[:count].copy()
    sent = read_or_none(reader, ORDERS, ORDER)
    known = np.isin(still["order"], sent["decision"])
    rejects = [_reject(desk, order, NEVER_SENT, now_ns) for order in still[~known]]
    if isinstance(venue, KeepsNothing):
        venue.restore(_left(still[known], sent))
        return np.concatenate([np.zeros(0, event_dtype(desk.config.width)), *rejects])
    missed = _missed(still[known], sent, venue) if isinstance(venue, RecallsAnswers) else []
    if isinstance(venue, ListsOrders):
        answered = _done(still[known], missed)
        gone = still[known][~answered & ~np.isin(still[known]["order"], venue.open_orders()["decision"])]
        rejects += [_reject(desk, order, NOT_AT_VENUE, now_ns) for order in gone]
    return np.concatenate([np.zeros(0, event_dtype(desk.config.width)), *missed, *rejects])


def _missed(still: OrderBatch, sent: OrderBatch, venue: RecallsAnswers) -> list[EventBatch]:
    """Return, order by order, the answers that come after what the record already has of its fills."""
    recalled = venue.answers_of(still["order"].astype(np.uint64))
    heard = _originals(still, sent)["quantity"] - still["remaining"]
    return [
        _after(recalled[recalled["reference"] == order], float(quantity))
        for order, quantity in zip(still["order"], heard, strict=True)
    ]


def _after(answers: EventBatch, heard: float) -> EventBatch:
    """Return an order's answers without the first fills that add up to the quantity already heard of."""
    fills = np.where(answers["kind"] == Kind.FILL, np.abs(answers["values"][:, 0]), 0.0)
    return answers[np.cumsum(fills) > abs(heard) * (1.0 + 1e-9)] if heard else answers


def _done(still: OrderBatch, missed: list[EventBatch]) -> npt.NDArray[np.bool_]:
    """Tell which orders their missed answers close."""
    closed = np.zeros(len(still), np.bool_)
    for place, answers in enumerate(missed):
        left = abs(still["remaining"][place]) - np.abs(answers["values"][answers["kind"] == Kind.FILL, 0]).sum()
        closed[place] = bool((answers["kind"] == Kind.REJECT).any()) or left < 1e-9 * abs(still["remaining"][place])
    return closed


def _left(still: OrderBatch, sent: OrderBatch) -> OrderBatch:
    """Return the sent orders that are still open, with the quantity that is left."""
    left = _originals(still, sent)
    left["quantity"] = still["remaining"]
    return left


def _originals(still: OrderBatch, sent: OrderBatch) -> OrderBatch:
    """Return copies of the records of orders that are still open."""
    return sent[np.searchsorted(sent["decision"], still["order"])].copy()


def _reject(desk: Desk, order: np.void, code: float, now_ns: int) -> EventBatch:
    batch = np.zeros(1, event_dtype(desk.config.width))
    batch["values"] = np.nan
    batch["kind"], batch["ts_event_ns"], batch["ts_recv_ns"] = int(Kind.REJECT), now_ns, now_ns
    batch["reference"], batch["instrument"] = order["order"], order["instrument"]
    batch["values"][0, 0] = code
    return batch
