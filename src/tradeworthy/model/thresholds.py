"""Thresholds of their own for groups of people: a remedy for unfairness that only a law's leave makes right.

Idea:   a version that only scores may hold each group's scores against a threshold of its own, where the project says
        why the law allows it and who answers for that. It is signed with the version; each decision records which
        threshold it was held against.
Undefined: a row whose value is not listed, or is no number, is held against the common thresholds.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

COMMON = 0
"""The number of the thresholds that hold for whoever is in none of the groups."""

GROUPS_MAX = 60
"""A decision has room for the number of so many."""


class GroupThreshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The threshold of one group.

    Attributes
    ----------
    value : float
        What the column holds in rows of the group.
    enter_long : float
        Its scores select from here on, in place of `[signal] enter_long`.
    """

    value: float
    enter_long: float


class GroupThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds by group, for a version that only scores rows (`[signal] notional = 0.0`).

    Attributes
    ----------
    column : str
        The field of the rows that tells the group; the model need not see it.
    lawful : str
        Why the law allows groups to be held against different thresholds.
    owner : str
        Who answers for that.
    """

    column: str
    lawful: str
    owner: str
    group: list[GroupThreshold]

    def __post_init__(self) -> None:
        """Refuse thresholds that nobody answers for, or that contradict each other."""
        for name in ("column", "lawful", "owner"):
            if not getattr(self, name).strip():
                raise ValueError(f"thresholds by group need {name}: the column, why the law allows it, who answers")
        values = [each.value for each in self.group]
        if not 1 <= len(values) <= GROUPS_MAX or len(set(values)) < len(values):
            raise ValueError(f"thresholds by group list the values {values}; allowed are 1 to {GROUPS_MAX}, each once")
        if not all(math.isfinite(number) for each in self.group for number in (each.value, each.enter_long)):
            raise ValueError("thresholds by group must be finite numbers, and so must be the groups' values")

    def numbers(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return which threshold (n,) values of the column are held against: `COMMON`, or a group's place from 1 on."""
        found = np.zeros(len(values), np.int64)
        for number, each in enumerate(self.group, 1):
            found[values == each.value] = number
        return found

    def said(self, number: int) -> str:
        """Say whose threshold a number stands for, and why it may be another."""
        if number == COMMON:
            return f"It was held against the common threshold: {self.column} names none of the groups."
        each = self.group[number - 1]
        return (
            f"It was held against the threshold of {self.column} {each.value:g}; {self.owner} answers for it: "
            f"{self.lawful}."
        )
