"""Lags from records of the tape: how late inputs come, how long their decisions take, and which of them are slow.

Units:  milliseconds. What has no lag is NaN: no market event, or a decision whose input is not known.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import leaf
from tradeworthy.core.time import NS_PER_MS
from tradeworthy.judge.monitor.base import Inputs, Records
from tradeworthy.judge.monitor.control_charts.rate_kernels import Bits

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

_BAR, _ROW = int(Kind.BAR), int(Kind.ROW)


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

    limits (p,): beyond which a lag is slow, NaN while it is learned; totals (p, 3): count, sum, worst; first (p, m):
    the m lags from which the limit is learned.
    """

    limits: Floats
    totals: Floats
    first: Floats


@leaf
def measure_inputs(events: Inputs, seen: Records, lags: Lags) -> None:
    """Write down when each of (n,) inputs was seen, and how late market events came."""
    for i in range(len(events.heads)):
        event = events.heads[i]
        seen[i]["sequence"], seen[i]["ts_recv_ns"] = event["sequence"], event["ts_recv_ns"]
        is_market = _BAR <= event["kind"] <= _ROW
        lags.ms[i] = (event["ts_recv_ns"] - event["ts_event_ns"]) / NS_PER_MS if is_market else np.nan


@leaf
def write_decided(decisions: Records, decided: Records) -> None:
    """Write what is kept of (n,) DECISION until their inputs are read."""
    for i in range(len(decisions)):
        each, kept = decisions[i], decided[i]
        kept["sequence"], kept["input_sequence"] = each["sequence"], each["input_sequence"]
        kept["ts_event_ns"], kept["ts_decided_ns"] = each["ts_event_ns"], each["ts_decided_ns"]
        kept["instrument"] = each["instrument"]


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
def find_slow(lags: Lags, instruments: Longs, lag: int, learned: Learned, start: int) -> tuple[int, int]:
    """Count lags, and say which are slow where a limit is known; else keep them for it.

    Parameters
    ----------
    lags : Lags
        Measured; charts and slowness are written.
    instruments : (n,) int64
        Of the records.
    lag : int
        Which of an instrument's two charts.
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
        chart, ms = 2 * instruments[i] + lag, lags.ms[i]
        lags.first[i] = -1
        if chart >= len(learned.limits) or np.isnan(ms):
            continue
        totals = learned.totals[chart]
        count = int(totals[0])
        totals[0], totals[1], totals[2] = totals[0] + 1.0, totals[1] + ms, max(totals[2], ms)
        if not np.isnan(learned.limits[chart]):
            lags.first[i], lags.slow[i, 0] = chart, ms > learned.limits[chart]
        elif count < learned.first.shape[1]:
            learned.first[chart, count] = ms
            if count + 1 == learned.first.shape[1]:
                return i + 1, chart
    return len(instruments), -1
