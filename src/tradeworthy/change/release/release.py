"""Giving versions their roles: promote, roll back, approve; halt and resume.

Idea:   every step is one fact and one word of the control block. To promote, the fact comes first, so that no version
        acts without its record; to halt, the word comes first, so that no record can delay it.
Flow:   `reconcile` at the start of a process repairs what a crash cut in two; of two answers the more cautious wins.
        The engine asks `permit` before a version comes in: the block says what is asked for, the facts what may be.
Reference: REGULATION.md R1-R4, R8: approval by another, facts with actor and reason, env kept apart.
"""

import math
from collections.abc import Sequence
from typing import Literal

from tradeworthy.change.registry import Registry
from tradeworthy.change.release.canary import part_of
from tradeworthy.change.release.conditions import (
    check_acting,
    check_approval,
    check_gate,
    check_retirement,
    check_role,
    check_rollback,
)
from tradeworthy.change.release.standing import Standing
from tradeworthy.core import decisions, facts
from tradeworthy.core.decisions import SHORT, Rule, version_name, version_number
from tradeworthy.core.errors import ReleaseRefused, near
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.control import SHADOWS_MAX, SHARE_STEP, ControlBlock, Part, Scope, check_part

ROLES = ("shadow", "canary", "champion", "retired")
Role = Literal["shadow", "canary", "champion", "retired"]
ACTS = frozenset({"canary", "champion"})
"""The roles in which a version acts."""
PREVIOUS = "previous"
FALLBACKS = (PREVIOUS, *(rule.name.lower() for rule in Rule))


class Release:
    """The steps of a version's life that change what the engine does.

    Parameters
    ----------
    registry : Registry
        The versions and the ledger; its env is this deployment's.
    control : ControlBlock
        What the engine reads.
    instruments : sequence of Instrument
        The desk's list, for scopes of halts.
    """

    def __init__(self, registry: Registry, control: ControlBlock, instruments: Sequence[Instrument]) -> None:
        self.registry = registry
        self.control = control
        self.instruments = tuple(instruments)

    def promote(
        self,
        version: str,
        role: str,
        *,
        actor: str,
        reason: str,
        share: float | None = None,
        instruments: Sequence[str] | None = None,
        instrument_share: float | None = None,
        distance: facts.Distance | None = None,
        acting: str | None = None,
    ) -> str:
        """Give a version a role, and return its digest.

        Of two hands that let two versions act at once the ledger lets the first; the second is refused.

        Parameters
        ----------
        version : str
            Anything that `Registry.resolve` understands.
        role : str
            ``shadow`` scores without acting, ``canary`` acts on a part, ``champion`` acts in full, ``retired`` takes
            any other version out.
        actor, reason : str
            Who, and why.
        share, instruments, instrument_share
            Which part a canary acts on, see `canary.part_of`.
        distance : Distance, optional
            From the champion before, where no person decides.
        acting : str, optional
            Digest of the version that is to give way to one that acts; the one that acts now if left out.

        Raises
        ------
        ReleaseRefused
            The gate, an approval or the right state is missing.
        Overtaken
            Another version acts by now.
        BundleRefused
            The bundle is not what was signed.
        """
        if role not in ROLES:
            raise ReleaseRefused(f"role is {role!r}{near(role, ROLES)}; allowed are {', '.join(ROLES)}")
        _require_words(actor=actor, reason=reason)
        digest = self.registry.resolve(version)
        acting = acting or self.registry.standing().champion

        def decided() -> facts.VersionPromoted:
            standing = self.registry.standing()
            if role == "retired":
                check_retirement(standing, digest)
            else:
                self._check_promotion(standing, digest, role)
            if role in ACTS:
                check_acting(standing, acting)
            of_size, symbols = part_of(
                self.instruments, digest, role, share=share, instruments=instruments, instrument_share=instrument_share
            )
            check_part(self._places(symbols))  # before the fact, which the block must be able to follow
            return facts.VersionPromoted(
                version=digest,
                role=role,
                env=self.registry.env,
                previous=standing.champion,
                share=of_size,
                instruments=symbols,
                distance=distance,
            )

        self.registry.ledger.decide(decided, actor=actor, reason=reason)
        self._follow_facts()
        return digest

    def rollback(self, *, actor: str, reason: str, stand_aside: bool = False, acting: str | None = None) -> str:
        """Put the previous champion back, and return its digest.

        Of two hands that take out one version at once, the ledger lets the first; the second is refused, so that not
        two versions are taken out.

        Parameters
        ----------
        actor, reason : str
            Who, and why.
        stand_aside : bool
            The version that acted goes on scoring as a shadow, so that one sees when it is well again; else it is
            retired.
        acting : str, optional
            Digest of the version that is to be taken out; the one that acts now if left out.

        Raises
        ------
        ReleaseRefused
            There is no previous champion, or another version acts by now.
        """
        _require_words(actor=actor, reason=reason)
        acting = acting or self.registry.standing().champion

        def decided() -> facts.VersionRolledBack:
            standing = self.registry.standing()
            check_rollback(standing, acting)
            return facts.VersionRolledBack(
                version=str(standing.champion),
                to=str(standing.previous),
                stood_aside=stand_aside and len(standing.shadows) < SHADOWS_MAX,
            )

        fact = self.registry.ledger.decide(decided, actor=actor, reason=reason)
        self.control.set_champion(version_number(fact.to))
        self._follow_facts()
        return fact.to

    def resize(self, share: float, *, actor: str, reason: str, only_less: bool = False) -> None:
        """Let the acting version take a share of its full size from the next event on; 0 wants to be flat.

        Parameters
        ----------
        share : float
            The part of full size.
        actor, reason : str
            Who, and why.
        only_less : bool
            Do nothing where it takes no more than that already: give no size back that somebody has taken.

        Raises
        ------
        ReleaseRefused
            The share is no part of 1, or nobody acts.
        Overtaken
            Another version acts by now than did when this was asked for.
        """
        _require_words(actor=actor, reason=reason)
        if not 0.0 <= share <= 1.0:
            raise ReleaseRefused(f"share is {share:g}, allowed is 0 (flat) to 1 (full size)")
        acting = self.registry.standing().champion
        if acting is None:
            raise ReleaseRefused("no version is champion; there is nothing to resize")

        def decided() -> facts.SizeChanged | None:
            standing = self.registry.standing()
            check_acting(standing, acting)
            return None if only_less and standing.size <= share else facts.SizeChanged(share=share)

        if self.registry.ledger.decide(decided, actor=actor, reason=reason) is not None:
            self.control.resize(share)
            self._follow_facts()

    def fall_back(self, to: str, *, actor: str, reason: str, acting: str | None = None) -> str:
        """Let something else decide in the champion's place from the next event on, and return which version acts.

        Parameters
        ----------
        to : str
            ``previous`` for the version before, while the champion goes on as a shadow; ``flat``, ``hold`` or
            ``base_rate`` for a rule that needs no model; ``none`` for the champion itself again.
        actor, reason : str
            Who, and why.
        acting : str, optional
            Digest of the version in whose place it is to decide; the one that acts now if left out.

        Raises
        ------
        ReleaseRefused
            It is none of these, there is no version before, nobody acts, or another version acts by now.
        """
        _require_words(actor=actor, reason=reason)
        if to not in FALLBACKS:
            raise ReleaseRefused(f"fallback is {to!r}{near(to, FALLBACKS)}; allowed are {', '.join(FALLBACKS)}")
        if to == PREVIOUS:
            return self.rollback(actor=actor, reason=reason, stand_aside=True, acting=acting)
        champion = acting or self.registry.standing().champion
        if champion is None:
            raise ReleaseRefused("no version is champion; there is nothing to fall back from")
        if Rule[to.upper()] == Rule.BASE_RATE and math.isnan(self.registry.load(champion).profile.base_rate):
            raise ReleaseRefused(
                f"version {champion[:SHORT]} knows no labels, so no base rate; fall back to another rule"
            )

        def decided() -> facts.RuleSet:
            check_acting(self.registry.standing(), champion)
            return facts.RuleSet(rule=to)

        self.registry.ledger.decide(decided, actor=actor, reason=reason)
        self.control.fall_back(Rule[to.upper()])
        self._follow_facts()
        return champion

    def approve(self, version: str, *, actor: str, reason: str) -> str:
        """Record that a person other than the author approves a version for this env.

        Raises
        ------
        ReleaseRefused
            The author approves their own version, or the gate has not passed it.
        """
        _require_words(actor=actor, reason=reason)
        digest = self.registry.resolve(version)

        def decided() -> facts.VersionApproved:
            standing = self.registry.standing()
            if actor == standing.registered[digest].author:
                raise ReleaseRefused(f"{actor} made version {digest[:SHORT]} and may not approve it; ask somebody else")
            check_gate(standing, digest, self.registry.ledger.now_ns())
            return facts.VersionApproved(version=digest, env=self.registry.env)

        self.registry.ledger.decide(decided, actor=actor, reason=reason)
        return digest

    def halt(self, scope: str = "all", *, actor: str, reason: str) -> None:
        """Refuse every order in a scope from the next event on: ``all``, ``instrument:ETH`` or ``version:...``."""
        self.control.halt(Scope.parse(scope, self.instruments))
        fact = facts.TradingHalted(scope=_canonical(scope))
        self.registry.ledger.append(fact, actor=actor.strip() or "unknown", reason=reason.strip() or "none was given")

    def resume(self, scope: str = "all", *, actor: str, reason: str) -> None:
        """Lift a halt, on the record first."""
        _require_words(actor=actor, reason=reason)
        parsed = Scope.parse(scope, self.instruments)
        self.registry.ledger.append(facts.TradingResumed(scope=_canonical(scope)), actor=actor, reason=reason)
        self.control.resume(parsed)

    def halted(self) -> list[str]:
        """Return every scope that is halted, by the facts or by the block: a halt counts before it is recorded."""
        words = (scope.named(self.instruments) for scope in self.control.view().scopes)
        return sorted({*self.registry.standing().halted, *words})

    def reconcile(self) -> None:
        """Make the control block agree with the facts, when a process starts.

        Roles follow the facts. A halt stands if either says so.
        """
        for scope in sorted(self.registry.standing().halted):
            self.control.halt(Scope.parse(scope, self.instruments))
        self._follow_facts()

    def permit(self, number: int, role: decisions.Role) -> None:
        """Refuse a version that the facts do not let into a role; the engine asks before it lets one in.

        The control block only says what is asked for: whoever can write that file must not be able to put a version to
        work that the gate did not pass, or that nobody approved.

        Parameters
        ----------
        number : int
            The version's 64-bit number.
        role : core.decisions.Role
            The role that it would take.

        Raises
        ------
        ReleaseRefused
            The ledger does not say that it has the role, or it lacks what the role needs.
        """
        standing, acts = self.registry.standing(), role != decisions.Role.SHADOW
        allowed = standing.acting if acts else standing.shadows
        digest = next((digest for digest in allowed if version_number(digest) == number), None)
        if digest is None:
            raise ReleaseRefused(
                f"the ledger does not make version {version_name(number)} {role.name.lower()}, only the control block "
                "does; promote it instead of writing the block"
            )
        check_gate(standing, digest, self.registry.ledger.now_ns())
        if acts and self.registry.env == "live":
            check_approval(standing, digest)

    def may_act(self, standing: Standing, digest: str) -> bool:
        """Tell whether gate and approval would let a version act now."""
        try:
            check_gate(standing, digest, self.registry.ledger.now_ns())
            if self.registry.env == "live":
                check_approval(standing, digest)
        except ReleaseRefused:
            return False
        return True

    def _follow_facts(self) -> None:
        """Bring the block's roles to what the facts say, until nothing differs.

        Two processes may promote at once: facts have one order, but their words may be written in another. Whoever
        writes last looks once more, so the block ends as the facts do.
        """
        while self._write_roles(self.registry.standing()):
            pass

    def _write_roles(self, standing: Standing) -> bool:
        """Write the roles that differ, and tell whether there were any."""
        view = self.control.view()
        wanted = {version_number(digest) for digest in standing.shadows}
        champion = view.champion if standing.champion is None else version_number(standing.champion)
        part = self._part(standing)
        moved = champion != view.champion or (part or Part()) != view.part
        resized = abs(standing.size - view.size) >= SHARE_STEP
        rule = Rule[standing.rule.upper()]
        if resized and standing.size < view.size:  # before the version that it is meant for
            self.control.resize(standing.size)
        if moved and part is not None and standing.previous is not None:  # it acts on the other instruments
            self.control.set_champion(version_number(standing.previous))
        if moved:
            self.control.set_champion(champion, None if part is None else part.instruments)
        if resized and standing.size > view.size:
            self.control.resize(standing.size)
        if rule != view.rule:
            self.control.fall_back(rule)
        for number in sorted(set(view.shadows) - wanted):
            self.control.remove_shadow(number)
        for number in sorted(wanted - set(view.shadows)):
            self.control.add_shadow(number)
        return moved or wanted != set(view.shadows) or resized or rule != view.rule

    def _part(self, standing: Standing) -> Part | None:
        """Return the part of the present canary; None where whoever acts does so on all instruments."""
        if standing.champion is None or not standing.canary_on:
            return None
        return Part(version_number(standing.champion), self._places(standing.canary_on))

    def _places(self, symbols: Sequence[str]) -> frozenset[int]:
        """Return the numbers of those instruments that the desk still has."""
        return frozenset(place for place, each in enumerate(self.instruments) if each.symbol in symbols)

    def _check_promotion(self, standing: Standing, digest: str, role: str) -> None:
        """Refuse a version that may not take the role now, or whose bundle is not what was judged."""
        check_role(standing, digest, role, self.registry.env)
        check_gate(standing, digest, self.registry.ledger.now_ns())
        self.registry.gate_report(digest)
        self.registry.load(digest)
        if role in ACTS and self.registry.env == "live":
            check_approval(standing, digest)


def _canonical(scope: str) -> str:
    """Return the one name of a scope under which facts are kept: a version's first 16 characters."""
    kind, _, name = scope.partition(":")
    return f"{kind}:{name[:SHORT]}" if kind == "version" else scope


def _require_words(**words: str) -> None:
    """Refuse a step without an actor or a reason."""
    for name, word in words.items():
        if not word.strip():
            raise ReleaseRefused(f"{name} is empty; every step is recorded with who and why")
