"""Rows outside the training range: told when a feature leaves it more often, or for longer, than is usual.

Idea:   even without change a new row is sometimes the largest ever. How often, and for how long, is read from the
        training sample itself: each of its blocks is held against the range of all others. A row may be odd though each
        of its values is not: so it has a distance too, along the directions in which training hardly varied.
Flow:   rows + decisions -> outside or not, by feature and all together -> charts of rates -> one finding a row.
State:  unpaired records, charts, findings not yet taken.
Units:  the distance of all features is a root mean square, in deviations of training along its directions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import entry, inlined, leaf, side_by_side
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import FindingQueue, Records, State, by_instrument, part_of
from tradeworthy.judge.monitor.control_charts.lanes import AXES_MAX
from tradeworthy.judge.monitor.control_charts.rate_kernels import Bits
from tradeworthy.judge.monitor.control_charts.rates import RateCharts, RateWords, of_10k
from tradeworthy.judge.monitor.control_charts.views import follow
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.pairing import RowPairing

Floats = npt.NDArray[np.float64]

NAME = "range"
KIND = "input_quality"
BLOCKS = 10
TOGETHER = "distance of all features"


class RangeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.range]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Asked of all features of all instruments together, per 10,000 rows.
    quiet : int
        How long a feature is quiet after its first alarm; doubles while it stays outside.
    """

    false_alarms_per_10k: float = 0.2
    quiet: int = 1_000

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.range")


class Axes(NamedTuple):
    """What training hardly varied along: (p, AXES_MAX) directions, those that are none 0, and where its means lie.

    `start` (AXES_MAX,) is where all zeros lie, seen from the means. Rows vary by 1 in all along them together.
    """

    start: Floats
    directions: Floats

    @classmethod
    def of(cls, sample: Floats) -> Self:
        """Return the directions of least variance of (n, p) rows; none of fewer than two features that vary."""
        means, scales = sample.mean(axis=0), sample.std(axis=0)
        varies, directions = np.flatnonzero(scales > 0.0), np.zeros((len(means), AXES_MAX))
        if len(varies) >= 2:
            variance, along = np.linalg.eigh(np.corrcoef(sample[:, varies].T))
            kept = np.flatnonzero(variance > 1e-9 * variance.max())[:AXES_MAX]
            directions[varies, : len(kept)] = (
                along[:, kept] / np.sqrt(variance[kept] * len(kept)) / scales[varies, None]
            )
        return cls(-(means @ directions), directions)

    def distances(self, rows: Floats) -> Floats:
        """Return how far each of (n, p) rows lies from the means; 0 where there is no direction."""
        far = np.zeros(len(rows))
        if self.directions.any():
            find_distances(rows, self, far)
        return far


@inlined
def distance_of(row: Floats, axes: Axes) -> float:
    """Return how far a (p,) row lies from the means: its own, whichever rows it comes with, on one core."""
    a = follow(row, axes.directions, axes.start)
    square = a[0] * a[0] + a[1] * a[1] + a[2] * a[2] + a[3] * a[3]
    return float(np.sqrt(square + a[4] * a[4] + a[5] * a[5] + a[6] * a[6] + a[7] * a[7]))


@side_by_side
@leaf
def find_distances(rows: Floats, axes: Axes, far: Floats) -> None:
    """Write how far each of (n, p) rows lies from the means."""
    for i in range(len(rows)):
        far[i] = distance_of(rows[i], axes)


def outside_of_others(sample: Floats) -> Bits:
    """Return (n, p + 1) ones where a row of one block lies outside the range of all other blocks, at last together."""
    blocks = np.array_split(np.arange(len(sample)), BLOCKS)
    outside = np.zeros((len(sample), sample.shape[1] + 1), np.uint8)
    for block in blocks:
        others = np.delete(sample, block, axis=0)
        outside[block, :-1] = (sample[block] < others.min(axis=0)) | (sample[block] > others.max(axis=0))
        axes = Axes.of(others)
        outside[block, -1] = axes.distances(sample[block]) > axes.distances(others).max()
    return outside


@inlined
def is_outside(value: float, lowest: float, highest: float) -> int:
    """Return 1 where a value lies outside a range, or is not a number."""
    return 1 - int((value >= lowest) & (value <= highest))


@side_by_side
@leaf
def find_outside(rows: Floats, axes: Axes, bounds: tuple[Floats, Floats], hits: Bits, far: Floats) -> None:
    """Write the (n, p + 1) hits of (n, p) rows, value by value and at last together, and their (n,) distances."""
    (lowest, highest), known = bounds, axes.directions.any()
    p = len(lowest) - 1
    for i in range(len(rows)):
        for j in range(p):
            hits[i, j] = is_outside(rows[i, j], lowest[j], highest[j])
        far[i] = distance_of(rows[i], axes) if known else 0.0
        hits[i, p] = is_outside(far[i], lowest[p], highest[p])


class RangeMonitor:
    """Watches whether one version's rows stay inside the training range.

    Parameters
    ----------
    lowest, highest : (p,) float64
        The training range.
    sample : (n, p) float64
        Training rows in time order.
    names : sequence of str
        Features.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols, for the findings.
    settings : RangeSettings, optional
        Defaults if left out.
    pairing : RowPairing, optional
        Shared with other monitors of the same rows.
    """

    def __init__(
        self,
        lowest: Floats,
        highest: Floats,
        sample: Floats,
        names: Sequence[str],
        *,
        version: int,
        instruments: Sequence[str],
        settings: RangeSettings | None = None,
        pairing: RowPairing | None = None,
    ) -> None:
        self._axes = Axes.of(sample)
        furthest = float(self._axes.distances(sample).max(initial=0.0))
        self._lowest, self._highest = np.append(lowest, 0.0), np.append(highest, furthest)
        self._names, self._instruments = [*names, TOGETHER], list(instruments)
        self._settings = settings or RangeSettings()
        self._pairing = pairing or RowPairing(version, len(names))
        n, p = max(1, len(self._instruments)), len(self._names)
        rate = self._settings.false_alarms_per_10k
        self._charts = RateCharts(n * p, false_alarms_per_10k=rate, quiet=self._settings.quiet)
        hits = outside_of_others(sample)
        for instrument in range(n):
            self._charts.learn_from(np.full(len(hits), instrument * p), hits)
        rows, bounds = np.empty((2, 2 * len(names)))[:, ::2], (self._lowest, self._highest)
        self._find = entry(find_outside, rows, self._axes, bounds, np.empty((2, p), np.uint8), np.empty(2))
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take decisions and rows; anything else is left."""
        heads, rows = self._pairing.pair(records)
        for instrument, own in by_instrument(heads):
            if instrument < max(1, len(self._instruments)):
                self._watch(instrument, heads[own], rows[own])

    def _watch(self, instrument: int, heads: Records, rows: Floats) -> None:
        """Step one instrument's charts through its rows; tell what alarms."""
        hits, far = np.empty((len(rows), len(self._names)), np.uint8), np.empty(len(rows))
        self._find(rows, self._axes, (self._lowest, self._highest), hits, far)
        first = np.full(len(heads), instrument * len(self._names))
        for at in self._charts.alarms(first, hits, heads["ts_event_ns"]):
            self._queue.put(self._finding(int(first[at]), heads[at], np.append(rows[at], far[at])))

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to its limit each feature is, by instrument."""
        names = [(name, symbol) for symbol in self._instruments for name in self._names]
        return self._charts.gauges(dict(enumerate(names)))

    def state(self) -> State:
        """Return unpaired records, charts and findings not yet taken."""
        state: State = {"findings": self._queue.to_array()}
        state |= {f"pairing.{name}": array for name, array in self._pairing.state().items()}
        return state | self._charts.export("charts.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._queue.from_array(state["findings"])
        self._pairing.restore(part_of(state, "pairing."))
        self._charts.take_back(state, "charts.")

    def _finding(self, first: int, head: np.void, row: Floats) -> Finding:
        """Put the features that alarmed at one row into one finding."""
        p = len(self._names)
        leaning = self._charts.leaning(first, p)
        alarm = self._charts.take_alarms(first, p)[0]
        place = alarm.chart - first
        others = [self._names[chart - first] for chart in leaning if chart != alarm.chart]
        usual = float(self._charts.state.usual[alarm.chart])
        of = f" of {self._instruments[first // p]}" if self._instruments else ""
        name = self._names[place]
        words = RateWords(
            monitor=NAME,
            subject=name,
            kind=KIND,
            unit="per 10,000 rows",
            sentence=(
                f"{name}{of} lies outside its training range ({self._lowest[place]:.4g} to {self._highest[place]:.4g}; "
                f"now {row[place]:.4g}) in {alarm.hits} of {alarm.seen} rows since {iso(alarm.since_ns)}, at most "
                f"{alarm.longest} in a row; {of_10k(usual)} of 10,000 rows were usual in training"
                + (f"; with it {', '.join(others[:5])}." if others else ".")
            ),
            per=1e4,
        )
        return self._charts.finding(alarm, head, words)
