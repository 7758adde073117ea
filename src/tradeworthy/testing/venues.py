"""What every venue promises, as checks that run on a venue of your own.

Idea:   a check takes a function that makes a fresh venue for the given instruments and shows it a small market of its
        own. The kind of event that fills can be chosen, for a venue that does not fill on bars.

>>> from tradeworthy.live.venues.paper import Paper, PaperSettings
>>> check_venue(lambda instruments: Paper(PaperSettings(), instruments))
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.events import EventBatch, Kind, events_from_columns
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.venues.base import OrderBatch, Venue
from tradeworthy.testing.contract import require

MakeVenue = Callable[[Sequence[Instrument]], Venue]
VenueCheck = Callable[[MakeVenue, Kind], None]

INSTRUMENTS = (Instrument(symbol="ONE"), Instrument(symbol="TWO"), Instrument(symbol="READ", traded=False))
_EVENTS_MAX = 20


def market(kind: Kind, price: float, *, at_ns: int, instrument: int = 0) -> np.void:
    """Return one market event around a price, with ample size behind it."""
    columns: dict[str, Any] = {
        Kind.BAR: {"open": price, "high": price * 1.01, "low": price * 0.99, "close": price, "volume": 1e6},
        Kind.QUOTE: {"bid": price, "ask": price, "bid_size": 1e6, "ask_size": 1e6},
        Kind.TRADE: {"price": price, "size": 1e6, "side": 1.0},
    }[kind]
    events = events_from_columns(kind, instrument, np.array([at_ns]), {name: [v] for name, v in columns.items()})
    found: np.void = events[0]
    return found


def order(order_id: int, quantity: float, *, limit_price: float | None = None, instrument: int = 0) -> OrderBatch:
    """Return one order; without a limit price it accepts any."""
    found = np.zeros(1, ORDER)
    found["decision"], found["quantity"], found["instrument"] = order_id, quantity, instrument
    found["limit_price"] = limit_price if limit_price is not None else (math.inf if quantity > 0 else 0.0)
    return found


def _answers(venue: Venue, kind: Kind, price: float, start_ns: int = 1) -> EventBatch:
    """Show the venue the same market until nothing is pending, and return its answers."""
    answers = []
    for at_ns in range(start_ns, start_ns + _EVENTS_MAX):
        answers.append(venue.observe(market(kind, price, at_ns=at_ns)))
        if not venue.pending:
            break
    require(not venue.pending, f"every order is done after {_EVENTS_MAX} events with ample size")
    return np.concatenate(answers)


def _filled(answers: EventBatch, order_id: int) -> float:
    fills = answers[(answers["kind"] == Kind.FILL) & (answers["reference"] == order_id)]
    return float(fills["values"][:, 0].sum())


def idle_venue_answers_nothing(make: MakeVenue, kind: Kind) -> None:
    """Without orders nothing is pending and an event causes no answer."""
    venue = make(INSTRUMENTS)
    require(venue.pending == 0, "nothing is pending in a fresh venue")
    require(len(venue.observe(market(kind, 100.0, at_ns=1))) == 0, "an event without orders causes no answer")


def orders_fill_once_and_whole(make: MakeVenue, kind: Kind) -> None:
    """Orders to buy and to sell are filled by their signed quantity, named, priced and charged."""
    venue = make(INSTRUMENTS)
    venue.submit(np.concatenate([order(1, 2.0), order(2, -3.0)]))
    require(venue.pending > 0, "orders taken are pending until answered")
    answers = _answers(venue, kind, 100.0)
    require(set(answers["kind"].tolist()) == {Kind.FILL}, "orders at any price are filled, not rejected")
    require(set(answers["reference"].tolist()) == {1, 2}, "a fill's reference is its order's id")
    require(math.isclose(_filled(answers, 1), 2.0), "a buy's fills sum to its quantity")
    require(math.isclose(_filled(answers, 2), -3.0), "a sell's fills sum to its negative quantity")
    require((answers["values"][:, 1] > 0).all(), "fill prices are positive")
    require(np.isfinite(answers["values"][:, 2]).all(), "fees are finite numbers")
    numbers = answers["values"][np.isfinite(answers["values"][:, 3])][:, 3]
    require(
        (numbers > 0).all() and (numbers == np.floor(numbers)).all(), "executions are whole numbers above 0, or NaN"
    )
    require(len(venue.observe(market(kind, 100.0, at_ns=99))) == 0, "an order that is done is not answered again")


def answers_are_events(make: MakeVenue, kind: Kind) -> None:
    """Answers are records of the observed event's type, of the order's instrument, not earlier than the event."""
    venue = make(INSTRUMENTS)
    venue.submit(order(1, 1.0))
    event = market(kind, 100.0, at_ns=5)
    answers = venue.observe(event)
    require(answers.dtype == event.dtype and answers.ndim == 1, "answers are events of the observed event's type")
    require((answers["ts_event_ns"] >= event["ts_event_ns"]).all(), "answers are not earlier than their event")
    require((answers["instrument"] == 0).all(), "answers are of the order's instrument")
    require(np.isnan(answers["values"][:, 4:]).all(), "values beyond the fields of a fill are NaN")
    require((answers["sequence"] == 0).all(), "the frame belongs to the tape and is zero")


def no_price_beyond_the_limit(make: MakeVenue, kind: Kind) -> None:
    """No order fills at a price worse than its limit; it stays open or is rejected."""
    venue = make(INSTRUMENTS)
    venue.submit(np.concatenate([order(1, 1.0, limit_price=90.0), order(2, -1.0, limit_price=110.0)]))
    answers = venue.observe(market(kind, 100.0, at_ns=1))
    require(not (answers["kind"] == Kind.FILL).any(), "no fill at a price worse than the limit price")


def other_instruments_fill_nothing(make: MakeVenue, kind: Kind) -> None:
    """Orders fill only on events of their own instrument."""
    venue = make(INSTRUMENTS)
    venue.submit(order(1, 1.0))
    answers = venue.observe(market(kind, 100.0, at_ns=1, instrument=1))
    require(len(answers) == 0 and venue.pending > 0, "an event of another instrument fills nothing")


def impossible_prices_fill_nothing(make: MakeVenue, kind: Kind) -> None:
    """NaN, infinite, zero and negative prices fill nothing."""
    for price in (math.nan, math.inf, 0.0, -1.0):
        venue = make(INSTRUMENTS)
        venue.submit(np.concatenate([order(1, 1.0), order(2, -1.0)]))
        answers = venue.observe(market(kind, price, at_ns=1))
        require(not (answers["kind"] == Kind.FILL).any(), f"a price of {price} fills nothing")


def cancelled_orders_never_fill(make: MakeVenue, kind: Kind) -> None:
    """No cancelled order fills; its answer is a reject, and an unknown one is left alone."""
    venue = make(INSTRUMENTS)
    venue.submit(order(1, 1.0))
    venue.cancel(1)
    venue.cancel(999)
    answers = _answers(venue, kind, 100.0)
    require(_filled(answers, 1) == 0.0, "a cancelled order never fills")
    require(answers["kind"].tolist() == [Kind.REJECT], "a cancel is answered once, with a reject")


def repeated_orders_fill_once(make: MakeVenue, kind: Kind) -> None:
    """Orders sent again under the same id, before or after they are done, fill once."""
    venue = make(INSTRUMENTS)
    venue.submit(order(1, 1.0))
    venue.submit(order(1, 1.0))
    answers = _answers(venue, kind, 100.0)
    venue.submit(order(1, 1.0))
    again = venue.observe(market(kind, 100.0, at_ns=99))
    require(math.isclose(_filled(np.concatenate([answers, again]), 1), 1.0), "an id is filled once")


def bad_orders_are_rejected(make: MakeVenue, kind: Kind) -> None:
    """Orders without a quantity, or for an instrument that is unknown or only read, are rejected, never lost."""
    venue = make(INSTRUMENTS)
    bad = [order(1, 0.0), order(2, math.nan), order(3, 1.0, instrument=2), order(4, 1.0, instrument=77)]
    venue.submit(np.concatenate(bad))
    answers = _answers(venue, kind, 100.0)
    require(sorted(answers["reference"].tolist()) == [1, 2, 3, 4], "every bad order is answered once")
    require((answers["kind"] == Kind.REJECT).all(), "bad orders are rejected")
    require((answers["values"][:, 0] > 0).all(), "a reject carries a code above zero")


VENUE_CHECKS: tuple[VenueCheck, ...] = (
    idle_venue_answers_nothing,
    orders_fill_once_and_whole,
    answers_are_events,
    no_price_beyond_the_limit,
    other_instruments_fill_nothing,
    impossible_prices_fill_nothing,
    cancelled_orders_never_fill,
    repeated_orders_fill_once,
    bad_orders_are_rejected,
)


def check_venue(make: MakeVenue, kind: Kind = Kind.BAR) -> None:
    """Run every check on venues made by `make`.

    Parameters
    ----------
    make : callable (instruments) -> Venue
        Makes a fresh venue for the given instruments.
    kind : Kind
        The kind of event on which this venue fills: bar, quote or trade.

    Raises
    ------
    ContractBroken
        The first promise that is not kept.
    """
    for check in VENUE_CHECKS:
        check(make, kind)
