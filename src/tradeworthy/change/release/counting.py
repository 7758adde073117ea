"""How many decisions of a role a growing tape has: what cool-downs, comparisons and probations are counted in."""

from pathlib import Path

import numpy as np

from tradeworthy.core.decisions import DECISIONS, Role
from tradeworthy.record.reader import Cursor


class DecisionCount:
    """How many decisions of one role a tape has after a sequence; each record is read once."""

    def __init__(self, tape: Path, role: Role) -> None:
        self._tape, self._role = tape, role
        self._asked: tuple[int, int | None] | None = None
        self._cursor = Cursor(tape, DECISIONS)
        self.count, self.first = 0, 0

    def update(self, after: int, version: int | None) -> int:
        """Count on, or afresh if another sequence or version is asked for; `first` is the input of the first."""
        if self._asked != (after, version):
            self._asked, self.count, self.first = (after, version), 0, 0
            self._cursor = Cursor(self._tape, DECISIONS, after)
        while len(records := self._cursor.poll()):
            mine = records["role"] == self._role
            if version is not None:
                mine &= records["version"] == version
            if self.count == 0 and mine.any():
                self.first = int(records["input_sequence"][mine][0])
            self.count += int(np.count_nonzero(mine))
        return self.count
