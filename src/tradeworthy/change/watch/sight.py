"""What each monitor at work sees: how near it is to an alarm, the way there, and what its limits were set to do.

Idea:   the watcher's own figures, taken at its looks; nobody runs a monitor a second time to draw it. A path that has
        grown too long keeps the higher of every two points, so that no peak is lost.
Flow:   monitors → `SightKeeper.look` → one small file, replaced whole about once a second → the page.
State:  the file is read back by a watcher that starts again; another version begins new paths.
Units:  evidence is a share of the alarm's limit (1 is an alarm); times are the market's, UTC nanoseconds.
Undefined: a figure that is not known is None.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from tradeworthy.change.alerts.delivery import replace_file
from tradeworthy.core.errors import UNDECODABLE
from tradeworthy.core.time import NS_PER_MS, Clock
from tradeworthy.judge.monitor.base import Monitor
from tradeworthy.judge.monitor.control_charts.calibration import Operating
from tradeworthy.judge.monitor.gauges import Fitted, Gauged
from tradeworthy.judge.monitor.standing import MonitorSettings

SIGHT = "sight.json"
POINTS_MAX = 160
LOOK_EVERY_NS = 200 * NS_PER_MS
DIGITS = 4

Shares = list[float | None]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """How near one subject (a feature, a metric) of one instrument was to an alarm at each of the sight's moments.

    A chart of rates says how many events a harm takes to be heard.
    """

    subject: str
    instrument: str
    shares: Shares
    delay_events: float | None = None

    @property
    def now(self) -> float | None:
        """The newest share."""
        return self.shares[-1] if self.shares else None


class MonitorSight(msgspec.Struct, frozen=True, kw_only=True):
    """One monitor at work.

    Attributes
    ----------
    false_alarms_per_10k : float or None
        What its limits were set to, of all its series together, per 10,000 events; None where it has no such setting.
    operating : list of Operating
        What each of its charts over a reference can be expected to do; empty for a monitor that learns what is usual
        from the first events.
    series : list of Series
        Empty for a monitor that has no evidence to show.
    """

    monitor: str
    false_alarms_per_10k: float | None
    operating: list[Operating]
    series: list[Series]

    @property
    def nearest(self) -> Series | None:
        """The series nearest to an alarm; None where none is known."""
        known = [each for each in self.series if each.now is not None]
        return max(known, key=lambda each: each.now or 0.0, default=None)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Every monitor of one version.

    Attributes
    ----------
    version : str
        The version watched, by the first 16 characters of its digest.
    ts_ns : list of int
        The moments of every path, ascending.
    """

    version: str
    ts_ns: list[int]
    monitors: list[MonitorSight]


def read_sight(folder: Path) -> Sight | None:
    """Return the sight in a watcher's state folder; None where none was written, or by another edition."""
    try:
        return msgspec.json.decode((folder / SIGHT).read_bytes(), type=Sight)
    except (FileNotFoundError, *UNDECODABLE):
        return None


class SightKeeper:
    """Keeps the paths of the monitors at work.

    Parameters
    ----------
    folder : Path
        The watcher's state folder.
    settings_of : callable
        Returns how a version is watched, by its name; says what rates were asked for.
    clock : Clock
        Its monotonic time says when the next point is due.
    """

    def __init__(self, folder: Path, settings_of: Callable[[str], MonitorSettings], *, clock: Clock) -> None:
        self._folder, self._settings_of, self._clock = folder, lru_cache(maxsize=1)(settings_of), clock
        self._looked_ns = 0
        kept = read_sight(folder) or Sight(version="", ts_ns=[], monitors=[])
        self._version, self._stamps = kept.version, list(kept.ts_ns)
        self._paths = {
            (each.monitor, series.subject, series.instrument): list(series.shares)
            for each in kept.monitors
            for series in each.series
        }
        self._delays: dict[tuple[str, str, str], float] = {}

    def look(self, version: str, ts_ns: int, monitors: Mapping[str, Monitor]) -> None:
        """Take a point of every path, if one is due and the market has moved on.

        Parameters
        ----------
        version : str
            The version watched.
        ts_ns : int
            The market's time.
        monitors : mapping of str to Monitor
            Those at work, by name.
        """
        if version != self._version:
            self._version, self._stamps, self._paths, self._looked_ns = version, [], {}, 0
        now_ns = self._clock.monotonic_ns()
        moved = not self._stamps or ts_ns > self._stamps[-1]
        if moved and (not self._looked_ns or now_ns - self._looked_ns >= LOOK_EVERY_NS):
            self._looked_ns = now_ns
            self._take(ts_ns, monitors)

    def write(self, monitors: Mapping[str, Monitor]) -> None:
        """Replace the file."""
        seen = [self._sight(name, monitor) for name, monitor in monitors.items()]
        replace_file(
            self._folder / SIGHT, msgspec.json.encode(Sight(version=self._version, ts_ns=self._stamps, monitors=seen))
        )

    def _take(self, ts_ns: int, monitors: Mapping[str, Monitor]) -> None:
        """Add a point to every path; a subject that is new was not known before."""
        length = len(self._stamps)
        self._stamps.append(ts_ns)
        for name, monitor in monitors.items():
            for gauge in monitor.gauges() if isinstance(monitor, Gauged) else ():
                if gauge.family == "evidence":
                    key = name, gauge.subject, gauge.instrument
                    self._delays[key] = gauge.delay_events
                    path = self._paths.setdefault(key, [None] * length)
                    path.append(round(gauge.value, DIGITS) if math.isfinite(gauge.value) else None)
        for path in self._paths.values():
            path.extend([None] * (len(self._stamps) - len(path)))
        if len(self._stamps) > POINTS_MAX:
            self._stamps = self._stamps[::-1][::2][::-1]
            self._paths = {key: halved(path) for key, path in self._paths.items()}

    def _sight(self, name: str, monitor: Monitor) -> MonitorSight:
        settings = self._settings_of(self._version) if self._version else None
        asked = getattr(getattr(settings, name, None), "false_alarms_per_10k", None)
        return MonitorSight(
            monitor=name,
            false_alarms_per_10k=asked,
            operating=list(monitor.operating) if isinstance(monitor, Fitted) else [],
            series=[
                Series(subject=key[1], instrument=key[2], shares=path, delay_events=self._delay(key))
                for key, path in self._paths.items()
                if key[0] == name
            ],
        )

    def _delay(self, key: tuple[str, str, str]) -> float | None:
        """Return how many events a harm takes to be heard; None where that is not known."""
        delay = self._delays.get(key, math.nan)
        return round(delay, 1) if math.isfinite(delay) else None


def halved(shares: Shares) -> Shares:
    """Return a path with the higher of every two points, counted from its end, so that the newest stays in place.

    >>> halved([0.1, 0.5, None, 0.2, 0.3])
    [0.1, 0.5, 0.3]
    """
    back = shares[::-1]
    pairs = (back[place : place + 2] for place in range(0, len(back), 2))
    kept = [max((share for share in pair if share is not None), default=None) for pair in pairs]
    return kept[::-1]
