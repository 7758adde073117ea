"""Facts in words: what each says in one sentence, and what a change changed.

Idea:   the ledger keeps what was set; what that changed is the difference to the fact before it in the same scope. So
        facts are told in their order, with the limits and the policy that stood before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tradeworthy.change.release.answers import Reaction
from tradeworthy.change.release.canary import in_words as part_in_words
from tradeworthy.change.release.distance import in_words
from tradeworthy.change.release.policy import PolicySettings, policy_of
from tradeworthy.core import facts
from tradeworthy.core.limits import LEAST, LIMIT_FIELDS, Limits
from tradeworthy.core.time import iso
from tradeworthy.record.ledger import Entry

SHORT = 8
NEWLY_SET, TIGHTER = "is set", "tighter"
_ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True, slots=True)
class FactLine:
    """One fact of the ledger: who did what when, and why."""

    number: int
    time: str
    kind: str
    said: str
    actor: str
    reason: str

    @property
    def why(self) -> str:
        """The reason, where it says more than the fact itself."""
        return "" if self.reason == self.said else self.reason


def told(entries: Iterable[Entry]) -> list[str]:
    """Return a sentence for each fact, oldest first; `entries` are all facts from the first on."""
    limits: dict[str, Limits] = {}
    policy, found = PolicySettings(), []
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, facts.LimitsChanged):
            found.append(f"Limits of {fact.scope}: {difference(limits.get(fact.scope, Limits()), fact.limits)}.")
            limits[fact.scope] = fact.limits
        elif isinstance(fact, facts.PolicyChanged):
            before, policy = policy, policy_of(fact.policy)
            found.append(f"Policy: {policy_difference(before, policy)}.")
        else:
            found.append(said_of(fact))
    return found


def difference(before: Limits, after: Limits) -> str:
    """Write what differs between two sets of limits, as ``order value max 5,000 → 4,000``."""
    changed = [name for name in LIMIT_FIELDS if getattr(before, name) != getattr(after, name)]
    words = (f"{name.replace('_', ' ')} {_value(before, name)} {_ARROW} {_value(after, name)}" for name in changed)
    return ", ".join(words) or "nothing differs"


def meaning(name: str, before: Limits, after: Limits, bounds: Limits | None) -> str:
    """Say whether a change makes a limit tighter or looser, and where the champion's bound still counts."""
    old, new = getattr(before, name), getattr(after, name)
    if new is None:
        return "is no longer set"
    bound = None if bounds is None else getattr(bounds, name)
    if bound is not None and _looser(name, new, bound):
        return "beyond the champion's bound, which counts"
    if old is None:
        return NEWLY_SET
    return "looser" if _looser(name, new, old) else TIGHTER


def _looser(name: str, value: float, than: float) -> bool:
    """Tell whether a limit allows more than another; of a least value the larger one allows less."""
    return value < than if name in LEAST else value > than


def policy_difference(before: PolicySettings, after: PolicySettings) -> str:
    """Write what differs between two policies, as ``budget 3 → 5``."""
    words = (f"{name} {old} {_ARROW} {new}" for name, old, new in policy_changes(before, after))
    return ", ".join(words) or "nothing differs"


def policy_changes(before: PolicySettings, after: PolicySettings) -> list[tuple[str, str, str]]:
    """Return what differs between two policies: what it is called, what it was, what it is, in words."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in PolicySettings.__struct_fields__)
    return [(name.replace("_", " "), _in_policy(a), _in_policy(b)) for name, a, b in pairs if a != b]


def _in_policy(value: object) -> str:
    """Write one value of a policy."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.12g}"
        case Reaction():
            to = {"reduce": f" to {value.share:.0%}", "fallback": f" to {value.to.replace('_', ' ')}"}.get(value.do, "")
            return f"{value.do}{to} on {value.on.replace('_', ' ')} from {value.severity}"
        case list() | tuple():
            return "; ".join(_in_policy(each) for each in value) or "nothing"
    return str(value).replace("_", " ")


def said_of(fact: facts.Fact) -> str:
    """Write what a fact says by itself."""
    say = _WORDS.get(type(fact))
    return say(fact) if say else f"{type(fact).__name__}."


def _value(limits: Limits, name: str) -> str:
    value = getattr(limits, name)
    return "not set" if value is None else f"{value:,.12g}"


def _gate(fact: facts.GateJudged) -> str:
    failed = f" by {', '.join(name.replace('_', ' ') for name in fact.failed_checks)}" if fact.failed_checks else ""
    verdict = "passed" if fact.passed else "refused"
    if fact.overridden:
        failed = f"{failed}, with {', '.join(fact.overridden).replace('_', ' ')} set aside"
    return f"The gate ({fact.profile}) {verdict} version {fact.version[:SHORT]}{failed}."


def _promoted(fact: facts.VersionPromoted) -> str:
    part = part_in_words(fact.share, fact.instruments)
    return f"Version {fact.version[:SHORT]} became {fact.role} on {fact.env}{part}."


def _answered(fact: facts.FindingAnswered) -> str:
    return f"The policy {'would have answered' if fact.dry_run else 'answered'} finding {fact.finding}: {fact.did}."


def _retrained(fact: facts.RetrainEnded) -> str:
    return f"Retraining gave version {fact.version[:SHORT]}." if fact.version else f"Retraining failed: {fact.error}."


def _held(fact: facts.LegalHoldPlaced) -> str:
    since = "" if fact.from_ns is None else f" from {iso(fact.from_ns)}"
    until = "" if fact.to_ns is None else f" to {iso(fact.to_ns)}"
    return f"Legal hold {fact.name} on {', '.join(fact.streams)}{since}{until}."


def _rolled_back(fact: facts.VersionRolledBack) -> str:
    aside = "; it goes on as a shadow" if fact.stood_aside else ""
    return f"Rolled back from version {fact.version[:SHORT]} to {fact.to[:SHORT]}{aside}."


def _rule(fact: facts.RuleSet) -> str:
    return (
        "The acting version decides itself." if fact.rule == "none" else f"The rule {fact.rule} decides in its place."
    )


def _roles(fact: facts.RolesGiven) -> str:
    return f"{fact.person} has the role {', '.join(fact.roles)}." if fact.roles else f"{fact.person} lost every role."


_WORDS: dict[type[facts.Fact], Callable[[Any], str]] = {
    facts.VersionRegistered: lambda f: f"Version {f.version[:SHORT]}, {f.name}, was registered.",
    facts.GateJudged: _gate,
    facts.CheckOverridden: lambda f: (
        f"{f.check} of version {f.version[:SHORT]} was set aside until {iso(f.until_ns)}, by one of two people."
    ),
    facts.VersionApproved: lambda f: f"Version {f.version[:SHORT]} was approved for {f.env}.",
    facts.VersionPromoted: _promoted,
    facts.VersionRolledBack: _rolled_back,
    facts.PromotionFrozen: lambda f: f"Version {f.version[:SHORT]} waits for a person: {in_words(f.gone)}.",
    facts.SizeChanged: lambda f: f"The acting version takes {f.share:.0%} of its size.",
    facts.RuleSet: _rule,
    facts.FindingAnswered: _answered,
    facts.LimitsChanged: lambda f: f"Limits of {f.scope}: {difference(Limits(), f.limits)}.",
    facts.OrderOverridden: lambda f: (
        f"Order {f.order} of {f.instrument} may pass {f.check} up to {f.up_to:g} (limit {f.limit:g}) until "
        f"{iso(f.until_ns)}, by one of two people."
    ),
    facts.OrderOverrideEnded: lambda f: (
        f"The override of order {f.order} of {f.instrument} is over: {f.how}"
        + (f", by decision {f.sent}." if f.sent else ".")
    ),
    facts.PolicyChanged: lambda f: f"Policy: {policy_difference(PolicySettings(), policy_of(f.policy))}.",
    facts.TradingHalted: lambda f: f"Halted {f.scope}.",
    facts.TradingResumed: lambda f: f"Resumed {f.scope}.",
    facts.FindingRaised: lambda f: f.finding.sentence,
    facts.FindingAcknowledged: lambda f: f"Finding {f.finding} was acknowledged.",
    facts.FindingClosed: lambda f: f"Finding {f.finding} was closed.",
    facts.RetrainStarted: lambda f: f"Retraining began, because of {f.trigger}.",
    facts.RetrainEnded: _retrained,
    facts.LegalHoldPlaced: _held,
    facts.LegalHoldLifted: lambda f: f"Legal hold {f.name} was lifted.",
    facts.RolesGiven: _roles,
    facts.RecordDeleted: lambda f: f"{f.records:,} records of {f.stream} were deleted by age.",
    facts.FillsReconciled: lambda f: (
        f"{f.fills:,} fills were compared with {f.against}: {f.differences:,} differences."
    ),
    facts.ConductSurveilled: lambda f: (
        f"{f.orders:,} orders of ours were looked at for abuse: {sum(f.alerts.values()):,} to ask about."
    ),
    facts.RecoveryRehearsed: lambda f: (
        f"Coming back after a kill was rehearsed: {f.inputs:,} inputs in {f.seconds:.1f} s, "
        f"{'as it was' if f.passed else 'NOT as it was'}."
    ),
    facts.StressTested: lambda f: (
        f"Version {f.version[:SHORT]} {'bore' if f.passed else 'did not bear'} {f.factor:g} times the busiest load."
    ),
    facts.KeyIssued: lambda f: f"Key {f.key} for {f.owner} was made: {', '.join(f.scopes)}.",
    facts.KeyRevoked: lambda f: f"Key {f.key} was revoked.",
}
