"""Is the model more often wrong than it was? A test by betting that overlapping labels cannot fool.

Idea:   a gambler stakes on each loss being above the gate's upper bound. While the mean loss is at most that bound no
        strategy gains on average, so a large fortune is evidence of harm at any time one looks. Summing over all
        start times (Shiryaev-Roberts) detects a change; the mean time between false alarms is at least the limit.
        Only losses whose labels do not overlap are bet on: the next decision made after the last label was known.
State:  a fortune a bet; and, to date the change, the best start so far of each bet with its count and sum of losses.
Units:  losses from 0 to 1; fortunes are multiples of a unit stake.
Reference: Shin, Ramdas and Rinaldo (2022), e-detectors; Waudby-Smith and Ramdas (2024), betting on bounded means.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel, leaf, side_by_side
from tradeworthy.judge.monitor.control_charts.chart_table import ChartState, ChartTable
from tradeworthy.judge.monitor.control_charts.cusum import watch

Floats = npt.NDArray[np.float64]

STAKES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
"""Shares of the largest stake (1 / bound) at which no fortune can go below zero."""

FORTUNE, BEST, TOTAL, COUNT = range(4)
SINCE, FREE_FROM = range(2)


class HarmState(NamedTuple):
    """Memory of one stream of losses.

    (stakes, 4) float64 fortunes, best runs, their sums and counts of losses; (stakes, 2) int64: when each run began,
    and (in the first row) from when the next decision counts.
    """

    fortunes: Floats
    times: npt.NDArray[np.int64]


def empty_harm() -> HarmState:
    """Return the memory of a stream that has seen nothing."""
    return HarmState(np.zeros((len(STAKES), 4)), np.full((len(STAKES), 2), np.iinfo(np.int64).min, np.int64))


def reset(state: HarmState) -> None:
    """Forget all bets; what is bet on next still may not overlap the last label."""
    state.fortunes[:] = 0.0


@leaf
def bet(state: HarmState, loss: float, bound: float, ts_ns: int) -> float:
    """Bet on one loss; return the evidence, the mean fortune over all stakes."""
    fortunes = state.fortunes
    total: float = 0.0
    for i in range(fortunes.shape[0]):
        growth = 1.0 + STAKES[i] / bound * (loss - bound)
        if fortunes[i, BEST] <= 1.0:
            fortunes[i, BEST] = 1.0
            fortunes[i, TOTAL] = 0.0
            fortunes[i, COUNT] = 0.0
            state.times[i, SINCE] = ts_ns
        fortunes[i, BEST] *= growth
        fortunes[i, TOTAL] += loss
        fortunes[i, COUNT] += 1.0
        fortunes[i, FORTUNE] = (1.0 + fortunes[i, FORTUNE]) * growth
        total += fortunes[i, FORTUNE]
    return total / len(fortunes)


class LossTests(NamedTuple):
    """Both tests of one stream of losses: a one-sided chart, and bets against `bound` that alarm above `limit`."""

    table: ChartTable
    chart: ChartState
    harm: HarmState
    bound: float
    limit: float


@side_by_side
@kernel
def watch_losses(tests: LossTests, losses: Floats, times_ns: npt.NDArray[np.int64], start: int) -> int:
    """Step both tests until one alarms.

    Parameters
    ----------
    tests : LossTests
        Constants and memory; memory moves on.
    losses : (n,) float64
        From 0 to 1, in the order in which labels became known.
    times_ns : (n, 2) int64
        When each decision was made, and when its label was known.
    start : int
        First loss to consume.

    Returns
    -------
    int
        The loss at which a test alarmed (consumed; the chart's direction is in its column ALARM), or n.
    """
    n, before = len(losses), ChartState(tests.chart.sums.copy(), tests.chart.counts.copy())
    series, made_ns = losses.reshape(n, 1), np.ascontiguousarray(times_ns[:, 0])
    heard = watch(tests.table, tests.chart, series, made_ns, start)
    for i in range(start, min(n, heard + 1)):
        if made_ns[i] < tests.harm.times[0, FREE_FROM]:
            continue
        tests.harm.times[0, FREE_FROM] = times_ns[i, 1]
        if bet(tests.harm, losses[i], tests.bound, made_ns[i]) > tests.limit and i < heard:
            tests.chart.sums[:], tests.chart.counts[:] = before.sums, before.counts
            return watch(tests.table, tests.chart, series[: i + 1], made_ns, start) - 1
    return heard
