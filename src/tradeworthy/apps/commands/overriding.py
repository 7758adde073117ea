"""Letting one refused order pass the check that refused it: what the command and the interface for programs ask."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.deployment.limits import symbols_of
from tradeworthy.apps.explain.finding_decisions import find_decision
from tradeworthy.change.release.order_overrides import Overridden, Person, override_order
from tradeworthy.core import facts
from tradeworthy.core.decisions import DECISIONS
from tradeworthy.core.errors import NotFound

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def let_pass(
    project: "Project",
    decision: int,
    *,
    minutes: int,
    up_to: float | None,
    actor: str,
    reason: str,
    roles: Sequence[str] | None = None,
) -> Overridden:
    """Record one person's override of a refused order; with a second person's of another role, the engine hears of it.

    Parameters
    ----------
    roles : sequence of str, optional
        The person's; those that the ledger gives them, if left out.

    Raises
    ------
    NotFound
        There is no such decision.
    ReleaseRefused
        It cannot be overridden so; see `change.release.order_overrides`.
    """
    reader = recorded(project)
    if DECISIONS not in reader.streams():
        raise NotFound("no decision was recorded yet; run: tradeworthy run")
    denied = find_decision(reader, str(decision))
    by = Person(actor, roles_of(project, actor) if roles is None else roles)
    symbols = symbols_of(project)
    told = override_order(project.ledger, denied, symbols, by=by, minutes=minutes, up_to=up_to, reason=reason)
    if told.in_force:
        project.control.limits_changed()
    return told


def roles_of(project: "Project", name: str) -> list[str]:
    """Return the roles that a person has now."""
    given = [entry.fact for entry in project.ledger.facts(facts.RolesGiven)]
    return next(
        (fact.roles for fact in reversed(given) if isinstance(fact, facts.RolesGiven) and fact.person == name), []
    )
