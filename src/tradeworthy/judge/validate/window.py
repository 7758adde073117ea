"""The window: which part of the past a version learned from, how it was weighted, and whether that is enough.

Idea:   the window that foresees best may be short, and weights may rest all on a few rows. What rows are worth after
        weighting says how much was really learned from; every choice that was tried is told with how it fared.
Units:  rows; losses are those of the training, a row, each over the folds in which its choice could be tried.
Reference: Kish (1965) for what weighted rows are worth.
"""

from collections.abc import Sequence

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.judge.validate.check import Check, Measured, PartCheck, ProfileName
from tradeworthy.judge.validate.evidence import Part, Table


class TrainingWindow(Part, frozen=True, kw_only=True):
    """Which window of the past was chosen, among how many; empty where training had no choice.

    Attributes
    ----------
    chosen : str
        What it is called, its weights included.
    rows, effective_rows : float
        That it holds, and what they are worth after weighting.
    tables : sequence of Table
        Every window that was tried.
    """

    chosen: str = ""
    rows: float = 0.0
    effective_rows: float = 0.0
    tables: Sequence[Table] = ()


class WindowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version must have learned from, where training chose its window.

    Attributes
    ----------
    effective_rows_min : int
        The rows of the chosen window are worth at least so many after weighting.
    """

    effective_rows_min: int = 200

    def __post_init__(self) -> None:
        """Refuse numbers that would ask nothing, or what nothing can be."""
        require(self, "gate.window", counts=("effective_rows_min",))

    def checks(self, _profile: ProfileName, /) -> list[Check]:
        """Return the check, in every profile."""
        asked = f"a window that training chose is worth at least {self.effective_rows_min:,} rows after weighting"
        return [PartCheck("training_window", TrainingWindow, asked, self._judge)]

    def _judge(self, part: TrainingWindow) -> Measured:
        """Judge what the chosen window is worth."""
        if not part.chosen:
            return Measured("training had no choice of window: it learned from all rows alike", None)
        return Measured(
            f"{part.chosen}: {part.rows:,.0f} rows, worth {part.effective_rows:,.0f}",
            part.effective_rows >= self.effective_rows_min,
            (part.effective_rows,),
            tables=part.tables,
        )
