"""Latency: whether a decision is fast enough on this machine."""

import msgspec

from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part


class Latency(Part, frozen=True, kw_only=True):
    """How long one decision takes on this machine."""

    decisions: int
    us_p50: float
    us_p99: float


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a version must be.

    Attributes
    ----------
    us_p99_max : float
        Of one decision, microseconds.
    decisions_min : int
        Fewer decisions than this are no evidence.
    """

    us_p99_max: float = 1_000.0
    decisions_min: int = 100

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [DecisionLatency(us_p99_max=self.us_p99_max, decisions_min=self.decisions_min)]


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
        return verdict_on(self, evidence, Latency, self._measure)

    def _measure(self, part: Latency) -> Measured:
        return Measured(
            f"p50 {part.us_p50:.1f} us, p99 {part.us_p99:.1f} us over {part.decisions:,} decisions",
            part.us_p99 <= self.us_p99_max and part.decisions >= self.decisions_min,
            (part.us_p99,),
        )
