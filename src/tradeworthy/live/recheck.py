"""What every check of one recorded order measured: the tape up to that order, decided again.

Idea:   the record keeps what the refusing check observed, and nothing of those that passed: writing ten numbers with
        every order would cost the order path what may never be asked for. Replay is exact to the last bit, so from
        the checkpoint before an order the desk comes to the same numbers again, whenever somebody asks.
Bits:   what is told belongs to the decision on the tape only if that came out byte for byte; otherwise nothing is told.
Deleted: where retention took the inputs since the checkpoint, nothing can be told.
Time:   that of the inputs since the checkpoint, tens of thousands at most.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.live.playback import Playback, inputs_after, restored_desk
from tradeworthy.live.replay import record_bytes
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.model.version import Version
from tradeworthy.record.reader import TapeReader


class Measured(NamedTuple):
    """What each check of an order observed and the limit it was held to, in the order of `CHECKS`; NaN is missing."""

    observed: npt.NDArray[np.float64]
    limits: npt.NDArray[np.float64]

    @property
    def held(self) -> npt.NDArray[np.bool_]:
        """Whether each is known to hold, as `judge.first_refusal` compares them."""
        least = np.array([check.at_least for check in CHECKS])
        return np.where(least, self.observed >= self.limits, self.observed <= self.limits)


def is_measured(decision: np.void) -> bool:
    """Tell whether a decision came to an order that the checks measured: one that acts, that wanted one, not halted."""
    verdict = int(decision["verdict"])
    wanted = decision["quantity"] != 0.0 if verdict == DenialCode.NONE else verdict > DenialCode.HALTED
    return bool(wanted and decision["role"] == Role.CHAMPION)


def measured_again(reader: TapeReader, load: Callable[[int], Version], decision: np.void) -> Measured:
    """Return what each check of a recorded order measured.

    Parameters
    ----------
    reader : TapeReader
    load : callable
        Gives a verified version by number.
    decision : DECISION record
        One that `is_measured`.

    Raises
    ------
    NotFound
        What it takes was deleted: a version, a checkpoint, or inputs since the last one.
    """
    asked = int(decision["input_sequence"])
    desk, after = restored_desk(reader, load, asked - 1)
    playback = Playback(reader, desk, load, after, int(decision["sequence"]))
    made = None
    for each in playback.play(inputs_after(reader, after, asked)):
        if each.pipeline.number == decision["version"] and each.decisions.size:
            made = each.decisions[-1:]
    if made is None or (record_bytes(made) != record_bytes(decision.reshape(1))).any():
        raise NotFound(
            f"decision {decision['sequence']} does not come out as recorded when made again from record {after} on; "
            "retention deleted inputs since then, or this is a machine of another kind: tradeworthy replay says which"
        )
    state = playback.desk.state
    return Measured(state.observed.copy(), state.limits[int(decision["instrument"])].copy())
