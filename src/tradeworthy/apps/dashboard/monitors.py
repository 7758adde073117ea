"""Each monitor at work: its statistic against its limit, the way there, how often it errs, how soon it hears.

Units:  a statistic is shown as a share of its limit, so that all stand on one scale: at 1 there is an alarm.
"""

from collections.abc import Sequence
from statistics import median

import numpy as np

from tradeworthy.apps.reports.charts import Curve, line_chart, spark
from tradeworthy.apps.reports.formats import compact, count, plural
from tradeworthy.apps.reports.html import badge, more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.sight import MonitorSight, Series, Sight
from tradeworthy.judge.monitor.control_charts.calibration import Operating

NEAR = 0.75
"""From this share of its limit on, a statistic is shown as near an alarm."""

DRAWN, LISTED = 5, 12
"""Series of a monitor that are drawn, and listed, at once: those nearest to an alarm; the rest is folded away."""

HEARS = {
    "drift": "Level, spread and tails of every feature, its closest pair, and all features together.",
    "reasons": "A feature that moves the scores more, or less, than in training.",
    "range": "Rows outside the range of training, by feature or all together, more often or longer than its own.",
    "performance": "Realised losses above what the gate measured.",
    "class_balance": "A changed mix of classes, estimated from scores and counted from labels.",
    "estimated": "Cases that have become harder, before their labels are known.",
    "reliability": "Scores that no longer keep their promise: more or less happens than they say.",
    "fairness": "Gaps between groups in how often a rise is called, found, and called falsely.",
    "inputs": "Malformed, crossed, late, jumping, missing, stuck and off-grid market data.",
    "trading": "Slippage above the cost model, refusals, turnover, losing trades (by regime too), drawdown.",
    "latency": "Lags of the feed, of decisions and of answers to orders that have become slow.",
}
"""What each monitor hears, in one sentence."""


def monitors_table(sight: Sight | None, cases: Sequence[Case]) -> Markup:
    """List every monitor at work, the one nearest to an alarm first."""
    if sight is None or not sight.monitors:
        said = "No monitor is at work. The watcher starts with the desk: tradeworthy run"
        return paragraph(said, "empty")
    ordered = sorted(sight.monitors, key=lambda each: -(_share(each.nearest) or 0.0))
    head = (
        "Monitor",
        "Nearest to an alarm",
        "Of its limit",
        "",
        "Way there",
        "False alarms",
        "Expected delay",
        "Findings",
    )
    said = (
        "A statistic at 1 of its limit is an alarm. False alarms: what the limits were set to, per 10,000 events "
        "without a change. Expected delay: events from the smallest harm worth an alarm to the alarm, the middle of "
        "its charts; of what is counted, from five times its usual odds, and at least one event in twenty."
    )
    rows = [_row(each, cases) for each in ordered]
    return join(table(head, rows, align="llrllrrr"), paragraph(said, "empty"))


def _row(monitor: MonitorSight, cases: Sequence[Case]) -> tuple[Markup | str, ...]:
    nearest = monitor.nearest
    return (
        tag("a", monitor.monitor, href=f"/watch/monitors/{monitor.monitor}", id=f"monitor-{monitor.monitor}"),
        _name(nearest) if nearest else tag("span", "looks by windows", class_="empty"),
        *_standing(nearest),
        spark(np.array(_highest(monitor.series)), label=f"Way of {monitor.monitor}") if nearest else "",
        _rate(monitor),
        _delay(monitor),
        count(_found(monitor.monitor, cases)),
    )


def _standing(series: Series | None) -> tuple[Markup | str, Markup | str]:
    """Write how near to its limit a series is, as a number and as a bar."""
    share = _share(series)
    if series is None or share is None:
        return "", ""
    words = f"{series.subject}: {share:.0%} of its limit"
    meter = tag("meter", f"{share:.0%}", value=min(share, 1.0), high=NEAR, max=1.0, aria_label=words)
    return f"{share:.2f}", meter


def _rate(monitor: MonitorSight) -> str:
    return "" if monitor.false_alarms_per_10k is None else compact(monitor.false_alarms_per_10k)


def _delay(monitor: MonitorSight) -> str:
    """Write the middle of the expected delays; a monitor that still learns from its first events has none."""
    of_charts = [each.delay_events for each in monitor.operating if each.watched]
    known = [delay for delay in (*of_charts, *(each.delay_events for each in monitor.series)) if delay is not None]
    return count(median(known)) if known else "not known yet"


def _found(name: str, cases: Sequence[Case]) -> int:
    """Count a monitor's findings."""
    return sum(times for case in cases for (monitor, _, _), times in case.causes.items() if monitor == name)


def _share(series: Series | None) -> float | None:
    return None if series is None else series.now


def _name(series: Series) -> str:
    """Write what a series is about; the instrument where the subject does not say it."""
    said = series.subject
    return said if not series.instrument or series.instrument in said else f"{said}, {series.instrument}"


def _highest(series: Sequence[Series]) -> list[float]:
    """Return the highest share at each moment; NaN where none is known."""
    columns = zip(*(each.shares for each in series), strict=True)
    return [max((share for share in column if share is not None), default=float("nan")) for column in columns]


def monitor_view(sight: Sight, monitor: MonitorSight, cases: Sequence[Case]) -> Markup:
    """Build the page of one monitor."""
    own = [case for case in cases if any(name == monitor.monitor for name, _, _ in case.causes)]
    unwatched = [point.name for point in monitor.operating if not point.watched]
    said = f"Not watched, for no chart can judge a clockwork: {', '.join(unwatched)}." if unwatched else ""
    everything = more(f"All {len(monitor.series)} series", _listed(_ordered(monitor), monitor.operating))
    return join(
        paragraph(HEARS.get(monitor.monitor, "")),
        _asked(monitor),
        monitor_now(sight, monitor),
        everything if len(monitor.series) > LISTED else None,
        paragraph(said, "empty") if said else None,
        tag("section", tag("h2", "What it found"), _of(own)),
    )


def monitor_now(sight: Sight, monitor: MonitorSight) -> Markup:
    """Draw what is nearest to an alarm; an open page asks for this part again and again."""
    ordered = _ordered(monitor)
    return tag(
        "div",
        tag("section", tag("h2", "On the way to an alarm"), _drawn(sight, ordered)),
        tag("section", tag("h2", "Nearest to an alarm"), _listed(ordered[:LISTED], monitor.operating)),
        id="monitor",
        hx_get=f"/watch/monitors/{monitor.monitor}/now",
        hx_trigger="every 2s",
        hx_swap="outerHTML",
    )


def _ordered(monitor: MonitorSight) -> list[Series]:
    """Return a monitor's series, the one nearest to an alarm first."""
    return sorted(monitor.series, key=lambda each: -(each.now or 0.0))


def _asked(monitor: MonitorSight) -> Markup:
    """Say what the limits were set to."""
    if monitor.false_alarms_per_10k is None:
        return paragraph("No rate of false alarms is set for it.")
    rate = compact(monitor.false_alarms_per_10k)
    watched = sum(point.watched for point in monitor.operating)
    charts = f" It keeps {plural(watched, 'chart')} against training." if watched else ""
    return paragraph(f"Set to {rate} false alarms per 10,000 events without a change, all its series together.{charts}")


def _drawn(sight: Sight, ordered: Sequence[Series]) -> Markup:
    known = [each for each in ordered[:DRAWN] if any(share is not None for share in each.shares)]
    if not known or len(sight.ts_ns) < 2:
        return paragraph("It has no statistic to draw yet; one comes with the next events.", "empty")
    stamps = np.array(sight.ts_ns, np.int64)
    curves = [
        Curve(_name(each), stamps, np.array([np.nan if s is None else s for s in each.shares]), tone=1 + place)
        for place, each in enumerate(known)
    ]
    return line_chart(
        "Statistics as shares of their limits",
        curves,
        unit="of the limit",
        levels=[(1.0, "alarm")],
        caption="Times are the market's. A chart that has alarmed begins again; peaks between two points are kept.",
    )


def _listed(ordered: Sequence[Series], points: Sequence[Operating]) -> Markup:
    """List every series with what its chart can be expected to hear."""
    by_name = {point.name: point for point in points}
    rows = [(_name(each), *_standing(each), *_hears(each, by_name.get(each.subject))) for each in ordered]
    head = ("Series", "Of its limit", "", "Smallest shift heard, sd", "Expected delay, events")
    return table(head, rows, align="lrlrr", empty="This monitor looks by windows; it has no running statistic.")


def _hears(series: Series, point: Operating | None) -> tuple[str, str]:
    shift, delay = ("", series.delay_events) if point is None else (compact(point.shift_seen_sd, 3), point.delay_events)
    return shift, "" if delay is None else count(delay)


def _of(cases: Sequence[Case]) -> Markup:
    """List cases in which a monitor found something."""
    if not cases:
        return paragraph("Nothing yet.", "empty")
    items = (
        tag("li", badge(case.state), " ", tag("a", case.told.sentence, href=f"/watch/{case.number}"))
        for case in reversed(cases)
    )
    return tag("ul", items, class_="cases")
