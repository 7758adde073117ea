"""One budget of false alarms a day, split over all monitors of a deployment.

Idea:   what an operator can bear is a number of false alarms a day, whoever raises them. It is split in proportion to
        what the monitors ask for by themselves (`false_alarms_per_10k`), so who wants one of them to be bolder changes
        that one's share. Events a day are those of the version's own walk-forward.
Units:  a day is one on which there are decisions. Monitors of market events, fills or round trips are counted as if
        each decision brought one of theirs.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.judge.monitor.standing import MonitorSettings

SHARE_MAX = 0.01
"""No more than one alarm in a hundred events may be asked for."""

Z = 1.96
NONE_HEARD = 3.689
"""The upper 97.5% bound of a Poisson mean of which nothing was counted."""


class Counted(NamedTuple):
    """So many alarms among so many events without change."""

    events: int
    alarms: int


class Rate(NamedTuple):
    """A rate and its 95% interval."""

    value: float
    low: float
    high: float


def events_per_day(ts_event_ns: npt.NDArray[np.int64]) -> float:
    """Return the median count of (n,) times a UTC day, of the days that have any; 0 for none."""
    if len(ts_event_ns) == 0:
        return 0.0
    return float(np.median(np.unique(np.asarray(ts_event_ns) // NS_PER_DAY, return_counts=True)[1]))


def budgeted(settings: MonitorSettings, per_day: float) -> MonitorSettings:
    """Return settings whose rates add up to `false_alarms_per_day` over so many events a day, where that is set.

    Raises
    ------
    DataInvalid
        More than one alarm in a hundred events is asked for, or no event a day is known.
    """
    asked = settings.false_alarms_per_day
    if asked is None:
        return settings
    if asked > SHARE_MAX * per_day:
        raise DataInvalid(
            f"monitor.false_alarms_per_day is {asked:g} over {per_day:g} events a day; allowed is at most "
            f"{SHARE_MAX * per_day:g}, one in a hundred: ask for fewer, or train on more than these"
        )
    rates = settings.rates
    factor = 1e4 * asked / per_day / sum(rates.values())
    parts = {
        name: msgspec.structs.replace(getattr(settings, name), false_alarms_per_10k=factor * rate)
        for name, rate in rates.items()
    }
    return msgspec.structs.replace(settings, **parts)


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the 95% interval of the mean of a Poisson count (Byar's approximation).

    >>> [round(bound, 1) for bound in poisson_interval(4)]
    [1.1, 10.2]
    """
    if count == 0:
        return 0.0, NONE_HEARD
    low, high = (
        n * (1.0 - 1.0 / (9.0 * n) + sign * Z / (3.0 * math.sqrt(n))) ** 3 for n, sign in ((count, -1), (count + 1, 1))
    )
    return max(0.0, low), high


def rate_of(counts: Mapping[str, Counted], per_day: float) -> Rate:
    """Return the alarms a day of monitors together, each over its own events, with an interval.

    Reference: Dobson, Kuulasmaa, Eberle and Scherer (1991), intervals of weighted sums of Poisson counts.
    """
    weights = {name: per_day / each.events for name, each in counts.items()}
    value = sum(weights[name] * each.alarms for name, each in counts.items())
    total = sum(each.alarms for each in counts.values())
    low, high = poisson_interval(total)
    if total == 0:
        return Rate(0.0, 0.0, max(weights.values()) * high)
    unit = math.sqrt(sum(weights[name] ** 2 * each.alarms for name, each in counts.items()) / total)
    return Rate(value, max(0.0, value + unit * (low - total)), value + unit * (high - total))


def verdict(asked: float, found: Counted | None, per_day: float) -> str:
    """Say whether held-out references bear out `asked` alarms a day: what was found, what was allowed, what to do."""
    if found is None:
        return "learns from the live feed, so there is no reference to check it on; its bound is that of its charts"
    if found.events == 0:
        return "too short a reference to hold any of it out; train on more rows"
    rate = rate_of({"": found}, per_day)
    if rate.low > asked:
        return (
            f"alarms {rate.value:.3g} times a day, asked were {asked:.3g}: the reference changes by itself more than "
            f"its limits allow; ask for at least {rate.low:.3g} of this monitor, or train on a longer period"
        )
    needed = math.ceil(NONE_HEARD * per_day / asked)
    if asked * found.events < per_day:
        return (
            f"{found.events:,} held-out events bound it at {NONE_HEARD * per_day / found.events:.3g} a day at best; "
            f"{asked:.3g} is extrapolated, {needed:,} events would show it"
        )
    return ""
