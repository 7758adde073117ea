"""What verification says: problems with their place, and the report."""

from pathlib import Path

import msgspec

from tradeworthy.core.errors import RecordCorrupt


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong, and where; a place is None where it does not apply."""

    what: str
    stream: str | None = None
    segment: str | None = None
    record: int | None = None
    byte: int | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        places = {"stream": self.stream, "segment": self.segment, "record": self.record, "byte": self.byte}
        where = ", ".join(f"{name} {value}" for name, value in places.items() if value is not None)
        return f"{where}: {self.what}" if where else self.what


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found.

    Attributes
    ----------
    ok : bool
        Nothing is wrong.
    records, bytes, segments, epochs, checkpoints, blocks, heads : int
        How many of each were checked.
    archived, deleted : int
        Segments that were rebuilt from the archive; files that the log of deletions lists and that are gone.
    last_sequence, durable_sequence, chained_sequence : int
        The last record; the last on the disk by the mark; the last that the block chain covers.
    problems : list of Problem
        What is wrong.
    notes : list of str
        What could not be checked, or is unfinished without being wrong.
    """

    ok: bool
    records: int = 0
    bytes: int = 0
    segments: int = 0
    epochs: int = 0
    checkpoints: int = 0
    blocks: int = 0
    heads: int = 0
    archived: int = 0
    deleted: int = 0
    last_sequence: int = 0
    durable_sequence: int = 0
    chained_sequence: int = 0
    problems: list[Problem] = []
    notes: list[str] = []


def damaged(path: Path, why: object) -> RecordCorrupt:
    """Return the error that names a file of the archive."""
    return RecordCorrupt(
        f"archive {'/'.join(path.parts[-3:])} is damaged: {why}. Nothing was changed; restore the file from a copy"
    )
