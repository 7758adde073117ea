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
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import kernel
from tradeworthy.judge.monitor.base import State

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]

ODDS = np.array([2.0, 5.0, 20.0])
"""What the odds are multiplied with, if something is wrong."""

SIDES, STEPS = 2, len(ODDS)
UNSEEN = 255
"""Neither yes nor no: the chart stands still."""

Z_UPPER = 2.326
"""The 99% point of the normal distribution."""

CHANCE_MIN = 1e-5
RUN_MIN, RUN_MAX = 0.5, 0.999
"""A run is usual if it goes on in at least half of the cases, whatever was seen."""

# Columns of `RateState.memory` and of `RateState.marks`.
LAST, RUN, LONGEST, QUIET, REPEATS, AWAKE, LEARN, ACTIVE, ALARM = range(9)
SINCE, SEEN, HITS = range(3)
MEMORY = 9

LONG = 1 << 40
REPEATS_MAX = 10


class RateState(NamedTuple):
    """Memory of p charts.

    chances (p, 2): usual chance of a yes after a no, and after a yes; usual (p,): share of yes in all; weights
    (p, 2, STEPS, 2): what a no and a yes add; sums (p, 2, STEPS); marks (p, 2, STEPS, 3): since when, events and yes
    since; memory (p, MEMORY); tally (p, 4): while learning, events and yes after a no, and after a yes.
    """

    chances: Floats
    usual: Floats
    weights: Floats
    sums: Floats
    marks: Longs
    memory: Longs
    tally: Longs


class RateEvents(NamedTuple):
    """n events and the charts that they step.

    first (n,): the first of `width` neighbouring charts that an event steps, -1 for none; hits (n, width): 1 yes, 0 no,
    UNSEEN neither; ts_ns (n,).
    """

    first: Longs
    hits: Bits
    ts_ns: Longs


@kernel
def upper_chance(hits: float, n: float) -> float:
    """Return the upper 99% bound (Wilson) of a chance that showed `hits` in `n`; 1 where nothing else was seen."""
    if hits >= n:
        return 1.0
    square = Z_UPPER * Z_UPPER
    share = hits / n
    spread = Z_UPPER * np.sqrt(share * (1.0 - share) / n + square / (4.0 * n * n))
    bound: float = min(1.0, (share + square / (2.0 * n) + spread) / (1.0 + square / n))
    return bound


@kernel
def set_weights(state: RateState, chart: int) -> None:
    """Work out what a no and a yes add to each sum, from the usual chances."""
    for side in range(SIDES):
        chance = state.chances[chart, side]
        for step in range(STEPS):
            grown = 1.0 - chance + ODDS[step] * chance
            state.weights[chart, side, step, 0] = -np.log(grown)
            state.weights[chart, side, step, 1] = np.log(ODDS[step] / grown)


@kernel
def settle(state: RateState, chart: int) -> None:
    """Take the tally as what is usual."""
    tally = state.tally[chart]
    state.chances[chart, 0] = min(max(upper_chance(tally[1], tally[0]), CHANCE_MIN), RUN_MAX)
    stays = upper_chance(tally[3], tally[2]) if tally[2] > 0 else RUN_MIN
    state.chances[chart, 1] = min(max(stays, RUN_MIN), RUN_MAX)
    state.usual[chart] = (tally[1] + tally[3]) / max(1, tally[0] + tally[2])
    set_weights(state, chart)


@kernel
def _learn(state: RateState, chart: int, last: int, hit: int) -> None:
    """Count one event of the time in which a chart learns what is usual."""
    state.tally[chart, 2 * last] += 1
    state.tally[chart, 2 * last + 1] += hit
    state.memory[chart, LEARN] -= 1
    if state.memory[chart, LEARN] == 0:
        settle(state, chart)


@kernel
def _sum_up(state: RateState, chart: int, last: int, hit: int, ts_ns: int) -> float:
    """Move all sums of a chart by one event; return the highest."""
    highest, active = 0.0, 0
    for side in range(SIDES):
        for step in range(STEPS):
            total, mark = state.sums[chart, side, step], state.marks[chart, side, step]
            if total == 0.0 and hit == 1:
                mark[SINCE], mark[SEEN], mark[HITS] = ts_ns, 0, 0
            mark[SEEN] += 1
            mark[HITS] += hit
            if side == last:
                total = max(0.0, total + state.weights[chart, side, step, hit])
                state.sums[chart, side, step] = total
            highest = max(highest, total)
            active = 1 if total > 0.0 else active
    state.memory[chart, ACTIVE] = active
    return highest


@kernel
def step_rate(state: RateState, chart: int, hit: int, ts_ns: int) -> float:
    """Step one chart by a yes (1) or a no (0); return its highest sum."""
    memory = state.memory[chart]
    last = memory[LAST]
    memory[LAST] = hit
    memory[RUN] = memory[RUN] + 1 if hit == 1 else 0
    if memory[LEARN] > 0:
        _learn(state, chart, last, hit)
        return 0.0
    if memory[QUIET] > 0:
        memory[QUIET] -= 1
        return 0.0
    memory[AWAKE] += 1
    if hit == 0 and memory[ACTIVE] == 0:
        return 0.0
    if memory[ACTIVE] == 0:
        memory[LONGEST] = 0
    memory[LONGEST] = max(memory[LONGEST], memory[RUN])
    return _sum_up(state, chart, last, hit, ts_ns)


@kernel
def is_idle(memory: Longs, chart: int) -> bool:
    """Tell whether a no changes nothing of a chart but the count of events since its last alarm."""
    busy = memory[chart, LAST] + memory[chart, ACTIVE] + memory[chart, LEARN] + memory[chart, QUIET]
    return bool(busy == 0)


@kernel
def watch_rates(state: RateState, limit: float, events: RateEvents, start: int) -> int:
    """Step charts through events until one or more alarm.

    Parameters
    ----------
    state
        Memory of p charts.
    limit : float
        Where sums alarm.
    events : RateEvents
        What happened.
    start : int
        First event to consume.

    Returns
    -------
    int
        The event that alarmed (wholly consumed; charts that alarm have 1 in column ALARM), or n.
    """
    first, hits = events.first, events.hits
    for i in range(start, hits.shape[0]):
        alarms = 0
        for place in range(hits.shape[1] if first[i] >= 0 else 0):
            chart, hit = first[i] + place, hits[i, place]
            state.memory[chart, ALARM] = 0
            if hit == 0 and is_idle(state.memory, chart):
                state.memory[chart, AWAKE] += 1
            elif hit != UNSEEN and step_rate(state, chart, int(hit), events.ts_ns[i]) > limit:
                state.memory[chart, ALARM] = 1
                alarms += 1
        if alarms > 0:
            return i
    return len(hits)


@kernel
def tally_rates(state: RateState, first: Longs, hits: Bits) -> None:
    """Count a reference: events and yes, after a no and after a yes, of each chart."""
    for i in range(hits.shape[0]):
        for place in range(hits.shape[1] if first[i] >= 0 else 0):
            chart, hit = first[i] + place, hits[i, place]
            if hit != UNSEEN:
                last = state.memory[chart, LAST]
                state.tally[chart, 2 * last] += 1
                state.tally[chart, 2 * last + 1] += hit
                state.memory[chart, LAST] = hit


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

    def watch(self, first: Longs, hits: Bits, ts_ns: Longs, start: int) -> int:
        """Step through events until a chart alarms; see `watch_rates`."""
        return int(watch_rates(self.state, self.limit, RateEvents(first, hits, ts_ns), start))

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

    def export(self, prefix: str) -> State:
        """Return the memory as arrays whose names begin with `prefix`."""
        return {f"{prefix}{name}": array.copy() for name, array in self.state._asdict().items()}

    def take_back(self, state: Mapping[str, npt.NDArray[Any]], prefix: str) -> None:
        """Go on from what `export` returned."""
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
