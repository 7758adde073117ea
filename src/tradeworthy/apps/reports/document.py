"""A report for people and for programs: parts of named lines, written once as one HTML page and once as JSON."""

from pathlib import Path
from typing import Literal

import msgspec

from tradeworthy.apps.reports.html import KeyFigure, Section, Tone, badge, key_figures, page, table
from tradeworthy.apps.reports.markup import Markup, tag
from tradeworthy.core.time import iso

Verdict = Literal["", "evidence", "missing"]
HEAD = ("What", "In the record")
TONES: dict[str, Tone] = {"evidence": "good", "missing": "warn", "": ""}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is so; `verdict` where something was asked for: there is evidence, or it is missing.

    What is said of several is a line of text each.
    """

    name: str
    said: str
    verdict: Verdict = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Lines under one heading; `about` says in a sentence what they answer."""

    name: str
    about: str
    lines: list[Line]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report.

    Attributes
    ----------
    title, subtitle : str
        What it is about.
    created_ns : int
        UTC nanoseconds.
    parts : list of Part
        In the order of reading.
    """

    title: str
    subtitle: str
    created_ns: int
    parts: list[Part]

    def count(self, verdict: Verdict) -> int:
        """Return how many lines have a verdict."""
        return sum(line.verdict == verdict for part in self.parts for line in part.lines)


def render(document: Document) -> str:
    """Return the document as one HTML page."""
    asked = [(name, document.count(name)) for name in ("evidence", "missing")]
    figures = [KeyFigure(name, str(count), tone=TONES[name] if count else "") for name, count in asked if count]
    sections = [Section(f"part-{at}", part.name, part.about, _lines(part)) for at, part in enumerate(document.parts, 1)]
    closing = f"Made {iso(document.created_ns)} from the record; what the record does not hold is said to be missing."
    return page(document.title, document.subtitle, key_figures(figures), sections, closing)


def write(document: Document, path: Path) -> int:
    """Write the page, and the same as JSON beside it; return the page's size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = render(document).encode()
    path.write_bytes(text)
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    return len(text)


def _lines(part: Part) -> Markup:
    """Lay out a part; verdicts get a column only where something was asked for."""
    if any(line.verdict for line in part.lines):
        rows = [
            (badge(line.verdict, TONES[line.verdict]) if line.verdict else "", line.name, line.said)
            for line in part.lines
        ]
        return tag("div", table(("", *HEAD), rows), class_="lines")
    return tag("div", table(HEAD, [(line.name, line.said) for line in part.lines]), class_="lines")
