"""Keys of programs on the page: made, shown once, taken back."""

from collections.abc import Sequence

from tradeworthy.apps.commands.access import KeyLine, KeyMade
from tradeworthy.apps.dashboard.decision import clock
from tradeworthy.apps.dashboard.layout import Visit, entry, form, reason_form
from tradeworthy.apps.reports.html import Tone, badge, code, pairs, paragraph, table
from tradeworthy.apps.reports.markup import Markup, join, tag
from tradeworthy.change.access.keys import SCOPES

TONES: dict[str, Tone] = {"good": "good", "expired": "", "revoked": "bad"}
NO_KEY = "No key was made: no program may use the port or the interface yet."


def keys_section(visit: Visit, keys: Sequence[KeyLine]) -> Markup:
    """Build the list of keys, with what may be done about them."""
    may = visit.may("keys")
    rows = [
        (
            code(each.key),
            each.owner,
            ", ".join(each.scopes),
            badge(each.state, TONES[each.state]),
            _bounds(each),
            clock(each.issued),
            clock(each.expires) if each.expires else "never",
            _revoke(visit, each) if may and each.state == "good" else "",
        )
        for each in keys
    ]
    head = ("Key", "Owner", "May", "State", "At most", "Made, UTC", "Ends, UTC", "")
    listed = table(head, rows, align="lllllttl", empty=NO_KEY)
    return join(listed, _new_key(visit) if may else paragraph("Making keys needs the role admin.", "empty"))


def _bounds(key: KeyLine) -> str:
    rate = "" if key.rate_per_s is None else f"{key.rate_per_s:,.6g} a second"
    rows = "" if key.rows_per_day is None else f"{key.rows_per_day:,} rows a day"
    return ", ".join(filter(None, (rate, rows))) or "no bound"


def _revoke(visit: Visit, key: KeyLine) -> Markup:
    return reason_form(visit, "/do/settings/keys/revoke", "Revoke", ("key", key.key), tone="stop")


def _new_key(visit: Visit) -> Markup:
    scopes = (
        tag("label", tag("input", type="checkbox", name="scopes", value=scope), tag("span", scope)) for scope in SCOPES
    )
    return tag(
        "details",
        tag("summary", "Make a key"),
        form(
            visit,
            "/do/settings/keys/create",
            entry("owner", "Who will use it", maxlength="64"),
            tag("fieldset", tag("legend", "It may"), scopes),
            entry("days", "Days until it ends; for ever if empty", required=False, inputmode="decimal"),
            entry("rate", "Requests a second; no bound if empty", required=False, inputmode="decimal"),
            entry("rows", "Rows a day; no bound if empty", required=False, inputmode="numeric"),
            entry("reason", "Reason"),
            tag("button", "Make it", type="submit"),
        ),
    )


def key_made_view(made: KeyMade) -> Markup:
    """Build the only page on which a key's secret ever stands."""
    return join(
        tag("p", "Copy the secret now: it is shown on this page only, and kept nowhere.", class_="told"),
        tag("p", code(made.secret), class_="secret"),
        pairs(
            [
                ("Key", code(made.key.key)),
                ("Owner", made.key.owner),
                ("May", ", ".join(made.key.scopes)),
                ("Sent as", code("Authorization: Bearer SECRET")),
            ]
        ),
        tag("p", tag("a", "Back to settings", href="/settings")),
    )
