"""Evidence of a candidate that passes the gate, for tests to spoil."""

from dataclasses import replace

import msgspec

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.evidence import Evidence
from tradeworthy.judge.validate.latency import Latency
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance

LIMITS = Limits(**dict.fromkeys(Limits.__struct_fields__, 1.0))

GOOD = Evidence(
    version="3f9a2c" * 10 + "beef",
    parts=(
        Artifact(formats=["trees"], signature_ok=True, digests_ok=True, files=["manifest.json"]),
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
        Latency(decisions=1_000, us_p50=9.0, us_p99=31.0),
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
