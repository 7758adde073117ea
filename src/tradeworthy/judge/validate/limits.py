"""Limits: whether every one of the order path is set."""

import msgspec

from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part


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
        return [
            PartCheck("limits_complete", LimitsInForce, "every limit of the order path is set", self._limits_complete)
        ]

    def _limits_complete(self, part: LimitsInForce) -> Measured:
        """Judge the limits that are not set."""
        count = len(Limits.__struct_fields__)
        return Measured(f"not set: {', '.join(part.unset)}" if part.unset else f"all {count} set", not part.unset)
