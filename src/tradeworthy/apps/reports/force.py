"""A force plot: contributions as arrows that push the margin from its baseline to where it stands.

Idea:   all that raises stands left of the margin, all that lowers right of it, both with their tips at the margin, the
        largest nearest to it; the thresholds are upright lines. What pushes more takes more room, so the balance is
        seen at a glance.
"""

from collections.abc import Sequence

from tradeworthy.apps.reports.axes import LEFT, RIGHT, WIDTH, Key, Plot, drawing, figure, number_axis, upright
from tradeworthy.apps.reports.bars import Step
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import Scale, signed, widened

HEIGHT = 170.0
BAND = (68.0, 100.0)
TIP = 7.0
LETTER = 6.6
Level = tuple[float, str]


def force_plot(
    title: str,
    steps: Sequence[Step],
    *,
    baseline: float,
    margin: float,
    unit: str,
    levels: Sequence[Level] = (),
    caption: str | Markup = "",
) -> Markup:
    """Draw contributions as opposing arrows.

    Parameters
    ----------
    title : str
        The heading.
    steps : sequence of Step
        Contributions; ``baseline`` plus all of them is ``margin``.
    baseline, margin : float
        Where it starts, and where it stands.
    unit : str
        Of all of them.
    levels : sequence of (float, str)
        Values worth a line, such as thresholds, with their names.
    """
    raising = sorted((step for step in steps if step.value > 0), key=lambda step: -step.value)
    lowering = sorted((step for step in steps if step.value < 0), key=lambda step: step.value)
    start, end = margin - sum(step.value for step in raising), margin - sum(step.value for step in lowering)
    shown = [start, end, baseline, *(value for value, _ in levels)]
    low, high = widened(min(shown), max(shown))
    plot = Plot(Scale(low, high, LEFT, WIDTH - RIGHT), Scale(0.0, 1.0, HEIGHT - 44.0, 24.0), HEIGHT)
    said = (
        f"From the baseline {baseline:.4g}, {len(raising)} raise and {len(lowering)} lower the margin to {margin:.4g}."
    )
    arrows = [*_row(plot, raising, margin, "up"), *_row(plot, lowering, margin, "down")]
    marks = [
        (baseline, f"baseline {signed(f'{baseline:.3f}')}"),
        (margin, f"margin {signed(f'{margin:.3f}')}"),
        *levels,
    ]
    lines = [upright(plot, value, label, lane) for lane, (value, label) in enumerate(marks)]
    keys = [Key("raises", "box up"), Key("lowers", "box down")]
    tall = drawing(title, said, HEIGHT, number_axis(plot, unit), *arrows, *lines)
    return figure(title, said, tall, keys=keys, caption=caption)


def _row(plot: Plot, steps: Sequence[Step], margin: float, style: str) -> list[Markup]:
    """Draw one side's arrows, the largest with its tip at the margin."""
    drawn, tip = [], margin
    for step in steps:
        tail = tip - step.value
        drawn.append(_arrow(plot, step, tail, tip, style))
        tip = tail
    return drawn


def _arrow(plot: Plot, step: Step, tail: float, tip: float, style: str) -> Markup:
    """Draw one arrow, and its name inside where it fits."""
    a, b = plot.x.at(tail), plot.x.at(tip)
    top, bottom = BAND
    middle, bend = (top + bottom) / 2, min(TIP, abs(b - a) / 2) * (1 if b >= a else -1)
    path = (
        f"M{a:.1f} {top:.1f}L{b - bend:.1f} {top:.1f}L{b:.1f} {middle:.1f}L{b - bend:.1f} {bottom:.1f}"
        f"L{a:.1f} {bottom:.1f}L{a + bend:.1f} {middle:.1f}Z"
    )
    hint = tag("title", f"{step.name}: {signed(f'{step.value:+.4f}')}. {step.note}".strip())
    fits = abs(b - a) > LETTER * len(step.name) + 3 * TIP
    name = tag("text", step.name, x=(a + b) / 2, y=middle + 4, class_="middle inside") if fits else None
    return join(tag("path", hint, d=path, class_=f"bar {style}"), name)
