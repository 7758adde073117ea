"""Checkpoints of the engine's state."""

import struct

import numpy as np
import pytest

from tradeworthy.core.errors import DataInvalid, RecordCorrupt, RecordNewer
from tradeworthy.core.events import event_dtype
from tradeworthy.record.checkpoint import decode_checkpoint, encode_checkpoint, read_checkpoint, write_checkpoint
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.disk import Disk

STATE = {
    "floats": np.linspace(-1, np.nan, 6).reshape(2, 3),
    "empty": np.zeros((0, 4), np.int32),
    "one": np.uint64(7),
    "text": np.array(["champion", "ü"]),
    "flags": np.array([True, False]),
    "events": np.zeros(3, event_dtype(7)),
    "strided": np.arange(10)[::3],
}


def test_every_kind_of_array_survives():
    """Types, shapes and bytes of a state come back, records and empty arrays included."""
    sequence, state = decode_checkpoint(encode_checkpoint(11, STATE), "here")
    assert sequence == 11
    for name, value in STATE.items():
        expected = np.asarray(value)
        assert (state[name].dtype, state[name].shape) == (expected.dtype, expected.shape)
        assert state[name].tobytes() == expected.tobytes()


def test_a_restored_array_may_be_written():
    """The engine goes on with what it read."""
    _, state = decode_checkpoint(encode_checkpoint(1, {"x": np.zeros(3)}), "here")
    state["x"][1] = 5.0
    assert state["x"].tolist() == [0.0, 5.0, 0.0]


def test_objects_are_refused():
    """An array of objects would need pickle."""
    with pytest.raises(DataInvalid, match="'bad' holds objects"):
        encode_checkpoint(1, {"bad": np.array([{}])})


def test_every_changed_byte_is_noticed():
    """No byte of a checkpoint can change, and none can be cut off, without notice."""
    raw = encode_checkpoint(3, {"x": np.arange(4)})
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 0x20
        with pytest.raises(RecordCorrupt, match="here"):
            decode_checkpoint(bytes(changed), "here")
        with pytest.raises(RecordCorrupt, match="here"):
            decode_checkpoint(raw[:place], "here")


def test_a_newer_checkpoint_is_refused():
    """A checkpoint of a higher format is refused by its number."""
    body = struct.pack("<8sII", b"TRDWCKPT", 2, 0)
    with pytest.raises(RecordNewer, match="format 2"):
        decode_checkpoint(body + struct.pack("<I", crc32c(body)), "here")


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    """Reading takes the newest at or before a sequence, and passes over one that is damaged."""
    assert read_checkpoint(tmp_path, None) is None
    for sequence in (5, 20, 100):
        write_checkpoint(tmp_path, sequence, {"x": np.array([sequence])}, Disk())
    found = {bound: read_checkpoint(tmp_path, bound) for bound in (None, 100, 99, 20, 4)}
    assert {bound: entry and entry[0] for bound, entry in found.items()} == {
        None: 100,
        100: 100,
        99: 20,
        20: 20,
        4: None,
    }
    newest = tmp_path / "checkpoints" / f"{100:020d}.ckpt"
    newest.write_bytes(newest.read_bytes()[:-9])
    assert read_checkpoint(tmp_path, None)[0] == 20
