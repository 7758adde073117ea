"""The view of fairness and explanation: rates by group over time with intervals; what the champion goes by."""

from collections.abc import Mapping, Sequence

import numpy as np

from tradeworthy.apps.dashboard.insight import Grouped, Importance, Insight, drift_of
from tradeworthy.apps.reports.charts import Curve, line_chart
from tradeworthy.apps.reports.formats import count, decimal, interval
from tradeworthy.apps.reports.html import KeyFigure, badge, key_figures, more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.whiskers import Measured, Moment, whisker_chart
from tradeworthy.judge.monitor.fairness import FairnessTable, Gap, Rate

RATES: Mapping[str, tuple[str, str]] = {
    "selection_rate": ("How often it says yes", "selection rate"),
    "true_positive_rate": ("How much of what came true it had called", "true positive rate"),
    "false_positive_rate": ("How often it calls what does not come", "false positive rate"),
}
"""What each rate says, in words, and its name."""

LEADING = 6
"""Features whose importance is drawn over time; all are listed."""


def fairness_view(found: Insight | None, why_not: str = "") -> Markup:
    """Build the view; where nothing can be said, say why and what to do."""
    if found is None:
        return paragraph(f"Nothing to show yet: {why_not}", "empty")
    return join(
        _figures(found),
        tag("section", tag("h2", "What it goes by"), _explained(found.importance)),
        tag("section", tag("h2", "Groups"), _groups(found)),
    )


def _figures(found: Insight) -> Markup:
    """Set what all of it rests on."""
    gaps = [
        gap
        for each in found.groups
        for rate, gap in each.whole.gaps.items()
        if rate in RATES and np.isfinite(gap.difference)
    ]
    widest = max(gaps, key=lambda gap: gap.difference, default=None)
    reasons = found.importance
    moved = None if reasons is None else drift_of(reasons.training, reasons.windows[-1].shares)
    between = "no label yet" if widest is None else f"{_name(widest.rate)}, {widest.highest} over {widest.lowest}"
    return key_figures(
        [
            KeyFigure("Decisions read", count(found.decisions), remark=f"the newest of champion {found.version[:8]}"),
            KeyFigure("Outcomes known", count(found.labelled), remark="decisions whose label has come"),
            KeyFigure(
                "Widest gap between groups",
                "unknown" if widest is None else decimal(widest.difference, 3),
                remark=between,
            ),
            KeyFigure(
                "Reasons moved since training",
                "unknown" if moved is None else f"{moved:.0%}",
                remark="share of importance that went to other features",
            ),
        ]
    )


def _explained(found: Importance | None) -> Markup:
    """Draw the importance of features now and in training, and over time."""
    if found is None:
        return paragraph("No feature row of the champion is on the tape, so nothing can be explained.", "empty")
    order = np.argsort(-found.windows[-1].shares, kind="stable")
    rows = [_feature(found, at) for at in order.tolist()]
    head = ("Feature", "In training", "Now", "Moved", "")
    listed = table(head, rows[:LEADING], align="lrrrl")
    rest = more(f"All {len(rows)} features", table(head, rows, align="lrrrl")) if len(rows) > LEADING else None
    said = f"Share of the mean size of all contributions, over {found.rows:,} rows of each window: {found.method}."
    return join(listed, rest, _over_time(found, order[:LEADING].tolist()), paragraph(said, "empty"))


def _feature(found: Importance, at: int) -> tuple[Markup | str, ...]:
    """Set one feature's importance in training and now."""
    name, before, now = found.names[at], float(found.training[at]), float(found.windows[-1].shares[at])
    return name, f"{before:.1%}", f"{now:.1%}", _moved(now - before), _bar(name, now)


def _moved(change: float) -> str:
    return f"{100 * change:+.1f}".replace("-", "\N{MINUS SIGN}") + " points"


def _bar(name: str, share: float) -> Markup:
    return tag("meter", f"{share:.0%}", value=float(share), max=1.0, aria_label=f"{name}: {share:.0%} of all reasons")


def _over_time(found: Importance, leading: Sequence[int]) -> Markup | None:
    """Draw the leading features' importance over the windows; a single window is no time."""
    if len(found.windows) < 2:
        return None
    stamps = np.array([window.ts_ns for window in found.windows], np.int64)
    shares = 100.0 * np.array([window.shares for window in found.windows])
    curves = [Curve(found.names[at], stamps, shares[:, at], tone=1 + place) for place, at in enumerate(leading)]
    return line_chart("Importance over time", curves, unit="% of all", caption="One point a window of decisions.")


def _groups(found: Insight) -> Markup:
    """Draw the rates of every grouping."""
    if not found.labelled:
        said = "No label is known yet: one comes as many events after its decision as the label looks ahead."
        return paragraph(said, "empty")
    if not found.groups:
        said = "No grouping applies: set [monitor.fairness] by to instrument, session, weekday or a feature's name."
        return paragraph(said, "empty")
    return join(_grouped(each, found.allowed) for each in found.groups)


def _grouped(each: Grouped, allowed: float) -> Markup:
    """Draw one grouping: how often each group gets a yes over time, the other rates folded, and the gaps in numbers."""
    charts = [_rates(each, rate) for rate in RATES]
    return join(
        tag("h3", f"By {each.by}", class_="by"),
        charts[0],
        more("The other rates over time", *charts[1:]),
        _gaps(each.whole, allowed),
        more("Every group in numbers", _numbers(each.whole)),
    )


def _rates(each: Grouped, rate: str) -> Markup:
    """Draw one rate of each group over the windows."""
    words, name = RATES[rate]
    series = [
        Measured(
            group,
            [
                Moment(window.ts_ns, own.value, own.low, own.high)
                for window in each.windows
                if (own := window.table.groups.get(group, {}).get(rate)) is not None
            ],
        )
        for group in each.whole.groups
    ]
    if not any(np.isfinite(moment.value) for own in series for moment in own.moments):
        return paragraph(f"{words}: not known yet.", "empty")
    said = f"One point a window of about {each.windows[0].rows:,} decisions; 95% intervals."
    return whisker_chart(words, series, unit="rate", caption=f"The {name}. {said}")


def _gaps(whole: FairnessTable, allowed: float) -> Markup:
    """Set the gaps between the extreme groups beside what is put up with."""
    rows = [(_name(rate), *_gap(gap, allowed)) for rate, gap in whole.gaps.items() if rate in RATES]
    head = ("Gap", "Highest", "Lowest", "Difference", "95%", "Put up with", "", "Ratio")
    return table(head, rows, align="lllrrrlr")


def _gap(gap: Gap, allowed: float) -> tuple[Markup | str, ...]:
    if not np.isfinite(gap.difference):
        return "", "", "not known", "", decimal(allowed, 2), "", ""
    bounds, ratio = interval(gap.difference_low, gap.difference_high), decimal(gap.ratio, 2)
    return gap.highest, gap.lowest, decimal(gap.difference), bounds, decimal(allowed, 2), _stands(gap, allowed), ratio


def _stands(gap: Gap, allowed: float) -> Markup:
    """Say whether a gap is wider than is put up with: with all of its interval, or perhaps by chance."""
    if gap.difference <= allowed:
        return badge("within", "good")
    return badge("wider", "bad") if gap.difference_low > allowed else badge("wider, maybe by chance", "warn")


def _name(rate: str) -> str:
    return RATES[rate][1] if rate in RATES else rate.replace("_", " ")


def _numbers(whole: FairnessTable) -> Markup:
    """List each group's rates with their intervals."""
    rows = [
        (group, count(rates["selection_rate"].n), *(_rate(rates[rate]) for rate in RATES))
        for group, rates in whole.groups.items()
    ]
    return table(("Group", "Decisions", *(name for _, name in RATES.values())), rows, align="lrrrr")


def _rate(rate: Rate) -> str:
    if not rate.n:
        return "not known"
    return f"{decimal(rate.value)} ({interval(rate.low, rate.high)})"
