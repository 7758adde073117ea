"""How high an alarm must stand: charts fitted to a reference, limits from a dependent bootstrap of it.

Idea:   a limit is right if the chart, run over the past resampled without change, alarms as rarely as asked. The
        *whole* procedure is replayed on each resampled history: estimate mean and spread on a stretch as long as the
        reference, then watch. What a short or persistent reference cannot know (its true mean, its persistence)
        raises allowance and limit by itself.
Flow:   robust scale -> clustering? -> raw scores -> null model -> allowance -> peaks of excursions -> limit.
Units:  limits and allowances in score spreads; shifts in standard deviations of the reference.
Reference: Gandy and Kvaløy (2013), charts calibrated with their own estimation error.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.monitor.chart_table import (
    ALLOWANCE,
    CENTRE,
    CLIP,
    COLUMN,
    CONSTANTS,
    DECAY,
    INNOVATION,
    LIMIT_DOWN,
    LIMIT_UP,
    OFFSET,
    RHO,
    SCALE,
    SPREAD,
    SUMS,
    ChartState,
    ChartTable,
    Scored,
    empty_state,
)
from tradeworthy.judge.monitor.charts import excursions
from tradeworthy.judge.monitor.kept import kept
from tradeworthy.judge.monitor.null import (
    NullModel,
    Places,
    autoregression,
    clusters,
    draw_histories,
    fit_null,
    is_clockwork,
    slow_levels,
)
from tradeworthy.judge.monitor.views import write_scores

Floats = npt.NDArray[np.float64]

TAIL = 200
"""Highest peaks from which the tail is continued beyond what was drawn."""

REFERENCE_MIN = 200

CATEGORIES_MAX = 8
"""A series of no more different values is never devolatilised."""

SETTLE = 50
"""Scores at the start of the reference that are left out: the recent scale settles first."""


class ChartSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How charts are fitted.

    Attributes
    ----------
    shift_sd : float
        The smallest shift worth an alarm, in standard deviations of the reference.
    clip : float
        Scores are cut here, in robust scales.
    decay : float
        Of the recent scale, where a series clusters.
    runs, run_length : int
        Resampled histories, and how long each is watched.
    error_reach : float
        The allowance covers this many standard errors of the reference's mean.
    regimes : bool
        Levels that wander among the reference's own stretches are normal, and no drift when they come again. Without
        it slow features of real markets alarm more often than asked, and lasting changes are told sooner.
    """

    shift_sd: float = 0.5
    clip: float = 3.0
    decay: float = 0.94
    runs: int = 100
    run_length: int = 6_000
    error_reach: float = 3.0
    regimes: bool = True


class Operating(msgspec.Struct, frozen=True, kw_only=True):
    """What one chart can be expected to do.

    Attributes
    ----------
    name : str
        The series.
    watched : bool
        False for a clockwork (time of day): no chart can judge it.
    devolatilised : bool
        Whether values are divided by their recent scale.
    order, block, slow : int, float, float
        Of the null model: autoregression, mean block of residuals, spread of slow levels in score spreads.
    allowance, limit_up, limit_down : float
        Of the chart, in score spreads.
    shift_seen_sd : float
        The smallest lasting shift that the chart can tell from noise, in deviations of the series.
    delay_events : float, optional
        Expected delay for the asked shift; None where it is beyond the chart's sight.
    """

    name: str
    watched: bool
    devolatilised: bool
    order: int
    block: float
    slow: float
    allowance: float
    limit_up: float
    limit_down: float
    shift_seen_sd: float
    delay_events: float | None


class Charts(msgspec.Struct, frozen=True, kw_only=True):
    """Calibrated charts over p named series.

    Attributes
    ----------
    operating : list of Operating
        One a series; `watched` is false for a clockwork (time of day): no chart can judge it.
    constants, recent : (p, CONSTANTS) and (p, SUMS) float64
        For the kernel; `recent` is what the charts remembered at the end of the reference.
    means, deviations : (p,) float64
        Of the reference, in the series' own units.
    false_alarms_per_10k : float
        Of all charts together, per 10,000 rows without change.
    """

    operating: list[Operating]
    constants: Floats
    recent: Floats
    means: Floats
    deviations: Floats
    false_alarms_per_10k: float

    @property
    def names(self) -> list[str]:
        """Names of the series."""
        return [point.name for point in self.operating]

    @property
    def table(self) -> ChartTable:
        """Constants for the kernel."""
        return ChartTable(self.constants)

    def start(self) -> ChartState:
        """Return a fresh memory that knows the scale at the end of the reference."""
        state = empty_state(len(self.operating))
        state.sums[:] = self.recent
        return state

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Write the charts as arrays, for a state."""
        about = msgspec.json.encode((self.operating, self.false_alarms_per_10k))
        return {
            "about": np.frombuffer(about, np.uint8).copy(),
            "constants": self.constants,
            "recent": self.recent,
            "means": self.means,
            "deviations": self.deviations,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Charts":
        """Read what `to_arrays` wrote."""
        operating, rate = msgspec.json.decode(arrays["about"].tobytes(), type=tuple[list[Operating], float])
        parts = {name: arrays[name] for name in ("constants", "recent", "means", "deviations")}
        return cls(operating=operating, false_alarms_per_10k=rate, **parts)


class _Series(NamedTuple):
    """One column of a reference without its gaps, and the places at which a new stretch begins."""

    name: str
    values: Floats
    breaks: Places


def _series(name: str, column: Floats, places: Places) -> _Series:
    """Return a column's finite values; a missing one or a jump in `places` breaks it.

    Raises
    ------
    DataInvalid
        Too few values are left.
    """
    known = np.flatnonzero(np.isfinite(column))
    if len(known) < REFERENCE_MIN:
        raise DataInvalid(f"{name!r} has {len(known)} reference values, allowed is at least {REFERENCE_MIN}")
    return _Series(name, np.ascontiguousarray(column[known]), np.flatnonzero(np.diff(places[known]) != 1) + 1)


def robust_scale(series: Floats) -> tuple[float, float]:
    """Return the median and 1.4826 times the median distance from it; mean and deviation where most values are equal.

    A constant series gets the smallest scale at which any other value stands out.
    """
    centre = float(np.median(series))
    scale = 1.4826 * float(np.median(np.abs(series - centre)))
    deviation = float(series.std())
    if scale < 1e-9 * deviation:
        scale, centre = deviation, float(series.mean())
    return centre, scale if scale > 0.0 else 1e-9 * max(1.0, abs(centre))


def _prepare(series: Floats, breaks: Places, settings: ChartSettings) -> Floats:
    """Return one chart's constants as far as the transformation goes: (1, CONSTANTS)."""
    chart = np.zeros((1, CONSTANTS))
    centre, scale = robust_scale(series)
    chart[0, [CENTRE, SCALE, CLIP, SPREAD, INNOVATION]] = centre, scale, settings.clip, 1.0, 1.0
    z = (series - centre) / scale
    if len(np.unique(z)) > CATEGORIES_MAX and clusters(autoregression(np.clip(z, -8.0, 8.0), breaks).residuals):
        rho = float(np.corrcoef(z[1:], z[:-1])[0, 1])
        innovations = z[1:] - rho * z[:-1]
        chart[0, [RHO, DECAY]] = rho, settings.decay
        chart[0, INNOVATION] = 1.0 / float(np.mean(np.minimum(innovations**2, np.quantile(innovations**2, 0.999))))
    return chart


def _scores(chart: Floats, series: Floats) -> tuple[Floats, ChartState]:
    """Return the raw scores of a series and the memory after it."""
    state, scores = empty_state(1), np.empty(len(series))
    scored = Scored(scores, np.empty(len(series)), np.empty(0, np.int64))
    write_scores(ChartTable(chart), 0, state.sums[0], series[None, :], scored)
    return scores, state


def _limit(scores: Floats, allowance: float, rate: float, lowest: float) -> float:
    """Return the height that excursions pass at `rate` an event; the tail goes on exponentially."""
    peaks = np.empty(scores.size // 2 + 1)
    peaks = np.sort(peaks[: excursions(scores, allowance, 1.0, peaks)])[::-1]
    wanted = rate * scores.size
    tail = min(TAIL, len(peaks) - 1)
    if tail < 10:
        return lowest
    if wanted >= tail:
        return max(lowest, float(peaks[min(int(wanted), len(peaks) - 1)]))
    beyond = float(np.mean(peaks[:tail] - peaks[tail]))
    return max(lowest, float(peaks[tail]) + beyond * math.log(tail / wanted))


def _shift_in_scores(chart: Floats, series: Floats, shift: float) -> float:
    """Return by how much a shift of the series, from the middle of it on, moves its mean score."""
    half = len(series) // 2
    moved = series.copy()
    moved[half:] += shift
    change = _scores(chart, moved)[0][half:].mean() - _scores(chart, series)[0][half:].mean()
    return float(abs(change)) / float(chart[0, SPREAD])


def _null_scores(
    model: NullModel, scores: Floats, settings: ChartSettings, rng: np.random.Generator
) -> tuple[Floats, float, float]:
    """Return watched scores of histories without change, each by its own reference.

    With them the standard error of a reference's mean, and the spread of slow levels, both in score spreads.
    """
    n_reference = len(scores)
    raw = np.empty((settings.runs, n_reference + settings.run_length))
    draw_histories(model, raw, rng)
    slow = slow_levels(scores, raw, rng) if settings.regimes else 0.0
    reference = raw[:, :n_reference]
    offsets = reference.mean(axis=1, keepdims=True)
    spreads = np.maximum(reference.std(axis=1, keepdims=True), 1e-12)
    return (raw[:, n_reference:] - offsets) / spreads, float((offsets / spreads).std()), slow / float(spreads.mean())


def _calibrate_one(
    series: _Series, rate: float, settings: ChartSettings, rng: np.random.Generator
) -> tuple[Operating, Floats, Floats]:
    """Return what a chart can do, its constants and its memory; `rate` is a side's and an event's."""
    name, values, breaks = series
    chart = _prepare(values, breaks, settings)
    scores, state = _scores(chart, values)
    early = min(SETTLE, len(scores) // 4)
    settled = scores[early:]
    chart[0, [OFFSET, SPREAD]] = settled.mean(), max(float(settled.std()), 1e-9)
    model = fit_null(settled - settled.mean(), settings.runs, rng, breaks[breaks > early] - early)
    watched = not is_clockwork(values)
    seen, error, slow = _null_scores(model, settled - settled.mean(), settings, rng)
    gain = _shift_in_scores(chart, values, settings.shift_sd * float(values.std()))
    allowance = max(gain / 2.0, settings.error_reach * error, 0.05)
    lowest = 2.0 * settings.clip
    up, down = (_limit(side, allowance, rate, lowest) if watched else math.inf for side in (seen, -seen))
    chart[0, [ALLOWANCE, LIMIT_UP, LIMIT_DOWN]] = allowance, up, down
    point = Operating(
        name=name,
        watched=watched,
        devolatilised=bool(chart[0, DECAY] > 0.0),
        order=model.coefficients.shape[1],
        block=model.block,
        slow=slow,
        allowance=allowance,
        limit_up=up if watched else 0.0,
        limit_down=down if watched else 0.0,
        shift_seen_sd=settings.shift_sd * 2.0 * allowance / gain if gain > 0.0 else 0.0,
        delay_events=max(up, down) / (gain - allowance) if watched and gain > allowance else None,
    )
    return point, chart, state.sums


@kept(Charts, __file__)
def calibrate(
    reference: npt.ArrayLike,
    names: Sequence[str],
    *,
    false_alarms_per_10k: float,
    rng: np.random.Generator,
    settings: ChartSettings | None = None,
    places: Places | None = None,
) -> Charts:
    """Fit one chart a series and set its limits.

    Parameters
    ----------
    reference : (n, p) array
        Rows in time order, without drift, as they were seen in training. NaN are left out.
    names : sequence of str
        One a column.
    false_alarms_per_10k : float
        Asked of all charts together, per 10,000 rows without change.
    rng : numpy.random.Generator
        Where randomness comes from.
    settings : ChartSettings, optional
        Defaults if left out.
    places : (n,) int64, optional
        Which rows of the past these are, where they are stretches of it; neighbours differ by one.

    Raises
    ------
    DataInvalid
        The reference is too short or does not match the names, or the rate is not positive.
    """
    rows = np.asarray(reference, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise DataInvalid(f"reference has shape {rows.shape}, names are {len(names)}; give one column a name")
    if not false_alarms_per_10k > 0.0:
        raise DataInvalid(f"false_alarms_per_10k is {false_alarms_per_10k}, allowed is a positive rate")
    settings = settings or ChartSettings()
    rate = false_alarms_per_10k / 1e4 / (2 * max(1, len(names)))
    places = np.arange(len(rows)) if places is None else places
    points, constants, recent = [], np.empty((len(names), CONSTANTS)), np.empty((len(names), SUMS))
    for i, name in enumerate(names):
        series = _series(name, rows[:, i], places)
        point, constants[i], recent[i] = _calibrate_one(series, rate, settings, rng)
        constants[i, COLUMN] = i
        points.append(point)
    return Charts(
        operating=points,
        constants=constants,
        recent=recent,
        means=np.nanmean(rows, axis=0),
        deviations=np.nanstd(rows, axis=0),
        false_alarms_per_10k=false_alarms_per_10k,
    )
