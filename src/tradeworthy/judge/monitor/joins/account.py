"""What trading did, retold from the tape: positions, equity, round trips, from market events and fills alone.

Idea:   average cost by instrument. Equity is profit and loss from the first record on: realised, fees, and the open
        position at the last price. A round trip belongs to the market regime in which its position was opened.
Units:  quantities in the instrument's units, money in its currency.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import leaf
from tradeworthy.judge.monitor.base import Inputs
from tradeworthy.judge.monitor.joins.wildness import REGIMES, regime_of, see_price, unseen_markets

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

QUANTITY, AVERAGE, MARK, REGIME, MULTIPLIER = range(5)
CASH, PEAK, DRAWDOWN, WORST, TURNOVER, FEES, WINS, LOSSES, TOLD, TOLD_PEAK = range(10)

_BAR, _TRADE, _QUOTE, _BOOK, _FILL = (int(k) for k in (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.FILL))


class Account(NamedTuple):
    """Positions (n, 5) and totals (10,), see the columns above; markets (n, 4), see `wildness`; trips (regimes, 2).

    A position's regime counts from 1, 0 where it is not known; trips are how many won and lost in each regime.
    """

    positions: Floats
    totals: Floats
    markets: Floats
    trips: Floats


class Closes(NamedTuple):
    """What each of (n,) events closed: 1 a gain, -1 a loss, 0 nothing; and the place of its regime, -1 if not known."""

    sides: Longs
    regimes: Longs

    @classmethod
    def room(cls, n: int) -> Self:
        """Return room for those of n events."""
        return cls(np.empty(n, np.int64), np.empty(n, np.int64))


def empty_account(multipliers: Floats) -> Account:
    """Return an account of instruments that have not traded."""
    positions = np.zeros((len(multipliers), 5))
    positions[:, MARK], positions[:, MULTIPLIER] = np.nan, multipliers
    return Account(positions, np.zeros(10), unseen_markets(len(multipliers)), np.zeros((len(REGIMES), 2)))


@leaf
def fill(account: Account, instrument: int, quantity: float, price: float, fee: float) -> int:
    """Book a fill; return 1 if it closed at a gain, -1 at a loss (fees included), 0 if it closed nothing."""
    position, totals = account.positions[instrument], account.totals
    held, multiplier, regime = position[QUANTITY], position[MULTIPLIER], int(position[REGIME])
    if held * (held + quantity) <= 0.0:
        position[REGIME] = 1 + regime_of(account.markets[instrument])
    totals[TURNOVER] += abs(quantity * price * multiplier)
    totals[FEES] += fee
    totals[CASH] -= quantity * price * multiplier + fee
    if held * quantity >= 0.0:
        cost = position[AVERAGE] * abs(held) + price * abs(quantity) + np.sign(held + quantity) * fee / multiplier
        position[AVERAGE] = cost / max(abs(held + quantity), 1e-300)
        position[QUANTITY] = held + quantity
        return 0
    closed = min(abs(held), abs(quantity))
    gain = np.sign(held) * closed * (price - position[AVERAGE]) * multiplier - fee
    position[QUANTITY] = held + quantity
    if abs(position[QUANTITY]) < 1e-12 * abs(held):
        position[QUANTITY] = 0.0
    if position[QUANTITY] * held < 0.0:
        position[AVERAGE] = price
    totals[WINS if gain > 0.0 else LOSSES] += 1.0
    if regime > 0:
        account.trips[regime - 1, 0 if gain > 0.0 else 1] += 1.0
    return 1 if gain > 0.0 else -1


@leaf
def equity(account: Account) -> float:
    """Return profit and loss so far, open positions at their last price."""
    value: float = account.totals[CASH]
    for instrument in range(account.positions.shape[0]):
        position = account.positions[instrument]
        if position[QUANTITY] != 0.0:
            value += position[QUANTITY] * position[MARK] * position[MULTIPLIER]
    return value


@leaf
def price_of(kind: int, values: Floats) -> float:
    """Return the price an event gives; NaN for other kinds."""
    if kind == _BAR:
        return float(values[3])
    if kind == _TRADE:
        return float(values[0])
    return float(0.5 * (values[0] + values[1])) if kind in (_QUOTE, _BOOK) else np.nan


@leaf
def _moves(account: Account, kind: int, instrument: int, values: Floats) -> int:
    """Book one event; return what it closed (see `fill`), or -2 if it changes nothing of the equity."""
    position = account.positions[instrument]
    if kind == _FILL:
        if np.isnan(position[MARK]):
            position[MARK] = values[1]
        return fill(account, instrument, values[0], values[1], values[2])
    price = price_of(kind, values)
    if not price > 0.0:
        return -2
    position[MARK] = price
    see_price(account.markets[instrument], price)
    return 0 if position[QUANTITY] != 0.0 else -2


@leaf
def follow(account: Account, events: Inputs, closes: Closes, quarter: float, start: int) -> int:
    """Book events until the drawdown passes the half, three quarters or the whole of its limit.

    Writes what each fill closed to `closes`; drawdown and its worst are in the totals.
    A quarter is told again only once the peak has grown by the whole limit since.

    Returns
    -------
    int
        The event that passed it (consumed), or n.
    """
    totals = account.totals
    for i in range(start, len(events.heads)):
        event, closes.sides[i], closes.regimes[i] = events.heads[i], 0, -1
        if event["instrument"] >= len(account.positions) or event["flags"] != 0:
            continue
        closes.regimes[i] = np.int64(account.positions[event["instrument"], REGIME]) - 1
        closed = _moves(account, event["kind"], event["instrument"], events.values[i])
        if closed == -2:
            continue
        closes.sides[i] = closed
        now = equity(account)
        totals[PEAK] = max(totals[PEAK], now)
        totals[DRAWDOWN] = totals[PEAK] - now
        totals[WORST] = max(totals[WORST], totals[DRAWDOWN])
        level = min(4.0, np.floor(totals[DRAWDOWN] / quarter))
        if totals[PEAK] > totals[TOLD_PEAK] + 4.0 * quarter:
            totals[TOLD] = 0.0
        if level >= 2.0 and level > totals[TOLD]:
            totals[TOLD], totals[TOLD_PEAK] = level, totals[PEAK]
            return i
    return len(events.heads)
