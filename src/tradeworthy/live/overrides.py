"""Overrides of a hard block: one order that a check refused may pass that check, within a wider limit, once.

Idea:   two people have looked at one refused order. Until an order of its instrument is sent, or the time is over, that
        one limit is the one that they allowed; every other check holds as ever. Beginning and end are control events,
        so replay gives the same orders.
State:  every override that a desk ever heard of, by the decision that was refused: it begins once, and never again.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import Word
from tradeworthy.core.limits import LEAST, LIMIT_FIELDS

NAME = "overrides"


class End(IntEnum):
    """How an override ended; `NOT_YET` while it is in force."""

    NOT_YET = 0
    SENT = 1
    EXPIRED = 2
    RESTARTED = 3


class Allowed(NamedTuple):
    """One override as the desk has it.

    Attributes
    ----------
    order : int
        The refused decision's sequence.
    instrument, check : int
        Its number; the place of the limit in `LIMIT_FIELDS`.
    limit : float
        The limit that is held to meanwhile.
    end, sent : int
        How it ended; the decision whose order it let pass, 0 for none.
    """

    order: int
    instrument: int
    check: int
    limit: float
    end: int = End.NOT_YET
    sent: int = 0


class Overrides:
    """The overrides of one desk."""

    def __init__(self) -> None:
        self._known: dict[int, Allowed] = {}

    def __contains__(self, order: int) -> bool:
        return order in self._known

    def active(self) -> list[Allowed]:
        """Return those in force."""
        return [each for each in self._known.values() if each.end == End.NOT_YET]

    def ended(self) -> list[Allowed]:
        """Return those that are over."""
        return [each for each in self._known.values() if each.end != End.NOT_YET]

    def hear(self, control: np.void) -> bool:
        """Take in a control event that begins or ends one, and tell whether it was such an event."""
        order, values = int(control["reference"]), control["values"].tolist()
        if values[0] == Word.OVERRIDE:
            self._known[order] = Allowed(order, int(values[2]), int(values[3]), values[1])
        elif values[0] == Word.OVERRIDE_ENDED:
            self._known[order] = self._known[order]._replace(end=int(values[1]), sent=int(values[2]))
        return values[0] in {Word.OVERRIDE, Word.OVERRIDE_ENDED}

    def widen(self, limits: npt.NDArray[np.float64]) -> None:
        """Write the wider limits of those in force over (instruments, limits); a missing limit stays missing."""
        for each in self.active():
            wider = min if LIMIT_FIELDS[each.check] in LEAST else max
            held = float(limits[each.instrument, each.check])
            if not np.isnan(held):
                limits[each.instrument, each.check] = wider(held, each.limit)

    def dump(self) -> dict[str, npt.NDArray[Any]]:
        """Return them for a checkpoint."""
        return {NAME: np.array([*self._known.values()], np.float64).reshape(-1, len(Allowed._fields))}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put back what `dump` returned; an older release had none."""
        self._known = {each.order: each for each in _read(arrays.get(NAME, np.empty((0, 6))))}


def _read(table: npt.NDArray[np.float64]) -> Iterator[Allowed]:
    for order, instrument, check, limit, end, sent in table.tolist():
        yield Allowed(int(order), int(instrument), int(check), limit, int(end), int(sent))
