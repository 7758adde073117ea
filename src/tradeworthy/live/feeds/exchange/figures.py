"""How a feed fares: what it counted, how late events are, how far the exchange's clock is from ours.

Idea:   an event's stamp and its arrival differ by the way and by the two clocks. The way is at least half the shortest
        round trip; so the smallest difference of the last minutes, less that, is the clocks' (as in NTP).
Time:   offsets from two windows that take turns, so that a drifting clock is followed within minutes.
Reference: Mills (1991), "Internet time synchronization", the minimum filter.
"""

import math

import msgspec

from tradeworthy.core.time import NS_PER_MS, NS_PER_S

WINDOW_NS = 60 * NS_PER_S


class Figures(msgspec.Struct, kw_only=True):
    """What has been counted since the feed began.

    Attributes
    ----------
    messages, bytes, events : int
        Received, and what the engine was given.
    unreadable, unknown, repeated : int
        Messages that are no such thing or of an unknown kind; news that was known already.
    connections, cuts, losses, resyncs, backfilled, silenced : int
        Connections made; times that the stream was cut; lanes of which events were lost; whole books asked for; bars
        that did not come on the stream and were asked for; answers that we ask too often.
    lag_ms, lag_ms_max : float or None
        How late the last message came, clocks compared, and the latest one.
    clock_offset_ms : float or None
        How far the exchange's clock is ahead of ours.
    round_trip_ms : float or None
        The shortest of late.
    connected : bool
    said : str
        Why the stream was last cut.
    """

    messages: int = 0
    bytes: int = 0
    events: int = 0
    unreadable: int = 0
    unknown: int = 0
    repeated: int = 0
    connections: int = 0
    cuts: int = 0
    losses: int = 0
    resyncs: int = 0
    backfilled: int = 0
    silenced: int = 0
    lag_ms: float | None = None
    lag_ms_max: float | None = None
    clock_offset_ms: float | None = None
    round_trip_ms: float | None = None
    connected: bool = False
    said: str = ""

    def words(self) -> str:
        """Say in a line how the feed fares."""
        lag = "" if self.lag_ms is None else f", {self.lag_ms:.0f} ms late"
        state = "connected" if self.connected else f"not connected ({self.said or 'not yet'})"
        return f"{state}, {self.events:,} events{lag}"


class _Least:
    """The least of the last one to two windows."""

    __slots__ = ("_before", "_now", "_since_ns")

    def __init__(self) -> None:
        self._before = self._now = math.inf
        self._since_ns = 0

    def note(self, value: float, now_ns: int) -> float:
        """Take a value in at a monotonic time, and return the least."""
        if now_ns - self._since_ns > WINDOW_NS:
            self._before = self._now if now_ns - self._since_ns <= 2 * WINDOW_NS else math.inf
            self._now, self._since_ns = math.inf, now_ns
        self._now = min(self._now, value)
        return min(self._now, self._before)


class Timing:
    """Compares the exchange's clock with ours.

    Parameters
    ----------
    figures : Figures
        Where what is found is written.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._apart, self._way = _Least(), _Least()
        self._round_trip_ns = 0.0

    def answered(self, sent_ns: int, now_ns: int) -> None:
        """Take in that a ping sent at one monotonic time was answered at another."""
        self._round_trip_ns = self._way.note(now_ns - sent_ns, now_ns)
        self._figures.round_trip_ms = self._round_trip_ns / NS_PER_MS

    def heard(self, sent_ns: int, recv_ns: int, now_ns: int) -> None:
        """Take in a message: when the exchange says that it sent it, our time, and our monotonic time."""
        apart_ns = recv_ns - sent_ns
        least_ns = self._apart.note(apart_ns, now_ns) - 0.5 * self._round_trip_ns
        figures, lag_ms = self._figures, (apart_ns - least_ns) / NS_PER_MS
        figures.clock_offset_ms = -least_ns / NS_PER_MS
        figures.lag_ms = lag_ms
        figures.lag_ms_max = lag_ms if figures.lag_ms_max is None else max(figures.lag_ms_max, lag_ms)
