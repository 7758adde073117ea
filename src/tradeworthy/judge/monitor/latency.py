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

from tradeworthy.core.events import EventBatch
from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import entry
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import (
    SOME_DECISIONS,
    SOME_EVENTS,
    FindingQueue,
    Kept,
    Records,
    State,
    are_decisions,
    are_events,
    inputs_of,
    part_of,
)
from tradeworthy.judge.monitor.control_charts.rate_kernels import upper_chance
from tradeworthy.judge.monitor.control_charts.rates import RateCharts, RateWords
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.lags import Lags, Learned, find_slow, measure_decisions, measure_inputs, write_decided

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
        self._learned = Learned(np.full(n, np.nan), np.zeros((n, 3)), np.empty((n, each.learn)))
        self._inputs, self._decisions = Kept(SEEN_INPUT), Kept(DECIDED)
        self._write = entry(write_decided, SOME_DECISIONS, np.empty(2, DECIDED))
        self._measure = entry(measure_inputs, inputs_of(SOME_EVENTS), np.empty(2, SEEN_INPUT), Lags.room(2))
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take inputs and decisions; anything else is left."""
        if are_events(records):
            self._take_inputs(records)
        elif are_decisions(records):
            self._write(records, self._decisions.room(len(records)))
            self._decisions.grow(len(records))
        else:
            return
        self._match()

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each lag is, by instrument."""
        keys = [(symbol, lag) for symbol in self._instruments for lag in LAGS]
        found = zip(keys, self._charts.shares().tolist(), self._charts.delays().tolist(), strict=False)
        return [
            Gauge(family="evidence", subject=f"{symbol} {lag}", instrument=symbol, value=share, delay_events=delay)
            for (symbol, lag), share, delay in found
        ]

    def summary(self) -> list[LatencySummary]:
        """Return every lag that was measured."""
        totals = self._learned.totals
        return [
            LatencySummary(
                instrument=self._instruments[chart // 2],
                lag=LAGS[chart % 2],
                count=int(totals[chart, 0]),
                mean_ms=float(totals[chart, 1] / totals[chart, 0]),
                worst_ms=float(totals[chart, 2]),
                slow_ms=float(self._learned.limits[chart]),
            )
            for chart in np.flatnonzero(totals[:, 0]).tolist()
        ]

    def state(self) -> State:
        """Return what was learned and counted, what waits, and findings not yet taken."""
        state: State = {
            "limits": self._learned.limits.copy(),
            "totals": self._learned.totals.copy(),
            "inputs": self._inputs.records.copy(),
            "decisions": self._decisions.records.copy(),
            "findings": self._queue.to_array(),
        }
        for chart in np.flatnonzero(np.isnan(self._learned.limits)):
            state[f"first.{chart}"] = self._learned.first[chart, : int(self._learned.totals[chart, 0])].copy()
        return state | self._charts.export("charts.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._learned.limits[:], self._learned.totals[:] = state["limits"], state["totals"]
        self._inputs.replace(state["inputs"].astype(SEEN_INPUT))
        self._decisions.replace(state["decisions"].astype(DECIDED))
        for key, first in part_of(state, "first.").items():
            self._learned.first[int(key), : len(first)] = first
        self._queue.from_array(state["findings"])
        self._charts.take_back(state, "charts.")

    def _take_inputs(self, events: EventBatch) -> None:
        """Chart the feed lag of market events; keep when inputs were seen."""
        lags = Lags.room(len(events))
        self._measure(inputs_of(events), self._inputs.room(len(events)), lags)
        self._inputs.grow(len(events))
        self._chart(FEED, events, lags)

    def _match(self) -> None:
        """Chart the lag of decisions whose input is read; forget inputs that no later decision can ask for."""
        lags = Lags.room(len(self._decisions))
        count, last = measure_decisions(self._decisions.records, self._inputs.records, lags)
        self._chart(DECISION_LAG, self._decisions.records[:count], lags)
        self._decisions.drop(max(count, len(self._decisions) - WAITING_MAX))
        self._inputs.drop(max(last, len(self._inputs) - WAITING_MAX))

    def _chart(self, lag: int, records: Records, lags: Lags) -> None:
        """Learn the limit of each instrument from its first lags, then chart how often it is passed."""
        instruments, start, n = records["instrument"].astype(np.int64), 0, len(records)
        while start < n:
            start, chart = find_slow(lags, instruments, lag, self._learned, start)
            if chart >= 0:
                self._learn(chart)
        start, ts_ns = 0, np.ascontiguousarray(records["ts_event_ns"])
        while start < n:
            at = self._charts.watch(lags.first[:n], lags.slow[:n], ts_ns, start)
            if at < n:
                self._queue.put(self._finding(int(lags.first[at]), records[at], float(lags.ms[at])))
            start = at + 1

    def _learn(self, chart: int) -> None:
        """Set the limit, and what is usual, by a chart's first lags."""
        first = self._learned.first[chart]
        limit = max(1.5 * float(np.quantile(first, SLOWEST)), self._settings.least_ms)
        slow = first > limit
        onsets, stays = int((slow[1:] & ~slow[:-1]).sum()), int((slow[1:] & slow[:-1]).sum())
        calm, before = len(slow) - int(slow.sum()), int(slow[:-1].sum())
        chance = float(upper_chance(float(onsets), float(calm)))
        again = float(upper_chance(float(stays), float(before))) if before else 0.5
        self._charts.set_usual(chart, chance, min(max(again, 0.5), 0.999), float(slow.mean()))
        self._learned.limits[chart] = limit

    def _finding(self, chart: int, record: np.void, lag_ms: float) -> Finding:
        """Say how often a lag is slow now."""
        alarm = self._charts.take_alarms(chart, 1)[0]
        usual, limit = float(self._charts.state.usual[chart]), float(self._learned.limits[chart])
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
