"""Small tapes for tests and drills: one record type, and a writer that rotates after a few dozen records."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeworthy.core.events import FRAME
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.disk import Disk
from tradeworthy.record.tape import Durability, TapeWriter

SAMPLE = np.dtype([*FRAME, ("value", "<i8"), ("noise", "<u8", (5,))])
"""A record of 64 bytes."""

SEGMENT_BYTES = 8192
"""A segment of 64 sample records."""


def samples(first: int, count: int = 1) -> npt.NDArray[np.void]:
    """Return records whose values count up from `first`, with bytes in every place."""
    records = np.zeros(count, SAMPLE)
    records["value"] = np.arange(first, first + count)
    records["noise"] = (records["value"][:, None].astype(np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    return records


def open_small(folder: Path, *, disk: Disk | None = None, durability: Durability = "process") -> TapeWriter:
    """Open a tape with small segments and a clock that stands still."""
    return TapeWriter.open(
        folder, clock=VirtualClock(1_000), durability=durability, segment_bytes=SEGMENT_BYTES, disk=disk
    )


def write_small(folder: Path, counts: tuple[int, ...] = (3, 5, 40, 2), *, close: bool = True) -> TapeWriter:
    """Write batches of so many samples to streams ``a`` and ``b`` in turn; the values are the sequences."""
    writer = open_small(folder)
    streams = [writer.stream("a", SAMPLE), writer.stream("b", SAMPLE)]
    for turn, count in enumerate(counts):
        streams[turn % 2].append(samples(writer.next_sequence, count))
    if close:
        writer.close()
    return writer
