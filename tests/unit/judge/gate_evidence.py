"""Evidence of a candidate that passes the gate, for tests to spoil."""

import msgspec

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.evidence import Artifact, Evidence, Latency, Parity, Performance

LIMITS = Limits(**dict.fromkeys(Limits.__struct_fields__, 1.0))

GOOD = Evidence(
    version="3f9a2c" * 10 + "beef",
    performance=Performance(
        n=10_000,
        auc=0.55,
        auc_low=0.53,
        auc_high=0.57,
        log_loss=0.688,
        brier=0.2475,
        baseline_name="base rate",
        baseline_log_loss=0.693,
    ),
    parity=Parity(
        stream_batch_rows=2_000,
        stream_batch_differences=0,
        serving_rows=500,
        serving_error_max=1e-15,
        serving_tolerance=1e-12,
    ),
    latency=Latency(decisions=1_000, us_p50=9.0, us_p99=31.0),
    artifact=Artifact(formats=["trees"], signature_ok=True, digests_ok=True, files=["manifest.json"]),
    limits=LIMITS,
)


def spoiled(part, **changes):  # noqa: ANN003
    """Return the good evidence with some fields of one part changed."""
    changed = msgspec.structs.replace(getattr(GOOD, part), **changes)
    return msgspec.structs.replace(GOOD, **{part: changed})


def without(part):
    """Return the good evidence with one part not gathered."""
    return msgspec.structs.replace(GOOD, **{part: None})
