"""One self-contained HTML page: no address is fetched, no script runs, everything from outside is escaped.

Idea:   a page is a list of sections with a name each; the page writes its own table of contents. The style sheet lies
        beside this file and is put inside the page, so that the file can be mailed, archived and printed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from tradeworthy.apps.reports.markup import Markup, join, tag

Cell = Markup | str
Tone = Literal["", "good", "bad", "warn"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, heading, one sentence on what it shows, and its content."""

    anchor: str
    heading: str
    sentence: str
    content: Markup


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number worth large print, with its unit in small print, its name above and a remark below."""

    name: str
    value: str
    unit: str = ""
    remark: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Assurance:
    """Something that was promised and checked: `held` is `None` where it was not checked in this run."""

    name: str
    held: bool | None
    remark: str


def page(title: str, subtitle: Markup | str, opening: Markup, sections: Sequence[Section], closing: str) -> str:
    """Build the whole document.

    Returns
    -------
    str
        HTML of one file; it needs no network, and forbids itself any.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Markup(f"<style>{style_sheet()}</style>"),
    )
    top = tag("header", tag("h1", title), tag("p", subtitle, class_="subtitle"), opening)
    main = tag("main", top, (section_of(section) for section in sections), tag("footer", closing))
    return f"<!doctype html>\n{tag('html', head, tag('body', _contents(sections), main), lang='en')}\n"


def style_sheet() -> str:
    """Return the style sheet that every page carries."""
    return files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell]], *, align: str = "", caption: str = "", empty: str = "None."
) -> Markup:
    """Build a table.

    Parameters
    ----------
    head : sequence of str
        The columns.
    rows : iterable of sequence of str or Markup
        One cell a column.
    align : str
        One letter a column: ``l`` words, ``r`` numbers (right, digits of one width), ``c`` code,
        ``t`` a time (kept on one line). Words if left out.
    empty : str
        What to say when there are no rows.
    """
    kinds = [{"r": "number", "c": "code", "t": "when"}.get(letter) for letter in align.ljust(len(head), "l")]
    body = [tag("tr", (tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows]
    if not body:
        return paragraph(empty, "empty")
    names = (tag("th", name, scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True))
    said = tag("caption", caption) if caption else None
    return tag(
        "div", tag("table", said, tag("thead", tag("tr", names)), tag("tbody", body)), class_="table", tabindex="0"
    )


def pairs(rows: Iterable[tuple[str, Cell]]) -> Markup:
    """Build a list of names and what they stand for."""
    return tag("dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in rows))


def key_figures(figures: Iterable[KeyFigure]) -> Markup:
    """Set numbers in large print, side by side."""
    return tag("div", (_key_figure(figure) for figure in figures), class_="figures")


def assurances(items: Iterable[Assurance]) -> Markup:
    """List what was promised with whether it held; in words and signs, never by colour alone."""
    return tag("ul", (_assurance(item) for item in items), class_="assurances")


def badge(text: str, tone: Tone = "") -> Markup:
    """Set a word in a small frame."""
    return tag("span", text, class_=f"badge {tone}".strip())


def meter(name: str, share: float) -> Markup:
    """Draw how much of a limit is used, as a share of it."""
    said = f"{share:.0%}"
    return tag("meter", said, value=min(1.0, share), high=0.75, max=1.0, aria_label=f"{name}: {said} used")


def code(text: str) -> Markup:
    """Set text in type of one width."""
    return tag("code", text)


def paragraph(text: Markup | str, style: str | None = None) -> Markup:
    """Set a paragraph."""
    return tag("p", text, class_=style)


def absent() -> Markup:
    """Say that a part is missing; silence could be read as good news."""
    return paragraph("Not part of this run.", "empty")


def sentences(texts: Iterable[Markup | str]) -> Markup:
    """Set sentences as a list."""
    return tag("ul", (tag("li", text) for text in texts), class_="sentences")


def more(summary: str, *content: Markup | None) -> Markup:
    """Fold content away behind a line that opens it; print shows it open."""
    return tag("details", tag("summary", summary), *content)


def heading(text: Markup | str) -> Markup:
    """Set a heading inside a section."""
    return tag("h3", text)


def section_of(section: Section) -> Markup:
    """Build one section."""
    return tag(
        "section",
        tag("h2", section.heading),
        tag("p", section.sentence, class_="lead") if section.sentence else None,
        section.content,
        id=section.anchor,
    )


def _contents(sections: Sequence[Section]) -> Markup:
    """Build the table of contents."""
    links = (tag("li", tag("a", s.heading, href=f"#{s.anchor}")) for s in sections)
    return tag("nav", tag("ol", links), aria_label="Contents")


def _key_figure(figure: KeyFigure) -> Markup:
    """Build one large number."""
    return tag(
        "div",
        tag("span", figure.name, class_="name"),
        tag("strong", figure.value, tag("small", f" {figure.unit}") if figure.unit else None),
        tag("span", figure.remark, class_="remark"),
        class_=f"figure {figure.tone}".strip(),
    )


def _assurance(item: Assurance) -> Markup:
    """Build one line of the list of promises."""
    sign, tone = {True: ("\N{CHECK MARK}", "good"), False: ("\N{MULTIPLICATION X}", "bad"), None: ("?", "unknown")}[
        item.held
    ]
    said = {True: "held", False: "did not hold", None: "not checked"}[item.held]
    return tag(
        "li",
        tag("span", sign, class_="sign", role="img", aria_label=said),
        join(tag("strong", item.name), tag("span", item.remark)),
        class_=tone,
    )
