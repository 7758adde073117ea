"""Charts calibrated on a reference: what is looked at, limits for all of them, and what each can be expected to do.

Idea:   the asked false-alarm rate is that of all charts together, split among them by their kinds, and evenly among
        both their sides. Each chart is fitted by itself (`fitting`) to what its look makes of the reference (`looks`).
Flow:   rows -> looks -> raw scores -> fit -> constants, and the memory at the end of the reference.
Units:  limits and allowances in score spreads; shifts in standard deviations of the reference.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALLOWANCE,
    CENTRE,
    CLIP,
    CONSTANTS,
    DECAY,
    LIMIT_DOWN,
    LIMIT_UP,
    OFFSET,
    RHO,
    SCALE,
    SPREAD,
    ChartState,
    ChartTable,
    empty_state,
)
from tradeworthy.judge.monitor.control_charts.fitting import Asked, Clustering, Fit, fit_chart
from tradeworthy.judge.monitor.control_charts.kept import kept
from tradeworthy.judge.monitor.control_charts.looks import (
    LEVELS_ONLY,
    Kind,
    Look,
    Plan,
    Seen,
    gains_of,
    level_constants,
    plan,
    seen_by,
)
from tradeworthy.judge.monitor.control_charts.null import Places, is_clockwork

Floats = npt.NDArray[np.float64]

REFERENCE_MIN = 200

WEIGHTS: Mapping[Kind, float] = {"level": 1.5, "tail": 0.5}
"""Shares of the rate by kind, in those of any other look: a level moves most often, and tails seldom move alone."""


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
    own_reach : float
        Limits stand this many times above what the chart reached on the reference itself, which is without drift; at
        most once, where neighbouring values have nothing to do with each other.
    regimes : bool
        Levels that wander among the reference's own stretches are normal, and no drift when they come again. Without
        it slow features of real markets alarm more often than asked, and lasting changes are told sooner.
    """

    shift_sd: float = 0.5
    clip: float = 3.0
    decay: float = 0.94
    runs: int = 100
    run_length: int = 6_000
    error_reach: float = 1.0
    own_reach: float = 1.3
    regimes: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(
            self, "monitor.*.charts", counts=["runs", "run_length"], positive=["shift_sd", "clip"], shares=["decay"]
        )


class Operating(msgspec.Struct, frozen=True, kw_only=True):
    """What one chart can be expected to do.

    Attributes
    ----------
    name : str
        The series, or what of it is looked at.
    kind : str
        How it is looked at: its level, its spread, ...
    watched : bool
        False for a clockwork (time of day): no chart can judge it.
    devolatilised : bool
        Whether values are divided by their recent scale.
    order, block, slow : int, float, float
        Of the null model: autoregression, mean block of residuals, spread of slow levels in score spreads (where sizes
        cluster: of their logarithm).
    allowance, limit_up, limit_down : float
        Of the chart, in score spreads.
    shift_seen_sd : float
        The smallest lasting shift that the chart hears within as many events as the reference has, in deviations of the
        series (of a spread or the like: in units of the harm that it shall hear).
    delay_events : float, optional
        Expected delay for the harm that it shall hear; None where that is beyond the chart's sight.
    """

    name: str
    kind: Kind
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
    """q calibrated charts over p columns, the first p of which look at the columns' levels.

    Attributes
    ----------
    operating : list of Operating
        One a chart; `watched` is false for a clockwork (time of day): no chart can judge it.
    constants, recent : (q, CONSTANTS) and (q, SUMS) float64
        For the kernel; `recent` is what the charts remembered at the end of the reference.
    axes : (k, p) float64
        Directions in which the reference hardly varied.
    means, deviations : (q,) float64
        Of what a chart tells of the reference, in natural units.
    false_alarms_per_10k : float
        Of all charts together, per 10,000 rows without change.
    """

    operating: list[Operating]
    constants: Floats
    recent: Floats
    axes: Floats
    means: Floats
    deviations: Floats
    false_alarms_per_10k: float

    @property
    def names(self) -> list[str]:
        """Names of the charts."""
        return [point.name for point in self.operating]

    @property
    def table(self) -> ChartTable:
        """Constants for the kernel."""
        return ChartTable(self.constants, self.axes)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [point.name for point in self.operating if point.kind == "level"]

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
            "axes": self.axes,
            "means": self.means,
            "deviations": self.deviations,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Charts":
        """Read what `to_arrays` wrote."""
        operating, rate = msgspec.json.decode(arrays["about"].tobytes(), type=tuple[list[Operating], float])
        parts = {name: arrays[name] for name in ("constants", "recent", "axes", "means", "deviations")}
        return cls(operating=operating, false_alarms_per_10k=rate, **parts)


class _Known(NamedTuple):
    """The known ones of a chart's scores, and the places at which a new stretch begins."""

    scores: Floats
    breaks: Places


def _known(scores: Floats, places: Places) -> _Known:
    """Return finite scores; a missing one or a jump in `places` breaks them."""
    known = np.flatnonzero(np.isfinite(scores))
    return _Known(np.ascontiguousarray(scores[known]), np.flatnonzero(np.diff(places[known]) != 1) + 1)


def _levels(rows: Floats, names: Sequence[str], places: Places, settings: ChartSettings, *, bounded: bool) -> Floats:
    """Return the (p, CONSTANTS) of all columns' levels.

    Raises
    ------
    DataInvalid
        Too few values of a column are known.
    """
    levels = np.empty((len(names), CONSTANTS))
    for column, name in enumerate(names):
        values, breaks = _known(rows[:, column], places)
        if len(values) < REFERENCE_MIN:
            raise DataInvalid(f"{name!r} has {len(values)} reference values, allowed is at least {REFERENCE_MIN}")
        levels[column] = level_constants(values, breaks, clip=settings.clip, decay=settings.decay, bounded=bounded)
    return levels


def _operating(look: Look, fit: Fit, n: int, *, watched: bool, devolatilised: bool, shift_sd: float) -> Operating:
    """Say what one chart can be expected to do."""
    limits, gain = (fit.up, fit.down) if watched else (0.0, 0.0), fit.gain
    sees = watched and gain > fit.allowance
    return Operating(
        name=look.name,
        kind=look.kind,
        watched=watched,
        devolatilised=devolatilised,
        order=fit.order,
        block=fit.block,
        slow=fit.slow,
        allowance=fit.allowance,
        limit_up=limits[0],
        limit_down=limits[1],
        shift_seen_sd=shift_sd * (fit.allowance + max(limits) / n) / gain if gain > 0.0 else 0.0,
        delay_events=max(limits) / (gain - fit.allowance) if sees else None,
    )


@kept(Charts, __file__)
def calibrate(
    reference: npt.ArrayLike,
    names: Sequence[str],
    *,
    false_alarms_per_10k: float,
    rng: np.random.Generator,
    settings: ChartSettings | None = None,
    places: Places | None = None,
    kinds: Sequence[Kind] = LEVELS_ONLY,
    bounded: bool = False,
) -> Charts:
    """Decide what is looked at, fit a chart to each and set its limits.

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
    kinds : sequence of str
        What is looked at beside levels.
    places : (n,) int64, optional
        Which rows of the past these are, where they are stretches of it; neighbours differ by one.
    bounded : bool
        Values have a largest one that matters, as losses do: no value that the reference knows is cut.

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
    places = np.arange(len(rows)) if places is None else places
    planned = plan(rows, names, _levels(rows, names, places, settings, bounded=bounded), kinds)
    seen = seen_by(planned, rows)
    gains = gains_of(planned, rows, seen.scores, settings.shift_sd)
    weights = np.array([WEIGHTS.get(look.kind, 1.0) for look in planned.looks])
    fitted_to = _Reference(planned, rows, seen, places, settings)
    rates = false_alarms_per_10k / 1e4 / 2.0 * weights / weights.sum()
    points = [_fit(fitted_to, chart, float(gains[chart]), float(rates[chart]), rng) for chart in range(len(gains))]
    told = np.where(np.isfinite(seen.scores), seen.told, np.nan)
    return Charts(
        operating=points,
        constants=planned.table.constants,
        recent=seen.memory.sums,
        axes=planned.table.axes,
        means=np.nanmean(told, axis=1),
        deviations=np.nanstd(told, axis=1),
        false_alarms_per_10k=false_alarms_per_10k,
    )


class _Reference(NamedTuple):
    """What charts are fitted to: the plan, (n, p) rows and what was seen in them, their places, and how."""

    planned: Plan
    rows: Floats
    seen: Seen
    places: Places
    settings: ChartSettings


def _clustering(reference: _Reference, look: Look) -> Clustering | None:
    """Return the series whose sizes a look charts, where it clusters."""
    level = reference.planned.table.constants[min(look.column, len(reference.planned.looks) - 1)]
    if look.kind != "spread" or level[DECAY] == 0.0:
        return None
    series = (reference.rows[:, look.column] - level[CENTRE]) / level[SCALE]
    return Clustering(series[np.isfinite(series)], float(level[RHO]))


def _fit(reference: _Reference, chart: int, gain: float, rate: float, rng: np.random.Generator) -> Operating:
    """Fit one chart of a plan, in place, to what it saw; return what it can do."""
    planned, rows, seen, places, settings = reference
    look, own = planned.looks[chart], planned.table.constants[chart]
    clip = float(own[CLIP]) if look.kind == "level" else 2.0
    asked = Asked(
        rate=rate,
        gain=gain,
        lowest=2.0 * clip,
        runs=settings.runs,
        run_length=settings.run_length,
        error_reach=settings.error_reach,
        own_reach=settings.own_reach,
        regimes=settings.regimes,
        clustering=_clustering(reference, look),
    )
    known = _known(seen.scores[chart], places)
    fit = fit_chart(known.scores, known.breaks, asked, rng)
    column = seen.told[chart] if look.kind == "joint" else rows[:, look.column]
    watched = not is_clockwork(_known(column, places).scores)
    limits = (fit.up, fit.down) if watched else (math.inf, math.inf)
    own[[OFFSET, SPREAD, ALLOWANCE, LIMIT_UP, LIMIT_DOWN]] = fit.offset, fit.spread, fit.allowance, *limits
    return _operating(
        look,
        fit,
        len(known.scores),
        watched=watched,
        devolatilised=bool(own[DECAY] > 0.0),
        shift_sd=settings.shift_sd,
    )
