"""The page of one decision: what was done and why, what it saw, what was checked, what others thought, what came."""

import math
from collections.abc import Mapping

from tradeworthy.apps.dashboard.around import Around, Filled, Later, Placed
from tradeworthy.apps.dashboard.deciding import Decided
from tradeworthy.apps.dashboard.decisions import decisions_table
from tradeworthy.apps.dashboard.layout import money
from tradeworthy.apps.explain.explained import Explained, Neighbour
from tradeworthy.apps.explain.past import AMONG
from tradeworthy.apps.reports.bars import Step, waterfall
from tradeworthy.apps.reports.checks import checks_table
from tradeworthy.apps.reports.formats import compact, compact_or_nothing, decimal, decimal_or_nothing, plural
from tradeworthy.apps.reports.html import (
    KeyFigure,
    badge,
    code,
    key_figures,
    more,
    pairs,
    paragraph,
    sentences,
    table,
)
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.judge.explain.counterfactual import Counterfactual, written

SHOWN_REASONS = 10
STRIP_WIDTH, STRIP_HEIGHT = 140.0, 22.0


def decision_view(
    around: Around, explained: Explained | None, unexplained: str, passing: Markup | None = None
) -> Markup:
    """Build the page; `passing` is where people let a refused order pass."""
    decision = around.decision
    return join(
        tag("p", explained.headline if explained else unexplained, class_="said"),
        _figures(around, explained),
        _why(explained),
        _flip(explained),
        _section("What it saw", _features(around, explained)),
        _section("What was checked", _checked(around)),
        passing,
        _section("What others thought", decisions_table(around.others, empty="No other version scored this event.")),
        _section("Order and answers", _answers(around)),
        _section("What came after", _later(around)),
        _section("Decisions like this one before", _nearest(explained)),
        _section("The event", _event(around)),
        _section("For the file", _reference(decision, explained)),
    )


def _section(heading: str, content: Markup) -> Markup:
    return tag("section", tag("h2", heading), content)


def _figures(around: Around, explained: Explained | None) -> Markup:
    """Set the numbers that are asked for first."""
    decision, place = around.decision, explained.place if explained else None
    threshold = "" if place is None or place.threshold is None else f"threshold {place.threshold:g}"
    counted = f"did not count: the rule {explained.rule} decided" if explained and explained.rule else ""
    order = compact_or_nothing(decision.quantity) if decision.quantity else "none"
    refused = decision.verdict != "NONE"
    return key_figures(
        [
            KeyFigure("Score", decimal_or_nothing(decision.score, 4) or "none", remark=counted or threshold),
            KeyFigure(
                "Wanted position",
                compact_or_nothing(decision.target) or "none",
                remark=f"held {compact_or_nothing(decision.position)} {decision.instrument}",
            ),
            KeyFigure(
                "Order",
                "refused" if refused else order,
                remark=decision.verdict.lower().replace("_", " ") if refused else _filled(around),
                tone="warn" if refused else "",
            ),
            KeyFigure("Price", compact_or_nothing(decision.price) or "none", remark=f"of {decision.instrument}"),
        ]
    )


def _filled(around: Around) -> str:
    if not around.decision.quantity:
        return "nothing to do"
    return f"{plural(len(around.answers), 'answer')} of the venue" if around.answers else "not answered yet"


def _why(explained: Explained | None) -> Markup | None:
    """Draw how the contributions lead to the score, and say them in words."""
    if explained is None or not explained.reasons:
        return None
    shown, rest = explained.reasons[:SHOWN_REASONS], explained.reasons[SHOWN_REASONS:]
    steps = [Step(f"{each.feature} = {compact(each.value)}", each.contribution, each.sentence) for each in shown]
    if rest:
        steps.append(Step(plural(len(rest), "more feature"), sum(each.contribution for each in rest)))
    if explained.prior:
        steps.insert(0, Step("prior correction", explained.prior))
    chart = waterfall(
        "From the baseline to the score",
        steps,
        start=Step("baseline", explained.baseline),
        end=Step("this decision", explained.margin),
        unit="log odds",
        caption=f"{explained.method}. The contributions add up to the margin within {explained.sum_error:.1e}.",
    )
    if explained.rule:
        words = paragraph(
            "A rule decided in the version's place. This is what its own score was made of; it did not count."
        )
        return _section("Its own score", join(words, chart))
    kept = [each.sentence for each in explained.reasons if each.kept][:3]
    spoke = [each.sentence for each in explained.reasons if not each.kept][:2]
    said = tag(
        "div",
        tag("div", tag("h3", "For it"), sentences(kept or ["Nothing spoke for it."])),
        tag("div", tag("h3", "Against it"), sentences(spoke or ["Nothing spoke against it."])),
        class_="columns",
    )
    return _section("Why", join(said, chart, _codes(explained)))


def _codes(explained: Explained) -> Markup | None:
    """List the reason codes behind a line that opens them."""
    if (told := explained.codes) is None:
        return None
    cells = [(each.code, each.text, each.feature, decimal(each.contribution, 4)) for each in told.codes]
    listed = table(("Code", "Reason", "Feature", "Contribution"), cells, align="cllr", empty="Nothing spoke against.")
    return more(f"Reason codes ({len(told.codes)}), catalogue {told.catalogue}", listed)


def _flip(explained: Explained | None) -> Markup | None:
    """Show the smallest change that flips the decision."""
    flip: Counterfactual | None = explained.counterfactual if explained else None
    if flip is None:
        return None
    cells = [(c.feature, written(c.before, 4), written(c.after, 4), f"{c.widths:.0%}") for c in flip.changes]
    head = ("Feature", "Was", "Would have to be", "Of the middle 90% of training")
    listed = table(head, cells, align="lrrr") if cells else None
    return _section("What would have changed it", join(paragraph(flip.sentence), listed))


def _features(around: Around, explained: Explained | None) -> Markup:
    """List the features with their place in training, those that did most first."""
    did = {each.feature: each.contribution for each in explained.reasons} if explained else {}
    order = sorted(around.features, key=lambda placed: -abs(did.get(placed.feature, 0.0)))
    words = paragraph(
        "Each strip is what training saw, from its lowest to its highest half percent; the mark is this event.", "empty"
    )
    head = ("Feature", "Value", "In training", "Below it", "Pushed by")
    cells = [_feature(placed, did) for placed in order]
    empty = "No feature was computed: the event was refused, or the features were still warming up."
    listed = table(head, cells, align="lrlrr", empty=empty)
    return join(words, listed) if cells else listed


def _feature(placed: Placed, did: Mapping[str, float]) -> tuple[Markup | str, ...]:
    share = badge("never seen", "warn") if placed.outside else f"{placed.rank:.0%}"
    pushed = did.get(placed.feature)
    return (
        placed.feature,
        compact(placed.value),
        strip_of(placed),
        share,
        "" if pushed is None else f"{pushed:+.4f}".replace("-", "\N{MINUS SIGN}"),
    )


def strip_of(placed: Placed) -> Markup:
    """Draw a feature's distribution in training with this value marked on it."""
    tallest, step = max(placed.bins) or 1, STRIP_WIDTH / len(placed.bins)
    bars = [
        tag(
            "rect",
            x=place * step,
            y=STRIP_HEIGHT - count / tallest * (STRIP_HEIGHT - 2),
            width=step - 0.5,
            height=count / tallest * (STRIP_HEIGHT - 2),
        )
        for place, count in enumerate(placed.bins)
        if count
    ]
    width = placed.high - placed.low
    at = min(max((placed.value - placed.low) / width if width > 0 else 0.5, 0.0), 1.0) * STRIP_WIDTH
    said = f"{placed.feature} is higher than {placed.rank:.0%} of training"
    mark = tag("line", x1=at, x2=at, y1=0, y2=STRIP_HEIGHT, class_="mark")
    return tag(
        "svg",
        *bars,
        mark,
        viewBox=f"-1 0 {STRIP_WIDTH + 2:g} {STRIP_HEIGHT:g}",
        class_="strip-of",
        role="img",
        aria_label=said,
    )


def _checked(around: Around) -> Markup:
    """Say what the event, the features and the order were checked for, each with what was observed and allowed."""
    decision = around.decision
    if around.checks:
        words = paragraph("The event and the features passed. The first check that fails stops an order.")
        return join(words, checks_table(around.checks, around.checks_untold))
    if decision.verdict == "NONE":
        return paragraph("The event and the features passed. No order was wanted, so no limit was asked.")
    numbers = [("Observed", compact_or_nothing(decision.observed)), ("Limit", compact_or_nothing(decision.limit))]
    return join(
        tag("p", badge(decision.verdict.lower().replace("_", " "), "warn"), f" {decision.verdict_text}."),
        pairs(numbers) if decision.observed is not None else None,
    )


def _answers(around: Around) -> Markup:
    if not around.decision.quantity:
        return paragraph("No order was sent.", "empty")
    head = ("Time, UTC", "Answer", "Price", "Worse by, bps", "Fee")
    cells = [_answer(each) for each in around.answers]
    return table(head, cells, align="tlrrr", empty="The venue has not answered yet.")


def _answer(each: Filled) -> tuple[str, ...]:
    slipped = "" if each.slippage_bps is None else decimal(each.slippage_bps, 2)
    return clock(each.time), each.said, compact_or_nothing(each.price), slipped, decimal(each.fee, 4)


def _later(around: Around) -> Markup:
    """Say what the price did, and what the wanted position made of it."""
    cells = [_after(around, each) for each in around.later]
    head = ("After", "Time, UTC", "Price", "Change", "The position made, before costs")
    told = None if around.label is None else paragraph(f"The outcome that was reported is {around.label:g}.")
    return join(told, table(head, cells, align="ltrrr", empty="Nothing has come after it yet."))


def _after(around: Around, each: Later) -> tuple[Markup | str, ...]:
    change = f"{each.change:+.2%}".replace("-", "\N{MINUS SIGN}")
    return plural(each.events, around.kind), clock(each.time), compact_or_nothing(each.price), change, money(each.worth)


def _nearest(explained: Explained | None) -> Markup:
    cells = [_neighbour(each) for each in (explained.nearest if explained else [])]
    head = ("Time, UTC", "Instrument", "Score", "Wanted", "Away, in widths", "")
    told = paragraph(f"Of this version, on the most similar values, {AMONG}.", "lead") if cells else None
    listed = table(head, cells, align="tlrrrl", empty="This version had decided nothing before.")
    return join(told, tag("div", listed, id="like"))


def _neighbour(each: Neighbour) -> tuple[Markup | str, ...]:
    return (
        clock(each.time),
        each.instrument,
        decimal(each.score, 4),
        compact_or_nothing(None if math.isnan(each.target) else each.target),
        decimal(each.distance, 3),
        tag("a", "Why?", href=f"/decisions/{each.decision}", aria_label=f"Why decision {each.decision}"),
    )


def _event(around: Around) -> Markup:
    values = [(name, compact_or_nothing(value, 10)) for name, value in around.event.items()]
    head = [("Kind", around.kind), ("Happened", clock(around.decision.time)), ("Received", clock(around.event_recv))]
    return pairs([*head, ("Decided", clock(around.decided)), *values])


def _reference(decision: Decided, explained: Explained | None) -> Markup:
    """Return what names this decision for ever, and whether it can be shown again."""
    again = (
        "not explained" if explained is None else "to the last bit" if explained.identical else "not to the last bit"
    )
    return pairs(
        [
            ("Permanent link", tag("a", f"/decisions/{decision.sequence}", href=f"/decisions/{decision.sequence}")),
            ("In the terminal", code(f"tradeworthy explain {decision.sequence}")),
            ("Version", tag("a", code(decision.version), href=f"/versions/{decision.version}")),
            ("Role", f"{decision.role}, a rule in its place" if explained and explained.rule else decision.role),
            ("Computed again", again),
        ]
    )


def clock(time: str) -> str:
    """Write an ISO time for a table whose head says UTC."""
    return time[:23].replace("T", " ").removesuffix("Z")
