"""Checksums of records: CRC-32C, eight bytes a step, over arrays of 64-bit words.

Idea:      a record is a whole number of little-endian 64-bit words. Word 0 is the sequence; word 1 holds the checksum
           (low half) and the epoch (high half). The checksum covers the record with its own four bytes taken as zero
           and continues from the checksum of the segment's header, so a record copied from elsewhere never passes.
State:     none; the tables are constants.
Reference: Castagnoli, Braeuer, Herrmann (1993), polynomial 0x1EDC6F41; Kounavis and Berry (2005), slicing by eight.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.kernel import kernel

Words = npt.NDArray[np.uint64]
"""Records seen as little-endian 64-bit words."""

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41, bits reversed


def _tables() -> npt.NDArray[np.uint32]:
    """Return the (8, 256) tables: row k advances a byte by k further zero bytes."""
    table = np.zeros((8, 256), np.uint32)
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        table[0, value] = crc
    for row in range(1, 8):
        before = table[row - 1]
        table[row] = (before >> 8) ^ table[0, before & 0xFF]
    return table


_TABLE = _tables()
_BYTE = np.uint64(0xFF)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)
_HALF = np.uint64(32)


@kernel
def _step(state: Any, word: Any) -> Any:
    """Advance the inverted checksum `state` by one word."""
    x = word ^ state
    return np.uint64(
        _TABLE[7, x & _BYTE]
        ^ _TABLE[6, (x >> np.uint64(8)) & _BYTE]
        ^ _TABLE[5, (x >> np.uint64(16)) & _BYTE]
        ^ _TABLE[4, (x >> np.uint64(24)) & _BYTE]
        ^ _TABLE[3, (x >> np.uint64(32)) & _BYTE]
        ^ _TABLE[2, (x >> np.uint64(40)) & _BYTE]
        ^ _TABLE[1, (x >> np.uint64(48)) & _BYTE]
        ^ _TABLE[0, x >> np.uint64(56)]
    )


@kernel
def _record_checksum(words: Any, base: int, width: int, seed: Any) -> Any:
    """Return the checksum of the record of `width` words at `base`, its own checksum taken as zero."""
    state = _step(seed ^ _LOW, words[base])
    state = _step(state, words[base + 1] & _HIGH)
    for place in range(base + 2, base + width):
        state = _step(state, words[place])
    return state ^ _LOW


@kernel
def frame_records(words: Words, width: int, first: int, framing: Words) -> None:
    """Write sequence, epoch and checksum into every record of a batch, in place.

    Parameters
    ----------
    words : (n * width,) uint64
        The records.
    width : int
        Words in a record.
    first : int
        Sequence of the first record; the others follow without a gap.
    framing : (2,) uint64
        The writer's epoch and the checksum of the segment's header.
    """
    high = framing[0] << _HALF
    start = framing[1]
    sequence = np.uint64(first)
    for base in range(0, words.size, width):
        words[base] = sequence
        words[base + 1] = high
        words[base + 1] = high | _record_checksum(words, base, width, start)
        sequence += np.uint64(1)


@kernel
def checksum_records(words: Words, width: int, seed: int) -> None:
    """Write the checksum into records that carry sequence and epoch already, in place.

    Parameters
    ----------
    words : (n * width,) uint64
        The records; their checksums are zero.
    width, seed : int
        Words in a record; the checksum of the segment's header.
    """
    start = np.uint64(seed)
    for base in range(0, words.size, width):
        words[base + 1] = (words[base + 1] & _HIGH) | _record_checksum(words, base, width, start)


@kernel
def whole_records(  # noqa: PLR0917  # a kernel takes places, not names
    words: Words, width: int, start: int, stop: int, epoch: int, seed: int, after: int
) -> int:
    """Return the first place in ``start..stop`` that does not hold a whole record; `stop` where all do.

    A whole record has a sequence above the one before it (`after`, for the first), the writer's epoch and a checksum
    that agrees.

    Parameters
    ----------
    words : (capacity * width,) uint64
        All records of a segment.
    width, start, stop : int
        Words in a record; the range of records to look at.
    epoch, seed, after : int
        Of the segment's header; the sequence of the record before `start`.
    """
    high = np.uint64(epoch)
    base_seed = np.uint64(seed)
    last = np.uint64(after)
    for place in range(start, stop):
        base = place * width
        sequence = words[base]
        if sequence <= last or (words[base + 1] >> _HALF) != high:
            return place
        if (words[base + 1] & _LOW) != _record_checksum(words, base, width, base_seed):
            return place
        last = sequence
    return stop


@kernel
def next_whole_record(  # noqa: PLR0917  # a kernel takes places, not names
    words: Words, width: int, start: int, stop: int, epoch: int, seed: int
) -> int:
    """Return the first place in ``start..stop`` that holds a whole record, whatever stands before it; else `stop`."""
    for place in range(start, stop):
        base = place * width
        if words[base] != 0 and (words[base + 1] >> _HALF) == np.uint64(epoch):
            checksum = _record_checksum(words, base, width, np.uint64(seed))
            if (words[base + 1] & _LOW) == checksum:
                return place
    return stop


@kernel
def first_used_word(words: Words, start: int, stop: int) -> int:
    """Return the first place in ``start..stop`` whose word is not zero; `stop` where all are."""
    for place in range(start, stop):
        if words[place] != 0:
            return place
    return stop


@kernel
def _checksum_words(words: Words, crc: int) -> Any:
    state = np.uint64(crc) ^ _LOW
    for place in range(words.size):
        state = _step(state, words[place])
    return np.int64(state ^ _LOW)


@kernel
def _checksum_bytes(data: npt.NDArray[np.uint8], crc: int) -> Any:
    state = np.uint32(np.uint64(crc) ^ _LOW)
    for place in range(data.size):
        state = np.uint32((state >> np.uint32(8)) ^ _TABLE[0, (state ^ data[place]) & np.uint32(0xFF)])
    return np.int64(np.uint64(state) ^ _LOW)


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """Return the CRC-32C of `data`, continuing from `crc`.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    raw = np.frombuffer(data, np.uint8)
    aligned = raw.size // 8 * 8
    if aligned:
        crc = int(_checksum_words(raw[:aligned].view(np.uint64), crc))
    return int(_checksum_bytes(raw[aligned:], crc)) if raw.size > aligned else crc
