"""The policy on the page: what the desk does by itself, a form that changes it, and what a change would change."""

from collections.abc import Iterable, Sequence
from typing import get_args

from tradeworthy.apps.dashboard.layout import Visit, choice, entry, form
from tradeworthy.apps.dashboard.telling import policy_changes
from tradeworthy.apps.reports.html import badge, code, heading, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.release.answers import KINDS, Do, Reaction, To, rehearse
from tradeworthy.change.release.policy import CANARY_SHARES, PolicySettings
from tradeworthy.change.watch.findings import SEVERITIES
from tradeworthy.record.ledger import Entry

NUMBERS = {
    "budget": ("Retrainings at most", "in the window"),
    "budget_window_hours": ("The window", "hours"),
    "cool_down_decisions": ("Between two retrainings at least", "decisions"),
    "scheduled_every_decisions": ("Retrains without a finding every", "decisions; empty: never"),
    "gate_tries": ("Tries the gate", "times"),
    "shadow_decisions": ("Compares a challenger on at most", "labelled decisions"),
    "loss_margin": ("Lets it lose more than the champion by at most", "nats a decision"),
    "distance_max": ("Automatic promotions may come as far as", "of a whole version; beyond it a person promotes"),
    "canary_share": ("A canary's share of full size", "%; empty: no canary"),
    "canary_instrument_share": ("Or its share of the instruments, in full size", "%; empty: all of them"),
    "canary_decisions": ("A canary decides", "decisions"),
}
"""The policy's numbers: what the form calls them, and their units."""

PERCENT = frozenset(CANARY_SHARES)
WHOLE = frozenset(NUMBERS) - PERCENT - {"budget_window_hours", "loss_margin", "distance_max"}
MAY_BE_EMPTY = PERCENT | {"scheduled_every_decisions"}

SWITCHES = {
    "auto_promote": "Promotes by itself, on paper only",
    "dry_run": "Dry run: only writes down what it would have done about findings",
}
CHOICES = {"retrain_on": "Retrains on a finding of", "rollback_on": "Takes a canary back on a finding of"}
MORE_RULES = 2
"""Empty rules at the end of the form, for new ones."""

NO_RULE, LISTED = "", 8


def policy_section(visit: Visit, policy: PolicySettings, env: str) -> Markup:
    """Say what the desk does by itself about findings; for those who may, with the form that changes it."""
    words = paragraph(
        join(
            "What the desk does by itself about findings. ",
            code("[policy]"),
            " in tradeworthy.toml says it at first; what people change here stands until that file changes. ",
            badge("dry run: it only writes down what it would do", "warn") if policy.dry_run else "",
        )
    )
    rows = [(each.on.replace("_", " "), each.severity, _does(each)) for each in policy.reaction]
    empty = "No finding is answered at once: alerts go out, people act."
    listed = table(("On a finding of", "From severity", "It does"), rows, empty=empty)
    change = _form(visit, policy) if visit.may("policy") else paragraph("Changing it needs the role risk.", "empty")
    return join(words, pairs(_habits(policy, env)), listed, change)


def policy_review(
    visit: Visit, before: PolicySettings, after: PolicySettings, sent: str, past: Sequence[Entry]
) -> Markup:
    """Build the page between asking for a change and making it.

    Parameters
    ----------
    sent : str
        The policy after, as the next form sends it.
    past : sequence of Entry
        Every fact: what both would have done about its findings is set side by side.
    """
    changed, back = policy_changes(before, after), tag("a", "Back to settings", href="/settings")
    if not changed:
        return join(paragraph("Nothing differs; there is nothing to change."), back)
    hidden = tag("input", type="hidden", name="policy", value=sent)
    buttons = tag("div", tag("button", "Change the policy", type="submit"), back, class_="buttons")
    return join(
        table(("What", "Now", "Then"), [(name.capitalize(), old, new) for name, old, new in changed]),
        _rehearsal(before, after, past),
        form(visit, "/do/settings/policy", hidden, entry("reason", "Reason"), buttons),
    )


def _rehearsal(before: PolicySettings, after: PolicySettings, past: Sequence[Entry]) -> Markup:
    """Say which findings of the past both would have answered differently."""
    now, then = (rehearse(each.reaction, each.rollback_on, past, each.means) for each in (before, after))
    other = [(a, b) for a, b in zip(now, then, strict=True) if a.did != b.did]
    if not other:
        words = f"Of {len(now):,} findings so far, each would have been answered as now."
        return paragraph(words if now else "Nothing was found yet that it could have answered.", "empty")
    rows = [(str(a.finding), a.kind.replace("_", " "), a.sentence, a.did, b.did) for a, b in other]
    words = f"{len(other):,} of {len(now):,} findings so far would have been answered differently"
    head = ("Finding", "Kind", "What it said", "Now", "Then")
    shown = f"; the last {LISTED}" if len(other) > LISTED else ""
    return join(heading(f"{words}{shown}."), table(head, rows[-LISTED:][::-1]))


def _does(rule: Reaction) -> str:
    to = "let the version before decide" if rule.to == "previous" else f"let the rule {rule.to} decide"
    words = {
        "alert": "alert only",
        "fallback": to.replace("_", " "),
        "reduce": f"reduce the size to {rule.share:.0%}",
        "flat": "hold nothing",
        "halt": "halt all orders",
        "rollback": "roll back to the version before",
        "retrain": "train a challenger, within budget and cool-down",
    }
    return words[rule.do]


def _habits(policy: PolicySettings, env: str) -> list[tuple[str, str]]:
    """Write the policy's numbers in words."""
    every = policy.scheduled_every_decisions
    promotes = policy.auto_promote and env == "paper"
    return [
        ("Retrains on", _kinds(policy.retrain_on)),
        ("Retrains without a finding", "never" if every is None else f"every {every:,} decisions"),
        ("At most", f"{policy.budget} times in {policy.budget_window_hours:,.4g} hours"),
        ("Between two retrainings", f"{policy.cool_down_decisions:,} decisions at least"),
        (
            "Compares a challenger on",
            f"up to {policy.shadow_decisions:,} decisions, within {policy.loss_margin:g} nats",
        ),
        ("Promotes by itself", "yes, on paper" if promotes else "no, a person does"),
        ("Canary", _canary(policy)),
        ("Takes a canary back on", _kinds(policy.rollback_on)),
    ]


def _canary(policy: PolicySettings) -> str:
    share, of_instruments = policy.canary_share, policy.canary_instrument_share
    if share is None and of_instruments is None:
        return "none"
    part = f"{share:.0%} of its size" if share is not None else f"{of_instruments:.0%} of the instruments, in full"
    return f"{part}, for {policy.canary_decisions:,} decisions"


def _kinds(kinds: Sequence[str]) -> str:
    return ", ".join(kind.replace("_", " ") for kind in kinds) or "nothing"


def _form(visit: Visit, policy: PolicySettings) -> Markup:
    """Return the form of every part, folded away; it leads to the review, and changes nothing itself."""
    return tag(
        "details",
        tag("summary", "Change the policy"),
        form(
            visit,
            "/do/settings/policy/review",
            tag("div", (_number(policy, name) for name in NUMBERS), class_="fields"),
            *(_choices(name, getattr(policy, name)) for name in CHOICES),
            tag("fieldset", tag("legend", "Findings that are answered at once; the first that fits"), _rules(policy)),
            tag("fieldset", tag("legend", "And"), (_switch(policy, name) for name in SWITCHES)),
            tag("div", tag("button", "See what would change", type="submit"), class_="buttons"),
            class_="form wide",
        ),
    )


def _number(policy: PolicySettings, name: str) -> Markup:
    label, unit = NUMBERS[name]
    value = getattr(policy, name)
    shown = "" if value is None else f"{100 * value if name in PERCENT else value:.12g}"
    return entry(
        name, f"{label}, {unit}", required=name not in MAY_BE_EMPTY, value=shown, inputmode="decimal", size="12"
    )


def _choices(name: str, chosen: Iterable[str]) -> Markup:
    ticked = set(chosen)
    boxes = (_box(name, kind, kind.replace("_", " "), checked=kind in ticked) for kind in KINDS)
    return tag("fieldset", tag("legend", CHOICES[name]), tag("div", boxes, class_="ticks"))


def _switch(policy: PolicySettings, name: str) -> Markup:
    return _box(name, "yes", SWITCHES[name], checked=bool(getattr(policy, name)))


def _box(name: str, value: str, label: str, *, checked: bool) -> Markup:
    box = tag("input", type="checkbox", name=name, value=value, checked=checked)
    return tag("label", box, tag("span", label))


def _rules(policy: PolicySettings) -> Markup:
    """Return a line for each rule, and some that are empty; a rule that is on nothing is none."""
    rules: list[Reaction | None] = [*policy.reaction, *[None] * MORE_RULES]
    return join(tag("div", _rule(number, rule), class_="filter") for number, rule in enumerate(rules))


def _rule(number: int, rule: Reaction | None) -> Iterable[Markup]:
    kinds = [NO_RULE, *KINDS]
    return (
        choice(f"on-{number}", "On", kinds, rule.on if rule else NO_RULE, empty="nothing"),
        choice(f"severity-{number}", "From severity", SEVERITIES, rule.severity if rule else "warning"),
        choice(f"do-{number}", "Does", get_args(Do), rule.do if rule else "alert"),
        choice(f"to-{number}", "Falls back to", get_args(To), rule.to if rule else "previous"),
        entry(
            f"share-{number}",
            "Reduces to, %",
            required=False,
            value=f"{100 * (rule.share if rule else 0.5):.12g}",
            inputmode="decimal",
            size="6",
        ),
    )
