"""The view of settings: limits, policy, ways of telling, keys and people; each change is a fact with who and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradeworthy.apps.commands.access import KeyLine
from tradeworthy.apps.commands.alerting import Way
from tradeworthy.apps.dashboard.keys import keys_section
from tradeworthy.apps.dashboard.layout import Visit, entry, form, reason_form
from tradeworthy.apps.dashboard.limits import limits_section
from tradeworthy.apps.dashboard.policy import policy_section
from tradeworthy.apps.reports.html import badge, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.access.people import PASSWORD_MIN, Person
from tradeworthy.change.access.roles import ACTIONS, ROLES
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.core.limits import Limits

NO_WAY = "Nobody is told: add an [[alert]] section to tradeworthy.toml, and start the desk again."


@dataclass(frozen=True, slots=True)
class Configured:
    """What the view shows.

    Attributes
    ----------
    limits : mapping of str to Limits
        By scope, the desk's first.
    bounds : Limits, optional
        What the champion was validated for.
    """

    limits: Mapping[str, Limits]
    bounds: Limits | None
    policy: PolicySettings
    env: str
    ways: Sequence[Way]
    keys: Sequence[KeyLine]
    people: Sequence[Person]


def settings_view(visit: Visit, configured: Configured) -> Markup:
    """Build the view."""
    parts = {
        "Limits": limits_section(visit, configured.limits, configured.bounds),
        "Policy": policy_section(visit, configured.policy, configured.env),
        "Who is told": _ways(visit, configured.ways),
        "Keys of programs": keys_section(visit, configured.keys),
        "People": _people(visit, configured.people),
        "Who can do what": _who_can(),
    }
    return join(tag("section", tag("h2", heading), content) for heading, content in parts.items())


def _ways(visit: Visit, ways: Sequence[Way]) -> Markup:
    """List where alerts go, each with a button that tries it."""
    rows = [
        (
            each.name,
            each.kind,
            tag("span", each.where, class_="measured"),
            each.severity_min,
            f"{each.sent:,}",
            badge(f"{each.failed:,}", "bad") if each.failed else "0",
            each.error or "none",
            _try(visit, each) if visit.may("alerts") else "",
        )
        for each in ways
    ]
    head = ("Name", "By", "To", "From severity", "Sent", "Failed", "Last error", "")
    return table(head, rows, align="llllrrll", empty=NO_WAY)


def _try(visit: Visit, way: Way) -> Markup:
    name = tag("input", type="hidden", name="name", value=way.name)
    button = tag("button", "Test", type="submit", aria_label=f"Test {way.name}")
    return form(visit, "/do/settings/alerts/test", name, button, class_="form inline")


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
    return join(
        listed, _new_person(visit) if visit.may("people") else paragraph("People need the role admin.", "empty")
    )


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
    cells = [
        (action.replace("_", " "), *("\N{CHECK MARK}" if role in roles else "" for role in ROLES))
        for action, roles in ACTIONS.items()
    ]
    return table(("Action", *ROLES), cells, align="lllll")
