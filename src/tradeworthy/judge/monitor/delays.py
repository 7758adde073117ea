"""What calibrated monitors can be expected to see: typical harms put into the reference itself, and the wait counted.

Idea:   the reference is real data of this very desk. It is played in a ring from many starts, harmed from the first
        row on, until the monitor alarms; the middle wait is the expected delay. The same ring without harm gives the
        alarms on the reference.
Units:  delays in rows (drift) or labelled outcomes (performance); None where fewer than half of the starts alarm
        within one length of the reference.
Limits: the reference is also what the limits were set on, and a harm arrives at once; gradual ones take longer.
"""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.judge.monitor.calibration import Charts, Operating
from tradeworthy.judge.monitor.chart_table import ALARM, COLUMN, SUM_UP, ChartState
from tradeworthy.judge.monitor.charts import watch
from tradeworthy.judge.monitor.harm import empty_harm, reset, watch_losses
from tradeworthy.judge.monitor.performance import PerformanceReference, PerformanceSettings, loss_tests, losses_of

Floats = npt.NDArray[np.float64]
Harm = Callable[[Floats], Floats]

STARTS = 24
"""Places of the ring from which a harm begins."""

SETTLING = 200
"""Rows played without harm before it begins, so that the recent scale has settled."""

HARMS: Mapping[str, Harm] = {
    "mean +0.1 sd": lambda series: series + 0.1 * np.nanstd(series),
    "mean +0.5 sd": lambda series: series + 0.5 * np.nanstd(series),
    "spread x1.5": lambda series: np.nanmean(series) + 1.5 * (series - np.nanmean(series)),
    "spread x2": lambda series: np.nanmean(series) + 2.0 * (series - np.nanmean(series)),
}
"""What may befall a feature."""

LOST_POINTS = (2.0, 5.0)
"""Percentage points of accuracy that a model may lose."""


class SeriesTable(msgspec.Struct, frozen=True, kw_only=True):
    """What one chart can see.

    Attributes
    ----------
    name : str
        The series.
    shift_seen_sd : float or None
        The smallest lasting shift that it tells from noise, in standard deviations; None where nothing is watched.
    delays : dict of str to (float or None)
        Expected rows until an alarm, by harm.
    said : str
        What the data cannot support, in words; empty where all is well.
    """

    name: str
    shift_seen_sd: float | None
    delays: dict[str, float | None]
    said: str = ""


class MonitorTable(msgspec.Struct, frozen=True, kw_only=True):
    """What one monitor can see.

    Attributes
    ----------
    monitor : str
        Its name.
    false_alarms_per_10k : float
        Asked, over all its series together.
    reference_rows, reference_alarms : int
        Rows of the reference that were played without harm, and how often the monitor alarmed on them.
    """

    monitor: str
    false_alarms_per_10k: float
    reference_rows: int
    reference_alarms: int
    series: list[SeriesTable]


def drift_table(charts: Charts, reference: Floats, *, shift_asked_sd: float) -> MonitorTable:
    """Return what the charts of a drift monitor can see.

    Parameters
    ----------
    charts : Charts
        Calibrated on the reference.
    reference : (n, p) float64
        Rows in time order.
    shift_asked_sd : float
        The smallest shift that the settings call worth an alarm.
    """
    series = [
        SeriesTable(
            name=point.name,
            shift_seen_sd=point.shift_seen_sd if point.watched else None,
            delays={
                harm: _delay(charts, chart, reference, change) if point.watched else None
                for harm, change in HARMS.items()
            },
            said=_said(point, shift_asked_sd),
        )
        for chart, point in enumerate(charts.operating)
    ]
    return MonitorTable(
        monitor="drift",
        false_alarms_per_10k=charts.false_alarms_per_10k,
        reference_rows=len(reference),
        reference_alarms=_play(charts, charts.start(), np.ascontiguousarray(reference)),
        series=series,
    )


def _said(point: Operating, shift_asked_sd: float) -> str:
    """Say what the reference cannot support for one series."""
    if not point.watched:
        return "a clockwork (time of day or the like): no chart can judge it, so it is not watched"
    if point.delay_events is None or point.shift_seen_sd > 1.001 * shift_asked_sd:
        return (
            f"the reference cannot support a shift of {shift_asked_sd:g} sd at this false-alarm rate; a longer "
            "reference, or a higher rate, sees smaller shifts"
        )
    return ""


def _one(charts: Charts, chart: int) -> Charts:
    """Return one chart alone, over one column."""
    constants = charts.constants[chart : chart + 1].copy()
    constants[:, COLUMN] = 0
    return msgspec.structs.replace(
        charts,
        operating=charts.operating[chart : chart + 1],
        constants=constants,
        recent=charts.recent[chart : chart + 1],
        means=charts.means[chart : chart + 1],
        deviations=charts.deviations[chart : chart + 1],
    )


def _delay(charts: Charts, chart: int, reference: Floats, harm: Harm) -> float | None:
    """Return the middle wait of one chart over all starts."""
    alone, column = _one(charts, chart), np.ascontiguousarray(reference[:, chart : chart + 1])
    harmed, stamps = harm(column), np.arange(len(column))
    waits = []
    for start in _starts(len(column)):
        state = alone.start()
        _play(alone, state, np.roll(column, SETTLING - start, axis=0)[:SETTLING])
        waits.append(watch(alone.table, state, np.roll(harmed, -start, axis=0), stamps, 0) + 1)
    return _middle(waits, len(column))


def _play(charts: Charts, state: ChartState, rows: Floats) -> int:
    """Play rows to the end, charts that alarm beginning anew; return how many rows alarmed."""
    alarms, stamps = 0, np.arange(len(rows))
    at = watch(charts.table, state, rows, stamps, 0)
    while at < len(rows):
        alarms += 1
        state.sums[state.counts[:, ALARM] != 0, SUM_UP : SUM_UP + 2] = 0.0
        at = watch(charts.table, state, rows, stamps, at + 1)
    return alarms


def performance_table(
    reference: PerformanceReference,
    walk: tuple[npt.ArrayLike, npt.ArrayLike],
    settings: PerformanceSettings,
    *,
    rng: np.random.Generator,
) -> MonitorTable:
    """Return what a performance monitor can see.

    Parameters
    ----------
    reference : PerformanceReference
        Calibrated on `walk`.
    walk : (scores, labels), (n,) arrays
        Out of fold, in time order.
    settings : PerformanceSettings
        As used for the reference.
    rng : numpy.random.Generator
        Draws which calls turn wrong.
    """
    scores, labels = (np.asarray(part, np.float64).ravel() for part in walk)
    known = np.isfinite(scores) & np.isfinite(labels)
    scores, labels = scores[known], labels[known]
    right = (scores > settings.score_cut) == (labels > settings.label_cut)
    percent = 100.0 * float(right.mean())
    delays: dict[str, float | None] = {}
    for lost in LOST_POINTS:
        turned = right & (rng.random(len(right)) < lost / max(percent, lost))
        losses = losses_of(scores, np.where(turned, _other(labels, settings), labels), settings)
        delays[f"accuracy {percent:.1f}% to {percent - lost:.1f}%"] = _wait_for_harm(reference, losses, settings)
    point = reference.charts.operating[0]
    unseen = [harm for harm, delay in delays.items() if delay is None]
    said = f"the reference cannot support this rate for: {'; '.join(unseen)}; labels are too few" if unseen else ""
    series = SeriesTable(name=settings.loss, shift_seen_sd=point.shift_seen_sd, delays=delays, said=said)
    calm = losses_of(scores, labels, settings)
    return MonitorTable(
        monitor="performance",
        false_alarms_per_10k=settings.false_alarms_per_10k,
        reference_rows=len(calm),
        reference_alarms=_harms_told(reference, calm, settings),
        series=[series],
    )


def _other(labels: Floats, settings: PerformanceSettings) -> Floats:
    """Return labels on the other side of the cut."""
    return np.where(labels > settings.label_cut, settings.label_cut, settings.label_cut + 0.5)


def _times(n: int, horizon: int) -> npt.NDArray[np.int64]:
    """Return when each of n decisions is made and its label known, one decision a nanosecond."""
    made = np.arange(n)
    return np.column_stack([made, made + horizon])


def _wait_for_harm(reference: PerformanceReference, losses: Floats, settings: PerformanceSettings) -> float | None:
    """Return the middle wait of both tests over all starts."""
    times = _times(len(losses), reference.horizon)
    waits = []
    for start in _starts(len(losses)):
        tests = loss_tests(reference, settings, reference.charts.start(), empty_harm())
        waits.append(watch_losses(tests, np.roll(losses, -start), times, 0) + 1)
    return _middle(waits, len(losses))


def _harms_told(reference: PerformanceReference, losses: Floats, settings: PerformanceSettings) -> int:
    """Return how often the tests alarm on losses without harm, beginning anew after each alarm."""
    times = _times(len(losses), reference.horizon)
    tests = loss_tests(reference, settings, reference.charts.start(), empty_harm())
    alarms, at = 0, watch_losses(tests, losses, times, 0)
    while at < len(losses):
        alarms += 1
        tests.chart.sums[0, SUM_UP : SUM_UP + 2] = 0.0
        reset(tests.harm)
        at = watch_losses(tests, losses, times, at + 1)
    return alarms


def _starts(n: int) -> list[int]:
    """Return places spread evenly over a ring of n."""
    return [int(place) for place in np.linspace(0, n, STARTS, endpoint=False)]


def _middle(waits: list[int], n: int) -> float | None:
    """Return the median wait; None where that is beyond one ring of n, for there it was cut off."""
    middle = float(np.median(waits))
    return middle if middle <= n else None
