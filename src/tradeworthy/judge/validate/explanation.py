"""Explanation: whether the model's reasons are stable, allowed, worded, and can be summed up."""

import msgspec

from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part, Table


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

    def checks(self, profile: ProfileName, /) -> list[Check]:
        """Return the checks; agreement across folds in the full profile only."""
        always: list[Check] = [
            ReasonsStable(agreement_min=self.noise_agreement_min),
            ReasonsAllowed(forbidden=self.forbidden, leading=self.leading),
            ReasonsWorded(),
            SurrogateFaithful(fidelity_min=self.surrogate_fidelity_min),
        ]
        return [*always, ReasonsAcrossFolds(agreement_min=self.fold_agreement_min)] if profile == "full" else always


class ReasonsStable(msgspec.Struct, frozen=True, kw_only=True):
    """Reasons survive small noise."""

    agreement_min: float
    name: str = "reasons_stable"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"reasons after small noise agree with those before by a mean cosine of {self.agreement_min:g}"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the agreement."""
        return verdict_on(self, evidence, Explanation, self._measure)

    def _measure(self, part: Explanation) -> Measured:
        said = f"mean cosine {part.noise_agreement:.3f} on {part.rows:,} rows"
        holds = part.noise_agreement >= self.agreement_min
        return Measured(said, holds, (part.noise_agreement,), tables=part.tables)


class ReasonsAllowed(msgspec.Struct, frozen=True, kw_only=True):
    """The leading reasons are ones that the policy allows."""

    forbidden: list[str]
    leading: int
    name: str = "reasons_allowed"

    @property
    def requirement(self) -> str:
        """What must hold."""
        named = ", ".join(self.forbidden) or "no feature is forbidden"
        return f"none of the {self.leading} leading features is forbidden ({named})"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the leading features."""
        return verdict_on(self, evidence, Explanation, self._measure)

    def _measure(self, part: Explanation) -> Measured:
        lead = part.leading[: self.leading]
        found = [name for name in lead if name in self.forbidden]
        said = f"forbidden and leading: {', '.join(found)}" if found else f"leading: {', '.join(lead)}"
        return Measured(said, not found)


class ReasonsWorded(msgspec.Struct, frozen=True, kw_only=True):
    """Every feature has a reason code."""

    name: str = "reason_codes"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return "every feature has a code and a text in the catalogue of reasons"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the features that have none."""
        return verdict_on(self, evidence, Explanation, self._measure)

    def _measure(self, part: Explanation) -> Measured:
        without = ", ".join(part.codes_missing)
        said = f"without a code: {without}" if without else f"{len(part.leading)} features, catalogue {part.catalogue}"
        return Measured(said, not without)


class SurrogateFaithful(msgspec.Struct, frozen=True, kw_only=True):
    """A small tree can stand in for the model, so far as that is asked for."""

    fidelity_min: float | None
    name: str = "surrogate"

    @property
    def requirement(self) -> str:
        """What must hold."""
        if self.fidelity_min is None:
            return "nothing; how much of the margins a small tree explains"
        return f"a small tree explains at least {self.fidelity_min:.0%} of the margins' variance"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the share that is explained."""
        return verdict_on(self, evidence, Explanation, self._measure)

    def _measure(self, part: Explanation) -> Measured:
        said = f"a tree of 16 leaves explains {part.surrogate_fidelity:.0%} of the margins' variance"
        holds = None if self.fidelity_min is None else part.surrogate_fidelity >= self.fidelity_min
        return Measured(said, holds, (part.surrogate_fidelity,))


class ReasonsAcrossFolds(msgspec.Struct, frozen=True, kw_only=True):
    """Models of other stretches of history go by the same features."""

    agreement_min: float
    name: str = "reasons_across_folds"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return f"features are as important in every fold's model: mean cosine of at least {self.agreement_min:g}"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the agreement."""
        return verdict_on(self, evidence, FoldReasons, self._measure)

    def _measure(self, part: FoldReasons) -> Measured:
        said = f"mean cosine {part.importance_agreement:.3f} over {part.folds} folds, {part.rows:,} rows"
        return Measured(said, part.importance_agreement >= self.agreement_min, (part.importance_agreement,))
