"""What makes groups of decisions: their instrument, venue, session, weekday, market regime, or any column of a row.

Idea:   a grouping says what it needs (the time, the instrument, a feature, a field of the pushed row, how wild the
        market was) and puts each decision into one of its named groups.
Time:   sessions and weekdays are those of a time zone's own clocks, by the decision's event time.
Undefined: a decision whose value is not known is in no group (-1).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import leaf
from tradeworthy.core.time import NS_PER_HOUR, wall_clock_ns
from tradeworthy.judge.monitor.joins.wildness import REGIMES, WILD_CUTS
from tradeworthy.model.season import DAY, WEEK

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Needs = Literal["nothing", "feature", "field", "wildness"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
THURSDAY = 3
"""The weekday on which the count of days begins (1 January 1970)."""

SESSIONS = (0, 8, 16, 24)
"""Hours at which a session ends and the next one begins."""

NO_VENUE = "no venue named"
OF_DECISIONS = ("instrument", "venue", "session", "weekday", "regime")
"""What groups are made of without a column."""


class Known(NamedTuple):
    """(n,) decisions' event times and instruments, and the value that a grouping needs."""

    ts_ns: Longs
    instruments: npt.NDArray[np.integer[Any]]
    values: Floats


class Columns(NamedTuple):
    """What can make groups: symbols, the version's features, fields of pushed rows, who trades where, whose clocks.

    `words` are those of fields that hold text: a word's place is its code.
    """

    instruments: Sequence[str]
    features: Sequence[str] = ()
    fields: Sequence[str] = ()
    venues: Mapping[str, Sequence[str]] = {}
    time_zone: str = "UTC"
    words: Mapping[str, Sequence[str]] = {}

    def know(self, by: str) -> bool:
        """Whether groups of more than one can be made of a name."""
        if by == "instrument":
            return len(self.instruments) > 1
        if by == "venue":
            return len(self.venues) > 0
        return by in OF_DECISIONS or by in self.features or by in self.fields


class Trained(NamedTuple):
    """What training showed out of fold: (m,) scores, labels, event times; (m, n) rows, NaN where they are not kept."""

    scores: Floats
    labels: Floats
    ts_ns: Longs
    rows: Floats


class Grouping:
    """Puts decisions into groups by one property.

    Parameters
    ----------
    by : str
        One of `OF_DECISIONS`, a feature, or a field of pushed rows; of a name that is both, the feature is taken.
    columns : Columns
        Known names.
    cuts : sequence of float
        Of a column. Without them a field of text makes a group of each of its words, any other one is a flag.
    """

    def __init__(self, by: str, columns: Columns, cuts: Sequence[float] = ()) -> None:
        self.by, self.needs, self.column = by, _needs(by, columns), -1
        self._cuts = np.array(sorted(cuts) if cuts else [0.5])
        if self.needs == "feature":
            self.column = list(columns.features).index(by)
        elif self.needs == "field":
            self.column = list(columns.fields).index(by)
        elif self.needs == "wildness":
            self._cuts = np.array(WILD_CUTS)
        self._is_text = self.needs == "field" and by in columns.words and not cuts
        self.names = list(columns.words[by]) if self._is_text else _names(by, columns, self._cuts)
        self._time_zone = columns.time_zone
        hours = np.arange(WEEK)
        self._at_hour: dict[str, Longs] = {
            "session": np.searchsorted(SESSIONS[1:], hours % DAY, side="right").astype(np.int64),
            "weekday": (hours // DAY + THURSDAY) % len(WEEKDAYS),
        }
        where = {symbol: place for place, symbols in enumerate(columns.venues.values()) for symbol in symbols}
        self._venue_of = np.array([where.get(symbol, len(columns.venues)) for symbol in columns.instruments])

    @property
    def is_in_training(self) -> bool:
        """Whether what is kept of training tells its groups: times do, and rows of features."""
        return self.needs == "feature" or self.by in self._at_hour

    def places(self, known: Known) -> Longs:
        """Return the group of each of (n,) decisions, -1 for none."""
        if self.by in ("instrument", "venue"):
            group_of = self._venue_of if self.by == "venue" else np.arange(len(self.names))
            return group_of[np.minimum(known.instruments.astype(np.int64), len(group_of) - 1)]
        if self.by in self._at_hour:
            places = np.empty(len(known.ts_ns), np.int64)
            _write_at_hours(wall_clock_ns(known.ts_ns, self._time_zone), self._at_hour[self.by], places)
            return places
        if self._is_text:
            return np.where(np.isin(known.values, np.arange(len(self.names))), known.values, -1).astype(np.int64)
        places = np.searchsorted(self._cuts, known.values, side="left").astype(np.int64)
        return np.where(np.isfinite(known.values), places, -1)


@leaf
def _write_at_hours(shown_ns: Longs, at_hour: Longs, places: Longs) -> None:
    """Write what (WEEK,) hours of the week have at each of (n,) times that clocks showed."""
    for i in range(len(shown_ns)):
        places[i] = at_hour[shown_ns[i] // NS_PER_HOUR % WEEK]


def places_of_training(grouping: Grouping, trained: Trained) -> Longs | None:
    """Return the group of each of (m,) cases of training; None where it does not know the groups."""
    if not grouping.is_in_training:
        return None
    n = len(trained.ts_ns)
    values = trained.rows[:, grouping.column] if grouping.needs == "feature" else np.zeros(n)
    return grouping.places(Known(trained.ts_ns, np.zeros(n, np.int64), values))


def _needs(by: str, columns: Columns) -> Needs:
    """Return what a grouping needs to know beside time and instrument."""
    if by == "regime":
        return "wildness"
    if by in OF_DECISIONS:
        return "nothing"
    return "feature" if by in columns.features else "field"


def _names(by: str, columns: Columns, cuts: Floats) -> list[str]:
    """Return the names of the groups."""
    match by:
        case "instrument":
            return list(columns.instruments)
        case "venue":
            return [*columns.venues, NO_VENUE]
        case "session":
            place = columns.time_zone.rpartition("/")[2].replace("_", " ")
            return [f"{start:02}-{end:02} {place}" for start, end in pairwise(SESSIONS)]
        case "weekday":
            return list(WEEKDAYS)
        case "regime":
            return list(REGIMES)
    ends = [f"{cut:g}" for cut in cuts]
    between = [f"{by} {low} to {high}" for low, high in pairwise(ends)]
    return [f"{by} up to {ends[0]}", *between, f"{by} over {ends[-1]}"]
