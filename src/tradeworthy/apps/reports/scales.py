"""From data to the page: linear scales, round ticks, calendar ticks, and numbers as people write them.

Units:  data in their own units; positions in the drawing's units; times are UTC nanoseconds.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S

Floats = npt.NDArray[np.float64]

_STEPS_NS = [
    *(n * NS_PER_MS for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * NS_PER_S for n in (1, 2, 5, 10, 15, 30)),
    *(n * NS_PER_MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * NS_PER_HOUR for n in (1, 2, 3, 6, 12)),
    *(n * NS_PER_DAY for n in (1, 2, 5, 10)),
]
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
_DAYS_A_MONTH = 30.44


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from data (`low`..`high`) to the drawing (`start`..`end`)."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value is drawn."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def many(self, values: npt.ArrayLike) -> Floats:
        """Return where (n,) values are drawn."""
        data = np.asarray(values, np.float64)
        return self.start + (data - self.low) / (self.high - self.low) * (self.end - self.start)


def extent(arrays: Iterable[npt.ArrayLike], include: Iterable[float] = ()) -> tuple[float, float]:
    """Return the lowest and highest finite value of all arrays and of `include`; (0, 1) for none.

    Values too close together to tell apart get a range around them.
    """
    joined = np.concatenate([np.asarray(a, np.float64) for a in (*arrays, list(include))])
    finite = joined[np.isfinite(joined)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(low) * 0.05 or 1.0
        return low - spread, high + spread
    return low, high


def round_step(span: float, wanted: int) -> float:
    """Return the round step (1, 2, 2.5 or 5 times a power of ten) that cuts `span` into about `wanted` parts."""
    raw = span / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next((m for m in (1.0, 2.0, 2.5, 5.0) if raw <= m * power * 1.0001), 10.0)


def round_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round values inside `low`..`high`, about `wanted` of them."""
    step = round_step(high - low, wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def widened(low: float, high: float, wanted: int = 5) -> tuple[float, float]:
    """Return the range widened to whole steps, so that the axis ends on a tick."""
    step = round_step(high - low, wanted)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def number_label(value: float, step: float) -> str:
    """Write a tick with the decimals that its step needs, thousands apart, a true minus."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    if decimals < 6 and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1
    return signed(f"{value:,.{decimals}f}")


def signed(text: str) -> str:
    """Write a hyphen in front of a number as a true minus; minus zero as zero."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,%") else "\N{MINUS SIGN}" + text[1:]
    return text


def time_ticks(low_ns: int, high_ns: int, wanted: int = 7) -> list[tuple[int, str]]:
    """Return calendar ticks inside a span: their UTC nanoseconds and a label as fine as the step."""
    span = max(high_ns - low_ns, 1)
    place = bisect_left(_STEPS_NS, span / wanted)
    if place < len(_STEPS_NS):
        step = _STEPS_NS[place]
        first = -(-low_ns // step) * step
        return [(ns, _clock_label(ns, step)) for ns in range(first, high_ns + 1, step)]
    months_wanted = span / NS_PER_DAY / _DAYS_A_MONTH / wanted
    step_months = next((m for m in _MONTHS if m >= months_wanted), _MONTHS[-1])
    return [(ns, label) for ns, label in _month_ticks(low_ns, high_ns, step_months) if low_ns <= ns <= high_ns]


def moment(ns: int) -> datetime:
    """Return UTC nanoseconds as a UTC datetime; below a microsecond is cut."""
    seconds, rest = divmod(ns, NS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)


def day(ns: int) -> str:
    """Write the UTC day, as in ``5 Aug 2019``."""
    at = moment(ns)
    return f"{at.day} {at:%b %Y}"


def minute(ns: int) -> str:
    """Write the UTC day and minute, as in ``5 Aug 2019 14:30``."""
    return f"{day(ns)} {moment(ns):%H:%M}"


def _clock_label(ns: int, step: int) -> str:
    """Label a tick below a month: the day at midnight, else the time as fine as the step."""
    at = moment(ns)
    if step >= NS_PER_DAY or ns % NS_PER_DAY == 0:
        return f"{at.day} {at:%b}"
    if step >= NS_PER_MINUTE:
        return f"{at:%H:%M}"
    return f"{at:%H:%M:%S}" if step >= NS_PER_S else f"{at:%M:%S}.{at.microsecond // 1000:03d}"


def _month_ticks(low_ns: int, high_ns: int, step: int) -> Iterable[tuple[int, str]]:
    """Yield the first of every `step`-th month, labelled by its year in January."""
    first, last = moment(low_ns), moment(high_ns)
    for count in range(first.year * 12 // step * step, last.year * 12 + 12, step):
        at = datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
        yield int(at.timestamp()) * NS_PER_S, f"{at.year}" if at.month == 1 else f"{at:%b}"
