"""Where training reads its history: market files, recorded events on a tape, or both, as one batch.

Idea:   a retraining learns from what the desk really saw, so it reads the tape's inputs; what happened before the desk
        went live still comes from the project's files.
Time:   sources are given oldest first; a later source adds, for each instrument, only events after the earlier ones'.
        Events that the input checks refused were never seen by the features and are left out.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from tradeworthy.core.decisions import INPUTS
from tradeworthy.core.errors import DataInvalid, NotFound
from tradeworthy.core.events import FRAME, EventBatch, Kind, merge
from tradeworthy.core.instruments import Instrument
from tradeworthy.live.feeds.files import MarketFile
from tradeworthy.live.feeds.rows import RowFile, read_events
from tradeworthy.record.reader import TapeReader

MARKET_KINDS = (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.BOOK, Kind.ROW, Kind.OUTCOME, Kind.GAP)


class FileHistory(msgspec.Struct, frozen=True, kw_only=True, tag="files"):
    """Market and row files of a project; only events up to `until_ns`, if that is set."""

    folder: str
    files: list[MarketFile]
    rows: list[RowFile] = []
    until_ns: int | None = None


class ArrayHistory(msgspec.Struct, frozen=True, kw_only=True, tag="array"):
    """Event records in a NumPy file (.npy), written by `numpy.save`."""

    path: str


class TapeHistory(msgspec.Struct, frozen=True, kw_only=True, tag="tape"):
    """Inputs recorded on a tape, from one sequence to another (both included; to the end if left out)."""

    folder: str
    first_sequence: int = 0
    last_sequence: int | None = None


History = FileHistory | ArrayHistory | TapeHistory


def read_history(sources: Sequence[History], instruments: Sequence[Instrument]) -> EventBatch:
    """Read all sources into one batch in the order of event time.

    Raises
    ------
    DataInvalid
        There are no events.
    NotFound
        A file or a tape is missing.
    """
    batches: list[EventBatch] = []
    for source in sources:
        batches.append(_later(_read(source, instruments), batches))
    if not any(len(batch) for batch in batches):
        raise DataInvalid(f"the history is empty in {len(batches)} sources; check files, tape and sequences")
    history = merge(batches)
    for name, _ in FRAME:
        history[name] = 0  # a history has no place on a tape
    return history


def _read(source: History, instruments: Sequence[Instrument]) -> EventBatch:
    match source:
        case FileHistory():
            events, _ = read_events(source.files, source.rows, instruments, folder=Path(source.folder))
            return events if source.until_ns is None else events[events["ts_event_ns"] <= source.until_ns]
        case ArrayHistory():
            return _read_array(Path(source.path))
        case TapeHistory():
            return _read_tape(source)


def _read_array(path: Path) -> EventBatch:
    if not path.is_file():
        raise NotFound(f"no events at {path}; write them with numpy.save")
    events: EventBatch = np.load(path, allow_pickle=False)
    if events.dtype.names is None or "values" not in events.dtype.names or events.ndim != 1:
        raise DataInvalid(f"{path} holds {events.dtype} of shape {events.shape}; allowed is a list of event records")
    return events


def _read_tape(source: TapeHistory) -> EventBatch:
    """Read market inputs from a tape, without those that were refused."""
    found = TapeReader(Path(source.folder)).read(INPUTS, after=max(source.first_sequence - 1, 0))
    kept = np.isin(found["kind"], MARKET_KINDS) & (found["flags"] == 0)
    if source.last_sequence is not None:
        kept &= found["sequence"] <= source.last_sequence
    market: EventBatch = found[kept]
    return market


def _later(events: EventBatch, earlier: Sequence[EventBatch]) -> EventBatch:
    """Return the events of each instrument after the last one that an earlier source has of it."""
    kept = np.ones(len(events), bool)
    for number in np.unique(events["instrument"]):
        last = [batch["ts_event_ns"][batch["instrument"] == number].max(initial=-1) for batch in earlier]
        kept &= (events["instrument"] != number) | (events["ts_event_ns"] > max(last, default=-1))
    return events[kept]
