"""A caller's row as the values of an event: what the version reads, and the groups that it does not read.

Idea:   a project says once what stands in pushed rows, in which order and with which words (`[[rows]]`, or `columns`
        and `words` of `[monitor.fairness]`). The version reads the first of them, its outcome is the next; what stands
        behind is recorded with the row, so that fairness can be watched by it.
Undefined: a group that a caller leaves out is NaN, and its decision in no group.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.core.errors import near
from tradeworthy.model.version import Version

Group = float | str
"""A number, or a word of a column that holds text, which may be given by its place too."""


class RowColumns(NamedTuple):
    """What stands in pushed rows, in order, and the words of those columns that hold text, each by its place."""

    names: Sequence[str] = ()
    words: Mapping[str, Sequence[str]] = {}


NO_MORE = RowColumns()


class RowLayout:
    """Where a version's fields and the groups beside them stand in an event.

    Parameters
    ----------
    version : Version
        Reads the first columns.
    columns : RowColumns
        The project's.

    Attributes
    ----------
    fields : tuple of str
        What the version reads.
    groups : dict of str to int
        Their places among the values of the event.
    """

    def __init__(self, version: Version, columns: RowColumns) -> None:
        self.fields = version.program.row_fields
        first = len(self.fields) + (version.manifest.label.get("kind") == "outcome")
        self.groups = {name: place for place, name in enumerate(columns.names) if place >= first}
        self._words = columns.words

    def values(self, values: Mapping[str, float] | Sequence[float], groups: Mapping[str, Group]) -> Sequence[float]:
        """Return the values of an event, those of the version first.

        Raises
        ------
        RequestRefused
            The fields are not those that the version reads, or a group is not one of the project's.
        """
        read = self._named(values) if isinstance(values, Mapping) else values
        if len(read) != len(self.fields):
            words = f"a row of {len(read)} values, the version reads {len(self.fields)}: {self.fields}"
            raise RequestRefused(400, words)
        return [*read, *self._behind(groups)] if groups else read

    def _named(self, values: Mapping[str, float]) -> Sequence[float]:
        """Return a row's values in the order of the version's fields."""
        fields = self.fields
        if values.keys() != {*fields}:
            self._refuse_fields(values)
        return [values[name] for name in fields]

    def _refuse_fields(self, values: Mapping[str, float]) -> None:
        for name in values:
            if name in self.groups:
                raise RequestRefused(400, f"{name!r} is no field that the version reads; send it in groups")
            if name not in self.fields:
                hint = near(name, self.fields)
                raise RequestRefused(400, f"row field {name!r} is unknown{hint}; allowed are {self.fields}")
        raise RequestRefused(400, f"row fields {[name for name in self.fields if name not in values]} are missing")

    def _behind(self, groups: Mapping[str, Group]) -> list[float]:
        """Return what stands behind the version's fields, as far as the last group that is told."""
        places = [self._place(name) for name in groups]
        behind = [math.nan] * (max(places) + 1 - len(self.fields))
        for place, (name, group) in zip(places, groups.items(), strict=True):
            behind[place - len(self.fields)] = self.code(name, group)
        return behind

    def _place(self, name: str) -> int:
        """Return where a group stands in the event."""
        if name not in self.groups:
            hint = near(name, self.groups)
            allowed = f"allowed are {[*self.groups]}" if self.groups else "this project's rows have none"
            raise RequestRefused(400, f"group {name!r} is unknown{hint}; {allowed}")
        return self.groups[name]

    def code(self, name: str, group: Group) -> float:
        """Return the number that stands for a group on the tape.

        Raises
        ------
        RequestRefused
            The column has no such word, or holds no text.
        """
        words = self._words.get(name)
        if isinstance(group, str):
            if words and group in words:
                return float(words.index(group))
        elif words is None or group in range(len(words)):
            return group
        found = f"{group!r}{near(group, words or ())}" if isinstance(group, str) else f"{group:g}"
        allowed = f"one of {list(words)}, or its place from 0" if words else "a number: its [[rows]] name no categories"
        raise RequestRefused(400, f"group {name!r} is {found}; allowed is {allowed}")
