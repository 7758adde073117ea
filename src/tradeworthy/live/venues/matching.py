"""How a venue on paper matches: resting orders against what one event offers, in one kernel.

Idea:   the rules of `paper` as arithmetic over arrays. An event comes in as words, answers go out as words; the venue's
        own class takes orders in, and knows which of them it had to refuse.
State:  `PaperState`: what rests, in order of submission, with the quantity that is left; and what a fill costs.
Units:  as in `paper`.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from tradeworthy.core.events import Kind
from tradeworthy.core.held import Handle, HandleType, declare
from tradeworthy.core.kernel import kernel
from tradeworthy.live.inbox import (
    REFERENCE,
    SEQUENCE,
    TS_EVENT,
    TS_RECV,
    VALUES,
    Numbers,
    Words,
    instrument_of,
    kind_of,
    pack,
)
from tradeworthy.live.venues.base import RejectCode

Records = npt.NDArray[np.void]

RULES = np.dtype(
    [
        ("fee_bps", "<f8"),
        ("fee_minimum", "<f8"),
        ("half_spread_bps", "<f8"),
        ("slippage_bps", "<f8"),
        ("participation_max", "<f8"),  # NaN for no limit
        ("age_ns_max", "<f8"),
        ("bar_place", "<i8"),  # which of a bar's values is its price
    ]
)
GRID = np.dtype([("tick", "<f8"), ("lot", "<f8"), ("multiplier", "<f8"), ("newest_ns", "<i8")])
REFUSED = np.dtype([("order", "<i8"), ("instrument", "<i8"), ("code", "<i8")])

NEAREST, UP, DOWN = range(3)
"""Ways of rounding to a grid."""

GRID_SLACK = 1e-9
"""Of a tick or lot: what rounding in float64 may leave."""

_BPS_PER_ONE = 10_000.0
_QUOTE, _TRADE, _BOOK = int(Kind.QUOTE), int(Kind.TRADE), int(Kind.BOOK)
_FILL, _REJECT = int(Kind.FILL), int(Kind.REJECT)
_BEYOND_LIMIT = int(RejectCode.PRICE_BEYOND_LIMIT)


class PaperState(NamedTuple):
    """Everything that matching reads and writes."""

    rules: Records  # (1,) RULES
    fills: Words  # (kinds,) 1 where a kind of event fills
    grid: Records  # (instruments,) GRID
    resting: Records  # (room,) ORDER
    refused: Records  # (room,) REFUSED: what is answered first
    words: Words  # (1, words of an event): the event observed
    numbers: Numbers
    answers: Words  # (2 * room, words of an event)
    answer_numbers: Numbers


@structref.register
class PaperType(HandleType):
    """The compiled type of a paper venue's handle."""


class PaperHandle(Handle):
    """What kernels hold of a `PaperState`."""


declare(PaperHandle, PaperType, PaperState._fields)


@kernel
def hold_paper(state: PaperState) -> PaperHandle:
    """Return the handle of a state, for kernels."""
    return PaperHandle(*state)  # type: ignore[no-untyped-call]


@kernel
def on_grid(value: float, step: float, way: int) -> float:
    """Round to a whole number of steps, forgiving what float64 leaves; 30344 steps of 0.01 are 303.44 exactly."""
    steps = value / step
    whole = np.rint(steps)
    if abs(steps - whole) > GRID_SLACK * max(1.0, abs(steps)) and way != NEAREST:
        whole = np.ceil(steps) if way == UP else np.floor(steps)
    inverse = np.rint(1.0 / step)
    if inverse != 0.0 and abs(inverse * step - 1.0) < GRID_SLACK:
        return float(whole / inverse)
    return float(whole * step)


@kernel
def offered(p: PaperState, kind: int, values: Numbers) -> tuple[float, float, float, float]:
    """Return what an event offers: prices to buy and to sell at, and the sizes behind them; NaN if not believed."""
    nothing = (np.nan, np.nan, np.nan, np.nan)
    if kind in (_QUOTE, _BOOK):
        bid, ask = values[0], values[1]
        return (ask, bid, values[3], values[2]) if 0.0 < bid <= ask < math.inf else nothing
    if kind == _TRADE:
        price, size = values[0], values[1]
        return (price, price, size, size) if 0.0 < price < math.inf else nothing
    opened, high, low, close, volume = values[0], values[1], values[2], values[3], values[4]
    price = values[p.rules[0]["bar_place"]]
    sound = 0.0 < low <= opened <= high < math.inf and low <= close <= high
    return (price, price, volume, volume) if sound else nothing


@kernel
def fillable(wanted: float, room: float, lot: float) -> float:
    """Return how much of `wanted` fits into `room`, in whole lots; NaN room fits nothing."""
    if wanted <= room:
        return wanted
    return min(wanted, on_grid(room, lot, DOWN)) if room >= lot else 0.0


@kernel
def write_answer(p: PaperState, place: int, kind: int, order: int, instrument: int) -> None:
    """Begin an answer with the observed event's times; its values are NaN."""
    p.answers[place, SEQUENCE:TS_EVENT] = 0
    p.answers[place, TS_EVENT] = p.words[0, TS_EVENT]
    p.answers[place, TS_RECV] = p.words[0, TS_RECV]
    p.answers[place, REFERENCE] = order
    pack(p.answers, place, instrument, kind)
    p.answer_numbers[place, VALUES:] = np.nan


@kernel
def write_reject(p: PaperState, place: int, order: int, instrument: int, code: int) -> None:
    """Write a reject as an answer."""
    write_answer(p, place, _REJECT, order, instrument)
    p.answer_numbers[place, VALUES] = code


@kernel
def fee_of(p: PaperState, value: float) -> float:
    """Return the fee of a fill of this value."""
    fee = value * p.rules[0]["fee_bps"] / _BPS_PER_ONE
    return float(max(fee, p.rules[0]["fee_minimum"]) if p.rules[0]["fee_bps"] >= 0.0 else fee)


@kernel
def fill(p: PaperState, place: int, at: int, filled: float, price: float) -> bool:
    """Write a fill of the resting order at `at` as an answer, take it off, and tell whether the order is done."""
    order = p.resting[at]
    instrument, wanted = order["instrument"], abs(order["quantity"])
    grid = p.grid[instrument]
    left = 0.0 if filled == wanted else on_grid(wanted - filled, grid["lot"], NEAREST)
    write_answer(p, place, _FILL, order["decision"], instrument)
    p.answer_numbers[place, VALUES] = math.copysign(filled, order["quantity"])
    p.answer_numbers[place, VALUES + 1] = price
    p.answer_numbers[place, VALUES + 2] = fee_of(p, filled * price * grid["multiplier"])
    # what is left tells the fills of an order apart, in any process
    p.answer_numbers[place, VALUES + 3] = np.rint(left / grid["lot"]) + 1.0
    order["quantity"] = math.copysign(left, order["quantity"])
    return left == 0.0


@kernel
def match(p: PaperState, instrument: int, kind: int, open_orders: int, answered: int) -> tuple[int, int, int]:
    """Fill an instrument's resting orders, oldest first; return how many rest, are answered, and have ended."""
    rules, grid = p.rules[0], p.grid[instrument]
    buy, sell, buy_room, sell_room = offered(p, kind, p.numbers[0, VALUES:])
    if np.isnan(buy):
        return open_orders, answered, 0
    spread = 0.0 if kind in (_QUOTE, _BOOK) else rules["half_spread_bps"]
    cost = (spread + rules["slippage_bps"]) / _BPS_PER_ONE
    buy, sell = on_grid(buy * (1.0 + cost), grid["tick"], UP), on_grid(sell * (1.0 - cost), grid["tick"], DOWN)
    share = rules["participation_max"]
    buy_room = math.inf if np.isnan(share) else buy_room * share
    sell_room = math.inf if np.isnan(share) else sell_room * share
    kept, done = 0, 0
    for at in range(open_orders):
        order, ended = p.resting[at], False
        if order["instrument"] == instrument:
            buys = order["quantity"] > 0.0
            price = buy if buys else sell
            worse = price > order["limit_price"] if buys else price < order["limit_price"]
            if worse or price <= 0.0:
                write_reject(p, answered, order["decision"], instrument, _BEYOND_LIMIT)
                answered, ended = answered + 1, True
            else:
                filled = fillable(abs(order["quantity"]), buy_room if buys else sell_room, grid["lot"])
                buy_room, sell_room = (buy_room - filled, sell_room) if buys else (buy_room, sell_room - filled)
                if filled != 0.0:
                    ended = fill(p, answered, at, filled, price)
                    answered += 1
        done += ended
        if not ended:
            p.resting[kept] = p.resting[at]
            kept += 1
    return kept, answered, done


@kernel
def rests(p: PaperState, instrument: int, open_orders: int) -> bool:
    """Tell whether an instrument has an order."""
    for at in range(open_orders):  # noqa: SIM110  # kernels have no generators
        if p.resting[at]["instrument"] == instrument:
            return True
    return False


@kernel
def is_news(p: PaperState, instrument: int) -> bool:
    """Tell whether the event is neither older than one already seen nor too long on its way, and remember it."""
    grid, happened_ns = p.grid[instrument], p.words[0, TS_EVENT]
    newest_ns = grid["newest_ns"]
    grid["newest_ns"] = max(happened_ns, newest_ns)
    age_ns = p.words[0, TS_RECV] - happened_ns
    return bool(happened_ns >= newest_ns and age_ns <= p.rules[0]["age_ns_max"])


@kernel
def observe(p: PaperState, open_orders: int, refusals: int) -> tuple[int, int, int]:
    """Answer one event: what was refused before, then fills.

    Returns
    -------
    open_orders, answers, done : int
        How many orders rest now, how many answers were written, how many orders they end.
    """
    for at in range(refusals):
        write_reject(p, at, p.refused[at]["order"], p.refused[at]["instrument"], p.refused[at]["code"])
    instrument, kind = instrument_of(p.words, 0), kind_of(p.words, 0)
    known = instrument < p.grid.shape[0] and kind < p.fills.shape[0]
    if not known or p.fills[kind] == 0 or not rests(p, instrument, open_orders) or not is_news(p, instrument):
        return open_orders, refusals, refusals
    left, answered, done = match(p, instrument, kind, open_orders, refusals)
    return left, answered, refusals + done
