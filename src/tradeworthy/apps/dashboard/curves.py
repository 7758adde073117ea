"""A desk's price, decisions, fills and equity as curves that grow with the tape.

Idea:   each record is read once; what is kept is what can be drawn. When a curve has more than `POINTS_MAX` points, the
        older ones are thinned to those that a screen can show (`reports.downsample`), so memory is bounded. Decisions
        are never left out: where there are too many, neighbours are counted together.
State:  per instrument what is held, paid and last quoted; everything else is in the curves.
Units:  money after fees in the desk's currency; times are UTC nanoseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.dashboard.beginning import Beginning
from tradeworthy.apps.reports.downsample import kept_places
from tradeworthy.core.decisions import Role
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.core.instruments import Instrument

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Records = npt.NDArray[Any]

POINTS_MAX = 200_000
WANTS = ("long", "flat", "short", "refused")

_PRICE = {Kind.BAR: FIELDS[Kind.BAR].index("close"), Kind.TRADE: FIELDS[Kind.TRADE].index("price")}


@dataclass(slots=True)
class Line:
    """Points of one curve, in the order of time."""

    ts_ns: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    values: Floats = field(default_factory=lambda: np.empty(0))

    def add(self, ts_ns: Longs, values: Floats) -> None:
        """Add points; points older than the last are left out, and too many are thinned."""
        if self.ts_ns.size:
            later = ts_ns >= self.ts_ns[-1]
            ts_ns, values = ts_ns[later], values[later]
        self.ts_ns = np.concatenate([self.ts_ns, ts_ns])
        self.values = np.concatenate([self.values, values])
        if self.ts_ns.size > POINTS_MAX:
            self.ts_ns, self.values = self.seen(None, None, POINTS_MAX // 8)

    def seen(self, from_ns: int | None, to_ns: int | None, columns: int) -> tuple[Longs, Floats]:
        """Return what a drawing of so many pixels needs of a stretch of time: no extreme is lost."""
        first = 0 if from_ns is None else int(np.searchsorted(self.ts_ns, from_ns))
        last = self.ts_ns.size if to_ns is None else int(np.searchsorted(self.ts_ns, to_ns, "right"))
        ts_ns, values = self.ts_ns[first:last], self.values[first:last]
        finite = np.isfinite(values)
        ts_ns, values = ts_ns[finite], values[finite]
        if not ts_ns.size or ts_ns[0] == ts_ns[-1]:
            return ts_ns[:1], values[:1]
        kept = kept_places(ts_ns.astype(np.float64), values, columns)
        return ts_ns[kept], values[kept]


@dataclass(slots=True)
class Trades:
    """Fills of one instrument; a quantity above zero bought."""

    ts_ns: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    prices: Floats = field(default_factory=lambda: np.empty(0))
    quantities: Floats = field(default_factory=lambda: np.empty(0))
    orders: Longs = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, fills: Records) -> None:
        """Add fills."""
        values = fills["values"]
        self.ts_ns = np.concatenate([self.ts_ns, fills["ts_event_ns"]])
        self.quantities = np.concatenate([self.quantities, values[:, 0]])
        self.prices = np.concatenate([self.prices, values[:, 1]])
        self.orders = np.concatenate([self.orders, fills["reference"].astype(np.int64)])


@dataclass(slots=True)
class Wanted:
    """What the decisions about one instrument wanted: how many of each kind, at a time, up to a decision.

    Attributes
    ----------
    ts_ns, sequences : (n,) int64
        Of the last decision that is counted.
    counts : (n, 4) int64
        By kind, as `WANTS` names them; one decision each, until there are more than `POINTS_MAX`.
    """

    ts_ns: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    sequences: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Longs = field(default_factory=lambda: np.empty((0, len(WANTS)), np.int64))

    def add(self, decisions: Records) -> None:
        """Add decisions in their order; too many are counted together, two by two."""
        side = np.sign(np.nan_to_num(decisions["target"])).astype(np.int64)
        kinds = np.where(decisions["verdict"] != 0, WANTS.index("refused"), WANTS.index("flat") - side)
        self.ts_ns = np.concatenate([self.ts_ns, decisions["ts_event_ns"]])
        self.sequences = np.concatenate([self.sequences, decisions["sequence"].astype(np.int64)])
        self.counts = np.concatenate([self.counts, np.eye(len(WANTS), dtype=np.int64)[kinds]])
        if self.ts_ns.size > POINTS_MAX:
            self.ts_ns, self.sequences, self.counts = self._together(np.arange(0, self.ts_ns.size, 2))

    def seen(self, from_ns: int | None, to_ns: int | None, columns: int) -> tuple[Longs, Longs, Longs]:
        """Return, for each column of pixels of a stretch of time, its last decision and how many there are of a kind.

        Returns
        -------
        (m,) int64, (m,) int64, (m, 4) int64
            Times, sequences, counts; columns without a decision are left out.
        """
        first = 0 if from_ns is None else int(np.searchsorted(self.ts_ns, from_ns))
        last = self.ts_ns.size if to_ns is None else int(np.searchsorted(self.ts_ns, to_ns, "right"))
        part = Wanted(self.ts_ns[first:last], self.sequences[first:last], self.counts[first:last])
        if not part.ts_ns.size:
            return part.ts_ns, part.sequences, part.counts
        start, end = part.ts_ns[0], part.ts_ns[-1]
        places = (part.ts_ns - start) * columns // max(int(end - start), 1)
        return part._together(np.flatnonzero(np.diff(places, prepend=-1)))

    def _together(self, starts: Longs) -> tuple[Longs, Longs, Longs]:
        """Count what lies between two of these places as one."""
        ends = np.append(starts[1:], self.ts_ns.size) - 1
        return self.ts_ns[ends], self.sequences[ends], np.add.reduceat(self.counts, starts, axis=0)


class Curves:
    """Every curve of a desk.

    Parameters
    ----------
    instruments : sequence of Instrument
        The desk's list.

    Attributes
    ----------
    prices : list of Line
        By instrument: closes, trade prices or the middles of quotes and books.
    trades : list of Trades
        By instrument.
    wanted : list of Wanted
        By instrument: the decisions of whichever version acted.
    equity : Line
        Cash and open positions at the last prices, from nothing.
    peak : float
        The highest equity of all, at least 0.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        n = len(instruments)
        self._multipliers = np.array([each.multiplier for each in instruments])
        self.begin(Beginning.nothing(instruments))
        self.prices = [Line() for _ in range(n)]
        self.trades = [Trades() for _ in range(n)]
        self.wanted = [Wanted() for _ in range(n)]
        self.equity = Line()

    def begin(self, beginning: Beginning) -> None:
        """Begin with what the desk had, before anything is taken."""
        self._cash, self._held, self._marks = beginning.cash.copy(), beginning.held.copy(), beginning.marks.copy()
        self.peak = beginning.peak

    def take(self, inputs: Records) -> None:
        """Take inputs in the order of the tape; refused ones are left out."""
        good = inputs[(inputs["flags"] == 0) & (inputs["instrument"] < len(self.prices))]
        if not good.size:
            return
        worth = np.zeros(good.size)
        priced = np.zeros(good.size, np.bool_)
        for number in range(len(self.prices)):
            price = np.where(good["instrument"] == number, price_of(good), np.nan)
            priced |= np.isfinite(price)
            worth += self._worth(number, good, price)
            self._draw(number, good, price)
        self.equity.add(good["ts_event_ns"][priced], worth[priced])
        self.peak = max(self.peak, float(np.nanmax(worth[priced], initial=0.0)))

    def take_decisions(self, decisions: Records) -> None:
        """Take decisions in the order of the tape; those of versions that do not act are left out."""
        acting = decisions[decisions["role"] == Role.CHAMPION]
        for number in np.unique(acting["instrument"]).tolist():
            if number < len(self.wanted):
                self.wanted[number].add(acting[acting["instrument"] == number])

    def _draw(self, number: int, good: Records, price: Floats) -> None:
        """Add to the curves of one instrument."""
        known = np.isfinite(price)
        self.prices[number].add(good["ts_event_ns"][known], price[known])
        self.trades[number].add(good[(good["kind"] == Kind.FILL) & (good["instrument"] == number)])

    def _worth(self, number: int, good: Records, price: Floats) -> Floats:
        """Return what one instrument is worth after each input, cash included."""
        filled = (good["kind"] == Kind.FILL) & (good["instrument"] == number)
        quantity, at, fee = (np.where(filled, good["values"][:, place], 0.0) for place in range(3))
        held = self._held[number] + np.cumsum(quantity)
        cash = self._cash[number] + np.cumsum(-quantity * at * self._multipliers[number] - fee)
        marks = forward_filled(np.where(filled, at, price), self._marks[number])
        self._held[number], self._cash[number], self._marks[number] = held[-1], cash[-1], marks[-1]
        worth: Floats = cash + np.where(held != 0.0, held * marks * self._multipliers[number], 0.0)
        return worth


def price_of(events: Records) -> Floats:
    """Return each event's price: a close, a trade's price, the middle of a quote or book; NaN for all other kinds."""
    price = np.full(events.size, np.nan)
    for kind, place in _PRICE.items():
        of_kind = events["kind"] == kind
        price[of_kind] = events["values"][of_kind, place]
    two_sided = np.isin(events["kind"], (Kind.QUOTE, Kind.BOOK))
    price[two_sided] = events["values"][two_sided, :2].mean(axis=1)
    return price


def forward_filled(values: Floats, before: float) -> Floats:
    """Return values with each NaN replaced by the last number before it, or by `before`."""
    places = np.where(np.isfinite(values), np.arange(values.size), -1)
    last = np.maximum.accumulate(places)
    filled: Floats = np.where(last >= 0, values[last], before)
    return filled
