"""How the policy answers a finding at once: less size, none at all, a rule, a halt, or the version before.

Idea:   a pure function of settings and standing. Every answer takes risk away, so it needs no approver; what gives risk
        back does. One only asks for a challenger, within the means for that. A finding is answered once, and only while
        the version that it was found under acts. An answer that cannot be, such as a roll back with nobody to go back
        to, leaves the finding to the next reaction that fits.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from tradeworthy.change.release.distance import gone_by, plus, too_far
from tradeworthy.change.release.means import UNBOUND, Means, is_on_its_way
from tradeworthy.change.release.standing import Standing, stand_on
from tradeworthy.change.watch.findings import SEVERITIES, gravity
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid, near
from tradeworthy.core.findings import Finding
from tradeworthy.record.ledger import Entry

Do = Literal["alert", "reduce", "flat", "fallback", "halt", "rollback", "retrain"]
To = Literal["previous", "flat", "hold", "base_rate"]

NO_PREVIOUS = "there is no previous champion to go back to"

KINDS = (
    "data_drift",
    "attribution_drift",
    "concept_drift",
    "label_shift",
    "performance",
    "estimated_performance",
    "calibration_error",
    "fairness",
    "input_quality",
    "trading",
    "latency",
    "security",
    "release",
    "storage",
    "clock",
    "reconciliation",
    "surveillance",
    "serving",
)
"""What findings are about."""


class Reaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[policy.reaction]]` section: what is done about a kind of finding.

    Attributes
    ----------
    on : str
        The finding's kind.
    severity : str
        The least severity that it answers.
    do : str
        ``alert`` only (the alert goes out in any case), ``reduce`` the size to `share`, ``flat`` to hold nothing,
        ``fallback`` to what `to` names, ``halt`` all orders, ``rollback`` to the version before, ``retrain`` within the
        policy's budget and cool-down, unless a challenger is on its way.
    share : float
        Of ``reduce``: the part of full size that is left.
    to : str
        Of ``fallback``: the ``previous`` version decides, while this one goes on as a shadow; or a rule does that needs
        no model: ``flat`` wants no position, ``hold`` the one there is, ``base_rate`` acts on the mean label of the
        training rows.
    """

    on: str
    do: Do
    severity: str = "warning"
    share: float = 0.5
    to: To = "previous"

    def __post_init__(self) -> None:
        """Refuse a reaction that could never come, or would change nothing."""
        if self.on not in KINDS:
            allowed = ", ".join(KINDS)
            raise SettingsInvalid(f"policy.reaction on {self.on!r}{near(self.on, KINDS)}; allowed are {allowed}")
        if self.severity not in SEVERITIES:
            allowed = ", ".join(SEVERITIES)
            raise SettingsInvalid(f"policy.reaction severity is {self.severity!r}; allowed are {allowed}")
        if not 0.0 < self.share < 1.0:
            raise SettingsInvalid(f"policy.reaction share is {self.share:g}; allowed is above 0 and below 1")


class Answer(msgspec.Struct, frozen=True, tag=True):
    """Answer a finding, by its ledger number.

    Attributes
    ----------
    otherwise : Answer or None
        What the next reaction that fits asks for, where this one cannot be.
    trigger : str
        Of ``retrain``: what asks for it.
    since_ns : int
        Since when that holds, by the finding's estimate.
    """

    finding: int
    do: Do
    share: float | None
    reason: str
    to: To | None = None
    otherwise: "Answer | None" = None
    trigger: str = ""
    since_ns: int = 0

    def impossible(self, standing: Standing, no_training: str | None = None) -> str | None:
        """Return why it cannot be, or, where it asks for a retraining, why none may start; None where it can."""
        if self.do == "retrain":
            return None if is_on_its_way(standing) else no_training
        wants_previous = self.do == "rollback" or self.to == "previous"
        return NO_PREVIOUS if wants_previous and standing.previous is None else None


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have done about one finding of the past."""

    finding: int
    ts_ns: int
    kind: str
    severity: str
    sentence: str
    did: str


class RehearsedPromotion(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have done about one challenger that it let act, or let wait, by itself."""

    number: int
    ts_ns: int
    version: str
    gone: facts.Distance
    did: str


def next_answer(reactions: Iterable[Reaction], rollback_on: Iterable[str], standing: Standing) -> Answer | None:
    """Return the answer to the oldest finding that asks for one and has none.

    Parameters
    ----------
    reactions : iterable of Reaction
        The first that fits is taken.
    rollback_on : iterable of str
        Kinds that end a canary.
    standing : Standing
        Where every version stands.
    """
    rules, ending = list(reactions), set(rollback_on)
    for number, finding in standing.findings:
        if number > max(standing.answered, standing.champion_since):
            answer = answer_to(number, finding, rules, ending, standing)
            if answer is not None:
                return answer
    return None


def answer_to(
    number: int, finding: Finding, reactions: list[Reaction], rollback_on: set[str], standing: Standing
) -> Answer | None:
    """Return the answer to one finding under a standing, with those behind it; nothing where no rule fits."""
    trigger, answer = f"{finding.kind}: {finding.sentence}", None
    reason = f"finding {number}, {trigger}"
    for rule in reversed(reactions):
        if rule.on == finding.kind and gravity(finding.severity) >= gravity(rule.severity):
            share, to = {"reduce": rule.share, "flat": 0.0}.get(rule.do), rule.to if rule.do == "fallback" else None
            answer = Answer(number, rule.do, share, reason, to, answer, trigger, finding.since_ns)
    if finding.kind in rollback_on and finding.severity != "info" and _is_of_canary(number, standing):
        return Answer(number, "rollback", None, f"the canary is taken back: {reason}", None, answer)
    return answer


def _is_of_canary(number: int, standing: Standing) -> bool:
    """Tell whether a finding may be a canary's doing: on some instruments, if its own monitors raised it."""
    if standing.canary is None:
        return False
    return not standing.canary_on or standing.canary.startswith(standing.found_in.get(number, ""))


def rehearse(
    reactions: Iterable[Reaction], rollback_on: Iterable[str], entries: Iterable[Entry], means: Means = UNBOUND
) -> list[Rehearsed]:
    """Return, for every finding of a ledger, what these rules would have done when it was raised.

    The retrainings that there were count against the means, by the ledger's time; a cool-down counts decisions, which a
    ledger does not have, so it is left out.
    """
    rules, ending, standing, told = list(reactions), set(rollback_on), Standing(), []
    for entry in entries:
        stand_on(standing, entry)
        if not isinstance(entry.fact, facts.FindingRaised):
            continue
        finding = entry.fact.finding
        answer = answer_to(entry.number, finding, rules, ending, standing)
        told.append(
            Rehearsed(
                finding=entry.number,
                ts_ns=entry.ts_ns,
                kind=finding.kind,
                severity=finding.severity,
                sentence=finding.sentence,
                did=_rehearsed(answer, standing, means.refuses(standing, entry.ts_ns)),
            )
        )
    return told


def rehearse_promotions(distance_max: float, entries: Iterable[Entry]) -> list[RehearsedPromotion]:
    """Return, for every challenger that good figures let act by itself, whether it would have had to wait."""
    standing, told = Standing(), []
    for entry in entries:
        match entry.fact:
            case facts.VersionPromoted(version=version, distance=facts.Distance() as step) if (
                version != standing.champion
            ):
                gone = plus(gone_by(standing.champions, standing.steps)[0], step)
            case facts.PromotionFrozen(version=version, gone=gone):
                pass
            case _:
                stand_on(standing, entry)
                continue
        far = too_far(gone, distance_max)
        did = f"wait for a person: too far in {' and '.join(far)}" if far else "let it act"
        told.append(RehearsedPromotion(number=entry.number, ts_ns=entry.ts_ns, version=version, gone=gone, did=did))
        stand_on(standing, entry)
    return told


def _rehearsed(answer: Answer | None, standing: Standing, no_training: str | None) -> str:
    """Write what would have been done: the first answer that could be, after those that could not."""
    told = []
    while answer is not None and (why := answer.impossible(standing, no_training)):
        told.append(refused(answer, why))
        answer = answer.otherwise
    return "; ".join([*told, said(answer)])


def said(answer: Answer | None) -> str:
    """Write an answer in words."""
    if answer is None:
        return "nothing"
    fallback = "fall back to the version before" if answer.to == "previous" else f"fall back to the rule {answer.to}"
    reduce, retrain = f"reduce to {answer.share or 0.0:.0%} of full size", "retrain, unless a challenger is on its way"
    return {"reduce": reduce, "fallback": fallback, "retrain": retrain}.get(answer.do, answer.do)


def refused(answer: Answer, why: str) -> str:
    """Write an answer that could not be, in words."""
    return f"{said(answer)}, which was refused: {why}"
