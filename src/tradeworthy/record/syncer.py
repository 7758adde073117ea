"""Make the tape durable from another process, so that the engine never waits for the disk.

Idea:   every few milliseconds: see how far the writer is, sync the files that changed, then store the durable mark.
        Less often: hash what became durable into the block chain, sign its head and publish it elsewhere. Between: zero
        the next segment of each stream before the writer needs it.
State:  the mark and the chain on the disk; killed and started again, it goes on from there.
Time:   waits on the monotonic clock of the operating system; stamps come from the clock passed in.
Errors: a failed sync is final. The mark says so, the writer stops (RecordUnwritable), the process ends with code 1.

    python -m tradeworthy.record.syncer TAPE --heads FOLDER --key FILE
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tradeworthy.core.errors import RecordCorrupt, TradeworthyError
from tradeworthy.core.time import NS_PER_MS, NS_PER_S, Clock, SystemClock
from tradeworthy.record.chain import Notary
from tradeworthy.record.disk import Disk
from tradeworthy.record.epochs import writer_alive
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import SYNCER, End, MarkFile, durable_mark
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import segment_paths
from tradeworthy.record.signing import FileSigner, Signer


class SyncerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[syncer]`` of the settings.

    Attributes
    ----------
    sync_every_ms : float
        How often changed files are synced; what a power loss can cost.
    block_every_s : float
        How often what became durable is hashed into the chain.
    head_every_s : float
        How often the chain's head is signed and published.
    start_within_s : float
        How long to wait for a writer before giving up.
    """

    sync_every_ms: float = 10.0
    block_every_s: float = 5.0
    head_every_s: float = 60.0
    start_within_s: float = 30.0


class _Tail:
    """How far one stream is written, followed segment by segment."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder = folder
        self._disk = disk
        self._segment: MappedSegment | None = None
        self._fd = -1
        self._synced = 0
        self._folder_synced = False

    def sync(self, upto: int) -> tuple[End | None, int]:
        """Sync the stream's records up to a sequence.

        Returns
        -------
        tuple
            The place reached (None before the first segment), and its sequence.
        """
        while self._segment is None or self._ended(self._segment):
            if not self._enter_next():
                break
        if self._segment is None:
            return None, 0
        self._segment.check(upto)
        self._sync_file(self._segment)
        return (self._segment.header.index, self._segment.place_after(upto)), self._segment.last_sequence

    def look(self) -> int:
        """Return the highest sequence that the stream shows, without syncing."""
        segment = self._newest()
        if segment is None:
            return 0
        return segment.last_sequence if segment.check() else 0

    def _newest(self) -> MappedSegment | None:
        paths = segment_paths(self.folder)
        if not paths:
            return None
        if self._segment is not None and self._segment.path == paths[-1]:
            return self._segment
        return MappedSegment(paths[-1])

    def _ended(self, segment: MappedSegment) -> bool:
        """Tell whether a segment gets no more records; syncs what it still has."""
        finished = segment.seal is not None
        segment.check()
        if finished or segment.checked == segment.header.capacity:
            self._sync_file(segment, always=True)
            return True
        return False

    def _sync_file(self, segment: MappedSegment, *, always: bool = False) -> None:
        if not self._folder_synced:
            self._disk.sync_folder(self.folder)
            self._folder_synced = True
        if always or segment.checked != self._synced:
            checked = segment.checked
            self._disk.fdatasync(self._fd)
            self._synced = checked

    def _enter_next(self) -> bool:
        paths = segment_paths(self.folder)
        index = 0 if self._segment is None else self._segment.header.index
        later = [path for path in paths if int(path.stem) > index]
        if not later:
            return False
        self.close()
        self._segment = MappedSegment(later[0])
        self._fd = self._disk.open(later[0])
        self._synced, self._folder_synced = 0, False
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
