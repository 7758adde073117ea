"""Reliability: whether what the scores promise still happens as often as they say.

Idea:   a calibrated score is a probability, so the label less the score is zero on average, and stays so whatever the
        score. Two charts hold both against what out-of-fold scores showed: the mean of the miss (more, or less, happens
        than promised), and its mean in proportion to how far the score is from usual (too sure, or not sure enough).
        Only what is worse than out of fold is told: misses that shrink are no harm.
Flow:   joined outcomes -> misses -> both charts -> finding, with the expected calibration error beside it.
State:  both charts' memories, the last outcomes of each instrument, findings not yet taken.
Undefined: errors of nothing are NaN. A model of returns makes no promise and is not watched so.
Units:  probabilities, from 0 to 1.
Reference: Dawid (1982), calibration; Cox (1958), intercept and slope; Naeini, Cooper and Hauskrecht (2015), the error.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import FindingQueue, Kept, Records, State, by_instrument, latest, part_of
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings, Operating
from tradeworthy.judge.monitor.control_charts.series import SeriesAlarm, series_watch
from tradeworthy.judge.monitor.gauges import Gauge, symbol_of
from tradeworthy.judge.monitor.joins.joined import are_joined, known_of
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.label_shift import EDGE, log_odds

Floats = npt.NDArray[np.float64]
Side = Literal["bias", "confidence"]

NAME = "reliability"
KIND = "calibration_error"
BINS = 10
FAR = 2.0
"""Scores count as at most so many deviations from usual."""


class ReliabilitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.reliability]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 labelled decisions without change, of both charts together.
    window : int
        Outcomes that the shown errors are of.
    quiet : int
        Labelled decisions without a further alarm after one; doubles while it stays.
    seed : int
        Of the draws that calibrate it.
    """

    false_alarms_per_10k: float = 0.5
    window: int = 1_000
    quiet: int = 1_000
    seed: int = 7
    charts: ChartSettings = ChartSettings(shift_sd=0.2)

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.reliability", counts=["window"])


def calibration_error(scores: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error of (n,) scores against labels of 0 and 1; NaN for none.

    Scores are put into bins of as equal a number as ties allow.
    """
    p, y = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if len(p) == 0:
        return float("nan")
    at = np.linspace(0.0, len(p) - 1.0, bins + 1)[1:-1]
    edges = np.interp(at, np.arange(len(p)), np.sort(p))
    places = np.searchsorted(edges, p, side="right")
    return float(np.abs(np.bincount(places, p - y)).sum() / len(p))


class ReliabilityMonitor:
    """Watches whether one version's scores keep their promise.

    Parameters
    ----------
    scores, labels : (n,) array
        Out of fold, in time order; labels of 0 and 1.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols, for the findings.
    settings : ReliabilitySettings, optional
        Defaults if left out.
    """

    def __init__(
        self,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        version: int,
        instruments: Sequence[str] = (),
        settings: ReliabilitySettings | None = None,
    ) -> None:
        self._settings = each = settings or ReliabilitySettings()
        self._version, self._instruments = version, list(instruments)
        p, y = np.asarray(scores, np.float64), (np.asarray(labels, np.float64) > 0.5).astype(np.float64)
        odds = log_odds(p)
        self._usual, self._spread = float(odds.mean()), max(float(odds.std()), EDGE)
        self._before = calibration_error(p, y)
        self._charts = {
            side: series_watch(
                misses,
                side,
                false_alarms_per_10k=each.false_alarms_per_10k / 2.0,
                quiet=each.quiet,
                settings=each.charts,
                seed=each.seed,
                bounded=True,
            )
            for side, misses in self._misses(p, y).items()
        }
        self._last: dict[int, Kept] = {}
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take joined outcomes; anything else is left."""
        if not are_joined(records):
            return
        own = known_of(records, self._version)
        for instrument, places in by_instrument(own):
            self._watch(instrument, own[places])

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    @property
    def operating(self) -> list[Operating]:
        """What each chart can be expected to do, in the order of `told_of`."""
        return [chart.operating[0] for chart in self._charts.values()]

    def told_of(self, scores: Floats, labels: Floats) -> dict[Side, list[int]]:
        """Return the places at which each chart would tell of (n,) outcomes, had nothing been seen before."""
        told, stamps = dict[Side, list[int]](), np.arange(len(scores))
        for side, misses in self._misses(scores, labels).items():
            chart = self._charts[side].fresh()
            told[side] = [alarm.place for alarm in chart.watch(0, misses, stamps) if self._is_worse(side, alarm)]
        return told

    def gauges(self) -> list[Gauge]:
        """Return the error of the last outcomes and out of fold, and how near each chart is to an alarm."""
        found = [Gauge(family="value", subject="calibration_error_out_of_fold", value=self._before)]
        for instrument, last in self._last.items():
            symbol, error = symbol_of(self._instruments, instrument), _error(last.records)
            found.append(Gauge(family="value", subject="calibration_error", instrument=symbol, value=error))
        for side, chart in self._charts.items():
            for instrument, share in chart.shares().items():
                symbol = symbol_of(self._instruments, instrument)
                found.append(Gauge(family="evidence", subject=side, instrument=symbol, value=share))
        return found

    def state(self) -> State:
        """Return memories, last outcomes and findings not yet taken."""
        state: State = {f"last.{instrument}": last.records.copy() for instrument, last in self._last.items()}
        state["findings"] = self._queue.to_array()
        for side, chart in self._charts.items():
            state |= chart.export(f"{side}.")
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._last = {}
        for key, last in part_of(state, "last.").items():
            self._kept(int(key)).replace(last.astype(JOINED))
        self._queue.from_array(state["findings"])
        for side, chart in self._charts.items():
            chart.take_back(state, f"{side}.")

    def _misses(self, p: Floats, y: Floats) -> dict[Side, Floats]:
        """Return the (n,) misses, and the misses in proportion to how far scores are from usual."""
        far = np.minimum(np.maximum((log_odds(p) - self._usual) / self._spread, -FAR), FAR)
        return {"bias": y - p, "confidence": (y - p) * far}

    def _is_worse(self, side: Side, alarm: SeriesAlarm) -> bool:
        """Whether a promise is kept worse than out of fold."""
        return abs(alarm.mean) > abs(self._charts[side].mean)

    def _watch(self, instrument: int, own: Records) -> None:
        """Chart an instrument's misses; tell those alarms that are worse than out of fold."""
        labels, last = (own["label"] > 0.5).astype(np.float64), self._kept(instrument)
        for side, misses in self._misses(np.ascontiguousarray(own["score"]), labels).items():
            for alarm in self._charts[side].watch(instrument, misses, own["ts_event_ns"]):
                if self._is_worse(side, alarm):
                    seen = latest(last.records, own[: alarm.place + 1], self._settings.window)
                    self._queue.put(self._finding(side, alarm, own[alarm.place], _error(seen)))
        last.push(own, self._settings.window)

    def _kept(self, instrument: int) -> Kept:
        """Return what is kept of an instrument's outcomes."""
        if instrument not in self._last:
            self._last[instrument] = Kept(JOINED)
        return self._last[instrument]

    def _finding(self, side: Side, alarm: SeriesAlarm, last: np.void, error: float) -> Finding:
        """Say which promise is broken, since when and by how much."""
        symbols, instrument = self._instruments, int(last["instrument"])
        of = f" of {symbols[instrument]}" if instrument < len(symbols) else ""
        usual, since = self._charts[side].mean, iso(alarm.since_ns)
        if side == "bias":
            way = "more" if alarm.mean > 0.0 else "less"
            size = f"{abs(alarm.mean):.3f}"
            what = f"What the scores{of} foretell happens {way} often than they say, by {size} since {since}"
        else:
            way = "not sure enough of themselves" if alarm.mean > 0.0 else "too sure of themselves"
            what = (
                f"The scores{of} are {way} since {since}: misses weighted by how unusual the score is {alarm.mean:+.3f}"
            )
        return Finding(
            monitor=NAME,
            subject=side,
            kind=KIND,
            sequence=int(last["sequence"]),
            ts_event_ns=int(last["ts_known_ns"]),
            since_ns=alarm.since_ns,
            observed=alarm.mean,
            reference=usual,
            unit="probability",
            statistic=alarm.statistic,
            threshold=alarm.threshold,
            false_alarms_per_10k=self._settings.false_alarms_per_10k,
            sentence=(
                f"{what}, {usual:+.3f} out of fold ({alarm.seen} labels). Expected calibration error of the last "
                f"{self._settings.window} labels at most: {error:.3f}, {self._before:.3f} out of fold."
            ),
        )


def _error(outcomes: Records) -> float:
    """Return the expected calibration error of outcomes."""
    return calibration_error(outcomes["score"], outcomes["label"] > 0.5)
