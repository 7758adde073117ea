"""Explanation: whether the model's reasons are stable, allowed, worded, and can be summed up."""

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class Explanation(Part, frozen=True, kw_only=True):
    """What the model goes by: its leading features, how steady its reasons are, and which have no code.

    Attributes
    ----------
    leading : list of str
        All features, the most important first.
    noise_agreement : float
        Mean cosine between the reasons of rows and of the same rows after small noise.
    surrogate_fidelity : float
        Share of the margins' variance that a small tree explains on rows that it has not seen.
    """

    method: str
    rows: int
    leading: list[str]
    noise_agreement: float
    surrogate_fidelity: float
    catalogue: str
    codes_missing: list[str]
    tables: list[Table]


class FoldReasons(Part, frozen=True, kw_only=True):
    """Whether models fitted on other stretches of history go by the same features."""

    folds: int
    rows: int
    importance_agreement: float


class ExplanationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a version's reasons must be.

    Attributes
    ----------
    noise_agreement_min : float
        Mean cosine between the reasons of rows and of the same rows moved by 1% of each feature's width.
    fold_agreement_min : float
        Mean cosine between the importance of features here and in the models of the folds; full profile.
    forbidden : list of str
        Features that may not be among the leading ones.
    leading : int
        How many features lead.
    surrogate_fidelity_min : float or None
        Share of the margins' variance that a small tree must explain; nothing is required where it is left out.
    """

    noise_agreement_min: float = 0.8
    fold_agreement_min: float = 0.5
    forbidden: list[str] = []
    leading: int = 5
    surrogate_fidelity_min: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(
            self,
            "gate.explanation",
            counts=("leading",),
            shares=("noise_agreement_min", "fold_agreement_min", "surrogate_fidelity_min"),
        )

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks; agreement across folds in the full profile only."""
        steady = f"reasons after small noise agree with those before by a mean cosine of {self.noise_agreement_min:g}"
        worded = "every feature has a code and a text in the catalogue of reasons"
        across = f"features are as important in every fold's model: mean cosine at least {self.fold_agreement_min:g}"
        named = ", ".join(self.forbidden) or "no feature is forbidden"
        allowed = f"none of the {self.leading} leading features is forbidden ({named})"
        always: list[Check] = [
            PartCheck("reasons_stable", Explanation, steady, self._reasons_stable),
            PartCheck("reasons_allowed", Explanation, allowed, self._reasons_allowed),
            PartCheck("reason_codes", Explanation, worded, self._reason_codes),
            PartCheck("surrogate", Explanation, self._surrogate_required(), self._surrogate),
        ]
        if profile == "quick":
            return always
        return [*always, PartCheck("reasons_across_folds", FoldReasons, across, self._reasons_across_folds)]

    def _reasons_stable(self, part: Explanation) -> Measured:
        """Judge the agreement."""
        said = f"mean cosine {part.noise_agreement:.3f} on {part.rows:,} rows"
        holds = part.noise_agreement >= self.noise_agreement_min
        return Measured(said, holds, (part.noise_agreement,), tables=part.tables)

    def _reasons_allowed(self, part: Explanation) -> Measured:
        """Judge the leading features."""
        lead = part.leading[: self.leading]
        found = [name for name in lead if name in self.forbidden]
        said = f"forbidden and leading: {', '.join(found)}" if found else f"leading: {', '.join(lead)}"
        return Measured(said, not found)

    def _reason_codes(self, part: Explanation) -> Measured:
        """Judge the features that have none."""
        without = ", ".join(part.codes_missing)
        said = f"without a code: {without}" if without else f"{len(part.leading)} features, catalogue {part.catalogue}"
        return Measured(said, not without)

    def _surrogate_required(self) -> str:
        if self.surrogate_fidelity_min is None:
            return "nothing; how much of the margins a small tree explains"
        return f"a small tree explains at least {self.surrogate_fidelity_min:.0%} of the margins' variance"

    def _surrogate(self, part: Explanation) -> Measured:
        """Judge the share that is explained."""
        said = f"a tree of 16 leaves explains {part.surrogate_fidelity:.0%} of the margins' variance"
        holds = None if self.surrogate_fidelity_min is None else part.surrogate_fidelity >= self.surrogate_fidelity_min
        return Measured(said, holds, (part.surrogate_fidelity,))

    def _reasons_across_folds(self, part: FoldReasons) -> Measured:
        """Judge the agreement."""
        said = f"mean cosine {part.importance_agreement:.3f} over {part.folds} folds, {part.rows:,} rows"
        return Measured(said, part.importance_agreement >= self.fold_agreement_min, (part.importance_agreement,))
