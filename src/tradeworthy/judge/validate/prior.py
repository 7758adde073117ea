"""A prior correction: whether the mix of classes has really changed so, and whether corrected scores are better for it.

Idea:   the share was counted in older outcomes; it is judged by newer ones, which it has not seen. Scores are compared
        on the very same decisions, so what the market did cancels out.
"""

import math
from collections.abc import Sequence

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class PriorEvidence(Part, frozen=True, kw_only=True):
    """What a prior correction did to the newer outcomes, and what they say of the mix of classes; empty without one.

    Attributes
    ----------
    learned, share : float
        Of class 1: what the model was taught, and what its scores are right for now.
    same_model : bool
        Whether the predictor is that of the version before, moved by exactly what the manifest says.
    counted, outcomes : int
        Older outcomes that the share was counted in, and newer ones that it is judged by.
    share_seen, share_low, share_high : float
        Among the newer ones, with an interval that allows for the error of both counts.
    gain, gain_low, gain_high : float
        Log loss a decision that the correction saved (nats), with its interval.
    apart_before, apart_after : float
        How far the mean score lies from the share that came true.
    tables : sequence of Table
        The mix of classes by every way of telling it.
    """

    learned: float = math.nan
    share: float = math.nan
    same_model: bool = False
    counted: int = 0
    outcomes: int = 0
    share_seen: float = math.nan
    share_low: float = math.nan
    share_high: float = math.nan
    gain: float = math.nan
    gain_low: float = math.nan
    gain_high: float = math.nan
    apart_before: float = math.nan
    apart_after: float = math.nan
    tables: Sequence[Table] = ()

    @property
    def is_one(self) -> bool:
        """Whether the version's scores were corrected at all."""
        return not math.isnan(self.share)


NOT_CORRECTED = Measured("its scores are as it learned them; the bundle holds no prior correction", None)


class PriorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a prior correction must show; asked only of a version that has one.

    Attributes
    ----------
    gain_low_min : float
        The lower bound of the log loss saved must lie above this (nats a decision).
    outcomes_min : int
        Fewer newer outcomes than this are no evidence.
    """

    gain_low_min: float = 0.0
    outcomes_min: int = 200

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.prior", counts=("outcomes_min",), signed=("gain_low_min",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            PartCheck(
                "prior_supported",
                PriorEvidence,
                f"the share of class 1 that scores are corrected for is borne out by at least {self.outcomes_min:,} "
                "newer outcomes, and nothing but the odds was changed",
                self._supported,
            ),
            PartCheck(
                "prior_correction",
                PriorEvidence,
                f"on newer outcomes the correction surely saves more than {self.gain_low_min:g} of log loss a "
                "decision, and brings the mean score nearer to the share that came true",
                self._better,
            ),
        ]

    def _supported(self, part: PriorEvidence) -> Measured:
        """Judge the share, and that the model is the same."""
        if not part.is_one:
            return NOT_CORRECTED
        model = "" if part.same_model else "; the model is NOT that of the version before with other odds"
        return Measured(
            f"corrected from {part.learned:.3f} to {part.share:.3f}, counted in {part.counted:,} outcomes; "
            f"{part.share_seen:.3f} [{part.share_low:.3f}, {part.share_high:.3f}] among {part.outcomes:,} newer "
            f"ones{model}",
            part.same_model and part.outcomes >= self.outcomes_min and part.share_low <= part.share <= part.share_high,
            (part.share_low, part.share_high),
            (part.share_low, part.share_high),
            part.tables,
        )

    def _better(self, part: PriorEvidence) -> Measured:
        """Judge the gain on what the share was not counted in."""
        if not part.is_one:
            return NOT_CORRECTED
        return Measured(
            f"log loss lower by {part.gain:+.5f} [{part.gain_low:+.5f}, {part.gain_high:+.5f}] on {part.outcomes:,} "
            f"outcomes; the mean score was {part.apart_before:.4f} from what came true, now {part.apart_after:.4f}",
            part.gain_low > self.gain_low_min
            and part.outcomes >= self.outcomes_min
            and part.apart_after < part.apart_before,
            (part.gain, part.gain_low, part.apart_before, part.apart_after),
            (part.gain_low, part.gain_high),
        )
