"""Slices of time on which figures are shown apart: quarters, hours of the day, wild or calm, rising or falling, liquid.

Idea:   a regime is told from what was known before the score: the movement of the last events.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.evidence.walk import PaperWalk

Masks = npt.NDArray[np.bool_]

SESSION_HOURS = 8


class Slice(NamedTuple):
    """Some of the rows: what they have in common, and which they are, as (n,) bool."""

    by: str
    name: str
    rows: Masks


def periods(ts_event_ns: npt.NDArray[np.int64]) -> Iterator[Slice]:
    """Yield the quarters of the calendar, in order."""
    months = ts_event_ns.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    quarters = months // 3
    for quarter in np.unique(quarters):
        yield Slice("period", f"{1970 + quarter // 4}-Q{quarter % 4 + 1}", quarters == quarter)


def sessions(ts_event_ns: npt.NDArray[np.int64]) -> Iterator[Slice]:
    """Yield the thirds of the day in UTC."""
    hours = ts_event_ns.astype("datetime64[ns]").astype("datetime64[h]").astype(np.int64) % 24
    for first in range(0, 24, SESSION_HOURS):
        inside = (hours >= first) & (hours < first + SESSION_HOURS)
        if inside.any():
            yield Slice("session", f"{first:02d}-{first + SESSION_HOURS:02d} UTC", inside)


def regimes(walk: PaperWalk) -> Iterator[Slice]:
    """Yield thirds by the movement before each score, and halves by its direction."""
    known = np.isfinite(walk.volatility)
    if not known.any():
        return
    yield from _thirds("volatility", walk.volatility, ("calm", "middling", "wild"))
    trend = np.nan_to_num(walk.trend)
    yield Slice("trend", "rising", known & (trend > 0))
    yield Slice("trend", "falling", known & (trend <= 0))


def tiers(walk: PaperWalk) -> Iterator[Slice]:
    """Yield thirds by how much was traded, or shown, in the events before each score; none where that is not known."""
    yield from _thirds("liquidity", walk.liquidity, ("thin", "middling", "deep"))


def _thirds(by: str, values: npt.NDArray[np.float64], names: tuple[str, str, str]) -> Iterator[Slice]:
    """Yield the rows whose value is known in thirds from low to high; none where no value is known."""
    known = np.isfinite(values)
    if not known.any():
        return
    low, high = np.quantile(values[known], [1 / 3, 2 / 3])
    for name, inside in zip(names, (values <= low, (values > low) & (values <= high), values > high), strict=True):
        yield Slice(by, name, known & inside)
