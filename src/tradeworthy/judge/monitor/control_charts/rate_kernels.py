"""The kernels of charts of rates: what one yes or no adds to a chart, and whole columns of them.

Idea:   charts of one lane are stepped one after the other through many events; stretches of no alone take one short
        loop, and where they may end is found once for all charts: where some answer changes. Where a chart alarms, all
        of its lane go back to the start and on to that event.
State:  O(1) a chart; see `RateState`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf, side_by_side

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
TILE = 4_096
"""Events through which one chart is stepped before the next one."""


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


class Stretch(NamedTuple):
    """Events, and the places of those of one lane at which some answer changes; behind them the end of the lane."""

    events: RateEvents
    changes: Longs


@leaf
def upper_chance(hits: float, n: float) -> float:
    """Return the upper 99% bound (Wilson) of a chance that showed `hits` in `n`; 1 where nothing else was seen."""
    if hits >= n:
        return 1.0
    square = Z_UPPER * Z_UPPER
    share = hits / n
    spread = Z_UPPER * np.sqrt(share * (1.0 - share) / n + square / (4.0 * n * n))
    bound: float = min(1.0, (share + square / (2.0 * n) + spread) / (1.0 + square / n))
    return bound


@leaf
def set_weights(state: RateState, chart: int) -> None:
    """Work out what a no and a yes add to each sum, from the usual chances."""
    for side in range(SIDES):
        chance = state.chances[chart, side]
        for step in range(STEPS):
            grown = 1.0 - chance + ODDS[step] * chance
            state.weights[chart, side, step, 0] = -np.log(grown)
            state.weights[chart, side, step, 1] = np.log(ODDS[step] / grown)


@leaf
def settle(state: RateState, chart: int) -> None:
    """Take the tally as what is usual; what is always there cannot become more frequent."""
    tally = state.tally[chart]
    state.chances[chart, 0] = min(max(upper_chance(tally[1], tally[0]), CHANCE_MIN), RUN_MAX)
    stays = upper_chance(tally[3], tally[2]) if tally[2] > 0 else RUN_MIN
    state.chances[chart, 1] = min(max(stays, RUN_MIN), RUN_MAX)
    state.usual[chart] = (tally[1] + tally[3]) / max(1, tally[0] + tally[2])
    if state.usual[chart] >= RUN_MAX:
        state.chances[chart] = 1.0
    set_weights(state, chart)


@leaf
def _learn(state: RateState, chart: int, last: int, hit: int) -> None:
    """Count one event of the time in which a chart learns what is usual."""
    state.tally[chart, 2 * last] += 1
    state.tally[chart, 2 * last + 1] += hit
    state.memory[chart, LEARN] -= 1
    if state.memory[chart, LEARN] == 0:
        settle(state, chart)


@leaf
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


@leaf
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


@side_by_side
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
    first, n, i = events.first, len(events.first), start
    stretch = Stretch(events, np.empty(min(TILE, n) + 1, np.int64))
    while i < n:
        lane, stop = first[i], i + 1
        while stop < min(n, i + TILE) and first[stop] == lane:
            stop += 1
        if lane >= 0:
            place = _run_lane(state, limit, stretch, i, stop)
            if place < stop:
                return place
        i = stop
    return n


@leaf
def _find_changes(hits: Bits, start: int, stop: int, changes: Longs) -> None:
    """Write which of some events differ in any column from the one before, and `stop` behind them."""
    found = 0
    for i in range(start + 1, stop):
        differs = np.uint8(0)
        for place in range(hits.shape[1]):
            differs |= hits[i, place] ^ hits[i - 1, place]
        if differs != 0:
            changes[found] = i
            found += 1
    changes[found] = stop


@side_by_side
@kernel
def _run_lane(state: RateState, limit: float, stretch: Stretch, start: int, stop: int) -> int:
    """Step the charts of one lane through events, chart by chart; return the event that alarms, or the end.

    Where one alarms, all go back to the start and on to that event alone.
    """
    hits = stretch.events.hits
    lane, width, n = stretch.events.first[start], hits.shape[1], stop
    _find_changes(hits, start, stop, stretch.changes)
    if stop == start + 1:
        for place in range(width):
            n = min(n, _run_chart(state, lane + place, limit, stretch, (place, start, stop)))
        return n
    charts = slice(lane, lane + width)
    saved = RateState(
        state.chances[charts].copy(),
        state.usual[charts].copy(),
        state.weights[charts].copy(),
        state.sums[charts].copy(),
        state.marks[charts].copy(),
        state.memory[charts].copy(),
        state.tally[charts].copy(),
    )
    for place in range(width):
        n = min(n, _run_chart(state, lane + place, limit, stretch, (place, start, n)))
    if n == stop:
        return stop
    state.chances[charts], state.usual[charts], state.weights[charts] = saved.chances, saved.usual, saved.weights
    state.sums[charts], state.marks[charts] = saved.sums, saved.marks
    state.memory[charts], state.tally[charts] = saved.memory, saved.tally
    for place in range(width):
        _run_chart(state, lane + place, limit, stretch, (place, start, n + 1))
    return n


@leaf
def _run_chart(state: RateState, chart: int, limit: float, stretch: Stretch, where: tuple[int, int, int]) -> int:
    """Step one chart through a column of events, from one to before another; return the one that alarms, or the end."""
    (place, i, stop), (events, changes), at = where, stretch, 0
    memory, hits = state.memory[chart], events.hits
    memory[ALARM] = 0
    while i < stop:
        hit = hits[i, place]
        while changes[at] <= i:
            at += 1
        if hit == 0 and memory[LAST] + memory[LEARN] + memory[QUIET] == 0:
            while changes[at] < stop and hits[changes[at], place] == 0:
                at += 1
            calm = min(stop, changes[at])
            _decay(state, chart, calm - i)
            memory[AWAKE] += calm - i
            i = calm
        elif hit == UNSEEN:
            i = min(stop, changes[at])
        else:
            if step_rate(state, chart, int(hit), events.ts_ns[i]) > limit:
                memory[ALARM] = 1
                return i
            i += 1
    return stop


@leaf
def _decay(state: RateState, chart: int, n: int) -> None:
    """Step one chart by n events of no, the last one having been a no too."""
    memory, sums, weights = state.memory[chart], state.sums[chart], state.weights[chart]
    if memory[ACTIVE] == 0:
        return
    memory[RUN] = 0
    stays, left = False, 0.0
    for step in range(STEPS):
        stays = stays or sums[1, step] > 0.0
    for i in range(n):
        left = 0.0
        for step in range(STEPS):
            sums[0, step] = max(0.0, sums[0, step] + weights[0, step, 0])
            left = max(left, sums[0, step])
        if left == 0.0 and not stays:
            n = i + 1
            break
    for side in range(SIDES):
        for step in range(STEPS):
            state.marks[chart, side, step, SEEN] += n
    memory[ACTIVE] = 1 if stays or left > 0.0 else 0


@leaf
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
