"""What became of decisions: each joined with its label, however late the label comes.

Idea:   a label comes as an OUTCOME event (its `reference` is the decision) or is computed from the market events on
        the tape, `horizon` events after the decision. Decisions wait; outcomes and labels that come first wait too.
Flow:   events -> labels; decisions + labels -> joined records, in order of the record that made the label known.
State:  what waits, and the last events of each instrument; a decision whose label never comes is given up when the
        market has passed it, or when too many wait.
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
from tradeworthy.judge.monitor.base import (
    Records,
    State,
    are_decisions,
    are_events,
    by_instrument,
    chosen,
    fields_as,
    followed_by,
    places_of,
)

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

WAITING = np.dtype(
    [(name, DECISION[name]) for name in ("sequence", "input_sequence", "ts_event_ns", "version", "score")]
    + [("instrument", "<u4"), ("role", "u1"), ("reserved", "u1", (3,))]
)
"""What is kept of a decision until its label comes."""

LABELLED = np.dtype(
    [
        ("sequence", "<u8"),  # of the event that a decision was asked at
        ("known", "<u8"),  # of the event that made the label known
        ("ts_known_ns", "<i8"),
        ("label", "<f8"),
        ("value", "<f8"),
    ]
)
"""An event with its label."""

WAITING_MAX = 100_000
"""What waits is bounded: the oldest go first."""


class MarketLabel(Protocol):
    """A label that market events decide, as in model.features.labels."""

    @property
    def horizon(self) -> int:
        """Events from the decision to its label."""

    @property
    def trigger(self) -> Kind:
        """The kind of event that the horizon counts."""

    @property
    def reach(self) -> int:
        """How many decisions share the moments of one label: 1 of outcomes, whose horizon only delays them."""

    @property
    def is_reported(self) -> bool:
        """Whether an OUTCOME event may bring it still, when the events have passed without it."""

    def compute(
        self, events: EventBatch, instrument: int, instruments: Sequence[Instrument]
    ) -> tuple[Floats, Floats, Longs]:
        """Return labels, values and the places of their events."""


class _Lane:
    """One instrument's labels: the events that the next ones need, and labels that no decision has asked for yet."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.events: EventBatch | None = None
        self.labels = np.empty(0, LABELLED)
        self.passed = 0

    def add(self, events: EventBatch, label: MarketLabel, instrument: int, instruments: Sequence[Instrument]) -> None:
        """Take the next events of the label's kind; a long slice is not copied, only its seam with the last one."""
        seam = 2 * self._keep if len(events) > 8 * self._keep else 0
        if seam and self.events is not None:
            self.add(events[:seam], label, instrument, instruments)
        elif self.events is not None:
            events = followed_by(self.events, events)
        self._label(events, label, instrument, instruments)

    def _label(
        self, events: EventBatch, label: MarketLabel, instrument: int, instruments: Sequence[Instrument]
    ) -> None:
        """Label what was not labelled yet; `passed` is the last event whose future is here."""
        if len(events) > label.horizon:
            labels, values, places = label.compute(events, instrument, instruments)
            first = int(np.searchsorted(events["sequence"], self.passed, side="right"))
            new = np.flatnonzero((places >= first) & np.isfinite(labels))
            at = places[new]
            fresh = np.empty(len(new), LABELLED)
            fresh["sequence"], fresh["label"], fresh["value"] = events["sequence"][at], labels[new], values[new]
            fresh["known"] = events["sequence"][at + label.horizon]
            fresh["ts_known_ns"] = events["ts_event_ns"][at + label.horizon]
            self.labels = followed_by(self.labels, fresh)[-WAITING_MAX:]
            self.passed = int(events["sequence"][-1 - label.horizon])
        self.events = events[-self._keep :].copy()


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
        Events of an instrument kept beyond the horizon, for a label's price expression to warm up.
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
        self._waiting = np.empty(0, WAITING)
        self._early = np.empty(0, JOINED)
        self._lanes: dict[int, _Lane] = {}
        self._resolved: list[npt.NDArray[np.intp]] = []
        self._newest = np.zeros(2, np.uint64)
        self._given_up = 0

    @property
    def waiting(self) -> int:
        """How many decisions have no label yet."""
        return len(self._waiting)

    @property
    def given_up(self) -> int:
        """How many decisions were left without a label for good."""
        return self._given_up

    def symbol(self, instrument: int) -> str:
        """Return what an instrument is called; its number where the desk's list does not have it."""
        return self._instruments[instrument].symbol if instrument < len(self._instruments) else str(instrument)

    def observe(self, records: Records) -> None:
        """Take decisions and events of any stream; anything else is left."""
        if are_decisions(records):
            self._add_decisions(records)
        elif are_events(records):
            kind = np.ascontiguousarray(records["kind"])
            self._add_outcomes(records.take(np.flatnonzero(kind == Kind.OUTCOME)))
            if self._label is not None:
                market = chosen(records, (kind == self._label.trigger) & (records["flags"] == 0))
                self._add_market(market, self._label)

    def take(self) -> npt.NDArray[np.void]:
        """Return the (m,) JOINED records that became complete."""
        joined = [self._take_outcomes()] if len(self._early) else []
        for instrument, own in by_instrument(self._waiting) if self._lanes else ():
            if instrument in self._lanes:
                joined.append(self._take_market(self._lanes[instrument], own))
        self._forget()
        joined = [part for part in joined if len(part)]
        if not joined:
            return np.empty(0, JOINED)
        whole = joined[0] if len(joined) == 1 else np.concatenate(joined)
        return whole.take(np.lexsort((whole["decision"], whole["sequence"])))

    def _add_decisions(self, records: Records) -> None:
        if len(records) == 0:
            return
        self._newest = np.maximum(self._newest, [records["sequence"].max(), records["input_sequence"].max()])
        own = np.isfinite(records["score"])
        if self._versions is not None:
            versions = np.ascontiguousarray(records["version"])
            own &= np.logical_or.reduce([versions == each for each in self._versions])
        self._waiting = followed_by(self._waiting, fields_as(chosen(records, own), WAITING))
        self._given_up += max(0, len(self._waiting) - WAITING_MAX)
        self._waiting = self._waiting[-WAITING_MAX:]

    def _add_outcomes(self, outcomes: EventBatch) -> None:
        if len(outcomes) == 0:
            return
        early = np.zeros(len(outcomes), JOINED)
        early["sequence"], early["decision"] = outcomes["sequence"], outcomes["reference"]
        early["ts_known_ns"] = outcomes["ts_event_ns"]
        early["label"], early["value"] = outcomes["values"][:, 0], outcomes["values"][:, 1]
        self._early = followed_by(self._early, early)[-WAITING_MAX:]

    def _add_market(self, events: EventBatch, label: MarketLabel) -> None:
        for instrument, own in by_instrument(events):
            if instrument < len(self._instruments):
                lane = self._lanes.setdefault(instrument, _Lane(self._lookback + label.horizon))
                lane.add(events[own], label, instrument, self._instruments)

    def _take_outcomes(self) -> npt.NDArray[np.void]:
        """Join outcome events with their decisions; the first label of a decision counts."""
        firsts = self._early[np.unique(self._early["decision"], return_index=True)[1]]
        at = places_of(self._waiting["sequence"], firsts["decision"])
        found = at >= 0
        joined = _join(self._waiting[at[found]], firsts[found])
        self._waiting = _without(self._waiting, at[found])
        self._early = self._early[self._early["decision"] > self._newest[0]]
        return joined

    def _take_market(self, lane: _Lane, own: slice | npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Join one instrument's waiting decisions, at these places, with its labels."""
        asked, labels = self._waiting["input_sequence"][own], lane.labels
        ready = np.flatnonzero(asked <= lane.passed)
        if len(ready) == 0:
            return np.empty(0, JOINED)
        at = places_of(labels["sequence"], asked[ready])
        found = at >= 0
        places = np.arange(len(self._waiting))[own][ready]
        facts, known = np.zeros(int(found.sum()), JOINED), labels.take(at[found])
        facts["sequence"], facts["ts_known_ns"] = known["known"], known["ts_known_ns"]
        facts["label"], facts["value"] = known["label"], known["value"]
        joined = _join(self._waiting.take(places[found]), facts)
        if self._label is not None and self._label.is_reported:
            places = places[found]
        self._given_up += len(places) - len(joined)
        self._resolved.append(places)
        return joined

    def _forget(self) -> None:
        """Drop decisions that have their label, and labels of events that every decision was read of."""
        if self._resolved:
            self._waiting = _without(self._waiting, np.concatenate(self._resolved))
            self._resolved.clear()
        for lane in self._lanes.values():
            read = int(np.searchsorted(lane.labels["sequence"], self._newest[1], side="right"))
            lane.labels = lane.labels[read:]

    def state(self) -> State:
        """Return what waits."""
        state: State = {
            "waiting": self._waiting.copy(),
            "early": self._early.copy(),
            "newest": self._newest.copy(),
            "given_up": np.array([self._given_up]),
        }
        for instrument, lane in self._lanes.items():
            state |= {f"labels.{instrument}": lane.labels.copy(), f"passed.{instrument}": np.array([lane.passed])}
            if lane.events is not None:
                state[f"events.{instrument}"] = lane.events.copy()
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what waited."""
        self._waiting, self._early = state["waiting"].astype(WAITING), state["early"].copy()
        self._newest, self._given_up = state["newest"].copy(), int(state["given_up"][0])
        self._lanes = {}
        for key in [name.removeprefix("passed.") for name in state if name.startswith("passed.")]:
            lane = self._lanes[int(key)] = _Lane(self._lookback + (self._label.horizon if self._label else 0))
            lane.passed, lane.labels = int(state[f"passed.{key}"][0]), state[f"labels.{key}"].astype(LABELLED)
            lane.events = state[f"events.{key}"].copy() if f"events.{key}" in state else None


def _without(records: Records, places: Longs) -> Records:
    """Return the records but for those at some places."""
    kept = np.ones(len(records), np.bool_)
    kept[places] = False
    return chosen(records, kept)


def _join(decisions: Records, facts: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Complete facts with their decisions, both (m,), in place."""
    joined = facts
    joined["decision"] = decisions["sequence"]
    for name in ("ts_event_ns", "version", "score", "instrument", "role"):
        joined[name] = decisions[name]
    return joined
