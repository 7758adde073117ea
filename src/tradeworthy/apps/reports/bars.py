"""Bars that add up, intervals beside a line, counts, and who was in charge when.

Idea:   one row a thing, its name on the left, so that long names stay readable and a row is a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.reports.axes import WIDTH, Key, Plot, drawing, figure, number_axis, time_axis, upright
from tradeworthy.apps.reports.charts import Mark
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import Scale, extent, minute, signed, widened

ROW = 26.0
NAMES = 270.0
VALUES = 78.0
TOP = 12.0
BOTTOM = 44.0
MOMENT_NS = 1_000_000
"""The shortest time that is drawn: of nanoseconds since 1970, a float does not know the last hundreds."""


@dataclass(frozen=True, slots=True)
class Step:
    """One contribution to a total, with what is said about it in small print."""

    name: str
    value: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value between its bounds."""

    name: str
    value: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in one state; `style` is one of champion, shadow, canary, training, heard, lasting."""

    first_ns: int
    last_ns: int
    style: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of a timeline."""

    name: str
    spans: Sequence[Span]


def waterfall(
    title: str,
    steps: Sequence[Step],
    *,
    start: Step,
    end: Step,
    unit: str,
    places: int = 4,
    description: str = "",
    caption: str | Markup = "",
    from_zero: bool = False,
) -> Markup:
    """Draw how steps lead from a start to an end: each bar begins where the one above stopped.

    The caller gives steps in the order in which they should be read; `start.value` plus all steps is `end.value`. With
    `from_zero` the axis shows zero, for totals whose lengths are to be compared.
    """
    totals = [start.value]
    for step in steps:
        totals.append(totals[-1] + step.value)
    plot = _row_plot(widened(*extent([totals, [end.value], [0.0] if from_zero else []])), len(steps) + 2)
    rows = [_total_row(plot, 0, start, places)]
    rows += [_step_row(plot, place + 1, step, totals[place], places) for place, step in enumerate(steps)]
    rows.append(_total_row(plot, len(steps) + 1, end, places))
    said = description or f"From {start.value:.4g} to {end.value:.4g} {unit} in {len(steps)} steps."
    keys = [Key("raises", "box up"), Key("lowers", "box down"), Key("total", "box total")]
    return figure(
        title, said, drawing(title, said, plot.height, number_axis(plot, unit), *rows), keys=keys, caption=caption
    )


def interval_chart(
    title: str,
    intervals: Sequence[Interval],
    *,
    unit: str,
    level: tuple[float, str] | None = None,
    caption: str | Markup = "",
) -> Markup:
    """Draw measured values with their bounds, one row each, beside a level to be compared with."""
    bounds = [value for i in intervals for value in (i.low, i.value, i.high)]
    plot = _row_plot(widened(*extent([bounds], [level[0]] if level else [])), len(intervals))
    mark = [upright(plot, level[0])] if level else []
    rows = [_interval_row(plot, place, interval) for place, interval in enumerate(intervals)]
    said = "; ".join(f"{i.name}: {i.value:.4g} ({i.low:.4g} to {i.high:.4g})" for i in intervals)
    keys = [Key("value and interval", "dot s1"), *([Key(level[1], "dash")] if level else [])]
    return figure(
        title,
        said,
        drawing(title, said, plot.height, number_axis(plot, unit), *mark, *rows),
        keys=keys,
        caption=caption,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """A named value, drawn from zero."""

    name: str
    value: float


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    *,
    unit: str,
    level: tuple[float, str] | None = None,
    caption: str | Markup = "",
) -> Markup:
    """Draw values as bars from zero, one row each, beside a level to be compared with.

    Parameters
    ----------
    bars : sequence of Bar
        At least one.
    level : (value, label), optional
        Such as what is required.
    """
    values = [bar.value for bar in bars]
    plot = _row_plot(widened(*extent([values], [0.0, *([level[0]] if level else [])])), len(bars))
    mark = [upright(plot, level[0])] if level else []
    rows = [
        _bar_row(plot, place, _Bar(bar.name, (0.0, bar.value), "up" if bar.value >= 0 else "down", _four(bar.value)))
        for place, bar in enumerate(bars)
    ]
    said = "; ".join(f"{bar.name}: {_four(bar.value)}" for bar in bars)
    keys = [Key(level[1], "dash")] if level else []
    body = drawing(title, said, plot.height, number_axis(plot, unit), *rows, *mark)
    return figure(title, said, body, keys=keys, caption=caption)


def _four(value: float) -> str:
    return signed(f"{value:,.4g}")


def count_chart(title: str, counts: Sequence[tuple[str, int, str]], *, caption: str | Markup = "") -> Markup:
    """Draw counts as bars from zero: (name, count, CSS tone), in the order given."""
    highest = max((count for _, count, _ in counts), default=1)
    plot = _row_plot((0.0, float(max(highest, 1))), len(counts), bottom=8.0, values=130.0)
    total = max(sum(count for _, count, _ in counts), 1)
    rows = [
        _bar_row(plot, place, _Bar(name, (0.0, float(count)), tone, f"{count:,} ({count / total:.1%})"))
        for place, (name, count, tone) in enumerate(counts)
    ]
    said = "; ".join(f"{name}: {count:,}" for name, count, _ in counts)
    return figure(title, said, drawing(title, said, plot.height, *rows), caption=caption)


def timeline(
    title: str,
    lanes: Sequence[Lane],
    *,
    span_ns: tuple[int, int],
    marks: Sequence[Mark] = (),
    caption: str | Markup = "",
) -> Markup:
    """Draw what was in which state when: one lane a version or a case, a bar a stretch, a line a moment."""
    first, last = float(span_ns[0]), float(max(span_ns[1], span_ns[0] + MOMENT_NS))
    plot = _row_plot((first, last), len(lanes), values=16.0)
    shown = dict.fromkeys(span.style for lane in lanes for span in lane.spans)
    bars = [_span(plot, place, span) for place, lane in enumerate(lanes) for span in lane.spans]
    names = [
        tag("text", lane.name, x=NAMES - 10, y=_middle(place) + 4, class_="end name")
        for place, lane in enumerate(lanes)
    ]
    lines = [upright(plot, mark.ts_ns) for mark in marks]
    said = "; ".join(f"{m.label} at {minute(m.ts_ns)}" for m in marks) or f"{len(lanes)} lanes."
    keys = [Key(style, f"box {style}") for style in shown]
    body = drawing(title, said, plot.height, time_axis(plot), *bars, *names, *lines)
    return figure(title, said, body, keys=keys, caption=caption)


def _row_plot(x: tuple[float, float], rows: int, *, bottom: float = BOTTOM, values: float = VALUES) -> Plot:
    """Lay out a plot of rows: names on the left, values written on the right."""
    height = TOP + rows * ROW + bottom
    return Plot(Scale(*x, NAMES, WIDTH - values), Scale(0.0, 1.0, height - bottom, TOP), height)


def _middle(place: int) -> float:
    """Return the height of a row's middle."""
    return TOP + (place + 0.5) * ROW


@dataclass(frozen=True, slots=True)
class _Bar:
    """A row with a bar between two values: its name, what is written at its right, and the small print."""

    name: str
    ends: tuple[float, float]
    style: str
    label: str
    note: str = ""


def _bar_row(plot: Plot, place: int, bar: _Bar) -> Markup:
    """Draw a row's name, its bar, and its words at the right."""
    low, high = sorted((plot.x.at(bar.ends[0]), plot.x.at(bar.ends[1])))
    middle = _middle(place)
    hint = tag("title", f"{bar.name}: {bar.label}. {bar.note}".strip())
    box = {"x": low, "y": middle - 8, "width": max(high - low, 1.0), "height": 16.0, "rx": 2.0}
    return join(
        tag("text", bar.name, x=NAMES - 10, y=middle + 4, class_="end name"),
        tag("rect", hint, class_=f"bar {bar.style}", **box),
        tag("text", bar.label, x=plot.x.end + 10, y=middle + 4, class_="value"),
    )


def _step_row(plot: Plot, place: int, step: Step, before: float, places: int) -> Markup:
    """Draw a contribution, with a thin line from the row above."""
    at = plot.x.at(before)
    style = "up" if step.value >= 0 else "down"
    bar = _Bar(step.name, (before, before + step.value), style, signed(f"{step.value:+,.{places}f}"), step.note)
    return join(
        tag("line", x1=at, x2=at, y1=_middle(place - 1) + 8, y2=_middle(place) - 8, class_="link"),
        _bar_row(plot, place, bar),
    )


def _total_row(plot: Plot, place: int, total: Step, places: int) -> Markup:
    """Draw a start or an end as a bar from zero, or from the edge where zero is not shown."""
    zero = min(max(0.0, plot.x.low), plot.x.high)
    label = signed(f"{total.value:,.{places}f}")
    return _bar_row(plot, place, _Bar(total.name, (zero, total.value), "total", label, total.note))


def _interval_row(plot: Plot, place: int, interval: Interval) -> Markup:
    """Draw a dot between its whiskers."""
    middle, low, high = _middle(place), plot.x.at(interval.low), plot.x.at(interval.high)
    style = "strong" if interval.strong else ""
    said = f"{_four(interval.value)} ({_four(interval.low)} to {_four(interval.high)})"
    return join(
        tag("text", interval.name, x=NAMES - 10, y=middle + 4, class_=f"end name {style}"),
        tag("line", x1=low, x2=high, y1=middle, y2=middle, class_=f"whisker {style}"),
        tag("circle", tag("title", said), cx=plot.x.at(interval.value), cy=middle, r=4.5, class_=f"point {style}"),
        tag("text", f"{interval.value:.3f}", x=plot.x.end + 10, y=middle + 4, class_=f"value {style}"),
    )


def _span(plot: Plot, place: int, span: Span) -> Markup:
    """Draw one stretch of a lane; its label is written inside where it fits."""
    low, high, middle = plot.x.at(span.first_ns), plot.x.at(span.last_ns), _middle(place)
    said = f"{span.label or span.style}: {minute(span.first_ns)} to {minute(span.last_ns)}"
    fits = span.label and high - low > 7 * len(span.label) + 12
    return join(
        tag(
            "rect",
            tag("title", said),
            x=low,
            y=middle - 9,
            width=max(high - low, 2.0),
            height=18.0,
            rx=3.0,
            class_=f"bar {span.style}",
        ),
        tag("text", span.label, x=low + 7, y=middle + 4, class_="inside") if fits else None,
    )
