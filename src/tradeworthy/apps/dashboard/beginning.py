"""Where a page begins to read a tape: at its beginning or, if that is long ago, at a checkpoint with what the desk had.

Idea:   a desk with months of tape opens in the time of one with an hour. The engine's own checkpoint has positions,
        marks, fees, profit and the highest equity up to a record; what is counted or drawn begins there, and says so.
Units:  quantities in units of the instrument, money in its currency; `pnl` is after fees.
Undefined: without a checkpoint that fits the desk's instruments everything is read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.instruments import Instrument
from tradeworthy.record.reader import TapeReader

Floats = npt.NDArray[np.float64]

RECORDS_MIN = 500_000
"""How many records, of all streams, a first look reads at least: what a busy hour leaves."""


class Beginning(NamedTuple):
    """What a desk had after a record.

    Attributes
    ----------
    after : int
        The record's sequence; 0 is the beginning of the tape.
    ts_ns : int
        When the first event after it happened; 0 at the beginning of the tape.
    held, cash, marks, fees : (instruments,) float64
        Positions, profit without what is held, the last prices (NaN before the first), fees paid.
    peak : float
        The highest equity so far, at least 0.
    """

    after: int
    ts_ns: int
    held: Floats
    cash: Floats
    marks: Floats
    fees: Floats
    peak: float

    @classmethod
    def nothing(cls, instruments: Sequence[Instrument]) -> Self:
        """Return the beginning of a tape."""
        n = len(instruments)
        return cls(0, 0, np.zeros(n), np.zeros(n), np.full(n, np.nan), np.zeros(n), 0.0)

    @classmethod
    def of(cls, tape: Path, instruments: Sequence[Instrument], records_min: int) -> Self:
        """Return where to begin so that at least so many records come after, and little more."""
        nothing = cls.nothing(instruments)
        try:
            reader = TapeReader(tape)
            upto = reader.last_sequence() - records_min
            found = reader.checkpoint(upto) if upto > 0 else None
            if found is None:
                return nothing
            after, state = found
            first = reader.read("inputs", after, 1)
        except TradeworthyError:  # whoever reads on is told what is wrong with the tape
            return nothing
        positions = state.get("desk/positions")
        if positions is None or len(positions) != len(instruments) or not len(first):
            return nothing
        held, marks, fees = (positions[name].astype(np.float64) for name in ("quantity", "mark", "fees"))
        multipliers = np.array([each.multiplier for each in instruments])
        cash = positions["pnl"] - np.where(held != 0.0, held * marks * multipliers, 0.0)
        peak = float(state["desk/account"]["peak"][0])
        return cls(after, int(first["ts_event_ns"][0]), held, cash, marks, fees, peak)
