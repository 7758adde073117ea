"""The report's sections on change: who was in charge when, how fast each swap was, what the monitors found."""

from collections.abc import Mapping

from tradeworthy.apps.reports.bars import Lane, Span, timeline
from tradeworthy.apps.reports.case_story import is_dated
from tradeworthy.apps.reports.charts import Curve, Mark, line_chart
from tradeworthy.apps.reports.formats import compact, count, decimal, short
from tradeworthy.apps.reports.html import Section, absent, badge, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.apps.reports.run_data import Rolling, RunReport, Swap
from tradeworthy.apps.reports.run_trading import swap_marks
from tradeworthy.apps.reports.scales import minute
from tradeworthy.core.findings import Finding

MARKS_SHOWN = 6


def sections(report: RunReport) -> list[Section]:
    """Return these sections in the order in which they are read."""
    return [_changes(report), _watched(report)]


def _changes(report: RunReport) -> Section:
    """Show which version was in charge when, and how fast each change was."""
    lanes = [
        Lane(f"{v.name} ({short(v.digest)})", [Span(s.first_ns, s.last_ns, s.role, s.role) for s in v.roles])
        for v in report.versions
    ]
    drawn = (
        timeline("Who was in charge", lanes, span_ns=report.span_ns, marks=swap_marks(report)) if lanes else absent()
    )
    sentence = "The new version is loaded and warm before it takes an event; the old one stays warm beside it."
    return Section("changes", "Changes of champion", sentence, join(drawn, _swaps(report)))


def _swaps(report: RunReport) -> Markup:
    """List the changes of champion, and say what the columns mean."""
    names = {v.digest: v.name for v in report.versions}
    head = ("event time", "change", "from", "to", "ms", "events", "lost", "who and why")
    rows = [_swap(swap, names) for swap in report.swaps]
    if not rows:
        return paragraph("The champion was not changed.", "empty")
    meaning = (
        "ms: from the command to the first decision of the new champion; events: consumed meanwhile, each decided by "
        "the old one; lost: events that should have been decided and were not."
    )
    return join(table(head, rows, align="tlllrrrl"), paragraph(meaning, "empty"))


def _swap(swap: Swap, names: Mapping[str, str]) -> tuple[Markup | str, ...]:
    """Set one change of champion as a row."""
    before, to = names.get(swap.before, short(swap.before)), names.get(swap.to, short(swap.to))
    figures = decimal(swap.ms, 1), count(swap.events), count(swap.decisions_lost)
    return minute(swap.ts_ns), swap.kind, before, to, *figures, f"{swap.actor}: {swap.reason}"


def _watched(report: RunReport) -> Section:
    """Show realised performance and what the monitors found."""
    head = ("raised", "finding", "before", "at the alarm", "false alarms in 10,000 events")
    rows = [_finding(finding) for finding in report.findings]
    listed = table(head, rows, align="tlrrr", empty="No monitor raised a finding.")
    sentence = "What the monitors saw change, and how often each would raise a false alarm if nothing had changed."
    return Section("watched", "Watching", sentence, join(listed, (_rolling(report, item) for item in report.watched)))


def _rolling(report: RunReport, item: Rolling) -> Markup:
    """Draw a realised metric beside what was expected."""
    return line_chart(
        item.name,
        [Curve(name, s.ts_ns, s.values, tone=place) for place, (name, s) in enumerate(item.series, 1)],
        unit=item.unit,
        levels=[] if item.expected is None else [(item.expected, f"{item.expected_name} {decimal(item.expected)}")],
        marks=[Mark(f.ts_event_ns, f.kind.replace("_", " ")) for f in report.findings[:MARKS_SHOWN]],
        span_ns=report.span_ns,
        caption=item.remark,
    )


def _finding(finding: Finding) -> tuple[Markup | str, ...]:
    """Set one finding as a row."""
    kind = badge(finding.kind.replace("_", " "), "bad" if finding.severity == "critical" else "warn")
    since = f"Since about {minute(finding.since_ns)}; w" if is_dated(finding) else "W"
    small = paragraph(f"{since}atched by {finding.monitor}.", "empty")
    observed = f"{compact(finding.observed)} {finding.unit}"
    rate = f"{finding.false_alarms_per_10k:g}"
    return (
        minute(finding.ts_event_ns),
        join(kind, " ", finding.sentence, small),
        compact(finding.reference),
        observed,
        rate,
    )
