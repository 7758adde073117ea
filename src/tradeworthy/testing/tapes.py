"""Small tapes for tests and drills: one record type, and a writer that rotates after a few dozen records."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeworthy.core.decisions import DECISION, ORDER, Role, row_dtype, rows_stream
from tradeworthy.core.events import FRAME, Kind, event_dtype
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S, VirtualClock
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


START_NS = 1_600_000_200 * NS_PER_S
"""Half past an hour, UTC."""

VERSION = 0x0123_4567_89AB_CDEF
ROW = row_dtype(2, 1)


def write_trading(folder: Path, minutes: int = 200, *, first: int = 0, segment_bytes: int = SEGMENT_BYTES) -> None:
    """Write a tape as a desk does that trades one lot every tenth minute, on a price that is the minute's number.

    Each minute brings a bar and a decision with its row; in every tenth an order follows, filled at half a unit above
    the price, for a fee of 0.25. The lot is bought and sold in turn.

    Parameters
    ----------
    folder : Path
        The tape's folder; a tape that is there is continued.
    minutes, first : int
        How many minutes, and the number of the first.
    segment_bytes : int
        The size of a segment.
    """
    clock = VirtualClock(START_NS)
    with TapeWriter.open(folder, clock=clock, segment_bytes=segment_bytes) as tape:
        streams = {
            "inputs": event_dtype(),
            "decisions": DECISION,
            "orders": ORDER,
            rows_stream(VERSION): ROW,
        }
        inputs, decisions, orders, rows = (tape.stream(name, dtype) for name, dtype in streams.items())
        for minute in range(first, first + minutes):
            ts_ns = START_NS + minute * NS_PER_MINUTE
            clock.advance_to(ts_ns)
            price = float(minute + 100)
            asked = inputs.append(_event(Kind.BAR, ts_ns, [price, price, price, price, 5.0]))
            made = np.zeros(1, DECISION)
            held, side = float(minute // 10 % 2), 1.0 - 2.0 * (minute // 10 % 2)
            trades = minute % 10 == 9
            made["input_sequence"], made["ts_event_ns"], made["ts_decided_ns"] = asked, ts_ns, ts_ns + 1_500
            made["version"], made["score"], made["role"] = VERSION, np.sin(minute), Role.CHAMPION
            made["position"], made["price"], made["observed"], made["limit"] = held, price, np.nan, np.nan
            made["quantity"], made["target"] = side * trades, held + side * trades
            decision = decisions.append(made)
            row = np.zeros(1, ROW)
            row["decision"], row["row"], row["scores"] = decision, [minute, -minute], np.sin(minute)
            rows.append(row)
            if trades:
                order = np.zeros(1, ORDER)
                order["decision"], order["version"], order["quantity"] = decision, VERSION, side
                order["ts_sent_ns"], order["limit_price"], order["reference_price"] = ts_ns + 2_000, price + 1, price
                orders.append(order)
                fill = _event(Kind.FILL, ts_ns, [side, price + 0.5 * side, 0.25, np.nan, np.nan])
                fill["reference"] = decision
                inputs.append(fill)


def _event(kind: Kind, ts_event_ns: int, values: list[float]) -> npt.NDArray[np.void]:
    event = np.zeros(1, event_dtype())
    event["kind"], event["ts_event_ns"], event["ts_recv_ns"], event["values"] = kind, ts_event_ns, ts_event_ns, values
    return event
