"""How soon a changed mix of classes, and a group that fares worse than others, are heard: their operating tables.

Idea:   the version's own out-of-fold cases are the reference. A harm is put into a ring of them, and the monitor plays
        it from evenly spread places, as `delays` does for the other monitors: the middle wait over all starts.
Units:  waits in labelled cases.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.judge.monitor.base import Records
from tradeworthy.judge.monitor.class_balance import SUBJECTS, ClassBalanceMonitor
from tradeworthy.judge.monitor.control_charts.delays import MonitorTable, SeriesTable, middle, starts
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings
from tradeworthy.judge.monitor.grouping import Trained, places_of_training
from tradeworthy.judge.monitor.joins.outcomes import JOINED

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MORE_POINTS = (10, 20)
"""Percentage points by which the share of class 1 may rise."""

LOST_POINTS = (5, 20)
"""Percentage points of accuracy that one group may lose."""

SELECTED_POINTS = 20
"""Percentage points by which one group may be selected more often."""


UNSEEN = "the reference cannot support this rate for: {}; cases are too few, or tell too little"


class _Cases(NamedTuple):
    """(n,) scores and labels of cases."""

    scores: Floats
    labels: Floats


def more_name(points: int, subject: str = SUBJECTS["labels"]) -> str:
    """Name a rise of the share of class 1, by what shall hear it.

    >>> more_name(10)
    '10 points more of class 1'
    >>> more_name(10, SUBJECTS["scores"])
    '10 points more of class 1, before labels'
    """
    return f"{points} points more of class 1{', before labels' if subject == SUBJECTS['scores'] else ''}"


def lost_name(points: int) -> str:
    """Name a loss of accuracy that befalls one group alone.

    >>> lost_name(5)
    'accuracy of a group -5 points'
    """
    return f"accuracy of a group -{points} points"


SELECTED_NAME = f"a group selected {SELECTED_POINTS} points more"
OF_LABELLED = (
    *(more_name(points, subject) for subject in SUBJECTS.values() for points in MORE_POINTS),
    *map(lost_name, LOST_POINTS),
    SELECTED_NAME,
)
"""All harms of labelled cases, by name."""


def balance_table(
    monitor: ClassBalanceMonitor, trained: Trained, rate: float, *, rng: np.random.Generator
) -> MonitorTable:
    """Return what a monitor of the class mix can see.

    Parameters
    ----------
    monitor : ClassBalanceMonitor
        Calibrated on `trained`.
    trained : Trained
        Out of fold, in time order.
    rate : float
        False alarms per 10,000 decisions that it was calibrated to.
    rng : numpy.random.Generator
        Draws which cases are of the other class.
    """
    cases = _Cases(trained.scores, trained.labels)
    before = monitor.told_of(*cases)
    waits: dict[str, dict[str, float | None]] = {subject: {} for subject in before}
    for points in MORE_POINTS:
        harmed = _of_more(cases, points / 100.0, rng)
        played = [monitor.told_of(*(np.roll(part, -start) for part in harmed)) for start in starts(len(harmed.scores))]
        for subject, delays in waits.items():
            delays[more_name(points, subject)] = _middle_of([told[subject] for told in played], len(harmed.scores))
    series = [
        SeriesTable(
            name=point.name,
            shift_seen_sd=point.shift_seen_sd,
            delays=waits[point.name],
            said=_unseen(
                waits[point.name],
                "the reference cannot support this rate for: {}; cases are too few, or tell too little",
            ),
        )
        for point in monitor.operating
    ]
    return MonitorTable(
        monitor="class_balance",
        false_alarms_per_10k=rate,
        reference_rows=len(cases.scores),
        reference_alarms=sum(len(told) for told in before.values()),
        series=series,
    )


def _of_more(cases: _Cases, share: float, rng: np.random.Generator) -> _Cases:
    """Return cases of which so much more are of class 1: those drawn get the score and label of one that is."""
    is_one = cases.labels > 0.5
    others = float(np.mean(~is_one))
    turned = ~is_one & (rng.random(len(is_one)) < share / max(others, share))
    scores, labels = cases.scores.copy(), cases.labels.copy()
    scores[turned] = rng.choice(cases.scores[is_one], int(turned.sum()))
    labels[turned] = 1.0
    return _Cases(scores, labels)


def groups_table(
    monitor: FairnessMonitor, trained: Trained, settings: FairnessSettings, *, rng: np.random.Generator
) -> MonitorTable | None:
    """Return what a monitor of groups can see of its groupings that training knows; None where it knows none.

    Parameters
    ----------
    monitor : FairnessMonitor
        Fresh; it is played many times, and left fresh.
    trained : Trained
        Out of fold, in time order, with rows where they are kept.
    settings : FairnessSettings
        Of the monitor.
    rng : numpy.random.Generator
        Draws whose labels and scores change.
    """
    tape, cases, series = _Tape(monitor, trained), _Cases(trained.scores, trained.labels), list[SeriesTable]()
    for grouping in monitor.groupings:
        places = places_of_training(grouping, trained)
        if places is None or len(seen := np.unique(places[places >= 0], return_counts=True)[0]) < 2:
            continue
        sizes = np.bincount(places[places >= 0])
        largest = places == int(np.argmax(sizes))
        delays = {
            harm: _middle_of([tape.told(harmed, grouping.by, start) for start in starts(len(places))], len(places))
            for harm, harmed in _of_group(cases, largest, settings, rng).items()
        }
        words = f"a look at {settings.window:,} cases in {len(seen)} groups is too few at this rate for: {{}}"
        series.append(SeriesTable(name=grouping.by, shift_seen_sd=None, delays=delays, said=_unseen(delays, words)))
    if not series:
        return None
    return MonitorTable(
        monitor="fairness",
        false_alarms_per_10k=settings.false_alarms_per_10k,
        reference_rows=len(cases.scores),
        reference_alarms=len(tape.told(cases, "", 0)),
        series=series,
    )


def _of_group(
    cases: _Cases, group: Bools, settings: FairnessSettings, rng: np.random.Generator
) -> Mapping[str, _Cases]:
    """Return what may befall one group: less accuracy, and being selected more often; the others are as they were."""
    scores, labels = cases
    yes = scores > settings.score_cut
    right, harms = yes == (labels > settings.label_cut), dict[str, _Cases]()
    accuracy, others = float(right[group].mean()), float((~yes)[group].mean())
    for points in LOST_POINTS:
        share = points / 100.0
        turned = group & right & (rng.random(len(scores)) < share / max(accuracy, share))
        harms[lost_name(points)] = _Cases(scores, np.where(turned, 2.0 * settings.label_cut - labels, labels))
    share = SELECTED_POINTS / 100.0
    turned = group & ~yes & (rng.random(len(scores)) < share / max(others, share))
    raised = scores.copy()
    raised[turned] = rng.choice(scores[yes], int(turned.sum())) if yes.any() else np.inf
    return harms | {SELECTED_NAME: _Cases(raised, labels)}


class _Tape:
    """Plays cases to a fresh monitor of groups as a watcher would: rows, inputs and decisions, and then outcomes."""

    def __init__(self, monitor: FairnessMonitor, trained: Trained) -> None:
        self._monitor, self._fresh, self._trained = monitor, monitor.state(), trained

    def told(self, cases: _Cases, by: str, start: int) -> list[int]:
        """Return the places, from a start on, at which a gap of a grouping is told; of any if none is named."""
        self._monitor.restore(self._fresh)
        for records in self._records(cases, start):
            self._monitor.observe(records)
        found = self._monitor.findings()
        self._monitor.restore(self._fresh)
        return [finding.sequence for finding in found if finding.subject.startswith(f"{by} " if by else "")]

    def _records(self, cases: _Cases, start: int) -> list[Records]:
        n, (version, trained) = len(cases.scores), (self._monitor.version, self._trained)
        numbers, times = np.arange(n, dtype=np.uint64), np.roll(trained.ts_ns, -start)
        inputs, decisions, joined = np.zeros(n, event_dtype()), np.zeros(n, DECISION), np.zeros(n, JOINED)
        rows = np.zeros(n, row_dtype(trained.rows.shape[1], 1))
        inputs["kind"], inputs["values"] = Kind.ROW, np.nan
        inputs["sequence"] = decisions["input_sequence"] = decisions["sequence"] = numbers
        rows["decision"], rows["row"] = numbers, np.roll(trained.rows, -start, axis=0)
        joined["sequence"] = joined["decision"] = numbers
        decisions["version"] = joined["version"] = version
        joined["ts_event_ns"] = joined["ts_known_ns"] = times
        joined["score"], joined["label"] = (np.roll(part, -start) for part in cases)
        return [rows, inputs, decisions, joined]


def _middle_of(told: list[list[int]], n: int) -> float | None:
    """Return the middle wait for what was told from each start; None beyond a ring of n."""
    return middle([(places[0] if places else n) + 1 for places in told], n)


def _unseen(delays: Mapping[str, float | None], words: str) -> str:
    """Say which harms are not seen; nothing if all are."""
    unseen = [harm for harm, delay in delays.items() if delay is None]
    return words.format("; ".join(unseen)) if unseen else ""
