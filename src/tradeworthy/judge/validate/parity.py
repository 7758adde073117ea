"""Parity: whether what serves is what was trained; stream and batch, serving and training library, here and there."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part


class Parity(Part, frozen=True, kw_only=True):
    """Stream against batch, our scores against the training library's, and golden rows scored again on this machine."""

    stream_batch_rows: int
    stream_batch_differences: int
    serving_rows: int
    serving_error_max: float
    serving_tolerance: float
    golden_rows: int
    golden_error_max: float
    golden_machine: str = ""
    machine_here: str = ""


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

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.parity", counts=("rows_min",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            PartCheck(
                "parity_features",
                Parity,
                f"stream and batch features are identical on at least {self.rows_min:,} rows",
                self._parity_features,
            ),
            PartCheck(
                "parity_serving",
                Parity,
                "scores equal the training library's within the format's tolerance (at most "
                f"{self.serving_tolerance_max:g}) on at least {self.rows_min:,} rows",
                self._parity_serving,
            ),
            PartCheck(
                "parity_golden",
                Parity,
                f"the recorded golden rows score on this machine as recorded, within {self.golden_tolerance_max:g}",
                self._parity_golden,
            ),
        ]

    def _parity_features(self, part: Parity) -> Measured:
        """Judge the rows that differ."""
        return Measured(
            f"{part.stream_batch_differences:,} of {part.stream_batch_rows:,} rows differ",
            part.stream_batch_differences == 0 and part.stream_batch_rows >= self.rows_min,
        )

    def _parity_serving(self, part: Parity) -> Measured:
        """Judge the largest difference."""
        allowed = min(part.serving_tolerance, self.serving_tolerance_max)
        return Measured(
            f"largest difference {part.serving_error_max:.3g} on {part.serving_rows:,} rows, allowed {allowed:g}",
            part.serving_error_max <= allowed and part.serving_rows >= self.rows_min,
            (part.serving_error_max, allowed),
        )

    def _parity_golden(self, part: Parity) -> Measured:
        """Judge the largest difference; a version without golden rows proves nothing."""
        return Measured(
            f"largest difference {part.golden_error_max:.3g} on {part.golden_rows:,} rows, {self._where(part)}",
            part.golden_error_max <= self.golden_tolerance_max and part.golden_rows > 0,
            (part.golden_error_max,),
        )

    def _where(self, part: Parity) -> str:
        """Say where the rows were scored, then and now."""
        if part.golden_machine == part.machine_here:
            return f"recorded and scored on {part.machine_here}"
        return f"recorded on {part.golden_machine or 'an unnamed machine'}, scored on {part.machine_here}"
