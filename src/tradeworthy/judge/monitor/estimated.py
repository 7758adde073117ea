"""Estimated performance before labels arrive (CBPE, PAPE), never told without realised performance beside it.

Idea:   if scores are calibrated probabilities, each says how often it will be right; so accuracy, AUC and Brier loss
        can be foreseen from scores alone (CBPE), and where rows are known with a calibration that is adapted to the
        rows of late (PAPE, `adaptive`). This sees that cases have become harder. It cannot see concept drift: a model
        that has become wrong stays as sure of itself as before. Only labels show that.
Flow:   decisions -> calibrated probabilities -> chart of expected accuracy -> finding, held until the inputs and the
        rows up to that decision are read, so that what stands beside it is complete however the tape was sliced.
State:  the chart's memory, last probabilities, rows and outcomes, findings held or not yet taken.
Reference: NannyML's confidence-based performance estimation (CBPE).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso
from tradeworthy.judge.metrics import auc
from tradeworthy.judge.monitor.adaptive import Foreseen, LastRows
from tradeworthy.judge.monitor.base import (
    FindingQueue,
    Records,
    State,
    are_decisions,
    are_events,
)
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings, Operating
from tradeworthy.judge.monitor.control_charts.series import SeriesAlarm, series_watch
from tradeworthy.judge.monitor.gauges import Gauge, symbol_of
from tradeworthy.judge.monitor.joins.joined import are_joined, known_of
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.joins.scored import Scored, scored_of
from tradeworthy.judge.monitor.label_shift import fit_platt

Floats = npt.NDArray[np.float64]

NAME = "estimated"
KIND = "estimated_performance"
OUTCOMES_MAX = 30_000
"""Outcomes kept: a look of a watcher may bring so many before the decisions that are shown beside them."""

BLIND = "an estimate from scores alone cannot see concept drift; only labels can"


class EstimatedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.estimated]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 decisions without change.
    window : int
        Decisions, and outcomes, that the shown figures are of.
    quiet : int
        Decisions without a further alarm after one; doubles while it stays.
    seed : int
        Of the draws that calibrate it.
    """

    false_alarms_per_10k: float = 0.5
    window: int = 1_000
    quiet: int = 1_000
    seed: int = 7
    charts: ChartSettings = ChartSettings(shift_sd=0.3)

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen."""
        require(self, "monitor.estimated", counts=["window"])


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Foreseen or realised performance over a window; NaN where there is nothing."""

    decisions: int
    accuracy: float
    auc: float
    brier: float


class EstimatedSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Estimated performance beside realised performance, and what the estimate cannot see.

    `adapted` is estimated with a calibration for the rows of late; None where rows are not known.
    """

    estimated: Estimate
    adapted: Estimate | None
    realised: Estimate
    caveat: str = BLIND


class _Held(msgspec.Struct, frozen=True):
    """A finding that waits for the inputs up to its decision."""

    finding: Finding
    instrument: int = 0


def _foreseen_auc(said: Floats, truth: Floats) -> float:
    """Return the AUC of what is said, if (n,) others are the probabilities of class 1."""
    order = np.argsort(-said, kind="stable")
    p, t = said[order], truth[order]
    rising, falling = t.sum(), (1.0 - t).sum()
    if not (rising > 0.0 and falling > 0.0):
        return float("nan")
    last = np.append(np.diff(p) != 0.0, True)
    true_rate = np.concatenate([[0.0], np.cumsum(t)[last] / rising])
    false_rate = np.concatenate([[0.0], np.cumsum(1.0 - t)[last] / falling])
    return float(np.sum(np.diff(false_rate) * 0.5 * (true_rate[1:] + true_rate[:-1])))


def estimate(said: npt.ArrayLike, truth: npt.ArrayLike | None = None) -> Estimate:
    """Return the performance that is foreseen of (n,) probabilities.

    Parameters
    ----------
    said : (n,) array
        What the model says, calibrated as it was out of fold.
    truth : (n,) array, optional
        The probabilities of class 1 behind them; what is said, if left out.
    """
    p = np.asarray(said, np.float64)
    t = p if truth is None else np.asarray(truth, np.float64)
    if len(p) == 0:
        return Estimate(decisions=0, accuracy=float("nan"), auc=float("nan"), brier=float("nan"))
    return Estimate(
        decisions=len(p),
        accuracy=float(np.where(p > 0.5, t, 1.0 - t).mean()),
        auc=_foreseen_auc(p, t),
        brier=float((t * (1.0 - p) ** 2 + (1.0 - t) * p**2).mean()),
    )


class EstimatedPerformanceMonitor:
    """Watches the performance that one version's scores foresee.

    Parameters
    ----------
    scores, labels : (n,) array
        Out of fold, in time order; labels of 0 and 1.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols, for the findings.
    settings : EstimatedSettings, optional
        Defaults if left out.
    rows : LastRows, optional
        Adapts the calibration to the rows of late; without it only CBPE is told.
    """

    def __init__(
        self,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        version: int,
        instruments: Sequence[str] = (),
        settings: EstimatedSettings | None = None,
        rows: LastRows | None = None,
    ) -> None:
        self._settings = each = settings or EstimatedSettings()
        self._version, self._instruments = version, list(instruments)
        self._calibration = fit_platt(scores, labels)
        p = self._calibration(scores)
        self._chart = series_watch(
            np.maximum(p, 1.0 - p),
            "expected accuracy",
            false_alarms_per_10k=each.false_alarms_per_10k,
            quiet=each.quiet,
            settings=each.charts,
            seed=each.seed,
            side="down",
        )
        self._rows = rows
        self._recent = np.empty(0)
        self._outcomes: list[Records] = []
        self._kept = 0
        self._held: list[_Held] = []
        self._read_up_to, self._decided = 0, 0
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take decisions, rows, joined outcomes and how far the inputs were read; anything else is left."""
        if self._rows is not None:
            self._rows.observe(records)
        if are_decisions(records):
            scored = scored_of(records, self._version)
            p = self._calibration(scored.scores)
            for instrument, places in scored.by_instrument():
                self._watch(instrument, records, scored.at(places), p[places])
            if len(p):
                self._decided = max(self._decided, int(records["sequence"][scored.places[-1]]))
            self._recent = np.concatenate([self._recent, p])[-self._settings.window :]
        elif are_joined(records):
            own = known_of(records, self._version)
            self._outcomes.append(own)
            self._kept += len(own)
            while self._kept - len(self._outcomes[0]) > OUTCOMES_MAX + self._settings.window:
                self._kept -= len(self._outcomes.pop(0))
        elif are_events(records) and len(records):
            self._read_up_to = max(self._read_up_to, int(records["sequence"][-1]))
        self._release()

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    @property
    def operating(self) -> list[Operating]:
        """What the chart of expected accuracy can be expected to do."""
        return self._chart.operating

    def gauges(self) -> list[Gauge]:
        """Return how near to an alarm expected accuracy is, by instrument."""
        return [
            Gauge(
                family="evidence",
                subject="expected accuracy",
                instrument=symbol_of(self._instruments, instrument),
                value=share,
            )
            for instrument, share in self._chart.shares().items()
        ]

    def summary(self) -> EstimatedSummary:
        """Return estimated performance with realised performance beside it."""
        adapted = None if self._rows is None else self._adapted(self._rows.foreseen(self._settings.window))
        realised = self._realised(self._known())
        return EstimatedSummary(estimated=estimate(self._recent), adapted=adapted, realised=realised)

    def state(self) -> State:
        """Return memory, last probabilities, rows and outcomes, and findings held or not yet taken."""
        rows = {} if self._rows is None else self._rows.state()
        return (
            rows
            | {
                "recent": self._recent.copy(),
                "outcomes": self._needed(),
                "held": np.frombuffer(msgspec.json.encode(self._held), np.uint8).copy(),
                "read": np.array([self._read_up_to, self._decided]),
                "findings": self._queue.to_array(),
            }
            | self._chart.export("chart.")
        )

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._recent, self._outcomes = state["recent"].copy(), [state["outcomes"].astype(JOINED)]
        self._kept = len(self._outcomes[0])
        self._held = msgspec.json.decode(state["held"].tobytes(), type=list[_Held])
        self._read_up_to, self._decided = int(state["read"][0]), int(state["read"][-1])
        self._queue.from_array(state["findings"])
        if self._rows is not None:
            self._rows.restore(state)
        self._chart.take_back(state, "chart.")

    def _watch(self, instrument: int, decisions: Records, own: Scored, p: Floats) -> None:
        """Chart an instrument's expected accuracy; hold what it finds."""
        for alarm in self._chart.watch(instrument, np.maximum(p, 1.0 - p), own.ts_ns):
            last = decisions[own.places[alarm.place]]
            self._held.append(_Held(self._finding(instrument, alarm, last), instrument))

    def _is_read(self, sequence: int) -> bool:
        """Whether inputs, and rows where they are known, are read up to a decision."""
        return self._read_up_to >= sequence and (self._rows is None or self._rows.newest >= sequence)

    def _release(self) -> None:
        """Tell the findings whose inputs are read, once there is realised performance to show beside them."""
        if not self._held:
            return
        kept, outcomes = [], self._known()
        for held in self._held:
            known = outcomes[outcomes["sequence"] <= held.finding.sequence]
            if not self._is_read(held.finding.sequence):
                kept.append(held)
            elif len(known):
                self._queue.put(self._beside(held, known[-self._settings.window :]))
        self._held = kept

    def _known(self) -> Records:
        """Return the last outcomes in one array."""
        return np.concatenate([np.empty(0, JOINED), *self._outcomes])

    def _needed(self) -> Records:
        """Return the outcomes that a finding may yet be shown beside: a window up to the first decision that may."""
        known, first = self._known(), min([self._decided, *(held.finding.sequence for held in self._held)])
        before = int(np.count_nonzero(known["sequence"] <= first))
        return known[max(0, before - self._settings.window) :].copy()

    def _beside(self, held: _Held, known: Records) -> Finding:
        """Put realised performance beside an estimate."""
        realised, adapted = self._realised(known), ""
        if self._rows is not None:
            foreseen = self._rows.foreseen(self._settings.window, held.instrument, held.finding.sequence)
            adapted = self._adapted_words(self._adapted(foreseen))
        sentence = (
            f"{held.finding.sentence}{adapted} Realised over the last {realised.decisions} labels: "
            f"{realised.accuracy:.3f}. Mind: {BLIND}."
        )
        return msgspec.structs.replace(held.finding, sentence=sentence)

    def _adapted(self, foreseen: Foreseen) -> Estimate:
        """Return what the calls and probabilities of scores are worth, if adapted ones say what happens."""
        return estimate(self._calibration(foreseen.scores), foreseen.probabilities)

    def _adapted_words(self, adapted: Estimate) -> str:
        """Say what an adapted calibration foresees, if it foresees anything."""
        if adapted.decisions == 0:
            return ""
        return f" Calibrated for the last {adapted.decisions} rows (PAPE): {adapted.accuracy:.3f}."

    def _realised(self, outcomes: Records) -> Estimate:
        """Return what outcomes say of the same measures."""
        last = outcomes[-self._settings.window :]
        if len(last) == 0:
            return estimate(np.empty(0))
        p, labels = self._calibration(last["score"]), (last["label"] > 0.5).astype(np.float64)
        return Estimate(
            decisions=len(last),
            accuracy=float(np.mean((p > 0.5) == (labels > 0.5))),
            auc=auc(p, labels),
            brier=float(np.mean((p - labels) ** 2)),
        )

    def _finding(self, instrument: int, alarm: SeriesAlarm, last: np.void) -> Finding:
        """Say how far expected accuracy has fallen."""
        of = f" of {self._instruments[instrument]}" if instrument < len(self._instruments) else ""
        return Finding(
            monitor=NAME,
            subject="expected accuracy",
            kind=KIND,
            sequence=int(last["sequence"]),
            ts_event_ns=int(last["ts_event_ns"]),
            since_ns=alarm.since_ns,
            observed=alarm.mean,
            reference=self._chart.mean,
            unit="share of right calls",
            statistic=alarm.statistic,
            threshold=alarm.threshold,
            false_alarms_per_10k=self._settings.false_alarms_per_10k,
            sentence=(
                f"The scores{of} themselves foresee {alarm.mean:.3f} right calls since {iso(alarm.since_ns)}, "
                f"{self._chart.mean:.3f} out of fold: cases have become harder to tell."
            ),
        )
