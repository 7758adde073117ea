"""One calibrated chart over one series of each instrument, with its pauses: what several monitors share.

Flow:   values of an instrument -> chart -> alarms (which way, since when, the mean since then).
State:  a memory an instrument.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import entry
from tradeworthy.judge.monitor.base import SOME_TIMES, State
from tradeworthy.judge.monitor.control_charts.calibration import Charts, ChartSettings, Operating, calibrate
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    AWAKE,
    LIMIT_DOWN,
    LIMIT_UP,
    N_UP,
    QUIET,
    REPEATS,
    SINCE_UP,
    SUM_UP,
    TOTAL_UP,
    ChartState,
)
from tradeworthy.judge.monitor.control_charts.cusum import watch

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

REPEATS_MAX = 10


class SeriesAlarm(NamedTuple):
    """An alarm at one value: which way, since when, the mean of how many values since, the sum and its limit."""

    place: int
    up: bool
    since_ns: int
    mean: float
    seen: int
    statistic: float
    threshold: float


class SeriesWatch:
    """Watches one series of each instrument.

    Parameters
    ----------
    charts : Charts
        Of one series.
    quiet : int
        How long the chart is quiet after its first alarm; doubles while the shift stays.
    """

    def __init__(self, charts: Charts, quiet: int) -> None:
        self._charts, self._quiet = charts, quiet
        self._step = entry(watch, charts.table, charts.start(), np.empty((2, 1)), SOME_TIMES, 0)
        self._memories: dict[int, ChartState] = {}

    @property
    def operating(self) -> list[Operating]:
        """What the chart can be expected to do."""
        return self._charts.operating

    @property
    def mean(self) -> float:
        """Mean of the reference."""
        return float(self._charts.means[0])

    def fresh(self) -> Self:
        """Return the same chart without any memory."""
        return type(self)(self._charts, self._quiet)

    def watch(self, instrument: int, values: Floats, ts_ns: Longs) -> list[SeriesAlarm]:
        """Take an instrument's next (n,) values; return the alarms among them."""
        if instrument not in self._memories:
            self._memories[instrument] = self._charts.start()
        memory, alarms = self._memories[instrument], list[SeriesAlarm]()
        start, series = 0, np.ascontiguousarray(values)[:, None]
        while start < len(series):
            at = self._step(self._charts.table, memory, series, ts_ns, start)
            if at < len(series):
                alarms.append(self._alarm(memory, at))
                self._pause(memory)
            start = at + 1
        return alarms

    def shares(self) -> dict[int, float]:
        """Return how near to its limit each instrument's chart is; 1 is an alarm."""
        limits = self._charts.constants[0, LIMIT_UP : LIMIT_UP + 2]
        return {
            instrument: float((memory.sums[0, SUM_UP : SUM_UP + 2] / limits).max())
            for instrument, memory in sorted(self._memories.items())
        }

    def export(self, prefix: str) -> State:
        """Return the memories as arrays whose names begin with `prefix`."""
        state: State = {}
        for instrument, memory in self._memories.items():
            state[f"{prefix}sums.{instrument}"] = memory.sums.copy()
            state[f"{prefix}counts.{instrument}"] = memory.counts.copy()
        return state

    def take_back(self, state: Mapping[str, npt.NDArray[Any]], prefix: str) -> None:
        """Go on from what `export` returned."""
        start = f"{prefix}sums."
        keys = [name.removeprefix(start) for name in state if name.startswith(start)]
        self._memories = {
            int(key): ChartState(state[f"{start}{key}"].copy(), state[f"{prefix}counts.{key}"].copy()) for key in keys
        }

    def _alarm(self, memory: ChartState, at: int) -> SeriesAlarm:
        side = 0 if memory.counts[0, ALARM] > 0 else 1
        seen = int(memory.counts[0, N_UP + side])
        return SeriesAlarm(
            at,
            side == 0,
            int(memory.counts[0, SINCE_UP + side]),
            float(memory.sums[0, TOTAL_UP + side]) / max(1, seen),
            seen,
            float(memory.sums[0, SUM_UP + side]),
            float(self._charts.constants[0, LIMIT_UP + side]),
        )

    def _pause(self, memory: ChartState) -> None:
        again = memory.counts[0, AWAKE] < 2 * self._quiet
        repeats = min(int(memory.counts[0, REPEATS]) + 1, REPEATS_MAX) if again else 0
        memory.counts[0, [REPEATS, AWAKE]] = repeats, 0
        memory.counts[0, QUIET] = self._quiet * 2**repeats
        memory.sums[0, SUM_UP : SUM_UP + 2] = 0.0


def series_watch(
    reference: npt.ArrayLike,
    name: str,
    *,
    false_alarms_per_10k: float,
    quiet: int,
    settings: ChartSettings,
    seed: int,
    side: Literal["both", "up", "down"] = "both",
    bounded: bool = False,
) -> SeriesWatch:
    """Calibrate a watch on a (n,) reference in time order; see `calibrate`. One side alone keeps the rate of both."""
    charts = calibrate(
        np.asarray(reference, np.float64)[:, None],
        [name],
        false_alarms_per_10k=false_alarms_per_10k,
        rng=np.random.default_rng(seed),
        settings=settings,
        bounded=bounded,
    )
    if side != "both":
        charts.constants[:, LIMIT_DOWN if side == "up" else LIMIT_UP] = np.inf
    return SeriesWatch(charts, quiet)
