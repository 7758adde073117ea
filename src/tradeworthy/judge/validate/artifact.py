"""The artifact: data of allowed formats, whose bytes are those that were signed."""

import msgspec

from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part

SAFE_FORMATS = frozenset({"trees", "onnx"})
"""Predictor formats whose loading runs no code of the artifact's."""


class Artifact(Part, frozen=True, kw_only=True):
    """What the bundle is made of, and whether its bytes are the ones that were signed."""

    formats: list[str]
    signature_ok: bool
    digests_ok: bool
    files: list[str]
    refusal: str = ""


class ArtifactSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle may be made of; nothing of it can be switched off."""

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [ArtifactSafety()]


class ArtifactSafety(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle is data of allowed formats, and its bytes are those that were signed."""

    name: str = "artifact_safety"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"signature and digests hold; formats only of {', '.join(sorted(SAFE_FORMATS))}"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge signature, digests and formats."""
        return verdict_on(self, evidence, Artifact, self._measure)

    def _measure(self, part: Artifact) -> Measured:
        unsafe = sorted(set(part.formats) - SAFE_FORMATS)
        found = [
            f"signature {'holds' if part.signature_ok else 'does not hold'}",
            f"digests {'hold' if part.digests_ok else 'do not hold'}",
            f"formats {', '.join(part.formats) or 'none'}",
            *([part.refusal] if part.refusal else []),
        ]
        holds = part.signature_ok and part.digests_ok and not unsafe and bool(part.formats)
        return Measured("; ".join(found), holds)
