"""A version under twice the busiest load that its desk has seen, on a desk of its own, away from everything live.

Flow:   the record → its busiest second, and minute of orders → the same arrivals twice as dense, for as long as there
        are events → a real engine with tape and paper venue → its tape replayed.
Time:   nothing waits. What each event takes is measured; when it would have come, and so how long it would have queued,
        is computed. The events, their arrivals and every decision are the same in each run; only what they take is the
        machine's.
Units:  microseconds from an event's arrival to the end of its decision, queue included.
Reference: Commission Delegated Regulation (EU) 2017/589, article 10: twice the highest volume of six months.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import version_number
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits, ScopedLimits
from tradeworthy.core.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S, NS_PER_US, VirtualClock
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.desk import is_own
from tradeworthy.live.engine import Engine, EngineSettings
from tradeworthy.live.replay import replay
from tradeworthy.live.venues.base import OrderBatch
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.version import Version
from tradeworthy.record.tape import TapeReader, TapeWriter

Nanoseconds = npt.NDArray[np.int64]

FACTOR = 2.0
MONTHS_NS = 183 * NS_PER_DAY
EVENTS_MAX, WARM_UP = 20_000, 200
BEHIND_NS_MAX = NS_PER_S
"""A desk that falls further behind than this under load does not keep up."""


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The busiest moments of six months of record.

    Attributes
    ----------
    messages_per_s : int
        Market messages received within one second.
    orders_per_minute : int
        Orders sent within one minute.
    """

    messages_per_s: int
    orders_per_minute: int


class StressReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a version did under load.

    Attributes
    ----------
    version : str
        Its digest.
    factor : float
        How many times the recorded peak.
    peak : Peak
        Of the record.
    driven : Peak
        What the version was given, and what it sent.
    events, decisions : int
        That it was given, and made.
    dropped : int
        Events that are not on its tape.
    identical : bool
        Whether its tape replays to the same decisions, bit for bit.
    us_p50, us_p99, us_max : float
        From arrival to decision, queue included.
    queue_max : int
        Most events waiting at once.
    headroom : float
        How many times the driven load it could have borne.
    """

    version: str
    factor: float
    peak: Peak
    driven: Peak
    events: int
    decisions: int
    dropped: int
    identical: bool
    us_p50: float
    us_p99: float
    us_max: float
    queue_max: int
    headroom: float

    @property
    def ok(self) -> bool:
        """Whether nothing was dropped, everything replays, and the desk never fell a second behind."""
        return not self.dropped and self.identical and self.us_max <= BEHIND_NS_MAX / NS_PER_US


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """What a version is loaded on: the desk's own instruments, limits, engine and costs.

    Attributes
    ----------
    instruments : sequence of Instrument
    limits : Limits or ScopedLimits
    engine : EngineSettings
    paper : PaperSettings
    """

    instruments: Sequence[Instrument]
    limits: Limits | ScopedLimits
    engine: EngineSettings
    paper: PaperSettings


def peak_of(received_ns: Nanoseconds, sent_ns: Nanoseconds) -> Peak:
    """Return the busiest second and minute of the last six months of a record.

    Parameters
    ----------
    received_ns, sent_ns : (n,), (m,) int64
        When market messages came and orders went, in any order.
    """
    last = int(max(received_ns.max(initial=0), sent_ns.max(initial=0)))
    received, sent = (np.sort(each[each > last - MONTHS_NS]) for each in (received_ns, sent_ns))
    return Peak(messages_per_s=_most(received, NS_PER_S)[0], orders_per_minute=_most(sent, NS_PER_MINUTE)[0])


def _most(ascending: Nanoseconds, window_ns: int) -> tuple[int, int]:
    """Return the most moments within a window, and the place of the first of them."""
    if not len(ascending):
        return 0, 0
    counts = np.searchsorted(ascending, ascending + window_ns) - np.arange(len(ascending))
    place = int(np.argmax(counts))
    return int(counts[place]), place


def arrivals_of(received_ns: Nanoseconds, events: int, factor: float) -> Nanoseconds:
    """Return when events come: the busiest second's pattern over and over, each time in a `factor`-th of a second.

    Parameters
    ----------
    received_ns : (n,) int64
        When the record's messages came.
    events : int
        How many are to come.
    factor : float
        How many times denser.
    """
    ascending = np.sort(received_ns[received_ns > received_ns.max() - MONTHS_NS])
    count, place = _most(ascending, NS_PER_S)
    pattern = (ascending[place : place + count] - ascending[place]) / factor
    at = np.arange(events)
    return np.asarray(at // count * (NS_PER_S / factor) + pattern[at % count], np.int64)


def queued(arrivals_ns: Nanoseconds, service_ns: Nanoseconds) -> tuple[Nanoseconds, int]:
    """Return how long each event takes from its arrival, served one after another, and the most that wait at once.

    Parameters
    ----------
    arrivals_ns, service_ns : (n,) int64
        When each comes, ascending, and how long it takes alone.
    """
    served = np.cumsum(service_ns)
    ends = served + np.maximum.accumulate(arrivals_ns - (served - service_ns))
    waiting = np.searchsorted(arrivals_ns, ends - service_ns, side="right") - np.arange(1, len(ends) + 1)
    return ends - arrivals_ns, int(waiting.max(initial=0))


def stress(
    version: Version, inputs: EventBatch, orders: OrderBatch, bench: Bench, *, factor: float = FACTOR
) -> StressReport:
    """Drive a version with the record's latest events, `factor` times as dense as its busiest second.

    Parameters
    ----------
    version : Version
        Loaded and verified.
    inputs, orders : event records, ORDER
        The desk's record.
    bench : Bench
    factor : float
        1 or more.

    Raises
    ------
    DataInvalid
        The record is too short, or the factor eases the load.
    """
    market = inputs[~is_own(inputs)]
    if not factor >= 1.0:
        raise DataInvalid(f"factor is {factor:g}, allowed is 1 or more; the regulation names 2")
    if len(market) <= WARM_UP:
        raise DataInvalid(f"the record has {len(market):,} market events, a stress run needs more than {WARM_UP}")
    events = _fresh(market[-EVENTS_MAX:])
    with TemporaryDirectory(prefix="stress-") as folder:
        service_ns, decisions, recorded, identical, sent = _drive(Path(folder), version, events, bench)
    arrivals_ns = arrivals_of(market["ts_recv_ns"], len(events), factor)
    response_ns, queue_max = queued(arrivals_ns[WARM_UP:], service_ns[WARM_UP:])
    p50, p99 = np.percentile(response_ns, [50, 99]) / NS_PER_US
    span_ns = float(arrivals_ns[-1] - arrivals_ns[WARM_UP])
    return StressReport(
        version=version.digest,
        factor=factor,
        peak=peak_of(market["ts_recv_ns"], orders["ts_sent_ns"]),
        driven=peak_of(arrivals_ns, arrivals_ns[sent]),
        events=len(events),
        decisions=decisions,
        dropped=len(events) - recorded,
        identical=identical,
        us_p50=float(p50),
        us_p99=float(p99),
        us_max=float(response_ns.max()) / NS_PER_US,
        queue_max=queue_max,
        headroom=span_ns / float(service_ns[WARM_UP:].sum()),
    )


def _fresh(events: EventBatch) -> EventBatch:
    """Return events as they came, without what the tape and the engine wrote on them."""
    fresh = events.copy()
    for name in ("sequence", "crc", "epoch", "flags"):
        fresh[name] = 0
    return fresh


def _drive(
    folder: Path, version: Version, events: EventBatch, bench: Bench
) -> tuple[Nanoseconds, int, int, bool, list[int]]:
    """Take events one by one through an engine of its own.

    Returns
    -------
    service_ns : (n,) int64
    decisions, recorded : int
    identical : bool
    sent : list of int
        The places of the events that led to an order.
    """
    number, clock = version_number(version.digest), VirtualClock(int(events["ts_recv_ns"][0]))
    control = ControlBlock(folder / "control")
    control.set_champion(number)
    spent, sent, orders = np.zeros(len(events), np.int64), list[int](), 0
    with TapeWriter.open(folder / "tape", clock=clock) as tape:
        engine = Engine(
            instruments=bench.instruments,
            load=lambda _: version,
            tape=tape,
            control=control,
            venue=Paper(bench.paper, bench.instruments),
            clock=clock,
            limits=lambda: bench.limits,
            settings=msgspec.structs.replace(bench.engine, stage_in_background=False),
            width=events.dtype["values"].shape[0],
        )
        for place in range(len(events)):
            one = events[place : place + 1]
            clock.advance_to(int(one["ts_recv_ns"][0]))
            begin = perf_counter_ns()
            engine.consume(one)
            spent[place] = perf_counter_ns() - begin
            if engine.counters.orders > orders:
                orders = engine.counters.orders
                sent.append(place)
        decisions = engine.counters.decisions
        engine.close()
    inputs = TapeReader(folder / "tape").read("inputs")
    identical = replay(folder / "tape", lambda _: version).identical
    return spent, decisions, int((~is_own(inputs)).sum()), identical, sent
