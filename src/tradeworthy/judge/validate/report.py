"""The gate's report for its readers: JUnit XML for CI, Markdown for a pull request, an HTML fragment for a page.

Everything that comes from outside (names, measured text) is escaped for its format.
"""

from html import escape
from xml.etree import ElementTree as ET

from tradeworthy.core.time import iso
from tradeworthy.judge.validate.check import CheckResult
from tradeworthy.judge.validate.gate import GateReport

SHORT = 16


def _interval(result: CheckResult) -> str:
    """Write the interval, or nothing."""
    return f"[{result.interval[0]:.4g}, {result.interval[1]:.4g}]" if result.interval else ""


def to_junit(report: GateReport) -> str:
    """Write JUnit XML: a test case a check; fail is a failure, missing an error, info and inapplicable are skipped.

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
        skipped=str(verdicts.count("info") + verdicts.count("inapplicable")),
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
        elif result.verdict == "inapplicable":
            ET.SubElement(case, "skipped", message=_printable(result.measured))
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
    words = "passed" if report.passed else f"refused ({', '.join(_cell(name) for name in report.failed)})"
    lines = [
        f"### Gate {_cell(report.profile)}: version `{_cell(report.version[:SHORT])}` {words}",
        "",
        "| check | verdict | measured | interval | required |",
        "|---|---|---|---|---|",
    ]
    for r in report.results:
        cells = (r.name, r.verdict, r.measured, _interval(r), r.requirement)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", f"Judged {iso(report.created_ns)}."]) + "\n"


def to_html(report: GateReport) -> str:
    """Write an HTML fragment (a section with a table); classes `gate`, `pass`, `fail`, `missing` for styling."""
    rows = "".join(
        f'<tr class="{result.verdict}"><th scope="row">{escape(result.name)}</th><td>{result.verdict}</td>'
        f"<td>{escape(result.measured)}</td><td>{escape(_interval(result))}</td>"
        f"<td>{escape(result.requirement)}</td></tr>"
        for result in report.results
    )
    words = "passed" if report.passed else "refused"
    return (
        f'<section class="gate {"pass" if report.passed else "fail"}">'
        f"<h3>Gate {escape(report.profile)}: version <code>{escape(report.version[:SHORT])}</code> {words}</h3>"
        '<table><thead><tr><th scope="col">check</th><th scope="col">verdict</th><th scope="col">measured</th>'
        '<th scope="col">interval</th><th scope="col">required</th></tr></thead>'
        f"<tbody>{rows}</tbody></table><p>Judged {iso(report.created_ns)}.</p></section>"
    )
