"""From the tape to the archive: sealed segments become Parquet files, and only then leave the tape.

Flow:   for every sealed segment, oldest first: write the Parquet file under a partial name -> sync -> read it back with
        verification and rebuild the segment -> compare every byte -> give the file its name -> sync -> remove the
        segment. Killed anywhere, the segment is in one place or in both, and doing it again finishes the work.
Idea:   a stream's newest segment never moves, so the engine, the syncer and recovery find on the tape all they need.
Limits: a segment is moved once it is durable, covered by the block chain (where there is one) and old enough. What is
        damaged is left where it is and named.
Errors: a second archiver of one tape is refused (RecordBusy). A full or failing disk is RecordUnwritable and harms
        nothing.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tradeworthy.core.errors import NotFound, RecordBusy, RecordCorrupt, RecordNewer, RecordUnwritable, SettingsInvalid
from tradeworthy.core.time import NS_PER_S, Clock
from tradeworthy.record.archived import ARCHIVE, Archived, archived_path, archived_segments, rebuilt
from tradeworthy.record.chain import covered_bytes, read_chain
from tradeworthy.record.disk import Disk
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import SEAL_BYTES, Seal, segment_paths

LOCK = "archive.lock"
PARTIAL = ".partial"


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[archive]`` of the settings.

    Attributes
    ----------
    folder : str
        Where Parquet files go; beside the segments, in the tape's own folder, if empty. Set it before the first
        `tradeworthy archive`.
    every_s : float, optional
        How often sealed segments are archived by themselves, in a process of their own, while a desk runs. Not set:
        only `tradeworthy archive` does it.
    after_s : float
        How old a sealed segment is when it is archived.
    rotate_every_s : float
        The engine seals a segment that is this old, however little it holds.
    zstd_level : int
        1 (fast) to 19 (small).
    keep_days : dict of str to float
        By stream (or a pattern such as ``rows-*``): days after which archived segments are deleted. A stream that is
        not named is kept for ever, and so is whatever a legal hold covers.
    budget_gb : float, optional
        What tape and archive may take together.
    free_min_gb : float
        What must stay free on their disk.
    alarm_at : float
        The share of the budget, or of what may be used of the disk, at which a finding is raised.
    """

    folder: str = ""
    every_s: float | None = None
    after_s: float = 3_600.0
    rotate_every_s: float = 86_400.0
    zstd_level: int = 3
    keep_days: dict[str, float] = {}
    budget_gb: float | None = None
    free_min_gb: float = 2.0
    alarm_at: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("after_s", "free_min_gb"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is zero or more")
        positive = {
            "every_s": self.every_s,
            "rotate_every_s": self.rotate_every_s,
            "budget_gb": self.budget_gb,
            "alarm_at": self.alarm_at,
        }
        positive |= {f"keep_days of {stream!r}": days for stream, days in self.keep_days.items()}
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, allowed is more than zero")
        if not 1 <= self.zstd_level <= 19 or self.alarm_at > 1:
            raise ValueError("zstd_level goes from 1 to 19, alarm_at up to 1")


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that is in the archive now, and no longer on the tape."""

    stream: str
    index: int
    records: int
    tape_bytes: int
    archive_bytes: int


class ArchiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What archiving did.

    Attributes
    ----------
    moved : list of Moved
        The segments archived, in order.
    problems : list of str
        Damaged segments, left on the tape.
    waiting : dict of str to int
        Sealed segments that stay for now, by reason.
    """

    moved: list[Moved] = []
    problems: list[str] = []
    waiting: dict[str, int] = {}


@contextmanager
def archive_lock(tape: Path) -> Iterator[None]:
    """Keep every other archiver off a tape for the length of a block.

    Raises
    ------
    RecordBusy
        One is at work.
    """
    fd = os.open(tape / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RecordBusy(f"{tape}: another process is archiving this tape. Wait for it, or stop it") from error
    finally:
        os.close(fd)


def archive_tape(
    tape: Path, settings: ArchiveSettings, *, clock: Clock, disk: Disk | None = None, folder: Path | None = None
) -> ArchiveReport:
    """Archive every segment of a tape that may leave it.

    Parameters
    ----------
    tape : Path
        The tape's folder; its writer may be at work.
    settings : ArchiveSettings
        How old a segment must be, and how well it is packed.
    clock : Clock
        Tells ages.
    disk : Disk, optional
        Where to write; the machine's own files if left out.
    folder : Path, optional
        Where the archive is; in the tape's folder if left out.

    Raises
    ------
    NotFound
        There is no tape, or the packages that write archives are not installed.
    RecordBusy
        Another process is archiving it.
    RecordUnwritable
        The disk refused. Nothing was lost, and nothing is half done that the next call does not finish.
    SettingsInvalid
        The tape's archive is in another folder.
    """
    if not (tape / STREAMS).is_dir():
        raise NotFound(f"no tape in {tape}. Name the folder that an engine writes to")
    disk, report = disk or Disk(), ArchiveReport(moved=[], problems=[], waiting={})
    with archive_lock(tape):
        try:
            _place(tape, folder)
            for partial in (tape / ARCHIVE).glob(f"stream=*/day=*/*{PARTIAL}"):
                disk.unlink(partial)
            move = _Mover(tape, settings, disk)
            for path in _candidates(tape, settings, clock.now_ns(), report):
                move(path, report)
        except OSError as error:
            raise RecordUnwritable(f"{tape}: the archive cannot be written: {error}. Nothing was lost") from error
    return report


def _place(tape: Path, folder: Path | None) -> None:
    """Make the archive's folder, or the link to it."""
    place = tape / ARCHIVE
    if folder is not None and folder.resolve() != place.resolve():
        if place.exists() or place.is_symlink():
            raise SettingsInvalid(f"the archive of {tape} is in {place.resolve()}, not {folder}; move it, and its link")
        folder.mkdir(parents=True, exist_ok=True)
        place.symlink_to(folder.resolve(), target_is_directory=True)
    place.mkdir(exist_ok=True)


def _candidates(tape: Path, settings: ArchiveSettings, now_ns: int, report: ArchiveReport) -> Iterator[Path]:
    """Yield the segments that may leave the tape, of every stream a run of the oldest."""
    durable, blocks = durable_mark(tape).sequence, read_chain(tape)
    covered = covered_bytes(blocks) if blocks else None
    for stream in sorted(path for path in (tape / STREAMS).iterdir() if path.is_dir()):
        paths = segment_paths(stream)[:-1]  # the newest never moves
        for place, path in enumerate(paths):
            try:
                why = _why_not(path, durable, covered, now_ns - int(settings.after_s * NS_PER_S))
            except (RecordCorrupt, RecordNewer) as error:
                report.problems.append(str(error))
                break
            if why:
                report.waiting[why] = report.waiting.get(why, 0) + len(paths) - place
                break
            yield path
            if path.exists():
                break  # it could not be moved: what follows it waits


def _why_not(path: Path, durable: int, covered: Mapping[str, int] | None, sealed_before_ns: int) -> str:
    """Say why a segment may not leave the tape yet; empty where it may."""
    segment = MappedSegment(path)
    seal = segment.seal
    if seal is None:
        return "not sealed"
    if seal.last_sequence > durable:
        return "not yet durable"
    if covered is not None and covered.get(_name(path), 0) < _covered_size(segment, seal):
        return "not yet in the block chain"
    return "" if seal.sealed_ns <= sealed_before_ns else "too young"


def _name(path: Path) -> str:
    return f"{STREAMS}/{path.parent.name}/{path.name}"


def _covered_size(segment: MappedSegment, seal: Seal) -> int:
    """Return how far the chain covers a segment when it covers all of it."""
    if not seal.records:
        return segment.header.header_bytes - SEAL_BYTES
    return segment.header.header_bytes + seal.records * segment.dtype.itemsize


def _holds(archived: Archived, segment: MappedSegment) -> bool:
    """Tell whether the segment was archived before, by someone who did not live to remove it."""
    try:
        return rebuilt(archived) == segment.content
    except RecordCorrupt:
        return False


class _Mover:
    """Moves one segment at a time from the tape to the archive."""

    def __init__(self, tape: Path, settings: ArchiveSettings, disk: Disk) -> None:
        try:
            from tradeworthy.record import parquet  # noqa: PLC0415  # an optional package
        except ImportError as error:
            raise NotFound("archiving needs further packages: pip install 'tradeworthy[archive]'") from error
        self._encode, self._decode = parquet.encode_segment, parquet.decode_segment
        self._tape, self._settings, self._disk = tape, settings, disk

    def __call__(self, path: Path, report: ArchiveReport) -> None:
        """Move the segment at `path`, or say in the report what is wrong with it."""
        segment = MappedSegment(path)
        seal = segment.seal
        if seal is None:
            raise AssertionError("candidates are sealed")
        before = archived_segments(path.parent).get(segment.header.index)
        try:
            segment.check()
            there = before is not None and _holds(before, segment)
            target = before.path if before is not None and there else self._store(segment, seal)
        except RecordCorrupt as error:
            report.problems.append(f"{error}; the segment stays on the tape")
            return
        if before is not None and before.path != target:
            self._disk.unlink(before.path)
        self._disk.sync_folder(target.parent)
        self._disk.unlink(path)
        self._disk.sync_folder(path.parent)
        sizes = {"tape_bytes": segment.header.size, "archive_bytes": target.stat().st_size}
        report.moved.append(Moved(stream=path.parent.name, index=segment.header.index, records=seal.records, **sizes))

    def _store(self, segment: MappedSegment, seal: Seal) -> Path:
        """Write the Parquet file, compare what it rebuilds with the segment, and only then give it its name."""
        data = self._encode(segment, seal, level=self._settings.zstd_level)
        target = archived_path(self._tape, segment.header, data)
        self._make_folder(target.parent)
        partial = target.with_name(target.name + PARTIAL)
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self._disk.write_all(fd, data, 0)
            self._disk.fdatasync(fd)
        finally:
            os.close(fd)
        if self._decode(partial.read_bytes(), partial) != segment.content:
            raise RecordCorrupt(f"{segment.where}: what {partial.name} rebuilds is not the segment")
        self._disk.replace(partial, target)
        return target

    def _make_folder(self, folder: Path) -> None:
        """Make a partition's folder, durable by name."""
        if not folder.is_dir():
            folder.mkdir(parents=True)
            for parent in (folder.parent, folder.parent.parent, self._tape):
                self._disk.sync_folder(parent)
