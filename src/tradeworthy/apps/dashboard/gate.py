"""The view of one gate report: the verdict in a sentence, what stops the version, every check, the figures drawn."""

from tradeworthy.apps.reports.gate_report import gate_opening, gate_sections
from tradeworthy.apps.reports.html import Tone, badge, paragraph, section_of
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.apps.reports.scales import minute
from tradeworthy.judge.validate.gate import GateReport


def gate_view(report: GateReport) -> Markup:
    """Build the view; the same drawings as the report that CI keeps."""
    verdict = badge(report.outcome.partition(" (")[0], _tone(report))
    version = tag("a", tag("code", report.version[:16]), href=f"/versions/{report.version[:16]}")
    about = join(verdict, " Version ", version, f", profile {report.profile}, judged {minute(report.created_ns)} UTC.")
    return join(paragraph(about), gate_opening(report), *(section_of(section) for section in gate_sections(report)))


def _tone(report: GateReport) -> Tone:
    return "bad" if not report.passed else "warn" if report.overridden else "good"
