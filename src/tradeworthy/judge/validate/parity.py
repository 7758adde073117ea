"""Parity: whether what serves is what was trained; stream and batch, serving and training library, here and there."""

import msgspec

from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part


class Parity(Part, frozen=True, kw_only=True):
    """Stream against batch, our scores against the training library's, and golden rows scored again on this machine."""

    stream_batch_rows: int
    stream_batch_differences: int
    serving_rows: int
    serving_error_max: float
    serving_tolerance: float
    golden_rows: int
    golden_error_max: float


class ParitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what serves is what was trained.

    Attributes
    ----------
    rows_min : int
        Fewer rows than this are no evidence.
    serving_tolerance_max : float
        How far our scores may be from the training library's, whatever the format allows itself.
    golden_tolerance_max : float
        How far the scores of the recorded rows may be from those of the machine that made the version.
    """

    rows_min: int = 100
    serving_tolerance_max: float = 1e-5
    golden_tolerance_max: float = 1e-6

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            ParityFeatures(rows_min=self.rows_min),
            ParityServing(rows_min=self.rows_min, tolerance_max=self.serving_tolerance_max),
            ParityGolden(tolerance_max=self.golden_tolerance_max),
        ]


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
        return verdict_on(self, evidence, Parity, self._measure)

    def _measure(self, part: Parity) -> Measured:
        return Measured(
            f"{part.stream_batch_differences:,} of {part.stream_batch_rows:,} rows differ",
            part.stream_batch_differences == 0 and part.stream_batch_rows >= self.rows_min,
        )


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
        return verdict_on(self, evidence, Parity, self._measure)

    def _measure(self, part: Parity) -> Measured:
        allowed = min(part.serving_tolerance, self.tolerance_max)
        return Measured(
            f"largest difference {part.serving_error_max:.3g} on {part.serving_rows:,} rows, allowed {allowed:g}",
            part.serving_error_max <= allowed and part.serving_rows >= self.rows_min,
            (part.serving_error_max, allowed),
        )


class ParityGolden(msgspec.Struct, frozen=True, kw_only=True):
    """The rows recorded with the version score here as they did where it was made."""

    tolerance_max: float = 1e-6
    name: str = "parity_golden"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"the recorded golden rows score on this machine as recorded, within {self.tolerance_max:g}"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the largest difference; a version without golden rows proves nothing."""
        return verdict_on(self, evidence, Parity, self._measure)

    def _measure(self, part: Parity) -> Measured:
        return Measured(
            f"largest difference {part.golden_error_max:.3g} on {part.golden_rows:,} rows",
            part.golden_error_max <= self.tolerance_max and part.golden_rows > 0,
            (part.golden_error_max,),
        )
