"""The gate's report for its readers: JUnit XML for CI and Markdown for a pull request.

Everything that comes from outside (names, measured text) is escaped for its format.
"""

from html import escape
from xml.etree import ElementTree as ET

from tradeworthy.core.decisions import SHORT
from tradeworthy.core.time import iso
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

_SKIPPED = frozenset({"info", "inapplicable", "overridden"})


def _interval(result: CheckResult) -> str:
    """Write the interval, or nothing."""
    return f"[{result.interval[0]:.4g}, {result.interval[1]:.4g}]" if result.interval else ""


def to_junit(report: GateReport) -> str:
    """Write JUnit XML: a test case a check; a failure for fail, an error for missing, skipped for what is no pass.

    Returns
    -------
    str
        A document with an XML declaration.
    """
    verdicts = [result.verdict for result in report.results]
    suite = ET.Element(
        "testsuite",
        name=f"tradeworthy gate {_printable(report.version[:SHORT])} ({_printable(report.profile)})",
        tests=str(len(verdicts)),
        failures=str(verdicts.count("fail")),
        errors=str(verdicts.count("missing")),
        skipped=str(sum(verdict in _SKIPPED for verdict in verdicts)),
        timestamp=iso(report.created_ns),
    )
    for result in report.results:
        case = ET.SubElement(suite, "testcase", classname="gate", name=_printable(result.name), time="0")
        if result.stops:
            tag = "failure" if result.verdict == "fail" else "error"
            problem = ET.SubElement(case, tag, message=_printable(result.measured), type=result.verdict)
            problem.text = _printable(f"required: {result.requirement}\nmeasured: {result.measured}")
        elif result.verdict == "info":
            ET.SubElement(case, "skipped", message=_printable(f"nothing required; {result.measured}"))
        elif result.verdict in _SKIPPED:
            ET.SubElement(case, "skipped", message=_printable(f"{result.verdict}: {result.measured}"))
        else:
            ET.SubElement(case, "system-out").text = _printable(result.measured)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode")


def _printable(text: str) -> str:
    """Replace characters that XML 1.0 cannot carry."""
    return "".join(c if c in "\t\n" or ("\x20" <= c <= "\ud7ff") or c >= "\ue000" else "?" for c in text)


def _cell(text: str) -> str:
    """Escape text for a Markdown table cell."""
    text = text.replace("\\", "\\\\").replace("|", "\\|")
    return escape(" ".join(text.split()), quote=False).replace("`", "'")


def to_markdown(report: GateReport) -> str:
    """Write a Markdown section with one table row a check."""
    lines = [
        f"### Gate {_cell(report.profile)}: version `{_cell(report.version[:SHORT])}` {_cell(report.outcome)}",
        "",
        "| check | verdict | measured | interval | required |",
        "|---|---|---|---|---|",
    ]
    for r in report.results:
        cells = (r.name, r.verdict, r.measured, _interval(r), r.requirement)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", f"Judged {iso(report.created_ns)}."]) + "\n"
