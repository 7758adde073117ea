"""Limits as a person handles them: seen by scope beside the champion's bounds, and changed one at a time."""

import math
from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.commands.overriding import roles_of
from tradeworthy.apps.dashboard.telling import meaning
from tradeworthy.apps.deployment.limits import change_limits, every_scope
from tradeworthy.change.access.roles import require
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid, near
from tradeworthy.core.limits import LIMIT_FIELDS, Limits

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

UNSET = "none"


class LimitsShown(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that stand, by scope, and those that the champion was validated for."""

    scopes: dict[str, Limits]
    bounds: Limits | None


class LimitSet(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, before and after; None is not set, and refuses. `meaning` says which way it went."""

    scope: str
    limit: str
    before: float | None
    after: float | None
    meaning: str
    actor: str
    reason: str


def show_limits(project: "Project") -> LimitsShown:
    """Read the limits of every scope."""
    return LimitsShown(scopes=every_scope(project), bounds=_bounds(project))


def set_limit(project: "Project", scope: str, name: str, value: float | None, *, actor: str, reason: str) -> LimitSet:
    """Change one limit of a scope from the next event on; None takes it away, which refuses what needs it.

    Where people were let in, the actor is one of them, and has a role that may change limits.

    Raises
    ------
    NotFound
        The desk has no such scope.
    SettingsInvalid
        There is no such limit, or the value is none of a limit's.
    NotAllowed
        The actor's roles may not change limits.
    """
    if name not in LIMIT_FIELDS:
        raise SettingsInvalid(f"no limit {name!r}{near(name, LIMIT_FIELDS)}; there are {', '.join(LIMIT_FIELDS)}")
    if value is not None and not (math.isfinite(value) and value >= 0.0):
        raise SettingsInvalid(f"{name} is {value:g}, allowed is a number of zero or more, or {UNSET} to take it away")
    if project.ledger.facts(facts.RolesGiven):
        require(actor, roles_of(project, actor), "limits")

    def change(limits: Limits) -> Limits:
        return msgspec.structs.replace(limits, **{name: value})

    before, after = change_limits(project, change, scope=scope, actor=actor, reason=reason)
    said = "nothing differs" if before == after else meaning(name, before, after, _bounds(project))
    old, new = getattr(before, name), getattr(after, name)
    return LimitSet(scope=scope, limit=name, before=old, after=new, meaning=said, actor=actor, reason=reason)


def _bounds(project: "Project") -> Limits | None:
    """Return the bounds that the champion was validated for; None without a champion."""
    champion = project.registry.standing().champion
    return None if champion is None else project.registry.load(champion).manifest.bounds
