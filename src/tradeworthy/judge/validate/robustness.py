"""Robustness: what an outsider could make of the version, by its features, its market, or its training data.

Idea:   three parts, one threat each. A feature is moved within the reach that the strategy declares; market events
        are tampered with under a budget and replayed; training data are poisoned and the model is fitted again.
Units:  shares are of decisions (or rows) and lie in 0 to 1; losses in basis points of a full position.
"""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.robust.measure import AtEpsilon
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table
from tradeworthy.judge.validate.purpose import to_market_readers


class FeatureAttacks(Part, frozen=True, kw_only=True):
    """How many decisions an outsider changes by moving the features that the strategy marks as movable."""

    movable: list[str]
    rows: int
    found: list[AtEpsilon]


class EventAttack(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of tampering, replayed.

    Attributes
    ----------
    name : str
        What was done.
    cheap : bool
        Whether it costs an outsider next to nothing: orders shown and withdrawn, trades with himself.
    events, hits : int
        How many events were tampered with, and after how many of them a decision changed before the next one.
    decisions, flipped : int
        Decisions made, and how many of them want another side than on clean data.
    refused : int
        Tampered events that the input checks refused.
    loss_bps : float
        Profit lost, at the clean market's prices, in basis points of a full position and tampered event.
    """

    name: str
    cheap: bool
    events: int
    hits: int
    decisions: int
    flipped: int
    refused: int
    loss_bps: float


class EventAttacks(Part, frozen=True, kw_only=True):
    """What spoofed orders, wash trades, spiked and stale prints make of the decisions on some replayed events."""

    events: int
    attacks: list[EventAttack]


class Poisoning(Part, frozen=True, kw_only=True):
    """Whether a part of the training data contradicts the rest, and how much a few rows decide.

    Attributes
    ----------
    blocks : int
        Stretches of the training span; each is scored by a model fitted on all the others.
    worst_block : int
        The stretch with the lowest AUC, from 0.
    worst_auc, worst_auc_error : float
        Its AUC, and the standard error of that.
    influence_flips : float
        Share of decisions that change without the 1% of rows that fit worst.
    label_flip_auc : list of (float, float)
        Share of labels flipped at random, and the AUC lost by that.
    backdoor_success : float
        Share of decisions that a planted trigger turns, after 1% of the rows were poisoned with it.
    """

    blocks: int
    worst_block: int
    worst_auc: float
    worst_auc_error: float
    influence_flips: float
    label_flip_auc: list[tuple[float, float]]
    backdoor_success: float


class RobustnessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an outsider may not be able to do; asked in the full profile.

    Attributes
    ----------
    epsilon : float
        The share of the declared reach at which decisions must hold.
    broken_max : float
        Share of decisions that moving features that far may change.
    rows_min : int
        Fewer attacked rows than this are no evidence.
    cheap_hits_max : float
        Share of cheaply tampered events, placed where they hurt most, that may change a decision.
    flips_per_event_max : float
        Decisions that one tampered event may change, on average.
    loss_bps_max : float
        Profit that one tampered event may cost on average, in basis points of a full position.
    block_errors_max : float
        How many standard errors a stretch of the training data may lie below chance when the others foretell it.
    influence_max : float
        Share of decisions that may rest on the 1% of training rows that fit worst.
    """

    epsilon: float = 0.1
    broken_max: float = 0.2
    rows_min: int = 100
    cheap_hits_max: float = 0.75
    flips_per_event_max: float = 25.0
    loss_bps_max: float = 50.0
    block_errors_max: float = 3.0
    influence_max: float = 0.3

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self,
            "gate.robustness",
            counts=("rows_min",),
            shares=("epsilon", "broken_max", "cheap_hits_max", "influence_max"),
        )

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks of the full profile."""
        if profile != "full":
            return []
        held = (
            f"at epsilon {self.epsilon:g} attacks on the movable features change at most {self.broken_max:.0%} of the "
            f"decisions on at least {self.rows_min:,} rows"
        )
        unmoved = (
            f"at most {self.cheap_hits_max:.0%} of spoofed orders and wash trades change a decision, and one tampered "
            f"event of any kind at most {self.flips_per_event_max:g}, at a cost of {self.loss_bps_max:g} bps of a full "
            "position, on average"
        )
        clean = (
            "every stretch of the training data is foretold by the others no worse than "
            f"{self.block_errors_max:g} standard errors below chance, and at most {self.influence_max:.0%} of "
            "decisions rest on the worst 1% of rows"
        )
        return [
            PartCheck("robustness", FeatureAttacks, held, self._robustness),
            PartCheck(
                "event_robustness", EventAttacks, unmoved, self._event_robustness, inapplicable=to_market_readers
            ),
            PartCheck("poisoning", Poisoning, clean, self._poisoning),
        ]

    def _robustness(self, part: FeatureAttacks) -> Measured:
        """Judge the attacks at the required epsilon."""
        if not part.movable:
            return Measured("the strategy declares that no feature can be moved by an outsider", holds=True)
        table = Table(
            title="Attacks on movable features",
            columns=["epsilon", "broken", "certified robust", "undecided"],
            rows=[[each.epsilon, each.broken, each.certified, each.undecided] for each in part.found],
            chart="line",
            level=self.broken_max,
        )
        at = next((each for each in part.found if each.epsilon == self.epsilon), None)
        if at is None:
            return Measured(f"nothing was measured at epsilon {self.epsilon:g}", False, (float("nan"),))
        said = f"{at.broken:.1%} of {at.rows:,} decisions broken at epsilon {at.epsilon:g}"
        if at.certified is not None and at.undecided is not None:
            said += f", {at.certified:.1%} certified robust, {at.undecided:.1%} undecided"
        else:
            said += ", no certificate for this format"
        holds = at.broken <= self.broken_max and at.rows >= self.rows_min
        interval = None if at.certified is None else (at.broken, 1.0 - at.certified)
        return Measured(said, holds, (at.broken,), interval, [table])

    def _event_robustness(self, part: EventAttacks) -> Measured:
        """Judge the worst kind of tampering."""
        table = Table(
            title="Tampered market events, replayed",
            columns=["tampering", "hits", "flips an event", "loss bps an event", "events", "refused", "decisions"],
            rows=[
                [
                    each.name,
                    each.hits / each.events,
                    each.flipped / each.events,
                    each.loss_bps,
                    each.events,
                    each.refused,
                    each.decisions,
                ]
                for each in part.attacks
            ],
            chart="bars",
        )
        flips = max(part.attacks, key=lambda each: each.flipped / each.events)
        loss = max(part.attacks, key=lambda each: each.loss_bps)
        found = flips.flipped / flips.events
        said = f"{found:.2f} decisions changed an event ({flips.name}); {loss.loss_bps:.2f} bps lost ({loss.name})"
        hits = [(each.hits / each.events, each.name) for each in part.attacks if each.cheap]
        if hits:
            said += f"; {max(hits)[0]:.0%} of {max(hits)[1]} hit"
        holds = found <= self.flips_per_event_max and loss.loss_bps <= self.loss_bps_max
        holds = holds and all(share <= self.cheap_hits_max for share, _ in hits)
        return Measured(said, holds, (found, loss.loss_bps), tables=[table])

    def _poisoning(self, part: Poisoning) -> Measured:
        """Judge the worst stretch, and the influence of the worst rows."""
        below = (0.5 - part.worst_auc) / part.worst_auc_error
        said = (
            f"stretch {part.worst_block + 1} of {part.blocks} has AUC {part.worst_auc:.3f} by the others "
            f"({below:+.1f} standard errors below chance); {part.influence_flips:.1%} of decisions rest on the worst "
            f"1% of rows; a planted trigger would turn {part.backdoor_success:.1%}"
        )
        table = Table(
            title="Labels flipped at random before training",
            columns=["share flipped", "AUC lost"],
            rows=[list(each) for each in part.label_flip_auc],
            chart="line",
        )
        holds = below <= self.block_errors_max and part.influence_flips <= self.influence_max
        return Measured(said, holds, (below, part.influence_flips), tables=[table])
