"""What may be done here, and by whom, for programs: limits, the policy and keys, read and changed.

Idea:   each is a fact with the caller's name; this process, the engine and the watcher read it at their next look.
"""

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.params import JSONBody

from tradeworthy.apps.admin.api import Reasoned, Text, Word
from tradeworthy.apps.admin.visitor import Asked, deployment_of, signed
from tradeworthy.apps.commands.access import KeyLine, KeyList, KeyMade, create_key, list_keys, revoke_key
from tradeworthy.apps.deployment.policy import change_policy, policy_now
from tradeworthy.change.access.keys import SCOPES
from tradeworthy.change.release.policy import PolicySettings, policy_of
from tradeworthy.core.limits import Limits

DAYS_MAX = 3_650


class LimitsWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits for the desk, all of them: one that is left out is not set, and refuses."""

    limits: Limits
    reason: Text


class KeyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made; a bound that is left out is none."""

    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=len(SCOPES))]
    rate_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    rows_per_day: Annotated[int, msgspec.Meta(gt=0, le=2**62)] | None = None
    days: Annotated[float, msgspec.Meta(gt=0, le=DAYS_MAX)] | None = None
    reason: Text


class PolicyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole policy; what is left out is as `docs/settings.md` says of `[policy]`."""

    policy: dict[str, Any]
    reason: Text


class Permitting(Controller):
    """Limits, the policy and keys."""

    path = "/api/v1"
    tags = ["permit"]  # noqa: RUF012  # litestar reads it from the class

    @get("/limits", sync_to_thread=True)
    def limits(self, request: Asked) -> Limits:
        """Return the desk's limits."""
        return deployment_of(request).limits()

    @post("/limits", sync_to_thread=True, status_code=200)
    def change_limits(self, request: Asked, data: JSONBody[LimitsWanted]) -> Limits:
        """Change the desk's limits from the next event on, and return them."""
        deployment = deployment_of(request)
        deployment.change_limits(data.limits, **signed(request, "limits", data.reason))
        return deployment.limits()

    @get("/policy", sync_to_thread=True)
    def policy(self, request: Asked) -> PolicySettings:
        """Return what the desk does by itself about findings."""
        return policy_now(deployment_of(request).project)

    @post("/policy", sync_to_thread=True, status_code=200)
    def change_policy(self, request: Asked, data: JSONBody[PolicyWanted]) -> PolicySettings:
        """Change the policy from the watcher's next step on, and return it."""
        project = deployment_of(request).project
        change_policy(project, policy_of(data.policy), **signed(request, "policy", data.reason))
        return policy_now(project)

    @get("/keys", sync_to_thread=True)
    def keys(self, request: Asked) -> KeyList:
        """Return every key, without its secret."""
        return list_keys(deployment_of(request).project)

    @post("/keys", sync_to_thread=True, status_code=201)
    def create_key(self, request: Asked, data: JSONBody[KeyWanted]) -> KeyMade:
        """Make a key; its secret is in this answer, and nowhere else."""
        return create_key(
            deployment_of(request).project,
            data.owner,
            data.scopes,
            rate_per_s=data.rate_per_s,
            rows_per_day=data.rows_per_day,
            days=data.days,
            **signed(request, "keys", data.reason),
        )

    @post("/keys/{key:str}/revoke", sync_to_thread=True, status_code=200)
    def revoke_key(self, request: Asked, key: Word, data: JSONBody[Reasoned]) -> KeyLine:
        """Take a key back; this process refuses it at once, running ports within two seconds."""
        return revoke_key(deployment_of(request).project, key, **signed(request, "keys", data.reason))
