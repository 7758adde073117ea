"""Realised performance as labels arrive, and whether it is worse than what the gate measured.

Idea:   two tests share the asked rate. Betting (`harm`) is valid whatever the overlap, but hears one loss a horizon;
        a chart with bootstrapped limits hears all of them and is faster.
Flow:   outcome join -> losses -> metrics (rolling, total), both tests -> finding.
State:  the join, the last outcomes, running totals, both tests, findings not yet taken.
Undefined: an outcome without a label is left out; metrics of nothing are NaN.
Units:  losses from 0 to 1: Brier (squared distance of the probability), or error (1 for a wrong call).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.kernel import leaf
from tradeworthy.core.time import iso
from tradeworthy.judge.metrics import Classification, classification
from tradeworthy.judge.metrics_interval import mean_interval
from tradeworthy.judge.monitor.base import FindingQueue, Kept, Records, State, by_instrument, chosen, part_of
from tradeworthy.judge.monitor.control_charts.calibration import Charts, ChartSettings, Operating, calibrate
from tradeworthy.judge.monitor.control_charts.chart_table import (
    ALARM,
    LIMIT_DOWN,
    LIMIT_UP,
    LONG,
    N_UP,
    SINCE_UP,
    SUM_UP,
    TOTAL_UP,
    ChartState,
)
from tradeworthy.judge.monitor.control_charts.harm import (
    COUNT,
    FORTUNE,
    SINCE,
    TOTAL,
    HarmState,
    LossTests,
    empty_harm,
    reset,
    watch_losses,
)
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.outcomes import JOINED, OutcomeJoin

Floats = npt.NDArray[np.float64]
Loss = Literal["brier", "error"]

NAME = "performance"
KIND = "performance"
REPEATS_MAX = 10
CHART_SHARE = 0.9
"""Of the asked rate; the rest is the bets'."""

LEFT, HEARD, REPEATS = range(3)


class PerformanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.performance]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 labelled decisions without harm, of both tests together.
    loss : {"brier", "error"}
        What harm is measured in.
    score_cut, label_cut : float
        Scores above predict a rise; labels above are one. Both 0 for a model of returns (with loss "error").
    window : int
        Outcomes of the rolling metrics.
    quiet_outcomes : int
        How long no further harm is told after a finding; doubles while it stays.
    seed : int
        Of the bootstraps.
    """

    false_alarms_per_10k: float = 1.0
    loss: Loss = "brier"
    score_cut: float = 0.5
    label_cut: float = 0.5
    window: int = 1_000
    quiet_outcomes: int = 500
    seed: int = 7
    charts: ChartSettings = ChartSettings(shift_sd=0.25, own_reach=1.0)

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.performance", counts=["window"], signed=["score_cut", "label_cut"])


class PerformanceReference(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate measured out of fold: the mean loss, its upper bound, and the chart calibrated on the losses."""

    mean: float
    upper: float
    horizon: int
    charts: Charts


class PerformanceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Realised performance so far."""

    outcomes: int
    waiting: int
    given_up: int
    mean_loss: float
    accuracy: float
    rolling: Classification


@leaf
def _write_losses(scores: Floats, labels: Floats, how: tuple[bool, float, float], losses: Floats) -> int:
    """Write the loss of each of (n,) scores: its squared distance from the label, or whether its call was wrong.

    `how` says which of both, and where scores and labels are cut. Return how many calls were right.
    """
    is_brier, score_cut, label_cut = how
    right = 0
    for i in range(len(scores)):
        rose, called = labels[i] > label_cut, scores[i] > score_cut
        right += rose == called
        distance = scores[i] - (1.0 if rose else 0.0)
        losses[i] = min(distance * distance, 1.0) if is_brier else (1.0 if rose != called else 0.0)
    return right


def measured(scores: npt.ArrayLike, labels: npt.ArrayLike, settings: PerformanceSettings) -> tuple[Floats, int]:
    """Return the (n,) losses, from 0 to 1, of scores against labels without NaN, and how many calls were right."""
    s, y = np.ascontiguousarray(scores, np.float64), np.ascontiguousarray(labels, np.float64)
    losses = np.empty(len(s))
    right = _write_losses(s, y, (settings.loss == "brier", settings.score_cut, settings.label_cut), losses)
    return losses, right


def losses_of(scores: npt.ArrayLike, labels: npt.ArrayLike, settings: PerformanceSettings | None = None) -> Floats:
    """Return the (n,) losses, from 0 to 1, of scores against labels without NaN."""
    return measured(scores, labels, settings or PerformanceSettings())[0]


def performance_reference(
    scores: npt.ArrayLike, labels: npt.ArrayLike, *, horizon: int, settings: PerformanceSettings | None = None
) -> PerformanceReference:
    """Calibrate a performance monitor on out-of-fold scores.

    Parameters
    ----------
    scores, labels : (n,) array
        Out of fold, in time order, of one instrument; pairs with a NaN are left out.
    horizon : int
        Events from a decision to its label.
    settings : PerformanceSettings, optional
        Defaults if left out.

    Raises
    ------
    DataInvalid
        Fewer than 200 labelled scores.
    """
    settings = settings or PerformanceSettings()
    s, y = np.asarray(scores, np.float64).ravel(), np.asarray(labels, np.float64).ravel()
    known = np.isfinite(s) & np.isfinite(y)
    losses = losses_of(s[known], y[known], settings)
    charts = calibrate(  # both sides share the rate asked of `calibrate`; only rises are told
        losses[:, None],
        [settings.loss],
        false_alarms_per_10k=2.0 * CHART_SHARE * settings.false_alarms_per_10k,
        rng=np.random.default_rng(settings.seed),
        settings=settings.charts,
        bounded=True,
    )
    charts.constants[:, LIMIT_DOWN] = np.inf
    rng = np.random.default_rng(settings.seed)  # of its own: a kept calibration draws nothing
    interval = mean_interval(losses, horizon=horizon, rng=rng, level=0.98)
    upper = float(np.clip(interval.high, 1e-6, 1.0 - 1e-6))
    return PerformanceReference(mean=float(losses.mean()), upper=upper, horizon=horizon, charts=charts)


def loss_tests(
    reference: PerformanceReference, settings: PerformanceSettings, chart: ChartState, harm: HarmState
) -> LossTests:
    """Return both tests of one stream of losses; the bets alarm at their share of the rate, one bet a horizon."""
    limit = max(20.0, 1e4 / ((1.0 - CHART_SHARE) * settings.false_alarms_per_10k * reference.horizon))
    return LossTests(reference.charts.table, chart, harm, reference.upper, limit)


def evidence_of(tests: LossTests) -> float:
    """Return how near the nearer of both tests is to an alarm; 1 is one."""
    chart = tests.chart.sums[0, SUM_UP] / tests.table.constants[0, LIMIT_UP]
    return float(max(chart, tests.harm.fortunes[:, FORTUNE].mean() / tests.limit))


class _Memory(NamedTuple):
    """Both tests of one instrument, and its pause: outcomes left to skip, outcomes heard since, repeats."""

    chart: ChartState
    harm: HarmState
    pause: npt.NDArray[np.int64]

    @classmethod
    def fresh(cls, reference: PerformanceReference) -> "_Memory":
        """Return a memory that has seen nothing."""
        return cls(reference.charts.start(), empty_harm(), np.array([0, LONG, 0], np.int64))


class PerformanceMonitor:
    """Watches the realised losses of one version.

    Parameters
    ----------
    join : OutcomeJoin
        Of this version's decisions.
    reference : PerformanceReference, optional
        From `performance_reference`; without it performance is measured but harm is not tested.
    settings : PerformanceSettings, optional
        As used for the reference.
    """

    def __init__(
        self,
        join: OutcomeJoin,
        reference: PerformanceReference | None = None,
        settings: PerformanceSettings | None = None,
    ) -> None:
        self._join = join
        self._reference = reference
        self._settings = settings or PerformanceSettings()
        self._memories: dict[int, _Memory] = {}
        self._last = Kept(JOINED)
        self._totals = np.zeros(3)
        self._queue = FindingQueue()

    @property
    def reference(self) -> PerformanceReference | None:
        """What realised losses are measured against."""
        return self._reference

    @property
    def operating(self) -> list[Operating]:
        """What the chart of losses can be expected to do; nothing without a reference."""
        return [] if self._reference is None else self._reference.charts.operating

    def observe(self, records: Records) -> None:
        """Take decisions and events; anything else is left."""
        self.observe_all([records])

    def observe_all(self, look: Sequence[Records]) -> None:
        """Take decisions and events up to one sequence: outcomes then come in the order in which they were known."""
        for records in look:
            self._join.observe(records)
        joined = self._join.take()
        if len(joined) == 0:
            return
        joined = chosen(joined, np.isfinite(joined["label"]))
        losses, right = measured(joined["score"], joined["label"], self._settings)
        self._totals += (len(joined), losses.sum(), right)
        self._last.push(joined, self._settings.window)
        if self._reference is not None:
            for instrument, own in by_instrument(joined):
                self._watch(self._reference, instrument, joined[own], np.ascontiguousarray(losses[own]))

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def summary(self) -> PerformanceSummary:
        """Return realised performance, in all and over the last outcomes."""
        n = int(self._totals[0])
        last = self._last.records
        labels = (last["label"] > self._settings.label_cut).astype(np.float64)
        return PerformanceSummary(
            outcomes=n,
            waiting=self._join.waiting,
            given_up=self._join.given_up,
            mean_loss=float(self._totals[1] / n) if n else float("nan"),
            accuracy=float(self._totals[2] / n) if n else float("nan"),
            rolling=classification(last["score"], labels, self._settings.score_cut),
        )

    def gauges(self) -> list[Gauge]:
        """Return what was measured, in all and lately, and how near each instrument's tests are to an alarm."""
        now = self.summary()
        values = {
            "outcomes": float(now.outcomes),
            "outcomes_waiting": float(now.waiting),
            "loss": now.mean_loss,
            "accuracy": now.accuracy,
            "accuracy_rolling": now.rolling.accuracy,
            "auc_rolling": now.rolling.auc,
        }
        found = [Gauge(family="value", subject=name, value=value) for name, value in values.items()]
        for instrument, memory in sorted(self._memories.items()):
            if self._reference is not None:
                share = evidence_of(self._tests(self._reference, memory))
                symbol = self._join.symbol(instrument)
                found.append(Gauge(family="evidence", subject=self._settings.loss, instrument=symbol, value=share))
        return found

    def state(self) -> State:
        """Return the join, the tests, what was last seen, and findings not yet taken."""
        state: State = {"last": self._last.records.copy(), "totals": self._totals.copy()}
        state["findings"] = self._queue.to_array()
        state |= {f"join.{key}": array for key, array in self._join.state().items()}
        for instrument, memory in self._memories.items():
            parts = (*memory.chart, *memory.harm, memory.pause)
            state |= {f"memory.{instrument}.{place}": part.copy() for place, part in enumerate(parts)}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._last.replace(state["last"].astype(JOINED))
        self._totals = state["totals"].copy()
        self._queue.from_array(state["findings"])
        self._join.restore(part_of(state, "join."))
        self._memories = {}
        for key in {int(k.split(".")[1]) for k in state if k.startswith("memory.")}:
            parts = [state[f"memory.{key}.{place}"].copy() for place in range(5)]
            self._memories[key] = _Memory(ChartState(*parts[:2]), HarmState(*parts[2:4]), parts[4])

    def _tests(self, reference: PerformanceReference, memory: _Memory) -> LossTests:
        """Return both tests of one instrument."""
        return loss_tests(reference, self._settings, memory.chart, memory.harm)

    def _watch(self, reference: PerformanceReference, instrument: int, joined: Records, losses: Floats) -> None:
        """Run both tests over one instrument's new losses, with a pause after each finding."""
        if instrument not in self._memories:
            self._memories[instrument] = _Memory.fresh(reference)
        memory = self._memories[instrument]
        times = np.empty((len(joined), 2), np.int64)
        times[:, 0], times[:, 1] = joined["ts_event_ns"], joined["ts_known_ns"]
        tests = self._tests(reference, memory)
        start = 0
        while start < len(losses):
            skipped = min(int(memory.pause[LEFT]), len(losses) - start)
            memory.pause[LEFT] -= skipped
            start += skipped
            at = watch_losses(tests, losses, times, start)
            memory.pause[HEARD] += min(at + 1, len(losses)) - start
            if at < len(losses):
                self._queue.put(self._finding(reference, tests, joined[at]))
                self._pause(memory)
            start = at + 1

    def _pause(self, memory: _Memory) -> None:
        """Forget both tests' evidence; be quiet for a while, twice as long each time the same harm is told again."""
        again = memory.pause[HEARD] < 2 * self._settings.quiet_outcomes
        memory.pause[REPEATS] = min(memory.pause[REPEATS] + 1, REPEATS_MAX) if again else 0
        memory.pause[LEFT] = self._settings.quiet_outcomes * 2 ** memory.pause[REPEATS]
        memory.pause[HEARD] = 0
        memory.chart.sums[0, SUM_UP : SUM_UP + 2] = 0.0
        reset(memory.harm)

    def _finding(self, reference: PerformanceReference, tests: LossTests, last: np.void) -> Finding:
        """Say how much worse the losses are, since when, and which test heard it."""
        if tests.chart.counts[0, ALARM] > 0:
            total, count = tests.chart.sums[0, TOTAL_UP], tests.chart.counts[0, N_UP]
            since_ns, statistic = tests.chart.counts[0, SINCE_UP], tests.chart.sums[0, SUM_UP]
            limit, heard = tests.table.constants[0, LIMIT_UP], "chart of all labels"
        else:
            best = int(np.argmax(tests.harm.fortunes[:, FORTUNE]))
            total, count = tests.harm.fortunes[best, TOTAL], tests.harm.fortunes[best, COUNT]
            since_ns, statistic = tests.harm.times[best, SINCE], tests.harm.fortunes[:, FORTUNE].mean()
            limit, heard = tests.limit, "bets on labels that do not overlap"
        now, loss = float(total) / max(1.0, float(count)), self._settings.loss
        words = {"brier": "The squared distance of scores from labels", "error": "The share of wrong calls"}[loss]
        return Finding(
            monitor=NAME,
            subject=loss,
            kind=KIND,
            severity="critical",
            sequence=int(last["sequence"]),
            ts_event_ns=int(last["ts_known_ns"]),
            since_ns=int(since_ns),
            observed=now,
            reference=reference.mean,
            unit="loss from 0 to 1",
            statistic=float(statistic),
            threshold=float(limit),
            false_alarms_per_10k=self._settings.false_alarms_per_10k,
            sentence=(
                f"{words} has risen to {now:.4f} since {iso(int(since_ns))}; the gate measured "
                f"{reference.mean:.4f}, at most {reference.upper:.4f} (heard by the {heard})."
            ),
        )
