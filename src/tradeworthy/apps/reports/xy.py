"""Curves over a number, and what was foretold against what came.

Undefined: a point that is not known is left out by the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeworthy.apps.reports.axes import Key, Plot, drawing, figure, number_axis, value_axis
from tradeworthy.apps.reports.axes import level as level_line
from tradeworthy.apps.reports.markup import Markup, join, number, tag
from tradeworthy.apps.reports.scales import Floats, extent, widened

HEIGHT = 260.0
SQUARE = 320.0
POINTS_SHOWN = 40
"""A curve of no more points than this shows each of them."""


@dataclass(frozen=True, slots=True)
class XY:
    """A named curve: points in the order of their first number."""

    name: str
    points: Sequence[tuple[float, float]]


def xy_chart(
    title: str,
    curves: Sequence[XY],
    *,
    over: str,
    unit: str = "",
    level: tuple[float, str] | None = None,
    caption: str | Markup = "",
) -> Markup:
    """Draw curves over one axis of numbers.

    Parameters
    ----------
    curves : sequence of XY
        Each of at least one point.
    over, unit : str
        What the axes show.
    level : (value, label), optional
        A level line, such as what is required.
    """
    x = [at for curve in curves for at, _ in curve.points]
    y = [value for curve in curves for _, value in curve.points]
    low, high = widened(*extent([np.array(y)], [level[0]] if level else []))
    plot = Plot.of(extent([np.array(x)]), (low, high), HEIGHT)
    lines = [_line(plot, curve, 1 + place % 6) for place, curve in enumerate(curves)]
    said = " ".join(_sentence(curve, over) for curve in curves)
    keys = [Key(curve.name, f"line s{1 + place % 6}") for place, curve in enumerate(curves)]
    mark = level_line(plot, *level) if level else None
    body = drawing(title, said, HEIGHT, value_axis(plot, unit), number_axis(plot, over), *lines, join(mark))
    return figure(title, said, body, keys=keys if len(curves) > 1 else [], caption=caption)


def reliability_chart(title: str, rows: Floats, *, over: str, unit: str, caption: str | Markup = "") -> Markup:
    """Draw what was foretold against what came.

    Parameters
    ----------
    rows : (n, 4) float64
        The mean score of each bin, the share that came true, and the bounds of that share.
    over, unit : str
        What the axes show.
    """
    low, high = widened(float(rows.min()), float(rows.max()))
    plot = Plot.of((low, high), (low, high), SQUARE)
    diagonal = tag("line", x1=plot.x.start, y1=plot.y.start, x2=plot.x.end, y2=plot.y.end, class_="mark")
    points = [_point(plot, *row) for row in rows.tolist()]
    said = "; ".join(f"{score:.3f} foretold, {share:.3f} came ({a:.3f} to {b:.3f})" for score, share, a, b in rows)
    keys = [Key("share and interval", "dot s1"), Key("as foretold", "dash")]
    body = drawing(title, said, SQUARE, value_axis(plot, unit), number_axis(plot, over), diagonal, *points)
    return figure(title, said, body, keys=keys, caption=caption)


def _point(plot: Plot, score: float, share: float, low: float, high: float) -> Markup:
    """Draw one bin between its whiskers."""
    x = plot.x.at(score)
    said = f"{score:.3f} foretold, {share:.3f} came ({low:.3f} to {high:.3f})"
    return join(
        tag("line", x1=x, x2=x, y1=plot.y.at(low), y2=plot.y.at(high), class_="whisker"),
        tag("circle", tag("title", said), cx=x, cy=plot.y.at(share), r=4.5, class_="point"),
    )


def _line(plot: Plot, curve: XY, tone: int) -> Markup:
    """Draw one curve, with its points where they are few."""
    places = [(plot.x.at(x), plot.y.at(y)) for x, y in curve.points]
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in places)
    dots = [tag("circle", cx=x, cy=y, r=3, class_=f"bar s{tone}") for x, y in places]
    return join(tag("path", d=path, class_=f"curve line s{tone}"), dots if len(places) <= POINTS_SHOWN else None)


def _sentence(curve: XY, over: str) -> str:
    """Say in words what one curve shows."""
    (x, first), (end, last) = curve.points[0], curve.points[-1]
    return f"{curve.name}: {first:.4g} at {over} {x:.4g}, {last:.4g} at {end:.4g}."
