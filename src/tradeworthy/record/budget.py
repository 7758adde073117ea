"""An alarm before the disk is full: how much the record takes, how fast it grows, how long that can go on.

Idea:   a full disk stops trading, so it must be seen coming. A finding is raised at a share of the budget, or of what
        the record may use of its disk; it says in how many hours the limit is reached at today's pace.
Units:  gigabytes of 10^9 bytes; sizes are what files occupy.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tradeworthy.core.findings import Finding
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.record.archive import ArchiveSettings
from tradeworthy.record.archived import ARCHIVE
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.reader import STREAMS

GB = 10**9
_BLOCK = 512  # what st_blocks counts


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a record takes of its disk.

    Attributes
    ----------
    tape_bytes, archive_bytes : int
        On the disk; checkpoints and logs count to the tape.
    free_bytes : int
        Of the disk that is fuller, where the archive is on another one.
    day_bytes : int
        Written to the tape's segments within the last day.
    """

    tape_bytes: int
    archive_bytes: int
    free_bytes: int
    day_bytes: int


def usage(tape: Path, *, now_ns: int) -> Usage:
    """Measure what a tape and its archive take."""
    archive = tape / ARCHIVE
    on_tape = list(_files(tape))
    disks = [tape, archive] if archive.is_dir() else [tape]
    fresh = (
        stat.st_blocks * _BLOCK
        for path, stat in on_tape
        if path.suffix == ".seg" and path.parent.parent.name == STREAMS and stat.st_mtime_ns > now_ns - NS_PER_DAY
    )
    return Usage(
        tape_bytes=sum(stat.st_blocks * _BLOCK for _, stat in on_tape),
        archive_bytes=sum(stat.st_blocks * _BLOCK for _, stat in _files(archive)),
        free_bytes=min(shutil.disk_usage(disk).free for disk in disks),
        day_bytes=sum(fresh),
    )


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every file below a folder with its status, the archive's apart from the tape's."""
    for root, folders, names in os.walk(folder):
        if ARCHIVE in folders and Path(root) == folder:
            folders.remove(ARCHIVE)
        for name in names:
            path = Path(root) / name
            try:
                yield path, path.stat()
            except FileNotFoundError:
                continue  # archived or replaced meanwhile


def storage_findings(tape: Path, settings: ArchiveSettings, now: Usage, *, now_ns: int) -> list[Finding]:
    """Return a finding for each limit of which the record has used too large a share.

    Parameters
    ----------
    tape : Path
        The tape's folder.
    settings : ArchiveSettings
        Budget, what must stay free, and the share at which to raise the alarm.
    now : Usage
        What was measured.
    now_ns : int
        UTC nanoseconds.
    """
    used = now.tape_bytes + now.archive_bytes
    limits = {"free disk": used + max(now.free_bytes - settings.free_min_gb * GB, 0.0)}
    if settings.budget_gb is not None:
        limits["budget"] = settings.budget_gb * GB
    sequence = durable_mark(tape).sequence
    found = []
    for subject, limit in limits.items():
        share = used / limit if limit else 1.0
        if share >= settings.alarm_at:
            found.append(_finding(subject, now, limit, settings.alarm_at, (sequence, now_ns)))
    return found


def _finding(subject: str, now: Usage, limit: float, alarm_at: float, place: tuple[int, int]) -> Finding:
    used = now.tape_bytes + now.archive_bytes
    hours = max(limit - used, 0.0) / now.day_bytes * 24 if now.day_bytes else float("inf")
    pace = f"full in {hours:,.0f} hours at today's pace" if now.day_bytes else "it does not grow at present"
    if used >= limit:
        pace = "nothing is left: trading stops when a write fails"
    sequence, now_ns = place
    return Finding(
        monitor="storage",
        subject=subject,
        kind="storage",
        severity="critical" if used >= limit or hours < 24 else "warning",
        sequence=sequence,
        ts_event_ns=now_ns,
        since_ns=now_ns - now_ns % NS_PER_HOUR,
        observed=used / GB,
        reference=limit / GB,
        unit="GB",
        statistic=used / limit if limit else 1.0,
        threshold=alarm_at,
        false_alarms_per_10k=0.0,
        sentence=(
            f"the record takes {used / GB:,.2f} of {limit / GB:,.2f} GB ({subject}); {pace}. "
            "Run `tradeworthy archive`, shorten [archive] keep_days, or add space"
        ),
    )
