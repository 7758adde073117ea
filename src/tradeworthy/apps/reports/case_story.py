"""The story of one case, told and drawn: when it began, then and now, what explains it, what it costs, what was done.

Idea:   the report on monitoring and the page tell the same story with the same drawings; each frames them its own way.
Undefined: evidence that was not gathered is said to be absent; nothing is drawn in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeworthy.apps.reports.bars import Lane, Span, Step, timeline, waterfall
from tradeworthy.apps.reports.charts import Curve, Mark, compared, line_chart
from tradeworthy.apps.reports.formats import compact, decimal, interval, plural, readable, short
from tradeworthy.apps.reports.html import code, heading, more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.scales import minute
from tradeworthy.change.attempts import State
from tradeworthy.change.watch.explaining import CaseEvidence
from tradeworthy.change.watch.findings import Case
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.judge.explain.change import Change, Effect, FeatureChange

PLOTTED = 3
"""Features of a case that are drawn; all are in its table."""

BY_THE_MACHINE = frozenset({"security", "storage", "clock", "release", "reconciliation", "serving"})
"""Kinds of findings that are told by the machine's clock; those of a past market lie years before."""

NEAR_NS = 30 * NS_PER_DAY
STEPS_MAX = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """Something that was done about a case: when by the machine's clock, by whom, and what."""

    ts_ns: int
    actor: str
    said: str


@dataclass(frozen=True, slots=True)
class CasePage:
    """One case with what stands behind it.

    Attributes
    ----------
    evidence : CaseEvidence or None
        None until a process has gathered it; `gathering` says how far that is, `failure` why it did not succeed.
    """

    case: Case
    evidence: CaseEvidence | None
    answers: Sequence[Answer] = ()
    gathering: State = "absent"
    failure: str = ""


def cases_timeline(cases: Sequence[Case], span_ns: tuple[int, int] | None = None) -> Markup:
    """Draw cases on one time axis: from the estimated change until it was heard, and on to the last finding.

    Parameters
    ----------
    cases : sequence of Case
        At least one; a lane each.
    span_ns : tuple of int, optional
        What the axis shows at least; it grows to hold every case of the market. Of a past market it does not grow to
        hold what the desk told by the machine's clock, years later.
    """
    market = [case for case in cases if case.first.kind not in BY_THE_MACHINE] or cases
    first = min([case.first.since_ns for case in market] + ([span_ns[0]] if span_ns else []))
    last = max([case.last.ts_event_ns for case in market] + ([span_ns[1]] if span_ns else []))
    near = [case for case in cases if case in market or abs(case.first.since_ns - last) < NEAR_NS]
    ends = [first, last, *(case.first.since_ns for case in near), *(case.last.ts_event_ns for case in near)]
    lanes = [Lane(f"{case.number} {case.first.subject}", _spans(case)) for case in near]
    said = "Light: from the estimated change until it was told; dark: on to the last finding of the same cause."
    if left := len(cases) - len(near):
        said += f" Not drawn: {plural(left, 'case')} that the desk told by the machine's clock, far from the market's."
    return timeline("When", lanes, span_ns=(min(ends), max(ends)), caption=said)


def _spans(case: Case) -> list[Span]:
    began, told, last = case.first.since_ns, case.first.ts_event_ns, case.last.ts_event_ns
    spans = [Span(began, told, "heard")]
    return [*spans, Span(told, last, "lasting")] if last > told else spans


def case_facts(case: Case) -> list[tuple[str, Markup | str]]:
    """Set when, how far, how sure, and where it stands."""
    first = case.first
    with_it = ", ".join(f"{monitor}: {subject}" for monitor, _, subject in [*case.causes][1:])
    handled = f"{case.state} by {case.actor}: {case.reason}" if case.actor else case.state
    facts: list[tuple[str, Markup | str]] = [
        ("Began", f"{minute(first.since_ns)} UTC (estimated)" if is_dated(first) else "not dated"),
        ("Told", f"{minute(first.ts_event_ns)} UTC, by the monitor {first.monitor}"),
        ("Statistic", f"{readable(first.statistic)}, limit {readable(first.threshold)}"),
        ("Calibrated to", f"{compact(first.false_alarms_per_10k)} false alarms per 10,000 events"),
        ("Findings", f"{plural(case.count, 'finding')}, the last {minute(case.last.ts_event_ns)} UTC"),
        ("Version", code(short(case.version)) if case.version else "none"),
        ("State", handled),
    ]
    if first.reference != first.threshold:  # of a drawdown there is no then but its limit
        facts.insert(2, ("Then and now", f"{readable(first.reference)} and {readable(first.observed)} {first.unit}"))
    return [*facts, ("With it", with_it)] if with_it else facts


def is_dated(finding: Finding) -> bool:
    """Tell whether a finding says when the change began, apart from when it was told."""
    return finding.since_ns < finding.ts_event_ns


def drawn(item: CasePage) -> Markup:
    """Draw what the evidence holds; say what is missing."""
    case, evidence = item.case, item.evidence
    if evidence is None:
        return paragraph("The evidence was not gathered.", "empty")
    parts = []
    if evidence.path:
        parts.append(_path(evidence))
    if evidence.change is None:
        return join(*parts, paragraph(f"No explanation: {evidence.said}.", "empty"))
    return join(*parts, *_explained(evidence.change, case.first.subject))


def _path(evidence: CaseEvidence) -> Markup:
    """Draw how the statistic came to its limit."""
    stamps, shares = (np.array(part) for part in zip(*evidence.path, strict=True))
    curve = Curve("statistic as a share of its limit", stamps.astype(np.int64), shares.astype(np.float64))
    finding = evidence.finding
    alarm = "limit" if finding.statistic < finding.threshold else "alarm"
    dated = is_dated(finding)
    starts_again = ": a chart that has alarmed starts again" if dated else ""
    return line_chart(
        f"On the way to the {alarm}",
        [curve],
        unit="of the limit",
        marks=[Mark(max(finding.since_ns, int(stamps[0])), "estimated change") if dated else _turn(curve)],
        levels=[(1.0, alarm)],
        caption=f"Only the way to this finding is shown{starts_again}.",
        height=220.0,
    )


def _turn(curve: Curve) -> Mark:
    """Mark where a statistic was lowest last: the change, for a finding that dates none, such as of a drawdown."""
    lowest = np.flatnonzero(curve.values <= np.nanmin(curve.values))[-1]
    return Mark(int(curve.ts_ns[lowest]), "rises from here")


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
    loss = f"{change.effect.loss}, expected change"
    head = ("Feature", "Moved, sd", "Mean then", "Now", "Moves scores by, then", "Now", loss, "+-")
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


def answers_table(answers: Sequence[Answer]) -> Markup:
    """List what followed."""
    if not answers:
        return paragraph("Nothing yet: neither the policy nor a person has answered.", "empty")
    rows = [(minute(each.ts_ns), each.actor, each.said) for each in answers]
    return join(table(("When, UTC", "Who", "What"), rows, align="tll"), paragraph("Times are the machine's.", "empty"))
