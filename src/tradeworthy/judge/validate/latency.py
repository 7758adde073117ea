"""Latency: whether a decision is fast enough on this machine."""

import msgspec

from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


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
        return [
            PartCheck(
                "latency",
                Latency,
                f"p99 of a decision at most {self.us_p99_max:g} us over at least {self.decisions_min:,} decisions",
                self._latency,
            )
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
