"""The page of two versions side by side."""

from collections.abc import Sequence

from tradeworthy.apps.dashboard.comparing import Comparison, Disagreement, Judged, Pair
from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.dashboard.layout import choice
from tradeworthy.apps.dashboard.shadows import shadow_section
from tradeworthy.apps.reports.formats import compact, compact_or_nothing, decimal, plural
from tradeworthy.apps.reports.html import KeyFigure, Tone, badge, code, key_figures, more, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.registry import VersionInfo

BAR_WIDTH = 120.0
VERDICTS: dict[str, Tone] = {"pass": "good", "fail": "bad", "missing": "warn"}


def compare_form(versions: Sequence[VersionInfo], one: str = "", other: str = "") -> Markup | None:
    """Return the choice of two versions; nothing where there are not two."""
    if len(versions) < 2:
        return None
    named = {each.version[:16]: f"{each.name} {each.version[:8]}, {each.role}" for each in reversed(versions)}
    newest, before, *_ = named
    return tag(
        "form",
        choice("one", "This version", named, one[:16] or before),
        choice("other", "Beside that one", named, other[:16] or newest),
        tag("button", "Compare", type="submit"),
        method="get",
        action="/versions/compare",
        class_="filter",
    )


def comparison_view(found: Comparison, versions: Sequence[VersionInfo], *, margin: float) -> Markup:
    """Build the page; `margin` is how much more loss than the champion's the policy allows a shadow."""
    head = (_name(found.one), _name(found.other))
    return join(
        compare_form(versions, found.one.version, found.other.version),
        _section("Do they disagree?", _disagreement(found)),
        _section("As its shadow", shadow_section(found.shadow, margin=margin)) if found.shadow else None,
        _section("What they go by", _importance(found.importance, head)),
        _section("How they did in training", _metrics(found.metrics, head)),
        _section("What the gate said", _gate(found.gate, head)),
        _section("What differs in the manifest", _manifest(found, head)),
    )


def _section(heading: str, content: Markup) -> Markup:
    return tag("section", tag("h2", heading), content)


def _name(info: VersionInfo) -> Markup:
    """Return a version's name as the head of a column: what it is called, its digest, and its role."""
    short = info.version[:8]
    return join(
        info.name, " ", tag("a", code(short), href=f"/versions/{info.version[:16]}"), " ", badge(info.role or "none")
    )


def _disagreement(found: Comparison) -> Markup:
    told = found.disagreement
    if told is None:
        said = "They share neither events nor features. Let one score beside the other as a shadow, and look again."
        return paragraph(said, "empty")
    correlation = "none" if told.correlation is None else decimal(told.correlation, 3)
    figures = key_figures(
        [
            KeyFigure("Different side", f"{told.sides:.1%}", remark="of the same events"),
            KeyFigure("Scores apart", decimal(told.distance, 4), remark="on average"),
            KeyFigure("Correlation of scores", correlation),
            KeyFigure("Rows", f"{told.rows:,}", remark=told.on),
        ]
    )
    return join(figures, _examples(told))


def _examples(told: Disagreement) -> Markup | None:
    """List the newest events on which they wanted different sides."""
    if not told.examples:
        return None
    cells = [
        (
            clock(one.time),
            one.instrument,
            decimal(one.score or 0.0, 4),
            compact_or_nothing(one.target),
            decimal(other.score or 0.0, 4),
            compact_or_nothing(other.target),
            tag("a", "Why?", href=f"/decisions/{one.sequence}", aria_label=f"Why decision {one.sequence}"),
        )
        for one, other in told.examples
    ]
    head = ("Time, UTC", "Instrument", "This score", "Wanted", "That score", "Wanted", "")
    return more(f"The last {plural(len(cells), 'event')} on which they differed", table(head, cells, align="tlrrrrl"))


def _importance(pairs: Sequence[Pair], head: tuple[Markup, Markup]) -> Markup:
    most = max((max(pair.one or 0.0, pair.other or 0.0) for pair in pairs), default=0.0) or 1.0
    cells = [(pair.name, *_sized(pair.one, most, "first"), *_sized(pair.other, most, "second")) for pair in pairs]
    words = paragraph("How far each feature moves the margin, on average; the longest first.", "empty")
    return join(words, table(("Feature", head[0], "", head[1], ""), cells, align="lrlrl"))


def _sized(value: float | None, most: float, style: str) -> tuple[str | Markup, Markup]:
    if value is None:
        return "not used", Markup("")
    bar = tag("rect", width=value / most * BAR_WIDTH, height=10.0, y=4.0, rx=2.0)
    drawn = tag("svg", bar, viewBox=f"0 0 {BAR_WIDTH:g} 18", class_=f"bar-of {style}", aria_hidden="true")
    return decimal(value, 4), drawn


def _metrics(pairs: Sequence[Pair], head: tuple[Markup, Markup]) -> Markup:
    cells = [(pair.name.replace("_", " "), _figure(pair.one), _figure(pair.other), _apart(pair)) for pair in pairs]
    empty = "Neither says how it did in training."
    return table(("Figure", *head, "Difference"), cells, align="lrrr", empty=empty)


def _figure(value: float | None) -> str:
    return "" if value is None else compact(value, 5)


def _apart(pair: Pair) -> str:
    if pair.one is None or pair.other is None:
        return ""
    return f"{pair.other - pair.one:+.4g}".replace("-", "\N{MINUS SIGN}")


def _gate(judged: Sequence[Judged], head: tuple[Markup, Markup]) -> Markup:
    both = [each for each in judged if each.one[0] and each.other[0]]
    differing = [each for each in both if each.one[0] != each.other[0]]
    words = f"{plural(len(differing), 'check')} of {len(both)} with another verdict" if both else ""
    if judged and not both:
        words = "The gate has judged one of them only"
    cells = [(each.name.replace("_", " "), _verdict(each.one), _verdict(each.other)) for each in judged]
    listed = table(("Check", *head), cells, empty="The gate has judged neither.")
    return join(paragraph(f"{words}{', shown first' if differing else ''}.", "empty") if words else None, listed)


def _verdict(told: tuple[str, str]) -> Markup:
    verdict, measured = told
    if not verdict:
        return badge("not judged", "warn")
    return join(badge(verdict, VERDICTS.get(verdict, "")), " ", tag("span", measured, class_="measured"))


def _manifest(found: Comparison, head: tuple[Markup, Markup]) -> Markup:
    cells = [(code(each.name), _text(each.one), _text(each.other)) for each in found.manifest]
    return table(("Entry", *head), cells, empty="They are one version.")


def _text(value: str) -> Markup | str:
    """Write a value of the manifest; of a digest its beginning."""
    if len(value) == 64 and value.isalnum():
        return code(value[:16])
    return value or tag("span", "none", class_="empty")
