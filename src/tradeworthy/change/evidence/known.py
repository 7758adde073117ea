"""Gathers what is known without running anything: out-of-fold figures, the artifact, the limits."""

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.performance import Performance


def gather_artifact(context: Context, _work: Work) -> Artifact:
    """Note what the bundle is made of; it was verified when it was loaded."""
    manifest = context.version.manifest
    return Artifact(formats=[manifest.predictor], signature_ok=True, digests_ok=True, files=sorted(manifest.files))


def gather_performance(context: Context, _work: Work) -> Performance:
    """Return the figures that training drew from its walk-forward."""
    return context.candidate.performance


def gather_limits(context: Context, _work: Work) -> LimitsInForce:
    """Note the limits, and which of them are not set."""
    return LimitsInForce.of(context.limits)
