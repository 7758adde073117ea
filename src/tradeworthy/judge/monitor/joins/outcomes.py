"""What became of decisions: each joined with its label, however late the label comes.

Idea:   a label comes as an OUTCOME event (its `reference` is the decision) or is computed from the market events on
        the tape, `horizon` events after the decision. Decisions wait; outcomes and labels that come first wait too.
Flow:   events -> labels; decisions + labels -> joined records, in the order in which both were known.
State:  what waits, and of each instrument the last prices and what an expression of prices remembers, so that a label
        is the same wherever the tape is cut; a decision whose label never comes is given up when the market has passed
        it, or when too many wait.
Time:   a label is known at the event that completes it, not before. Events that the input checks refused are no part of
        any label, and a price over a hole begins anew, as in training.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION
from tradeworthy.core.events import EventBatch, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.kernel import entry
from tradeworthy.judge.monitor.base import (
    SOME_DECISIONS,
    SOME_EVENTS,
    Kept,
    Records,
    State,
    are_decisions,
    are_events,
    by_instrument,
    chosen,
    inputs_of,
    part_of,
)
from tradeworthy.judge.monitor.joins.outcome_kernels import (
    Asks,
    Facts,
    in_order,
    settle,
    sort_events,
    write_labels,
    write_prices,
    write_waiting,
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

PRICED = np.dtype([("sequence", "<u8"), ("ts_event_ns", "<i8"), ("price", "<f8")])
"""An event of the label's kind with the label's price."""

WAITING_MAX = 100_000
"""What waits is bounded: the oldest go first."""


class PriceMemory(Protocol):
    """What a price remembers of the events before, as in model.features.runtime."""

    def dump(self) -> State:
        """Return a copy of it."""

    def restore(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `dump` returned."""


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

    def memory(self, instrument: int, instruments: Sequence[Instrument]) -> PriceMemory | None:
        """Return what the price of one instrument remembers before its first event, if anything."""

    def prices(self, events: EventBatch, instrument: int, memory: Any) -> tuple[Floats, Longs]:
        """Return the price at each of the next events of its kind, and their places; the memory moves on."""

    def ahead(self, prices: Floats) -> tuple[Floats, Floats]:
        """Return labels and values of all but the last `horizon` prices; values are NaN where unknown."""


class _Lane:
    """One instrument's labels: the prices that the next ones need, and labels that no decision has asked for yet."""

    def __init__(self, label: MarketLabel, instrument: int, instruments: Sequence[Instrument]) -> None:
        self._label, self._instrument = label, instrument
        self.memory = label.memory(instrument, instruments)
        self.prices, self.labels = Kept(PRICED), Kept(LABELLED)
        self.passed = 0

    def add(self, events: EventBatch) -> None:
        """Take the next events, and label those whose future is here; `passed` is the last of them."""
        prices, places = self._label.prices(events, self._instrument, self.memory)
        write_prices(events["sequence"], events["ts_event_ns"], prices, places, self.prices.room(len(prices)))
        self.prices.grow(len(prices))
        labels, values = self._label.ahead(np.ascontiguousarray(self.prices.records["price"]))
        if len(labels):
            room, gives_up = self.labels.room(len(labels)), not self._label.is_reported
            self.labels.grow(write_labels(labels, values, self.prices.records, gives_up, room))
            self.labels.drop(len(self.labels) - WAITING_MAX)
            self.passed = int(self.prices.records["sequence"][len(labels) - 1])
            self.prices.drop(len(labels))

    def state(self) -> State:
        """Return all that it keeps."""
        remembered = {} if self.memory is None else self.memory.dump()
        return {
            "labels": self.labels.records.copy(),
            "prices": self.prices.records.copy(),
            "passed": np.array([self.passed]),
        } | {f"memory.{name}": array for name, array in remembered.items()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take it back; of an older state, which kept the last events, what they give."""
        if "prices" in state:
            self.prices.replace(state["prices"].astype(PRICED))
            if self.memory is not None:
                self.memory.restore(part_of(state, "memory."))
        elif "events" in state:
            self.add(state["events"])
        self.labels.replace(state["labels"].astype(LABELLED))
        self.passed = int(state["passed"][0])


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
    """

    def __init__(
        self,
        label: MarketLabel | None = None,
        *,
        instruments: Sequence[Instrument] = (),
        versions: Sequence[int] | None = None,
    ) -> None:
        self._label = label
        self._instruments = list(instruments)
        self._asks = Asks(versions is None, np.array([] if versions is None else versions, np.uint64))
        self._write = entry(write_waiting, SOME_DECISIONS, self._asks, np.empty(2, np.uint64), np.empty(0, WAITING))
        self._sort = entry(sort_events, inputs_of(SOME_EVENTS).heads, 0, np.empty((2, 2), np.int64))
        self._waiting, self._early = Kept(WAITING), Kept(LABELLED)
        self._lanes: dict[int, _Lane] = {}
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
            room = self._waiting.room(len(records))
            self._waiting.grow(self._write(records, self._asks, self._newest, room))
            too_many = max(0, len(self._waiting) - WAITING_MAX)
            self._waiting.drop(too_many)
            self._given_up += too_many
        elif are_events(records):
            trigger = -1 if self._label is None else int(self._label.trigger)
            heads, places = inputs_of(records).heads, np.empty((2, len(records)), np.int64)
            outcomes, market = self._sort(heads, trigger, places)
            self._add_outcomes(records.take(places[0, :outcomes]))
            if self._label is not None:
                self._add_market(records if market == len(records) else records.take(places[1, :market]), self._label)

    def take(self) -> npt.NDArray[np.void]:
        """Return the (m,) JOINED records that became complete."""
        joined, found, outcomes = np.empty(len(self._waiting), JOINED), 0, self._firsts()
        for instrument, lane in self._lanes.items():
            facts = Facts(instrument, lane.passed, self._label is not None and not self._label.is_reported)
            found += self._settle(lane.labels.records, facts, outcomes, joined[found:])
            read = int(np.searchsorted(lane.labels.records["sequence"], self._newest[1]))  # others may ask there yet
            lane.labels.drop(read)
        if len(outcomes):
            found += self._settle(outcomes, Facts(-1, 0, False), outcomes[:0], joined[found:])
            keep = self._early.records["sequence"] > self._newest[0]
            self._early.replace(chosen(self._early.records, keep))
        joined.resize(found, refcheck=False)
        if in_order(joined):
            return joined
        return joined.take(np.lexsort((joined["decision"], np.maximum(joined["sequence"], joined["decision"]))))

    def _settle(self, known: Records, facts: Facts, outcomes: Records, joined: Records) -> int:
        """Join what waits with what is known; return how many decisions were joined."""
        before = len(self._waiting)
        left, found = settle(self._waiting.records, known, facts, outcomes, joined)
        self._waiting.shrink(left)
        self._given_up += before - left - found
        return found

    def _firsts(self) -> Records:
        """Return the first outcome of each decision, in order of decisions."""
        early = self._early.records
        if len(early) == 0:
            return early
        return early.take(np.unique(early["sequence"], return_index=True)[1])

    def _add_outcomes(self, outcomes: EventBatch) -> None:
        if len(outcomes) == 0:
            return
        early = np.empty(len(outcomes), LABELLED)
        early["sequence"], early["known"] = outcomes["reference"], outcomes["sequence"]
        early["ts_known_ns"] = outcomes["ts_event_ns"]
        early["label"], early["value"] = outcomes["values"][:, 0], outcomes["values"][:, 1]
        self._early.add(early)
        self._early.drop(len(self._early) - WAITING_MAX)

    def _add_market(self, events: EventBatch, label: MarketLabel) -> None:
        for instrument, own in by_instrument(events):
            if instrument < len(self._instruments):
                if instrument not in self._lanes:
                    self._lanes[instrument] = _Lane(label, instrument, self._instruments)
                self._lanes[instrument].add(events[own])

    def state(self) -> State:
        """Return what waits."""
        state: State = {
            "waiting": self._waiting.records.copy(),
            "outcomes": self._early.records.copy(),
            "newest": self._newest.copy(),
            "given_up": np.array([self._given_up]),
        }
        for instrument, lane in self._lanes.items():
            state |= {f"lane.{instrument}.{name}": array for name, array in lane.state().items()}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take back what waited."""
        self._waiting.replace(state["waiting"].astype(WAITING))
        self._early.replace(state["outcomes"] if "outcomes" in state else _outcomes_before(state["early"]))
        self._newest, self._given_up = state["newest"].copy(), int(state["given_up"][0])
        self._lanes = {}
        for instrument, kept in _lanes_of(state).items():
            if self._label is not None and instrument < len(self._instruments):
                lane = self._lanes[instrument] = _Lane(self._label, instrument, self._instruments)
                lane.restore(kept)


def _lanes_of(state: Mapping[str, npt.NDArray[Any]]) -> dict[int, State]:
    """Return what a state says of each lane; one of an older release as well, whose names are the other way round."""
    lanes = dict[int, State]()
    for key, array in state.items():
        first, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if first == "lane":
            lanes.setdefault(int(number), {})[name] = array
        elif first in {"labels", "passed", "events"}:
            lanes.setdefault(int(rest), {})[first] = array
    return lanes


def _outcomes_before(early: Records) -> Records:
    """Return the waiting outcomes of a state that kept them as joined records."""
    outcomes = np.empty(len(early), LABELLED)
    outcomes["sequence"], outcomes["known"] = early["decision"], early["sequence"]
    for name in ("ts_known_ns", "label", "value"):
        outcomes[name] = early[name]
    return outcomes
