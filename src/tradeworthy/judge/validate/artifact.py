"""The artifact: data of allowed formats, whose bytes are those that were signed."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part

SAFE_FORMATS = frozenset({"trees", "onnx"})
"""Predictor formats whose loading runs no code of the artifact's."""


class Artifact(Part, frozen=True, kw_only=True):
    """What the bundle is made of, and whether its bytes are the ones that were signed.

    Attributes
    ----------
    formats, files : list of str
        Of its predictor; by name.
    signature_ok, digests_ok : bool
        Over the very bytes that were loaded.
    bytes_total : int
        Size of the predictor's files.
    lacking : list of str
        Facts of the manifest that were not filled in.
    refusal : str
        Why it was not loaded.
    packages, packages_here : dict of str to str
        Versions of the packages that decide a score: in the manifest, and on this machine.
    """

    formats: list[str]
    signature_ok: bool
    digests_ok: bool
    files: list[str]
    bytes_total: int = 0
    lacking: list[str] = msgspec.field(default_factory=list)
    refusal: str = ""
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    packages_here: dict[str, str] = msgspec.field(default_factory=dict)


class ArtifactSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle may be made of; none of the checks can be switched off.

    Attributes
    ----------
    bytes_max : int
        Size of the predictor's files.
    packages_free : tuple of str
        Packages that may have another version here than the manifest says.
    """

    bytes_max: int = 512 * 1024 * 1024
    packages_free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.artifact", counts=("bytes_max",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        allowed = ", ".join(sorted(SAFE_FORMATS))
        safe = f"signature and digests hold; formats only of {allowed}; at most {self.bytes_max:,} bytes"
        complete = "author, training data, code, parameters, and the library with its version are in the manifest"
        free = f", but for {', '.join(self.packages_free)}" if self.packages_free else ""
        locked = f"the packages that decide a score have the versions here that the manifest names{free}"
        return [
            PartCheck("artifact_safety", Artifact, safe, self._artifact_safety),
            PartCheck("manifest_complete", Artifact, complete, self._manifest_complete),
            PartCheck("packages_locked", Artifact, locked, self._packages_locked),
        ]

    def _artifact_safety(self, part: Artifact) -> Measured:
        """Judge signature, digests and formats."""
        unsafe = sorted(set(part.formats) - SAFE_FORMATS)
        found = [
            f"signature {'holds' if part.signature_ok else 'does not hold'}",
            f"digests {'hold' if part.digests_ok else 'do not hold'}",
            f"formats {', '.join(part.formats) or 'none'}",
            f"{part.bytes_total:,} bytes",
            *([part.refusal] if part.refusal else []),
        ]
        holds = part.signature_ok and part.digests_ok and not unsafe and bool(part.formats)
        return Measured("; ".join(found), holds and part.bytes_total <= self.bytes_max)

    def _manifest_complete(self, part: Artifact) -> Measured:
        """Judge what is lacking."""
        if part.refusal:
            return Measured("the bundle was refused, its manifest is nobody's word", holds=False)
        return Measured(f"not filled in: {', '.join(part.lacking)}" if part.lacking else "complete", not part.lacking)

    def _packages_locked(self, part: Artifact) -> Measured:
        """Judge the versions that differ; a manifest that names none proves nothing."""
        if not part.packages:
            return Measured("the manifest names no packages; register the version with this release", holds=False)
        names = sorted({*part.packages, *part.packages_here} - set(self.packages_free))
        other = [
            f"{name} {part.packages_here.get(name, 'absent')} (registered with {part.packages.get(name, 'none')})"
            for name in names
            if part.packages.get(name) != part.packages_here.get(name)
        ]
        same = ", ".join(f"{name} {part.packages_here[name]}" for name in names if name in part.packages_here)
        return Measured(f"differ: {', '.join(other)}" if other else f"as registered: {same}", not other)
