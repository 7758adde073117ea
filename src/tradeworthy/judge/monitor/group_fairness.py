"""Streaming fairness: whether the model serves its groups alike (instruments, sessions, regimes, a column's values).

Idea:   labelled decisions are counted by group; every window of them is one look. A gap between two groups is told if
        its lower bound passes what is allowed, beyond the gap that training showed. Looks do not overlap and each
        compares all pairs of groups in every rate, so the asked rate sets how far out a bound must lie.
Flow:   joined outcomes (and rows or inputs, for a column) -> groups -> counts, in all and of the window -> finding.
State:  counts, outcomes whose row or input is not read yet, findings not yet taken.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.allowed import require
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import zone_of
from tradeworthy.judge.monitor.base import (
    FindingQueue,
    Records,
    State,
    are_decisions,
    are_events,
    are_rows,
    followed_by,
    part_of,
    places_of,
)
from tradeworthy.judge.monitor.class_balance import Z_LEVEL
from tradeworthy.judge.monitor.fairness import (
    CALIBRATION,
    RATES,
    FairnessTable,
    Gap,
    GroupCounts,
    fairness_table,
    rates_of,
)
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.grouping import Columns, Grouping, Known, Trained, places_of_training
from tradeworthy.judge.monitor.joins.asked import AskedAt
from tradeworthy.judge.monitor.joins.joined import are_joined, known_of
from tradeworthy.judge.monitor.joins.outcomes import JOINED

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

NAME = "fairness"
KIND = "fairness"
REPEATS_MAX = 10
LABEL_CUT = 0.5
"""Of labels of 0 and 1; with any other the scores are no probabilities."""

WAITING_MAX = 100_000
NOTHING: Floats = np.empty(0)
OF_RISES = {
    "selection_rate": "calls a rise",
    "true_positive_rate": "finds the rises",
    "false_positive_rate": "calls a rise falsely",
}
OF_OUTCOMES = {
    "selection_rate": "scores above the cut",
    "true_positive_rate": "scores above the cut, where the outcome was 1,",
    "false_positive_rate": "scores above the cut, where the outcome was 0,",
}


class FairnessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.fairness]`` of tradeworthy.toml.

    Attributes
    ----------
    by : tuple of str
        What groups are made of: ``instrument``, ``venue``, ``session``, ``weekday``, ``regime`` (how wild the market
        has been of late), the name of a feature, or that of a column of pushed rows, which no version need read.
    cuts : dict of str to tuple of float
        Where a column's values are cut into groups; without cuts it is above or not above 0.5, as for a flag, and one
        of text makes a group of each word.
    venues : dict of str to tuple of str
        Which instruments trade where, for ``venue``.
    columns : tuple of str
        What stands in pushed rows, in its order: the strategy's ``row_fields`` and whatever is behind them. It begins
        as the ``fields`` of ``[[rows]]`` do, as far as all of them agree; left out, it is these. What stands behind
        ``row_fields`` and the outcome, a caller of the port may send as ``groups``.
    words : dict of str to tuple of str
        The words of columns that hold text, each by its place. Left out, they are the ``categories`` of ``[[rows]]``.
    time_zone : str
        By whose clocks sessions and weekdays are told, an IANA name such as ``America/New_York``.
    false_alarms_per_10k : float
        Per 10,000 labelled decisions, of all groupings together.
    window : int
        Labelled decisions of one look.
    allowed : float
        A gap this wide between two groups' rates is put up with, beyond the one in training.
    allowed_miss : float
        As much may one group's mean of scores less labels differ from another's, beyond training.
    score_cut, label_cut : float
        Scores above are selected (call a rise); labels above are of class 1. Both 0 for a model of returns, whose
        scores are no probabilities: their calibration is not compared.
    """

    by: tuple[str, ...] = ("instrument", "session", "weekday")
    cuts: dict[str, tuple[float, ...]] = {}
    venues: dict[str, tuple[str, ...]] = {}
    columns: tuple[str, ...] = ()
    words: dict[str, tuple[str, ...]] = {}
    time_zone: str = "UTC"
    false_alarms_per_10k: float = 0.2
    window: int = 2_000
    allowed: float = 0.1
    allowed_miss: float = 0.05
    score_cut: float = 0.5
    label_cut: float = 0.5

    def __post_init__(self) -> None:
        """Refuse numbers that let nothing be seen, and clocks that nobody keeps."""
        require(self, "monitor.fairness", counts=["window"], signed=["score_cut", "label_cut"])
        zone_of(self.time_zone)


class FairnessMonitor:
    """Watches the gaps between groups in one version's labelled decisions.

    Parameters
    ----------
    version : int
        The version's number.
    instruments, features, fields : sequence of str
        Symbols; the program's features; the fields of pushed rows, in the order of their values, where the settings do
        not name them.
    horizon : int
        Events from a decision to its label.
    trained : Trained, optional
        What training showed; gaps are told beyond it where it knows the groups (sessions, weekdays, features).
    outcomes : bool
        Labels are outcomes that are reported, not rises of a market: findings speak of them so.
    settings : FairnessSettings, optional
        Defaults if left out. Names in `by` that the version does not have are `unknown`.
    """

    def __init__(
        self,
        *,
        version: int,
        instruments: Sequence[str],
        features: Sequence[str] = (),
        fields: Sequence[str] = (),
        horizon: int = 1,
        trained: Trained | None = None,
        outcomes: bool = False,
        settings: FairnessSettings | None = None,
    ) -> None:
        self._settings = each = settings or FairnessSettings()
        self.version, self._horizon, self._cuts = version, horizon, (each.score_cut, each.label_cut)
        fields = each.columns or fields
        columns = Columns(instruments, features, fields, each.venues, each.time_zone, each.words)
        self.groupings = [Grouping(by, columns, each.cuts.get(by, ())) for by in each.by if columns.know(by)]
        self.unknown = [by for by in each.by if by != "instrument" and not columns.know(by)]
        self._words = OF_OUTCOMES if outcomes else OF_RISES
        self._needs_rows = any(grouping.needs == "feature" for grouping in self.groupings)
        self._needs_inputs = any(grouping.needs in ("field", "wildness") for grouping in self.groupings)
        self._asked = AskedAt(version, range(len(fields)), len(instruments))
        self._trained = [self._counts_of_training(grouping, trained) for grouping in self.groupings]
        self._totals = [GroupCounts.none(len(grouping.names)) for grouping in self.groupings]
        self._window = [GroupCounts.none(len(grouping.names)) for grouping in self.groupings]
        self._z = self._critical()
        self._pauses = np.zeros((len(self.groupings), 2), np.int64)  # looks to skip, and how often told in a row
        self._seen, self._since_ns = 0, 0
        self._waiting = np.empty(0, JOINED)
        self._row_keys, self._rows = np.empty(0, np.uint64), np.empty((0, max(1, len(features))))
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take joined outcomes, and what makes the groups: rows, decisions and inputs; anything else is left."""
        if are_joined(records):
            known = known_of(records, self.version)
            self._waiting = followed_by(self._waiting, known)[-WAITING_MAX:] if len(self._waiting) else known
        elif self._needs_rows and are_rows(records) and records["row"].shape[1] == self._rows.shape[1]:
            self._row_keys = np.concatenate([self._row_keys, records["decision"]])[-WAITING_MAX:]
            self._rows = np.concatenate([self._rows, records["row"]])[-WAITING_MAX:]
        elif self._needs_inputs and (are_decisions(records) or are_events(records)):
            self._asked.observe(records)
        else:
            return
        self._count(self._ready())

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return the gap between the groups of every grouping so far, by rate, and how far bias is amplified.

        NaN where a group has too little.
        """
        found = []
        for by, table in self.tables().items():
            gaps = {f"{by} {rate}": gap.difference for rate, gap in table.gaps.items()}
            shares = {f"{by} amplification for {name}": share for name, share in table.amplification.items()}
            found += [Gauge(family="value", subject=name, value=value) for name, value in {**gaps, **shares}.items()]
        return found

    def tables(self) -> dict[str, FairnessTable]:
        """Return the table of each grouping, over all labelled decisions so far."""
        return {
            grouping.by: self._table(totals, grouping, training=trained.cases if trained is not None else None)
            for grouping, totals, trained in zip(self.groupings, self._totals, self._trained, strict=True)
        }

    def state(self) -> State:
        """Return counts, what waits, and findings not yet taken."""
        state: State = {
            "seen": np.array([self._seen, self._since_ns]),
            "pauses": self._pauses.copy(),
            "waiting": self._waiting.copy(),
            "row_keys": self._row_keys.copy(),
            "rows": self._rows.copy(),
            "findings": self._queue.to_array(),
        }
        state |= {f"asked.{name}": array for name, array in self._asked.state().items()}
        for name, counts in self._named_counts().items():
            state |= {name: counts.cases.copy(), f"misses.{name}": counts.misses.copy()}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned; a grouping that it does not know starts afresh."""
        self._seen, self._since_ns = int(state["seen"][0]), int(state["seen"][-1])
        self._waiting = state["waiting"].astype(JOINED)
        self._row_keys, self._rows = state["row_keys"].copy(), state["rows"].copy()
        if state["pauses"].shape == self._pauses.shape:
            self._pauses = state["pauses"].copy()
        self._queue.from_array(state["findings"])
        self._asked.restore(part_of(state, "asked."))
        for name, counts in self._named_counts().items():
            if f"misses.{name}" in state and state[name].shape == counts.cases.shape:
                counts.cases[:], counts.misses[:] = state[name], state[f"misses.{name}"]

    def _named_counts(self) -> dict[str, GroupCounts]:
        """Return all counts under the names that a state gives them."""
        places = range(len(self.groupings))
        totals = {f"totals.{self.groupings[place].by}": self._totals[place] for place in places}
        return totals | {f"window.{self.groupings[place].by}": self._window[place] for place in places}

    def _counts_of_training(self, grouping: Grouping, trained: Trained | None) -> GroupCounts | None:
        """Return what training showed by group, where its times and rows tell the group."""
        if trained is None or (places := places_of_training(grouping, trained)) is None:
            return None
        counts = GroupCounts.none(len(grouping.names))
        counts.add(places, trained.scores, trained.labels, self._cuts)
        return counts if counts.cases.any() else None

    def _table(
        self, counts: GroupCounts, grouping: Grouping, *, training: Longs | None = None, z: float = Z_LEVEL
    ) -> FairnessTable:
        """Return the table of counts; the calibration of a model of returns is left out."""
        return fairness_table(
            counts.cases, grouping.names, misses=self._misses(counts), training=training, horizon=self._horizon, z=z
        )

    def _misses(self, counts: GroupCounts) -> Floats | None:
        """Return the sums of misses; those of a model of returns say nothing."""
        return counts.misses if self._settings.label_cut == LABEL_CUT else None

    def _is_wide(self, counts: GroupCounts, z: float) -> bool:
        """Whether the lower bound of any gap passes what is allowed without training; cheaper than a table."""
        lows = rates_of(counts.cases, self._misses(counts), self._horizon, z).gaps()[:, 3]
        return bool((lows > min(self._settings.allowed, self._settings.allowed_miss)).any())

    def _ready(self) -> Records:
        """Return the outcomes, in order, of which all that makes their groups is read."""
        read, count = list[int](), len(self._waiting)
        if self._needs_rows:
            read.append(int(self._row_keys[-1]) if len(self._row_keys) else 0)
        if self._needs_inputs:
            read.append(self._asked.newest)
        if read and len(unread := np.flatnonzero(self._waiting["decision"] > min(read))):
            count = int(unread[0])
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        return ready

    def _count(self, ready: Records) -> None:
        """Count outcomes by group, and look at the gaps each time a window is full."""
        places, start = [self._places(grouping, ready) for grouping in self.groupings], 0
        while start < len(ready):
            end = min(len(ready), start + self._settings.window - self._seen)
            part = ready[start:end]
            self._since_ns = self._since_ns if self._seen else int(part["ts_event_ns"][0])
            for own, totals, window in zip(places, self._totals, self._window, strict=True):
                totals.add(own[start:end], part["score"], part["label"], self._cuts, window)
            self._seen += end - start
            if self._seen == self._settings.window:
                self._look(part[-1])
                self._seen = 0
                for counts in self._window:
                    counts.clear()
            start = end

    def _places(self, grouping: Grouping, ready: Records) -> Longs:
        """Return the group of each outcome."""
        return grouping.places(Known(ready["ts_event_ns"], ready["instrument"], self._values(grouping, ready)))

    def _values(self, grouping: Grouping, ready: Records) -> Floats:
        """Return the value of each outcome that a grouping needs; none where it needs nothing."""
        if grouping.needs == "nothing":
            return NOTHING
        decisions = np.ascontiguousarray(ready["decision"])
        if grouping.needs != "feature":
            return self._asked.values(decisions)[:, grouping.column]  # wildness is the last
        at, values = places_of(self._row_keys, decisions), np.full(len(ready), np.nan)
        values[at >= 0] = self._rows[at[at >= 0], grouping.column]
        return values

    def _look(self, last: np.void) -> None:
        """Tell the widest gap of each grouping whose lower bound passes what is allowed, rarer while it stays."""
        z = self._z
        for place, grouping in enumerate(self.groupings):
            counts, told = self._window[place], []
            table = self._table(counts, grouping, z=z) if self._is_wide(counts, z) else None
            for rate, gap in table.gaps.items() if table is not None else ():
                allowed = self._settings.allowed_miss if rate == CALIBRATION else self._settings.allowed
                allowed += self._training_gap(place, rate, gap)
                if gap.difference_low > allowed:
                    told.append((gap.difference_low - allowed, gap, allowed))
            pause = self._pauses[place]
            if pause[0] > 0:
                pause[0] -= 1
            elif table is None or not told:
                pause[1] = 0
            else:
                pause[:] = 2 ** min(pause[1] + 1, REPEATS_MAX) - 1, pause[1] + 1
                self._put(grouping, max(told, key=lambda each: each[0])[1:], table, last, z)

    def _critical(self) -> float:
        """Return how far out a bound must lie, so that all comparisons of a look alarm as rarely as asked."""
        pairs, rates = sum(len(g.names) * (len(g.names) - 1) for g in self.groupings), len(RATES) + 1
        chance = self._settings.false_alarms_per_10k * self._settings.window / 1e4 / max(1, pairs * rates)
        return max(1.96, NormalDist().inv_cdf(1.0 - min(0.025, chance)))

    def _training_gap(self, place: int, rate: str, gap: Gap) -> float:
        """Return the gap that training showed between the same two groups."""
        trained = self._trained[place]
        if trained is None or not gap.highest:
            return 0.0
        shown = self._table(trained, self.groupings[place]).groups
        values = [shown[name][rate].value if name in shown else float("nan") for name in (gap.highest, gap.lowest)]
        difference = values[0] - values[1]
        return max(0.0, difference) if np.isfinite(difference) else 0.0

    def _put(self, grouping: Grouping, told: tuple[Gap, float], table: FairnessTable, last: np.void, z: float) -> None:
        gap, allowed = told
        is_miss = gap.rate == CALIBRATION
        self._queue.put(
            Finding(
                monitor=NAME,
                subject=f"{grouping.by} {gap.rate}",
                kind=KIND,
                sequence=int(last["sequence"]),
                ts_event_ns=int(last["ts_known_ns"]),
                since_ns=self._since_ns,
                observed=gap.difference,
                reference=allowed,
                unit="difference of mean misses" if is_miss else "difference of rates",
                statistic=gap.difference_low,
                threshold=allowed,
                false_alarms_per_10k=self._settings.false_alarms_per_10k,
                sentence=(
                    f"By {grouping.by}: {self._said(gap, table)}; the difference is {gap.difference:.3f}, at least "
                    f"{gap.difference_low:.3f} (bound at {z:.1f} standard errors), and {allowed:.3f} is allowed."
                ),
            )
        )

    def _said(self, gap: Gap, table: FairnessTable) -> str:
        """Say how the two extreme groups fare."""
        top, bottom = table.groups[gap.highest][gap.rate], table.groups[gap.lowest][gap.rate]
        if gap.rate == CALIBRATION:
            return (
                f"scores lie {top.value:+.3f} above what happens for {gap.highest} ({top.n} cases) and "
                f"{bottom.value:+.3f} for {gap.lowest} ({bottom.n})"
            )
        return (
            f"the model {self._words[gap.rate]} in {top.value:.1%} of cases for {gap.highest} "
            f"({top.hits} of {top.n}) and in {bottom.value:.1%} for {gap.lowest} ({bottom.hits} of {bottom.n})"
        )
