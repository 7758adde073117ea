"""What to do next about the champion and its challenger: a pure function of settings, facts and progress.

Flow:   finding → answer at once (`answers`); finding or schedule → retrain → gate → shadow → paired comparison →
        canary, if the settings want one → promote, roll back or retire.
State:  none. Every step is derived from the ledger's facts, so a process killed between two steps takes the next one
        when it is back, once.
Units:  decisions are the champion's decisions on the tape; losses are log losses in nats a decision.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from tradeworthy.change.release.answers import KINDS, Reaction
from tradeworthy.change.release.distance import gone_by, plus, too_far
from tradeworthy.change.release.means import Means
from tradeworthy.change.release.shadow import Comparison
from tradeworthy.change.release.standing import Retrain, Standing
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.facts import Distance
from tradeworthy.judge.sequential import BLOCKS_MIN

_AT_LEAST_ZERO = (
    "cool_down_decisions",
    "budget",
    "budget_window_hours",
    "loss_margin",
    "distance_max",
    "canary_decisions",
)
WINDOW_HOURS_MAX = 87_600
CANARY_SHARES = ("canary_share", "canary_instrument_share")
"""The two parts that a challenger may act on at first: of every order's size, or of the instruments."""


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[policy]` section.

    Attributes
    ----------
    retrain_on : tuple of str
        Kinds of finding that start a retraining.
    cool_down_decisions : int
        Decisions that must pass between two starts of a retraining.
    scheduled_every_decisions : int or None
        Retrain after so many decisions without any finding; never if left out.
    budget, budget_window_hours : int, float
        At most so many retrainings start within the window (hours of the ledger's clock).
    gate_tries : int
        How often the gate's process is started for one challenger if it ends without a report; then it is retired.
    shadow_decisions : int
        Labelled decisions on which a challenger is compared with the champion at most. It is promoted as soon as they
        show that it is good enough, and retired as soon as they show that it is not, or at their end.
    loss_margin : float
        Promote when the challenger's log loss is, with 95% confidence at all times together, at most this much above
        the champion's (nats a decision); 0 demands that it is shown to be no worse at all.
    auto_promote : bool
        Let the policy promote by itself. It does so in `paper` only; elsewhere a person does.
    distance_max : float
        How far automatic promotions may come, added up since the last version that a person let act: in features,
        scores, reasons and data, each by itself, where 1 is as far as one version can lie from another. Beyond it a
        challenger waits for a person; at 0 each one does.
    canary_share : float or None
        A challenger that passed its comparison first acts at this share of full size; at once in full if left out.
    canary_instrument_share : float or None
        It first acts in full on this share of the instruments traded instead, the champion on all others; its own
        monitors watch it on these. At most one of the two shares is set.
    canary_decisions : int
        Decisions as a canary, without a finding that ends it, before it acts on everything.
    rollback_on : tuple of str
        Kinds of finding that take a canary back.
    reaction : list of Reaction
        What is done about findings at once; the first that fits.
    dry_run : bool
        Only write down what would have been done about findings.
    """

    retrain_on: tuple[str, ...] = ("data_drift", "concept_drift", "performance")
    cool_down_decisions: int = 1_000
    scheduled_every_decisions: int | None = None
    budget: int = 3
    budget_window_hours: float = 168.0
    gate_tries: int = 2
    shadow_decisions: int = 2_000
    loss_margin: float = 0.01
    auto_promote: bool = True
    distance_max: float = 1.0
    canary_share: float | None = None
    canary_instrument_share: float | None = None
    canary_decisions: int = 500
    rollback_on: tuple[str, ...] = ("concept_drift", "performance", "trading", "latency")
    reaction: list[Reaction] = []
    dry_run: bool = False

    @property
    def means(self) -> Means:
        """What retrainings may cost."""
        return Means(self.budget, self.budget_window_hours, self.cool_down_decisions)

    def __post_init__(self) -> None:
        """Refuse a policy that could never act as written."""
        for name in ("retrain_on", "rollback_on"):
            for kind in getattr(self, name):
                if kind not in KINDS:
                    raise SettingsInvalid(f"policy.{name} holds {kind!r}; allowed are {', '.join(KINDS)}")
        _check_shares({name: share for name in CANARY_SHARES if (share := getattr(self, name)) is not None})
        for name in _AT_LEAST_ZERO:
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsInvalid(f"policy.{name} is {getattr(self, name)}; allowed is zero or more")
        if self.budget_window_hours > WINDOW_HOURS_MAX:
            found = f"policy.budget_window_hours is {self.budget_window_hours:g}"
            raise SettingsInvalid(f"{found}; allowed is at most {WINDOW_HOURS_MAX:,} (ten years)")
        if min(self.gate_tries, self.shadow_decisions, self.scheduled_every_decisions or 1) < 1:
            raise SettingsInvalid(
                "policy.gate_tries, shadow_decisions and scheduled_every_decisions must be at least 1; to have no "
                "schedule, leave scheduled_every_decisions out"
            )


def _check_shares(shares: Mapping[str, float]) -> None:
    """Refuse a canary's part that is none, or two of them."""
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise SettingsInvalid(f"policy.{name} is {share:g}; allowed is above 0 and below 1")
    if len(shares) > 1:
        raise SettingsInvalid(f"policy sets both {' and '.join(shares)}; a canary acts on one part: keep one")


def in_force(standing: Standing, settings: PolicySettings) -> PolicySettings:
    """Return the policy that was last set; that of the settings where no fact says any."""
    return settings if standing.policy is None else policy_of(standing.policy)


def policy_of(values: Mapping[str, Any]) -> PolicySettings:
    """Return the policy that plain values say, as a fact, a program or a page's form gives them.

    Raises
    ------
    SettingsInvalid
        A key is unknown, or a value is none of those that are allowed.
    """
    try:
        return msgspec.convert(values, PolicySettings)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"policy: {error}") from None


def values_of(policy: PolicySettings) -> dict[str, Any]:
    """Return a policy as plain values, as a fact keeps it."""
    values: dict[str, Any] = msgspec.to_builtins(policy)
    return values


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What the facts do not say: the time, and how far the tape has come.

    Attributes
    ----------
    now_ns : int
        UTC nanoseconds.
    decisions_since_retrain : int
        Champion decisions after the last retraining started; all of them if there was none.
    comparison : Comparison or None
        Of the challenger in shadow, as far as it has come.
    canary_decisions : int
        That the present canary has made.
    """

    now_ns: int
    decisions_since_retrain: int
    canary_decisions: int = 0
    comparison: Comparison | None = None


class StartRetrain(msgspec.Struct, frozen=True, tag=True):
    """Train a challenger in another process; `changed_ns` is the estimated time of the change that asks for it."""

    trigger: str
    changed_ns: int | None = None


class JudgeChallenger(msgspec.Struct, frozen=True, tag=True):
    """Run the gate over a registered challenger."""

    version: str


class StartShadow(msgspec.Struct, frozen=True, tag=True):
    """Let a challenger score beside the champion."""

    version: str


class StartCanary(msgspec.Struct, frozen=True, tag=True):
    """Let the challenger act at a share of its size, or of the instruments; `distance` as of `PromoteChallenger`."""

    version: str
    share: float | None
    reason: str
    distance: Distance | None = None
    instrument_share: float | None = None


class PromoteChallenger(msgspec.Struct, frozen=True, tag=True):
    """Make the challenger champion; `distance` from the one before, unless a person has approved it."""

    version: str
    reason: str
    distance: Distance | None = None


class FreezePromotion(msgspec.Struct, frozen=True, tag=True):
    """Let a good challenger wait for a person: automatic promotions would have `gone` too far with it."""

    version: str
    gone: Distance
    reason: str


class RetireChallenger(msgspec.Struct, frozen=True, tag=True):
    """Take the challenger out of shadow."""

    version: str
    reason: str


Step = (
    StartRetrain | JudgeChallenger | StartShadow | StartCanary | PromoteChallenger | FreezePromotion | RetireChallenger
)


def decide(policy: PolicySettings, standing: Standing, progress: Progress, *, env: str = "paper") -> Step | None:
    """Return the one next step of a challenger, or nothing.

    A retraining that has started and not ended is waited for. A challenger is judged, shadowed and compared before
    another retraining may start. Findings that ask for an answer have theirs before (`answers.next_answer`).
    """
    if standing.open_retrain is not None:
        return None
    last = standing.retrains[-1] if standing.retrains else None
    if last is not None and last.ended is not None and last.ended.version is not None:
        step, finished = _next_for(last.ended.version, policy, standing, progress, env)
        if not finished:
            return step
    return _retrain(last, policy, standing, progress)


def _next_for(
    version: str, policy: PolicySettings, standing: Standing, progress: Progress, env: str
) -> tuple[Step | None, bool]:
    """Return the challenger's next step, and whether its story is over."""
    if version == standing.canary:
        return _after_canary(version, policy, standing, progress, env)
    if version in standing.champions or version in standing.retired or version in standing.stood_aside:
        return None, True
    if version not in standing.gates or not standing.gate_passed(version):
        judged = version in standing.gates
        return None if judged else JudgeChallenger(version), judged
    if version not in standing.shadows:
        return StartShadow(version), False
    if progress.comparison is None or progress.comparison.version != version:
        return None, False
    return conclude(progress.comparison, policy, standing, env)


def _after_canary(
    version: str, policy: PolicySettings, standing: Standing, progress: Progress, env: str
) -> tuple[Step | None, bool]:
    """Let a canary act in full once it has decided often enough; what goes wrong before is answered as a finding."""
    if progress.canary_decisions < policy.canary_decisions or not (policy.auto_promote and env == "paper"):
        return None, False
    said = f"{progress.canary_decisions} decisions as canary without a finding that ends it"
    return PromoteChallenger(version, said, standing.steps.get(version)), False


def conclude(comparison: Comparison, policy: PolicySettings, standing: Standing, env: str) -> tuple[Step | None, bool]:
    """Return the step that a comparison leads to so far, and whether its story is over.

    Promote or retire as soon as the figures allow; where a person promotes, the challenger stays for them.
    """
    loss, pnl = comparison.loss, comparison.pnl_bps
    if math.isnan(loss.high):
        said = f"{comparison.decisions} decisions are too few for bounds, which need {BLOCKS_MIN * loss.block}"
        return (RetireChallenger(comparison.version, said) if comparison.is_over else None), False
    said = (
        f"log loss {loss.estimate:+.4f} against the champion (95% at all times: {loss.low:+.4f} to {loss.high:+.4f}) "
        f"on {comparison.decisions} of at most {comparison.decisions_max} decisions; allowed is at most "
        f"{policy.loss_margin:+.4f} at the upper end"
    )
    if pnl.high < 0.0:
        said = f"it would earn less: {pnl.estimate:+.3g} bps a decision, at most {pnl.high:+.3g}; {said}"
        return RetireChallenger(comparison.version, said), False
    if loss.high <= policy.loss_margin:
        return _promotion(comparison, said, policy, standing, env)
    if loss.low > policy.loss_margin or comparison.is_over:
        return RetireChallenger(comparison.version, said), False
    return None, False


def _promotion(
    comparison: Comparison, said: str, policy: PolicySettings, standing: Standing, env: str
) -> tuple[Step | None, bool]:
    """Let a challenger act that is good enough, if the policy may."""
    version, distance = comparison.version, None
    if not policy.auto_promote or env != "paper" or version in standing.frozen:
        return None, True
    if version not in standing.approvals:
        distance = comparison.distance
        gone = plus(gone_by(standing.champions, standing.steps)[0], distance)
        if too_far(gone, policy.distance_max):
            return FreezePromotion(version, gone, said), False
    share, of_instruments = policy.canary_share, policy.canary_instrument_share
    if share is not None or of_instruments is not None:
        return StartCanary(version, share, said, distance, of_instruments), False
    return PromoteChallenger(version, said, distance), False


def _retrain(
    last: Retrain | None, policy: PolicySettings, standing: Standing, progress: Progress
) -> StartRetrain | None:
    """Start a retraining if something asks for it and neither cool-down nor budget forbids."""
    no_training = policy.means.refuses(standing, progress.now_ns, progress.decisions_since_retrain)
    if standing.champion is None or no_training is not None:
        return None
    answered = max(last.number if last else 0, standing.champion_since)
    for number, finding in standing.findings:
        if number > answered and finding.kind in policy.retrain_on:
            return StartRetrain(f"{finding.kind}: {finding.sentence}", finding.since_ns)
    every = policy.scheduled_every_decisions
    if every is not None and progress.decisions_since_retrain >= every:
        return StartRetrain(f"schedule: {progress.decisions_since_retrain} decisions since the last training")
    return None
