"""The report on monitoring: for each case when it began, then and now, why, what it costs, and what was done.

Idea:   a case is a section that a person can act on alone; the overview shows all of them on one time axis.
Flow:   `MonitoringReport` (filled from ledger, evidence and pulse) → sections → one HTML file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeworthy.apps.reports.bars import Lane, Span, Step, timeline, waterfall
from tradeworthy.apps.reports.charts import Curve, Mark, compared, line_chart
from tradeworthy.apps.reports.formats import compact, count, decimal, interval, plural, short
from tradeworthy.apps.reports.html import (
    Assurance,
    KeyFigure,
    Section,
    assurances,
    badge,
    code,
    heading,
    key_figures,
    more,
    page,
    pairs,
    paragraph,
    table,
)
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.scales import day, minute
from tradeworthy.change.watch.explaining import CaseEvidence
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.pulse import ALERT_DELAY_S_MAX, Pulse
from tradeworthy.judge.explain.change import Change, Effect, FeatureChange

PLOTTED = 3
"""Features of a case that are drawn; all are in its table."""

STEPS_MAX = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """Something that was done about a case: when by the machine's clock, by whom, and what."""

    ts_ns: int
    actor: str
    said: str


@dataclass(frozen=True, slots=True)
class CasePage:
    """One case with what stands behind it."""

    case: Case
    evidence: CaseEvidence | None
    answers: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class MonitoringReport:
    """All that the report says.

    Attributes
    ----------
    generated_ns : int
        When it was written.
    span_ns : tuple of int
        Event times of the first and the last decision of the record.
    cases : sequence of CasePage
        In the order in which they were opened.
    pulse : Pulse or None
        The watcher's last word; None if none ever ran.
    """

    title: str
    env: str
    generated_ns: int
    span_ns: tuple[int, int]
    cases: Sequence[CasePage]
    pulse: Pulse | None


def render_monitoring(report: MonitoringReport) -> str:
    """Write the report as one self-contained HTML document.

    Returns
    -------
    str
        HTML that fetches nothing and runs no script; every text in it is escaped.
    """
    first, last = report.span_ns
    subtitle = join(badge(report.env, "warn" if report.env == "live" else ""), f" {day(first)} to {day(last)}")
    opening = join(_figures(report), assurances(_promises(report)))
    sections = [_overview(report), *(_case(item) for item in report.cases)]
    closing = f"Written {minute(report.generated_ns)} UTC by tradeworthy, from ledger, tape and versions alone."
    return page(report.title, subtitle, opening, sections, closing)


def _figures(report: MonitoringReport) -> Markup:
    """Set the numbers that are asked for first."""
    cases = [item.case for item in report.cases]
    standing = [case for case in cases if case.state != "closed"]
    answered = sum(bool(item.answers) for item in report.cases)
    return key_figures(
        [
            KeyFigure("Cases", count(len(cases)), remark=f"{count(len(standing))} not closed"),
            KeyFigure("Findings", count(sum(case.count for case in cases)), remark="repeats included"),
            KeyFigure("Answered", count(answered), remark="by the policy or a person"),
            KeyFigure("Kinds", count(len({kind for case in cases for kind in case.kinds})), remark=_kinds(cases)),
        ]
    )


def _kinds(cases: Sequence[Case]) -> str:
    return ", ".join(dict.fromkeys(kind.replace("_", " ") for case in cases for kind in case.kinds))


def _promises(report: MonitoringReport) -> list[Assurance]:
    """List what the watcher promised, and whether it kept it."""
    name = "Alerts in time"
    if report.pulse is None:
        return [Assurance(name, None, "No watcher ever ran on this desk.")]
    slowest, failed = report.pulse.alert_delay_s_max, report.pulse.alerts_failed
    remark = f"slowest {slowest:.2f} s from the event to its sink, allowed {ALERT_DELAY_S_MAX:g} s; {failed} given up"
    step = report.pulse.step_ns_max / 1e9
    return [
        Assurance(name, slowest <= ALERT_DELAY_S_MAX and not failed, remark),
        Assurance("No long look away", step <= ALERT_DELAY_S_MAX, f"longest look of the watcher {step:.2f} s"),
    ]


def _overview(report: MonitoringReport) -> Section:
    """Draw all cases on one time axis."""
    sentence = "From the estimated change until it was heard, and on to the last finding of the same cause."
    if not report.cases:
        said = "Nothing was found. Every monitor stayed below its limit."
        return Section("overview", "Cases", "", paragraph(said if report.pulse else "Nothing was watched.", "empty"))
    lanes = [Lane(f"{item.case.number} {item.case.first.subject}", _spans(item.case)) for item in report.cases]
    return Section("overview", "Cases", sentence, timeline("When", lanes, span_ns=_span(report)))


def _span(report: MonitoringReport) -> tuple[int, int]:
    first = min([report.span_ns[0], *(item.case.first.since_ns for item in report.cases)])
    return first, max([report.span_ns[1], *(item.case.last.ts_event_ns for item in report.cases)])


def _spans(case: Case) -> list[Span]:
    began, told, last = case.first.since_ns, case.first.ts_event_ns, case.last.ts_event_ns
    spans = [Span(began, told, "heard")]
    return [*spans, Span(told, last, "lasting")] if last > told else spans


def _case(item: CasePage) -> Section:
    """Tell one case."""
    case = item.case
    title = f"{case.number}: {case.first.subject} ({case.first.kind.replace('_', ' ')})"
    parts = [pairs(_facts(case)), *_drawn(item), heading("What was done"), _answers(item.answers)]
    return Section(f"case-{case.number}", title, case.first.sentence, join(parts))


def _facts(case: Case) -> list[tuple[str, Markup | str]]:
    """Set when, how far, how sure, and where it stands."""
    first = case.first
    with_it = ", ".join(f"{monitor}: {subject}" for monitor, _, subject in [*case.causes][1:])
    handled = f"{case.state} by {case.actor}: {case.reason}" if case.actor else case.state
    facts: list[tuple[str, Markup | str]] = [
        ("Began", f"{minute(first.since_ns)} (estimated)"),
        ("Told", f"{minute(first.ts_event_ns)}, by the monitor {first.monitor}"),
        ("Then and now", f"{compact(first.reference)} and {compact(first.observed)} {first.unit}"),
        ("Statistic", f"{compact(first.statistic)}, limit {compact(first.threshold)}"),
        ("Calibrated to", f"{compact(first.false_alarms_per_10k)} false alarms per 10,000 events"),
        ("Findings", f"{plural(case.count, 'finding')}, the last {minute(case.last.ts_event_ns)}"),
        ("Version", code(short(case.version)) if case.version else "none"),
        ("State", handled),
    ]
    return [*facts, ("With it", with_it)] if with_it else facts


def _drawn(item: CasePage) -> list[Markup]:
    """Draw what the evidence holds; say what is missing."""
    case, evidence = item.case, item.evidence
    if evidence is None:
        return [paragraph("The evidence was not gathered.", "empty")]
    parts = []
    if evidence.path:
        parts.append(_path(evidence))
    if evidence.change is None:
        return [*parts, paragraph(f"No explanation: {evidence.said}.", "empty")]
    return [*parts, *_explained(evidence.change, case.first.subject)]


def _path(evidence: CaseEvidence) -> Markup:
    """Draw how the statistic came to its limit."""
    stamps, shares = (np.array(part) for part in zip(*evidence.path, strict=True))
    finding = evidence.finding
    curve = Curve("statistic as a share of its limit", stamps.astype(np.int64), shares.astype(np.float64))
    since = max(finding.since_ns, int(stamps[0]))
    return line_chart(
        "On the way to the alarm",
        [curve],
        unit="of the limit",
        marks=[Mark(since, "estimated change")] if since <= int(stamps[-1]) else [],
        levels=[(1.0, "alarm")],
        caption="A chart that has alarmed starts again, so only the way to this alarm is shown.",
        height=220.0,
    )


def _explained(change: Change, subject: str) -> list[Markup]:
    """Draw what moved, the finding's own feature first, and what it costs."""
    ordered = sorted(change.features, key=lambda each: each.name != subject)
    drawn = [_feature(feature) for feature in ordered[:PLOTTED]]
    parts = [heading("What moved"), *drawn, more("All features", _features(change))]
    return [*parts, heading("What it costs"), paragraph(_cost(change.effect)), _shares(change)]


def _feature(feature: FeatureChange) -> Markup:
    """Draw a feature's distribution then and now."""
    return compared(
        f"{feature.name}: moved by {decimal(feature.moved, 2)} standard deviations",
        (np.array(feature.edges), np.array(feature.then), np.array(feature.now)),
        unit=feature.name,
        caption="Training rows (then) and rows since the change (now); the outer bins hold what lies beyond.",
    )


def _features(change: Change) -> Markup:
    head = ("feature", "moved, sd", "mean then", "now", "moves scores by, then", "now", f"{change.effect.loss}", "+-")
    rows = [
        (
            each.name,
            decimal(each.moved, 2),
            compact(each.mean_then),
            compact(each.mean_now),
            compact(each.reason_then, 3),
            compact(each.reason_now, 3),
            f"{each.loss:+.5f}",
            f"{each.loss_error:.5f}",
        )
        for each in change.features
    ]
    return table(head, rows, align="lrrrrrrr", caption=f"{change.rows:,} rows since the change. {change.reasons}.")


def _cost(effect: Effect) -> str:
    """Say what a change costs, in a few sentences."""
    said = (
        f"What moved is expected to change the {effect.loss} by {effect.change:+.5f} a decision "
        f"(95%: {interval(effect.low, effect.high, 5)}), from {decimal(effect.expected_then, 5)}."
    )
    if effect.realised_now is None or effect.rest is None:
        return f"{said} No label since the change was known by the alarm, so nothing is said of what was realised."
    low, high = effect.realised_low or np.nan, effect.realised_high or np.nan
    return (
        f"{said} Realised on {plural(effect.labelled, 'labelled decision')}: {decimal(effect.realised_now, 5)} "
        f"(95%: {interval(low, high, 5)}) against {decimal(effect.realised_then, 5)} out of fold. The rest, "
        f"{effect.rest:+.5f}, is not explained by moved features: a changed relation, or chance."
    )


def _shares(change: Change) -> Markup:
    """Draw which features account for the expected change of the loss."""
    ordered = sorted(change.features, key=lambda each: -abs(each.loss))
    steps = [Step(each.name, each.loss, f"standard error {each.loss_error:.5f}") for each in ordered[:STEPS_MAX]]
    if len(ordered) > STEPS_MAX:
        left = ordered[STEPS_MAX:]
        steps.append(Step(plural(len(left), "other feature"), sum(each.loss for each in left)))
    effect = change.effect
    return waterfall(
        f"Which features account for the expected {effect.loss}",
        steps,
        start=Step("training rows", effect.expected_then),
        end=Step("rows since the change", effect.expected_now),
        unit=effect.loss,
        places=5,
        description="; ".join(f"{step.name}: {step.value:+.5f}" for step in steps),
        caption=f"{effect.method}.",
    )


def _answers(answers: Sequence[Answer]) -> Markup:
    """List what followed."""
    if not answers:
        return paragraph("Nothing yet: neither the policy nor a person has answered.", "empty")
    rows = [(minute(each.ts_ns), each.actor, each.said) for each in answers]
    return table(("when", "who", "what"), rows, align="tll", caption="Times are the machine's, UTC.")
