"""What a writer does first: find the end of what was written, cut off what is torn, refuse what is damaged.

Idea:   records of all streams share one sequence without a gap, and each is written after the one before it. So the
        record ends at the last sequence up to which nothing is missing.
        While the machine has not been restarted, every write that returned is still there, whatever killed the
        process: only the very last batch can be incomplete. After a power loss anything above the durable mark may be
        missing, in any order.
Flow:   scan the segments that reach beyond the durable mark -> find the end -> zero what stands after it -> seal.
        The caller then syncs and begins a new epoch.
Errors: a gap or a damaged record that neither case explains is corruption: RecordCorrupt, and nothing is changed.
Crash:  every step may be repeated; an interrupted recovery is simply done again.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeworthy.core.errors import RecordCorrupt
from tradeworthy.core.time import Clock
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.checkpoint import checkpoint_paths, decode_checkpoint
from tradeworthy.record.disk import Disk
from tradeworthy.record.epochs import Recovery, Torn
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import Mark, durable_mark
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import SEAL_BYTES, Seal, encode_seal, segment_name, segment_paths

TORN = "torn"


@dataclass
class _Scan:
    """What a look at the end of every stream found."""

    mark: Mark
    restarted: bool  # the machine, since the last writer began
    segments: list[MappedSegment] = field(default_factory=list)  # those that reach beyond the mark
    headless: list[Path] = field(default_factory=list)  # those whose header never reached the disk

    def is_durable(self, path: Path) -> bool:
        """Tell whether the mark promises that the segment at `path` is on the disk."""
        if self.mark.sequence and not self.mark.ends:
            return True  # too many streams to be listed: believe all of them
        return int(path.stem) <= self.mark.ends.get(path.parent.name, (0, 0))[0]


def recover(folder: Path, *, clock: Clock, disk: Disk, restarted: bool) -> Recovery:
    """Bring a tape to the state in which a new writer may begin.

    Parameters
    ----------
    folder : Path
        The tape's folder, already locked.
    clock : Clock
        For the seals and the time that recovery takes.
    disk : Disk
        Where to write.
    restarted : bool
        The machine was restarted since the last writer began, or may have been.

    Raises
    ------
    RecordCorrupt
        Damage that no crash explains. Nothing was changed.
    RecordNewer
        A newer release wrote the tape.
    """
    started = clock.monotonic_ns()
    scan = _Scan(durable_mark(folder), restarted)
    for stream in sorted(path for path in (folder / STREAMS).iterdir() if path.is_dir()):
        _scan_stream(stream, scan)
    last = _end(scan)
    lost = [segment for segment in scan.segments if restarted and _is_lost(segment, last, scan)]
    half_written = _torn_checkpoints(folder) if restarted else []
    moved = [_quarantine(folder, path) for path in [*scan.headless, *(segment.path for segment in lost), *half_written]]
    kept = [segment for segment in scan.segments if segment not in lost]
    torn = [entry for segment in kept if (entry := _finish(segment, last, clock, disk)) is not None]
    return Recovery(
        last_sequence=last,
        durable_sequence=scan.mark.sequence,
        segments=len(kept),
        torn=torn,
        quarantined=moved,
        checkpoints_dropped=_drop_checkpoints(folder, last),
        ends=_ends(kept, last),
        took_ns=clock.monotonic_ns() - started,
    )


def _scan_stream(stream: Path, scan: _Scan) -> None:
    """Look at one stream's segments from the newest back to the first that lies below the mark."""
    paths = segment_paths(stream)
    _check_present(stream, paths, scan.mark)
    for path in reversed(paths):
        try:
            segment = MappedSegment(path)
            seal = segment.seal
        except FileNotFoundError:
            return  # archived meanwhile, and so sealed and below the mark
        except RecordCorrupt:
            if not scan.restarted or scan.is_durable(path):
                raise
            scan.headless.append(path)
            continue
        if seal is not None and seal.last_sequence <= scan.mark.sequence and scan.is_durable(path):
            return
        if segment.scan(_limit(segment)) < _limit(segment):
            _check_damage(segment, scan)
        scan.segments.append(segment)


def _check_present(stream: Path, paths: list[Path], mark: Mark) -> None:
    """Refuse a stream without the segment that the mark says is on the disk, be it archived."""
    index, _ = mark.ends.get(stream.name, (0, 0))
    there = {int(path.stem) for path in paths}
    if index and index not in there and index not in archived_segments(stream):
        raise RecordCorrupt(
            f"stream {stream.name!r}: segment {segment_name(index)} is missing although the durable mark names it. "
            "Nothing was changed; restore the segment from a copy"
        )


def _limit(segment: MappedSegment) -> int:
    """Return how many records a segment may hold: those that its seal counts, or its capacity."""
    seal = segment.seal
    return segment.header.capacity if seal is None else seal.records


def _check_damage(segment: MappedSegment, scan: _Scan) -> None:
    """Refuse damage that no crash explains: below the mark, or before a whole record on a machine that stayed up."""
    place = segment.checked
    index, records = scan.mark.ends.get(segment.path.parent.name, (0, 0))
    durable = records if segment.header.index == index else _limit(segment) if segment.header.index < index else 0
    if place < durable:
        raise segment.damage(place)
    if segment.last_sequence < int(segment.words[place * segment.width]) <= scan.mark.sequence:
        raise segment.damage(place)
    if not scan.restarted and (segment.seal is not None or segment.whole_after(place) < segment.header.capacity):
        raise segment.damage(place)


def _sequences(segment: MappedSegment) -> npt.NDArray[np.uint64]:
    found: npt.NDArray[np.uint64] = segment.records["sequence"][: segment.checked]
    return found


def _end(scan: _Scan) -> int:
    """Return the last sequence up to which no record is missing."""
    first = scan.mark.sequence + 1
    parts = [_sequences(segment) for segment in scan.segments]
    present = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    present = present[present >= first]
    gaps = np.flatnonzero(present != np.arange(first, first + present.size, dtype=np.uint64))
    last = first - 1 + (int(gaps[0]) if gaps.size else present.size)
    if gaps.size and not scan.restarted:
        raise RecordCorrupt(
            f"record {last + 1} is missing (or there twice) although later ones are there. Nothing was changed; run "
            "`tradeworthy verify`, then restore the tape from a copy"
        )
    return last


def _is_lost(segment: MappedSegment, last: int, scan: _Scan) -> bool:
    """Tell whether nothing of a segment is kept; there may be no segment before it either."""
    return not segment.place_after(last) and not scan.is_durable(segment.path)


def _ends(segments: list[MappedSegment], last: int) -> dict[str, tuple[int, int]]:
    """Return by stream the newest of the segments and how many records it keeps."""
    ends: dict[str, tuple[int, int]] = {}
    for segment in segments:
        end = (segment.header.index, segment.place_after(last))
        ends[segment.path.parent.name] = max(end, ends.get(segment.path.parent.name, (0, 0)))
    return ends


def _finish(segment: MappedSegment, last: int, clock: Clock, disk: Disk) -> Torn | None:
    """Zero what stands in a segment after the record `last` and seal it; tell what was cut off."""
    keep = segment.place_after(last)
    torn = None
    fd = disk.open(segment.path, write=True)
    try:
        start = segment.header.header_bytes + keep * segment.dtype.itemsize
        if segment.seal is None or keep < _limit(segment):
            used = _zero_from(fd, segment, keep, disk)
            if used:
                names = {"stream": segment.path.parent.name, "segment": segment.path.name}
                torn = Torn(**names, first_record=keep, bytes=used - start)
            sequence = int(segment.words[(keep - 1) * segment.width]) if keep else segment.header.first_sequence - 1
            seal = Seal(records=keep, last_sequence=sequence, sealed_ns=clock.now_ns())
            disk.write_all(fd, encode_seal(seal, segment.header), segment.header.header_bytes - SEAL_BYTES)
        disk.fdatasync(fd)
    finally:
        os.close(fd)
    return torn


def _zero_from(fd: int, segment: MappedSegment, keep: int, disk: Disk) -> int:
    """Zero all bytes from record `keep` on; return the file offset after the last that was not zero, or 0."""
    used = np.flatnonzero(segment.words[keep * segment.width :])
    if not used.size:
        return 0
    start = segment.header.header_bytes + keep * segment.dtype.itemsize
    stop = start + 8 * (int(used[-1]) + 1)
    disk.write_all(fd, bytes(stop - start), start)
    return stop


def _quarantine(folder: Path, path: Path) -> str:
    kept = folder / TORN
    kept.mkdir(exist_ok=True)
    target = kept / f"{len(list(kept.iterdir())) + 1:04d}-{path.parent.name}-{path.name}"
    path.replace(target)
    return str(target.relative_to(folder))


def _torn_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that a power loss left half-written; the ones before them will do."""
    torn = []
    for path in checkpoint_paths(folder):
        try:
            decode_checkpoint(path.read_bytes(), str(path))
        except RecordCorrupt:
            torn.append(path)
    return torn


def _drop_checkpoints(folder: Path, last: int) -> int:
    """Delete checkpoints of records that are no longer there."""
    ahead = [path for path in checkpoint_paths(folder) if int(path.stem) > last]
    for path in ahead:
        path.unlink()
    return len(ahead)
