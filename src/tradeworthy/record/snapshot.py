"""The record at one moment: some streams, cut at the same sequence, wherever their segments are.

Idea:   every stream is looked at twice. The highest sequence seen in the first look is the cut; whatever was written
        before it is visible to the second, as the writer writes in order. A segment that is archived meanwhile is
        still mapped here, or in the archive by the time that is listed: it counts once.
State:  segments stay mapped while the snapshot lives.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tradeworthy.record.archived import Archived, archived_segments
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.parquet import arrow_table
from tradeworthy.record.reader import STREAMS, TapeReader
from tradeworthy.record.segment import segment_paths

_CHECKERS = 4  # threads


class Snapshot:
    """Streams of a tape, up to one sequence.

    Parameters
    ----------
    tape : Path
        The tape's folder; it need not exist.
    streams : iterable of str
        Their names; those that do not exist are empty.

    Raises
    ------
    RecordCorrupt
        A segment on the tape is damaged.
    """

    def __init__(self, tape: Path, streams: Iterable[str]) -> None:
        self._tape = tape
        self._durable = durable_mark(tape).sequence
        self._declared = TapeReader(tape).streams() if (tape / STREAMS).is_dir() else {}
        self._segments: dict[str, dict[int, MappedSegment]] = {stream: {} for stream in streams}
        seen = [self._look(stream) for stream in self._segments]
        self.upto = max(seen, default=0)
        """The last sequence that counts."""
        for stream in self._segments:
            self._look(stream)

    def _look(self, stream: str) -> int:
        """Map and check what is new in a stream; return its highest sequence on the tape."""
        known, last = self._segments[stream], 0
        for path in segment_paths(self._tape / STREAMS / stream):
            try:
                segment = known.setdefault(int(path.stem), known.get(int(path.stem)) or MappedSegment(path))
            except FileNotFoundError:
                continue  # archived meanwhile
            segment.check(self._durable, deep=True)
            last = max(last, segment.last_sequence if segment.checked else 0)
        return last

    def on_tape(self, stream: str, default: np.dtype[Any]) -> pa.Table:
        """Return as columns what a stream holds on the tape; of type `default` where there is no such stream."""
        empty = np.empty(0, self._declared.get(stream, default))
        segments = self._segments[stream].values()
        parts = [arrow_table(segment.records[: segment.place_after(self.upto)]) for segment in segments]
        return pa.concat_tables([arrow_table(empty), *parts])

    def archived(self, stream: str) -> list[Path]:
        """Return the Parquet files of what is no longer on the tape, every byte of them checked.

        Raises
        ------
        RecordCorrupt
            A file is damaged.
        """
        found = archived_segments(self._tape / STREAMS / stream)
        files = [file for number, file in found.items() if number not in self._segments[stream]]
        with ThreadPoolExecutor(_CHECKERS) as pool:
            list(pool.map(Archived.check, files))
        return [file.path for file in files]
