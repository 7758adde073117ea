"""Gathers what is known without running anything: the artifact and the limits."""

from tradeworthy.change.evidence.context import Context, Work
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.model.manifest import Manifest
from tradeworthy.model.predictors.formats import files_of
from tradeworthy.model.running import packages_here


def gather_artifact(context: Context, _work: Work) -> Artifact:
    """Note what the bundle is made of; it was verified when it was loaded."""
    manifest = context.version.manifest
    return Artifact(
        formats=[manifest.predictor],
        signature_ok=True,
        digests_ok=True,
        files=sorted(manifest.files),
        bytes_total=sum(len(data) for data in files_of(context.version.predictor).values()),
        lacking=_lacking(manifest),
        packages=manifest.packages,
        packages_here=packages_here(),
    )


def _lacking(manifest: Manifest) -> list[str]:
    """Return the facts of a manifest that nobody filled in."""
    lineage = manifest.lineage
    facts: dict[str, object] = {
        "author": manifest.author,
        "data_digest": lineage.data_digest,
        "code_version": lineage.code_version,
        "device": lineage.device,
        "trained_on_rows": lineage.trained_on_rows,
        "library": lineage.parameters.get("library"),
        "library_version": lineage.parameters.get("library_version"),
    }
    return [name for name, fact in facts.items() if not fact]


def gather_limits(context: Context, _work: Work) -> LimitsInForce:
    """Note the limits, and which of them are not set."""
    return LimitsInForce.of(context.limits)
