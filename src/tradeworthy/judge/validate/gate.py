"""The gate: may this version trade? A list of checks, one report, one exit code.

Idea:      a version passes when every check of the profile passes; *missing* stops it just as *fail* does.
Reference: the report is stored as canonical JSON; its SHA-256 goes into the ledger's `GateJudged` fact.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from tradeworthy.core.time import Clock
from tradeworthy.judge.validate.checks import (
    ArtifactSafety,
    BeatsBaseline,
    Check,
    CheckResult,
    DecisionLatency,
    LimitsComplete,
    ParityFeatures,
    ParityServing,
    PerformanceAboveChance,
)
from tradeworthy.judge.validate.evidence import Evidence

EXIT_PASSED = 0
EXIT_REFUSED = 3
"""The command's exit codes: a refusal is not a crash (1) and not a wrong argument (2)."""


class GateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[gate]`` of tradeworthy.toml: what a version must show before it may trade.

    Attributes
    ----------
    auc_low_min : float
        The lower bound of the out-of-fold AUC must lie above this.
    performance_rows_min, parity_rows_min, latency_decisions_min : int
        Fewer rows or decisions than this are no evidence.
    log_loss_gain_min : float
        The log loss must be better than the naive baseline's by more than this (nats a row).
    serving_tolerance_max : float
        How far our scores may be from the training library's, whatever the format allows itself.
    latency_us_p99_max : float
        Of one decision, microseconds.
    """

    auc_low_min: float = 0.5
    performance_rows_min: int = 500
    log_loss_gain_min: float = 0.0
    parity_rows_min: int = 100
    serving_tolerance_max: float = 1e-5
    latency_us_p99_max: float = 1_000.0
    latency_decisions_min: int = 100

    def checks(self) -> list[Check]:
        """Return the built-in checks with these requirements."""
        return [
            ParityFeatures(rows_min=self.parity_rows_min),
            ParityServing(rows_min=self.parity_rows_min, tolerance_max=self.serving_tolerance_max),
            PerformanceAboveChance(auc_low_min=self.auc_low_min, rows_min=self.performance_rows_min),
            BeatsBaseline(gain_min=self.log_loss_gain_min),
            DecisionLatency(us_p99_max=self.latency_us_p99_max, decisions_min=self.latency_decisions_min),
            ArtifactSafety(),
            LimitsComplete(),
        ]


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate found about one version."""

    version: str
    profile: str
    passed: bool
    results: list[CheckResult]
    created_ns: int

    @property
    def failed(self) -> list[str]:
        """Names of the checks that did not pass."""
        return [result.name for result in self.results if result.verdict != "pass"]

    @property
    def exit_code(self) -> int:
        """0 if the version passed, 3 if it was refused."""
        return EXIT_PASSED if self.passed else EXIT_REFUSED

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


def judge(
    evidence: Evidence, settings: GateSettings | None = None, *, clock: Clock, extra: Sequence[Check] = ()
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
        Passed only if every check passed; a gate without checks passes nothing.
    """
    checks = [*(settings or GateSettings()).checks(), *extra]
    results = [check.judge(evidence) for check in checks]
    return GateReport(
        version=evidence.version,
        profile=evidence.profile,
        passed=all(result.verdict == "pass" for result in results),
        results=results,
        created_ns=clock.now_ns(),
    )
