"""Latency from the tape: how late events come, how long a decision takes then, and the venue's answer to its order.

Idea:   a lag is slow if it is beyond the slowest hundredth of a lane's first lags, and half as much again. A chart of
        rates says when slow ones have become more frequent. Never an alarm for one slow event.
Flow:   inputs -> feed lag; decisions with their inputs -> decision lag; orders with their first answer -> order lag;
        all -> slow or not -> charts -> finding.
State:  first lags while learning, limits, charts, inputs and decisions, orders and answers that wait for each other,
        findings not taken.
Units:  milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
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
from tradeworthy.judge.monitor.lags import (
    DECISION_LAG,
    EACH,
    FEED,
    LAGS,
    ORDER_LAG,
    Lags,
    Learned,
    Sent,
    find_slow,
    measure_answers,
    measure_decisions,
    measure_inputs,
    write_decided,
)

NAME = "latency"
KIND = "latency"
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
ANSWER = np.dtype(
    [
        ("sequence", "<u8"),
        ("order", "<u8"),
        ("ts_event_ns", "<i8"),
        ("ts_recv_ns", "<i8"),
        ("instrument", "<u4"),
    ]
)
SENT_ORDER = np.dtype([("sequence", "<u8"), ("ts_sent_ns", "<i8"), ("answered", "<u8")])


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.latency]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 events, decisions and answers.
    learn : int
        First lags of an instrument's events, and as many of its decisions, from which their limits are learned.
    learn_orders : int
        First lags of an instrument's orders from which their limit is learned.
    alarm_on_orders : bool
        Whether slow answers to orders are told: of a venue that answers by itself. A paper venue answers at the
        market's next event, so what is slow there is the market: its lags are figures alone.
    quiet : int
        Lags without a further alarm after one; doubles while it stays.
    least_ms : float
        No lag under this is slow.
    """

    false_alarms_per_10k: float = 0.2
    learn: int = 1_000
    learn_orders: int = 300
    alarm_on_orders: bool = False
    quiet: int = 1_000
    least_ms: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.latency", counts=["learn", "learn_orders"])


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One lag of one instrument: mean, percentiles and worst so far, and the limit beyond which it counts as slow."""

    instrument: str
    lag: str
    count: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    slow_ms: float


class LatencyMonitor:
    """Watches the lags of feed, decisions and orders of all instruments.

    Parameters
    ----------
    instruments : sequence of str
        Symbols, for the findings.
    settings : LatencySettings, optional
        Defaults if left out.
    """

    def __init__(self, instruments: Sequence[str], settings: LatencySettings | None = None) -> None:
        self._instruments, self._settings = list(instruments), settings or LatencySettings()
        each, n = self._settings, EACH * len(self._instruments)
        self._charts = RateCharts(n, false_alarms_per_10k=each.false_alarms_per_10k, quiet=each.quiet)
        wanted = (each.learn, each.learn, each.learn_orders if each.alarm_on_orders else 0)  # 0 learns no limit
        self._learned = Learned.nothing(np.tile(np.array(wanted, np.int64), len(self._instruments)))
        self._inputs, self._decisions = Kept(SEEN_INPUT), Kept(DECIDED)
        self._answers, self._orders = Kept(ANSWER), Kept(SENT_ORDER)
        self._newest = 0
        seen, answers, orders = np.empty(2, SEEN_INPUT), np.empty(2, ANSWER), np.empty(2, SENT_ORDER)
        self._write = entry(write_decided, SOME_DECISIONS, np.empty(2, DECIDED), orders)
        self._measure = entry(measure_inputs, inputs_of(SOME_EVENTS), seen, Lags.room(2), answers)
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take inputs and decisions; anything else is left."""
        if are_events(records):
            self._take_inputs(records)
        elif are_decisions(records):
            self._take_decisions(records)
        else:
            return
        self._match()

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each lag is by instrument, percentiles of lags, and how many orders wait."""
        names = [(f"{symbol} {lag}", symbol) for symbol in self._instruments for lag in LAGS]
        near = self._charts.gauges({chart: name for chart, name in enumerate(names) if self._learned.wanted[chart]})
        waiting = float(np.count_nonzero(self._orders.records["answered"] == 0))
        near.append(Gauge(family="value", subject="orders_unanswered", value=waiting))
        return near + [
            Gauge(family="value", subject=f"{each.lag} {name}".replace(" ", "_"), instrument=each.instrument, value=ms)
            for each in self.summary()
            for name, ms in (("p50_ms", each.p50_ms), ("p99_ms", each.p99_ms))
        ]

    def summary(self) -> list[LatencySummary]:
        """Return every lag that was measured."""
        totals = self._learned.totals
        return [
            LatencySummary(
                instrument=self._instruments[chart // EACH],
                lag=LAGS[chart % EACH],
                count=int(totals[chart, 0]),
                mean_ms=float(totals[chart, 1] / totals[chart, 0]),
                p50_ms=self._learned.percentile(chart, 0.5),
                p99_ms=self._learned.percentile(chart, 0.99),
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
            "buckets": self._learned.buckets.copy(),
            "wanted": self._learned.wanted.copy(),
            "inputs": self._inputs.records.copy(),
            "decisions": self._decisions.records.copy(),
            "answers": self._answers.records.copy(),
            "orders": self._orders.records.copy(),
            "newest": np.array([self._newest]),
            "findings": self._queue.to_array(),
        }
        for chart in np.flatnonzero(np.isnan(self._learned.limits)):
            count = min(int(self._learned.totals[chart, 0]), int(self._learned.wanted[chart]))
            state[f"first.{chart}"] = self._learned.first[chart, :count].copy()
        return state | self._charts.export("charts.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned; of one that learned of other lags only findings are left."""
        self._queue.from_array(state["findings"])
        if not np.array_equal(state.get("wanted", []), self._learned.wanted):
            return
        self._learned.limits[:], self._learned.totals[:] = state["limits"], state["totals"]
        self._learned.buckets[:] = state["buckets"]
        self._inputs.replace(state["inputs"].astype(SEEN_INPUT))
        self._decisions.replace(state["decisions"].astype(DECIDED))
        self._answers.replace(state["answers"].astype(ANSWER))
        self._orders.replace(state["orders"].astype(SENT_ORDER))
        self._newest = int(state["newest"][0])
        for key, first in part_of(state, "first.").items():
            self._learned.first[int(key), : len(first)] = first
        self._charts.take_back(state, "charts.")

    def _take_inputs(self, events: EventBatch) -> None:
        """Chart the feed lag of market events; keep when inputs were seen, and answers."""
        n = len(events)
        lags = Lags.room(n)
        self._answers.grow(self._measure(inputs_of(events), self._inputs.room(n), lags, self._answers.room(n)))
        self._inputs.grow(n)
        self._chart(FEED, events, lags)

    def _take_decisions(self, decisions: Records) -> None:
        """Keep decisions until their inputs are read, and orders until they are answered."""
        n = len(decisions)
        self._orders.grow(self._write(decisions, self._decisions.room(n), self._orders.room(n)))
        self._decisions.grow(n)
        self._newest = max(self._newest, int(decisions["sequence"][-1]) if n else 0)

    def _match(self) -> None:
        """Chart the lag of decisions whose input is read, and of orders; forget inputs that nobody can ask for."""
        lags = Lags.room(len(self._decisions))
        count, last = measure_decisions(self._decisions.records, self._inputs.records, lags)
        self._chart(DECISION_LAG, self._decisions.records[:count], lags)
        self._decisions.drop(max(count, len(self._decisions) - WAITING_MAX))
        self._inputs.drop(max(last, len(self._inputs) - WAITING_MAX))
        if len(self._answers):
            self._match_answers()
        self._orders.drop(len(self._orders) - WAITING_MAX)

    def _match_answers(self) -> None:
        """Chart the lag of orders that are answered, as far as decisions are read."""
        lags = Lags.room(len(self._answers))
        count, answered = measure_answers(self._answers.records, Sent(self._orders.records, self._newest), lags)
        self._chart(ORDER_LAG, self._answers.records[:count], lags)
        self._answers.drop(max(count, len(self._answers) - WAITING_MAX))
        self._orders.drop(answered)

    def _chart(self, lag: int, records: Records, lags: Lags) -> None:
        """Learn the limit of each instrument from its first lags, then chart how often it is passed."""
        start, n = 0, len(records)
        while start < n:
            start, chart = find_slow(lags, records["instrument"], lag, self._learned, start)
            if chart >= 0:
                self._learn(chart)
        for at in self._charts.alarms(lags.first[:n], lags.slow[:n], records["ts_event_ns"]):
            self._queue.put(self._finding(int(lags.first[at]), records[at], float(lags.ms[at])))

    def _learn(self, chart: int) -> None:
        """Set the limit, and what is usual, by a chart's first lags."""
        first = self._learned.first[chart, : self._learned.wanted[chart]]
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
        what = ("events arrive", "decisions stand", "orders are answered")[chart % EACH]
        symbol = self._instruments[chart // EACH]
        words = RateWords(
            monitor=NAME,
            subject=f"{symbol} {LAGS[chart % EACH]}",
            kind=KIND,
            unit=f"share over {limit:.3g} ms",
            sentence=(
                f"{symbol}: {alarm.hits} of {alarm.seen} {what} later than {limit:.3g} ms since "
                f"{iso(alarm.since_ns)} (the last one {lag_ms:.3g} ms); {usual:.2%} were that slow at first."
            ),
        )
        return self._charts.finding(alarm, record, words)
