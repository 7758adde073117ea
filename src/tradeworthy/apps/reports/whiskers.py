"""Measured values over time, each between its bounds: one colour a series, side by side where they share a moment.

Undefined: a value that is not known is left out; so are bounds that are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeworthy.apps.reports.axes import Key, Plot, drawing, figure, level, time_axis, value_axis
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import extent, minute, widened
from tradeworthy.core.time import NS_PER_MINUTE

HEIGHT = 260.0
APART = 7.0
"""Drawing units between series at one moment."""

TONES = 7
"""Colours of the style sheet, as many as a week has days."""

MARGIN = 0.05
"""Of the span, left free at both ends."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A value at a moment, between its bounds."""

    ts_ns: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A named series of values."""

    name: str
    moments: Sequence[Moment]


def whisker_chart(
    title: str,
    series: Sequence[Measured],
    *,
    unit: str,
    limit: tuple[float, str] | None = None,
    caption: str | Markup = "",
) -> Markup:
    """Draw series of measured values over one time axis.

    Parameters
    ----------
    series : sequence of Measured
        With at least one known value in all of them together.
    unit : str
        Of every value.
    limit : (value, label), optional
        A level line.
    """
    known = [(each.name, [m for m in each.moments if math.isfinite(m.value)]) for each in series]
    plot = _plot([m for _, moments in known for m in moments], limit)
    middle = (len(known) - 1) / 2
    marks = [
        _whisker(plot, name, moment, 1 + place % TONES, APART * (place - middle))
        for place, (name, moments) in enumerate(known)
        for moment in moments
    ]
    said = " ".join(_sentence(name, moments) for name, moments in known if moments)
    keys = [Key(name, f"dot s{1 + place % TONES}") for place, (name, _) in enumerate(known)]
    line = level(plot, *limit) if limit else None
    body = drawing(title, said, HEIGHT, value_axis(plot, unit), time_axis(plot), join(line), *marks)
    return figure(title, said, body, keys=keys if len(keys) > 1 else [], caption=caption)


def _plot(moments: Sequence[Moment], limit: tuple[float, str] | None) -> Plot:
    """Lay out a plot that shows every value with its bounds."""
    values = [v for m in moments for v in (m.value, m.low, m.high) if math.isfinite(v)]
    low, high = widened(*extent([np.array(values)], [limit[0]] if limit else []))
    first, last = min(m.ts_ns for m in moments), max(m.ts_ns for m in moments)
    room = max(int(MARGIN * (last - first)), NS_PER_MINUTE)
    return Plot.of((float(first - room), float(last + room)), (low, high), HEIGHT)


def _whisker(plot: Plot, name: str, moment: Moment, tone: int, beside: float) -> Markup:
    """Draw one value between its bounds."""
    x = plot.x.at(moment.ts_ns) + beside
    said = f"{name}, {minute(moment.ts_ns)}: {moment.value:.3f} ({moment.low:.3f} to {moment.high:.3f})"
    bounded = math.isfinite(moment.low) and math.isfinite(moment.high)
    line = (
        tag("line", x1=x, x2=x, y1=plot.y.at(moment.low), y2=plot.y.at(moment.high), class_=f"curve s{tone}")
        if bounded
        else None
    )
    return join(line, tag("circle", tag("title", said), cx=x, cy=plot.y.at(moment.value), r=3.5, class_=f"bar s{tone}"))


def _sentence(name: str, moments: Sequence[Moment]) -> str:
    """Say in words what one series shows."""
    return f"{name}: from {moments[0].value:.3f} to {moments[-1].value:.3f} in {len(moments)} windows."
