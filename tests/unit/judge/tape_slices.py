"""Small hand-made slices of tape streams for monitors to observe."""

import numpy as np

from tradeworthy.core.decisions import DECISION, row_dtype
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.time import NS_PER_MINUTE

VERSION = 0xFEED
STEP_NS = 30 * NS_PER_MINUTE


def bars(closes, first_sequence=1, stride=3, instrument=0):
    """Return one bar a close, half an hour apart, every third sequence."""
    events = np.zeros(len(closes), event_dtype())
    events["kind"], events["instrument"] = Kind.BAR, instrument
    events["sequence"] = first_sequence + stride * np.arange(len(closes))
    events["ts_event_ns"] = events["ts_recv_ns"] = STEP_NS * (1 + np.arange(len(closes)))
    events["values"][:, :4] = np.asarray(closes, float)[:, None]
    events["values"][:, 4] = 1.0
    return events


def decisions_on(events, scores, version=VERSION):
    """Return one champion decision an event, written right after it."""
    decisions = np.zeros(len(events), DECISION)
    decisions["sequence"] = events["sequence"] + 1
    decisions["input_sequence"] = events["sequence"]
    for name in ("ts_event_ns", "instrument"):
        decisions[name] = events[name]
    decisions["version"], decisions["score"], decisions["role"] = version, scores, 1
    return decisions


def rows_of(decisions, rows):
    """Return one row a decision, written right after it."""
    rows = np.asarray(rows, float)
    records = np.zeros(len(decisions), row_dtype(rows.shape[1], 1))
    records["sequence"], records["decision"] = decisions["sequence"] + 1, decisions["sequence"]
    records["row"] = rows
    return records


def outcomes_of(decisions, labels, at=1_000):
    """Return one OUTCOME event a decision, all `at` sequences and one hour later."""
    events = np.zeros(len(decisions), event_dtype())
    events["kind"], events["reference"] = Kind.OUTCOME, decisions["sequence"]
    events["sequence"] = decisions["sequence"] + at
    events["ts_event_ns"] = decisions["ts_event_ns"] + 2 * STEP_NS
    events["values"][:, 0] = labels
    events["values"][:, 1] = np.asarray(labels, float) - 0.5
    return events


def read_in_turns(make, streams, step, *, restarts=False, backwards=False):
    """Return a monitor that has read slices of streams, and empty ones, in turn, and what it found, as it found it.

    With restarts, another one goes on from its state after every turn.
    """
    monitor, found = make(), []
    for first in range(0, max(len(stream) for stream in streams), step):
        parts = [*(stream[first : first + step] for stream in streams), *(stream[:0] for stream in streams)]
        for part in parts[::-1] if backwards else parts:
            monitor.observe(part)
        if restarts:
            state, monitor = monitor.state(), make()
            monitor.restore(state)
        found += monitor.findings()
    return monitor, found
