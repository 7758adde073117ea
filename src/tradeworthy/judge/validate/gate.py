"""The gate: may this version trade? A list of families of checks, and one report.

Idea:      a version passes when no check of the profile stops it; *missing* stops it just as *fail* does.
Reference: the report is stored as canonical JSON; its SHA-256 goes into the ledger's `GateJudged` fact.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from tradeworthy.core.time import Clock, iso
from tradeworthy.judge.validate.artifact import ArtifactSettings
from tradeworthy.judge.validate.check import Check, CheckResult, Family, ProfileName
from tradeworthy.judge.validate.comparison import ComparisonSettings
from tradeworthy.judge.validate.documents import DocumentsSettings
from tradeworthy.judge.validate.evidence import Evidence
from tradeworthy.judge.validate.explanation import ExplanationSettings
from tradeworthy.judge.validate.fairness import FairnessSettings
from tradeworthy.judge.validate.latency import LatencySettings
from tradeworthy.judge.validate.leakage import LeakageSettings
from tradeworthy.judge.validate.limits import LimitsSettings
from tradeworthy.judge.validate.overfitting import OverfittingSettings
from tradeworthy.judge.validate.parity import ParitySettings
from tradeworthy.judge.validate.performance import PerformanceSettings
from tradeworthy.judge.validate.prior import PriorSettings
from tradeworthy.judge.validate.robustness import RobustnessSettings
from tradeworthy.judge.validate.trading import TradingSettings
from tradeworthy.judge.validate.window import WindowSettings


class GateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version must show before it may trade: a section for each family of checks.

    This is the list of families: a new one is a field here, in the order in which its checks are reported.
    """

    artifact: ArtifactSettings = ArtifactSettings()
    parity: ParitySettings = ParitySettings()
    performance: PerformanceSettings = PerformanceSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    prior: PriorSettings = PriorSettings()
    window: WindowSettings = WindowSettings()
    leakage: LeakageSettings = LeakageSettings()
    trading: TradingSettings = TradingSettings()
    overfitting: OverfittingSettings = OverfittingSettings()
    fairness: FairnessSettings = FairnessSettings()
    latency: LatencySettings = LatencySettings()
    limits: LimitsSettings = LimitsSettings()
    robustness: RobustnessSettings = RobustnessSettings()
    explanation: ExplanationSettings = ExplanationSettings()
    documents: DocumentsSettings = DocumentsSettings()

    def checks(self, profile: ProfileName = "full") -> list[Check]:
        """Return the built-in checks of a profile with these requirements."""
        families: list[Family] = [getattr(self, name) for name in self.__struct_fields__]
        return [check for family in families for check in family.checks(profile)]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """That a check does not stop a version until a moment, by two people's word: they, and their reasons."""

    until_ns: int
    by: list[str]
    reasons: list[str]

    @property
    def sentence(self) -> str:
        """Who, why, until when."""
        words = [f"{who} ({why})" for who, why in zip(self.by, self.reasons, strict=True)]
        return f"set aside until {iso(self.until_ns)} by {' and '.join(words)}"


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate found about one version; `until_ns` is when the first override that it rests on ends."""

    version: str
    profile: str
    passed: bool
    results: list[CheckResult]
    created_ns: int
    until_ns: int | None = None

    @property
    def failed(self) -> list[str]:
        """Names of the checks that stop the version."""
        return [result.name for result in self.results if result.stops]

    @property
    def overridden(self) -> list[str]:
        """Names of the checks that would stop it, had people not set them aside."""
        return [result.name for result in self.results if result.verdict == "overridden"]

    @property
    def outcome(self) -> str:
        """What became of the version, in words; what was set aside or stops it is named."""
        if not self.passed:
            return f"refused ({', '.join(self.failed)})"
        return f"passed with overrides ({', '.join(self.overridden)})" if self.overridden else "passed"

    def overridden_by(self, overrides: Mapping[str, Override], now_ns: int) -> "GateReport":
        """Return the report judged anew, with the checks that stop it and that people have set aside."""
        asked = {each.name for each in self.results if each.stops and each.name in overrides}
        results = [_set_aside(each, overrides[each.name]) if each.name in asked else each for each in self.results]
        ends = [overrides[name].until_ns for name in asked] + ([] if self.until_ns is None else [self.until_ns])
        return msgspec.structs.replace(
            self,
            results=results,
            passed=bool(results) and not any(result.stops for result in results),
            created_ns=now_ns,
            until_ns=min(ends, default=None),
        )

    def to_json(self) -> bytes:
        """Write the report as canonical JSON."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def from_json(cls, data: bytes) -> "GateReport":
        """Read a report that `to_json` wrote."""
        return msgspec.json.decode(data, type=cls)

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON report, hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()


def _set_aside(result: CheckResult, override: Override) -> CheckResult:
    """Return a stopping result as overridden, its measurement kept, with who set it aside and why."""
    said = f"{result.verdict}: {result.measured}; {override.sentence}"
    return msgspec.structs.replace(result, verdict="overridden", measured=said)


def judge(
    evidence: Evidence,
    settings: GateSettings | None = None,
    *,
    clock: Clock,
    extra: Sequence[Check] = (),
) -> GateReport:
    """Judge one version's evidence.

    Parameters
    ----------
    evidence : Evidence
        What change/evidence gathered.
    settings : GateSettings, optional
        Requirements; the defaults if left out.
    clock : Clock
        Stamps the report.
    extra : sequence of Check
        The user's own checks, run after the built-in ones.

    Returns
    -------
    GateReport
        Passed only if no check stops it; a gate without checks passes nothing.
    """
    profile: ProfileName = "full" if evidence.profile == "full" else "quick"
    checks = [*(settings or GateSettings()).checks(profile), *extra]
    results = [check.judge(evidence) for check in checks]
    return GateReport(
        version=evidence.version,
        profile=profile,
        passed=bool(results) and not any(result.stops for result in results),
        results=results,
        created_ns=clock.now_ns(),
    )
