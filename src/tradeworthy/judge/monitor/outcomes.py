"""What became of decisions: each joined with its label, however late the label comes.

Idea:   a label comes as an OUTCOME event (its `reference` is the decision) or is computed from the market events on
        the tape, `horizon` events after the decision. Decisions wait; outcomes that come first wait too.
Flow:   decisions, events -> waiting -> joined records, in order of the record that made the label known.
State:  what waits; a decision whose label never comes is given up when the market has passed it, or when too many wait.
Time:   a label is known at the event that completes it, not before. Events that the input checks refused are no part of
        any label, as in training.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.judge.monitor.base import Records, State, are_decisions, are_events

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

JOINED = np.dtype(
    [
        ("sequence", "<u8"),  # of the input that made the label known
        ("decision", "<u8"),
        ("ts_event_ns", "<i8"),  # of the decision
        ("ts_known_ns", "<i8"),  # of the label
        ("version", "<u8"),
        ("score", "<f8"),
        ("label", "<f8"),
        ("value", "<f8"),  # what happened, in the label's own unit (a log return)
        ("instrument", "<u4"),
        ("role", "u1"),
        ("reserved", "u1", (3,)),
    ]
)
"""A decision with its label."""

MARKET = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW)
WAITING_MAX = 100_000
EVENTS_MAX = 500_000
"""What waits is bounded: the oldest go first."""


class MarketLabel(Protocol):
    """A label that market events decide, as in model.features.labels."""

    @property
    def horizon(self) -> int:
        """Events from the decision to its label."""

    def compute(
        self, events: EventBatch, instrument: int, instruments: Sequence[Instrument]
    ) -> tuple[Floats, Floats, Longs]:
        """Return labels, values and the places of their events."""


class OutcomeJoin:
    """Joins decisions with late labels.

    Parameters
    ----------
    label : MarketLabel, optional
        How to read labels from the market; without it only OUTCOME events count.
    instruments : sequence of Instrument
        The desk's list; needed with a label.
    versions : sequence of int, optional
        Only these versions' decisions; all if left out.
    lookback : int
        Events kept before the oldest waiting decision, for a label's price expression to warm up.
    """

    def __init__(
        self,
        label: MarketLabel | None = None,
        *,
        instruments: Sequence[Instrument] = (),
        versions: Sequence[int] | None = None,
        lookback: int = 64,
    ) -> None:
        self._label = label
        self._instruments = list(instruments)
        self._versions = None if versions is None else np.array(versions, np.uint64)
        self._lookback = lookback
        self._waiting = np.empty(0, DECISION)
        self._early = np.empty(0, JOINED)
        self._events: EventBatch | None = None
        self._newest = np.zeros(2, np.uint64)
        self._given_up = 0
        self._fresh = False

    @property
    def waiting(self) -> int:
        """How many decisions have no label yet."""
        return len(self._waiting)

    @property
    def given_up(self) -> int:
        """How many decisions were left without a label for good."""
        return self._given_up

    def observe(self, records: Records) -> None:
        """Take decisions and events of any stream; anything else is left."""
        if are_decisions(records):
            self._add_decisions(records)
        elif are_events(records):
            self._add_outcomes(records[records["kind"] == Kind.OUTCOME])
            if self._label is not None:
                self._add_market(records[(records["kind"] <= Kind.ROW) & (records["flags"] == 0)])

    def take(self) -> npt.NDArray[np.void]:
        """Return the (m,) JOINED records that became complete."""
        joined = [self._take_outcomes()]
        if self._fresh and self._label is not None and self._events is not None:
            joined += [self._take_market(int(i)) for i in np.unique(self._waiting["instrument"])]
            self._forget_events()
            self._fresh = False
        whole = np.concatenate(joined)
        return whole[np.lexsort((whole["decision"], whole["sequence"]))]

    def _add_decisions(self, records: Records) -> None:
        if len(records) == 0:
            return
        self._newest = np.maximum(self._newest, [records["sequence"].max(), records["input_sequence"].max()])
        own = np.isfinite(records["score"])
        if self._versions is not None:
            own &= np.isin(records["version"], self._versions)
        self._waiting = np.concatenate([self._waiting, records[own]])
        self._given_up += max(0, len(self._waiting) - WAITING_MAX)
        self._waiting = self._waiting[-WAITING_MAX:]
        self._fresh = True

    def _add_outcomes(self, outcomes: EventBatch) -> None:
        early = np.zeros(len(outcomes), JOINED)
        early["sequence"], early["decision"] = outcomes["sequence"], outcomes["reference"]
        early["ts_known_ns"] = outcomes["ts_event_ns"]
        early["label"], early["value"] = outcomes["values"][:, 0], outcomes["values"][:, 1]
        self._early = np.concatenate([self._early, early])[-WAITING_MAX:]

    def _add_market(self, events: EventBatch) -> None:
        if len(events):
            self._events = events.copy() if self._events is None else np.concatenate([self._events, events])
            self._fresh = True

    def _take_outcomes(self) -> npt.NDArray[np.void]:
        """Join outcome events with their decisions; the first label of a decision counts."""
        firsts = self._early[np.unique(self._early["decision"], return_index=True)[1]]
        at = np.searchsorted(self._waiting["sequence"], firsts["decision"])
        found = at < len(self._waiting)
        found[found] = self._waiting["sequence"][at[found]] == firsts["decision"][found]
        joined = _join(self._waiting[at[found]], firsts[found])
        self._waiting = np.delete(self._waiting, at[found])
        self._early = self._early[self._early["decision"] > self._newest[0]]
        return joined

    def _take_market(self, instrument: int) -> npt.NDArray[np.void]:
        """Join one instrument's decisions with labels read from the market."""
        events, label = self._events, self._label
        if events is None or label is None:
            return np.empty(0, JOINED)
        mine = np.flatnonzero(self._waiting["instrument"] == instrument)
        asked = self._waiting["input_sequence"][mine]
        place = np.searchsorted(events["sequence"], asked)
        known_at = _known_at(events, instrument, place, label.horizon)
        here = (place < len(events)) & (known_at < len(events))
        if not here.any():
            return np.empty(0, JOINED)
        labels, values, places = label.compute(events, instrument, self._instruments)
        by_place = np.full(len(events), -1, np.int64)
        by_place[places] = np.arange(len(places))
        row = np.full(len(mine), -1, np.int64)
        row[here] = by_place[place[here]]
        row[here] = np.where(np.isfinite(labels[row[here]]), row[here], -1) if len(labels) else -1
        good = row >= 0
        facts = np.zeros(int(good.sum()), JOINED)
        facts["label"], facts["value"] = labels[row[good]], values[row[good]]
        known = events[known_at[good]]
        facts["sequence"], facts["ts_known_ns"] = known["sequence"], known["ts_event_ns"]
        joined = _join(self._waiting[mine[good]], facts)
        self._given_up += int(np.sum(here & ~good))
        self._waiting = np.delete(self._waiting, mine[here])
        return joined

    def _forget_events(self) -> None:
        """Drop events that no decision, waiting or still unread, can need."""
        if self._events is None:
            return
        oldest = int(self._waiting["input_sequence"].min()) if len(self._waiting) else int(self._newest[1])
        cut = int(np.searchsorted(self._events["sequence"], min(oldest, int(self._newest[1]))))
        first = max(0, cut - self._lookback * max(1, len(self._instruments)), len(self._events) - EVENTS_MAX)
        self._events = self._events[first:].copy()

    def state(self) -> State:
        """Return what waits."""
        state: State = {
            "waiting": self._waiting.copy(),
            "early": self._early.copy(),
            "newest": self._newest.copy(),
            "given_up": np.array([self._given_up]),
        }
        if self._events is not None:
            state["events"] = self._events.copy()
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what waited."""
        self._waiting, self._early = state["waiting"].copy(), state["early"].copy()
        self._newest, self._given_up = state["newest"].copy(), int(state["given_up"][0])
        self._events, self._fresh = (state["events"].copy() if "events" in state else None), True


def _join(decisions: Records, facts: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return facts completed with their decisions, both (m,)."""
    joined = facts.copy()
    joined["decision"] = decisions["sequence"]
    for name in ("ts_event_ns", "version", "score", "instrument", "role"):
        joined[name] = decisions[name]
    return joined


def _known_at(events: EventBatch, instrument: int, place: Longs, horizon: int) -> Longs:
    """Return where each label is known: `horizon` events of the same kind later; past the end if not yet."""
    known = np.full(len(place), len(events), np.int64)
    inside = np.flatnonzero(place < len(events))
    for kind in np.unique(events["kind"][place[inside]]):
        beats = np.flatnonzero((events["instrument"] == instrument) & (events["kind"] == kind))
        asked = inside[events["kind"][place[inside]] == kind]
        later = np.searchsorted(beats, place[asked]) + horizon
        there = later < len(beats)
        known[asked[there]] = beats[later[there]]
    return known
