"""The paper that charts are drawn on: size, margins, axes, grid, and the figure around a drawing.

Idea:   every chart of a page has the same width and left margin, so that time axes stand exactly above each other.
        Colours are CSS classes, so one drawing is right in light, dark and print.
Units:  the drawing's own units; one is a CSS pixel at full width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.reports.markup import Markup, join, number, tag
from tradeworthy.apps.reports.scales import Scale, day, minute, number_label, round_step, round_ticks, time_ticks
from tradeworthy.core.time import NS_PER_DAY

WIDTH = 920.0
LEFT = 68.0
RIGHT = 16.0
TOP = 22.0
BOTTOM = 40.0
SHORT_UNIT = 10
"""Letters of a unit that fit beside the values' own right edge; a longer one begins at the drawing's."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The area that data are drawn in, and how data become positions."""

    x: Scale
    y: Scale
    height: float

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float], height: float) -> "Plot":
        """Lay out a plot of the usual width for two ranges of data."""
        return cls(Scale(*x, LEFT, WIDTH - RIGHT), Scale(*y, height - BOTTOM, TOP), height)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: a name, and the CSS classes that draw its sample."""

    name: str
    style: str


def figure(
    title: str, description: str, drawing: Markup, *, keys: Sequence[Key] = (), caption: str | Markup = ""
) -> Markup:
    """Wrap a drawing: a heading, a legend, the drawing, and a caption below it."""
    legend = tag("ul", (tag("li", tag("i", class_=key.style), key.name) for key in keys), class_="legend")
    return tag(
        "figure",
        tag("div", tag("h3", title), legend if keys else None, class_="head"),
        tag("div", drawing, class_="drawing", tabindex="0", role="group", aria_label=description),
        tag("figcaption", caption) if caption else None,
        class_="chart",
    )


def drawing(title: str, description: str, height: float, *parts: Markup) -> Markup:
    """Build the SVG element; a screen reader says its title and description instead of its lines."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *parts,
        viewBox=f"0 0 {number(WIDTH)} {number(height)}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def value_axis(plot: Plot, unit: str, wanted: int = 5) -> Markup:
    """Draw horizontal grid lines with their values, and the unit above the highest."""
    low, high = plot.y.low, plot.y.high
    step = round_step(high - low, wanted)
    at_end = len(unit) <= SHORT_UNIT
    parts = [tag("text", unit, x=LEFT - 8 if at_end else 0, y=TOP - 10, class_="unit end" if at_end else "unit")]
    for value in round_ticks(low, high, wanted):
        at = plot.y.at(value)
        base = " zero" if abs(value) < step / 1e6 else ""
        parts.append(tag("line", x1=plot.x.start, x2=plot.x.end, y1=at, y2=at, class_=f"grid{base}"))
        parts.append(tag("text", number_label(value, step), x=LEFT - 8, y=at + 4, class_="end"))
    return tag("g", parts, class_="axis")


def time_axis(plot: Plot) -> Markup:
    """Draw calendar ticks below the plot, and the whole span with its zone under them."""
    base, low, high = plot.y.start, int(plot.x.low), int(plot.x.high)
    parts = [tag("line", x1=plot.x.start, x2=plot.x.end, y1=base, y2=base, class_="base")]
    for ns, label in time_ticks(low, high):
        at = plot.x.at(ns)
        parts.append(tag("line", x1=at, x2=at, y1=base, y2=base + 5, class_="base"))
        parts.append(tag("text", label, x=at, y=base + 18, class_="middle"))
    write = day if high - low >= 3 * NS_PER_DAY else minute
    span = f"{write(low)} to {write(high)}, UTC"
    parts.append(tag("text", span, x=plot.x.end, y=base + 34, class_="end unit"))
    return tag("g", parts, class_="axis")


def number_axis(plot: Plot, unit: str, wanted: int = 7) -> Markup:
    """Draw numeric ticks below the plot, and the unit under them."""
    base, low, high = plot.y.start, plot.x.low, plot.x.high
    step = round_step(high - low, wanted)
    parts = [tag("line", x1=plot.x.start, x2=plot.x.end, y1=base, y2=base, class_="base")]
    for value in round_ticks(low, high, wanted):
        at = plot.x.at(value)
        parts.append(tag("line", x1=at, x2=at, y1=base, y2=base + 5, class_="base"))
        parts.append(tag("text", number_label(value, step), x=at, y=base + 18, class_="middle"))
    parts.append(tag("text", unit, x=plot.x.end, y=base + 34, class_="end unit"))
    return tag("g", parts, class_="axis")


def upright(plot: Plot, value: float, label: str = "", lane: int = 0) -> Markup:
    """Draw a dashed upright line at a moment or value, with its words beside its top; lanes keep words apart."""
    at = plot.x.at(value)
    line = tag("line", x1=at, x2=at, y1=plot.y.end, y2=plot.y.start, class_="mark")
    if not label:
        return line
    left = at > plot.x.end - 150
    words = tag(
        "text", label, x=at - 5 if left else at + 5, y=plot.y.end + 9 + 13 * lane, class_="note end" if left else "note"
    )
    return join(line, words)


def level(plot: Plot, value: float, label: str) -> Markup:
    """Draw a dashed line at a value, with its words at the right end."""
    at = plot.y.at(value)
    return join(
        tag("line", x1=plot.x.start, x2=plot.x.end, y1=at, y2=at, class_="mark"),
        tag("text", label, x=plot.x.end, y=at - 5, class_="note end"),
    )
