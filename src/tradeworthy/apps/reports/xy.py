"""Curves over a number, a mean between its bounds, and what was foretold against what came.

Undefined: a point that is not known is left out by the caller; bounds that are NaN are not drawn.
"""

from collections.abc import Iterable, Sequence
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


def bounded_chart(
    title: str,
    rows: Floats,
    *,
    over: str,
    unit: str,
    levels: Sequence[tuple[float, str]] = (),
    caption: str | Markup = "",
) -> Markup:
    """Draw a mean as it grew, between the bounds that held at each size.

    Parameters
    ----------
    rows : (n, 4) float64
        After how many values; the mean so far, and its bounds.
    over, unit : str
        What the axes show.
    levels : sequence of (value, label)
        Level lines, such as what is allowed.
    """
    known = rows[np.isfinite(rows).all(axis=1)]
    low, high = widened(*extent([rows[:, 1:].ravel()], [value for value, _ in levels]))
    plot = Plot.of(extent([rows[:, 0]]), (low, high), HEIGHT)
    edge = [*known[:, [0, 2]].tolist(), *known[::-1, [0, 3]].tolist()]
    band = tag("path", d=f"{_path(plot, edge)}Z", class_="curve band s1") if len(known) > 1 else None
    curve = XY(title, [(at, mean) for at, mean in rows[:, :2].tolist()])
    n, mean, *bounds = rows[-1].tolist()
    between = f", between {bounds[0]:.4g} and {bounds[1]:.4g}" if np.isfinite(bounds).all() else ", without bounds yet"
    said = f"{mean:.4g} {unit} after {n:,.0f} {over}{between}."
    keys = [Key("mean", "line s1"), Key("bounds that hold at all times", "band s1")]
    axes = (value_axis(plot, unit), number_axis(plot, over))
    lines = [level_line(plot, value, label) for value, label in levels]
    body = drawing(title, said, HEIGHT, *axes, join(band), _line(plot, curve, 1), *lines)
    return figure(title, said, body, keys=keys, caption=caption)


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
    few = curve.points if len(curve.points) <= POINTS_SHOWN else ()
    dots = [tag("circle", cx=plot.x.at(x), cy=plot.y.at(y), r=3, class_=f"bar s{tone}") for x, y in few]
    return join(tag("path", d=_path(plot, curve.points), class_=f"curve line s{tone}"), dots)


def _path(plot: Plot, points: Iterable[Sequence[float]]) -> str:
    """Write points as one line."""
    return "M" + "L".join(f"{number(plot.x.at(x))} {number(plot.y.at(y))}" for x, y in points)


def _sentence(curve: XY, over: str) -> str:
    """Say in words what one curve shows."""
    (x, first), (end, last) = curve.points[0], curve.points[-1]
    return f"{curve.name}: {first:.4g} at {over} {x:.4g}, {last:.4g} at {end:.4g}."
