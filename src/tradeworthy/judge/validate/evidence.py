"""What was gathered about one candidate: parts, each filled by one gatherer of change/evidence and judged here.

Idea:      a part is a struct of plain figures, defined in the file of the checks that judge it.
Undefined: a part that was not gathered is absent, with the reason why; the checks that need it answer *missing*.
Units:     in the names; log loss in nats; errors and tolerances in units of the score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import msgspec

from tradeworthy.judge.validate.purpose import Purpose

Cell = float | int | str | bool | None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of figures behind a verdict, for people.

    Attributes
    ----------
    title : str
        What it shows.
    columns : list of str
        Their names, with units.
    rows : list of list
        A cell a column; None is not known.
    chart : str
        How a page draws it: ``bars`` of the first number in each row under the row's first cell, ``line`` of every
        other column over the first, ``intervals`` of the first three numbers (value, lower, upper bound),
        ``reliability`` of the first four (mean score, share that came true, its bounds), or nothing.
    level : float or None
        What is required of the figure that is drawn.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    chart: Literal["", "bars", "line", "intervals", "reliability"] = ""
    level: float | None = None


def known(value: float) -> float | None:
    """Return a number for a table's cell, or nothing where it is none."""
    return float(value) if math.isfinite(value) else None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One subject's figures. Its docstring opens with what they say about the candidate."""

    @classmethod
    def what(cls) -> str:
        """Return what the part is called in a sentence: its class's name in words."""
        words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in cls.__name__)
        return f"evidence of {words.strip()}"


P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Evidence:
    """Everything that was gathered about one version.

    Attributes
    ----------
    version : str
        Digest of the version.
    profile : str
        How much was to be gathered: ``quick`` or ``full``.
    parts : sequence of Part
        One of a kind.
    absent : mapping of str to str
        By the name of a kind of part: why it was not gathered.
    purpose : Purpose or None
        What the version is for; None where its bundle was refused, and nothing that it says is believed.
    """

    version: str
    profile: str = "quick"
    parts: Sequence[Part] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    purpose: Purpose | None = None

    def part(self, kind: type[P]) -> P | None:
        """Return the part of a kind, or None if it was not gathered."""
        return next((part for part in self.parts if isinstance(part, kind)), None)

    def why(self, kind: type[Part]) -> str:
        """Return why a kind of part is absent; empty if nobody said."""
        return self.absent.get(kind.__name__, "")
