"""What can be wrong with one market event, told from the event, its verdict and the ones before it.

Idea:   the engine's own verdict (the event's `flags`) and an independent look at the values agree on the plain faults,
        so a tape without verdicts (training data) is judged by the same measure. What has no fixed limit (late, jump,
        gap, stuck) is held against the lane's own recent past; how often that is usual is the rate charts' business.
        What a feed itself says is missing (a gap event), such as messages that it cannot read any more, is a symptom of
        the lane's next event.
State:  a lane (instrument and kind) remembers its last time and price, its usual spacing and move, and what is missing.
Units:  nanoseconds; moves are absolute log returns.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Gap, Kind
from tradeworthy.core.kernel import inlined, leaf
from tradeworthy.judge.monitor.base import Inputs
from tradeworthy.judge.monitor.control_charts.rate_kernels import UNSEEN, Bits, Longs

Floats = npt.NDArray[np.float64]

SYMPTOMS = (
    "malformed",
    "crossed",
    "locked",
    "out_of_order",
    "duplicate",
    "late",
    "jump",
    "gap",
    "stuck",
    "off_grid",
    "lost",
)
"""In the order of the columns of `Hits`."""

WORDS = {
    "malformed": "events with missing, impossible or inconsistent values",
    "crossed": "quotes with the bid above the ask",
    "locked": "quotes with the bid at the ask",
    "out_of_order": "events older than the one before",
    "duplicate": "events that had come before",
    "late": "events that took longer than usual to arrive",
    "jump": "prices far from the one before",
    "gap": "events after a gap in time",
    "stuck": "prices that do not move",
    "off_grid": "prices between two ticks",
    "lost": "events before which the feed has lost others",
}

MALFORMED, CROSSED, LOCKED, OUT_OF_ORDER, DUPLICATE, LATE, JUMP, GAP, STUCK, OFF_GRID, LOST = range(11)
KINDS = 5
"""Market kinds: Kind.BAR to Kind.ROW."""

LAST_NS, LAST_PRICE, SPACING, MOVE, LAG, COUNT, MISSING = range(7)
_LANE = 7
SETTLED = 20
"""Events before a lane's usual spacing, move and lag are believed."""

TICK_SHARE = 1e-4
"""A price this share of a tick from the grid is on it: decimals are not exact in binary."""

KEEP = 0.98
"""Of the usual spacing, move and lag at each event."""

_BAR, _TRADE, _QUOTE, _BOOK, _ROW = (int(k) for k in (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW))
_GAP, _LOST = int(Kind.GAP), float(Gap.LOST)
_FLAG_MALFORMED = (int(DenialCode.INPUT_NOT_FINITE), int(DenialCode.INPUT_INCONSISTENT))
_FLAG_CROSSED, _FLAG_LATE = int(DenialCode.INPUT_CROSSED), int(DenialCode.INPUT_STALE)
_FLAG_ORDER, _FLAG_AGAIN = int(DenialCode.INPUT_OUT_OF_ORDER), int(DenialCode.INPUT_DUPLICATE)
_FLAG_JUMP = int(DenialCode.INPUT_JUMP)


class Tolerances(NamedTuple):
    """How far is far: in multiples of what is usual in the lane; `late_ms` is the least lag that counts as late."""

    gap: float
    jump: float
    late: float
    late_ms: float


class Memory(NamedTuple):
    """What is known of lanes, an instrument's five one after the other.

    (lanes, 7) float64; (lanes, SYMPTOMS + 1) int64 counts of symptoms and, last, of events; the price step of each
    instrument, NaN where it is not known.
    """

    lanes: Floats
    counts: Longs
    ticks: Floats


class Hits(NamedTuple):
    """What was seen of (n,) events: the first chart of each one's lane, -1 of none, and (n, SYMPTOMS) hits."""

    first: Longs
    seen: Bits

    @classmethod
    def room(cls, n: int) -> Self:
        """Return room for those of n events."""
        return cls(np.empty(n, np.int64), np.empty((n, len(SYMPTOMS)), np.uint8))


def empty_lanes(n_instruments: int) -> Floats:
    """Return the memory of lanes that have seen nothing."""
    lanes = np.zeros((n_instruments * KINDS, _LANE))
    lanes[:, LAST_PRICE] = np.nan
    return lanes


@inlined
def off_grid(price: float, tick: float) -> bool:
    """Whether a price lies between two ticks; never where the tick is not known."""
    steps: float = price / tick
    away: float = abs(steps - np.floor(steps + 0.5))
    return away > TICK_SHARE


@inlined
def _by_verdict(own: Bits, flag: int) -> None:
    """Begin with what the engine's own checks said of an event."""
    own[:] = 0
    own[MALFORMED] = _FLAG_MALFORMED[0] <= flag <= _FLAG_MALFORMED[1]
    own[CROSSED], own[OUT_OF_ORDER], own[DUPLICATE] = flag == _FLAG_CROSSED, flag == _FLAG_ORDER, flag == _FLAG_AGAIN
    own[JUMP], own[LATE] = flag == _FLAG_JUMP, flag == _FLAG_LATE


@inlined
def _by_values(own: Bits, kind: int, values: Floats, tick: float) -> float:
    """Judge an event by its values alone; return its price, NaN where it has none."""
    a, b, c, d = values[0], values[1], values[2], values[3]
    price, malformed = np.nan, False
    if kind == _BAR:
        price, whole = d, np.isfinite(a + b + c + d + values[4])
        malformed = not (whole and c > 0.0 and c <= min(a, d) and max(a, d) <= b and values[4] >= 0.0)
        own[OFF_GRID] = off_grid(a, tick) or off_grid(b, tick) or off_grid(c, tick) or off_grid(d, tick)
    elif kind == _TRADE:
        price, malformed = a, not (np.isfinite(a + b) and a > 0.0 and b >= 0.0)
        own[OFF_GRID] = off_grid(a, tick)
    elif kind in (_QUOTE, _BOOK):  # the first level of a book is laid out as a quote
        price, malformed = 0.5 * (a + b), not (np.isfinite(a + b + c + d) and a > 0.0 and b > 0.0)
        own[CROSSED], own[LOCKED] = own[CROSSED] or a > b, a == b
        own[OFF_GRID] = off_grid(a, tick) or off_grid(b, tick)
    own[MALFORMED] = own[MALFORMED] or malformed
    return np.nan if malformed else price


@inlined
def _by_lag(lane: Floats, own: Bits, lag_ms: float, tolerances: Tolerances) -> None:
    """Judge how long an event took to arrive, and move the usual lag on."""
    most = max(tolerances.late_ms, tolerances.late * lane[LAG])
    if lane[COUNT] > SETTLED:
        own[LATE] = own[LATE] or lag_ms > most
    lane[LAG] += (1.0 - KEEP) * (min(lag_ms, most) - lane[LAG])


@inlined
def _by_time(lane: Floats, hits: Bits, ts_ns: int, kind: int, tolerances: Tolerances) -> None:
    """Judge an event's time against the lane's last one, and move the usual spacing on."""
    spacing = ts_ns - lane[LAST_NS]
    if lane[COUNT] == 0.0:
        lane[LAST_NS] = ts_ns
        return
    if spacing < 0.0:
        hits[OUT_OF_ORDER] = 1
        return
    if spacing == 0.0:
        hits[DUPLICATE] = hits[DUPLICATE] or kind == _BAR
        return
    if lane[COUNT] > SETTLED:
        hits[GAP] = spacing > tolerances.gap * lane[SPACING]
        spacing = min(spacing, tolerances.gap * lane[SPACING])
    lane[SPACING] = spacing if lane[SPACING] == 0.0 else KEEP * lane[SPACING] + (1.0 - KEEP) * spacing
    lane[LAST_NS] = ts_ns


@inlined
def _by_price(lane: Floats, hits: Bits, price: float, tolerances: Tolerances) -> None:
    """Judge an event's price against the lane's last one, and move the usual move on."""
    last = lane[LAST_PRICE]
    lane[LAST_PRICE] = price
    if np.isnan(last):
        return
    move = abs(np.log(price / last))
    hits[STUCK] = move == 0.0
    if lane[COUNT] > SETTLED and lane[MOVE] > 0.0:
        hits[JUMP] = hits[JUMP] or move > tolerances.jump * lane[MOVE]
        move = min(move, tolerances.jump * lane[MOVE])
    lane[MOVE] = move if lane[MOVE] == 0.0 else KEEP * lane[MOVE] + (1.0 - KEEP) * move


@inlined
def _unsay(own: Bits, kind: int) -> None:
    """Mark what cannot be said of a kind of event."""
    if kind not in (_QUOTE, _BOOK):
        own[CROSSED] = own[LOCKED] = UNSEEN
    if kind == _ROW:
        own[JUMP] = own[STUCK] = own[OFF_GRID] = UNSEEN


@inlined
def _note_lost(lanes: Floats, instrument: int, values: Floats) -> None:
    """Keep what a gap event says that an instrument's lane has lost, until the lane's next event."""
    if values[0] == _LOST and _BAR <= values[1] <= _ROW:
        lanes[instrument * KINDS + int(values[1]) - 1, MISSING] = 1.0


@inlined
def _judge(lane: Floats, own: Bits, event: np.void, values: Floats, how: tuple[Tolerances, float]) -> None:
    """Write the hits of one event, and move its lane on; `how` ends with the price step of its instrument."""
    (tolerances, tick), kind = how, event["kind"]
    _by_verdict(own, event["flags"])
    price = _by_values(own, kind, values, tick)
    own[LOST] = lane[MISSING] > 0.0
    _by_lag(lane, own, (event["ts_recv_ns"] - event["ts_event_ns"]) / 1e6, tolerances)
    _by_time(lane, own, event["ts_event_ns"], kind, tolerances)
    if np.isfinite(price) and not (own[OUT_OF_ORDER] or own[DUPLICATE]):
        _by_price(lane, own, price, tolerances)
    lane[COUNT] += 1.0
    lane[MISSING] = 0.0
    _unsay(own, kind)


@leaf
def find_symptoms(events: Inputs, memory: Memory, tolerances: Tolerances, hits: Hits) -> int:
    """Write the hits of (n,) inputs, move their lanes on and count; what belongs to no lane is left.

    Return how many inputs are of instruments that are not known.
    """
    strange = 0
    for i in range(len(events.heads)):
        event, own, hits.first[i] = events.heads[i], hits.seen[i], -1
        kind, instrument = int(event["kind"]), int(event["instrument"])
        if instrument >= len(memory.ticks):
            strange += 1
            continue
        if kind == _GAP:
            _note_lost(memory.lanes, instrument, events.values[i])
        elif _BAR <= kind <= _ROW:
            lane = instrument * KINDS + kind - 1
            hits.first[i], count = lane * len(own), memory.counts[lane]
            _judge(memory.lanes[lane], own, event, events.values[i], (tolerances, memory.ticks[instrument]))
            for symptom in range(len(own)):
                count[symptom] += own[symptom] == 1
            count[len(own)] += 1
    return strange
