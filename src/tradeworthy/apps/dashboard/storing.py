"""What the record takes, how long it is kept, and what goes next.

Units:  bytes of files; days since a segment was sealed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.commands.archiving import holds
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.record.archived import archived_segments
from tradeworthy.record.budget import Usage, usage
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.retention import Hold, days_kept, expired
from tradeworthy.record.segment import segment_paths

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

SOON_DAYS = 30


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: where its segments are, and how long they stay.

    Attributes
    ----------
    kept_days : float or None
        Days after which archived segments are deleted; None is for ever.
    due, due_soon : int
        Segments that go at the next archiving; further ones that go within 30 days.
    """

    stream: str
    segments: int
    tape_bytes: int
    archived: int
    archive_bytes: int
    kept_days: float | None
    due: int = 0
    due_soon: int = 0


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the record takes, and what keeps it from being deleted."""

    streams: list[Stored]
    usage: Usage
    budget_gb: float | None
    free_min_gb: float
    archived_every_s: float | None
    holds: list[Hold]


def storage_of(project: "Project") -> Storage | None:
    """Return what the record takes and what goes next; None before anything was recorded. Nothing is changed."""
    tape, settings, now_ns = project.places.tape, project.settings.archive, project.clock.now_ns()
    if not (tape / STREAMS).is_dir():
        return None
    held = holds(project.ledger)
    now = _due(tape, settings.keep_days, held, now_ns)
    soon = _due(tape, settings.keep_days, held, now_ns + SOON_DAYS * NS_PER_DAY)
    return Storage(
        streams=[
            _stored(stream, settings.keep_days, now.get(stream.name, 0), soon.get(stream.name, 0))
            for stream in sorted(path for path in (tape / STREAMS).iterdir() if path.is_dir())
        ],
        usage=usage(tape, now_ns=now_ns),
        budget_gb=settings.budget_gb,
        free_min_gb=settings.free_min_gb,
        archived_every_s=settings.every_s,
        holds=held,
    )


def _due(tape: Path, keep_days: dict[str, float], held: list[Hold], now_ns: int) -> dict[str, int]:
    """Count by stream the segments that may be deleted at a moment."""
    found: dict[str, int] = {}
    for deletion in expired(tape, keep_days=keep_days, holds=held, now_ns=now_ns):
        if deletion.records:
            found[deletion.stream] = found.get(deletion.stream, 0) + 1
    return found


def _stored(stream: Path, keep_days: dict[str, float], due: int, due_by_then: int) -> Stored:
    on_tape = segment_paths(stream)
    archived = [each.path for each in archived_segments(stream).values()]
    return Stored(
        stream=stream.name,
        segments=len(on_tape),
        tape_bytes=sum(path.stat().st_size for path in on_tape),
        archived=len(archived),
        archive_bytes=sum(path.stat().st_size for path in archived),
        kept_days=days_kept(stream.name, keep_days),
        due=due,
        due_soon=due_by_then - due,
    )
