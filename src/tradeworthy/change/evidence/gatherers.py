"""The list of gatherers, in the order in which they run; add one here."""

from tradeworthy.change.evidence.comparing import (
    gather_against_champion,
    gather_calibration,
    gather_naive_rules,
)
from tradeworthy.change.evidence.context import Gatherer
from tradeworthy.change.evidence.documents import gather_card, gather_change
from tradeworthy.change.evidence.explanation import gather_explanation, gather_fold_reasons
from tradeworthy.change.evidence.fairness import gather_groups, gather_protected
from tradeworthy.change.evidence.known import gather_artifact, gather_limits
from tradeworthy.change.evidence.latency import gather_latency
from tradeworthy.change.evidence.leakage import gather_fold_contact, gather_foresight, gather_look_ahead
from tradeworthy.change.evidence.markets import gather_markets
from tradeworthy.change.evidence.mitigation import gather_mitigations
from tradeworthy.change.evidence.overfitting import (
    gather_memory,
    gather_paths,
    gather_permutation,
    gather_selection,
    gather_track_record,
)
from tradeworthy.change.evidence.parity import gather_parity
from tradeworthy.change.evidence.performance import gather_performance
from tradeworthy.change.evidence.placement import gather_placement
from tradeworthy.change.evidence.poisoning import gather_poisoning
from tradeworthy.change.evidence.prior import gather_prior
from tradeworthy.change.evidence.robustness import gather_feature_attacks
from tradeworthy.change.evidence.startup import gather_startup
from tradeworthy.change.evidence.tampered import gather_event_attacks
from tradeworthy.change.evidence.trading import gather_trading
from tradeworthy.change.evidence.window import gather_window
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.comparison import AgainstChampion, Calibration, NaiveRules
from tradeworthy.judge.validate.documents import ChangeFromChampion, ModelCard
from tradeworthy.judge.validate.explanation import Explanation, FoldReasons
from tradeworthy.judge.validate.fairness import Groups, Markets, Mitigations, Protected
from tradeworthy.judge.validate.latency import Latency, Placement, Startup
from tradeworthy.judge.validate.leakage import FoldContact, Foresight, LookAhead
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.overfitting import Memory, Paths, Permutation, Selection, TrackRecord
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.judge.validate.prior import PriorEvidence
from tradeworthy.judge.validate.robustness import EventAttacks, FeatureAttacks, Poisoning
from tradeworthy.judge.validate.trading import Trading
from tradeworthy.judge.validate.window import TrainingWindow

GATHERERS: tuple[Gatherer, ...] = (
    Gatherer(Artifact, gather_artifact, "inspecting the bundle", budget_s=1.0),
    Gatherer(LimitsInForce, gather_limits, "reading the limits", budget_s=1.0),
    Gatherer(ModelCard, gather_card, "reading the card", budget_s=1.0),
    Gatherer(Performance, gather_performance, "reading the walk-forward", budget_s=1.0),
    Gatherer(Trading, gather_trading, "trading the walk-forward on paper", budget_s=3.0),
    Gatherer(NaiveRules, gather_naive_rules, "comparing with naive rules", budget_s=2.0),
    Gatherer(AgainstChampion, gather_against_champion, "comparing with the champion, event by event", budget_s=3.0),
    Gatherer(Calibration, gather_calibration, "holding scores against what came", budget_s=1.0),
    Gatherer(PriorEvidence, gather_prior, "holding the prior correction against outcomes", budget_s=1.0),
    Gatherer(TrainingWindow, gather_window, "reading which window was chosen", budget_s=1.0),
    Gatherer(Parity, gather_parity, "deciding event by event", budget_s=20.0),
    Gatherer(Latency, gather_latency, "timing decisions", budget_s=1.0),
    Gatherer(Startup, gather_startup, "starting a new process", budget_s=4.0, quick=False),
    Gatherer(Placement, gather_placement, "comparing back ends", budget_s=1.0, quick=False),
    Gatherer(FeatureAttacks, gather_feature_attacks, "attacking features", budget_s=10.0, quick=False),
    Gatherer(EventAttacks, gather_event_attacks, "tampering with events", budget_s=10.0, quick=False),
    Gatherer(Poisoning, gather_poisoning, "poisoning the training data", budget_s=15.0, quick=False),
    Gatherer(LookAhead, gather_look_ahead, "cutting history short", budget_s=2.0),
    Gatherer(FoldContact, gather_fold_contact, "comparing folds", budget_s=2.0),
    Gatherer(Foresight, gather_foresight, "looking for features that foresee too much", budget_s=3.0),
    Gatherer(Explanation, gather_explanation, "explaining training rows", budget_s=3.0),
    Gatherer(FoldReasons, gather_fold_reasons, "explaining the folds' models", budget_s=10.0, quick=False),
    Gatherer(Groups, gather_groups, "comparing sessions and regimes", budget_s=1.0),
    Gatherer(Markets, gather_markets, "comparing instruments and venues", budget_s=3.0, quick=False),
    Gatherer(Protected, gather_protected, "comparing protected groups", budget_s=2.0),
    Gatherer(Mitigations, gather_mitigations, "trying remedies for unfair groups", budget_s=5.0, quick=False),
    Gatherer(ChangeFromChampion, gather_change, "comparing with the champion", budget_s=3.0),
    Gatherer(TrackRecord, gather_track_record, "counting trials", budget_s=1.0, quick=False),
    Gatherer(Selection, gather_selection, "comparing trials", budget_s=5.0, quick=False),
    Gatherer(Memory, gather_memory, "scoring what it learned from", budget_s=1.0, quick=False),
    Gatherer(Paths, gather_paths, "fitting on combinations of groups", budget_s=25.0, quick=False),
    Gatherer(Permutation, gather_permutation, "fitting on shifted labels", budget_s=30.0, quick=False),
)
