"""Market data in which somebody had a hand: spoofed orders, wash trades, prints that are wrong or old.

Idea:   what an outsider can do to a market, as pure functions from a batch of events to another. The simulated market
        plants them, and the gate injects them into recorded history, to see what a version makes of them.
Time:   nothing is moved: an event keeps its time, and what is inserted comes just after the event it answers.
Units:  sizes in the instrument's units, prices in its currency; sides are 1 for the bid (buying), -1 for the ask.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import BOOK_LEVEL_FIELDS, FIELDS, EventBatch, Kind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PRICES: dict[Kind, tuple[str, ...]] = {
    Kind.BAR: ("open", "high", "low", "close"),
    Kind.TRADE: ("price",),
    Kind.QUOTE: ("bid", "ask"),
    Kind.BOOK: tuple(name for name in FIELDS[Kind.BOOK] if "size" not in name),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Spoof:
    """Large orders that are shown and never meant.

    Attributes
    ----------
    places : (k,) int64
        Places of book or quote events in the batch.
    sides : (k,) int64
        1 at the bid, -1 at the ask.
    level : int
        Where the order rests, from 1; the deepest level that the event has, if it has fewer.
    size : float
        What it adds to the size there.
    """

    places: Ints
    sides: Ints
    level: int
    size: float


def spoof(events: EventBatch, orders: Spoof) -> EventBatch:
    """Return the events with spoofed sizes shown."""
    changed = events.copy()
    for place, side in zip(orders.places, orders.sides, strict=True):
        values = changed["values"][place]
        deepest = len(values) // BOOK_LEVEL_FIELDS if changed["kind"][place] == Kind.BOOK else 1
        level = min(orders.level, deepest)
        while level > 1 and not np.isfinite(values[_size(level, side)] * values[_size(level, side) - 2]):
            level -= 1
        values[_size(level, side)] += orders.size
    return changed


def _size(level: int, side: int) -> int:
    """Return the place of a level's size; quotes are laid out as level 1."""
    return (level - 1) * BOOK_LEVEL_FIELDS + (2 if side > 0 else 3)


def spike(events: EventBatch, places: Ints, shift_bps: Floats) -> EventBatch:
    """Return the events with the prices at `places` (k,) moved by `shift_bps` (k,), all of one event together."""
    changed = events.copy()
    for place, shift in zip(places, shift_bps, strict=True):
        kind = Kind(int(changed["kind"][place]))
        width = changed["values"].shape[1]
        columns = [at for at, name in enumerate(FIELDS[kind][:width]) if name in _PRICES[kind]]
        changed["values"][place, columns] *= 1.0 + shift / 10_000.0
    return changed


def stale(events: EventBatch, places: Ints) -> EventBatch:
    """Return the events with the values at `places` (k,) those of the event before of the same instrument and kind."""
    changed = events.copy()
    lane = events["instrument"].astype(np.int64) * (max(Kind) + 1) + events["kind"]
    for place in np.sort(places):
        before = np.flatnonzero(lane[:place] == lane[place])
        if len(before):
            changed["values"][place] = changed["values"][before[-1]]
    return changed


def wash(events: EventBatch, places: Ints, sizes: Floats) -> EventBatch:
    """Return the events with trades of an outsider with himself: volume without a change of owner.

    At a bar its volume grows; after a trade, its twins on both sides are inserted at the same price and time.
    """
    changed = events.copy()
    bars = changed["kind"][places] == Kind.BAR
    np.add.at(changed["values"][:, FIELDS[Kind.BAR].index("volume")], places[bars], sizes[bars])
    trades = places[~bars]
    twins = np.repeat(changed[trades], 2)
    twins["values"][:, 1] = np.repeat(sizes[~bars], 2)
    twins["values"][:, 2] = np.tile([1.0, -1.0], len(trades))
    twins["reference"] = 0
    inserted: EventBatch = np.insert(changed, np.repeat(trades + 1, 2), twins)
    return inserted
