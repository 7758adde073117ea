"""Facts: the few, precious things that happened to versions, limits and people. Past tense, immutable.

The ledger keeps them hash-chained; every alias and state is a query over them. A reader that meets a kind it does not
know must refuse: a newer release wrote it.
"""

from typing import Any

import msgspec

from tradeworthy.core.findings import Finding
from tradeworthy.core.limits import Limits


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened; who did it and why are kept beside it by the ledger."""


class VersionRegistered(Fact, frozen=True, kw_only=True, tag=True):
    """A version's bundle was stored, with its content digest and author."""

    version: str
    name: str
    author: str
    env: str
    parent: str | None = None


class GateJudged(Fact, frozen=True, kw_only=True, tag=True):
    """The gate judged a version; `report_digest` is the SHA-256 of the stored JSON report.

    Where it passed only because people set checks aside, `overridden` names them and `until_ns` says for how long.
    """

    version: str
    profile: str
    passed: bool
    failed_checks: list[str]
    report_path: str
    report_digest: str
    overridden: list[str] = []
    until_ns: int | None = None


class CheckOverridden(Fact, frozen=True, kw_only=True, tag=True):
    """A person set a check that refused a version aside, until a day; it counts once a second person does."""

    version: str
    check: str
    until_ns: int
    report_digest: str


class VersionApproved(Fact, frozen=True, kw_only=True, tag=True):
    """A designated person approved a version for one environment."""

    version: str
    env: str


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """How far one version lies from another, 0 (the same) to 1 each; None is not known. Sums may be larger.

    Attributes
    ----------
    features : float or None
        Share of the features of both that are not defined alike in both.
    scores : float or None
        Twice the mean difference of the ranks of both scores of an event, among all scores of both.
    reasons : float or None
        Share of the contributions' size that is attributed otherwise.
    data : float or None
        Share of the time that both learned from that not both did.
    """

    features: float | None
    scores: float | None
    reasons: float | None
    data: float | None


class VersionPromoted(Fact, frozen=True, kw_only=True, tag=True):
    """A version took a role; `share` is the part of full size that it takes where it acts.

    It is below 1 for a canary of size. One of `instruments` acts on these alone, the champion before it on all others.
    `distance`, from the champion before, is told where no person let it act: a policy did by itself.
    """

    version: str
    role: str
    env: str
    previous: str | None = None
    share: float = 1.0
    instruments: list[str] = []
    distance: Distance | None = None


class PromotionFrozen(Fact, frozen=True, kw_only=True, tag=True):
    """A challenger waits for a person: with it, automatic promotions would have come further than `allowed`.

    `gone` adds up their distances, its own included, since the last version that a person let act.
    """

    version: str
    gone: Distance
    allowed: float


class VersionRolledBack(Fact, frozen=True, kw_only=True, tag=True):
    """The previous champion took over from `version`, which goes on scoring as a shadow if it only stood aside."""

    version: str
    to: str
    stood_aside: bool = False


class SizeChanged(Fact, frozen=True, kw_only=True, tag=True):
    """The acting version takes this share of its full size from now on; 0 is flat."""

    share: float


class RuleSet(Fact, frozen=True, kw_only=True, tag=True):
    """A rule, a `core.decisions.Rule` in small letters, decides in the champion's place; ``none`` ends it."""

    rule: str


class FindingAnswered(Fact, frozen=True, kw_only=True, tag=True):
    """The policy has answered a finding, by its ledger number: what it did, or would have done in a dry run."""

    finding: int
    did: str
    share: float | None = None
    dry_run: bool = False


class LimitsChanged(Fact, frozen=True, kw_only=True, tag=True):
    """The desk's limits in a scope were set."""

    scope: str
    limits: Limits


class OrderOverridden(Fact, frozen=True, kw_only=True, tag=True):
    """A person let a refused order pass the check that refused it; it counts once a second one, of another role, does.

    `order` is the refused decision, `up_to` the value that its check may reach, `roles` those of the person.
    """

    order: int
    check: str
    instrument: str
    observed: float
    limit: float
    up_to: float
    until_ns: int
    roles: list[str]


class OrderOverrideEnded(Fact, frozen=True, kw_only=True, tag=True):
    """An override is over.

    An order was ``sent`` under it (by decision `sent`), it ``expired``, or the engine ``restarted`` and ended it.
    """

    order: int
    instrument: str
    how: str
    sent: int = 0


class PolicyChanged(Fact, frozen=True, kw_only=True, tag=True):
    """What the desk does by itself was set: the whole of `[policy]`, as plain values."""

    policy: dict[str, Any]


class TradingHalted(Fact, frozen=True, kw_only=True, tag=True):
    """Trading was halted in a scope."""

    scope: str


class TradingResumed(Fact, frozen=True, kw_only=True, tag=True):
    """Trading was resumed in a scope."""

    scope: str


class FindingRaised(Fact, frozen=True, kw_only=True, tag=True):
    """A monitor raised a finding.

    `ts_origin_ns` is the moment from which the delay of its alerts counts: the event's own time, or, in a market of
    the past, the machine's time before which its record was not on the tape; 0 where that is not known. `version` is
    the one, by the beginning of its digest, whose monitors raised it; empty where none's did.
    """

    finding: Finding
    ts_origin_ns: int = 0
    version: str = ""


class FindingAcknowledged(Fact, frozen=True, kw_only=True, tag=True):
    """A person has taken on a finding and its repeats; `finding` is the ledger number at which it was first raised."""

    finding: int


class FindingClosed(Fact, frozen=True, kw_only=True, tag=True):
    """A finding and its repeats are settled; the next one of the same cause opens anew."""

    finding: int


class RetrainStarted(Fact, frozen=True, kw_only=True, tag=True):
    """A policy or a person started training a challenger; `changed_ns` is since when what triggered it holds."""

    trigger: str
    first_sequence: int
    last_sequence: int
    changed_ns: int | None = None


class RetrainEnded(Fact, frozen=True, kw_only=True, tag=True):
    """A retraining ended with a version, or with the reason why there is none."""

    version: str | None
    error: str | None = None


class LegalHoldPlaced(Fact, frozen=True, kw_only=True, tag=True):
    """Part of the record must be kept, whatever its age; times are UTC nanoseconds, without bound where left out."""

    name: str
    streams: list[str]
    from_ns: int | None = None
    to_ns: int | None = None


class LegalHoldLifted(Fact, frozen=True, kw_only=True, tag=True):
    """A legal hold is over."""

    name: str


class RolesGiven(Fact, frozen=True, kw_only=True, tag=True):
    """A person's roles from now on; none means that they may not sign in any more."""

    person: str
    roles: list[str]


class RecordDeleted(Fact, frozen=True, kw_only=True, tag=True):
    """Archived segments of a stream were deleted, by age; the digest is of the lines in the tape's log of deletions."""

    stream: str
    segments: int
    records: int
    first_sequence: int
    last_sequence: int
    digest: str


class FillsReconciled(Fact, frozen=True, kw_only=True, tag=True):
    """Orders, fills and positions were compared with an account of the venue's; the digest is a statement's SHA-256."""

    against: str
    digest: str
    through_sequence: int
    orders: int
    fills: int
    differences: int
    first: str = ""


class ConductSurveilled(Fact, frozen=True, kw_only=True, tag=True):
    """The desk's own orders were looked at; how many new alerts each rule gave, and which lacked what they need."""

    through_sequence: int
    orders: int
    fills: int
    cancels: int
    alerts: dict[str, int]
    lacks: dict[str, str] = {}


class RecoveryRehearsed(Fact, frozen=True, kw_only=True, tag=True):
    """A desk was brought up from a checkpoint, as after a kill: how far it came in which time, and what was wrong."""

    through_sequence: int
    began_after: int
    inputs: int
    decisions: int
    seconds: float
    passed: bool
    problems: list[str] = []


class StressTested(Fact, frozen=True, kw_only=True, tag=True):
    """A version was driven at `factor` times the busiest recorded load: what it was given and sent, how it bore it."""

    version: str
    factor: float
    messages_per_s: int
    messages_per_s_driven: int
    orders_per_minute: int
    orders_per_minute_driven: int
    events: int
    dropped: int
    us_p99: float
    us_max: float
    headroom: float
    passed: bool


class KeyIssued(Fact, frozen=True, kw_only=True, tag=True):
    """An API key was made; the ledger keeps the SHA-256 of its secret, bounds are absent where None."""

    key: str
    owner: str
    scopes: list[str]
    digest: str
    rate_per_s: float | None = None
    rows_per_day: int | None = None
    expires_ns: int | None = None


class KeyRevoked(Fact, frozen=True, kw_only=True, tag=True):
    """An API key opens nothing any more."""

    key: str


AnyFact = (
    VersionRegistered
    | GateJudged
    | CheckOverridden
    | VersionApproved
    | VersionPromoted
    | PromotionFrozen
    | VersionRolledBack
    | SizeChanged
    | RuleSet
    | FindingAnswered
    | LimitsChanged
    | OrderOverridden
    | OrderOverrideEnded
    | PolicyChanged
    | TradingHalted
    | TradingResumed
    | FindingRaised
    | FindingAcknowledged
    | FindingClosed
    | RetrainStarted
    | RetrainEnded
    | LegalHoldPlaced
    | LegalHoldLifted
    | RecordDeleted
    | FillsReconciled
    | ConductSurveilled
    | RecoveryRehearsed
    | StressTested
    | KeyIssued
    | KeyRevoked
    | RolesGiven
)
"""Every kind of fact this release knows."""
