"""Is the record whole, and is it what it was? Checks every byte of a tape and names what is wrong, and where.

Flow:   the log of openings -> every header, record and seal of every stream, archived ones rebuilt -> one sequence
        without a gap but for logged deletions -> the durable mark -> checkpoints -> the block chain -> published heads.
Idea:   a problem is a value with a place (stream, segment, record, byte); verification goes on after one, so that a
        single run names them all. Nothing is changed. It may run while the tape is written.
Limits: without published heads, whoever can write the files can also compute everything in them anew.
"""

from collections.abc import Collection, Container, Iterator, Mapping
from pathlib import Path

import numpy as np

from tradeworthy.core.errors import NotFound, RecordCorrupt, RecordNewer
from tradeworthy.record.archived import all_segments
from tradeworthy.record.attest import chain_problems, head_problems
from tradeworthy.record.chain import Block, read_chain, read_heads
from tradeworthy.record.checkpoint import checkpoint_paths, decode_checkpoint
from tradeworthy.record.deletions import Deletion, deleted_segments, read_deletions
from tradeworthy.record.epochs import read_epochs, writer_alive
from tradeworthy.record.inspection import StreamInspection, inspect_stream
from tradeworthy.record.marks import Mark, durable_mark
from tradeworthy.record.problems import Problem, VerifyReport
from tradeworthy.record.reader import STREAMS

__all__ = ["Problem", "VerifyReport", "verify"]

_MISSING_MAX = 100  # ranges named


def verify(folder: Path, *, heads: Path | None = None, public_keys: Mapping[str, bytes] | None = None) -> VerifyReport:
    """Check a whole tape.

    Parameters
    ----------
    folder : Path
        The tape's folder.
    heads : Path, optional
        The folder to which heads were published.
    public_keys : mapping of str to bytes, optional
        Raw Ed25519 public keys by key id, of those who may sign heads.

    Returns
    -------
    VerifyReport
        Every problem is listed; damage is never raised.

    Raises
    ------
    NotFound
        There is no tape.
    """
    folder = Path(folder)
    if not (folder / STREAMS).is_dir():
        raise NotFound(f"no tape in {folder}. Name the folder that an engine writes to")
    live = writer_alive(folder)
    mark = durable_mark(folder)
    problems, notes = list[Problem](), list[str]()
    epochs = _epochs(folder, problems)
    streams = sorted(path for path in (folder / STREAMS).iterdir() if path.is_dir())
    deleted = _deleted(folder, problems)
    gone = {name: deleted_segments(deleted.values(), name) for name in (stream.name for stream in streams)}
    found = [inspect_stream(s, mark=mark, epochs=epochs, live=live, deleted=gone[s.name]) for s in streams]
    for stream in found:
        problems += stream.problems
        notes += stream.notes
    problems += _order_problems(found, mark, deleted.values(), live=live)
    checkpoints = _checkpoints(folder, problems)
    blocks = _blocks(folder, deleted, problems, notes)
    published = 0 if heads is None else _heads(folder, heads, blocks, public_keys or {}, problems)
    if heads is None:
        notes.append("no published heads were given: a rewritten or cut tail would go unnoticed")
    return VerifyReport(
        ok=not problems,
        records=sum(stream.records for stream in found),
        bytes=sum(stream.bytes for stream in found),
        segments=sum(stream.segments for stream in found),
        epochs=epochs,
        checkpoints=checkpoints,
        blocks=len(blocks),
        heads=published,
        archived=sum(stream.archived for stream in found),
        deleted=len(deleted),
        last_sequence=max((stream.last_sequence for stream in found), default=0),
        durable_sequence=mark.sequence,
        chained_sequence=blocks[-1].upto if blocks else 0,
        problems=problems,
        notes=notes,
    )


def _epochs(folder: Path, problems: list[Problem]) -> int:
    """Return how many openings the log has; after damage, no number is too high."""
    try:
        return len(read_epochs(folder))
    except (RecordCorrupt, RecordNewer) as error:
        problems.append(Problem(what=str(error)))
        return 1 << 32


def _deleted(folder: Path, problems: list[Problem]) -> dict[str, Deletion]:
    """Return the deletions that were carried out: what is still there is checked like everything else."""
    try:
        listed = read_deletions(folder)
    except (RecordCorrupt, RecordNewer) as error:
        problems.append(Problem(what=str(error)))
        return {}
    streams = {deletion.stream for deletion in listed.values() if deletion.records}
    there = {path for stream in streams for path in all_segments(folder / STREAMS / stream)}
    there |= set(checkpoint_paths(folder))
    return {name: deletion for name, deletion in listed.items() if folder / name not in there}


def _order_problems(
    found: list[StreamInspection], mark: Mark, deleted: Collection[Deletion], *, live: bool
) -> Iterator[Problem]:
    """Yield the sequences that no stream has, or that two have, and a tail that ends below the durable mark."""
    last = max((stream.last_sequence for stream in found), default=0)
    if last < mark.sequence:
        yield Problem(what=f"records {last + 1}-{mark.sequence} are missing although they were durable")
    parts = [part for stream in found for part in stream.sequences]
    upto = mark.sequence if live else last  # while a writer works, streams are looked at one after the other
    counts = np.zeros(upto + 1, np.uint8)
    for part in parts:
        counts[part[part <= upto].astype(np.int64)] += 1  # a part has no sequence twice
    twice = np.flatnonzero(counts > 1)
    if twice.size:
        yield Problem(what=f"{twice.size} sequences stand in two places, the first is {twice[0]}")
    missing = np.flatnonzero(counts[1:] == 0) + 1
    excused = np.zeros(missing.size, bool)
    for deletion in deleted:
        excused |= (missing >= deletion.first_sequence) & (missing <= deletion.last_sequence)
    allowed = sum(deletion.records for deletion in deleted)
    if excused.sum() != allowed:
        yield Problem(what=f"{excused.sum()} records are missing where the log of deletions lists {allowed}")
    missing = missing[~excused]
    if missing.size:
        yield Problem(what=f"{missing.size} records are missing or damaged: sequences {_ranges(missing)}")


def _ranges(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    """Write sorted numbers as ranges."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [f"{run[0]}-{run[-1]}" if run.size > 1 else f"{run[0]}" for run in runs[:_MISSING_MAX]]
    return ", ".join(shown) + (f" and {len(runs) - _MISSING_MAX} further ranges" if len(runs) > _MISSING_MAX else "")


def _checkpoints(folder: Path, problems: list[Problem]) -> int:
    paths = checkpoint_paths(folder)
    for path in paths:
        try:
            sequence, _ = decode_checkpoint(path.read_bytes(), f"checkpoint {path.name}")
            if sequence != int(path.stem):
                problems.append(Problem(what=f"checkpoint {path.name} holds the state at {sequence}"))
        except (RecordCorrupt, RecordNewer) as error:
            problems.append(Problem(what=str(error)))
    return len(paths)


def _blocks(folder: Path, deleted: Container[str], problems: list[Problem], notes: list[str]) -> list[Block]:
    try:
        blocks = read_chain(folder)
    except (RecordCorrupt, RecordNewer) as error:
        problems.append(Problem(what=str(error)))
        return []
    if not blocks:
        notes.append("the tape has no block chain: no syncer ran")
    problems += chain_problems(folder, blocks, deleted)
    return blocks


def _heads(folder: Path, heads: Path, blocks: list[Block], keys: Mapping[str, bytes], problems: list[Problem]) -> int:
    """Compare with what was published, and return how many heads there were."""
    try:
        published = read_heads(heads)
    except RecordCorrupt as error:
        problems.append(Problem(what=str(error)))
        return 0
    problems += head_problems(folder, published, blocks, keys)
    return len(published)
