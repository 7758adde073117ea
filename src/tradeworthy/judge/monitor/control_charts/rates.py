"""Charts of rates: what happens now and then is told when it happens more often, or in longer runs, than it did.

Idea:   each event is a yes or a no. Two chances are usual: a yes after a no (an onset) and a yes after a yes (a run).
        A chart sums the log of how much likelier each event is if the odds were 2, 5 or 20 times the usual ones, and
        forgets below zero. Never one alarm an event: only a rate or a run that the past does not explain.
Limits: while the chances are at most the usual ones each sum is a log likelihood ratio, so the mean time to a false
        alarm is at least exp(limit) events (Lorden); the limit follows from the asked rate alone, shared by all sums.
        Usual chances are upper bounds (Wilson, 99%) of what training, or a feed's first events, showed.
State:  O(1) a chart; the change is dated where the sum that alarms last left zero.
Reference: Lorden (1971); Reynolds and Stoumbos (1999), the Bernoulli CUSUM; Shin, Ramdas and Rinaldo (2022).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import entry
from tradeworthy.judge.monitor.base import SOME_TIMES, State
from tradeworthy.judge.monitor.control_charts.rate_kernels import (
    ACTIVE,
    ALARM,
    AWAKE,
    LAST,
    LEARN,
    LONG,
    LONGEST,
    MEMORY,
    QUIET,
    REPEATS,
    REPEATS_MAX,
    RUN_MIN,
    SIDES,
    STEPS,
    Bits,
    Longs,
    RateEvents,
    RateState,
    set_weights,
    settle,
    tally_rates,
    watch_rates,
)
from tradeworthy.judge.monitor.gauges import Gauge

HARM_ODDS, HARM_SHARE = 5.0, 0.05
"""The harm by which an expected delay is told: five times the usual odds, and at least so large a share of events."""


class RateAlarm(NamedTuple):
    """What an alarmed chart says: which, since when, yes among so many, the longest run, and its sum."""

    chart: int
    since_ns: int
    hits: int
    seen: int
    longest: int
    total: float

    @property
    def share(self) -> float:
        """Share of yes since then."""
        return self.hits / max(1, self.seen)


class RateWords(NamedTuple):
    """What a monitor says of an alarm: itself, what moved, of which kind, in which unit, and the sentence.

    `per` is what a share is multiplied by to be in the unit.
    """

    monitor: str
    subject: str
    kind: str
    unit: str
    sentence: str
    per: float = 1.0


def of_10k(share: float) -> str:
    """Write a share as so many of 10,000.

    >>> of_10k(0.6561), of_10k(0.00012)
    ('6,561', '1.2')
    """
    return f"{share * 1e4:,.0f}" if share >= 0.01 else f"{share * 1e4:.3g}"


class RateCharts:
    """p charts of rates with one limit.

    Parameters
    ----------
    n_charts : int
        How many.
    false_alarms_per_10k : float
        Asked of all together, per 10,000 events that step charts.
    learn : int
        Events from which each chart learns what is usual, unless `set_usual` or `learn_from` says it.
    quiet : int
        How long a chart that alarmed is quiet; doubles while the same goes on.
    """

    def __init__(self, n_charts: int, *, false_alarms_per_10k: float, learn: int = 1_000, quiet: int = 500) -> None:
        p, shape = n_charts, (n_charts, SIDES, STEPS)
        memory = np.zeros((p, MEMORY), np.int64)
        memory[:, LEARN], memory[:, AWAKE] = learn, LONG
        weights, marks = np.zeros((*shape, 2)), np.zeros((*shape, 3), np.int64)
        tally = np.zeros((p, 4), np.int64)
        self.state = RateState(np.ones((p, 2)), np.zeros(p), weights, np.zeros(shape), marks, memory, tally)
        self.false_alarms_per_10k = false_alarms_per_10k
        self.limit = math.log(max(1, p) * SIDES * STEPS * 1e4 / false_alarms_per_10k)
        self._quiet = quiet
        events = RateEvents(np.empty(2, np.int64), np.empty((2, 1), np.uint8), SOME_TIMES)
        self._step = entry(watch_rates, self.state, self.limit, events, 0)

    def set_usual(self, chart: int, chance: float, stays: float = RUN_MIN, share: float | None = None) -> None:
        """Say what is usual of one chart: chances of a yes after a no and after a yes, and the share that was seen."""
        self.state.chances[chart] = chance, stays
        self.state.usual[chart] = chance if share is None else share
        self.state.memory[chart, LEARN] = 0
        set_weights(self.state, chart)

    def learn_from(self, first: Longs, hits: Bits) -> None:
        """Take a reference as what is usual, for every chart that it steps."""
        tally_rates(self.state, first, hits)
        self.state.memory[:, LAST] = 0
        for chart in np.flatnonzero(self.state.tally[:, 0] + self.state.tally[:, 2]):
            settle(self.state, int(chart))
            self.state.memory[chart, LEARN] = 0

    def alarms(self, first: Longs, hits: Bits, ts_ns: Longs) -> Iterator[int]:
        """Step through events, see `watch_rates`; yield each that alarms, whose alarms are taken before the next."""
        events, start = RateEvents(first, hits, ts_ns), 0
        while start < len(first):
            at = int(self._step(self.state, self.limit, events, start))
            if at < len(first):
                yield at
            start = at + 1

    def take_alarms(self, first: int, width: int) -> list[RateAlarm]:
        """Return what alarmed among neighbouring charts, the strongest first, and quieten it."""
        charts = first + np.flatnonzero(self.state.memory[first : first + width, ALARM])
        alarms = sorted((self._alarm(int(chart)) for chart in charts), key=lambda alarm: -alarm.total)
        for chart in charts:
            self._quieten(int(chart))
        return alarms

    def finding(self, alarm: RateAlarm, record: np.void, words: RateWords) -> Finding:
        """Return what an alarm at a record of the tape is to people."""
        ts_event_ns = int(record["ts_event_ns"])
        return Finding(
            monitor=words.monitor,
            subject=words.subject,
            kind=words.kind,
            sequence=int(record["sequence"]),
            ts_event_ns=ts_event_ns,
            since_ns=min(alarm.since_ns, ts_event_ns),
            observed=alarm.share * words.per,
            reference=float(self.state.usual[alarm.chart]) * words.per,
            unit=words.unit,
            statistic=alarm.total,
            threshold=self.limit,
            false_alarms_per_10k=self.false_alarms_per_10k,
            sentence=words.sentence,
        )

    def leaning(self, first: int, width: int) -> list[int]:
        """Return the neighbouring charts with a sum past half of the limit."""
        highest = self.state.sums[first : first + width].max(axis=(1, 2))
        return [first + int(place) for place in np.flatnonzero(highest > self.limit / 2.0)]

    def shares(self) -> npt.NDArray[np.float64]:
        """Return (p,) how near to the limit each chart is; 1 is an alarm."""
        nearest: npt.NDArray[np.float64] = self.state.sums.max(axis=(1, 2)) / self.limit
        return nearest

    def delays(self) -> npt.NDArray[np.float64]:
        """Return (p,) events from a harm (`HARM_ODDS`, `HARM_SHARE`) to its alarm, by how fast a sum then grows.

        NaN while a chart learns what is usual, and where that is so much that no more can come.
        """
        usual, weights = self.state.usual, self.state.weights
        share = np.maximum(HARM_SHARE, HARM_ODDS * usual / (1.0 + (HARM_ODDS - 1.0) * usual))[:, None, None]
        last = np.concatenate([1.0 - share, share], axis=1)
        growth = (last * ((1.0 - share) * weights[..., 0] + share * weights[..., 1])).max(axis=(1, 2))
        hears = (growth > 0.0) & (self.state.memory[:, LEARN] == 0)
        return np.where(hears, self.limit / np.where(hears, growth, 1.0), np.nan)

    def gauges(self, names: Mapping[int, tuple[str, str]]) -> list[Gauge]:
        """Return of charts, by (subject, instrument) of each, how near to its limit it is and how soon it hears."""
        shares, delays = self.shares().tolist(), self.delays().tolist()
        return [
            Gauge(
                family="evidence",
                subject=subject,
                instrument=instrument,
                value=shares[chart],
                delay_events=delays[chart],
            )
            for chart, (subject, instrument) in names.items()
        ]

    def export(self, prefix: str) -> State:
        """Return the memory as arrays whose names begin with `prefix`."""
        return {f"{prefix}{name}": array.copy() for name, array in self.state._asdict().items()}

    def take_back(self, state: Mapping[str, npt.NDArray[Any]], prefix: str) -> None:
        """Go on from what `export` returned; of other charts than these nothing is taken."""
        if state[f"{prefix}sums"].shape != self.state.sums.shape:
            return
        self.state = RateState(*(state[f"{prefix}{name}"].copy() for name in RateState._fields))

    def _alarm(self, chart: int) -> RateAlarm:
        side, step = np.unravel_index(int(self.state.sums[chart].argmax()), (SIDES, STEPS))
        since, seen, hits = (int(value) for value in self.state.marks[chart, side, step])
        longest = int(self.state.memory[chart, LONGEST])
        return RateAlarm(chart, since, hits, seen, longest, float(self.state.sums[chart, side, step]))

    def _quieten(self, chart: int) -> None:
        memory = self.state.memory[chart]
        repeats = min(int(memory[REPEATS]) + 1, REPEATS_MAX) if memory[AWAKE] < 2 * self._quiet else 0
        memory[[REPEATS, AWAKE, ALARM, ACTIVE]] = repeats, 0, 0, 0
        memory[QUIET] = self._quiet * 2**repeats
        self.state.sums[chart] = 0.0
