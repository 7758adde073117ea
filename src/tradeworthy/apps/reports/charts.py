"""Curves over time, fills on a price, and histograms, as inline SVG that needs no script.

Idea:   a long curve keeps the first, lowest, highest and last value of every pixel column (`downsample`), so what is
        drawn is what all points would have drawn, and the caption says how many there were.
Undefined: NaN leaves a gap in a curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tradeworthy.apps.reports.axes import (
    Key,
    Plot,
    drawing,
    figure,
    level,
    number_axis,
    time_axis,
    upright,
    value_axis,
)
from tradeworthy.apps.reports.downsample import finite_runs, kept_places
from tradeworthy.apps.reports.markup import Markup, join, number, tag
from tradeworthy.apps.reports.scales import Floats, Scale, extent, minute, widened

Nanoseconds = npt.NDArray[np.int64]

HEIGHT = 280.0
SPARK_WIDTH, SPARK_HEIGHT = 150.0, 30.0
TITLES_MAX = 400


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One named value over time.

    Attributes
    ----------
    ts_ns : (n,) int64
        Ascending UTC nanoseconds.
    values : (n,) float64
        NaN leaves a gap.
    style : str
        ``line`` joins points, ``step`` holds a value until the next, ``area`` fills down to zero.
    tone : int
        Which of the page's colours, 1 to 6.
    """

    name: str
    ts_ns: Nanoseconds
    values: Floats
    style: Literal["line", "step", "area"] = "line"
    tone: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a line: when, and a word or two."""

    ts_ns: int
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """Trades to be drawn on a price; a quantity above zero bought.

    Attributes
    ----------
    ts_ns : (n,) int64
    prices, quantities : (n,) float64
    """

    ts_ns: Nanoseconds
    prices: Floats
    quantities: Floats


def line_chart(
    title: str,
    curves: Sequence[Curve],
    *,
    unit: str,
    description: str = "",
    caption: str | Markup = "",
    marks: Sequence[Mark] = (),
    levels: Sequence[tuple[float, str]] = (),
    span_ns: tuple[int, int] | None = None,
    height: float = HEIGHT,
) -> Markup:
    """Draw curves over one time axis.

    Parameters
    ----------
    title, description : str
        What is drawn, and what it shows, for those who cannot see it.
    curves : sequence of Curve
        At least one point in all of them together.
    unit : str
        Of every curve; written above the value axis.
    marks : sequence of Mark
        Upright lines at moments, such as a change of version.
    levels : sequence of (value, label)
        Level lines, such as a limit.
    span_ns : (int, int), optional
        The time axis; by default the first to the last point. Give several charts one span to line them up.
    """
    plot = _time_plot(curves, span_ns, height, include=[value for value, _ in levels])
    inside = [mark for mark in marks if plot.x.low <= mark.ts_ns <= plot.x.high]
    parts = [
        value_axis(plot, unit),
        time_axis(plot),
        *(_path(plot, curve) for curve in curves),
        *(level(plot, value, label) for value, label in levels),
        *(upright(plot, mark.ts_ns, mark.label, place % 3) for place, mark in enumerate(inside)),
    ]
    keys = [Key(c.name, f"{c.style} s{c.tone}") for c in curves] if len(curves) > 1 else []
    said = description or _described(curves, unit)
    return figure(title, said, drawing(title, said, height, *parts), keys=keys, caption=caption)


def spark(values: Floats, *, label: str, level_at: float = 1.0) -> Markup:
    """Draw (n,) values, evenly spaced, as a small curve under a limit, for a cell of a table; NaN leaves a gap."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Markup("")
    x, y = Scale(0.0, max(len(values) - 1.0, 1.0), 1.0, SPARK_WIDTH - 1), Scale(0.0, level_at, SPARK_HEIGHT - 2, 3.0)
    runs = finite_runs(np.minimum(values, 1.05 * level_at))
    places = np.arange(len(values), dtype=np.float64)
    path = "".join(_run(x.many(places[run]), y.many(np.minimum(values[run], level_at)), "line", y) for run in runs)
    top = y.at(level_at)
    return tag(
        "svg",
        tag("line", x1=0, x2=SPARK_WIDTH, y1=top, y2=top, class_="mark"),
        tag("path", d=path, class_="curve line s1"),
        viewBox=f"0 0 {number(SPARK_WIDTH)} {number(SPARK_HEIGHT)}",
        class_="spark",
        role="img",
        aria_label=f"{label}: from {finite[0]:.2f} to {finite[-1]:.2f}, highest {finite.max():.2f}",
    )


def price_chart(
    title: str,
    price: Curve,
    fills: Fills,
    *,
    unit: str,
    caption: str | Markup = "",
    marks: Sequence[Mark] = (),
    span_ns: tuple[int, int] | None = None,
    height: float = 340.0,
) -> Markup:
    """Draw a price with an upward triangle for every buy and a downward one for every sale."""
    plot = _time_plot([price], span_ns, height, include=[float(p) for p in fills.prices])
    bought = fills.quantities > 0
    said = (
        f"{_described([price], unit)} {int(bought.sum()):,} buys and {int((~bought).sum()):,} sales are marked on it."
    )
    inside = [mark for mark in marks if plot.x.low <= mark.ts_ns <= plot.x.high]
    parts = [
        value_axis(plot, unit),
        time_axis(plot),
        _path(plot, price),
        _triangles(plot, fills, bought, "buy"),
        _triangles(plot, fills, ~bought, "sell"),
        *(upright(plot, mark.ts_ns, mark.label, place % 3) for place, mark in enumerate(inside)),
    ]
    keys = [Key(price.name, f"line s{price.tone}"), Key("bought", "dot buy"), Key("sold", "dot sell")]
    return figure(title, said, drawing(title, said, height, *parts), keys=keys, caption=caption)


def histogram(
    title: str,
    values: Floats,
    *,
    unit: str,
    bins: int = 40,
    levels: Sequence[tuple[float, str]] = (),
    caption: str | Markup = "",
    height: float = 220.0,
) -> Markup:
    """Draw how often values fall into equal bins; values that are not finite are left out and counted in the words."""
    finite = values[np.isfinite(values)]
    low, high = extent([finite], [value for value, _ in levels])
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    plot = Plot.of((low, high), widened(0.0, float(max(counts.max(), 1)), 4), height)
    left = len(values) - len(finite)
    said = f"{len(finite):,} values between {low:,.4g} and {high:,.4g} {unit}." + (
        f" {left:,} undefined." if left else ""
    )
    parts = [
        value_axis(plot, "count", 4),
        *(_column(plot, a, b, int(n), unit) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True) if n),
        number_axis(plot, unit),
        *(upright(plot, value, label) for value, label in levels),
    ]
    return figure(title, said, drawing(title, said, height, *parts), caption=caption)


def compared(
    title: str,
    shares: tuple[Floats, Floats, Floats],
    *,
    unit: str,
    names: tuple[str, str] = ("then", "now"),
    caption: str | Markup = "",
    height: float = 220.0,
) -> Markup:
    """Draw two distributions over the same bins, the first filled, the second as an outline.

    Parameters
    ----------
    shares : tuple of (n + 1,), (n,), (n,) float64
        The bins' edges, and the shares of values in each, then and now.
    """
    edges, then, now = shares
    highest = max(float(then.max()), float(now.max()), 1e-6)
    plot = Plot.of((float(edges[0]), float(edges[-1])), widened(0.0, highest, 4), height)
    middles = 0.5 * (edges[1:] + edges[:-1])
    means = [
        f"{name}: about {float(part @ middles):,.4g} on average" for name, part in zip(names, (then, now), strict=True)
    ]
    said = f"{'; '.join(means)} {unit}."
    parts = [
        value_axis(plot, "share", 4),
        tag("path", d=_outline(plot, edges, then), class_="curve area s1"),
        tag("path", d=_outline(plot, edges, now), class_="curve line s2"),
        number_axis(plot, unit),
    ]
    keys = [Key(names[0], "box s1"), Key(names[1], "line s2")]
    return figure(title, said, drawing(title, said, height, *parts), keys=keys, caption=caption)


def _outline(plot: Plot, edges: Floats, shares: Floats) -> str:
    """Write the top of a histogram as one closed path."""
    base, x, y = plot.y.start, plot.x.many(edges), plot.y.many(shares)
    steps = "".join(f"V{top:.1f}H{right:.1f}" for top, right in zip(y, x[1:], strict=True))
    return f"M{x[0]:.1f} {base:.1f}{steps}V{base:.1f}Z"


def _time_plot(
    curves: Sequence[Curve], span_ns: tuple[int, int] | None, height: float, include: Sequence[float]
) -> Plot:
    """Lay out a plot over time that shows every value; areas and steps show zero too."""
    zero = [0.0] if any(curve.style != "line" for curve in curves) else []
    y = widened(*extent([curve.values for curve in curves], [*include, *zero]))
    if span_ns is None:
        starts, ends = zip(*((c.ts_ns[0], c.ts_ns[-1]) for c in curves if len(c.ts_ns)), strict=True)
        span_ns = int(min(starts)), int(max(ends))
    first, last = span_ns
    return Plot.of((first, max(last, first + 1)), y, height)


def _path(plot: Plot, curve: Curve) -> Markup:
    """Draw one curve, cut where it is undefined."""
    columns = int(plot.x.end - plot.x.start)
    parts = []
    for run in finite_runs(curve.values):
        x, y = plot.x.many(curve.ts_ns[run]), plot.y.many(curve.values[run])
        kept = kept_places(x, y, columns)
        parts.append(_run(x[kept], y[kept], curve.style, plot.y))
    return tag("path", d="".join(parts), class_=f"curve {curve.style} s{curve.tone}")


def _run(x: Floats, y: Floats, style: str, scale: Scale) -> str:
    """Write one unbroken stretch of a curve as path commands."""
    points = [f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)]
    if len(points) == 1:
        return f"M{points[0]}h.1"
    if style == "step":
        return f"M{points[0]}" + "".join(f"H{a:.1f}V{b:.1f}" for a, b in zip(x[1:], y[1:], strict=True))
    line = "M" + "L".join(points)
    if style == "area":
        base = scale.at(0.0)
        return f"{line}L{x[-1]:.1f} {base:.1f}L{x[0]:.1f} {base:.1f}Z"
    return line


def _triangles(plot: Plot, fills: Fills, chosen: npt.NDArray[np.bool_], side: str) -> Markup:
    """Draw one triangle a fill: small when there are many, each with its own words when there are few."""
    size = 5.0 if len(fills.ts_ns) <= 120 else 3.4 if len(fills.ts_ns) <= 600 else 2.4
    lift = size if side == "buy" else -size
    x, y = plot.x.many(fills.ts_ns[chosen]), plot.y.many(fills.prices[chosen])
    shapes = [f"M{a:.1f} {b:.1f}l{size:.1f} {lift * 1.7:.1f}h{-2 * size:.1f}Z" for a, b in zip(x, y, strict=True)]
    if len(fills.ts_ns) > TITLES_MAX:
        return tag("path", d="".join(shapes), class_=f"fill {side}")
    words = [
        f"{side} {abs(quantity):,.6g} at {price:,.6g}, {minute(int(ns))}"
        for ns, price, quantity in zip(fills.ts_ns[chosen], fills.prices[chosen], fills.quantities[chosen], strict=True)
    ]
    return join(
        tag("path", tag("title", said), d=shape, class_=f"fill {side}")
        for shape, said in zip(shapes, words, strict=True)
    )


def _column(plot: Plot, low: float, high: float, count: int, unit: str) -> Markup:
    """Draw one bin of a histogram."""
    x, top = plot.x.at(low), plot.y.at(count)
    said = f"{count:,} from {low:,.4g} to {high:,.4g} {unit}"
    return tag(
        "rect",
        tag("title", said),
        x=x + 0.5,
        y=top,
        width=max(plot.x.at(high) - x - 1, 0.5),
        height=plot.y.start - top,
        class_="bar s1",
    )


def _described(curves: Sequence[Curve], unit: str) -> str:
    """Say in words what curves show: points, range, start and end."""
    return " ".join(_sentence(curve, unit) for curve in curves)


def _sentence(curve: Curve, unit: str) -> str:
    """Say in words what one curve shows."""
    finite = curve.values[np.isfinite(curve.values)]
    if not len(finite):
        return f"{curve.name}: no values."
    return (
        f"{curve.name}: {len(curve.values):,} points from {finite[0]:,.5g} to {finite[-1]:,.5g} {unit}, "
        f"lowest {finite.min():,.5g}, highest {finite.max():,.5g}."
    )
