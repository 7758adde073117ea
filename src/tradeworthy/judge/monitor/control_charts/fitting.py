"""One chart fitted to one series of scores: what is usual, how much it must allow, and how high an alarm must stand.

Idea:   a limit is right if the chart, run over the past resampled without change, alarms as rarely as asked. The
        *whole* procedure is replayed on each resampled history: estimate mean and spread on a stretch as long as the
        reference, then watch. What a short or persistent reference cannot know (its true mean, its persistence)
        raises the limit by itself. Among allowances the one is taken that hears the asked harm soonest.
Flow:   scores -> null model -> histories -> for each allowance: peaks of excursions -> limit -> the soonest.
Units:  limits, allowances and gains in score spreads.
        Where sizes of a clustering series are charted, histories come from a volatility model instead (`volatility`).
Reference: Gandy and Kvaløy (2013), charts calibrated with their own estimation error.
"""

import math
from typing import NamedTuple

import numpy as np

from tradeworthy.judge.monitor.control_charts.chart_table import Floats
from tradeworthy.judge.monitor.control_charts.cusum import excursions
from tradeworthy.judge.monitor.control_charts.null import NullModel, Places, draw_histories, fit_null, slow_levels
from tradeworthy.judge.monitor.control_charts.volatility import garch_histories, log_sizes

TAIL = 200
"""Highest peaks from which the tail is continued beyond what was drawn."""

SETTLE = 50
"""Scores at the start of the reference that are left out: the recent scale settles first."""

ALLOWANCES = (0.35, 0.5, 0.65)
"""What is tried, as shares of the harm that is to be heard."""

ALLOWANCE_MIN = 0.02

LONGER = 2
"""Histories of a persistent series are watched so many times as long: so long do excursions last."""


class Asked(NamedTuple):
    """What a chart is fitted for.

    rate: of false alarms of one side and event; gain: by how much the harm worth an alarm moves the mean score, in raw
    scores; lowest: no limit is below it; runs, run_length: histories drawn, and how long each is watched; error_reach:
    the allowance covers so many standard errors of the mean; own_reach: limits stand so many times above what the
    reference itself reached; regimes: whether slow levels of the reference are usual.
    """

    rate: float
    gain: float
    lowest: float
    runs: int
    run_length: int
    error_reach: float
    own_reach: float
    regimes: bool
    clustering: "Clustering | None" = None


class Clustering(NamedTuple):
    """Where the sizes of a clustering series are charted: the centred (n,) series, and its neighbours' correlation."""

    series: Floats
    rho: float


class Fit(NamedTuple):
    """A fitted chart: constants for the kernel, and what the null model was."""

    offset: float
    spread: float
    gain: float
    allowance: float
    up: float
    down: float
    order: int
    block: float
    slow: float


def fit_chart(scores: Floats, breaks: Places, asked: Asked, rng: np.random.Generator) -> Fit:
    """Fit a chart to (n,) raw scores of a reference; `breaks` are the places at which a new stretch begins."""
    early = min(SETTLE, len(scores) // 4)
    settled = scores[early:]
    offset, spread = float(settled.mean()), max(float(settled.std()), 1e-9)
    model = fit_null(settled - offset, asked.runs, rng, breaks[breaks > early] - early)
    if asked.clustering is None:
        raw, slow = histories(model, settled - offset, asked, rng)
    else:
        raw, slow = _clustering_histories(asked.clustering, len(settled), asked, rng)
    seen, error = _watched(raw, len(settled))
    gain = asked.gain / spread
    floor = max(asked.error_reach * error, ALLOWANCE_MIN)
    order = model.coefficients.shape[1]
    is_plain = order == 0 and slow == 0.0 and asked.clustering is None
    own = _Own((settled - offset) / spread, min(1.0, asked.own_reach) if is_plain else asked.own_reach)
    allowance, up, down = _soonest(seen, own, gain, floor, asked)
    return Fit(offset, spread, gain, allowance, up, down, order, model.block, slow)


class _Own(NamedTuple):
    """The (n,) scores of the reference itself, and how many times above what they reached limits stand.

    Where neighbours have nothing to do with each other the drawn histories know all that there is to know.
    """

    scores: Floats
    reach: float


def _soonest(seen: Floats, own: _Own, gain: float, floor: float, asked: Asked) -> tuple[float, float, float]:
    """Return allowance and both limits that hear the asked gain soonest; none lies near what the reference reached."""
    best, least = (floor, math.inf, math.inf), math.inf
    for allowance in sorted({max(floor, share * gain) for share in ALLOWANCES}):
        up, down = (
            max(limit_of(side, allowance, asked.rate, asked.lowest), own.reach * _highest(reached, allowance))
            for side, reached in ((seen, own.scores), (-seen, -own.scores))
        )
        wait = (up + down) / (gain - allowance) if gain > allowance else math.inf
        if wait < least or not math.isfinite(best[1]):
            best, least = (allowance, up, down), wait
    return best


def _highest(scores: Floats, allowance: float) -> float:
    """Return how high a one-sided chart of (n,) scores comes."""
    peaks = np.empty(scores.size // 2 + 1)
    return float(peaks[: excursions(scores[None, :], allowance, 0.0, peaks)].max(initial=0.0))


def limit_of(scores: Floats, allowance: float, rate: float, lowest: float) -> float:
    """Return the height that excursions of (runs, n) scores pass at `rate` an event; the tail goes on exponentially."""
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


def histories(model: NullModel, series: Floats, asked: Asked, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return (runs, n) raw scores of histories without change, and the spread of their slow levels in score spreads.

    Each has a reference as long as the centred one given, and what is watched after it.
    """
    longer = LONGER if model.coefficients.shape[1] else 1
    raw = np.empty((asked.runs, len(series) + longer * asked.run_length))
    draw_histories(model, raw, rng)
    slow = slow_levels(series, raw, rng) if asked.regimes else 0.0
    return raw, slow / max(float(series.std()), 1e-9)


def _clustering_histories(
    clustering: Clustering, n_reference: int, asked: Asked, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Return the same of the sizes of a clustering series; slow levels are those of the logarithm of its sizes."""
    shape = (asked.runs, n_reference + asked.run_length)
    logs = log_sizes(garch_histories(clustering.series, clustering.rho, shape, rng))
    slow = slow_levels(log_sizes(clustering.series), logs, rng) if asked.regimes else 0.0
    sizes: Floats = np.exp(logs)
    sizes /= 1.4826 * np.median(sizes[:, :n_reference], axis=1, keepdims=True)
    sizes /= 1.0 + sizes
    return sizes, slow


def _watched(raw: Floats, n_reference: int) -> tuple[Floats, float]:
    """Return what is watched of histories, each by its own reference, and the standard error of a reference's mean."""
    reference = raw[:, :n_reference]
    offsets = reference.mean(axis=1, keepdims=True)
    spreads = np.maximum(reference.std(axis=1, keepdims=True), 1e-12)
    return (raw[:, n_reference:] - offsets) / spreads, float((offsets / spreads).std())
