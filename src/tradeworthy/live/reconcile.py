"""Orders that were open when the engine stopped: known by name, never sent again.

Flow:   an order whose record is not on the tape was never sent. Of the others, a venue on paper takes its orders back
        from the record; a venue that can list its open orders is believed; where it cannot, an order in doubt stays in
        flight, and counts against every limit, until the venue answers or a person intervenes.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.live.desk import Desk
from tradeworthy.live.playback import ORDERS, read_or_none
from tradeworthy.live.venues.base import OrderBatch, Venue
from tradeworthy.record.tape import TapeReader

NEVER_SENT = 100.0
"""Reject code of our own: the order was approved, but the engine stopped before sending it."""

NOT_AT_VENUE = 101.0
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


def reconcile(desk: Desk, reader: TapeReader, venue: Venue, now_ns: int) -> EventBatch:
    """Compare the desk's open orders with the record and the venue.

    Returns
    -------
    (m,) event records
        Rejects of orders that are open nowhere, to be consumed as inputs.
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
    elif isinstance(venue, ListsOrders):
        gone = still[known][~np.isin(still[known]["order"], venue.open_orders()["decision"])]
        rejects += [_reject(desk, order, NOT_AT_VENUE, now_ns) for order in gone]
    return np.concatenate([np.zeros(0, event_dtype(desk.config.width)), *rejects])


def _left(still: OrderBatch, sent: OrderBatch) -> OrderBatch:
    """Return the sent orders that are still open, with the quantity that is left."""
    places = np.searchsorted(sent["decision"], still["order"])
    left = sent[places].copy()
    left["quantity"] = still["remaining"]
    return left


def _reject(desk: Desk, order: np.void, code: float, now_ns: int) -> EventBatch:
    batch = np.zeros(1, event_dtype(desk.config.width))
    batch["values"] = np.nan
    batch["kind"], batch["ts_event_ns"], batch["ts_recv_ns"] = int(Kind.REJECT), now_ns, now_ns
    batch["reference"], batch["instrument"] = order["order"], order["instrument"]
    batch["values"][0, 0] = code
    return batch
