"""What may be deleted from the archive, and deleting it: by age, never against a legal hold, never without a trace.

Idea:   `expired` only lists; a caller writes the facts; `delete` does it. Only archived segments are deleted, of every
        stream the oldest first and without a hole, so that what is left is one run up to the present.
Flow:   plan -> a line in `deletions.log` for each file, on the disk -> the files. Killed in between, the next call
        deletes what the log already lists.
Units:  ages in days, by the time at which a segment was sealed.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

import msgspec

from tradeworthy.core.decisions import INPUTS
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import NS_PER_DAY, iso
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.deletions import DELETIONS, Deletion, read_deletions
from tradeworthy.record.disk import Disk, append_line
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import segment_name


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's wish that part of the record be kept, whatever its age.

    Attributes
    ----------
    name : str
        Of the case.
    streams : tuple of str
        Names or patterns; everything by default.
    from_ns, to_ns : int, optional
        The time it covers, UTC nanoseconds; without bound where left out.
    """

    name: str
    streams: tuple[str, ...] = ("*",)
    from_ns: int | None = None
    to_ns: int | None = None

    def __post_init__(self) -> None:
        """Refuse a hold that nobody could name again to lift it."""
        if not self.name.strip():
            raise SettingsInvalid("the legal hold has no name; give the case's")

    def covers(self, stream: str, created_ns: int, sealed_ns: int) -> bool:
        """Tell whether a segment, begun and sealed at these times, is held."""
        before = self.from_ns is not None and sealed_ns < self.from_ns
        after = self.to_ns is not None and created_ns > self.to_ns
        return not before and not after and any(fnmatchcase(stream, pattern) for pattern in self.streams)


def days_kept(stream: str, keep_days: Mapping[str, float]) -> float | None:
    """Return after how many days a stream's segments are deleted: the longest of those that fit; None is never."""
    fitting = [days for pattern, days in keep_days.items() if fnmatchcase(stream, pattern)]
    return max(fitting, default=None)


def expired(tape: Path, *, keep_days: Mapping[str, float], holds: Sequence[Hold] = (), now_ns: int) -> list[Deletion]:
    """Return what may be deleted by now; nothing is changed.

    Parameters
    ----------
    tape : Path
        The tape's folder.
    keep_days : mapping of str to float
        Days by stream or pattern.
    holds : sequence of Hold
        A stream is deleted only up to the first segment that one of them covers.
    now_ns : int
        UTC nanoseconds.
    """
    found: list[Deletion] = []
    for stream in sorted(path for path in (tape / STREAMS).iterdir() if path.is_dir()):
        days = days_kept(stream.name, keep_days)
        if days is not None:
            found += _expired_of(stream, days, holds, now_ns)
    inputs = [deletion.last_sequence for deletion in found if deletion.stream == INPUTS]
    return found + list(_useless_checkpoints(tape, max(inputs, default=0), now_ns))


def _expired_of(stream: Path, days: float, holds: Sequence[Hold], now_ns: int) -> Iterator[Deletion]:
    from tradeworthy.record.parquet import read_contents  # noqa: PLC0415  # an optional package

    for archived in archived_segments(stream).values():
        place = stream / segment_name(archived.number)
        contents = read_contents(archived.path)
        held = any(hold.covers(stream.name, contents.created_ns, contents.sealed_ns) for hold in holds)
        if place.exists() or held or contents.sealed_ns > now_ns - int(days * NS_PER_DAY):
            return
        yield Deletion(
            path=f"{STREAMS}/{stream.name}/{place.name}",
            first_sequence=contents.first_sequence,
            last_sequence=contents.last_sequence,
            records=contents.records,
            sha256=contents.sha256,
            ts_ns=now_ns,
            reason=f"older than {days:g} days: sealed {iso(contents.sealed_ns)}",
        )


def _useless_checkpoints(tape: Path, upto: int, now_ns: int) -> Iterator[Deletion]:
    """Yield the checkpoints from which nothing can be replayed without the inputs that go; the newest stays."""
    for path in checkpoint_paths(tape)[:-1]:
        if int(path.stem) < upto:
            name = str(path.relative_to(tape))
            digest = sha256(path.read_bytes()).hexdigest()
            yield Deletion(path=name, sha256=digest, ts_ns=now_ns, reason=f"the inputs up to {upto} are deleted")


def delete(tape: Path, deletions: Sequence[Deletion], disk: Disk | None = None) -> int:
    """Log deletions and carry them out, with whatever an earlier call logged and did not finish; return how many.

    The caller holds the archive's lock (`archive.archive_lock`).
    """
    disk = disk or Disk()
    listed = read_deletions(tape)
    for deletion in deletions:
        if deletion.path not in listed:
            append_line(disk, tape / DELETIONS, msgspec.json.encode(deletion))
            listed[deletion.path] = deletion
    files = [path for deletion in listed.values() if (path := _file(tape, deletion)) is not None]
    for path in files:
        disk.unlink(path)
        disk.sync_folder(path.parent)
    return len(files)


def _file(tape: Path, deletion: Deletion) -> Path | None:
    """Return the file that still holds what was deleted; None where it is gone."""
    place = tape / deletion.path
    if place.exists() and place.suffix == ".ckpt":
        return place
    archived = archived_segments(place.parent).get(deletion.index)
    return archived.path if archived is not None and not place.exists() else None
