"""Lags from records of the tape: how late inputs come, how long decisions and answers to orders take; which are slow.

Idea:   an order leaves as its decision stands, and the venue's first word on it, a fill or a reject, is its answer.
        Percentiles come from counts in buckets that grow with the lag, `STEPS` to a doubling.
Units:  milliseconds. What has no lag is NaN: no market event, a decision whose input is not known, a further fill, or
        an answer that names no order of this tape.
"""

import math
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Role
from tradeworthy.core.events import OUR_REJECTS, Kind
from tradeworthy.core.kernel import inlined, leaf
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.judge.monitor.base import Inputs, Records
from tradeworthy.judge.monitor.control_charts.rate_kernels import Bits
from tradeworthy.judge.monitor.joins.outcome_kernels import place_of

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

LAGS = ("feed lag", "decision lag", "order lag")
FEED, DECISION_LAG, ORDER_LAG = range(3)
EACH = len(LAGS)
"""Charts of an instrument."""

STEPS = 16
"""Buckets to a doubling, so that a percentile is right within 1/32 of itself."""

_FIRST, _LAST = -10, 30
"""Powers of two: a lag under 0.5 us is in the first bucket, one over 6 days in the last."""

BUCKETS = (_LAST - _FIRST) * STEPS

_BAR, _ROW, _FILL, _REJECT = (int(kind) for kind in (Kind.BAR, Kind.ROW, Kind.FILL, Kind.REJECT))
_SHADOW = int(Role.SHADOW)


class Lags(NamedTuple):
    """What was measured of (n,) records: lags, the chart that each steps (-1 for none), and whether it is slow."""

    ms: Floats
    first: Longs
    slow: Bits

    @classmethod
    def room(cls, n: int) -> Self:
        """Return room for those of n records."""
        return cls(np.empty(n), np.empty(n, np.int64), np.empty((n, 1), np.uint8))


class Learned(NamedTuple):
    """What is known of p charts of lags.

    limits (p,): beyond which a lag is slow, NaN while it is learned; totals (p, 3): count, sum, worst; buckets
    (p, BUCKETS): how many lags were so long; wanted (p,): from how many lags a limit is learned; first (p, m): those.
    """

    limits: Floats
    totals: Floats
    buckets: npt.NDArray[np.uint32]
    wanted: Longs
    first: Floats

    @classmethod
    def nothing(cls, wanted: Longs) -> Self:
        """Return what is known before the first lag."""
        p = len(wanted)
        buckets = np.zeros((p, BUCKETS), np.uint32)
        return cls(np.full(p, np.nan), np.zeros((p, 3)), buckets, wanted, np.empty((p, wanted.max(initial=0))))

    def percentile(self, chart: int, share: float) -> float:
        """Return the lag that a share of a chart's lags does not pass, within 1/32; beyond all buckets the worst."""
        counts, worst = np.cumsum(self.buckets[chart], dtype=np.int64), float(self.totals[chart, 2])
        bucket = int(np.searchsorted(counts, share * counts[-1]))
        octave, step = divmod(bucket, STEPS)
        middle = math.ldexp(0.5 + (step + 0.5) / (2 * STEPS), octave + _FIRST)
        return worst if bucket == BUCKETS - 1 else min(middle, worst)


class Sent(NamedTuple):
    """Orders in rising sequence, and the last decision that was read: those after it may still be orders."""

    orders: Records
    newest: int


@leaf
def measure_inputs(events: Inputs, seen: Records, lags: Lags, answers: Records) -> int:
    """Write down when each of (n,) inputs was seen, and how late market events came; return how many answers came.

    An answer is one that the engine believed, about an order before it. `answers` has room for n.
    """
    found = 0
    for i in range(len(events.heads)):
        event = events.heads[i]
        seen[i]["sequence"], seen[i]["ts_recv_ns"] = event["sequence"], event["ts_recv_ns"]
        is_market = _BAR <= event["kind"] <= _ROW
        lags.ms[i] = (event["ts_recv_ns"] - event["ts_event_ns"]) / NS_PER_MS if is_market else np.nan
        kind = event["kind"]
        is_answer = kind == _FILL or (kind == _REJECT and not events.values[i, 0] >= OUR_REJECTS)
        if is_answer and event["flags"] == 0 and event["reference"] < event["sequence"]:
            answer = answers[found]
            answer["sequence"], answer["order"] = event["sequence"], event["reference"]
            answer["ts_event_ns"], answer["ts_recv_ns"] = event["ts_event_ns"], event["ts_recv_ns"]
            answer["instrument"] = event["instrument"]
            found += 1
    return found


@leaf
def write_decided(decisions: Records, decided: Records, orders: Records) -> int:
    """Write what is kept of (n,) DECISION until their inputs are read, and of their orders; return how many those are.

    `orders` has room for n.
    """
    sent = 0
    for i in range(len(decisions)):
        each, kept = decisions[i], decided[i]
        kept["sequence"], kept["input_sequence"] = each["sequence"], each["input_sequence"]
        kept["ts_event_ns"], kept["ts_decided_ns"] = each["ts_event_ns"], each["ts_decided_ns"]
        kept["instrument"] = each["instrument"]
        if each["quantity"] != 0.0 and each["role"] != _SHADOW:
            order = orders[sent]
            order["sequence"], order["ts_sent_ns"], order["answered"] = each["sequence"], each["ts_decided_ns"], 0
            sent += 1
    return sent


@leaf
def measure_decisions(decided: Records, seen: Records, lags: Lags) -> tuple[int, int]:
    """Write how long decisions took since their inputs were seen.

    Both rise by input. Return how many decisions are measured, and the place of the last input that was asked about.
    """
    n, at, last = 0, 0, 0
    for i in range(len(decided) if len(seen) else 0):
        asked = decided[i]["input_sequence"]
        if asked > seen[len(seen) - 1]["sequence"]:
            break
        if at > 0 and seen[at - 1]["sequence"] >= asked:
            at = 0
        while seen[at]["sequence"] < asked:
            at += 1
        lags.ms[i] = np.nan
        if seen[at]["sequence"] == asked:
            lags.ms[i] = (decided[i]["ts_decided_ns"] - seen[at]["ts_recv_ns"]) / NS_PER_MS
            last = at
        n += 1
    return n, last


@leaf
def measure_answers(answers: Records, sent: Sent, lags: Lags) -> tuple[int, int]:
    """Write how long the first answer to each order took, as far as decisions are read.

    Return how many answers are done with, and how many of the first orders are answered.
    """
    orders, n, answered = sent.orders, 0, 0
    while n < len(answers) and np.int64(answers[n]["order"]) <= sent.newest:
        asked, lags.ms[n] = np.int64(answers[n]["order"]), np.nan
        at = place_of(orders, asked, len(orders))
        if at < len(orders) and np.int64(orders[at]["sequence"]) == asked and orders[at]["answered"] == 0:
            orders[at]["answered"] = 1
            lags.ms[n] = (answers[n]["ts_recv_ns"] - orders[at]["ts_sent_ns"]) / NS_PER_MS
        n += 1
    while answered < len(orders) and orders[answered]["answered"] == 1:
        answered += 1
    return n, answered


@inlined
def _bucket(ms: float) -> int:
    """Return the bucket of a lag."""
    if not ms > 0.0:
        return 0
    part, octave = math.frexp(ms)
    return min(max((octave - _FIRST) * STEPS + int((part - 0.5) * (2 * STEPS)), 0), BUCKETS - 1)


@leaf
def find_slow(lags: Lags, instruments: Words, lag: int, learned: Learned, start: int) -> tuple[int, int]:
    """Count lags, and say which are slow where a limit is known; else keep them for it.

    Parameters
    ----------
    lags : Lags
        Measured; charts and slowness are written.
    instruments : (n,) uint32
        Of the records.
    lag : int
        Which of an instrument's `EACH` charts.
    learned : Learned
        What is known of the charts.
    start : int
        First lag to take.

    Returns
    -------
    tuple of int
        Where to go on, and the chart that has enough to learn its limit from; n and -1 at the end.
    """
    for i in range(start, len(instruments)):
        chart, ms = EACH * instruments[i] + lag, lags.ms[i]
        lags.first[i] = -1
        if chart >= len(learned.limits) or np.isnan(ms):
            continue
        totals = learned.totals[chart]
        count = int(totals[0])
        totals[0], totals[1], totals[2] = totals[0] + 1.0, totals[1] + ms, max(totals[2], ms)
        learned.buckets[chart, _bucket(ms)] += np.uint32(1)
        if not np.isnan(learned.limits[chart]):
            lags.first[i], lags.slow[i, 0] = chart, ms > learned.limits[chart]
        elif count < learned.wanted[chart]:
            learned.first[chart, count] = ms
            if count + 1 == learned.wanted[chart]:
                return i + 1, chart
    return len(instruments), -1
