"""Shadows beside their champion, drawn: each figure as it grew, between bounds that hold however often one looks."""

import math
from collections.abc import Sequence

import numpy as np

from tradeworthy.apps.dashboard.shadowing import Figure, ShadowLine
from tradeworthy.apps.reports.formats import compact, interval
from tradeworthy.apps.reports.html import Tone, badge, code, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.xy import bounded_chart

TONES: dict[str, Tone] = {"good enough": "good", "not good enough": "bad"}
ABOUT = {
    "loss": "What it loses more than the champion, a decision: below zero it foretells better.",
    "profit": "What it would have earned more, a decision, after costs: above zero it earns more.",
    "disagreement": "How often it wanted another side than the champion.",
    "reasons": "How far its reasons are from the champion's: 0 the same contributions, 1 none in common.",
}
NO_DIFFERENCE = (0.0, "no difference")
NONE_YET = (
    "No shadow has been compared yet. Make a version that the gate passed a shadow; the figures come with the labels."
)


def shadows_table(lines: Sequence[ShadowLine]) -> Markup:
    """List every comparison with what is decided so far."""
    rows = [
        (
            tag("a", code(line.version[:8]), href=_address(line)),
            badge(line.role),
            code(line.champion[:8]),
            f"{line.decisions:,} of {line.decisions_max:,}",
            *(_short(line, name) for name in ("loss", "profit", "disagreement")),
            _word(line),
        )
        for line in lines
    ]
    head = ("Version", "Role", "Beside", "Decisions", "Loss", "Profit, bps", "Other side", "So far")
    return table(head, rows, align="lllrrrrl", empty=NONE_YET)


def shadow_section(line: ShadowLine, *, margin: float) -> Markup:
    """Draw every figure of one comparison; `margin` is how much more loss the policy allows."""
    words = join(
        code(line.version[:8]),
        " scored in the shadow of ",
        code(line.champion[:8]),
        f" on {line.decisions:,} of at most {line.decisions_max:,} labelled decisions. So far: ",
        _word(line),
        f"{line.decided.partition(':')[2]}.",
    )
    levels = {"loss": ((margin, "allowed"), NO_DIFFERENCE), "profit": (NO_DIFFERENCE,)}
    return join(paragraph(words), *(_drawn(figure, levels.get(figure.name, ())) for figure in line.figures))


def _drawn(figure: Figure, levels: Sequence[tuple[float, str]]) -> Markup:
    mean = figure.mean
    if not mean.path:
        return paragraph(f"{figure.name.capitalize()}: too few decisions yet.", "empty")
    rows = np.array([[look.n, look.estimate, look.low, look.high] for look in mean.path])
    bounds = (
        "too few decisions for bounds yet" if math.isnan(mean.low) else f"bounds {interval(mean.low, mean.high, 4)}"
    )
    caption = (
        f"{ABOUT[figure.name]} Mean {compact(mean.estimate)} {figure.unit}, {bounds}, {mean.level:.0%} at all times."
    )
    title = figure.name.capitalize()
    return bounded_chart(title, rows, over="decisions", unit=figure.unit, levels=levels, caption=caption)


def _short(line: ShadowLine, name: str) -> Markup | str:
    """Write one figure's mean with its bounds below, short enough for a table."""
    mean = next(figure.mean for figure in line.figures if figure.name == name)
    if math.isnan(mean.low):
        return "too few yet"
    return join(compact(mean.estimate, 3), tag("small", f"{compact(mean.low, 3)} to {compact(mean.high, 3)}"))


def _word(line: ShadowLine) -> Markup:
    word = line.decided.partition(":")[0]
    return badge(word, TONES.get(word, "warn"))


def _address(line: ShadowLine) -> str:
    return f"/versions/compare?one={line.champion}&other={line.version}"
