"""Latency from the tape: how late the feed brings events, and how long a decision takes after its event was seen.

Idea:   a lag is slow if it is beyond the slowest hundredth of a lane's first lags, and half as much again. A chart of
        rates says when slow ones have become more frequent. Never an alarm for one slow event.
Flow:   inputs -> feed lag; decisions with their inputs -> decision lag; both -> slow or not -> charts -> finding.
State:  first lags while learning, limits, charts, inputs and decisions that wait for each other, findings not taken.
Units:  milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_MS, iso
from tradeworthy.judge.monitor.base import (
    FindingQueue,
    Records,
    State,
    are_decisions,
    are_events,
    by_instrument,
    chosen,
    fields_as,
    latest,
    part_of,
    places_of,
)
from tradeworthy.judge.monitor.control_charts.rate_kernels import upper_chance
from tradeworthy.judge.monitor.control_charts.rates import RateCharts, RateWords
from tradeworthy.judge.monitor.gauges import Gauge

Floats = npt.NDArray[np.float64]

NAME = "latency"
KIND = "latency"
FEED, DECISION_LAG = range(2)
LAGS = ("feed lag", "decision lag")
WAITING_MAX = 100_000
SLOWEST = 0.99

SEEN_INPUT = np.dtype([("sequence", "<u8"), ("ts_recv_ns", "<i8")])
DECIDED = np.dtype(
    [
        ("sequence", "<u8"),
        ("input_sequence", "<u8"),
        ("ts_event_ns", "<i8"),
        ("ts_decided_ns", "<i8"),
        ("instrument", "<u4"),
    ]
)


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.latency]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 events and decisions.
    learn : int
        Lags of an instrument from which its limit is learned.
    quiet : int
        Lags without a further alarm after one; doubles while it stays.
    least_ms : float
        No lag under this is slow.
    """

    false_alarms_per_10k: float = 0.2
    learn: int = 1_000
    quiet: int = 1_000
    least_ms: float = 1.0


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One lag of one instrument: mean and worst so far, and the limit beyond which it counts as slow."""

    instrument: str
    lag: str
    count: int
    mean_ms: float
    worst_ms: float
    slow_ms: float


class LatencyMonitor:
    """Watches feed and decision lags of all instruments.

    Parameters
    ----------
    instruments : sequence of str
        Symbols, for the findings.
    settings : LatencySettings, optional
        Defaults if left out.
    """

    def __init__(self, instruments: Sequence[str], settings: LatencySettings | None = None) -> None:
        self._instruments, self._settings = list(instruments), settings or LatencySettings()
        each, n = self._settings, 2 * len(self._instruments)
        self._charts = RateCharts(n, false_alarms_per_10k=each.false_alarms_per_10k, quiet=each.quiet)
        self._limits = np.full(n, np.nan)
        self._first: dict[int, Floats] = {}
        self._totals = np.zeros((n, 3))  # count, sum, worst
        self._inputs, self._decisions = np.empty(0, SEEN_INPUT), np.empty(0, DECIDED)
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take inputs and decisions; anything else is left."""
        if are_events(records):
            self._take_inputs(records)
        elif are_decisions(records):
            self._decisions = latest(self._decisions, fields_as(records, DECIDED), WAITING_MAX)
        else:
            return
        self._match()

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each lag is, by instrument."""
        return [
            Gauge(family="evidence", subject=f"{symbol} {lag}", instrument=symbol, value=float(share))
            for symbol, row in zip(self._instruments, self._charts.shares().reshape(-1, 2), strict=False)
            for lag, share in zip(LAGS, row, strict=True)
        ]

    def summary(self) -> list[LatencySummary]:
        """Return every lag that was measured."""
        return [
            LatencySummary(
                instrument=self._instruments[chart // 2],
                lag=LAGS[chart % 2],
                count=int(self._totals[chart, 0]),
                mean_ms=float(self._totals[chart, 1] / self._totals[chart, 0]),
                worst_ms=float(self._totals[chart, 2]),
                slow_ms=float(self._limits[chart]),
            )
            for chart in np.flatnonzero(self._totals[:, 0]).tolist()
        ]

    def state(self) -> State:
        """Return what was learned and counted, what waits, and findings not yet taken."""
        state: State = {
            "limits": self._limits.copy(),
            "totals": self._totals.copy(),
            "inputs": self._inputs.copy(),
            "decisions": self._decisions.copy(),
            "findings": self._queue.to_array(),
        }
        state |= {f"first.{chart}": lags.copy() for chart, lags in self._first.items()}
        return state | self._charts.export("charts.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._limits, self._totals = state["limits"].copy(), state["totals"].copy()
        self._inputs, self._decisions = state["inputs"].astype(SEEN_INPUT), state["decisions"].astype(DECIDED)
        self._first = {int(key): first.copy() for key, first in part_of(state, "first.").items()}
        self._queue.from_array(state["findings"])
        self._charts.take_back(state, "charts.")

    def _take_inputs(self, events: EventBatch) -> None:
        """Chart the feed lag of market events; keep when inputs were seen."""
        self._inputs = latest(self._inputs, fields_as(events, SEEN_INPUT), WAITING_MAX)
        kind = np.ascontiguousarray(events["kind"])
        market = chosen(events, (kind >= Kind.BAR) & (kind <= Kind.ROW))
        self._chart(FEED, market, (market["ts_recv_ns"] - market["ts_event_ns"]) / NS_PER_MS)

    def _match(self) -> None:
        """Chart the lag of decisions whose input is read; forget inputs that no later decision can ask for."""
        if len(self._inputs) == 0 or len(self._decisions) == 0:
            return
        count = int(np.searchsorted(self._decisions["input_sequence"], self._inputs["sequence"][-1], side="right"))
        ready, self._decisions = self._decisions[:count], self._decisions[count:]
        at = places_of(self._inputs["sequence"], ready["input_sequence"])
        known = at >= 0
        ready, seen_ns = chosen(ready, known), self._inputs["ts_recv_ns"][at[known]]
        self._chart(DECISION_LAG, ready, (ready["ts_decided_ns"] - seen_ns) / NS_PER_MS)
        if len(ready):
            self._inputs = self._inputs[int(at[known][-1]) :]

    def _chart(self, lag: int, records: Records, lags_ms: Floats) -> None:
        """Learn the limit of each instrument from its first lags, then chart how often it is passed."""
        for instrument, own in by_instrument(records):
            if instrument >= len(self._instruments):
                continue
            chart, lags, kept = 2 * instrument + lag, lags_ms[own], records[own]
            self._count(chart, lags)
            if np.isnan(self._limits[chart]):
                missing = self._settings.learn - len(self._first.get(chart, ()))
                self._learn(chart, lags[:missing])
                lags, kept = lags[missing:], kept[missing:]
            self._watch(chart, kept, lags)

    def _count(self, chart: int, lags: Floats) -> None:
        self._totals[chart, 0] += len(lags)
        # In order, one by one: the sum must not depend on how the tape was sliced.
        self._totals[chart, 1] = float(np.cumsum(np.concatenate([self._totals[chart, 1:2], lags]))[-1])
        self._totals[chart, 2] = max(self._totals[chart, 2], float(lags.max()))

    def _learn(self, chart: int, lags: Floats) -> None:
        """Keep first lags; with enough of them, set the limit and what is usual."""
        first = np.concatenate([self._first.get(chart, np.empty(0)), lags])
        self._first[chart] = first
        if len(first) < self._settings.learn:
            return
        limit = max(1.5 * float(np.quantile(first, SLOWEST)), self._settings.least_ms)
        slow = first > limit
        onsets, stays = int((slow[1:] & ~slow[:-1]).sum()), int((slow[1:] & slow[:-1]).sum())
        calm, before = len(slow) - int(slow.sum()), int(slow[:-1].sum())
        chance = float(upper_chance(float(onsets), float(calm)))
        again = float(upper_chance(float(stays), float(before))) if before else 0.5
        self._charts.set_usual(chart, chance, min(max(again, 0.5), 0.999), float(slow.mean()))
        self._limits[chart] = limit
        del self._first[chart]

    def _watch(self, chart: int, records: Records, lags: Floats) -> None:
        """Step one chart; put what alarms."""
        hits, first = (lags > self._limits[chart]).astype(np.uint8)[:, None], np.full(len(lags), chart)
        start, ts_ns = 0, np.ascontiguousarray(records["ts_event_ns"])
        while start < len(records):
            at = self._charts.watch(first, hits, ts_ns, start)
            if at < len(records):
                self._queue.put(self._finding(chart, records[at], float(lags[at])))
            start = at + 1

    def _finding(self, chart: int, record: np.void, lag_ms: float) -> Finding:
        """Say how often a lag is slow now."""
        alarm = self._charts.take_alarms(chart, 1)[0]
        usual, limit = float(self._charts.state.usual[chart]), float(self._limits[chart])
        what = ("events arrive", "decisions stand")[chart % 2]
        symbol = self._instruments[chart // 2]
        words = RateWords(
            monitor=NAME,
            subject=f"{symbol} {LAGS[chart % 2]}",
            kind=KIND,
            unit=f"share over {limit:.3g} ms",
            sentence=(
                f"{symbol}: {alarm.hits} of {alarm.seen} {what} later than {limit:.3g} ms since "
                f"{iso(alarm.since_ns)} (the last one {lag_ms:.3g} ms); {usual:.2%} were that slow at first."
            ),
        )
        return self._charts.finding(alarm, record, words)
