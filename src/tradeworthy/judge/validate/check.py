"""What a check of the gate is: one requirement, held against one part of the evidence.

Idea:      a check is a small object with a name, its requirement in words, and one method; the gate runs a list.
           Checks on one subject form a family: a part of the evidence and a struct of requirements whose methods hold
           them against it, all in one file. `GateSettings` in gate.py is the list of families.
Undefined: evidence that is absent, or not a number, is *missing*; it never passes. What cannot apply to a version,
           because of what was signed, is *inapplicable*, and says why.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from tradeworthy.judge.validate.evidence import Cell, Evidence, Part, Table, known
from tradeworthy.judge.validate.purpose import Purpose, to_all

ProfileName = Literal["quick", "full"]
"""How much evidence is gathered: seconds of it, or all of it."""

Verdict = Literal["pass", "fail", "missing", "info", "inapplicable", "overridden"]
"""`missing` stops a version as `fail` does; of `info` nothing is required; `inapplicable` cannot be asked of it;
`overridden` would stop it, had not two people set it aside."""

P = TypeVar("P", bound=Part)


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check's verdict, with what it rests on."""

    name: str
    requirement: str
    measured: str
    verdict: Verdict
    interval: tuple[float, float] | None = None
    evidence: dict[str, float | int | str | bool | list[str]] = {}
    tables: list[Table] = []

    @property
    def stops(self) -> bool:
        """Whether the version is refused because of it."""
        return self.verdict in {"fail", "missing"}


class Check(Protocol):
    """Judges evidence; gathers none and runs nothing."""

    @property
    def name(self) -> str:
        """Short name, unique in a gate."""

    @property
    def requirement(self) -> str:
        """What must hold, in words."""

    def judge(self, evidence: Evidence) -> CheckResult:
        """Return the verdict on one version's evidence."""


class Family(Protocol):
    """The requirements of one subject: a section ``[gate.NAME]`` of the settings."""

    def checks(self, profile: ProfileName, /) -> Sequence[Check]:
        """Return the checks that a profile asks for."""


class Measured(NamedTuple):
    """What a check found in its part of the evidence.

    Attributes
    ----------
    said : str
        The figures, in words.
    holds : bool or None
        Whether the requirement is met; None where nothing is required.
    numbers : tuple of float
        What the verdict rests on: if one is NaN, the evidence is missing.
    interval : (float, float), optional
        Of the leading figure.
    tables : sequence of Table
        For people.
    """

    said: str
    holds: bool | None
    numbers: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class PartCheck(Generic[P]):
    """The check that nearly all are: one requirement, held against one part of the evidence.

    Attributes
    ----------
    name : str
        Short, unique in a gate.
    kind : type of Part
        What it judges; where that was not gathered the verdict is *missing*.
    requirement : str
        What must hold, in words.
    measure : callable
        Holds the requirement against the part.
    required : bool
        Whether the profile asks for it; if not, the verdict is *info* whatever was found.
    inapplicable : callable
        From what the version is to why the requirement cannot apply to it, or to nothing. A version of which that is
        not known is asked everything.
    """

    name: str
    kind: type[P]
    requirement: str
    measure: Callable[[P], Measured]
    required: bool = True
    inapplicable: Callable[[Purpose], str] = to_all

    def judge(self, evidence: Evidence) -> CheckResult:
        """Return the verdict: whether it applies, then whether its part was gathered, then whether it holds."""
        asked = self.requirement if self.required else f"nothing in this profile; in full: {self.requirement}"
        exempt = self.inapplicable(evidence.purpose) if evidence.purpose else ""
        if exempt:
            said = f"does not apply: {exempt}"
            return CheckResult(name=self.name, requirement=self.requirement, measured=said, verdict="inapplicable")
        part = evidence.part(self.kind)
        if part is None:
            why = evidence.why(self.kind)
            said = f"{self.kind.what()} was not gathered{': ' + why if why else ''}"
            absent: Verdict = "missing" if self.required else "info"
            return CheckResult(name=self.name, requirement=asked, measured=said, verdict=absent)
        found = self.measure(part)
        return CheckResult(
            name=self.name,
            requirement=asked,
            measured=found.said,
            verdict=_verdict(found) if self.required else "info",
            interval=found.interval if found.interval and all(map(math.isfinite, found.interval)) else None,
            evidence=_fields(part),
            tables=[msgspec.structs.replace(table, rows=_plain_rows(table)) for table in found.tables],
        )


def _verdict(found: Measured) -> Verdict:
    """Return the verdict; a number that is not one makes it missing."""
    if found.holds is None:
        return "info"
    if any(math.isnan(number) for number in found.numbers):
        return "missing"
    return "pass" if found.holds else "fail"


def _fields(part: Part) -> dict[str, float | int | str | bool | list[str]]:
    """Return a part's plain values; tables, and numbers that are none, are left out."""
    found = {name: getattr(part, name) for name in part.__struct_fields__ if name != "tables"}
    plain = {name: value for name, value in found.items() if _is_plain(value)}
    return {name: float(value) if isinstance(value, float) else value for name, value in plain.items()}


def _plain_rows(table: Table) -> list[list[Cell]]:
    """Return a table's rows with numbers that can be written down: NumPy's as Python's, and none for what is none."""
    return [[known(cell) if isinstance(cell, float) else cell for cell in row] for row in table.rows]


def _is_plain(value: object) -> bool:
    """Tell whether a value is a known number, a text, or a list of texts."""
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))
