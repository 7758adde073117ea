"""What was gathered about one candidate: numbers only, filled by change/evidence, judged here.

Undefined: a part that was not gathered is None, and the checks that need it answer *missing*, never *pass*.
Units:     latency in microseconds; log loss in nats; errors and tolerances in units of the score.
"""

import msgspec

from tradeworthy.core.limits import Limits


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How right the candidate's out-of-fold scores were, with the interval of the AUC and a naive baseline."""

    n: int
    auc: float
    auc_low: float
    auc_high: float
    log_loss: float
    brier: float
    baseline_name: str
    baseline_log_loss: float
    baseline_auc: float = 0.5
    level: float = 0.95
    block: int = 0
    log_loss_gain_low: float | None = None
    log_loss_gain_high: float | None = None


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what serves is what was trained: stream against batch, and our scores against the training library's."""

    stream_batch_rows: int
    stream_batch_differences: int
    serving_rows: int
    serving_error_max: float
    serving_tolerance: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long one decision takes on this machine."""

    decisions: int
    us_p50: float
    us_p99: float


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle is made of, and whether its bytes are the ones that were signed."""

    formats: list[str]
    signature_ok: bool
    digests_ok: bool
    files: list[str]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was gathered about one version; a part that is None was not."""

    version: str
    profile: str = "quick"
    performance: Performance | None = None
    parity: Parity | None = None
    latency: Latency | None = None
    artifact: Artifact | None = None
    limits: Limits | None = None
