"""The clock, passed in wherever time is read; nobody else asks the machine.

Time:   `now_ns` is UTC nanoseconds since 1970, for records and people; it may jump.
        `monotonic_ns` never goes back and is for durations and timers only.
"""

import math
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_HOUR = 3_600 * NS_PER_S
NS_PER_DAY = 86_400 * NS_PER_S
NS_PER_QUARTER = 15 * NS_PER_MINUTE

_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Where the time comes from."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds from an arbitrary start, never decreasing."""


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    now_ns = staticmethod(time.time_ns)
    """Return the machine's UTC time in nanoseconds."""
    monotonic_ns = staticmethod(time.monotonic_ns)
    """Return the machine's monotonic time in nanoseconds."""


class VirtualClock:
    """A clock that moves only when told; both times move together.

    Parameters
    ----------
    start_ns : int
        UTC nanoseconds at which it stands first.
    """

    __slots__ = ("_now_ns",)

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time last set, in UTC nanoseconds."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Return the same time; a virtual clock cannot be moved back."""
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move forward to `now_ns`; an earlier time leaves the clock where it is."""
        self._now_ns = max(self._now_ns, now_ns)


class MarketClock:
    """The market's time, as told by the events of the past that are being delivered; durations are the machine's.

    A desk that replays recorded markets at a pace of its own stamps and judges ages by market time, while timers and
    latencies stay real.

    Parameters
    ----------
    start_ns : int
        UTC nanoseconds at which it stands first.
    real : Clock, optional
        Whose monotonic time it shows; the machine's if left out.
    """

    __slots__ = ("_now_ns", "_real")

    def __init__(self, start_ns: int = 0, *, real: Clock | None = None) -> None:
        self._now_ns, self._real = start_ns, real or SystemClock()

    def now_ns(self) -> int:
        """Return the market time last set, in UTC nanoseconds."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Return the real clock's monotonic time in nanoseconds."""
        return self._real.monotonic_ns()

    def advance_to(self, now_ns: int) -> None:
        """Move forward to `now_ns`; an earlier time leaves the clock where it is."""
        self._now_ns = max(self._now_ns, now_ns)


class Stop(Protocol):
    """A wish to stop, and pauses that end early where it comes; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether to stop."""

    def wait(self, timeout: float | None = None, /) -> bool:
        """Pause for so many seconds, and tell whether to stop."""


class StopFlag:
    """A wish to stop that a signal handler may set.

    A `threading.Event` holds a lock while it waits; a handler that runs in the same thread and sets it can wait for
    that lock for ever. This is a plain word: no lock, and a pause that is short enough to end by itself.
    """

    __slots__ = ("_set",)

    PAUSE_S_MAX = 0.1

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Wish to stop."""
        self._set = True

    def is_set(self) -> bool:
        """Tell whether to stop."""
        return self._set

    def wait(self, timeout: float | None = None, /) -> bool:
        """Pause for so many seconds, in short pauses, and tell whether to stop."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self._set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.PAUSE_S_MAX))
        return self._set


def processor_ns() -> int:
    """Return the processor time that this process and those it waited for have taken, in nanoseconds."""
    spent = os.times()
    return int((spent.user + spent.system + spent.children_user + spent.children_system) * NS_PER_S)


def iso(ns: int) -> str:
    """Write UTC nanoseconds as ISO 8601 with nanoseconds kept.

    >>> iso(1_500_000_000_123_456_789)
    '2017-07-14T02:40:00.123456789Z'
    """
    seconds, rest = divmod(ns, NS_PER_S)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{day}.{rest:09d}Z" if rest else f"{day}Z"


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time_zone is {name!r}, allowed is an IANA name such as 'America/Chicago'") from error


def wall_clock_ns(ts_ns: npt.NDArray[np.int64], time_zone: str) -> npt.NDArray[np.int64]:
    """Return what the clocks of a time zone showed at (n,) UTC times, as nanoseconds since its 1970.

    >>> iso(int(wall_clock_ns(np.array([1_500_000_000 * NS_PER_S]), "America/New_York")[0]))
    '2017-07-13T22:40:00Z'
    """
    if time_zone == "UTC":
        return ts_ns
    zone = zone_of(time_zone)
    quarters, place = np.unique(ts_ns // NS_PER_QUARTER, return_inverse=True)  # clocks change at whole ones
    moments = (datetime.fromtimestamp(int(quarter) * NS_PER_QUARTER / NS_PER_S, zone) for quarter in quarters)
    ahead = np.array([(each.utcoffset() or timedelta()) // _MICROSECOND for each in moments], np.int64) * NS_PER_US
    shown: npt.NDArray[np.int64] = ts_ns + ahead[place]
    return shown
