"""Limits: whether every one of the order path is set."""

import msgspec

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.check import Check, CheckResult, Measured, ProfileName, verdict_on
from tradeworthy.judge.validate.evidence import Evidence, Part


class LimitsInForce(Part, frozen=True, kw_only=True):
    """The tighter of the desk's limits and the version's bounds."""

    limits: Limits
    unset: list[str]

    @classmethod
    def of(cls, limits: Limits) -> "LimitsInForce":
        """Note the limits, and which of them are not set."""
        return cls(limits=limits, unset=limits.missing())


class LimitsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That every limit is set; which values they have is the desk's own business."""

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the checks, in every profile."""
        return [LimitsComplete()]


class LimitsComplete(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of the order path is set, so that nothing is refused for lack of one."""

    name: str = "limits_complete"

    @property
    def requirement(self) -> str:
        """What must hold."""
        return "every limit of the order path is set"

    def judge(self, evidence: Evidence) -> CheckResult:
        """Judge the limits that are not set."""
        return verdict_on(self, evidence, LimitsInForce, self._measure)

    def _measure(self, part: LimitsInForce) -> Measured:
        count = len(Limits.__struct_fields__)
        return Measured(f"not set: {', '.join(part.unset)}" if part.unset else f"all {count} set", not part.unset)
