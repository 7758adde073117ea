"""Streaming fairness: whether the model serves its groups alike (instruments, sessions, weekdays, a column's values).

Idea:   labelled decisions are counted by group; every window of them is one look. A gap between two groups is told if
        its lower bound passes what is allowed, beyond the gap that training showed. Looks do not overlap and each
        compares all pairs of groups in three rates, so the asked rate sets how far out a bound must lie.
Flow:   joined outcomes (and rows, for a column) -> groups -> counts, in all and of the window -> finding.
State:  counts, outcomes whose row is not read yet, findings not yet taken.
Time:   sessions are hours of the UTC day, by the decision's event time.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.judge.monitor.base import FindingQueue, Records, State, are_rows, chosen, followed_by
from tradeworthy.judge.monitor.fairness import COUNTS, RATES, FairnessTable, Gap, count_groups, fairness_table
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.joins.joined import are_joined
from tradeworthy.judge.monitor.joins.outcomes import JOINED

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

NAME = "fairness"
KIND = "fairness"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
THURSDAY = 3
"""The weekday on which the count of days begins (1 January 1970)."""

SESSIONS = ((0, 8, "00-08 UTC"), (8, 16, "08-16 UTC"), (16, 24, "16-24 UTC"))
REPEATS_MAX = 10
WAITING_MAX = 100_000
WORDS = {
    "selection_rate": "calls a rise",
    "true_positive_rate": "finds the rises",
    "false_positive_rate": "calls a rise falsely",
}


class FairnessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[monitor.fairness]`` of tradeworthy.toml.

    Attributes
    ----------
    by : tuple of str
        What groups are made of: ``instrument``, ``session``, ``weekday``, or the name of a feature.
    cuts : dict of str to tuple of float
        Where a feature's values are cut into groups; without cuts it is above or not above 0.5, as for a flag.
    false_alarms_per_10k : float
        Per 10,000 labelled decisions, of all groupings together.
    window : int
        Labelled decisions of one look.
    allowed : float
        A gap this wide between two groups' rates is put up with, beyond the one in training.
    score_cut : float
        Scores above call a rise.
    """

    by: tuple[str, ...] = ("instrument", "session", "weekday")
    cuts: dict[str, tuple[float, ...]] = {}
    false_alarms_per_10k: float = 0.2
    window: int = 2_000
    allowed: float = 0.1
    score_cut: float = 0.5


class Grouping:
    """Puts decisions into groups by one property.

    Parameters
    ----------
    by : str
        ``instrument``, ``session``, ``weekday``, or a feature.
    instruments, features : sequence of str
        Known names.
    cuts : sequence of float
        Of a feature.
    """

    def __init__(self, by: str, instruments: Sequence[str], features: Sequence[str], cuts: Sequence[float]) -> None:
        self.by, self.column = by, features.index(by) if by in features else -1
        self._cuts = np.array(sorted(cuts) if cuts else [0.5])
        if by == "instrument":
            self.names = list(instruments)
        elif by == "session":
            self.names = [name for _, _, name in SESSIONS]
        elif by == "weekday":
            self.names = list(WEEKDAYS)
        else:
            ends = [f"{cut:g}" for cut in self._cuts]
            self.names = [f"{by} up to {ends[0]}"]
            self.names += [f"{by} {low} to {high}" for low, high in pairwise(ends)]
            self.names += [f"{by} over {ends[-1]}"]

    def places(self, ts_ns: Longs, instruments: Longs, values: Floats) -> Longs:
        """Return the group of each of (n,) decisions; `values` are those of the column."""
        if self.by == "instrument":
            return np.minimum(instruments, len(self.names) - 1)
        if self.by == "session":
            hours = ts_ns % NS_PER_DAY // NS_PER_HOUR
            return np.searchsorted([end for _, end, _ in SESSIONS], hours, side="right").astype(np.int64)
        if self.by == "weekday":
            days: Longs = (ts_ns // NS_PER_DAY + THURSDAY) % len(WEEKDAYS)
            return days
        return np.searchsorted(self._cuts, values, side="left").astype(np.int64)


class FairnessMonitor:
    """Watches the gaps between groups in one version's labelled decisions.

    Parameters
    ----------
    version : int
        The version's number.
    instruments, features : sequence of str
        Symbols; the program's features.
    horizon : int
        Events from a decision to its label.
    training : tuple of (n,) arrays, optional
        Scores, labels and event times out of fold: what training showed, by session and weekday.
    settings : FairnessSettings, optional
        Defaults if left out. Unknown names in `by` are left out where the version has no such feature.
    """

    def __init__(
        self,
        *,
        version: int,
        instruments: Sequence[str],
        features: Sequence[str] = (),
        horizon: int = 1,
        training: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None,
        settings: FairnessSettings | None = None,
    ) -> None:
        self._settings = each = settings or FairnessSettings()
        self._version, self._horizon = version, horizon
        known = [by for by in each.by if by in ("session", "weekday") or by in features]
        known += ["instrument"] if "instrument" in each.by and len(instruments) > 1 else []
        self._groupings = [Grouping(by, instruments, list(features), each.cuts.get(by, ())) for by in known]
        self._needs_rows = any(grouping.column >= 0 for grouping in self._groupings)
        self._training = [self._training_counts(grouping, training) for grouping in self._groupings]
        self._totals = [np.zeros((len(g.names), COUNTS), np.int64) for g in self._groupings]
        self._window = [counts.copy() for counts in self._totals]
        self._pauses = np.zeros((len(self._groupings), 2), np.int64)  # looks to skip, and how often told in a row
        self._seen = 0
        self._waiting = np.empty(0, JOINED)
        self._row_keys, self._rows = np.empty(0, np.uint64), np.empty((0, max(1, len(features))))
        self._queue = FindingQueue()

    def observe(self, records: Records) -> None:
        """Take joined outcomes, and rows where a column makes the groups; anything else is left."""
        if are_joined(records):
            own = chosen(records, (records["version"] == self._version) & np.isfinite(records["label"]))
            self._waiting = followed_by(self._waiting, own)[-WAITING_MAX:]
        elif self._needs_rows and are_rows(records) and records["row"].shape[1] == self._rows.shape[1]:
            self._row_keys = np.concatenate([self._row_keys, records["decision"]])[-WAITING_MAX:]
            self._rows = np.concatenate([self._rows, records["row"]])[-WAITING_MAX:]
        else:
            return
        self._count(*self._ready())

    def findings(self) -> list[Finding]:
        """Return what was found since the last call."""
        return self._queue.take()

    def gauges(self) -> list[Gauge]:
        """Return the gap between the groups of every grouping so far, by rate; NaN where a group has too little."""
        tables = [
            (grouping.by, fairness_table(totals, grouping.names, horizon=self._horizon))
            for grouping, totals in zip(self._groupings, self._totals, strict=True)
        ]
        return [
            Gauge(family="value", subject=f"{by} {rate}", value=gap.difference)
            for by, table in tables
            for rate, gap in table.gaps.items()
        ]

    def tables(self) -> dict[str, FairnessTable]:
        """Return the table of each grouping, over all labelled decisions so far."""
        return {
            grouping.by: fairness_table(counts, grouping.names, training=training, horizon=self._horizon)
            for grouping, counts, training in zip(self._groupings, self._totals, self._training, strict=True)
        }

    def state(self) -> State:
        """Return counts, what waits, and findings not yet taken."""
        state: State = {
            "seen": np.array([self._seen]),
            "pauses": self._pauses.copy(),
            "waiting": self._waiting.copy(),
            "row_keys": self._row_keys.copy(),
            "rows": self._rows.copy(),
            "findings": self._queue.to_array(),
        }
        for grouping, totals, window in zip(self._groupings, self._totals, self._window, strict=True):
            state |= {f"totals.{grouping.by}": totals.copy(), f"window.{grouping.by}": window.copy()}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state that `state` returned; a grouping that it does not know starts afresh."""
        self._seen, self._waiting = int(state["seen"][0]), state["waiting"].astype(JOINED)
        self._row_keys, self._rows = state["row_keys"].copy(), state["rows"].copy()
        if state["pauses"].shape == self._pauses.shape:
            self._pauses = state["pauses"].copy()
        self._queue.from_array(state["findings"])
        for place, grouping in enumerate(self._groupings):
            if f"totals.{grouping.by}" in state:
                self._totals[place] = state[f"totals.{grouping.by}"].copy()
                self._window[place] = state[f"window.{grouping.by}"].copy()

    def _training_counts(
        self, grouping: Grouping, training: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None
    ) -> Longs | None:
        """Return what training showed by group, where its times tell the group."""
        if training is None or grouping.by not in ("session", "weekday"):
            return None
        scores, labels, ts_ns = (np.asarray(each) for each in training)
        places = grouping.places(ts_ns.astype(np.int64), np.zeros(len(ts_ns), np.int64), np.zeros(len(ts_ns)))
        return count_groups(places, scores > self._settings.score_cut, labels, len(grouping.names))

    def _ready(self) -> tuple[Records, Floats]:
        """Return the outcomes, in order, whose rows are read, with their rows."""
        if not self._needs_rows:
            ready, self._waiting = self._waiting, self._waiting[:0]
            return ready, np.zeros((len(ready), self._rows.shape[1]))
        newest = int(self._row_keys[-1]) if len(self._row_keys) else 0
        unread = np.flatnonzero(self._waiting["decision"] > newest)
        count = int(unread[0]) if len(unread) else len(self._waiting)
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        at = np.searchsorted(self._row_keys, ready["decision"])
        found = at < len(self._row_keys)
        found[found] = self._row_keys[at[found]] == ready["decision"][found]
        return ready[found], self._rows[at[found]]

    def _count(self, ready: Records, rows: Floats) -> None:
        """Count outcomes by group, and look at the gaps each time a window is full."""
        start = 0
        while start < len(ready):
            end = min(len(ready), start + self._settings.window - self._seen)
            for place, grouping in enumerate(self._groupings):
                fresh = self._counts_of(grouping, ready[start:end], rows[start:end])
                self._totals[place] += fresh
                self._window[place] += fresh
            self._seen += end - start
            if self._seen == self._settings.window:
                self._look(ready[end - 1])
                self._seen = 0
                for counts in self._window:
                    counts[:] = 0
            start = end

    def _counts_of(self, grouping: Grouping, part: Records, rows: Floats) -> Longs:
        values = rows[:, grouping.column] if grouping.column >= 0 else np.zeros(len(part))
        places = grouping.places(part["ts_event_ns"], part["instrument"].astype(np.int64), values)
        return count_groups(places, part["score"] > self._settings.score_cut, part["label"], len(grouping.names))

    def _look(self, last: np.void) -> None:
        """Tell the widest gap of each grouping whose lower bound passes what is allowed, rarer while it stays."""
        for place, grouping in enumerate(self._groupings):
            z, groups = self._critical(), grouping.names
            table = fairness_table(self._window[place], groups, horizon=self._horizon, z=z)
            told = []
            for rate, gap in table.gaps.items():
                allowed = self._settings.allowed + self._training_gap(place, rate, gap)
                if gap.difference_low > allowed:
                    told.append((gap.difference_low - allowed, gap, allowed))
            pause = self._pauses[place]
            if pause[0] > 0:
                pause[0] -= 1
            elif not told:
                pause[1] = 0
            else:
                pause[:] = 2 ** min(pause[1] + 1, REPEATS_MAX) - 1, pause[1] + 1
                self._put(grouping, max(told, key=lambda each: each[0])[1:], table, last, z)

    def _critical(self) -> float:
        """Return how far out a bound must lie, so that all comparisons of a look alarm as rarely as asked."""
        pairs = sum(len(g.names) * (len(g.names) - 1) for g in self._groupings)
        chance = self._settings.false_alarms_per_10k * self._settings.window / 1e4 / max(1, pairs * len(RATES))
        return max(1.96, NormalDist().inv_cdf(1.0 - min(0.025, chance)))

    def _training_gap(self, place: int, rate: str, gap: Gap) -> float:
        """Return the gap that training showed between the same two groups."""
        training, names = self._training[place], self._groupings[place].names
        if training is None or not gap.highest:
            return 0.0
        shown = fairness_table(training, names).groups
        values = [shown[name][rate].value if name in shown else float("nan") for name in (gap.highest, gap.lowest)]
        difference = values[0] - values[1]
        return max(0.0, difference) if np.isfinite(difference) else 0.0

    def _put(self, grouping: Grouping, told: tuple[Gap, float], table: FairnessTable, last: np.void, z: float) -> None:
        gap, allowed = told
        top, bottom = table.groups[gap.highest][gap.rate], table.groups[gap.lowest][gap.rate]
        self._queue.put(
            Finding(
                monitor=NAME,
                subject=f"{grouping.by} {gap.rate}",
                kind=KIND,
                sequence=int(last["sequence"]),
                ts_event_ns=int(last["ts_known_ns"]),
                since_ns=int(last["ts_event_ns"]),
                observed=gap.difference,
                reference=allowed,
                unit="difference of rates",
                statistic=gap.difference_low,
                threshold=allowed,
                false_alarms_per_10k=self._settings.false_alarms_per_10k,
                sentence=(
                    f"By {grouping.by}: the model {WORDS[gap.rate]} in {top.value:.1%} of cases for {gap.highest} "
                    f"({top.hits} of {top.n}) and in {bottom.value:.1%} for {gap.lowest} ({bottom.hits} of "
                    f"{bottom.n}); the difference is {gap.difference:.3f}, at least {gap.difference_low:.3f} (bound at "
                    f"{z:.1f} standard errors), and {allowed:.3f} is allowed."
                ),
            )
        )
