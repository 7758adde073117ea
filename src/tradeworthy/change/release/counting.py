"""How many decisions of a role a growing tape has: what cool-downs, comparisons and probations are counted in."""

from pathlib import Path

from tradeworthy.core.decisions import DECISIONS, Role
from tradeworthy.record.reader import Cursor


class DecisionCount:
    """How many decisions of one role a tape has after a sequence; each record is read once."""

    def __init__(self, tape: Path, role: Role) -> None:
        self._tape, self._role = tape, role
        self._asked: tuple[int, int | None] | None = None
        self._cursor = Cursor(tape, DECISIONS)
        self.count, self.first, self.last = 0, 0, 0

    def update(self, after: int, version: int | None) -> int:
        """Count on, or afresh if anything else is asked for; `first` and `last` are the inputs of its ends."""
        if self._asked != (after, version):
            self._asked, self.count, self.first, self.last = (after, version), 0, 0, 0
            self._cursor = Cursor(self._tape, DECISIONS, after)
        while len(records := self._cursor.poll()):
            mine = records["role"] == self._role
            if version is not None:
                mine &= records["version"] == version
            if len(inputs := records["input_sequence"][mine]):
                self.first, self.last = self.first or int(inputs[0]), int(inputs[-1])
                self.count += len(inputs)
        return self.count
