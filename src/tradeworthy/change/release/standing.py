"""Where every version stands: one projection of the ledger's facts, the only source of aliases and states.

Idea:   nothing keeps a second copy of who is champion, what was approved or what is halted; it is read from the facts
        each time, so a restart knows exactly what a running process knew.
State:  champions form a stack. A promotion pushes, a roll back pops: rolling back twice never returns to the version
        that was just taken out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tradeworthy.core import facts
from tradeworthy.core.decisions import Rule
from tradeworthy.core.findings import Finding
from tradeworthy.record.ledger import Entry

NO_RULE = Rule.NONE.name.lower()


@dataclass(frozen=True, slots=True)
class Retrain:
    """One attempt at a challenger: its start, and how it ended if it has."""

    number: int
    started_ns: int
    started: facts.RetrainStarted
    ended: facts.RetrainEnded | None = None


class OverrideGiven(NamedTuple):
    """One person's word that a check of a version is set aside."""

    actor: str
    reason: str
    fact: facts.CheckOverridden


@dataclass(slots=True)
class Standing:
    """The state that the facts add up to.

    Attributes
    ----------
    number : int
        Ledger number of the newest fact that it adds up.
    registered, gates : dict
        By version digest: how it was registered; its latest gate judgement.
    approvals : dict
        By version digest: the (actor, env) pairs that approved it.
    overrides : dict
        By version digest: who set which check aside; `release.overriding` says which of them count.
    champions : list of str
        The stack of champions; the last one acts.
    champion_since : int
        Ledger number of the fact that made the present champion.
    canary : str or None
        The champion, while it is on probation, at a share of its size or on some instruments.
    canary_on : tuple of str
        The instruments on which it acts alone, and the champion before it on all others; empty where it acts on all.
    size : float
        The share of full size that the acting version takes.
    rule : str
        What decides in the acting version's place; ``none`` where it decides itself.
    stood_aside : set of str
        Versions that a fallback put back into shadow; only a person lets them act again.
    steps : dict of str to Distance
        By version that a policy promoted by itself: how far it lies from the champion before it. A person's approval,
        or promotion, takes it out.
    frozen : dict of str to PromotionFrozen
        Challengers that wait for a person, because automatic promotions have come too far.
    policy : dict or None
        The policy as it was last set; `policy.in_force` reads it. None where only the settings say it.
    answered : int
        Ledger number of the last finding that the policy has answered.
    shadows, retired : list of str
        Versions that score beside the champion; versions that a policy or a person took out.
    halted : set of str
        Scopes that are halted.
    retrains : list of Retrain
        In the order in which they started.
    findings : list of (int, Finding)
        With their ledger numbers.
    found_in : dict of int to str
        By ledger number of a finding: the version whose monitors raised it, where one's did.
    """

    number: int = 0
    registered: dict[str, facts.VersionRegistered] = field(default_factory=dict)
    gates: dict[str, facts.GateJudged] = field(default_factory=dict)
    approvals: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    overrides: dict[str, list[OverrideGiven]] = field(default_factory=dict)
    champions: list[str] = field(default_factory=list)
    champion_since: int = 0
    canary: str | None = None
    canary_on: tuple[str, ...] = ()
    size: float = 1.0
    rule: str = NO_RULE
    stood_aside: set[str] = field(default_factory=set)
    steps: dict[str, facts.Distance] = field(default_factory=dict)
    frozen: dict[str, facts.PromotionFrozen] = field(default_factory=dict)
    policy: dict[str, Any] | None = None
    answered: int = 0
    shadows: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    halted: set[str] = field(default_factory=set)
    retrains: list[Retrain] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    found_in: dict[int, str] = field(default_factory=dict)

    @property
    def champion(self) -> str | None:
        """The version that acts, and that a roll back takes out."""
        return self.champions[-1] if self.champions else None

    @property
    def open_retrain(self) -> Retrain | None:
        """The retraining that has started and not ended."""
        last = self.retrains[-1] if self.retrains else None
        return last if last is not None and last.ended is None else None

    @property
    def unjudged(self) -> str | None:
        """What the last retraining gave, while the gate has not judged it and nobody has taken it out."""
        ended = self.retrains[-1].ended if self.retrains else None
        version = ended.version if ended is not None else None
        told = {*self.gates, *self.champions, *self.retired, *self.stood_aside}
        return version if version is not None and version not in told else None

    @property
    def acting(self) -> list[str]:
        """Every version that acts on some instrument, the one on most of them first."""
        return self.champions[-2:] if self.canary_on else self.champions[-1:]

    @property
    def previous(self) -> str | None:
        """The version that a roll back returns to."""
        return self.champions[-2] if len(self.champions) > 1 else None

    @property
    def successor(self) -> str | None:
        """The champion, where it acts on all and took over from another, to which a roll back returns."""
        return self.champion if self.previous is not None and self.canary is None else None

    def roles(self) -> Mapping[str, str]:
        """Return the present role of every version that has one."""
        roles = dict.fromkeys(self.retired, "retired")
        roles |= dict.fromkeys(self.shadows, "shadow")
        if self.previous is not None and self.previous not in self.shadows:
            roles[self.previous] = "champion" if self.canary_on else "previous"
        if self.champion is not None:
            roles[self.champion] = "canary" if self.champion == self.canary else "champion"
        return roles

    def gate_passed(self, version: str) -> bool:
        """Return whether the latest judgement of the gate let the version pass."""
        return version in self.gates and self.gates[version].passed


def stand(entries: Iterable[Entry]) -> Standing:
    """Add up the facts, oldest first."""
    standing = Standing()
    for entry in entries:
        stand_on(standing, entry)
    return standing


def stand_on(standing: Standing, entry: Entry) -> None:
    """Move the standing on by one fact; facts that change no state pass by."""
    standing.number = entry.number
    match entry.fact:
        case facts.VersionRegistered() as fact:
            standing.registered.setdefault(fact.version, fact)
        case facts.GateJudged() as fact:
            standing.gates[fact.version] = fact
        case facts.VersionApproved() as fact:
            standing.approvals.setdefault(fact.version, []).append((entry.actor, fact.env))
            _looked_at(standing, fact.version)
        case facts.CheckOverridden() as fact:
            standing.overrides.setdefault(fact.version, []).append(OverrideGiven(entry.actor, entry.reason, fact))
        case facts.VersionPromoted() as fact:
            _promoted(standing, fact, entry.number)
        case facts.PromotionFrozen() as fact:
            standing.frozen[fact.version] = fact
        case facts.VersionRolledBack() as fact:
            _rolled_back(standing, fact, entry.number)
        case _:
            _apply_running(standing, entry)


def _apply_running(standing: Standing, entry: Entry) -> None:
    """Move on by a fact about the running desk: halts, findings, retrainings."""
    match entry.fact:
        case facts.TradingHalted(scope=scope):
            standing.halted.add(scope)
        case facts.TradingResumed(scope=scope):
            standing.halted.discard(scope)
        case facts.SizeChanged(share=share):
            standing.size = share
        case facts.RuleSet(rule=rule):
            standing.rule = rule
        case facts.PolicyChanged(policy=policy):
            standing.policy = policy
        case facts.FindingAnswered(finding=number):
            standing.answered = max(standing.answered, number)
        case facts.FindingRaised() as fact:
            standing.findings.append((entry.number, fact.finding))
            standing.found_in |= {entry.number: fact.version} if fact.version else {}
        case facts.RetrainStarted() as fact:
            standing.retrains.append(Retrain(entry.number, entry.ts_ns, fact))
        case facts.RetrainEnded() as fact:
            _retrain_ended(standing, fact)


def _promoted(standing: Standing, fact: facts.VersionPromoted, number: int) -> None:
    """Move a version into its new role, out of the one it had."""
    for versions in (standing.shadows, standing.retired):
        if fact.version in versions:
            versions.remove(fact.version)
    if fact.role == "retired":
        standing.frozen.pop(fact.version, None)
    match fact.role:
        case "champion" | "canary":
            if fact.version != standing.champion:
                standing.champion_since, standing.rule = number, NO_RULE
            standing.stood_aside.discard(fact.version)
            _leave_to_champion(standing, fact)
            _looked_at(standing, fact.version)
            if fact.distance is not None:
                standing.steps[fact.version] = fact.distance
            _remove(standing.champions, fact.version)
            standing.champions.append(fact.version)
            standing.canary = fact.version if fact.role == "canary" else None
            standing.canary_on, standing.size = tuple(fact.instruments), fact.share
        case "shadow":
            standing.shadows.append(fact.version)
        case "retired":
            standing.retired.append(fact.version)


def _leave_to_champion(standing: Standing, fact: facts.VersionPromoted) -> None:
    """Retire a canary of some instruments that another one takes the place of: it never was a champion."""
    if standing.canary_on and standing.canary not in (None, fact.version):
        _remove(standing.champions, str(standing.canary))
        standing.retired.append(str(standing.canary))


def _rolled_back(standing: Standing, fact: facts.VersionRolledBack, number: int) -> None:
    """Take the champion off the stack; the one named by the fact acts."""
    for version in (fact.version, fact.to):
        _remove(standing.champions, version)
    standing.champions.append(fact.to)
    _remove(standing.retired, fact.version)
    if fact.stood_aside:
        standing.stood_aside.add(fact.version)
        standing.shadows.insert(0, fact.version)  # before a challenger that is being compared: that is the last one
    else:
        standing.retired.append(fact.version)
    standing.champion_since = number
    standing.canary, standing.canary_on, standing.size, standing.rule = None, (), 1.0, NO_RULE


def _looked_at(standing: Standing, version: str) -> None:
    """Begin to count distances at a version that a person approved or let act; those who wait are looked at anew."""
    standing.steps.pop(version, None)
    standing.frozen.clear()


def _retrain_ended(standing: Standing, fact: facts.RetrainEnded) -> None:
    """Close the latest attempt that is still open."""
    if (last := standing.open_retrain) is not None:
        standing.retrains[-1] = Retrain(last.number, last.started_ns, last.started, fact)


def _remove(versions: list[str], version: str) -> None:
    if version in versions:
        versions.remove(version)
