"""What the port counts about itself, as Prometheus reads it at ``/metrics``.

Idea:   counting costs a request a few additions; everything else is looked up when it is asked for.
State:  counts since this process started.
Units:  seconds and plain counts. The bounds of the histogram are powers of two, from 8.192 us to 8.59 s.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tradeworthy.change.access.doorkeeper import Holder
from tradeworthy.change.watch.metrics import Metric, Sample, exposition
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.time import NS_PER_S

if TYPE_CHECKING:
    from tradeworthy.apps.server.port import Port

NOWHERE = "none"
"""The route of a request that asks for none that is there, or that could not be read."""

_FIRST_BITS, _BUCKETS = 13, 21

_OF_INPUTS = tuple(code.name for code in DenialCode if 100 <= code < 200)

PORT_METRICS: Mapping[str, Metric] = {
    "port_requests_total": Metric(
        kind="counter", labels=("route", "code"), text="Requests and messages answered, refused ones too"
    ),
    "port_request_seconds": Metric(
        kind="histogram", labels=("route",), text="From the read that completed a request to its answer"
    ),
    "port_connections": Metric(kind="gauge", text="Open connections"),
    "port_waiting_requests": Metric(kind="gauge", text="Requests that wait behind another one of their connection"),
    "port_slow_requests": Metric(kind="gauge", text="Requests at work beside the loop"),
    "port_decisions_total": Metric(kind="counter", labels=("verdict",), text="Decisions made for callers"),
    "port_denied_inputs_total": Metric(kind="counter", labels=("code",), text="Callers' events that were not believed"),
    "port_score_rows_waiting": Metric(kind="gauge", text="Scored rows on their way to the tape"),
    "port_key_rows_today": Metric(
        kind="gauge", labels=("key", "owner"), text="Rows and events that a key with a budget used this UTC day"
    ),
    "port_key_rows_per_day": Metric(kind="gauge", labels=("key", "owner"), text="How many it may use"),
}
"""Every family of the port, without the prefix."""


class _Answered:
    """The answered requests of one route: how many by status, and how long they took by the bits of the time."""

    __slots__ = ("bits", "codes", "total_ns")

    def __init__(self) -> None:
        self.codes: dict[bytes, int] = {}
        self.bits, self.total_ns = [0] * 64, 0

    def samples(self, route: str) -> Iterator[Sample]:
        """Return the counts, and the histogram: buckets that add up, the sum and the count."""
        for code, count in self.codes.items():
            yield Sample("port_requests_total", (route, code.decode("latin-1")), count)
        name, last = "port_request_seconds", _FIRST_BITS + _BUCKETS
        for bits in range(_FIRST_BITS, last):
            yield Sample(name, (route, repr(2**bits / NS_PER_S)), sum(self.bits[: bits + 1]), "_bucket")
        yield Sample(name, (route, "+Inf"), sum(self.bits), "_bucket")
        yield Sample(name, (route,), self.total_ns / NS_PER_S, "_sum")
        yield Sample(name, (route,), sum(self.bits), "_count")


class Figures:
    """Counts of one port.

    Parameters
    ----------
    monotonic_ns : callable
        The clock that times requests.
    """

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self.decisions: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()
        self._answered: dict[str, _Answered] = {}
        self._monotonic_ns = monotonic_ns

    def answered(self, route: str, code: bytes, since_ns: int) -> None:
        """Count one request, or message of a WebSocket, by its route, its status and the time since it was read."""
        counts = self._answered.get(route)
        if counts is None:
            counts = self._answered[route] = _Answered()
        taken_ns = self._monotonic_ns() - since_ns
        counts.bits[taken_ns.bit_length()] += 1
        counts.total_ns += taken_ns
        counts.codes[code] = counts.codes.get(code, 0) + 1

    def codes(self) -> dict[str, int]:
        """Return how many requests were answered, by status."""
        counted: Counter[str] = Counter()
        for counts in self._answered.values():
            counted.update({code.decode("latin-1"): count for code, count in counts.codes.items()})
        return dict(counted)

    def written(self, port: "Port") -> str:
        """Return everything as text."""
        return exposition([*self._samples(), *_of_now(port), *_of_keys(port.keeper.holders())], PORT_METRICS)

    def _samples(self) -> Iterator[Sample]:
        for route, counts in self._answered.items():
            yield from counts.samples(route)
        denied = self.denied + Counter({name: self.decisions[name] for name in _OF_INPUTS})
        for name, told in (("port_decisions_total", self.decisions), ("port_denied_inputs_total", denied)):
            yield from (Sample(name, (word,), count) for word, count in told.items() if count)


def _of_now(port: "Port") -> Iterator[Sample]:
    """Return what stands at this moment."""
    yield Sample("port_connections", (), len(port.connections))
    yield Sample("port_waiting_requests", (), sum(connection.waiting for connection in port.connections))
    yield Sample("port_slow_requests", (), port.slow)
    yield Sample("port_score_rows_waiting", (), port.rows_waiting)


def _of_keys(holders: Iterable[Holder]) -> Iterator[Sample]:
    """Return how much of their budgets keys have used."""
    for holder in holders:
        key = holder.key
        if key.rows_per_day is not None and not key.revoked:
            yield Sample("port_key_rows_today", (key.key, key.owner), holder.used_today())
            yield Sample("port_key_rows_per_day", (key.key, key.owner), key.rows_per_day)
