"""Recorded inputs through a desk again, as the engine consumed them.

Idea:   resuming after a crash and replaying for proof are the same thing: inputs in the order of the tape, decision
        times as recorded, versions warmed as recorded. Nothing else is needed, so nothing else can differ.
Late:   an event whose decision was lost in a crash was decided when the engine came back, as if trading were halted:
        nobody acts on what happened before a crash. Such decisions carry a flag.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, DECISIONS, INPUTS, LATE, Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import EventBatch, Kind, Word, event_dtype
from tradeworthy.live.desk import Desk, config_in, is_own
from tradeworthy.live.path import STANDBY
from tradeworthy.live.pipeline import Pipeline, Played
from tradeworthy.live.staging import load_checked, warm_between
from tradeworthy.model.version import Version
from tradeworthy.record.tape import TapeReader

Records = npt.NDArray[np.void]

_FIRST = np.zeros(1, np.int64)  # the rules of a checkpoint that does not say by which it was made
ANSWERS = (int(Kind.FILL), int(Kind.REJECT))


def read_or_none(
    reader: TapeReader, stream: str, dtype: np.dtype[np.void], after: int = 0, upto: int | None = None
) -> Records:
    """Return a stream's records, or none where the stream does not exist yet."""
    try:
        return reader.read(stream, after, upto=upto)
    except NotFound:
        return np.empty(0, dtype)


class Recorded(NamedTuple):
    """What the tape says of the champion's decisions: when each input was decided, and under which name.

    Attributes
    ----------
    inputs, decided_ns, sequences, late : (n,) arrays
        The input, the decision's time and sequence, and whether it was made after a restart.
    """

    inputs: npt.NDArray[np.uint64]
    decided_ns: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.uint64]
    late: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, reader: TapeReader, after: int, upto: int | None = None) -> Self:
        """Read the decisions above a sequence, up to another."""
        decisions = read_or_none(reader, DECISIONS, DECISION, after, upto)
        champion = decisions[decisions["role"] == Role.CHAMPION]
        return cls(
            inputs=np.ascontiguousarray(champion["input_sequence"]),
            decided_ns=np.ascontiguousarray(champion["ts_decided_ns"]),
            sequences=np.ascontiguousarray(champion["sequence"]),
            late=(champion["flags"] & LATE) != 0,
        )

    @classmethod
    def undecided(cls, events: EventBatch, now_ns: int) -> Self:
        """Return what is known of events that nobody has decided: they are late, and decided now."""
        times = np.maximum(events["ts_recv_ns"], now_ns)
        return cls(events["sequence"], times, np.zeros(len(events), np.uint64), np.ones(len(events), np.bool_))

    @property
    def last_input(self) -> int:
        """The last input that has a decision; 0 for none."""
        return int(self.inputs[-1]) if self.inputs.size else 0

    def part(self, start: int, stop: int) -> Self:
        """Return the same for a stretch."""
        inputs, decided_ns, sequences, late = self
        return type(self)(inputs[start:stop], decided_ns[start:stop], sequences[start:stop], late[start:stop])

    def of(self, events: EventBatch) -> Self:
        """Return the same for these events, with zeros where there is no decision."""
        if not self.inputs.size:
            zeros = np.zeros(len(events), np.uint64)
            return type(self)(events["sequence"], zeros.astype(np.int64), zeros, zeros != 0)
        places = np.minimum(np.searchsorted(self.inputs, events["sequence"]), len(self.inputs) - 1)
        found = self.inputs[places] == events["sequence"]
        names = np.where(found, self.sequences[places], np.uint64(0))
        return type(self)(
            events["sequence"], np.where(found, self.decided_ns[places], 0), names, found & self.late[places]
        )


class Playback:
    """Drives a desk through the tape.

    Parameters
    ----------
    reader : TapeReader
    desk : Desk
        In the state of a checkpoint.
    load : callable
        Gives a verified version by number.
    after : int
        The checkpoint's sequence.
    upto : int, optional
        The last record that will be played.

    Attributes
    ----------
    desk : Desk
        Another one after a restart with other settings.
    recorded : Recorded
    misjudged : list of str
        Inputs whose admission came out otherwise than recorded, in words.
    """

    def __init__(
        self, reader: TapeReader, desk: Desk, load: Callable[[int], Version], after: int, upto: int | None = None
    ) -> None:
        self.desk, self.recorded = desk, Recorded.read(reader, after, upto)
        self.misjudged: list[str] = []
        self._reader, self._load = reader, load

    def play(self, inputs: EventBatch) -> Iterator[Played]:
        """Consume inputs in order, and yield what each version makes of each stretch between two control events.

        The venue's answers are settled where they stand, so that a stretch goes on over its orders.
        """
        known = self.recorded.of(inputs)
        alone = is_own(inputs) & ~np.isin(inputs["kind"], ANSWERS)
        turns = np.flatnonzero((np.diff(alone) != 0) | (np.diff(known.late) != 0)) + 1
        for start, stop in zip([0, *turns.tolist()], [*turns.tolist(), len(inputs)], strict=True):
            if start < stop and alone[start]:
                for record in inputs[start:stop]:
                    self.apply(record)
            elif start < stop:
                yield from self._stretch(inputs[start:stop], known.part(start, stop))

    def apply(self, record: np.void) -> None:
        """Consume one answer or control event; what a venue may not say changes nothing again."""
        if record["kind"] != Kind.CONTROL or record["flags"] != DenialCode.NONE:
            self.desk.settle(np.array([record]))
        elif record["values"][0] == Word.STARTED:
            self._restart(int(record["sequence"]))
        else:
            self.desk.apply(record, self._find)

    def _restart(self, sequence: int) -> None:
        """Take settings and rules with which the engine came back, where they are others; it kept its state before."""
        found = self._reader.checkpoint(sequence)
        if found is None or found[0] != sequence - 1:
            return
        same_rules = int(found[1].get("desk/manners", _FIRST)[0]) == int(self.desk.state.manners[0])
        if config_in(found[1]) != self.desk.config or not same_rules:
            self.desk, _ = restored_desk(self._reader, self._load, sequence)

    def _find(self, control: np.void) -> Pipeline:
        """Return the pipeline that a control event lets in: here already, or loaded and warmed as recorded."""
        number = int(control["reference"])
        found = self.desk.find(number)
        if found is not None:
            return found
        pipeline = self.desk.make_pipeline(load_checked(self._load, number))
        warm_between(pipeline, self._reader, int(control["values"][1]), int(control["sequence"]))
        return pipeline

    def _stretch(self, events: EventBatch, known: Recorded) -> Iterator[Played]:
        """Run market events that are all late, or all not, and the answers among them."""
        inbox, done, actors = self.desk.inbox, 0, self.desk.actors()
        names = known.sequences.astype(np.int64)
        for actor in actors:
            actor.late = bool(known.late[0])
        while done < len(events):
            turn = self.desk.take_turn(events["instrument"][done : done + inbox.room])
            count = inbox.load(events[done : done + turn])
            inbox.now_ns[:count] = known.decided_ns[done : done + count]
            for pipeline in self.desk.pipelines():
                made = pipeline.rerun(count, names[done : done + count])
                if pipeline.role != STANDBY:
                    yield made
            self._judge(events[done : done + count], inbox.records["flags"][:count])
            done += count
        for actor in actors:
            actor.late = False  # what it decides next, in whatever role, is not late any more

    def _judge(self, events: EventBatch, verdicts: npt.NDArray[np.uint8]) -> None:
        """Note the inputs that were admitted, or refused, otherwise than the record says."""
        for place in np.flatnonzero(events["flags"] != verdicts).tolist():
            found, made = (DenialCode(int(code)).name for code in (events["flags"][place], verdicts[place]))
            self.misjudged.append(f"input {events['sequence'][place]}: {found} on the tape, {made} here")


def restored_desk(reader: TapeReader, load: Callable[[int], Version], before: int | None = None) -> tuple[Desk, int]:
    """Return the desk of the newest checkpoint (at or before a sequence), and the checkpoint's sequence.

    Raises
    ------
    NotFound
        The tape has no checkpoint.
    """
    found = reader.checkpoint(before)
    if found is None:
        raise NotFound(f"{reader.folder} has no checkpoint; replay needs a tape written by an engine")
    sequence, arrays = found
    desk = Desk(config_in(arrays))
    desk.restore(arrays, load)
    return desk, sequence


def inputs_after(reader: TapeReader, sequence: int, upto: int | None = None) -> EventBatch:
    """Return the recorded inputs above a sequence, up to another."""
    return read_or_none(reader, INPUTS, event_dtype(), sequence, upto)
