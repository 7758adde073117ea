"""Latency: whether a decision is fast enough on this machine, a start soon enough, and the fastest back end serves."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class Latency(Part, frozen=True, kw_only=True):
    """How long one decision takes on this machine."""

    decisions: int
    us_p50: float
    us_p99: float


class Startup(Part, frozen=True, kw_only=True):
    """What a new process needs until its first score: seconds and mebibytes, beside the artifact's size."""

    starts: int
    ready_s: float
    memory_mb: float
    artifact_mb: float


class BackEnd(msgspec.Struct, frozen=True, kw_only=True):
    """One way of computing a score: how long a row takes, how far from the recorded scores, whether that is parity."""

    name: str
    us: float
    error_max: float
    keeps: bool


class Placement(Part, frozen=True, kw_only=True):
    """What computes the scores, beside every other back end that is present on this machine."""

    served_by: str
    back_ends: list[BackEnd]
    tables: list[Table]


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a version must be.

    Attributes
    ----------
    us_p99_max : float
        Of one decision, microseconds.
    decisions_min : int
        Fewer decisions than this are no evidence.
    ready_s_max : float
        Until a new process has given its first score.
    memory_mb_max : float
        Largest resident memory of such a process, mebibytes.
    slower_max : float
        What serves may take so many times as long as the fastest back end that keeps parity.
    """

    us_p99_max: float = 1_000.0
    decisions_min: int = 100
    ready_s_max: float = 60.0
    memory_mb_max: float = 2_048.0
    slower_max: float = 2.0

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self,
            "gate.latency",
            counts=("decisions_min",),
            positive=("us_p99_max", "ready_s_max", "memory_mb_max", "slower_max"),
        )

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks; starts and back ends are tried in the full profile only."""
        fast = f"p99 of a decision at most {self.us_p99_max:g} us over at least {self.decisions_min:,} decisions"
        ready = f"a new process scores within {self.ready_s_max:g} s, in at most {self.memory_mb_max:,.0f} MiB"
        placed = f"no back end that keeps parity is more than {self.slower_max:g} times as fast as the one that serves"
        decision = PartCheck("latency", Latency, fast, self._latency)
        if profile == "quick":
            return [decision]
        return [
            decision,
            PartCheck("startup", Startup, ready, self._startup),
            PartCheck("placement", Placement, placed, self._placement),
        ]

    def _latency(self, part: Latency) -> Measured:
        """Judge the 99th percentile."""
        return Measured(
            f"p50 {part.us_p50:.1f} us, p99 {part.us_p99:.1f} us over {part.decisions:,} decisions",
            part.us_p99 <= self.us_p99_max and part.decisions >= self.decisions_min,
            (part.us_p99,),
            tables=[
                Table(
                    title="How long one decision takes",
                    columns=["percentile", "microseconds"],
                    rows=[["p50", part.us_p50], ["p99", part.us_p99]],
                    chart="bars",
                    level=self.us_p99_max,
                )
            ],
        )

    def _startup(self, part: Startup) -> Measured:
        """Judge time and memory."""
        return Measured(
            f"first score {part.ready_s:.2f} s after a start, {part.memory_mb:,.0f} MiB; predictor "
            f"{part.artifact_mb:.2f} MiB",
            part.ready_s <= self.ready_s_max and part.memory_mb <= self.memory_mb_max,
            (part.ready_s, part.memory_mb),
        )

    def _placement(self, part: Placement) -> Measured:
        """Judge what serves against the fastest that keeps parity."""
        kept = [each for each in part.back_ends if each.keeps]
        served = next(each for each in part.back_ends if each.name == part.served_by)
        if not served.keeps:
            return Measured(f"{served.name} serves and is {served.error_max:.3g} off the recorded scores", holds=False)
        best = min(kept, key=lambda each: each.us)
        said = (
            f"fastest that keeps parity: {best.name}, {best.us:.1f} us a row; {served.name} serves, {served.us:.1f} us"
        )
        rest = [f"{each.name} {each.us:.1f} us, {each.error_max:.2g} off" for each in part.back_ends if not each.keeps]
        if rest:
            said += f"; without parity: {', '.join(rest)}"
        return Measured(said, served.us <= self.slower_max * best.us, (served.us, best.us), tables=part.tables)
