"""The gate's checks: each judges one part of the evidence against one requirement.

Idea:      a check is a small object with a name, its requirement in words, and one method; the gate runs a list.
Undefined: evidence that is absent, or not a number, is *missing*; it never passes.
"""

import math
from typing import Literal, Protocol

import msgspec

from tradeworthy.judge.validate.evidence import Evidence

Verdict = Literal["pass", "fail", "missing"]

SAFE_FORMATS = frozenset({"trees", "onnx"})
"""Predictor formats whose loading runs no code of the artifact's."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check's verdict, with what it rests on."""

    name: str
    requirement: str
    measured: str
    verdict: Verdict
    interval: tuple[float, float] | None = None
    evidence: dict[str, float | int | str | bool | list[str]] = {}


class Check(Protocol):
    """Judges evidence; gathers none and runs nothing."""

    @property
    def name(self) -> str:
        """Short name, unique in a gate."""

    @property
    def requirement(self) -> str:
        """What must hold, in words."""

    def judge(self, evidence: Evidence) -> CheckResult:
        """Return the verdict on one version's evidence."""


def _fields(part: msgspec.Struct | None) -> dict[str, float | int | str | bool | list[str]]:
    """Return a part of the evidence as plain values; absent ones are left out."""
    if part is None:
        return {}
    return {name: value for name in part.__struct_fields__ if (value := getattr(part, name)) is not None}


def _result(
    check: Check,
    part: msgspec.Struct,
    measured: str,
    numbers: tuple[float, ...],
    *,
    holds: bool,
    interval: tuple[float, float] | None = None,
) -> CheckResult:
    """Return pass or fail; missing if a number that the verdict rests on is NaN."""
    known = not any(math.isnan(number) for number in numbers)
    return CheckResult(
        name=check.name,
        requirement=check.requirement,
        measured=measured,
        verdict=("pass" if holds else "fail") if known else "missing",
        interval=interval,
        evidence=_fields(part),
    )


def _missing(check: Check, what: str) -> CheckResult:
    """Return the verdict on evidence that was not gathered."""
    return CheckResult(
        name=check.name, requirement=check.requirement, measured=f"{what} was not gathered", verdict="missing"
    )


class ParityFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """One event at a time and history in one go give the same rows, bit for bit."""

    rows_min: int = 1
    name: str = "parity_features"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"stream and batch features are identical on at least {self.rows_min:,} rows"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the rows that differ."""
        part = evidence.parity
        if part is None:
            return _missing(self, "feature parity")
        measured = f"{part.stream_batch_differences:,} of {part.stream_batch_rows:,} rows differ"
        holds = part.stream_batch_differences == 0 and part.stream_batch_rows >= self.rows_min
        return _result(self, part, measured, (), holds=holds)


class ParityServing(msgspec.Struct, frozen=True, kw_only=True):
    """What serves gives the training library's scores."""

    rows_min: int = 1
    tolerance_max: float = 1e-5
    name: str = "parity_serving"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return (
            f"scores equal the training library's within the format's tolerance (at most {self.tolerance_max:g}) "
            f"on at least {self.rows_min:,} rows"
        )

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the largest difference."""
        part = evidence.parity
        if part is None:
            return _missing(self, "serving parity")
        allowed = min(part.serving_tolerance, self.tolerance_max)
        measured = f"largest difference {part.serving_error_max:.3g} on {part.serving_rows:,} rows, allowed {allowed:g}"
        holds = part.serving_error_max <= allowed and part.serving_rows >= self.rows_min
        return _result(self, part, measured, (part.serving_error_max, allowed), holds=holds)


class PerformanceAboveChance(msgspec.Struct, frozen=True, kw_only=True):
    """Even at the low end of its interval the ranking beats chance."""

    auc_low_min: float = 0.5
    rows_min: int = 500
    name: str = "performance"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"lower confidence bound of the out-of-fold AUC above {self.auc_low_min:g} on {self.rows_min:,} rows"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the lower confidence bound."""
        part = evidence.performance
        if part is None:
            return _missing(self, "out-of-fold performance")
        measured = f"AUC {part.auc:.4f} [{part.auc_low:.4f}, {part.auc_high:.4f}] on {part.n:,} rows"
        holds = part.auc_low > self.auc_low_min and part.n >= self.rows_min
        numbers = (part.auc, part.auc_low)
        return _result(self, part, measured, numbers, holds=holds, interval=(part.auc_low, part.auc_high))


class BeatsBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """The probabilities say more than a naive rule does."""

    gain_min: float = 0.0
    name: str = "beats_baseline"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"log loss below the naive baseline's by more than {self.gain_min:g}, and AUC above the baseline's"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the gain over the baseline; its lower bound, where there is one."""
        part = evidence.performance
        if part is None:
            return _missing(self, "the comparison with a baseline")
        gain = part.baseline_log_loss - part.log_loss
        low, high = part.log_loss_gain_low, part.log_loss_gain_high
        interval = None if low is None or high is None else (low, high)
        measured = f"log loss {part.log_loss:.5f} against {part.baseline_log_loss:.5f} ({part.baseline_name})"
        judged = gain if low is None else low
        holds = judged > self.gain_min and part.auc > part.baseline_auc
        return _result(self, part, measured, (judged, part.auc, part.baseline_auc), holds=holds, interval=interval)


class DecisionLatency(msgspec.Struct, frozen=True, kw_only=True):
    """A decision is fast enough on this machine."""

    us_p99_max: float = 1_000.0
    decisions_min: int = 100
    name: str = "latency"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"p99 of a decision at most {self.us_p99_max:g} us over at least {self.decisions_min:,} decisions"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the 99th percentile."""
        part = evidence.latency
        if part is None:
            return _missing(self, "decision latency")
        measured = f"p50 {part.us_p50:.1f} us, p99 {part.us_p99:.1f} us over {part.decisions:,} decisions"
        holds = part.us_p99 <= self.us_p99_max and part.decisions >= self.decisions_min
        return _result(self, part, measured, (part.us_p99,), holds=holds)


class ArtifactSafety(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle is data of allowed formats, and its bytes are those that were signed."""

    name: str = "artifact_safety"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"signature and digests hold; formats only of {', '.join(sorted(SAFE_FORMATS))}"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge signature, digests and formats."""
        part = evidence.artifact
        if part is None:
            return _missing(self, "the artifact's inspection")
        unsafe = sorted(set(part.formats) - SAFE_FORMATS)
        found = [
            f"signature {'holds' if part.signature_ok else 'does not hold'}",
            f"digests {'hold' if part.digests_ok else 'do not hold'}",
            f"formats {', '.join(part.formats) or 'none'}",
        ]
        holds = part.signature_ok and part.digests_ok and not unsafe and bool(part.formats)
        return _result(self, part, "; ".join(found), (), holds=holds)


class LimitsComplete(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of the order path is set, so that nothing is refused for lack of one."""

    name: str = "limits_complete"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return "every limit of the order path is set"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the limits that are not set."""
        part = evidence.limits
        if part is None:
            return _missing(self, "the set of limits")
        absent = part.missing()
        measured = f"not set: {', '.join(absent)}" if absent else f"all {len(part.__struct_fields__)} set"
        return _result(self, part, measured, (), holds=not absent)
