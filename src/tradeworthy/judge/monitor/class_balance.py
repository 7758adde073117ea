"""Class balance and label shift: has the mix of classes changed, by labels where they are known, by scores before.

Idea:   a calibrated chart of labels, and one of scores, raise the alarm. What the alarm means is a diagnosis: the
        class mix behind the scores, estimated twice without labels (`label_shift`). Where both estimates agree, a
        changed mix explains the scores; where they do not, or where no mix makes such scores, more than the mix has
        changed. Scores that tell little of the class are often of the last kind: their intervals are as wide.
Flow:   decisions -> chart of scores -> BBSE, MLLS -> finding; joined outcomes -> chart of labels -> finding.
State:  both charts' memories, the last scores of each instrument, counts, findings not yet taken.
Units:  shares of class 1, from 0 to 1.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso
from tradeworthy.judge.monitor.base import FindingQueue, Records, State, are_decisions, by_instrument, part_of
from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings, Operating
from tradeworthy.judge.monitor.control_charts.series import SeriesAlarm, series_watch
from tradeworthy.judge.monitor.gauges import Gauge, symbol_of
from tradeworthy.judge.monitor.joins.joined import are_joined, known_of
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.judge.monitor.joins.scored import Scored, scored_of
from tradeworthy.judge.monitor.label_shift import LabelShift, Mix

Floats = npt.NDArray[np.float64]

NAME = "class_balance"
KIND = "label_shift"
UNIT = "share of class 1"
SUBJECTS = {source: f"{UNIT} by {source}" for source in ("labels", "scores")}
SCORES_MIN = 50
Z_LEVEL = 1.96


class BalanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.class_balance]`` of tradeworthy.toml.

    Attributes
    ----------
    false_alarms_per_10k : float
        Per 10,000 decisions without change, of labels and scores together.
    window : int
        Scores from which the mix is estimated, at most.
    quiet : int
        Decisions without a further alarm after one; doubles while the shift stays.
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
        require(self, "monitor.class_balance", counts=["window"])


class BalanceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The share of class 1: in training, among the labels so far, and behind the last scores by both ways."""

    training: float
    labelled: float
    labels: int
    by_confusion: tuple[float, float, float]
    by_likelihood: tuple[float, float, float]


class _Told(NamedTuple):
    """What a finding says: a value now and in training, in a unit, and the words behind "the share of class 1"."""

    now: float
    reference: float
    unit: str
    words: str


class ClassBalanceMonitor:
    """Watches the class mix of one version's decisions.

    Parameters
    ----------
    scores, labels : (n,) array
        Out of fold, in time order; labels of 0 and 1, both seen.
    version : int
        The version's number.
    instruments : sequence of str
        Symbols, for the findings.
    horizon : int
        Events from a decision to its label: labels overlap so far.
    settings : BalanceSettings, optional
        Defaults if left out.
    """

    def __init__(
        self,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        version: int,
        instruments: Sequence[str] = (),
        horizon: int = 1,
        settings: BalanceSettings | None = None,
    ) -> None:
        self._settings = each = settings or BalanceSettings()
        self._version, self._instruments, self._horizon = version, list(instruments), horizon
        rng = np.random.default_rng(each.seed)
        self._shift = LabelShift(scores, labels, rng=rng, block=2 * horizon if horizon > 1 else 1)
        rate = each.false_alarms_per_10k / 2.0
        shared = {"false_alarms_per_10k": rate, "quiet": each.quiet, "settings": each.charts, "seed": each.seed}
        self._labels = series_watch(labels, SUBJECTS["labels"], **shared)  # type: ignore[arg-type]
        self._scores = series_watch(scores, SUBJECTS["scores"], **shared)  # type: ignore[arg-type]
        self._recent: dict[int, Floats] = {}
        self._counts = np.zeros(2, np.int64)
        self._queue = FindingQueue()

    @property
    def operating(self) -> list[Operating]:
        """What each chart can be expected to do."""
        return [*self._labels.operating, *self._scores.operating]

    def told_of(self, scores: Floats, labels: Floats) -> dict[str, list[int]]:
        """Return the places of (n,) scores and labels at which each chart alarms, by subject; without a memory."""
        series, stamps = {SUBJECTS["labels"]: (self._labels, labels)}, np.arange(len(scores))
        series[SUBJECTS["scores"]] = self._scores, scores
        return {
            subject: [alarm.place for alarm in chart.fresh().watch(0, values, stamps)]
            for subject, (chart, values) in series.items()
        }

    def observe(self, records: Records) -> None:
        """Take decisions and joined outcomes; anything else is left."""
        if are_decisions(records):
            scored = scored_of(records, self._version)
            for instrument, places in scored.by_instrument():
                self._watch_scores(instrument, records, scored.at(places))
        elif are_joined(records):
            own = known_of(records, self._version)
            self._counts += (len(own), int((own["label"] > 0.5).sum()))
            for instrument, places in by_instrument(own):
                self._watch_labels(instrument, own[places])

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return how near to an alarm the share of class 1 is, by labels and by scores, by instrument."""
        return [
            Gauge(
                family="evidence",
                subject=SUBJECTS[source],
                instrument=symbol_of(self._instruments, instrument),
                value=share,
            )
            for source, chart in (("labels", self._labels), ("scores", self._scores))
            for instrument, share in chart.shares().items()
        ]

    def summary(self) -> BalanceSummary:
        """Return the mix by every way there is."""
        scores = np.concatenate([np.empty(0), *self._recent.values()])
        ways = [self._shift.by_confusion(scores), self._shift.by_likelihood(scores)]
        first, second = ((float(w.shares[1]), float(w.low[1]), float(w.high[1])) for w in ways)
        n, yes = (int(count) for count in self._counts)
        return BalanceSummary(
            training=self._shift.prior,
            labelled=yes / n if n else float("nan"),
            labels=n,
            by_confusion=first,
            by_likelihood=second,
        )

    def state(self) -> State:
        """Return memories, last scores, counts and findings not yet taken."""
        state: State = {"counts": self._counts.copy(), "findings": self._queue.to_array()}
        state |= {f"recent.{instrument}": scores.copy() for instrument, scores in self._recent.items()}
        return state | self._labels.export("labels.") | self._scores.export("scores.")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned."""
        self._counts = state["counts"].copy()
        self._queue.from_array(state["findings"])
        self._recent = {int(key): recent.copy() for key, recent in part_of(state, "recent.").items()}
        self._labels.take_back(state, "labels.")
        self._scores.take_back(state, "scores.")

    def _watch_scores(self, instrument: int, decisions: Records, own: Scored) -> None:
        """Chart an instrument's scores; an alarm is explained by the mix behind the scores since then."""
        before = self._recent.get(instrument, np.empty(0))
        scores = np.concatenate([before, own.scores])
        for alarm in self._scores.watch(instrument, own.scores, own.ts_ns):
            end = len(before) + alarm.place + 1
            since = scores[max(0, end - min(max(alarm.seen, SCORES_MIN), self._settings.window)) : end]
            self._put(decisions[own.places[alarm.place]], alarm, self._diagnosis(alarm, since))
        self._recent[instrument] = scores[-self._settings.window :]

    def _watch_labels(self, instrument: int, own: Records) -> None:
        """Chart an instrument's labels."""
        labels = (own["label"] > 0.5).astype(np.float64)
        for alarm in self._labels.watch(instrument, labels, own["ts_event_ns"]):
            low, high = wilson(alarm.mean, alarm.seen / self._horizon)
            words = (
                f"is {alarm.mean:.3f} ({low:.3f} to {high:.3f}) among the {alarm.seen} labels since "
                f"{iso(alarm.since_ns)}; {self._shift.prior:.3f} in training"
            )
            self._put(own[alarm.place], alarm, _Told(alarm.mean, self._shift.prior, UNIT, words))

    def _diagnosis(self, alarm: SeriesAlarm, scores: Floats) -> _Told:
        """Say what class mix would explain the scores, or that none does."""
        since = f"{alarm.seen} scores without labels since {iso(alarm.since_ns)}"
        if (unmixed := self._shift.unmixed(scores)) is not None:
            words = (
                f"cannot explain its scores: their mean is {unmixed.mean:.3f} over {since}, and every mix of the "
                f"classes makes it {unmixed.least:.3f} to {unmixed.most:.3f}, so more than the mix has changed"
            )
            return _Told(unmixed.mean, self._scores.mean, "score", words)
        confusion, likelihood = self._shift.by_confusion(scores), self._shift.by_likelihood(scores)
        now = float(likelihood.shares[1])
        words = self._mixed(since, confusion, likelihood)
        return _Told(now if math.isfinite(now) else alarm.mean, self._shift.prior, UNIT, words)

    def _mixed(self, since: str, confusion: Mix, likelihood: Mix) -> str:
        """Say what class mix would explain the scores, and whether both estimates agree on one."""
        agree = confusion.low[1] <= likelihood.high[1] and likelihood.low[1] <= confusion.high[1]
        verdict = (
            "if only the mix of classes has changed, both say the same"
            if agree
            else "the two disagree, so more than the mix of classes has changed"
        )
        return (
            f"seems to be {likelihood.shares[1]:.3f} ({likelihood.low[1]:.3f} to {likelihood.high[1]:.3f}) by "
            f"likelihood and {confusion.shares[1]:.3f} ({confusion.low[1]:.3f} to {confusion.high[1]:.3f}) by the "
            f"confusion matrix, from {since}; {self._shift.prior:.3f} in training; {verdict}"
        )

    def _put(self, last: np.void, alarm: SeriesAlarm, told: _Told) -> None:
        """Put an alarm; `last` is the decision, or the joined outcome, that raised it."""
        symbols, instrument = self._instruments, last["instrument"]
        source = "labels" if last.dtype == JOINED else "scores"
        of = f" of {symbols[instrument]}" if instrument < len(symbols) else ""
        sequence, known = last["sequence"], last["ts_known_ns" if source == "labels" else "ts_event_ns"]
        self._queue.put(
            Finding(
                monitor=NAME,
                subject=SUBJECTS[source],
                kind=KIND,
                sequence=int(sequence),
                ts_event_ns=int(known),
                since_ns=alarm.since_ns,
                observed=told.now,
                reference=told.reference,
                unit=told.unit,
                statistic=alarm.statistic,
                threshold=alarm.threshold,
                false_alarms_per_10k=self._settings.false_alarms_per_10k,
                sentence=f"The share of class 1{of} {told.words}.",
            )
        )


def wilson(share: float, n: float, z: float = Z_LEVEL) -> tuple[float, float]:
    """Return the Wilson interval of a share among n independent draws; 0 to 1 for none."""
    if n <= 0:
        return 0.0, 1.0
    centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z * math.sqrt(max(0.0, share * (1.0 - share)) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
