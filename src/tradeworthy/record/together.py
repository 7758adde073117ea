"""Several streams of one tape, read together: each look ends at one sequence up to which all of them were read.

Idea:   streams are read one after the other while somebody writes them, so one may already show what came after records
        of another that were not there yet. What streams say together is whole only up to a sequence that all of them
        were read to: a look gives records up to it, and holds the others back for the next.
Time:   one writer, one order: whoever sees a record can see all before it. So a stream that is read to its end after a
        record was seen in any other has nothing more to show before that.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tradeworthy.record.mapped import Records
from tradeworthy.record.reader import Cursor


class Together:
    """One place in several streams that moves on as the writer writes.

    Parameters
    ----------
    tape : Path
        The tape's folder; it may not exist yet, nor may its streams.
    after : mapping of str to int
        Of each stream the sequence above which it is read, in the order in which a look gives them.
    batch : int
        At most so many records of a stream are read for one look.
    """

    def __init__(self, tape: Path, after: Mapping[str, int], *, batch: int) -> None:
        self._after, self._batch = dict(after), batch
        self._cursors = {stream: Cursor(tape, stream, place) for stream, place in after.items()}
        self._held: dict[str, Records] = {}

    def look(self, until: int | None = None) -> tuple[dict[str, Records], bool]:
        """Return what is new of each stream that has something, and whether that was all when the look began.

        Parameters
        ----------
        until : int, optional
            Records with a higher sequence are not given.

        Raises
        ------
        RecordCorrupt
            A record is damaged.
        """
        seen = max(self._read(stream) for stream in self._after)
        if not self._held:
            return {}, True
        for stream in self._after:
            self._read(stream)
        full = [_last(held) for held in self._held.values() if len(held) >= self._batch]
        reached = min([seen, *full] if until is None else [seen, *full, until])
        given = {stream: self._give(stream, reached) for stream in self._after if stream in self._held}
        return {stream: records for stream, records in given.items() if len(records)}, not full

    def _read(self, stream: str) -> int:
        """Read on in one stream as far as a look may; return the last sequence that was read of it."""
        held = self._held.get(stream)
        room = self._batch - (0 if held is None else len(held))
        if len(fresh := self._cursors[stream].poll(room)):
            held = self._held[stream] = fresh if held is None else np.concatenate([held, fresh])
        return self._after[stream] if held is None else _last(held)

    def _give(self, stream: str, reached: int) -> Records:
        """Return the records of a stream up to a sequence; hold back those above."""
        held = self._held.pop(stream)
        count = int(np.searchsorted(held["sequence"], np.uint64(max(reached, 0)), side="right"))
        if count < len(held):
            self._held[stream] = held[count:]
        if count:
            self._after[stream] = int(held["sequence"][count - 1])
        return held[:count]


def _last(records: Records) -> int:
    return int(records["sequence"][-1])
