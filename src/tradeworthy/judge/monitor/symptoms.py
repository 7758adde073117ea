"""What can be wrong with one market event, told from the event, its verdict and the ones before it.

Idea:   the engine's own verdict (the event's `flags`) and an independent look at the values agree on the plain faults,
        so a tape without verdicts (training data) is judged by the same measure. What has no fixed limit (late, jump,
        gap, stuck) is held against the lane's own recent past; how often that is usual is the rate charts' business.
        What a feed itself says is missing (a gap event), such as messages that it cannot read any more, is a symptom of
        the lane's next event.
State:  a lane (instrument and kind) remembers its last time and price, its usual spacing and move, and what is missing.
Units:  nanoseconds; moves are absolute log returns.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import EventBatch, Gap, Kind
from tradeworthy.core.kernel import inlined, kernel
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


class Fields(NamedTuple):
    """The columns of (n,) events that are judged.

    `lane` is -1 for what belongs to none; `lost` the lane of which a gap event says that events are lost, else -1;
    `price` is NaN where an event has none; `wrong` (n, 4) says malformed, crossed, locked, off the grid.
    """

    lane: Longs
    lost: Longs
    kind: Longs
    flags: Longs
    ts_event_ns: Longs
    lag_ns: Longs
    price: Floats
    wrong: Bits


def empty_lanes(n_instruments: int) -> Floats:
    """Return the memory of lanes that have seen nothing."""
    lanes = np.zeros((n_instruments * KINDS, _LANE))
    lanes[:, LAST_PRICE] = np.nan
    return lanes


def fields_of(events: EventBatch, ticks: Floats) -> Fields:
    """Return what is judged of events, given the price steps of (n,) instruments, NaN where one is not known."""
    kind, instrument = events["kind"].astype(np.int64), events["instrument"].astype(np.int64)
    known = instrument < len(ticks)
    values = np.ascontiguousarray(events["values"])
    price, wrong = np.full(len(events), np.nan), np.zeros((len(events), 4), np.uint8)
    judge_values(kind, values, np.where(known, ticks[np.where(known, instrument, 0)], np.nan), price, wrong)
    of = np.nan_to_num(values[:, 1], nan=0.0)
    lost = known & (kind == _GAP) & (values[:, 0] == _LOST) & (of >= _BAR) & (of <= _ROW)
    return Fields(
        lane=np.where(known & (kind >= _BAR) & (kind <= _ROW), instrument * KINDS + kind - 1, -1),
        lost=np.where(lost, instrument * KINDS + np.where(lost, of, 0.0).astype(np.int64) - 1, -1),
        kind=kind,
        flags=events["flags"].astype(np.int64),
        ts_event_ns=np.ascontiguousarray(events["ts_event_ns"]),
        lag_ns=np.ascontiguousarray(events["ts_recv_ns"] - events["ts_event_ns"]),
        price=price,
        wrong=wrong,
    )


@inlined
def off_grid(price: float, tick: float) -> bool:
    """Whether a price lies between two ticks; never where the tick is not known."""
    steps: float = price / tick
    away: float = abs(steps - np.rint(steps))
    return away > TICK_SHARE


@kernel
def judge_values(kind: Longs, values: Floats, ticks: Floats, price: Floats, wrong: Bits) -> None:
    """Write each event's price, and whether its values are malformed, crossed, locked or off the grid of (n,) ticks."""
    for i in range(len(kind)):
        a, b, c, d, tick = values[i, 0], values[i, 1], values[i, 2], values[i, 3], ticks[i]
        if kind[i] == _BAR:
            price[i] = d
            whole = np.isfinite(a + b + c + d + values[i, 4])
            wrong[i, 0] = not (whole and c > 0.0 and c <= min(a, d) and max(a, d) <= b and values[i, 4] >= 0.0)
            wrong[i, 3] = off_grid(a, tick) or off_grid(b, tick) or off_grid(c, tick) or off_grid(d, tick)
        elif kind[i] == _TRADE:
            price[i] = a
            wrong[i, 0] = not (np.isfinite(a + b) and a > 0.0 and b >= 0.0)
            wrong[i, 3] = off_grid(a, tick)
        elif kind[i] in (_QUOTE, _BOOK):  # the first level of a book is laid out as a quote
            price[i] = 0.5 * (a + b)
            wrong[i, 0] = not (np.isfinite(a + b + c + d) and a > 0.0 and b > 0.0)
            wrong[i, 1], wrong[i, 2] = a > b, a == b
            wrong[i, 3] = off_grid(a, tick) or off_grid(b, tick)
        if wrong[i, 0]:
            price[i] = np.nan


@kernel
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


@kernel
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


@kernel
def count_symptoms(lanes: Longs, hits: Bits, totals: Longs) -> None:
    """Add the hits of (n,) events, and the events themselves (last column), to their lanes' totals."""
    for i in range(len(lanes)):
        if lanes[i] >= 0:
            for place in range(hits.shape[1]):
                totals[lanes[i], place] += hits[i, place] == 1
            totals[lanes[i], hits.shape[1]] += 1


@kernel
def find_symptoms(fields: Fields, lanes: Floats, tolerances: Tolerances, hits: Bits) -> None:
    """Write the (n, SYMPTOMS) hits of events, and move the lanes on; what cannot be said of a kind is UNSEEN."""
    for i in range(len(fields.kind)):
        if fields.lost[i] >= 0:
            lanes[fields.lost[i], MISSING] = 1.0
        if fields.lane[i] < 0:
            continue
        lane, kind, flag, own = lanes[fields.lane[i]], fields.kind[i], fields.flags[i], hits[i]
        own[:] = 0
        own[MALFORMED] = fields.wrong[i, 0] or (_FLAG_MALFORMED[0] <= flag <= _FLAG_MALFORMED[1])
        own[CROSSED] = fields.wrong[i, 1] or flag == _FLAG_CROSSED
        own[LOCKED], own[OFF_GRID], own[LOST] = fields.wrong[i, 2], fields.wrong[i, 3], lane[MISSING] > 0.0
        own[OUT_OF_ORDER], own[DUPLICATE] = flag == _FLAG_ORDER, flag == _FLAG_AGAIN
        own[JUMP], own[LATE] = flag == _FLAG_JUMP, flag == _FLAG_LATE
        lag_ms = fields.lag_ns[i] / 1e6
        if lane[COUNT] > SETTLED:
            own[LATE] = own[LATE] or lag_ms > max(tolerances.late_ms, tolerances.late * lane[LAG])
        lane[LAG] += (1.0 - KEEP) * (min(lag_ms, max(tolerances.late_ms, tolerances.late * lane[LAG])) - lane[LAG])
        _by_time(lane, own, fields.ts_event_ns[i], kind, tolerances)
        if np.isfinite(fields.price[i]) and not (own[OUT_OF_ORDER] or own[DUPLICATE]):
            _by_price(lane, own, fields.price[i], tolerances)
        lane[COUNT] += 1.0
        lane[MISSING] = 0.0
        if kind not in (_QUOTE, _BOOK):
            own[CROSSED] = own[LOCKED] = UNSEEN
        if kind == _ROW:
            own[JUMP] = own[STUCK] = own[OFF_GRID] = UNSEEN
