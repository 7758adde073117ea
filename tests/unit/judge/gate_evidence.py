"""Evidence of a candidate that passes the gate, for tests to spoil."""

from dataclasses import replace

import msgspec

from tradeworthy.core.limits import Limits
from tradeworthy.judge.group_bootstrap import GroupMeasures
from tradeworthy.judge.robust.measure import AtEpsilon
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.comparison import AgainstChampion, Calibration, Compared, NaiveRules
from tradeworthy.judge.validate.documents import ChangeFromChampion, ModelCard
from tradeworthy.judge.validate.evidence import Evidence, Table
from tradeworthy.judge.validate.explanation import Explanation, FoldReasons
from tradeworthy.judge.validate.fairness import Groups, Markets, Protected, ProtectedColumn
from tradeworthy.judge.validate.latency import BackEnd, Latency, Placement, Startup
from tradeworthy.judge.validate.leakage import FoldContact, Foresight, LookAhead
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.overfitting import Memory, Paths, Permutation, Selection, TrackRecord
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.judge.validate.prior import PriorEvidence
from tradeworthy.judge.validate.robustness import EventAttack, EventAttacks, FeatureAttacks, Poisoning
from tradeworthy.judge.validate.trading import Trading
from tradeworthy.judge.validate.window import TrainingWindow

PACKAGES = {"numba": "0.68.1", "numpy": "2.4.6"}
LIMITS = Limits(**dict.fromkeys(Limits.__struct_fields__, 1.0))

GOOD = Evidence(
    version="3f9a2c" * 10 + "beef",
    parts=(
        Artifact(
            formats=["trees"],
            signature_ok=True,
            digests_ok=True,
            files=["manifest.json"],
            packages=PACKAGES,
            packages_here=PACKAGES,
        ),
        LimitsInForce.of(LIMITS),
        Performance(
            n=10_000,
            auc=0.55,
            auc_low=0.53,
            auc_high=0.57,
            log_loss=0.688,
            brier=0.2475,
            baseline_name="base rate",
            baseline_log_loss=0.693,
        ),
        Parity(
            stream_batch_rows=2_000,
            stream_batch_differences=0,
            serving_rows=500,
            serving_error_max=1e-15,
            serving_tolerance=1e-12,
            golden_rows=256,
            golden_error_max=0.0,
        ),
        NaiveRules(
            rows=9_000,
            compared=[
                Compared(other="base rate, loss", n=9_000, gain=0.005, low=0.001, high=0.009),
                Compared(other="previous label, loss", n=9_000, gain=0.004, low=-0.001, high=0.009),
                Compared(other="buy and hold, profit", n=9_000, gain=-0.1, low=-0.3, high=0.1, money=True),
            ],
            tables=[],
        ),
        AgainstChampion(
            champion="c" * 64,
            compared=[
                Compared(other="champion, loss", n=4_000, gain=-0.0001, low=-0.001, high=0.0008),
                Compared(other="champion, profit", n=4_000, gain=0.2, low=-0.1, high=0.5, money=True),
            ],
            tables=[],
        ),
        Calibration(rows=9_000, error=0.01, tables=[]),
        TrainingWindow(chosen="latest half, covariate weights", rows=5_000.0, effective_rows=3_000.0),
        PriorEvidence(
            learned=0.5,
            share=0.6,
            same_model=True,
            counted=800,
            outcomes=800,
            share_seen=0.61,
            share_low=0.55,
            share_high=0.66,
            gain=0.02,
            gain_low=0.01,
            gain_high=0.03,
            apart_before=0.1,
            apart_after=0.01,
        ),
        ModelCard(empty=[], entries=6, next_review="2027-01-01", days_to_review=90.0),
        ChangeFromChampion(
            champion="c" * 64,
            rows=900,
            features_added=["a"],
            features_removed=[],
            score_distance=0.01,
            sides_differ=0.05,
            attribution_distance=0.1,
            tables=[],
        ),
        Groups(groups=8, worst="session 00-08 UTC", worst_auc=0.51, worst_high=0.56, tables=[]),
        Markets(markets=3, silent=[], worst="instrument BTC", worst_auc=0.51, worst_high=0.56, tables=[]),
        Protected(
            rows=9_000,
            columns=[
                ProtectedColumn(
                    name="region",
                    measures=GroupMeasures(
                        demographic_parity_difference=(0.02, 0.0, 0.05),
                        demographic_parity_ratio=(0.95, 0.9, 1.0),
                        equalized_odds_difference=(0.03, 0.01, 0.06),
                        equal_opportunity_difference=(0.02, 0.0, 0.05),
                    ),
                    calibration_gap=0.02,
                    amplification=0.01,
                    proxy="a",
                    proxy_auc=0.6,
                )
            ],
            tables=[],
        ),
        LookAhead(cuts=5, rows=900, differences=0),
        FoldContact(folds=5, tested_rows=9_000, overlapping_labels=0, duplicated_rows=0),
        Foresight(rows=10_000, strongest="a", auc_max=0.56, leading="b", lead_max=0.01, auc_error=0.01, tables=[]),
        Latency(decisions=1_000, us_p50=9.0, us_p99=31.0),
        Startup(starts=2, ready_s=0.9, memory_mb=160.0, artifact_mb=0.4),
        Placement(
            served_by="own kernel",
            back_ends=[
                BackEnd(name="own kernel", us=4.0, error_max=0.0, keeps=True),
                BackEnd(name="ONNX Runtime", us=3.0, error_max=0.01, keeps=False),
            ],
            tables=[],
        ),
        Explanation(
            method="exact",
            rows=1_000,
            leading=["a", "b"],
            noise_agreement=0.99,
            surrogate_fidelity=0.6,
            catalogue="2026-11",
            codes_missing=[],
            tables=[Table(title="importance", columns=["feature", "size"], rows=[["a", 0.2]], chart="bars")],
        ),
        FoldReasons(folds=5, rows=1_000, importance_agreement=0.9),
        Trading(
            periods=10_000,
            trades=900,
            cost_bps=8.0,
            sharpe_gross=5.0,
            sharpe_net=3.0,
            sharpe_net_low=1.5,
            sharpe_net_high=4.5,
            return_gross=1.2,
            return_net=0.7,
            breakeven_cost_bps=20.0,
            drawdown=0.1,
            exposure_share=0.4,
            tables=[Table(title="by period", columns=["period", "return"], rows=[["2018-Q1", 0.7]], chart="bars")],
        ),
        TrackRecord(
            periods=10_000,
            sharpe=0.03,
            skewness=0.1,
            kurtosis=5.0,
            trials=2,
            trials_spread=0.01,
            best_by_luck=0.005,
            deflated_sharpe=0.99,
            periods_needed=3_000.0,
        ),
        Selection(trials=5, periods=9_000, overfitting_probability=0.1),
        Permutation(draws=39, gain=0.01, gain_shifted_mean=-0.002, gain_shifted_max=0.001, p_value=0.025),
        Paths(fits=15, paths=5, auc_min=0.53, auc_median=0.55, auc_max=0.56, splits_above_chance=0.97, tables=[]),
        Memory(auc_seen=0.7, auc_unseen=0.55),
        FeatureAttacks(
            movable=["imbalance"],
            rows=500,
            found=[AtEpsilon(epsilon=0.1, rows=500, broken=0.05, certified=0.9, undecided=0.05)],
        ),
        EventAttacks(
            events=10_000,
            attacks=[
                EventAttack(
                    name="spoofed orders",
                    cheap=True,
                    events=50,
                    hits=10,
                    decisions=5_000,
                    flipped=20,
                    refused=0,
                    loss_bps=1.0,
                )
            ],
        ),
        Poisoning(
            blocks=8,
            worst_block=3,
            worst_auc=0.52,
            worst_auc_error=0.02,
            influence_flips=0.1,
            label_flip_auc=[(0.05, 0.01), (0.1, 0.02)],
            backdoor_success=0.4,
        ),
    ),
)


def spoiled(kind, **changes):  # noqa: ANN003
    """Return the good evidence with some fields of one part changed."""
    changed = msgspec.structs.replace(GOOD.part(kind), **changes)
    return replace(GOOD, parts=[changed if isinstance(part, kind) else part for part in GOOD.parts])


def without(kind, why=""):
    """Return the good evidence with one part not gathered."""
    parts = [part for part in GOOD.parts if not isinstance(part, kind)]
    return replace(GOOD, parts=parts, absent={kind.__name__: why} if why else {})
