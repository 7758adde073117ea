"""How the figures behind a check are drawn: bars, curves, intervals beside what is required, and reliability.

Idea:   a table of the evidence says how it wants to be drawn; its numbers stand below, folded away where they are many.
        Drawings are SVG without inline style, so that the page of the desk shows them too.
Undefined: a cell that is not known is left out of a drawing and empty in the table.
"""

import math
from collections.abc import Sequence

import numpy as np

from tradeworthy.apps.reports.bars import Bar, Interval, bar_chart, interval_chart
from tradeworthy.apps.reports.html import more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.xy import XY, reliability_chart, xy_chart
from tradeworthy.judge.validate.evidence import Cell, Table

ROWS_OPEN = 3
"""A drawn table of so few rows is not folded away."""


def shown(about: Table) -> Markup:
    """Show one table of the evidence: drawn as it asks for, with its numbers."""
    if not about.rows:
        return paragraph(f"{about.title}: nothing.", "empty")
    drawing = _drawing(about)
    if drawing is None:
        return _numbers(about, about.title)
    small = len(about.rows) <= ROWS_OPEN
    return join(drawing, _numbers(about) if small else more("The numbers", _numbers(about)))


def _drawing(about: Table) -> Markup | None:
    """Draw a table; None where it does not ask for it, or has no numbers."""
    drawn = {"bars": _bars, "line": _lines, "intervals": _intervals, "reliability": _reliability}.get(about.chart)
    return None if drawn is None else drawn(about)


def _bars(about: Table) -> Markup | None:
    """Draw the first number of each row as a bar under the row's first cell."""
    place = _first_number(about)
    if place is None:
        return None
    bars = [Bar(str(row[0]), value) for row in about.rows if (value := _number(row[place])) is not None]
    return bar_chart(about.title, bars, unit=about.columns[place], level=_level(about)) if bars else None


def _lines(about: Table) -> Markup | None:
    """Draw every column of numbers over the first."""
    curves = [XY(name, _points(about.rows, at)) for at, name in enumerate(about.columns[1:], 1)]
    known = [curve for curve in curves if len(curve.points) > 1]
    if not known:
        return None
    unit = known[0].name if len(known) == 1 else ""
    return xy_chart(about.title, known, unit=unit, over=about.columns[0], level=_level(about))


def _points(rows: Sequence[Sequence[Cell]], at: int) -> list[tuple[float, float]]:
    """Return a column over the first, points that are not known left out."""
    pairs = ((_number(row[0]), _number(row[at])) for row in rows)
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _intervals(about: Table) -> Markup | None:
    """Draw the first three numbers of each row as a value between its bounds."""
    place = _first_number(about)
    if place is None:
        return None
    found = [(str(row[0]), [_number(cell) for cell in row[place : place + 3]]) for row in about.rows]
    drawn = [
        Interval(name, value, value if low is None else low, value if high is None else high)
        for name, (value, low, high) in found
        if value is not None
    ]
    return interval_chart(about.title, drawn, unit=about.columns[place], level=_level(about)) if drawn else None


def _reliability(about: Table) -> Markup | None:
    """Draw what was foretold against what came: mean score, share, its bounds."""
    rows = [[_number(cell) for cell in row[:4]] for row in about.rows]
    known = np.array([row for row in rows if None not in row], np.float64).reshape(-1, 4)
    return reliability_chart(about.title, known, over=about.columns[0], unit="came true") if len(known) else None


def _level(about: Table) -> tuple[float, str] | None:
    return None if about.level is None else (about.level, "required")


def _first_number(about: Table) -> int | None:
    """Return the first column whose cells are numbers, those that are not known left out."""
    for place in range(1, len(about.columns)):
        cells = [row[place] for row in about.rows if row[place] is not None]
        if cells and all(_number(cell) is not None for cell in cells):
            return place
    return None


def _number(cell: Cell) -> float | None:
    """Return a cell's number; None for words, yes and no, and what is not known."""
    if isinstance(cell, bool) or not isinstance(cell, float | int) or not math.isfinite(cell):
        return None
    return float(cell)


def _numbers(about: Table, caption: str = "") -> Markup:
    """Lay out a table's cells, numbers to the right."""
    align = "".join("r" if _is_column_of_numbers(about.rows, at) else "l" for at in range(len(about.columns)))
    return table(about.columns, [[_cell(cell) for cell in row] for row in about.rows], align=align, caption=caption)


def _is_column_of_numbers(rows: Sequence[Sequence[Cell]], at: int) -> bool:
    known = [row[at] for row in rows if row[at] is not None]
    return bool(known) and all(isinstance(cell, float | int) and not isinstance(cell, bool) for cell in known)


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:,.4g}".replace("-", "\N{MINUS SIGN}") if isinstance(cell, float) else str(cell)
