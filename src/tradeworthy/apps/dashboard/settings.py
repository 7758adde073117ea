"""The view of settings: limits and people, each change a fact with who and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeworthy.apps.dashboard.layout import Visit, entry, form, reason_form
from tradeworthy.apps.reports.html import badge, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.access.people import PASSWORD_MIN, Person
from tradeworthy.change.access.roles import ACTIONS, ROLES
from tradeworthy.core.limits import LIMIT_FIELDS, Limits


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of limits would do: the name, the value before, the value after."""

    name: str
    before: float | None
    after: float | None


def settings_view(visit: Visit, desk: Limits, bounds: Limits | None, people: Sequence[Person]) -> Markup:
    """Build the view."""
    return join(
        tag("section", tag("h2", "Limits of the desk"), _limits(visit, desk, bounds)),
        tag("section", tag("h2", "People"), _people(visit, people)),
        tag("section", tag("h2", "Who can do what"), _who_can()),
    )


def _limits(visit: Visit, desk: Limits, bounds: Limits | None) -> Markup:
    words = paragraph(
        "The tighter of the desk's limit and the champion's bound counts. A limit that is not set refuses every order "
        "that needs it."
    )
    may_change = visit.may("limits")
    rows = [
        (
            name,
            _field(name, getattr(desk, name)) if may_change else _value(getattr(desk, name)),
            "none" if bounds is None else _value(getattr(bounds, name)),
        )
        for name in LIMIT_FIELDS
    ]
    listed = table(("Limit", "Desk", "Champion's bound"), rows, align="lrr")
    if not may_change:
        return join(words, listed, paragraph("Changing limits needs the role risk.", "empty"))
    button = tag("button", "Change limits", type="submit")
    return join(words, form(visit, "/do/settings/limits", listed, entry("reason", "Reason"), button))


def _field(name: str, value: float | None) -> Markup:
    text = "" if value is None else f"{value:.12g}"
    return tag("input", name=name, value=text, inputmode="decimal", size="12", aria_label=name, class_="number")


def _value(value: float | None) -> Markup | str:
    return badge("not set", "warn") if value is None else f"{value:,.12g}"


def _people(visit: Visit, people: Sequence[Person]) -> Markup:
    rows = [
        (
            each.name,
            ", ".join(each.roles),
            reason_form(visit, "/do/settings/people/remove", "Remove", ("name", each.name))
            if visit.may("people") and each.name != visit.person.name
            else "",
        )
        for each in people
    ]
    listed = table(("Name", "Roles", ""), rows)
    return join(listed, _new_person(visit)) if visit.may("people") else listed


def _new_person(visit: Visit) -> Markup:
    roles = (
        tag("label", tag("input", type="checkbox", name="roles", value=role), tag("span", f"{role}: {what}"))
        for role, what in ROLES.items()
    )
    return tag(
        "details",
        tag("summary", "Add a person, or change their roles and password"),
        form(
            visit,
            "/do/settings/people/add",
            entry("name", "Name"),
            entry("password", f"Password, {PASSWORD_MIN} characters or more", type_="password"),
            tag("fieldset", tag("legend", "Roles"), roles),
            entry("reason", "Reason"),
            tag("button", "Let in", type="submit"),
        ),
    )


def _who_can() -> Markup:
    rows = [(action, ", ".join(roles)) for action, roles in ACTIONS.items()]
    return table(("Action", "Roles"), rows)
