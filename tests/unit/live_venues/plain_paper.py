"""The rules of the paper venue in plain Python, to be checked by hand: what the kernel must agree with."""

import math
from typing import NamedTuple

from tradeworthy.core.events import Kind
from tradeworthy.live.venues.base import RejectCode

SLACK = 1e-9


class Resting(NamedTuple):
    """One order; `quantity` is what is left."""

    order: int
    instrument: int
    quantity: float
    limit_price: float


class Answer(NamedTuple):
    """One answer: a fill's quantity, price, fee and number, or a reject's code."""

    kind: int
    order: int
    values: tuple


def on_grid(value, step, rounding):
    """Round to a whole number of steps; what lies within a billionth of one is that one."""
    steps = value / step
    nearest = round(steps)
    whole = nearest if abs(steps - nearest) <= SLACK * max(1.0, abs(steps)) else rounding(steps)
    inverse = round(1.0 / step)
    return whole / inverse if inverse and abs(inverse * step - 1.0) < SLACK else whole * step


def offered(kind, values, bar_price):
    """Return (price, size) to buy and to sell, or nothing where the event's prices cannot be believed."""
    if kind in {Kind.QUOTE, Kind.BOOK}:
        bid, ask, bid_size, ask_size = values[:4]
        return ((ask, ask_size), (bid, bid_size)) if 0 < bid <= ask < math.inf else None
    if kind == Kind.TRADE:
        price, size = values[:2]
        return ((price, size), (price, size)) if 0 < price < math.inf else None
    opened, high, low, close, volume = values[:5]
    price = opened if bar_price == "open" else close
    sound = 0 < low <= opened <= high < math.inf and low <= close <= high
    return ((price, volume), (price, volume)) if sound else None


class PlainPaper:
    """What rests, by instrument, and what each event makes of it."""

    def __init__(self, settings, instruments) -> None:
        self.settings, self.instruments = settings, instruments
        self.books = [[] for _ in instruments]
        self.newest = [-math.inf] * len(instruments)

    def submit(self, order, instrument, quantity, limit_price) -> None:
        self.books[instrument].append(Resting(order, instrument, quantity, limit_price))

    def observe(self, event) -> list[Answer]:
        """Return the answers that an event causes."""
        number, kind = int(event["instrument"]), int(event["kind"])
        fills_on = {Kind[name.upper()] for name in self.settings.fill_on}
        if not self.books[number] or kind not in fills_on or not self._is_news(event, number):
            return []
        offer = offered(kind, event["values"].tolist(), self.settings.bar_price)
        return [] if offer is None else self._match(number, offer, kind)

    def _is_news(self, event, number) -> bool:
        happened, arrived = int(event["ts_event_ns"]), int(event["ts_recv_ns"])
        newest, self.newest[number] = self.newest[number], max(happened, self.newest[number])
        age_ms_max = math.inf if self.settings.age_ms_max is None else self.settings.age_ms_max
        return happened >= newest and arrived - happened <= age_ms_max * 1_000_000

    def _match(self, number, offer, kind) -> list[Answer]:
        settings, instrument = self.settings, self.instruments[number]
        spread = 0.0 if kind in {Kind.QUOTE, Kind.BOOK} else settings.half_spread_bps
        cost = (spread + settings.slippage_bps) / 10_000.0
        prices = [
            on_grid(offer[0][0] * (1.0 + cost), instrument.tick, math.ceil),
            on_grid(offer[1][0] * (1.0 - cost), instrument.tick, math.floor),
        ]
        share = settings.participation_max
        room = [math.inf if share is None else size * share for _, size in offer]
        answers, rest = [], []
        for order in self.books[number]:
            side = int(order.quantity < 0)
            price = prices[side]
            if price <= 0 or (price > order.limit_price if side == 0 else price < order.limit_price):
                answers.append(Answer(Kind.REJECT, order.order, (float(RejectCode.PRICE_BEYOND_LIMIT),)))
                continue
            wanted = abs(order.quantity)
            filled = self._fillable(wanted, room[side], instrument.lot)
            room[side] -= filled
            left = wanted
            if filled:
                left = 0.0 if filled == wanted else on_grid(wanted - filled, instrument.lot, round)
                fee = self._fee(filled * price * instrument.multiplier)
                number_of_fill = round(left / instrument.lot) + 1.0
                values = (math.copysign(filled, order.quantity), price, fee, number_of_fill)
                answers.append(Answer(Kind.FILL, order.order, values))
            if left:
                rest.append(order._replace(quantity=math.copysign(left, order.quantity)))
        self.books[number] = rest
        return answers

    @staticmethod
    def _fillable(wanted, room, lot) -> float:
        if wanted <= room:
            return wanted
        return min(wanted, on_grid(room, lot, math.floor)) if room >= lot else 0.0

    def _fee(self, value) -> float:
        fee = value * self.settings.fee_bps / 10_000.0
        return max(fee, self.settings.fee_minimum) if self.settings.fee_bps >= 0 else fee
