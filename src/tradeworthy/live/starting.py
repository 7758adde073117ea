"""How a desk comes up: new, or as the tape says it was when the engine stopped.

Flow:   the newest checkpoint, then every recorded input after it, as in replay. What the crash left unwritten is
        written now: a shadow's missing records as they would have been; decisions of events that nobody had decided as
        *late* ones, which send nothing. Then a checkpoint, and the control event `STARTED`.
Changed: settings, rules, and the steps of instruments are those of today. The instruments themselves stay, for the tape
        knows them by their numbers only.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, DECISIONS, rows_stream
from tradeworthy.core.errors import RecordCorrupt, SettingsInvalid, TradeworthyError
from tradeworthy.core.events import WIDTH_MIN, EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import Clock
from tradeworthy.live.desk import Desk, DeskConfig, config_in, desk_config
from tradeworthy.live.pipeline import Pipeline, Played
from tradeworthy.live.playback import Playback, Recorded, inputs_after, read_or_none, restored_desk
from tradeworthy.live.recorder import Recorder
from tradeworthy.live.state import CheckSettings
from tradeworthy.model.version import Version
from tradeworthy.record.tape import TapeReader, TapeWriter

Records = npt.NDArray[np.void]

_LOT_SLACK = 1e-9
"""What sums of fills may leave, in shares of what they sum up to."""


def starting_config(
    tape: TapeWriter,
    instruments: Sequence[Instrument],
    settings: CheckSettings,
    needs: Callable[[], tuple[int, int]],
    room: int,
) -> DeskConfig:
    """Return the desk's configuration; a tape that exists keeps its width.

    Parameters
    ----------
    needs : callable
        Loads the champion asked for, and says how many values its rows have, and its widest event. Where it cannot be
        loaded, a tape that exists still has the champion before it.

    Raises
    ------
    SettingsInvalid
        The tape is of a desk with other instruments, or of narrower events.
    """
    found = TapeReader(tape.folder).checkpoint()
    if found is None:
        fields, width = needs()
        return desk_config(instruments, settings, fields, room, max(width, WIDTH_MIN))
    config = config_in(found[1])
    _require_same(config.instruments, instruments, tape)
    fields, width = config.row_fields, config.width
    with suppress(TradeworthyError):
        fields, width = (max(pair) for pair in zip((fields, width), needs(), strict=True))
    if width > config.width:
        raise SettingsInvalid(
            f"an event of this desk holds {width} values by now ([[rows]] fields, [monitor.fairness] columns, or what "
            f"the champion reads), on the tape {tape.folder} it holds {config.width}, and a tape keeps its width. "
            "Leave out what came new, or name another folder as [desk] state, and train and register there"
        )
    return desk_config(instruments, settings, fields, room, width)


def _require_same(kept: Sequence[Instrument], declared: Sequence[Instrument], tape: TapeWriter) -> None:
    """Refuse a list by which the positions on the tape would be those of other things; steps may have changed."""
    for number, (was, now) in enumerate(zip_longest(kept, declared), 1):
        if _thing(was) != _thing(now):
            raise SettingsInvalid(
                f"[[instrument]] number {number} is {_thing(now)}, on the tape {tape.folder} it is {_thing(was)}. "
                "Positions are kept by that number, so of an instrument only tick and lot may change. Put it back, or "
                "name another folder as [desk] state; what shall not be traded any more can be halted"
            )


def _thing(instrument: Instrument | None) -> str:
    """Say what an instrument is, apart from its steps."""
    if instrument is None:
        return "none"
    traded = "traded" if instrument.traded else "not traded"
    return f"{instrument.symbol!r} (in {instrument.currency}, multiplier {instrument.multiplier}, {traded})"


class Resumption:
    """Brings a new desk to where the tape ends.

    Parameters
    ----------
    desk : Desk
        As new.
    recorder : Recorder
        Completes what a crash left unwritten.
    load : callable
        Gives a verified version by number.
    clock : Clock
        Times late decisions.
    """

    def __init__(self, desk: Desk, recorder: Recorder, load: Callable[[int], Version], clock: Clock) -> None:
        self._desk, self._recorder, self._load, self._clock = desk, recorder, load, clock
        self._reader = TapeReader(recorder.tape.folder)
        self.late_decisions = 0

    def resume(self) -> None:
        """Restore the newest checkpoint and consume what the tape has after it; a new tape is left as it is.

        Raises
        ------
        RecordCorrupt
            The tape has records, but no checkpoint.
        SettingsInvalid
            What is held or ordered is not a whole number of today's lots.
        """
        if self._reader.checkpoint() is None:
            self._require_new()
            return
        desk, sequence = restored_desk(self._reader, self._load)
        playback = Playback(self._reader, desk, self._load, sequence)
        inputs = inputs_after(self._reader, sequence)
        decided = inputs["sequence"] <= playback.recorded.last_input
        completion = _Completion(self._reader, self._recorder, sequence)
        for made in playback.play(inputs[decided]):
            completion.write(made)
        self._decide_late(playback, inputs[~decided])
        self._take_over(playback.desk)

    def _require_new(self) -> None:
        """Refuse a tape whose records have lost the state that they begin with."""
        if self._recorder.next_sequence > 1:
            raise RecordCorrupt(
                f"{self._reader.folder} has {self._recorder.next_sequence - 1} records and no whole checkpoint, so "
                "positions are not known. Restore its checkpoints from a copy, or start a new tape"
            )

    def _take_over(self, desk: Desk) -> None:
        """Go on from the state of the desk that consumed the tape, under the settings, steps and rules of today."""
        state = self._desk.state
        grid, rules, manners = state.grid.copy(), state.rules.copy(), state.manners.copy()
        self._desk.restore(desk.dump(), self._load)
        state.grid[:], state.rules[:], state.manners[:] = grid, rules, manners
        self._require_whole_lots(grid["lot"] != desk.state.grid["lot"])
        for actor in self._desk.actors():
            actor.late = False

    def _require_whole_lots(self, changed: npt.NDArray[np.bool_]) -> None:
        """Refuse a changed lot in which what is held or ordered cannot be counted."""
        state = self._desk.state
        orders = state.orders[: state.account["open_orders"][0]]
        held = enumerate(state.positions["quantity"].tolist())
        ordered = zip(orders["instrument"].tolist(), orders["remaining"].tolist(), strict=True)
        for number, quantity in (*held, *ordered):
            instrument = self._desk.config.instruments[number]
            lots = quantity / instrument.lot
            if changed[number] and abs(lots - round(lots)) > _LOT_SLACK * max(1.0, abs(lots)):
                raise SettingsInvalid(
                    f"[[instrument]] {instrument.symbol!r} has a lot of {instrument.lot}, and {quantity} is held or "
                    "ordered, which is no whole number of lots. Put the lot back until the position is closed"
                )

    def _decide_late(self, playback: Playback, inputs: EventBatch) -> None:
        """Consume what was recorded but never decided."""
        playback.recorded = Recorded.undecided(inputs, self._clock.now_ns())
        for made in playback.play(inputs):
            self.late_decisions += made.decisions.size
            self._recorder.outcome(made)


class _Known(NamedTuple):
    """What a tape has of one version after a checkpoint: its decisions' inputs and names, and how far its rows go.

    Attributes
    ----------
    last_input, last_row : int
        The input of the last decision, the decision of the last row; 0 for none.
    complete : int
        Up to this input nothing is missing.
    """

    inputs: npt.NDArray[np.uint64]
    names: npt.NDArray[np.uint64]
    last_input: int
    last_row: int
    complete: int

    @classmethod
    def of(cls, decisions: Records, rows: Records) -> Self:
        """Return it for the decisions and rows of the tape."""
        inputs, names = decisions["input_sequence"], decisions["sequence"]
        last_input = int(inputs[-1]) if inputs.size else 0
        last_row = int(rows["decision"][-1]) if rows.size else 0
        with_row = int(np.searchsorted(names, last_row, side="right"))
        return cls(inputs, names, last_input, last_row, int(inputs[with_row - 1]) if with_row else 0)


class _Completion:
    """Writes those records of the last run that the tape does not have.

    Of each version, the last decisions and the last rows can be missing: both are written in order.
    """

    def __init__(self, reader: TapeReader, recorder: Recorder, after: int) -> None:
        self._reader, self._recorder, self._after = reader, recorder, after
        self._decisions = read_or_none(reader, DECISIONS, DECISION, after)
        self._known: dict[int, _Known] = {}

    def write(self, made: Played) -> None:
        """Write what is missing of the decisions and rows of one version's run."""
        inputs, known = made.decisions["input_sequence"], self._known_of(made.pipeline)
        if not inputs.size or inputs[-1] <= known.complete:
            return
        count = int(np.searchsorted(inputs, known.last_input, side="right"))
        early = made.row_decisions < count
        names = known.names[np.searchsorted(known.inputs, inputs[made.row_decisions[early]])]
        lost = names > known.last_row
        if lost.any():
            self._recorder.rows(made.pipeline, made.rows[early][lost], names[lost])
        self._recorder.outcome(
            Played(
                made.pipeline,
                made.decisions[count:],
                made.rows[~early],
                made.row_decisions[~early] - count,
                made.orders[:0],
            )
        )

    def _known_of(self, pipeline: Pipeline) -> _Known:
        """Return what the tape had of a version, before anything was completed."""
        if pipeline.number not in self._known:
            decisions = self._decisions[self._decisions["version"] == pipeline.number]
            rows = read_or_none(self._reader, rows_stream(pipeline.number), pipeline.rows.dtype, self._after)
            self._known[pipeline.number] = _Known.of(decisions, rows)
        return self._known[pipeline.number]
