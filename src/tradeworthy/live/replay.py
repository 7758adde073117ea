"""Replay: every recorded decision made again from the inputs alone, and compared to the last bit.

Idea:   if the same inputs give the same bytes, then the record explains every order: nothing else played a part. Replay
        obeys the tape and nobody else: not the clock, not the control block, not the ledger.
Flow:   from the first checkpoint through all inputs; every decision, row and order of every version is compared with
        its record, frame aside. On another runtime (`fingerprint`) last bits may differ; then the report counts them.
Deleted: what retention took is no difference. Replay begins at the first checkpoint after which every input, decision
        and order is there; rows that were deleted are made again, counted, and compared with nothing.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, DECISIONS, INPUTS, ORDER, ORDERS, ROWS, rows_stream, version_name
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import FRAME, Kind, Word
from tradeworthy.core.kernel_cache import fingerprint
from tradeworthy.live.pipeline import Played
from tradeworthy.live.playback import Playback, inputs_after, read_or_none, restored_desk
from tradeworthy.live.reconcile import NEVER_SENT
from tradeworthy.model.version import Version
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.deletions import read_deletions
from tradeworthy.record.epochs import read_epochs
from tradeworthy.record.tape import TapeReader

Records = npt.NDArray[np.void]

_FRAME_BYTES = np.dtype(FRAME).itemsize


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What replay found.

    Attributes
    ----------
    inputs, decisions, rows, orders : int
        How many were replayed.
    began_after : int
        Replay began after this sequence; above 0 where retention deleted what was before.
    rows_deleted : int
        Rows that retention deleted; they are made, but there is nothing to compare them with.
    differences : int
        Records that differ, are missing on the tape, or are on the tape and were not made again.
    first_difference : str or None
        The first of them, in words.
    fingerprint_same : bool
        Whether every part of the tape was written on a runtime like this one.
    """

    inputs: int
    decisions: int
    rows: int
    orders: int
    began_after: int = 0
    rows_deleted: int = 0
    differences: int
    first_difference: str | None
    fingerprint_same: bool

    @property
    def identical(self) -> bool:
        """Whether everything was made again, bit for bit."""
        return self.differences == 0


def replay(
    folder: Path,
    load: Callable[[int], Version],
    *,
    after: int | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> ReplayReport:
    """Make every decision on a tape again, and compare.

    Parameters
    ----------
    folder : Path
        The tape's.
    load : callable
        Gives a verified version by number.
    after : int, optional
        Begin at the checkpoint with this sequence; at the first from which everything can be decided, if left out.
    tell : callable, optional
        Told how many inputs are done, of how many.

    Raises
    ------
    NotFound
        There is no tape, or it has no checkpoint, or retention deleted so much that no checkpoint is left to begin at.
    """
    reader = TapeReader(folder)
    desk, after = restored_desk(reader, load, first_checkpoint(folder) if after is None else after)
    inputs = inputs_after(reader, after)
    playback = Playback(reader, desk, load, after)
    comparison = Comparison(reader, after)
    for made in playback.play(inputs):
        comparison.compare(made)
        if tell is not None and made.decisions.size:
            tell(int(np.searchsorted(inputs["sequence"], made.decisions["input_sequence"][-1])) + 1, len(inputs))
    comparison.note_misjudged(playback.misjudged)
    comparison.finish()
    here = fingerprint()
    return ReplayReport(
        inputs=len(inputs),
        decisions=comparison.decisions,
        rows=comparison.rows,
        orders=comparison.orders,
        began_after=after,
        rows_deleted=comparison.rows_deleted,
        differences=comparison.differences,
        first_difference=comparison.first_difference,
        fingerprint_same=all(epoch.fingerprint == here for epoch in read_epochs(folder)),
    )


class Comparison:
    """Recorded against replayed, stream by stream and version by version."""

    def __init__(self, reader: TapeReader, after: int) -> None:
        self._reader, self._after = reader, after
        recorded = read_or_none(reader, DECISIONS, DECISION, after)
        self._recorded = {int(number): recorded[recorded["version"] == number] for number in set(recorded["version"])}
        self._rows: dict[int, Records] = {}
        self._orders = read_or_none(reader, ORDERS, ORDER, after)
        self._never_sent = _never_sent(reader, after)
        self._deleted = {deletion.stream for deletion in read_deletions(reader.folder).values()}
        self._done = dict.fromkeys(self._recorded, 0)
        self._rows_done: dict[int, int] = {}
        self.decisions = self.rows = self.orders = self.differences = self.rows_deleted = 0
        self.first_difference: str | None = None

    def compare(self, made: Played) -> None:
        """Compare what one version made of one run."""
        if not made.decisions.size:
            return
        number = made.pipeline.number
        recorded = self._recorded.get(number, np.empty(0, DECISION))
        done = self._done.get(number, 0)
        stored = recorded[done : done + made.decisions.size]
        self._done[number] = done + made.decisions.size
        self.decisions += made.decisions.size
        self._note(made.decisions, stored, f"decision of {version_name(number)}")
        names = stored["sequence"]
        self._compare_rows(made, names)
        self._compare_orders(made.orders)

    def _compare_rows(self, made: Played, names: npt.NDArray[np.uint64]) -> None:
        number, rows = made.pipeline.number, made.rows.copy()
        if number not in self._rows:
            stream = read_or_none(self._reader, rows_stream(made.pipeline.number), made.rows.dtype, self._after)
            self._rows[number] = stream[np.argsort(stream["decision"], kind="stable")]
        known = made.row_decisions < len(names)
        rows["decision"][known] = names[made.row_decisions[known]]
        rows = self._kept(rows, self._rows[number], rows_stream(made.pipeline.number))
        done = self._rows_done.get(number, 0)
        self._rows_done[number] = done + rows.size
        self.rows += rows.size
        self._note(rows, self._rows[number][done : done + rows.size], f"row of {version_name(number)}")

    def _kept(self, made: Records, stored: Records, stream: str) -> Records:
        """Leave out the rows whose records retention deleted: those before the first that is there."""
        if stream not in self._deleted:
            return made
        gone = made["decision"] < stored["decision"][0] if len(stored) else np.ones(len(made), np.bool_)
        self.rows_deleted += int(gone.sum())
        return np.compress(~gone, made)

    def _compare_orders(self, orders: Records) -> None:
        if self._never_sent.size:
            orders = np.compress(~np.isin(orders["decision"], self._never_sent), orders)
        if orders.size:
            self._note(orders, self._orders[self.orders : self.orders + orders.size], "order")
            self.orders += orders.size

    def note_misjudged(self, words: list[str]) -> None:
        """Count inputs whose admission came out otherwise."""
        if words:
            self._difference(len(words), words[0])

    def finish(self) -> None:
        """Count what is on the tape and was not made again."""
        for number, recorded in self._recorded.items():
            self._excess(len(recorded) - self._done[number], f"decisions of {version_name(number)}")
        for number, rows in self._rows.items():
            self._excess(len(rows) - self._rows_done[number], f"rows of {version_name(number)}")
        self._excess(len(self._orders) - self.orders, "orders")
        for stream, dtype in self._reader.streams().items():
            if stream.startswith(ROWS) and int(stream.removeprefix(ROWS), 16) not in self._rows:
                self._excess(len(read_or_none(self._reader, stream, dtype, self._after)), f"records of {stream}")

    def _excess(self, count: int, what: str) -> None:
        if count > 0:
            self._difference(count, f"{count} recorded {what} were not made again")

    def _note(self, made: Records, stored: Records, what: str) -> None:
        """Compare records byte for byte after the frame."""
        if len(stored) < len(made):
            self._difference(len(made) - len(stored), f"a {what} is not on the tape")
        if not len(stored):
            return
        differs = (record_bytes(made[: len(stored)]) != record_bytes(stored)).any(axis=1)
        if differs.any():
            place = int(np.argmax(differs))
            fields = _differing(made[place], stored[place])
            where = f"{what} {int(stored['sequence'][place])}"
            self._difference(int(differs.sum()), f"{where}: {fields}")

    def _difference(self, count: int, words: str) -> None:
        self.differences += count
        self.first_difference = self.first_difference or words


def first_checkpoint(folder: Path) -> int | None:
    """Return the sequence of a tape's first checkpoint from which everything can be decided again; None without any.

    Raises
    ------
    NotFound
        Retention deleted inputs, decisions or orders after the last one.
    """
    found = [int(path.stem) for path in checkpoint_paths(Path(folder))]
    needed = _needed_after(Path(folder))
    kept = [sequence for sequence in found if sequence >= needed]
    if found and not kept:
        raise NotFound(
            f"retention deleted what was needed up to record {needed}, and the last checkpoint is {found[-1]}; "
            "replay is possible again after the engine's next checkpoint"
        )
    return kept[0] if kept else None


def _needed_after(folder: Path) -> int:
    """Return the last sequence that cannot be decided again, because of what was deleted; 0 where nothing was.

    A version let in later, but warmed with inputs that are gone, cannot be warmed again: not before it came in either.
    """
    deleted = [each for each in read_deletions(folder).values() if each.stream in {INPUTS, DECISIONS, ORDERS}]
    needed = max((each.last_sequence for each in deleted), default=0)
    gone = max((each.last_sequence for each in deleted if each.stream == INPUTS), default=0)
    if gone:
        inputs = inputs_after(TapeReader(folder), needed)
        values = inputs["values"]
        let_in = (inputs["kind"] == Kind.CONTROL) & np.isin(values[:, 0], (Word.CHAMPION, Word.SHADOW_ADDED))
        cold = inputs["sequence"][let_in & (values[:, 1] < gone)]
        needed = max(needed, int(cold.max(initial=0)))
    return needed


def _never_sent(reader: TapeReader, after: int) -> npt.NDArray[np.uint64]:
    """Return the orders that were approved in a run that a crash cut short."""
    inputs = inputs_after(reader, after)
    is_ours = (inputs["kind"] == Kind.REJECT) & (inputs["values"][:, 0] == NEVER_SENT)
    return np.compress(is_ours, inputs["reference"])


def record_bytes(records: Records) -> npt.NDArray[np.uint8]:
    """Return what records say, (n, bytes), without the frame that the tape gives them."""
    plain = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), -1)
    return plain[:, _FRAME_BYTES:]


def _differing(made: np.void, stored: np.void) -> str:
    """Say which fields differ, with both values."""
    names = [name for name in made.dtype.names or () if name not in ("sequence", "crc", "epoch")]
    found = [name for name in names if np.asarray(made[name]).tobytes() != np.asarray(stored[name]).tobytes()]
    return ", ".join(f"{name} is {stored[name]} on the tape, {made[name]} here" for name in found[:3])
