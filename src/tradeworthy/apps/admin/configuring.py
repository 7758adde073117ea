"""What people change on the view of settings: limits, policy, keys, people; and trying where alerts go."""

from typing import Any

import msgspec
from litestar import Controller, post
from litestar.response import Redirect

from tradeworthy.apps.admin.forms import (
    Fields,
    limits_of,
    number_of,
    policy_sent,
    reason_of,
    text_of,
    whole_of,
    words_of,
)
from tradeworthy.apps.admin.visitor import Asked, Html, actor_for, back_to, deployment_of, shown, signed, visit_of
from tradeworthy.apps.commands.access import create_key, revoke_key
from tradeworthy.apps.commands.alerting import try_way
from tradeworthy.apps.dashboard.keys import key_made_view
from tradeworthy.apps.dashboard.limits import review_view
from tradeworthy.apps.dashboard.policy import policy_review
from tradeworthy.apps.dashboard.telling import policy_difference
from tradeworthy.apps.deployment.limits import SCOPE
from tradeworthy.apps.deployment.policy import change_policy, policy_now
from tradeworthy.change.release.policy import policy_of, values_of
from tradeworthy.core.errors import UNDECODABLE, SettingsInvalid

VIEW = "/settings"


class Configuring(Controller):
    """Changes of settings; each is a fact with the name of who made it."""

    path = "/do/settings"

    include_in_schema = False

    @post("/limits/review", sync_to_thread=True)
    def review(self, request: Asked, data: Fields) -> Html:
        """Show what a change of limits would change, before it is made."""
        actor_for(request, "limits")
        scope, deployment = text_of(data, "scope") or SCOPE, deployment_of(request)
        before, wanted = deployment.limits(scope), limits_of(data)
        visit = visit_of(request)
        view = review_view(visit, scope, before, wanted, deployment.bounds())
        return shown(request, visit, f"Change the limits of {scope}?", view)

    @post("/limits", sync_to_thread=True)
    def limits(self, request: Asked, data: Fields) -> Redirect:
        """Change the limits of a scope."""
        by, scope = signed(request, "limits", reason_of(data)), text_of(data, "scope") or SCOPE
        changed = deployment_of(request).change_limits(limits_of(data), scope=scope, **by)
        if not changed:
            return back_to(request, VIEW, "No limit differs; nothing was changed.")
        return back_to(request, VIEW, f"Changed from the next event on: {changed}.")

    @post("/policy/review", sync_to_thread=True)
    def review_policy(self, request: Asked, data: Fields) -> Html:
        """Show what a change of the policy would change, before it is made."""
        actor_for(request, "policy")
        wanted, deployment = policy_sent(data), deployment_of(request)
        before, sent = policy_now(deployment.project), msgspec.json.encode(values_of(wanted)).decode()
        visit = visit_of(request)
        view = policy_review(visit, before, wanted, sent, deployment.facts())
        return shown(request, visit, "Change the policy?", view)

    @post("/policy", sync_to_thread=True)
    def policy(self, request: Asked, data: Fields) -> Redirect:
        """Change the policy."""
        by = signed(request, "policy", reason_of(data))
        try:
            wanted = policy_of(msgspec.json.decode(text_of(data, "policy"), type=dict[str, Any]))
        except UNDECODABLE:
            raise SettingsInvalid("no policy was sent that can be read; ask again under Change the policy") from None
        before = change_policy(deployment_of(request).project, wanted, **by)
        if before == wanted:
            return back_to(request, VIEW, "Nothing of the policy differs; nothing was changed.")
        return back_to(request, VIEW, f"From the watcher's next step on: {policy_difference(before, wanted)}.")

    @post("/keys/create", sync_to_thread=True)
    def create_key(self, request: Asked, data: Fields) -> Html:
        """Make a key, and show its secret on the page that answers, once."""
        by = signed(request, "keys", reason_of(data))
        made = create_key(
            deployment_of(request).project,
            text_of(data, "owner"),
            words_of(data, "scopes"),
            rate_per_s=number_of(data, "rate"),
            rows_per_day=whole_of(data, "rows") if text_of(data, "rows") else None,
            days=number_of(data, "days"),
            **by,
        )
        visit = visit_of(request)
        return shown(request, visit, "A new key", key_made_view(made))

    @post("/keys/revoke", sync_to_thread=True)
    def revoke_key(self, request: Asked, data: Fields) -> Redirect:
        """Take a key back."""
        by = signed(request, "keys", reason_of(data))
        key = revoke_key(deployment_of(request).project, text_of(data, "key"), **by)
        return back_to(request, VIEW, f"Key {key.key} of {key.owner} opens nothing any more.")

    @post("/alerts/test", sync_to_thread=True)
    def test_alert(self, request: Asked, data: Fields) -> Redirect:
        """Send one alert, marked as a test, to where alerts go."""
        actor, name = actor_for(request, "alerts"), text_of(data, "name")
        try_way(deployment_of(request).project, name, actor=actor)
        return back_to(request, VIEW, f"{name} took the test alert; see whether it arrived.")

    @post("/people/add", sync_to_thread=True)
    def add_person(self, request: Asked, data: Fields) -> Redirect:
        """Let somebody in, or change their roles and password."""
        by, password = signed(request, "people", reason_of(data)), str(data.get("password", ""))
        people = deployment_of(request).people
        person = people.add(text_of(data, "name"), words_of(data, "roles"), password, **by)
        return back_to(request, VIEW, f"{person.name} may sign in as {', '.join(person.roles)}.")

    @post("/people/remove", sync_to_thread=True)
    def remove_person(self, request: Asked, data: Fields) -> Redirect:
        """Take every role from somebody."""
        by, name = signed(request, "people", reason_of(data)), text_of(data, "name")
        deployment_of(request).people.remove(name, **by)
        return back_to(request, VIEW, f"{name} may not sign in any more.")
