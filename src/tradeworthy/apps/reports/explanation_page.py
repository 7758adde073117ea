"""One decision explained on one page: what was done, why on this side of the threshold, and what would have flipped it.

Idea:   the same facts as the command's words and JSON, drawn: the waterfall for reading off, the force plot for the
        balance. The page fetches nothing and runs nothing.
"""

import math

from tradeworthy.apps.explain.explained import Explained, Reason
from tradeworthy.apps.explain.past import AMONG
from tradeworthy.apps.reports.bars import Step, waterfall
from tradeworthy.apps.reports.checks import checks_table
from tradeworthy.apps.reports.force import force_plot
from tradeworthy.apps.reports.formats import compact, decimal, plural, short
from tradeworthy.apps.reports.html import (
    Assurance,
    KeyFigure,
    Section,
    absent,
    assurances,
    badge,
    code,
    key_figures,
    page,
    pairs,
    paragraph,
    sentences,
    table,
)
from tradeworthy.apps.reports.markup import Markup, join
from tradeworthy.judge.explain.counterfactual import Counterfactual

SHOWN = 12
UNIT = "margin"
ERROR_MAX = 1e-9


def render_explanation(found: Explained, written: str) -> str:
    """Write the page.

    Parameters
    ----------
    found : Explained
        One decision's explanation.
    written : str
        When the page was written, for its last line.
    """
    title = f"Why {found.instrument}, {found.time}"
    subtitle = join(badge(f"decision {found.decision}"), f" by version {short(found.version)}")
    opening = join(_figures(found), paragraph(found.said), assurances(_assurances(found)))
    parts = [_contributions(found), _refused(found), _checked(found), _flip(found), _codes(found), _past(found)]
    parts.append(_provenance(found))
    return page(title, subtitle, opening, [part for part in parts if part], f"Written {written} by tradeworthy.")


def _figures(found: Explained) -> Markup:
    """Set the numbers that are asked for first."""
    figures = [KeyFigure("Score", decimal(found.score, 4)), KeyFigure("Margin", decimal(found.margin, 4))]
    if (place := found.place) is not None:
        figures.append(KeyFigure("Side", place.side, remark=f"held {place.held:g}"))
        if place.threshold is not None:
            away = f"margin {decimal(place.distance, 4)} away" if math.isfinite(place.distance) else ""
            figures.append(KeyFigure("Nearest threshold", decimal(place.threshold, 4), remark=away))
    return key_figures(figures)


def _assurances(found: Explained) -> list[Assurance]:
    """Say what was checked about this explanation."""
    same = "The version, loaded now, gives the recorded score" + (
        " to the last bit." if found.identical else ": it does not."
    )
    parts = [Assurance("Computed again", held=found.identical, remark=same)]
    if found.reasons:
        off = f"Baseline and contributions give the margin within {found.sum_error:.1e}."
        parts.append(Assurance("Contributions add up", held=found.sum_error <= ERROR_MAX, remark=off))
    return parts


def _contributions(found: Explained) -> Section:
    """Draw the contributions twice, and list them."""
    sentence = "What each feature added to the margin, in units of the margin; the parts add up to the whole."
    if found.rule:
        sentence = f"The rule {found.rule} decided. This is what the version's own score was made of; it did not count."
    if not found.reasons:
        return Section("why", "Why", sentence, paragraph("Nothing was scored, so there is nothing to split.", "empty"))
    steps = _steps(found)
    levels = []
    if found.place is not None and found.place.margin_threshold is not None and math.isfinite(found.place.distance):
        levels = [(found.place.margin_threshold, f"threshold {decimal(found.place.margin_threshold, 3)}")]
    drawn = waterfall(
        "From the baseline to this decision",
        steps,
        start=Step("baseline", found.baseline),
        end=Step("this decision", found.margin),
        unit=UNIT,
        caption=f"Method: {found.method}.",
    )
    force = force_plot(
        "What pushes where", steps, baseline=found.baseline, margin=found.margin, unit=UNIT, levels=levels
    )
    rows = [_row(reason) for reason in found.reasons]
    head = ("feature", "value", "contribution", "± error", "for the decision")
    said = sentences(reason.sentence for reason in found.reasons[:SHOWN])
    return Section("why", "Why", sentence, join(drawn, force, said, table(head, rows, align="lrrrl")))


def _steps(found: Explained) -> list[Step]:
    """Return the prior correction, if there is one, the largest contributions, and the rest in one step."""
    shown, rest = found.reasons[:SHOWN], found.reasons[SHOWN:]
    steps = [Step("prior correction", found.prior)] if found.prior else []
    steps += [Step(f"{each.feature} = {compact(each.value)}", each.contribution, each.sentence) for each in shown]
    if rest:
        steps.append(Step(plural(len(rest), "other feature"), sum(each.contribution for each in rest)))
    return steps


def _row(reason: Reason) -> tuple[str, ...]:
    """Set one contribution as a row."""
    error = decimal(reason.error, 4) if reason.error else "exact"
    role = (
        "decisive" if reason.decides else "for it" if reason.kept else "against it" if reason.contribution else "none"
    )
    return reason.feature, compact(reason.value, 6), decimal(reason.contribution, 6), error, role


def _refused(found: Explained) -> Section | None:
    """Say why it was refused, and what would have passed."""
    if (refusal := found.refusal) is None:
        return None
    rows = [("Check", code(refusal.code)), ("What it says", refusal.text), ("What would have passed", refusal.passing)]
    if refusal.observed is not None:
        rows.insert(2, ("Observed", f"{refusal.observed:,.6g} {refusal.unit}"))
    if refusal.limit is not None:
        rows.insert(3, ("Allowed", f"{refusal.limit:,.6g} {refusal.unit}"))
    return Section("refused", "Refused", "Which check refused it, and what would have passed.", pairs(rows))


def _flip(found: Explained) -> Section | None:
    """Show the smallest change that flips the decision."""
    if (flip := found.counterfactual) is None:
        return None
    sentence = "The smallest change of this row that the model would have decided otherwise on; not advice to anybody."
    return Section("flip", "What would have flipped it", sentence, _changes(flip))


def _changes(flip: Counterfactual) -> Markup:
    """List what has to move."""
    rows = [(c.feature, compact(c.before, 6), compact(c.after, 6), decimal(c.widths, 3)) for c in flip.changes]
    head = ("feature", "was", "would have to be", "widths of training's middle 90%")
    return join(paragraph(flip.sentence), table(head, rows, align="lrrr", empty="Nothing within reach."))


def _codes(found: Explained) -> Section | None:
    """List the reason codes."""
    if (told := found.codes) is None:
        return None
    rows = [(each.code, each.text, each.feature, decimal(each.contribution, 4)) for each in told.codes]
    sentence = f"What spoke against, by catalogue {told.catalogue} ({told.digest[:16]}); adverse only, at most four."
    listed = table(("code", "text", "feature", "contribution"), rows, align="cllr", empty="Nothing spoke against.")
    return Section("codes", "Reason codes", sentence, listed)


def _checked(found: Explained) -> Section | None:
    """List what the order was checked for."""
    if not found.checks:
        return None
    sentence = "Every control of the order, in the order in which they are asked; the first that fails stops it."
    return Section("checks", "What was checked", sentence, checks_table(found.checks, found.checks_untold))


def _past(found: Explained) -> Section:
    """List the nearest past decisions."""
    rows = [
        (
            each.time,
            str(each.decision),
            each.instrument,
            decimal(each.distance, 4),
            decimal(each.score, 4),
            f"{each.target:g}",
        )
        for each in found.nearest
    ]
    sentence = f"Earlier decisions of this version on the most similar values, {AMONG}."
    head = ("time", "decision", "instrument", "mean distance, widths", "score", "wanted position")
    return Section("past", "Nearest past decisions", sentence, table(head, rows, align="trlrrr") if rows else absent())


def _provenance(found: Explained) -> Section:
    """Say what was explained, and how."""
    rows = [("Version", code(found.version)), ("Decision", code(str(found.decision))), ("Method", found.method)]
    sentence = "A contribution is no cause in the market, and not the effect of changing one feature alone."
    return Section("method", "How to read this", sentence, pairs(rows))
