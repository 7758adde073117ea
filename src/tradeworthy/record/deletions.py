"""What was deleted from the record on purpose: a log beside the tape, covered by the block chain.

Idea:   deleting is the one thing that a record cannot undo, so it is recorded itself: first a line that says what goes,
        by whose wish and what it hashed to, then the file. Verification counts: records are missing exactly where the
        log says so, and exactly as many.
State:  `deletions.log`, one JSON object a line; a torn last line was never in force.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tradeworthy.core.errors import UNDECODABLE, RecordCorrupt, RecordNewer
from tradeworthy.record.disk import whole_lines

DELETIONS = "deletions.log"
_FORMAT = 1
_PATH = re.compile(r"streams/[a-z0-9][a-z0-9_-]*/\d+\.seg|checkpoints/\d+\.ckpt")


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """One file that was, or is about to be, deleted.

    Attributes
    ----------
    path : str
        The file, relative to the tape's folder: of a segment its place before it was archived.
    first_sequence, last_sequence, records : int
        What it held: so many records within that range; zeros for a checkpoint.
    sha256 : str
        Of the segment's or checkpoint's bytes.
    ts_ns : int
        When it was decided, UTC nanoseconds.
    reason : str
        By which rule.
    """

    path: str
    first_sequence: int = 0
    last_sequence: int = 0
    records: int = 0
    sha256: str
    ts_ns: int
    reason: str
    format: int = _FORMAT

    @property
    def stream(self) -> str:
        """The stream that it belonged to."""
        return Path(self.path).parent.name

    @property
    def index(self) -> int:
        """A segment's number in its stream, a checkpoint's sequence."""
        return int(Path(self.path).stem)


def read_deletions(folder: Path) -> dict[str, Deletion]:
    """Return by path what a tape's log says; the files of the last lines may still be there.

    Raises
    ------
    RecordCorrupt
        A line is not a deletion.
    RecordNewer
        A newer release wrote it.
    """
    path = folder / DELETIONS
    try:
        found = [msgspec.json.decode(line, type=Deletion) for line in whole_lines(path)]
    except UNDECODABLE as error:
        raise RecordCorrupt(f"{path}: a line is not a deletion: {error}. Restore the file from a copy") from error
    if any(not _PATH.fullmatch(deletion.path) for deletion in found):
        raise RecordCorrupt(f"{path}: a line names a file that is never deleted. Restore the file from a copy")
    if any(deletion.format > _FORMAT for deletion in found):
        raise RecordNewer(f"{path}: deletions of a format above {_FORMAT}. Upgrade")
    return {deletion.path: deletion for deletion in found}


def deletions_size(folder: Path) -> int:
    """Return the bytes of the log up to its last finished line."""
    path = folder / DELETIONS
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def deleted_segments(deletions: Iterable[Deletion], stream: str) -> set[int]:
    """Return the numbers of a stream's segments that the log lists."""
    wanted = f"streams/{stream}/"
    return {deletion.index for deletion in deletions if deletion.path.startswith(wanted)}
