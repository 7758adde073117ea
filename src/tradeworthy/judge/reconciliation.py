"""The desk's account of its orders beside the venue's: whatever one has and the other has not is a difference.

Idea:   order by order, because that is the name that both sides know. What an order's fills add up to must agree in
        quantity, in price and in fees; then positions, and which orders are still open.
Slack:  half a lot, half a tick, and for fees half a cent a fill: what rounding for a statement may take. Float64
        leaves far less.
Undefined: what the venue's account does not say (fees, positions, open orders) is not compared, and counted as such.
"""

import math
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from tradeworthy.core.instruments import Instrument

Kind = Literal["unknown order", "not at the venue", "not on the tape", "instrument", "quantity", "price", "fee",
               "position", "open order"]  # fmt: skip

FEE_SLACK = 0.005
"""Of one fill, in the instrument's currency."""

EXACT = 1e-9


class StatedFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fill as an account states it; `order` is our id of the order, `quantity` above 0 bought."""

    order: int
    instrument: str
    quantity: float
    price: float
    fee: float | None = None

    def __post_init__(self) -> None:
        """Refuse figures that compare with nothing."""
        for name in ("quantity", "price", "fee"):
            _require_finite(name, getattr(self, name))


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one side says.

    Attributes
    ----------
    fills : list of StatedFill
    positions : dict of str to float, or None
        By symbol; None where they are not stated.
    open_orders : list of int, or None
        Our ids of the orders that still rest; None where they are not stated.
    """

    fills: list[StatedFill]
    positions: dict[str, float] | None = None
    open_orders: list[int] | None = None

    def __post_init__(self) -> None:
        """Refuse figures that compare with nothing."""
        for symbol, position in (self.positions or {}).items():
            _require_finite(f"position of {symbol}", position)


def _require_finite(name: str, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{name} is {value}, allowed is a finite number")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on which the accounts part; `ours` and `venues` are in `unit`, and 0 where a side has nothing."""

    kind: Kind
    order: int | None
    instrument: str
    ours: float
    venues: float
    unit: str

    def sentence(self) -> str:
        """Say it in words."""
        who = f"order {self.order} ({self.instrument})" if self.order is not None else self.instrument
        return f"{who}: {self.kind}, {self.ours:.10g} here, {self.venues:.10g} at the venue, in {self.unit}"


class _Total(msgspec.Struct):
    """What one order's fills add up to."""

    instrument: str
    quantity: float = 0.0
    value: float = 0.0
    fee: float = 0.0
    fills: int = 0
    states_fees: bool = True

    @property
    def price(self) -> float:
        return self.value / self.quantity if self.quantity else 0.0


def compare(
    ours: Account, venues: Account, *, sent: Collection[int], instruments: Mapping[str, Instrument]
) -> list[Difference]:
    """Return every difference of two accounts: orders first, then positions and what is open.

    Parameters
    ----------
    ours, venues : Account
    sent : collection of int
        The ids of the orders that the desk sent.
    instruments : mapping of str to Instrument
        The desk's, by symbol.
    """
    here, there, known = _totals(ours), _totals(venues), frozenset(sent)
    found = []
    for order in sorted(here.keys() | there.keys()):
        found += _order(order, here.get(order), there.get(order), known, instruments)
    return found + _positions(ours, venues, instruments) + _open(ours, venues)


def _totals(account: Account) -> dict[int, _Total]:
    totals: dict[int, _Total] = {}
    for fill in account.fills:
        total = totals.setdefault(fill.order, _Total(fill.instrument))
        total.quantity += fill.quantity
        total.value += fill.quantity * fill.price
        total.fee += fill.fee or 0.0
        total.fills += 1
        total.states_fees &= fill.fee is not None
    return totals


def _order(
    order: int,
    ours: _Total | None,
    venues: _Total | None,
    sent: Collection[int],
    instruments: Mapping[str, Instrument],
) -> list[Difference]:
    """Return the differences of one order; where its quantity differs, so do price and fees, and are not told."""

    def differs(kind: Kind, symbol: str, here: float, there: float, unit: str) -> list[Difference]:
        return [Difference(kind=kind, order=order, instrument=symbol, ours=here, venues=there, unit=unit)]

    if venues is None or ours is None:
        total = ours or venues or _Total("")
        kind: Kind = "not at the venue" if venues is None else "not on the tape"
        kind = kind if order in sent else "unknown order"
        here, there = (total.quantity, 0.0) if venues is None else (0.0, total.quantity)
        return differs(kind, total.instrument, here, there, "units")
    symbol, instrument = ours.instrument, instruments[ours.instrument]
    if symbol != venues.instrument:
        return differs("instrument", f"{symbol}, {venues.instrument}", ours.quantity, venues.quantity, "units")
    if abs(ours.quantity - venues.quantity) > 0.5 * instrument.lot:
        return differs("quantity", symbol, ours.quantity, venues.quantity, "units")
    found = []
    if abs(ours.price - venues.price) > 0.5 * instrument.tick:
        found += differs("price", symbol, ours.price, venues.price, f"{instrument.currency} a unit")
    slack = FEE_SLACK * max(ours.fills, venues.fills) + EXACT * abs(ours.fee)
    if venues.states_fees and abs(ours.fee - venues.fee) > slack:
        found += differs("fee", symbol, ours.fee, venues.fee, instrument.currency)
    return found


def _positions(ours: Account, venues: Account, instruments: Mapping[str, Instrument]) -> list[Difference]:
    if ours.positions is None or venues.positions is None:
        return []
    found = []
    for symbol in sorted(ours.positions.keys() | venues.positions.keys()):
        here, there = ours.positions.get(symbol, 0.0), venues.positions.get(symbol, 0.0)
        lot = instruments[symbol].lot if symbol in instruments else 0.0
        if abs(here - there) > 0.5 * lot:
            found.append(
                Difference(kind="position", order=None, instrument=symbol, ours=here, venues=there, unit="units")
            )
    return found


def _open(ours: Account, venues: Account) -> list[Difference]:
    if ours.open_orders is None or venues.open_orders is None:
        return []
    here, there = set(ours.open_orders), set(venues.open_orders)
    return [
        Difference(
            kind="open order",
            order=order,
            instrument="any",
            ours=float(order in here),
            venues=float(order in there),
            unit="orders",
        )
        for order in sorted(here ^ there)
    ]
