"""A venue on paper: real prices, honest costs, no money.

Idea:   an order fills at the next event of its instrument, never at the one that led to it, because the engine shows
        an event to the venue before it decides on it.
Price:  a bar fills at its open (or close), a quote or the best level of a book at its own bid or ask, a trade at its
        price; then costs are added against us: the half-spread (quotes and books carry theirs), slippage, and the fee.
        Prices are rounded to the tick against us. Where the price is worse than the order's limit price the order is
        rejected.
Undefined: an event whose prices are NaN, infinite, zero, negative, crossed or inconsistent fills nothing, nor does
        one older than an event already seen.
Time:   a bar's open lies before the bar's stamp. That is honest where bars are what the desk decides on; a desk that
        decides between bars declares ``fill_on = ["quote"]`` or ``bar_price = "close"``.
Units:  costs in basis points of the price; fees in the instrument's currency.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec
import numpy as np

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.live.inbox import Words
from tradeworthy.live.venues.base import OrderBatch, RejectCode
from tradeworthy.live.venues.matching import (
    GRID,
    GRID_SLACK,
    REFUSED,
    RULES,
    PaperState,
    Records,
    hold_paper,
    observe,
)

_ROOM = 16
"""Orders that rest at first; there is room for more when they come."""

_ID, _INSTRUMENT, _QUANTITY, _LIMIT_PRICE = (
    (ORDER.names or ()).index(name) for name in ("decision", "instrument", "quantity", "limit_price")
)


class PaperSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trading costs on paper, and which events fill.

    Attributes
    ----------
    fee_bps : float
        Of the traded value, on both sides; negative is a rebate.
    fee_minimum : float
        The least fee of one fill, in the instrument's currency.
    half_spread_bps : float
        Paid when a bar or a trade fills: half the distance from bid to ask.
    slippage_bps : float
        Paid always: what the market moves before and by the order.
    participation_max : float or None
        The most of a bar's volume, or of a quote's, trade's or best level's size, that one event may fill; the rest
        stays open.
        Not set: events fill whole orders.
    fill_on : tuple of str
        Kinds of events that fill.
    bar_price : str
        The price of a bar at which orders fill.
    age_ms_max : float or None
        An event that took longer from the market to us fills nothing, for its price is gone. Not set: any age does,
        as a recorded market needs.
    """

    fee_bps: float = 10.0
    fee_minimum: float = 0.0
    half_spread_bps: float = 1.0
    slippage_bps: float = 1.0
    participation_max: float | None = None
    fill_on: tuple[Literal["bar", "quote", "trade", "book"], ...] = ("bar", "quote", "trade", "book")
    bar_price: Literal["open", "close"] = "open"
    age_ms_max: float | None = None

    @property
    def cost_bps(self) -> float:
        """What a bar's fill costs, one way, of the value traded."""
        return self.fee_bps + self.half_spread_bps + self.slippage_bps

    def __post_init__(self) -> None:
        """Refuse costs that are not numbers, and spreads or slippage in our favour."""
        for name in ("fee_bps", "fee_minimum", "half_spread_bps", "slippage_bps"):
            value = getattr(self, name)
            if not math.isfinite(value) or (value < 0 and name != "fee_bps"):
                raise ValueError(f"{name} is {value}, allowed is a finite number, zero or more (fee_bps may be less)")
        share = self.participation_max
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"participation_max is {share}, allowed is above 0 and up to 1, or not set")
        if self.age_ms_max is not None and not self.age_ms_max >= 0:
            raise ValueError(f"age_ms_max is {self.age_ms_max}, allowed is zero or more, or not set")
        if not self.fill_on:
            raise ValueError("fill_on is empty, allowed is at least one of 'bar', 'quote', 'trade', 'book'")


class Paper:
    """Fill market orders against the feed's own prices.

    Parameters
    ----------
    settings : PaperSettings
        Costs.
    instruments : sequence of Instrument
        The desk's list; those not traded are refused.
    """

    def __init__(self, settings: PaperSettings, instruments: Sequence[Instrument]) -> None:
        self._settings, self._instruments = settings, tuple(instruments)
        self._rules, self._fills, self._grid = _rules(settings), _fills(settings), _grid(self._instruments)
        self._resting, self._refused = np.zeros(_ROOM, ORDER), np.zeros(_ROOM, REFUSED)
        self._open = self._refusals = 0
        self._last_id = -1
        self.pending = 0
        self._lay_out(event_dtype())

    def _lay_out(self, dtype: np.dtype[np.void]) -> None:
        """Make room for events of a type, and for an answer to whatever rests or was refused."""
        event, answers = np.zeros(1, dtype), np.zeros(2 * len(self._resting), dtype)
        self._dtype, self._answers, self._event = dtype, answers, event.view(np.uint8).data
        state = PaperState(
            rules=self._rules,
            fills=self._fills,
            grid=self._grid,
            resting=self._resting,
            refused=self._refused,
            words=event.view(np.int64).reshape(1, -1),
            numbers=event.view(np.float64).reshape(1, -1),
            answers=answers.view(np.int64).reshape(len(answers), -1),
            answer_numbers=answers.view(np.float64).reshape(len(answers), -1),
        )
        self._state = cast(PaperState, hold_paper(state))
        self._observe = entry(observe, self._state, 0, 0)

    def submit(self, orders: OrderBatch) -> None:
        """Take orders; a name seen before is ignored, an order that cannot be filled is rejected at the next event.

        Raises
        ------
        DataInvalid
            The records are not orders.
        """
        if orders.dtype != ORDER:
            raise DataInvalid("submit was given records that are not core.decisions.ORDER; pass an array of that type")
        for record in orders.tolist():
            self._accept(record)

    def cancel(self, order_id: int) -> None:
        """Withdraw what is left of an order; the reject that confirms it comes with the next event."""
        resting = self._resting[: self._open]
        for order in resting[resting["decision"] == order_id]:
            self._refuse(order_id, int(order["instrument"]), RejectCode.CANCELLED)
        rest = resting[resting["decision"] != order_id]
        self._resting[: len(rest)], self._open = rest, len(rest)

    def observe(self, event: np.void) -> EventBatch:
        """Return the answers that one event causes: cancels and refusals first, then fills in order of submission."""
        if event.dtype is not self._dtype:
            self._lay_out(event.dtype)
        self._event[:] = event.tobytes()
        self._open, answers, done = self._observe(self._state, self._open, self._refusals)
        self._refusals = 0
        self.pending -= done
        return self._answers[:answers].copy()

    def open_orders(self) -> OrderBatch:
        """Return the orders not yet done, with the quantity that is left, oldest first."""
        return np.sort(self._resting[: self._open], order="decision")

    def restore(self, orders: OrderBatch) -> None:
        """Put open orders back after a restart, as if they had rested here all the time.

        Only for a venue that has seen no order yet; `orders` are what the record says is not done.
        """
        self.submit(np.sort(orders, order="decision"))

    def _accept(self, record: tuple[Any, ...]) -> None:
        order_id, number = record[_ID], record[_INSTRUMENT]
        if order_id <= self._last_id:
            return
        self._last_id = order_id
        self.pending += 1
        refusal = self._refusal(number, record[_QUANTITY], record[_LIMIT_PRICE])
        if refusal is not None:
            self._refuse(order_id, number, refusal)
            return
        if self._open == len(self._resting):
            self._grow()
        self._resting[self._open] = record
        self._open += 1

    def _refusal(self, number: int, quantity: float, limit_price: float) -> RejectCode | None:
        if number >= len(self._instruments) or not self._instruments[number].traded:
            return RejectCode.UNKNOWN_INSTRUMENT
        lots = quantity / self._instruments[number].lot
        if not math.isfinite(lots) or round(lots) == 0 or abs(lots - round(lots)) > GRID_SLACK * max(1.0, abs(lots)):
            return RejectCode.QUANTITY_INVALID
        return RejectCode.LIMIT_PRICE_MISSING if math.isnan(limit_price) else None

    def _refuse(self, order_id: int, number: int, code: RejectCode) -> None:
        """Keep a reject for the next event."""
        if self._refusals == len(self._refused):
            self._grow()
        self._refused[self._refusals] = (order_id, number, code)
        self._refusals += 1

    def _grow(self) -> None:
        """Make room for twice as many orders."""
        self._resting = np.concatenate([self._resting, np.zeros_like(self._resting)])
        self._refused = np.concatenate([self._refused, np.zeros_like(self._refused)])
        self._lay_out(self._dtype)


def _rules(settings: PaperSettings) -> Records:
    """Return the settings as matching reads them."""
    share, age_ms = settings.participation_max, settings.age_ms_max
    return np.array(
        [
            (
                settings.fee_bps,
                settings.fee_minimum,
                settings.half_spread_bps,
                settings.slippage_bps,
                math.nan if share is None else share,
                math.inf if age_ms is None else age_ms * NS_PER_MS,
                0 if settings.bar_price == "open" else 3,
            )
        ],
        RULES,
    )


def _fills(settings: PaperSettings) -> Words:
    """Return 1 for each kind of event that fills."""
    fills = np.zeros(max(Kind) + 1, np.int64)
    fills[[Kind[name.upper()] for name in settings.fill_on]] = 1
    return fills


def _grid(instruments: Sequence[Instrument]) -> Records:
    """Return each instrument's steps, with no event seen."""
    never = np.iinfo(np.int64).min
    return np.array([(each.tick, each.lot, each.multiplier, never) for each in instruments], GRID)
