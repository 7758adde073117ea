"""Decisions and what is known of them, brought together record by record.

Idea:   what waits is kept in the order decided and what is known in rising order, so one walk along both joins them. It
        moves up in place what goes on waiting.
Time:   a market's label is known at the event that completes it, and so is that an event never gets one. What was known
        first decides, however much of the record is read at once.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import Kind
from tradeworthy.core.kernel import leaf

OUTCOME, GAP = int(Kind.OUTCOME), int(Kind.GAP)

Records = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Asks(NamedTuple):
    """Whose decisions are joined: those of all versions, or of these."""

    all: bool
    versions: Words


class Facts(NamedTuple):
    """What decisions are asked about: themselves (instrument -1), or the inputs of one instrument.

    Its market has passed these inputs; `gives_up` says that no label comes any more for one that it passed without,
    which is known as a label that is NaN.
    """

    instrument: int
    passed: int
    gives_up: bool


@leaf
def write_waiting(decisions: Records, asks: Asks, newest: Words, room: Records) -> int:
    """Write (n,) DECISION with a score as WAITING into room for as many; return how many those are.

    `newest` keeps the highest decision read, of any version, and the highest input that one of these was asked at:
    others are decided after them at the same inputs.
    """
    found = 0
    for i in range(len(decisions)):
        each, own = decisions[i], asks.all
        newest[0] = max(newest[0], each["sequence"])
        for version in asks.versions:
            own = own or version == each["version"]
        if own:
            newest[1] = max(newest[1], each["input_sequence"])
        if own and np.isfinite(each["score"]):
            waits = room[found]
            waits["sequence"], waits["input_sequence"] = each["sequence"], each["input_sequence"]
            waits["ts_event_ns"], waits["version"], waits["score"] = each["ts_event_ns"], each["version"], each["score"]
            waits["instrument"], waits["role"] = each["instrument"], each["role"]
            waits["reserved"][:] = 0
            found += 1
    return found


@leaf
def sort_events(heads: Records, trigger: int, places: Longs) -> tuple[int, int]:
    """Write the places of (n,) HEADER that bring outcomes, and of those that make labels; return how many both are.

    What makes labels are events of one kind that the input checks accepted, and gaps between them.
    """
    outcomes, market = 0, 0
    for i in range(len(heads)):
        kind = np.int64(heads[i]["kind"])
        if kind == OUTCOME:
            places[0, outcomes] = i
            outcomes += 1
        elif heads[i]["flags"] == 0 and kind in (trigger, GAP):
            places[1, market] = i
            market += 1
    return outcomes, market


@leaf
def write_prices(sequences: Words, ts_ns: Longs, prices: Floats, places: Longs, room: Records) -> None:
    """Write (m,) prices as PRICED into room for all, with sequences and times of the (n,) events at their places."""
    for i in range(len(prices)):
        each, at = room[i], places[i]
        each["sequence"], each["ts_event_ns"], each["price"] = sequences[at], ts_ns[at], prices[i]


@leaf
def write_labels(labels: Floats, values: Floats, prices: Records, gives_up: bool, room: Records) -> int:  # noqa: FBT001
    """Write the labels of the first events as LABELLED into room for all; return how many those are.

    Parameters
    ----------
    labels, values : (m,) float64
        Of the first m events; each is known as many events later as there are more events than labels.
    prices : (n,) PRICED
        The events.
    gives_up : bool
        Whether events without a value are written too, NaN: none comes any more.
    room : (m,) LABELLED
        Where they are written.
    """
    horizon, found = len(prices) - len(labels), 0
    for i in range(len(labels)):
        if gives_up or np.isfinite(values[i]):
            each, later = room[found], prices[i + horizon]
            each["sequence"], each["known"] = prices[i]["sequence"], later["sequence"]
            each["ts_known_ns"] = later["ts_event_ns"]
            each["label"], each["value"] = labels[i] if np.isfinite(values[i]) else np.nan, values[i]
            found += 1
    return found


@leaf
def place_of(known: Records, asked: np.int64, at: int) -> int:
    """Return the first of rising records at or after a sequence; quickest where it stands a little behind `at`."""
    if at > 0 and np.int64(known[at - 1]["sequence"]) >= asked:
        low, high = 0, at
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if np.int64(known[middle]["sequence"]) < asked else (low, middle)
        return low
    while at < len(known) and np.int64(known[at]["sequence"]) < asked:
        at += 1
    return at


@leaf
def _write_joined(waits: np.void, fact: np.void, joined: np.void) -> None:
    """Write a decision with what is known of it."""
    joined["sequence"], joined["ts_known_ns"] = fact["known"], fact["ts_known_ns"]
    joined["label"], joined["value"] = fact["label"], fact["value"]
    joined["decision"], joined["ts_event_ns"] = waits["sequence"], waits["ts_event_ns"]
    joined["version"], joined["score"] = waits["version"], waits["score"]
    joined["instrument"], joined["role"] = waits["instrument"], waits["role"]
    joined["reserved"][:] = 0


@leaf
def settle(waiting: Records, known: Records, facts: Facts, outcomes: Records, joined: Records) -> tuple[int, int]:
    """Join what waits with what is known of it.

    Parameters
    ----------
    waiting : (n,) WAITING
        Those that go on waiting are moved to the front.
    known : (m,) LABELLED
        Rising in `sequence`: of the decision or of the input asked about.
    facts : Facts
        Which of both, and what it means that there is none.
    outcomes : (k,) LABELLED
        Rising in `sequence`, of the decision: one that was known earlier is waited for.
    joined : (n,) JOINED
        The first are written.

    Returns
    -------
    tuple of int
        How many go on waiting, and how many were joined; the others are given up.
    """
    left, found, at, near = 0, 0, 0, 0
    for i in range(len(waiting)):
        waits = waiting[i]
        asked = np.int64(waits["sequence"] if facts.instrument < 0 else waits["input_sequence"])
        about = facts.instrument < 0 or (waits["instrument"] == facts.instrument and asked <= facts.passed)
        if about:
            at = place_of(known, asked, at)
        told = about and at < len(known) and np.int64(known[at]["sequence"]) == asked
        ends = told or (about and facts.gives_up)
        if ends and len(outcomes) > 0 and at < len(known):
            near = place_of(outcomes, np.int64(waits["sequence"]), near)
            reported = near < len(outcomes) and outcomes[near]["sequence"] == waits["sequence"]
            ends = not (reported and outcomes[near]["known"] < known[at]["known"])
        if not ends:
            if left < i:
                waiting[left] = waits
            left += 1
        elif told and not (facts.gives_up and np.isnan(known[at]["label"])):
            _write_joined(waits, known[at], joined[found])
            found += 1
    return left, found


@leaf
def in_order(joined: Records) -> bool:
    """Whether (n,) JOINED stand in the order in which their labels and they themselves became known."""
    before, decision = np.uint64(0), np.uint64(0)
    for i in range(len(joined)):
        each = joined[i]
        now = max(each["sequence"], each["decision"])
        if now < before or (now == before and each["decision"] < decision):
            return False
        before, decision = now, each["decision"]
    return True
