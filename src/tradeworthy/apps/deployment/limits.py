"""The limits of a deployment, by scope: said by `[limits]`, changed by people, kept as facts; the last one counts.

Flow:   settings → a fact, when a desk starts and they have changed → the limits in force ← a fact, by somebody on the
        page, at the command line or through the interface. The engine reads them before its next event.
Change: what differs is decided on the newest fact, so two hands that change two limits at once change both.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tradeworthy.apps.deployment.policy import SETTINGS
from tradeworthy.change.release.order_overrides import overrides_in_force
from tradeworthy.core import facts
from tradeworthy.core.errors import NotFound, near
from tradeworthy.core.limits import Limits, ScopedLimits
from tradeworthy.record.ledger import Entry

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

SCOPE = "desk"
"""The scope of `[limits]`: every instrument."""


def scoped_limits(project: "Project") -> ScopedLimits:
    """Return all limits that the ledger holds, as orders are held to them.

    What is set for an ``instrument:SYMBOL`` of this desk counts for that instrument; every other scope (``strategy``,
    and whatever else somebody wrote) tightens the whole desk. A limit that the desk lacks stays missing for those
    instruments that do not set it, and refuses.
    """
    known = limits_by_scope(project)
    numbers = {f"instrument:{each.symbol}": n for n, each in enumerate(project.settings.instrument)}
    desk = known.pop(SCOPE, Limits())
    for scope in known.keys() - numbers.keys():
        desk = desk.tightest(known[scope])
    own = {numbers[scope]: known[scope] for scope in known.keys() & numbers.keys()}
    return ScopedLimits(desk, own, overrides_in_force(project.ledger, symbols_of(project)))


def symbols_of(project: "Project") -> list[str]:
    """Return the symbols of a desk's instruments, by number."""
    return [each.symbol for each in project.settings.instrument]


def limits_by_scope(project: "Project") -> dict[str, Limits]:
    """Return the limits that the ledger holds, by scope; the last fact of a scope counts."""
    changes = (entry.fact for entry in project.ledger.facts(facts.LimitsChanged))
    return {fact.scope: fact.limits for fact in changes if isinstance(fact, facts.LimitsChanged)}


def every_scope(project: "Project") -> dict[str, Limits]:
    """Return the limits of the desk, of each traded instrument, and of whatever other scope somebody wrote.

    Before the first start of a desk the file's limits are the desk's.
    """
    known = {SCOPE: project.settings.limits, **limits_by_scope(project)}
    named = [SCOPE, *(f"instrument:{each.symbol}" for each in project.settings.instrument if each.traded)]
    return {scope: known.get(scope, Limits()) for scope in dict.fromkeys([*named, *known])}


def chosen(scopes: Mapping[str, Limits], scope: str) -> Limits:
    """Return the limits of one of the scopes.

    Raises
    ------
    NotFound
        It is none of them.
    """
    if scope not in scopes:
        words = [*scopes, *(each.removeprefix("instrument:") for each in scopes)]
        raise NotFound(f"limits have no scope {scope!r}{near(scope, words)}; there are {', '.join(scopes)}")
    return scopes[scope]


class Change(NamedTuple):
    """The limits of a scope, before and after somebody's change."""

    before: Limits
    after: Limits


def change_limits(
    project: "Project", change: Callable[[Limits], Limits], *, scope: str = SCOPE, actor: str, reason: str
) -> Change:
    """Change the limits of a scope from the next event on; where nothing differs no fact is written.

    Raises
    ------
    NotFound
        The desk has no such scope.
    """
    if SCOPE not in limits_by_scope(project):  # else the first start would put the file's in the place of these
        record_limits(project)
    made: list[Change] = []

    def decided() -> facts.LimitsChanged | None:
        before = chosen(every_scope(project), scope)
        made.append(Change(before, change(before)))
        return facts.LimitsChanged(scope=scope, limits=made[-1].after) if before != made[-1].after else None

    if project.ledger.decide(decided, actor=actor, reason=reason) is not None:
        project.control.limits_changed()
    return made[-1]


def record_limits(project: "Project") -> None:
    """Record the settings' limits as a fact where they have changed; what a person has set since then stands."""
    wanted, ours = project.settings.limits, [e for e in project.ledger.facts(facts.LimitsChanged) if _is_settings(e)]
    last = ours[-1].fact if ours else None
    if not isinstance(last, facts.LimitsChanged) or last.limits != wanted:
        fact = facts.LimitsChanged(scope=SCOPE, limits=wanted)
        project.ledger.append(fact, actor=SETTINGS, reason="[limits] of tradeworthy.toml")
        project.control.limits_changed()


def _is_settings(entry: Entry) -> bool:
    """Tell whether a fact says what the settings said of the desk's limits."""
    return entry.actor == SETTINGS and isinstance(entry.fact, facts.LimitsChanged) and entry.fact.scope == SCOPE
