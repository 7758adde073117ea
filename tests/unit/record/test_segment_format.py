"""The header and the seal of a segment."""

import struct

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, ORDER, row_dtype
from tradeworthy.core.errors import DataInvalid, RecordCorrupt, RecordNewer
from tradeworthy.core.events import FRAME, event_dtype
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.segment import (
    FIRST_BYTES,
    FORMAT,
    PAGE,
    Description,
    Header,
    Seal,
    capacity_of,
    check_name,
    decode_header,
    decode_seal,
    describe,
    encode_header,
    encode_seal,
    next_bytes,
    record_type,
    segment_numbers,
    segment_paths,
)


def description(dtype=DECISION, **meta: str) -> Description:
    return Description(stream="decisions", itemsize=dtype.itemsize, fields=describe(dtype), meta=meta)


def header(described: Description | None = None) -> tuple[bytes, Header]:
    return encode_header(
        Header(
            epoch=2,
            index=3,
            first_sequence=17,
            capacity=10,
            created_ns=-5,
            boot=bytes(range(16)),
            description=described or description(),
        )
    )


@pytest.mark.parametrize("dtype", [DECISION, ORDER, event_dtype(), event_dtype(33), row_dtype(16, 2)])
def test_record_types_survive_their_description(dtype):
    """The type described in a header is the type that was written, offsets and shapes included."""
    assert record_type(description(dtype)) == dtype


def test_a_type_with_holes_survives_its_description():
    """Padding that NumPy put between fields is kept."""
    dtype = np.dtype([*FRAME, ("small", "u1"), ("large", "<f8")], align=True)
    assert record_type(description(dtype)) == dtype


@pytest.mark.parametrize(
    "fields",
    [
        [("sequence", "<u8"), ("value", "<f8")],
        [("sequence", "<i8"), ("crc", "<u4"), ("epoch", "<u4")],
        [*FRAME, ("value", "<f4")],
        [*FRAME, ("value", ">f8")],
        [*FRAME, ("value", "S8")],
        [*FRAME, ("value", "O")],
        [*FRAME, ("value", [("a", "<f8")])],
    ],
)
def test_types_that_cannot_be_kept_are_refused(fields):
    """A record begins with the frame, is made of 8-byte words, and has only little-endian numbers."""
    with pytest.raises(DataInvalid, match=r"found|keeps"):
        describe(np.dtype(fields))


def test_a_type_without_fields_is_refused():
    """A plain array has no frame."""
    with pytest.raises(DataInvalid, match="begins with"):
        describe(np.dtype("<f8"))


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a" * 65, "a b"])
def test_names_that_are_no_folder_are_refused(name):
    """A stream's name is a safe folder name."""
    with pytest.raises(DataInvalid, match="allowed"):
        check_name(name)


def test_header_survives():
    """Every field of a header is read back."""
    raw, written = header()
    assert len(raw) == PAGE
    assert decode_header(raw, "here") == written


def test_a_long_description_takes_more_pages():
    """A header grows by whole pages where its description needs them."""
    raw, written = header(description(note="x" * 9000))
    assert len(raw) == 3 * PAGE
    assert decode_header(raw, "here") == written
    assert written.size == 3 * PAGE + 10 * DECISION.itemsize


def test_every_changed_byte_of_a_header_is_noticed():
    """No byte before the seal can change without notice."""
    raw, _ = header()
    for place in range(PAGE - 512):
        changed = bytearray(raw)
        changed[place] ^= 0x10
        with pytest.raises(RecordCorrupt, match="here"):
            decode_header(bytes(changed), "here")


@pytest.mark.parametrize("size", [0, 15, 16, 100, PAGE - 513])
def test_a_cut_header_is_noticed(size):
    """A header that ends too early is damage."""
    with pytest.raises(RecordCorrupt, match="here"):
        decode_header(header()[0][:size], "here")


def test_a_newer_format_is_refused_by_its_number():
    """An intact header of a higher format is not called damage: the message names both numbers."""
    raw = bytearray(header()[0])
    struct.pack_into("<H", raw, 8, FORMAT + 1)
    struct.pack_into("<I", raw, 12, crc32c(bytes(raw[:12])))
    with pytest.raises(RecordNewer, match=f"format {FORMAT + 1}.*up to {FORMAT}"):
        decode_header(bytes(raw), "here")


def test_seal_survives():
    """A seal is read back; zeros are no seal."""
    _, written = header()
    seal = Seal(records=9, last_sequence=40, sealed_ns=123)
    assert decode_seal(encode_seal(seal, written), written, "here") == seal
    assert decode_seal(bytes(512), written, "here") is None


def test_every_changed_byte_of_a_seal_is_noticed():
    """No byte of the seal's sector can change without notice."""
    _, written = header()
    raw = encode_seal(Seal(records=9, last_sequence=40, sealed_ns=123), written)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 0x01
        with pytest.raises(RecordCorrupt, match="seal"):
            decode_seal(bytes(changed), written, "here")


def test_a_seal_of_another_segment_is_refused():
    """A seal belongs to one header."""
    _, written = header()
    _, other = header(description(note="other"))
    raw = encode_seal(Seal(records=9, last_sequence=40, sealed_ns=123), other)
    with pytest.raises(RecordCorrupt, match="seal"):
        decode_seal(raw, written, "here")


def test_segments_double_up_to_a_limit():
    """A stream starts small and grows, so that a short run is cheap and a long one rotates seldom."""
    sizes, size = [], 0
    for _ in range(6):
        nominal = next_bytes(size, 8 * FIRST_BYTES)
        size = PAGE + capacity_of(nominal, 112) * 112
        sizes.append(nominal // FIRST_BYTES)
    assert sizes == [1, 2, 4, 8, 8, 8]


def test_a_tiny_segment_still_takes_a_record():
    """A record wider than the wanted size still has a place."""
    assert capacity_of(4096, 1000) == 1


def test_segments_are_listed_by_number(tmp_path):
    """In the order of their numbers, whatever else lies there; a stream that is not there has none."""
    for name in ("00000010.seg", "00000009.seg", "stream.json", "00000011.seg.part"):
        (tmp_path / name).touch()
    assert segment_numbers(tmp_path) == [9, 10]
    assert segment_paths(tmp_path) == [tmp_path / "00000009.seg", tmp_path / "00000010.seg"]
    assert segment_numbers(tmp_path / "gone") == []
