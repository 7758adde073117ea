"""Leakage: whether the future has found its way into features, folds or labels."""

import msgspec

from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part, Table


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

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [
            NoLookAhead(rows_min=self.rows_min),
            FoldsApart(),
            NoDuplicates(share_max=self.duplicates_share_max),
            NoOracle(auc_max=self.feature_auc_max, rows_min=self.rows_min),
            NoShiftedLabel(lead_max=self.lead_max),
        ]


class NoLookAhead(msgspec.Struct, frozen=True, kw_only=True):
    """Features do not change when what comes after them is cut off."""

    rows_min: int = 100
    name: str = "look_ahead"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"features on truncated history are identical, on at least {self.rows_min:,} rows"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the rows that differ."""
        return verdict_on(self, evidence, LookAhead, self._measure)

    def _measure(self, part: LookAhead) -> Measured:
        return Measured(
            f"{part.differences:,} of {part.rows:,} rows change when history ends at one of {part.cuts} moments",
            part.differences == 0 and part.rows >= self.rows_min,
        )


class FoldsApart(msgspec.Struct, frozen=True, kw_only=True):
    """No training label reaches into the span that tests it."""

    name: str = "label_overlap"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return "no training label shares a moment with the tested span of its fold"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the labels that do."""
        return verdict_on(self, evidence, FoldContact, self._measure)

    def _measure(self, part: FoldContact) -> Measured:
        said = f"{part.overlapping_labels:,} labels overlap in {part.folds} folds"
        return Measured(said, part.overlapping_labels == 0 and part.folds > 0)


class NoDuplicates(msgspec.Struct, frozen=True, kw_only=True):
    """What tests a fold was not learned by heart there."""

    share_max: float = 0.01
    name: str = "duplicated_rows"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"at most {self.share_max:.2%} of tested rows are also training rows of their fold"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the share of tested rows."""
        return verdict_on(self, evidence, FoldContact, self._measure)

    def _measure(self, part: FoldContact) -> Measured:
        share = part.duplicated_rows / part.tested_rows if part.tested_rows else float("nan")
        return Measured(
            f"{part.duplicated_rows:,} of {part.tested_rows:,} tested rows ({share:.2%})",
            share <= self.share_max,
            (share,),
        )


class NoOracle(msgspec.Struct, frozen=True, kw_only=True):
    """No feature is too good to be true."""

    auc_max: float = 0.85
    rows_min: int = 100
    name: str = "feature_too_good"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"no feature alone foresees the label with an AUC above {self.auc_max:g}, on {self.rows_min:,} rows"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the strongest feature."""
        return verdict_on(self, evidence, Foresight, self._measure)

    def _measure(self, part: Foresight) -> Measured:
        return Measured(
            f"{part.strongest} alone has an AUC of {part.auc_max:.4f} on {part.rows:,} rows",
            part.auc_max <= self.auc_max and part.rows >= self.rows_min,
            (part.auc_max,),
            tables=part.tables,
        )


class NoShiftedLabel(msgspec.Struct, frozen=True, kw_only=True):
    """No feature knows what lies further ahead better than what comes next."""

    lead_max: float = 0.1
    name: str = "shifted_label"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"no feature foresees a later label better than its own by more than {self.lead_max:g} of AUC"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the feature that leads most."""
        return verdict_on(self, evidence, Foresight, self._measure)

    def _measure(self, part: Foresight) -> Measured:
        allowed = max(self.lead_max, 5.0 * part.auc_error)
        return Measured(
            f"{part.leading} by {part.lead_max:+.4f}, allowed {allowed:.4f} on {part.rows:,} rows",
            part.lead_max <= allowed,
            (part.lead_max, allowed),
        )
