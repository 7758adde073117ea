"""Make the tape durable from another process, so that the engine never waits for the disk.

Idea:   every few milliseconds: see how far the writer is, sync the files that changed, then store the durable mark.
        Less often: hash what became durable into the block chain, sign its head and publish it elsewhere. Between: zero
        the next segment of each stream before the writer needs it.
State:  the mark and the chain on the disk; killed and started again, it goes on from there. One syncer works on a tape
        at a time: that of a killed engine may still be there when the next engine brings its own, which waits.
Time:   periods are measured on the monotonic clock passed in; stamps come from the same clock.
Errors: a failed sync is final. The mark says so, the writer stops (RecordUnwritable), the process ends with code 1.

    python -m tradeworthy.record.syncer TAPE --heads FOLDER --key FILE
"""

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from tradeworthy.core.allowed import require
from tradeworthy.core.errors import RecordUnwritable, TradeworthyError
from tradeworthy.core.time import NS_PER_S, Clock, Stop, StopFlag, SystemClock
from tradeworthy.record.chain import Notary
from tradeworthy.record.disk import Disk
from tradeworthy.record.epochs import openings_size, writer_alive
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import SYNCER, End, MarkFile, durable_mark
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import NEXT, capacity_of, next_bytes, segment_name, segment_numbers
from tradeworthy.record.signing import FileSigner, Signer

LOCK = "syncer.lock"
LOOK_EVERY_S = 0.02


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

    def __post_init__(self) -> None:
        """Refuse a pace at which nothing would become durable, or nothing else would be done."""
        require(self, "syncer", positive=("sync_every_ms", "block_every_s", "head_every_s"))


class _Tail:
    """How far one stream is written and synced.

    Parameters
    ----------
    folder : Path
        The stream's folder.
    index : int
        The first segment that may hold something not synced.
    disk : Disk
        What syncs.
    """

    def __init__(self, folder: Path, index: int, disk: Disk) -> None:
        self.folder = folder
        self._index = index
        self._disk = disk
        self._segment: MappedSegment | None = None
        self._finished: list[Path] = []
        self._fd = -1
        self._synced = 0

    def look(self) -> int:
        """Go on to the newest segment; return the highest sequence there is to see."""
        while True:
            path = self.folder / segment_name(self._index)
            if self._segment is None:
                if not path.exists():
                    if self._skip_archived():
                        continue
                    return 0
                self._segment, self._fd, self._synced = MappedSegment(path), self._disk.open(path), 0
            following = (self.folder / segment_name(self._index + 1)).exists()
            self._segment.check()
            if not following:
                return self._segment.last_sequence
            self._finished.append(path)
            self._index += 1
            self.close()

    def _skip_archived(self) -> bool:
        """Go on to the oldest segment on the tape if those before it were archived, and so are durable."""
        later = [index for index in segment_numbers(self.folder) if index > self._index]
        self._index = min(later, default=self._index)
        return bool(later)

    def sync(self) -> None:
        """Return when all that `look` saw is on the disk."""
        if self._finished or (self._segment is not None and not self._synced):
            self._disk.sync_folder(self.folder)
        for path in self._finished:
            self._disk.sync_file(path)
        self._finished.clear()
        if self._segment is not None and self._segment.checked != self._synced:
            checked = self._segment.checked
            self._disk.fdatasync(self._fd)
            self._synced = checked

    def end(self, upto: int) -> End | None:
        """Return the segment being written and how many of its records are at or below `upto`."""
        return None if self._segment is None else (self._index, self._segment.place_after(upto))

    def prepare_next(self) -> None:
        """Zero the stream's next segment once the present one is half full.

        The file gets its name by a link, which never replaces one that the writer made itself.
        """
        segment, spare = self._segment, self.folder / NEXT
        if segment is None or segment.seal is not None or segment.checked * 2 < segment.header.capacity:
            return
        description = segment.header.description
        size = next_bytes(segment.header.size, description.segment_bytes)
        if spare.exists() or not description.segment_bytes:
            return
        partial = self.folder / f"{NEXT}.partial"
        partial.unlink(missing_ok=True)
        capacity = capacity_of(size, description.itemsize)
        self._disk.preallocate(partial, segment.header.header_bytes + capacity * description.itemsize)
        self._disk.sync_file(partial)
        if not spare.exists():
            os.link(partial, spare)
        partial.unlink()

    def close(self) -> None:
        """Let go of the segment."""
        if self._fd >= 0:
            os.close(self._fd)
        self._segment, self._fd = None, -1


class Syncer:
    """Keeps one tape durable, chained and published.

    Parameters
    ----------
    folder : Path
        The tape's folder.
    clock : Clock
        Stamps marks, blocks and heads, and measures periods.
    settings : SyncerSettings
        How often.
    heads : Path, optional
        Where heads are published; needs a signer.
    signer : Signer, optional
        Who signs them.
    disk : Disk, optional
        What syncs and writes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        settings: SyncerSettings | None = None,
        heads: Path | None = None,
        signer: Signer | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings or SyncerSettings()
        self._heads = heads
        self._signer = signer
        self._disk = disk or Disk()
        self._mark = MarkFile(folder / SYNCER, self._disk)
        self._notary = Notary(folder, clock=clock, disk=self._disk)
        self._ends = durable_mark(folder).ends
        self._tails: dict[str, _Tail] = {}
        self._block_due = self._head_due = clock.monotonic_ns()

    def sync(self) -> int:
        """Sync what was written so far, store the mark, and return its sequence.

        Raises
        ------
        RecordUnwritable
            A sync failed; it is never tried again.
        """
        self._find_streams()
        # The writer writes in order of sequence: what comes before `seen` is visible to a second look.
        seen = max((tail.look() for tail in self._tails.values()), default=0)
        upto = max(seen, self._mark.mark.sequence)
        for tail in self._tails.values():
            tail.look()
        try:
            for tail in self._tails.values():
                tail.sync()
            ends = {name: end for name, tail in self._tails.items() if (end := tail.end(upto)) is not None}
            self._mark.store(upto, {**self._ends, **ends}, self._clock.now_ns(), sync=True)
        except OSError as error:
            raise self._failed(error) from error
        return upto

    def _failed(self, error: OSError) -> RecordUnwritable:
        """Tell the writer through the mark, if even that can be written."""
        mark = self._mark.mark
        try:
            self._mark.store(mark.sequence, mark.ends, self._clock.now_ns(), sync=False, failed=True)
        except OSError as second:
            error.add_note(f"the mark cannot be written either: {second}")
        return RecordUnwritable(f"{self._folder}: a sync failed: {error}. Stop trading; the disk needs a person")

    def _find_streams(self) -> None:
        for folder in (self._folder / STREAMS).iterdir():
            if folder.name not in self._tails and folder.is_dir():
                index, _ = self._ends.get(folder.name, (1, 0))
                self._tails[folder.name] = _Tail(folder, index, self._disk)

    def step(self) -> None:
        """Sync; make a block and publish a head where they are due; zero segments ahead."""
        self.sync()
        now = self._clock.monotonic_ns()
        if now >= self._block_due:
            self._block_due = now + int(self._settings.block_every_s * NS_PER_S)
            self._notary.extend()
        if now >= self._head_due:
            self._head_due = now + int(self._settings.head_every_s * NS_PER_S)
            self._publish()
        for tail in self._tails.values():
            tail.prepare_next()

    def finish(self) -> None:
        """Sync, hash and publish all that is there."""
        self.sync()
        self._notary.extend()
        self._publish()

    def _publish(self) -> None:
        if self._heads is not None and self._signer is not None:
            self._notary.publish(self._heads, self._signer)

    def run(self, stop: Stop) -> bool:
        """Work until the writer is gone or `stop` is set, then finish; or until another writer has opened the tape.

        Returns
        -------
        bool
            Whether there is another writer: the tape may have been recovered since, so a new syncer is to look at it.

        Raises
        ------
        RecordUnwritable
            A sync failed.
        RecordCorrupt
            A record is damaged.
        """
        if not self._wait_for_writer(stop):
            return False
        openings = openings_size(self._folder)
        while not stop.wait(self._settings.sync_every_ms / 1000) and writer_alive(self._folder):
            if openings_size(self._folder) != openings:
                return True
            self.step()
        self.finish()
        return False

    def _wait_for_writer(self, stop: Stop) -> bool:
        until = self._clock.monotonic_ns() + int(self._settings.start_within_s * NS_PER_S)
        while not writer_alive(self._folder):
            if stop.wait(0.02) or self._clock.monotonic_ns() > until:
                return False
        return True

    def close(self) -> None:
        """Let go of the files."""
        self._mark.close()
        for tail in self._tails.values():
            tail.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def only_syncer(tape: Path, stop: Stop) -> Iterator[bool]:
    """Keep every other syncer off a tape for the length of a block; wait for the one that is at work.

    Yields
    ------
    bool
        False: `stop` was set while another one was at work.
    """
    fd = os.open(tape / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        free = _locked(fd)
        while not free and not stop.wait(LOOK_EVERY_S):
            free = _locked(fd)
        yield free
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Run the process; return its exit code: 0 when the writer is gone, 1 after a failure."""
    parser = argparse.ArgumentParser(prog="python -m tradeworthy.record.syncer", description=__doc__)
    parser.add_argument("tape", type=Path)
    parser.add_argument("--heads", type=Path, help="folder to which signed heads are published")
    parser.add_argument("--key", type=Path, help="private key that signs them")
    parser.add_argument("--settings", default="{}", help="SyncerSettings as JSON")
    given = parser.parse_args(arguments)
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = msgspec.json.decode(given.settings, type=SyncerSettings)
        signer = FileSigner(given.key) if given.key else None
        names = {"heads": given.heads, "signer": signer, "settings": settings}
        with only_syncer(given.tape, stop) as mine:
            again = mine
            while again:
                with Syncer(given.tape, clock=SystemClock(), **names) as syncer:
                    again = syncer.run(stop)
    except (TradeworthyError, msgspec.ValidationError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  # a process's last words
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
