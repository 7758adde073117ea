"""The policy of a deployment: said by `[policy]`, changed by people, kept as facts; the last one counts.

Flow:   settings → a fact, when a desk starts and they have changed → the policy in force ← a fact, by somebody on the
        page or through the interface. The watcher reads it before each step, so a change counts from its next one.
"""

from typing import TYPE_CHECKING

from tradeworthy.change.release.canary import require_part
from tradeworthy.change.release.policy import PolicySettings, in_force, policy_of, values_of
from tradeworthy.core import facts

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

SETTINGS = "settings"
"""Who acts where a file says so."""


def policy_now(project: "Project") -> PolicySettings:
    """Return the policy in force."""
    return in_force(project.registry.standing(), project.settings.policy)


def record_policy(project: "Project") -> None:
    """Record the settings' policy as a fact where it has changed; what a person has set since then stands."""
    ours = [e.fact for e in project.ledger.facts(facts.PolicyChanged) if e.actor == SETTINGS]
    last = ours[-1] if ours else None
    before = policy_of(last.policy) if isinstance(last, facts.PolicyChanged) else PolicySettings()
    if before != project.settings.policy:
        _record(project, project.settings.policy, actor=SETTINGS, reason="[policy] of tradeworthy.toml")


def change_policy(project: "Project", wanted: PolicySettings, *, actor: str, reason: str) -> PolicySettings:
    """Set the policy from the watcher's next step on, and return the one before; the same again is no fact.

    Raises
    ------
    SettingsInvalid
        It names a part of the instruments that this desk cannot give a canary.
    """
    require_part(project.settings.instrument, wanted.canary_instrument_share)
    before = policy_now(project)
    if before != wanted:
        _record(project, wanted, actor=actor, reason=reason)
    return before


def _record(project: "Project", wanted: PolicySettings, *, actor: str, reason: str) -> None:
    project.ledger.append(facts.PolicyChanged(policy=values_of(wanted)), actor=actor, reason=reason)
