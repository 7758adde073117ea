"""CRC-32C and the frames of records."""

import numpy as np
import pytest

from tradeworthy.record.checksum import crc32c, first_used_word, frame_records, next_whole_record, whole_records


def bitwise(data: bytes, crc: int = 0) -> int:
    """Compute CRC-32C bit by bit, as an independent reference."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(count: int, *, width: int = 4, first: int = 7, epoch: int = 3, seed: int = 99) -> np.ndarray:
    words = np.arange(count * width, dtype=np.uint64) * np.uint64(0x0101010101010101)
    frame_records(words, width, first, np.array([epoch, seed], np.uint64))
    return words


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_known_values(data, expected):
    """The check value of the polynomial and the test vectors of RFC 3720 come out."""
    assert crc32c(data) == expected


def test_agrees_with_the_bitwise_definition_at_every_length():
    """Eight bytes a step give the same as one bit a step, whatever remains at the end."""
    data = np.random.default_rng(1).bytes(67)
    assert [crc32c(data[:size]) for size in range(68)] == [bitwise(data[:size]) for size in range(68)]


def test_continues_from_a_checksum():
    """The checksum of two pieces, one continued from the other, is that of the whole."""
    assert crc32c(b"456789", crc32c(b"123")) == crc32c(b"123456789")


def test_a_frame_is_sequence_epoch_and_checksum():
    """Word 0 is the sequence, word 1 checksum and epoch; the checksum takes its own bytes as zero."""
    words = framed(2)
    raw = words[4:].tobytes()
    assert words[4] == 8
    assert words[5] >> np.uint64(32) == 3
    assert int(words[5]) & 0xFFFFFFFF == bitwise(raw[:8] + bytes(4) + raw[12:], 99)


def test_whole_records_stops_at_the_first_that_differs():
    """A changed byte in any word of a record makes the check stop at that record."""
    for word in range(8, 12):
        words = framed(5)
        words[word] ^= np.uint64(1 << 40)
        assert whole_records(words, 4, 0, 5, 3, 99, 0) == 2


@pytest.mark.parametrize(("epoch", "seed", "after"), [(4, 99, 0), (3, 98, 0), (3, 99, 7)])
def test_whole_records_of_another_writer_or_place_are_refused(epoch, seed, after):
    """Another epoch, another segment's header or a sequence that does not rise is not a record of this place."""
    assert whole_records(framed(3), 4, 0, 3, epoch, seed, after) == 0


def test_next_whole_record_looks_past_damage():
    """A whole record after a damaged one is found."""
    words = framed(4)
    words[5] = 0
    assert next_whole_record(words, 4, 1, 4, 3, 99) == 2
    assert next_whole_record(np.zeros(16, np.uint64), 4, 0, 4, 3, 99) == 4


def test_first_used_word():
    """The first word that is not zero is found; there may be none."""
    words = np.array([0, 0, 5, 0], np.uint64)
    assert first_used_word(words, 0, 4) == 2
    assert first_used_word(words, 3, 4) == 4
