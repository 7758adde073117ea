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
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import EventBatch, Kind, event_dtype
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.live.venues.base import OrderBatch, RejectCode

_GRID_SLACK = 1e-9  # of a tick or lot: what rounding in float64 may leave
_BPS_PER_ONE = 10_000.0
_QUOTE, _TRADE, _BOOK = Kind.QUOTE.value, Kind.TRADE.value, Kind.BOOK.value
_FILL, _REJECT = Kind.FILL.value, Kind.REJECT.value
_TS_EVENT, _TS_RECV, _EVENT_INSTRUMENT, _EVENT_KIND = (
    (event_dtype().names or ()).index(name) for name in ("ts_event_ns", "ts_recv_ns", "instrument", "kind")
)
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


class _Prices(NamedTuple):
    """What one event offers: a price and the quantity behind it, for each side."""

    buy: float
    sell: float
    buy_size: float
    sell_size: float


class _Open(NamedTuple):
    """One open order; `quantity` is what is left, `record` the order as it came."""

    order_id: int
    quantity: float
    limit_price: float
    record: tuple[Any, ...]

    def beyond_limit(self, price: float) -> bool:
        """Tell whether `price` is worse than the order allows, or no price at all."""
        worse = price > self.limit_price if self.quantity > 0 else price < self.limit_price
        return worse or price <= 0


class _Answer(NamedTuple):
    """What the next `observe` returns as one event."""

    kind: int
    order_id: int
    instrument: int
    values: tuple[float, ...]
    closes: bool


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
        self._settings = settings
        self._instruments = tuple(instruments)
        self._books: list[list[_Open]] = [[] for _ in instruments]
        self._answers: list[_Answer] = []
        self._last_id = -1
        self._newest_ns = [-(1 << 63)] * len(self._books)
        self._age_ns_max = math.inf if settings.age_ms_max is None else settings.age_ms_max * NS_PER_MS
        self._fill_on = frozenset(Kind[name.upper()].value for name in settings.fill_on)
        self._bar_place = 0 if settings.bar_price == "open" else 3
        self.pending = 0

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
        for number, book in enumerate(self._books):
            rest = [order for order in book if order.order_id != order_id]
            if len(rest) < len(book):
                self._books[number] = rest
                self._answers.append(_rejected(order_id, number, RejectCode.CANCELLED))

    def observe(self, event: np.void) -> EventBatch:
        """Return the answers that one event causes: cancels and refusals first, then fills in order of submission."""
        record: Any = event.item()
        number, kind = record[_EVENT_INSTRUMENT], record[_EVENT_KIND]
        if number < len(self._books) and self._books[number] and kind in self._fill_on and self._is_news(record):
            prices = _offered(kind, record[-1].tolist(), self._bar_place)
            if prices is not None:
                self._match(number, prices, 0.0 if kind in {_QUOTE, _BOOK} else self._settings.half_spread_bps)
        answers, self._answers = self._answers, []
        for answer in answers:
            self.pending -= answer.closes
        return _answer_events(event.dtype, record, answers)

    def _is_news(self, record: Any) -> bool:
        """Tell whether an event is neither older than one already seen nor too long on its way."""
        number: int = record[_EVENT_INSTRUMENT]
        happened_ns: int = record[_TS_EVENT]
        arrived_ns: int = record[_TS_RECV]
        newest_ns, self._newest_ns[number] = self._newest_ns[number], max(happened_ns, self._newest_ns[number])
        return happened_ns >= newest_ns and arrived_ns - happened_ns <= self._age_ns_max

    def open_orders(self) -> OrderBatch:
        """Return the orders not yet done, with the quantity that is left, oldest first."""
        left = sorted(order for book in self._books for order in book)
        found = np.array([order.record for order in left], ORDER)
        found["quantity"] = [order.quantity for order in left]
        return found

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
        quantity, limit_price = record[_QUANTITY], record[_LIMIT_PRICE]
        refusal = self._refusal(number, quantity, limit_price)
        if refusal is not None:
            self._answers.append(_rejected(order_id, number, refusal))
        else:
            self._books[number].append(_Open(order_id, quantity, limit_price, record))

    def _refusal(self, number: int, quantity: float, limit_price: float) -> RejectCode | None:
        if number >= len(self._instruments) or not self._instruments[number].traded:
            return RejectCode.UNKNOWN_INSTRUMENT
        lots = quantity / self._instruments[number].lot
        if not math.isfinite(lots) or round(lots) == 0 or abs(lots - round(lots)) > _GRID_SLACK * max(1.0, abs(lots)):
            return RejectCode.QUANTITY_INVALID
        return RejectCode.LIMIT_PRICE_MISSING if math.isnan(limit_price) else None

    def _match(self, number: int, prices: _Prices, half_spread_bps: float) -> None:
        """Fill the book of one instrument, oldest order first, against what the event offers."""
        instrument, share = self._instruments[number], self._settings.participation_max
        cost = (half_spread_bps + self._settings.slippage_bps) / _BPS_PER_ONE
        buy = _on_grid(prices.buy * (1.0 + cost), instrument.tick, math.ceil)
        sell = _on_grid(prices.sell * (1.0 - cost), instrument.tick, math.floor)
        room = [math.inf, math.inf] if share is None else [prices.buy_size * share, prices.sell_size * share]
        rest: list[_Open] = []
        for order in self._books[number]:
            side, price = (0, buy) if order.quantity > 0 else (1, sell)
            if order.beyond_limit(price):
                self._answers.append(_rejected(order.order_id, number, RejectCode.PRICE_BEYOND_LIMIT))
                continue
            filled = _fillable(abs(order.quantity), room[side], instrument.lot)
            room[side] -= filled
            rest += self._fill(number, order, filled, price)
        self._books[number] = rest

    def _fill(self, number: int, order: _Open, filled: float, price: float) -> tuple[_Open, ...]:
        """Answer with a fill, if anything fills, and return what stays open of the order."""
        if filled == 0.0:
            return (order,)
        instrument = self._instruments[number]
        fee = self._fee(filled * price * instrument.multiplier)
        wanted = abs(order.quantity)
        left = 0.0 if filled == wanted else _on_grid(wanted - filled, instrument.lot, round)
        execution = round(left / instrument.lot) + 1.0  # what is left tells the fills of an order apart, in any process
        values = (math.copysign(filled, order.quantity), price, fee, execution)
        self._answers.append(_Answer(_FILL, order.order_id, number, values, left == 0.0))
        return (order._replace(quantity=math.copysign(left, order.quantity)),) if left else ()

    def _fee(self, value: float) -> float:
        settings = self._settings
        fee = value * settings.fee_bps / _BPS_PER_ONE
        return max(fee, settings.fee_minimum) if settings.fee_bps >= 0 else fee


def _offered(kind: int, values: list[float], bar_place: int) -> _Prices | None:
    """Return the prices of a market event, or nothing where they cannot be believed."""
    if kind in {_QUOTE, _BOOK}:
        bid, ask, bid_size, ask_size = values[:4]
        return _Prices(ask, bid, ask_size, bid_size) if 0 < bid <= ask < math.inf else None
    if kind == _TRADE:
        price, size = values[:2]
        return _Prices(price, price, size, size) if 0 < price < math.inf else None
    opened, high, low, close, volume = values[:5]
    price = values[bar_place]
    sound = 0 < low <= opened <= high < math.inf and low <= close <= high
    return _Prices(price, price, volume, volume) if sound else None


def _on_grid(value: float, step: float, rounding: Callable[[float], int]) -> float:
    """Round to a whole number of steps, forgiving what float64 leaves; 30344 steps of 0.01 are 303.44 exactly."""
    steps = value / step
    nearest = round(steps)
    whole = nearest if abs(steps - nearest) <= _GRID_SLACK * max(1.0, abs(steps)) else rounding(steps)
    inverse = round(1.0 / step)
    return whole / inverse if inverse and abs(inverse * step - 1.0) < _GRID_SLACK else whole * step


def _fillable(wanted: float, room: float, lot: float) -> float:
    """Return how much of `wanted` fits into `room`, in whole lots; NaN room fits nothing."""
    if wanted <= room:
        return wanted
    return min(wanted, _on_grid(room, lot, math.floor)) if room >= lot else 0.0


def _rejected(order_id: int, number: int, code: RejectCode) -> _Answer:
    return _Answer(_REJECT, order_id, number, (float(code),), closes=True)


def _answer_events(dtype: np.dtype[np.void], observed: Any, answers: list[_Answer]) -> EventBatch:
    """Write answers as events of the observed event's type, with its times."""
    batch, width = np.empty(len(answers), dtype), len(observed[-1])
    times = observed[_TS_EVENT : _TS_RECV + 1]
    for place, (kind, order_id, number, values, _) in enumerate(answers):
        padded = values + (math.nan,) * (width - len(values))
        batch[place] = (0, 0, 0, *times, order_id, number, kind, 0, 0, padded)
    return batch
