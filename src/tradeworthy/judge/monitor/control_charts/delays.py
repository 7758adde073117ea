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

from tradeworthy.judge.monitor.control_charts.calibration import Charts, Operating
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    COLUMN,
    LIMIT_DOWN,
    LIMIT_UP,
    NO_AXES,
    PARTNER,
    SUM_UP,
    ChartState,
)
from tradeworthy.judge.monitor.control_charts.cusum import watch
from tradeworthy.judge.monitor.control_charts.harm import empty_harm, reset, watch_losses
from tradeworthy.judge.monitor.control_charts.looks import Kind
from tradeworthy.judge.monitor.label_shift import EDGE
from tradeworthy.judge.monitor.performance import (
    PerformanceReference,
    PerformanceSettings,
    loss_tests,
    losses_of,
    performance_reference,
)
from tradeworthy.judge.monitor.reliability import ReliabilityMonitor, Side

Floats = npt.NDArray[np.float64]
Harm = Callable[[Floats], Floats]

STARTS = 24
"""Places of the ring from which a harm begins."""

SETTLING = 200
"""Rows played without harm before it begins, so that the recent scale has settled."""

HARMS: Mapping[Kind, Mapping[str, Harm]] = {
    "level": {
        "mean +0.1 sd": lambda rows: rows + 0.1 * np.nanstd(rows, axis=0),
        "mean +0.5 sd": lambda rows: rows + 0.5 * np.nanstd(rows, axis=0),
    },
    "spread": {
        "spread x1.5": lambda rows: np.nanmean(rows, axis=0) + 1.5 * (rows - np.nanmean(rows, axis=0)),
        "spread x2": lambda rows: np.nanmean(rows, axis=0) + 2.0 * (rows - np.nanmean(rows, axis=0)),
    },
    "pair": {"correlation flip": lambda rows: _flipped(rows, 0)},
    "joint": {"correlation flip": lambda rows: _flipped(rows, 0)},
}
"""What may befall the columns of a look, by its kind; tails and codes have no typical harm."""

BROKEN: Mapping[Side, Mapping[str, Harm]] = {
    "bias": {
        "5 points less than promised": lambda scores: scores - 0.05,
        "10 points less than promised": lambda scores: scores - 0.10,
    },
    "confidence": {"half as sure as they say": lambda scores: _tempered(scores, 0.5)},
}
"""What may befall promises: how often what (n,) scores foretell happens then."""

LOST_POINTS = (2.0, 5.0)
"""Percentage points of accuracy that a model may lose."""

FALLS = ((0.52, 0.5), (0.55, 0.5))
"""From which accuracy to which other a model may fall, whatever its own is."""


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
    reference_rows, reference_alarms : int, optional
        Rows of the reference that were played without harm, and how often the monitor alarmed on them.
    """

    monitor: str
    false_alarms_per_10k: float
    reference_rows: int | None = None
    reference_alarms: int | None = None
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
                for harm, change in HARMS.get(point.kind, {}).items()
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
    if point.kind != "level":
        return (
            "" if point.delay_events is not None else "the reference cannot support a harm worth an alarm at this rate"
        )
    if point.delay_events is None or point.shift_seen_sd > 1.001 * shift_asked_sd:
        return (
            f"the reference cannot support a shift of {shift_asked_sd:g} sd at this false-alarm rate; a longer "
            "reference, or a higher rate, sees smaller shifts"
        )
    return ""


def _tempered(scores: Floats, share: float) -> Floats:
    """Return probabilities whose log odds lie only so far from their middle."""
    bounded = np.clip(scores, EDGE, 1.0 - EDGE)
    odds = np.log(bounded / (1.0 - bounded))
    tempered: Floats = 1.0 / (1.0 + np.exp(-(odds.mean() + share * (odds - odds.mean()))))
    return tempered


def _flipped(rows: Floats, column: int) -> Floats:
    """Return rows of which one column is mirrored at its mean."""
    other = rows.copy()
    other[:, column] = 2.0 * np.nanmean(rows[:, column]) - rows[:, column]
    return other


def _one(charts: Charts, chart: int) -> tuple[Charts, list[int]]:
    """Return one chart alone, last after the silenced levels of the columns that it needs, and which these are."""
    own, p, kind = charts.constants[chart], len(charts.columns), charts.operating[chart].kind
    needs = list(range(p)) if kind == "joint" else [int(own[COLUMN])]
    needs += [int(own[PARTNER])] if kind == "pair" else []
    picked = [*(needs if kind != "level" else []), chart]
    constants = charts.constants[picked].copy()
    constants[:-1, [LIMIT_UP, LIMIT_DOWN]] = np.inf
    constants[:, COLUMN] = [*range(len(picked) - 1), len(needs) if kind == "joint" else 0]
    constants[-1, PARTNER] = len(needs) - 1
    alone = msgspec.structs.replace(
        charts,
        operating=[charts.operating[place] for place in picked],
        constants=constants,
        recent=charts.recent[picked],
        axes=charts.axes if kind == "joint" else NO_AXES,
        means=charts.means[picked],
        deviations=charts.deviations[picked],
    )
    return alone, needs


def _delay(charts: Charts, chart: int, reference: Floats, harm: Harm) -> float | None:
    """Return the middle wait of one chart over all starts."""
    alone, needs = _one(charts, chart)
    rows = np.ascontiguousarray(reference[:, needs])
    harmed, stamps, waits = harm(rows), np.arange(len(rows)), []
    for start in starts(len(rows)):
        state = alone.start()
        _play(alone, state, np.roll(rows, SETTLING - start, axis=0)[:SETTLING])
        waits.append(watch(alone.table, state, np.roll(harmed, -start, axis=0), stamps, 0) + 1)
    return middle(waits, len(rows))


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
    for before, after in FALLS:
        calm, harmed = (_with_accuracy(scores, labels, share, settings, rng) for share in (before, after))
        at = performance_reference(scores, calm, horizon=reference.horizon, settings=settings)
        delays[fall_name(before, after)] = _wait_for_harm(at, losses_of(scores, harmed, settings), settings)
    point = reference.charts.operating[0]
    unseen = [harm for harm, delay in delays.items() if delay is None]
    said = f"the reference cannot support this rate for: {'; '.join(unseen)}; labels are too few" if unseen else ""
    series = SeriesTable(name=settings.loss, shift_seen_sd=point.shift_seen_sd, delays=delays, said=said)
    own = losses_of(scores, labels, settings)
    return MonitorTable(
        monitor="performance",
        false_alarms_per_10k=settings.false_alarms_per_10k,
        reference_rows=len(own),
        reference_alarms=_harms_told(reference, own, settings),
        series=[series],
    )


def fall_name(before: float, after: float) -> str:
    """Name a fall of accuracy.

    >>> fall_name(0.52, 0.5)
    'accuracy 52% to 50%'
    """
    return f"accuracy {before:.0%} to {after:.0%}"


def _with_accuracy(
    scores: Floats, labels: Floats, share: float, settings: PerformanceSettings, rng: np.random.Generator
) -> Floats:
    """Return labels of which scores call so large a share right; the calls that change are drawn."""
    right = (scores > settings.score_cut) == (labels > settings.label_cut)
    surplus = int(right.sum()) - round(share * len(right))
    turned = rng.permutation(np.flatnonzero(right == (surplus > 0)))[: abs(surplus)]
    changed = labels.copy()
    changed[turned] = _other(labels[turned], settings)
    return changed


def reliability_table(
    monitor: ReliabilityMonitor, walk: tuple[npt.ArrayLike, npt.ArrayLike], rate: float, *, rng: np.random.Generator
) -> MonitorTable:
    """Return what a reliability monitor can see.

    Parameters
    ----------
    monitor : ReliabilityMonitor
        Calibrated on `walk`.
    walk : (scores, labels), (n,) arrays
        Out of fold, in time order.
    rate : float
        False alarms per 10,000 labelled decisions that it was calibrated to.
    rng : numpy.random.Generator
        Draws what happens, where promises are broken.
    """
    scores, labels = (np.asarray(part, np.float64).ravel() for part in walk)
    before = {side: len(told) for side, told in monitor.told_of(scores, labels).items()}
    delays = dict[str, dict[str, float | None]]()
    for side, harms in BROKEN.items():
        harmed = {
            name: (rng.random(len(scores)) < happens(scores)).astype(np.float64) for name, happens in harms.items()
        }
        delays[side] = {name: _wait_for_broken(monitor, side, scores, drawn) for name, drawn in harmed.items()}
    series = []
    for side, point in zip(before, monitor.operating, strict=True):
        unseen = [harm for harm, delay in delays[side].items() if delay is None]
        said = f"the reference cannot support this rate for: {'; '.join(unseen)}; labels are too few" if unseen else ""
        series.append(SeriesTable(name=side, shift_seen_sd=point.shift_seen_sd, delays=delays[side], said=said))
    return MonitorTable(
        monitor="reliability",
        false_alarms_per_10k=rate,
        reference_rows=len(scores),
        reference_alarms=sum(before.values()),
        series=series,
    )


def _wait_for_broken(monitor: ReliabilityMonitor, side: Side, scores: Floats, labels: Floats) -> float | None:
    """Return the middle wait of one chart over all starts."""
    n, waits = len(scores), []
    for start in starts(n):
        told = monitor.told_of(np.roll(scores, -start), np.roll(labels, -start))[side]
        waits.append((told[0] if told else n) + 1)
    return middle(waits, n)


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
    for start in starts(len(losses)):
        tests = loss_tests(reference, settings, reference.charts.start(), empty_harm())
        waits.append(watch_losses(tests, np.roll(losses, -start), times, 0) + 1)
    return middle(waits, len(losses))


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


def starts(n: int) -> list[int]:
    """Return places spread evenly over a ring of n."""
    return [int(place) for place in np.linspace(0, n, STARTS, endpoint=False)]


def middle(waits: list[int], n: int) -> float | None:
    """Return the median wait; None where that is beyond one ring of n, for there it was cut off."""
    wait = float(np.median(waits))
    return wait if wait <= n else None
