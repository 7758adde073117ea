"""The candidate on market events, one at a time, through the very pipeline that decides live.

Flow:   decide on each event, several times over → rows and their places for parity, nanoseconds for latency.
Units:  nanoseconds a decision.
"""

from collections.abc import Sequence
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.state import CheckSettings
from tradeworthy.model.version import Version

Floats = npt.NDArray[np.float64]

PASSES = 3
"""Each decision is timed so often, and its least time counts: what other processes take is not the version's."""


class StreamRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the live pipeline did with `events`: (m, n) rows it scored, their places, and nanoseconds a decision."""

    events: EventBatch
    rows: Floats
    places: npt.NDArray[np.int64]
    nanoseconds: npt.NDArray[np.int64]


def run_stream(version: Version, instruments: Sequence[Instrument], limits: Limits, events: EventBatch) -> StreamRun:
    """Decide on events one at a time, as a live engine does, on a desk of its own; several times, for the timing.

    The desk believes any jump of a price: the history to be compared with was trained on with its jumps.
    """
    runs = [_pass(version, instruments, limits, events) for _ in range(PASSES)]
    least = np.minimum.reduce([run.nanoseconds for run in runs])
    return msgspec.structs.replace(runs[0], nanoseconds=least)


def _pass(version: Version, instruments: Sequence[Instrument], limits: Limits, events: EventBatch) -> StreamRun:
    """Take all events through a fresh pipeline, one by one."""
    width = events.dtype["values"].shape[0]
    pipeline = Pipeline.alone(version, instruments, limits, settings=CheckSettings(jump_bps_max=None), width=width)
    rows, places, spent = [], [], []
    for place in range(len(events)):
        event = events[place]
        begin = perf_counter_ns()
        decision = pipeline.one(event)
        end = perf_counter_ns()
        if decision is not None and np.isfinite(decision["score"]):
            rows.append(pipeline.rows["row"][0].copy())
            places.append(place)
            spent.append(end - begin)
    return StreamRun(
        events=events,
        rows=np.array(rows, np.float64).reshape(-1, len(version.program.names)),
        places=np.array(places, np.int64),
        nanoseconds=np.array(spent, np.int64),
    )
