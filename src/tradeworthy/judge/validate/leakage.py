"""Leakage: whether the future has found its way into features, folds or labels."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class LookAhead(Part, frozen=True, kw_only=True):
    """Features computed again on history that was cut off, against those of the whole of it."""

    cuts: int
    rows: int
    differences: int


class FoldContact(Part, frozen=True, kw_only=True):
    """What the training rows of the folds have in common with the rows that test them.

    Labels that share a moment with the tested span; rows that are equal in every feature.
    """

    folds: int
    tested_rows: int
    overlapping_labels: int
    duplicated_rows: int


class Foresight(Part, frozen=True, kw_only=True):
    """How well each feature alone foresees the label, and labels that lie further ahead.

    Every feature becomes a forecast by the mean label of its quantile bins in the first half of the rows; the AUC is
    that of the second half. `lead` is by how much a feature foresees a later label better than its own row's.
    """

    rows: int
    strongest: str
    auc_max: float
    leading: str
    lead_max: float
    auc_error: float
    tables: list[Table]


class LeakageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What no honest feature, fold or label shows.

    Attributes
    ----------
    rows_min : int
        Fewer rows than this are no evidence.
    feature_auc_max : float
        No feature may foresee the label that well by itself.
    lead_max : float
        Nor foresee a label further ahead so much better than that of its own row, beyond five standard errors.
    duplicates_share_max : float
        Share of tested rows that also stand among the training rows of their fold.
    """

    rows_min: int = 100
    feature_auc_max: float = 0.85
    lead_max: float = 0.1
    duplicates_share_max: float = 0.01

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self, "gate.leakage", counts=("rows_min",), shares=("feature_auc_max", "lead_max", "duplicates_share_max")
        )

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            PartCheck(
                "look_ahead",
                LookAhead,
                f"features on truncated history are identical, on at least {self.rows_min:,} rows",
                self._look_ahead,
            ),
            PartCheck(
                "label_overlap",
                FoldContact,
                "no training label shares a moment with the tested span of its fold",
                self._label_overlap,
            ),
            PartCheck(
                "duplicated_rows",
                FoldContact,
                f"at most {self.duplicates_share_max:.2%} of tested rows are also training rows of their fold",
                self._duplicated_rows,
            ),
            PartCheck(
                "feature_too_good",
                Foresight,
                f"no feature alone foresees the label with an AUC above {self.feature_auc_max:g}, on "
                f"{self.rows_min:,} rows",
                self._feature_too_good,
            ),
            PartCheck(
                "shifted_label",
                Foresight,
                f"no feature foresees a later label better than its own by more than {self.lead_max:g} of AUC",
                self._shifted_label,
            ),
        ]

    def _look_ahead(self, part: LookAhead) -> Measured:
        """Judge the rows that differ."""
        return Measured(
            f"{part.differences:,} of {part.rows:,} rows change when history ends at one of {part.cuts} moments",
            part.differences == 0 and part.rows >= self.rows_min,
        )

    def _label_overlap(self, part: FoldContact) -> Measured:
        """Judge the labels that do."""
        said = f"{part.overlapping_labels:,} labels overlap in {part.folds} folds"
        return Measured(said, part.overlapping_labels == 0 and part.folds > 0)

    def _duplicated_rows(self, part: FoldContact) -> Measured:
        """Judge the share of tested rows."""
        share = part.duplicated_rows / part.tested_rows if part.tested_rows else float("nan")
        return Measured(
            f"{part.duplicated_rows:,} of {part.tested_rows:,} tested rows ({share:.2%})",
            share <= self.duplicates_share_max,
            (share,),
        )

    def _feature_too_good(self, part: Foresight) -> Measured:
        """Judge the strongest feature."""
        return Measured(
            f"{part.strongest} alone has an AUC of {part.auc_max:.4f} on {part.rows:,} rows",
            part.auc_max <= self.feature_auc_max and part.rows >= self.rows_min,
            (part.auc_max,),
            tables=part.tables,
        )

    def _shifted_label(self, part: Foresight) -> Measured:
        """Judge the feature that leads most."""
        allowed = max(self.lead_max, 5.0 * part.auc_error)
        return Measured(
            f"{part.leading} by {part.lead_max:+.4f}, allowed {allowed:.4f} on {part.rows:,} rows",
            part.lead_max <= allowed,
            (part.lead_max, allowed),
        )
