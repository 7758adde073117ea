"""Blocks and heads as they are made."""

import numpy as np
import pytest

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.chain import CHAIN, HEADS, Notary, read_chain, read_heads, tape_name
from tradeworthy.testing.tapes import SAMPLE, open_small, samples


class Stamp:
    """A signer whose signature is easy to recognise."""

    key_id = "stamp"

    def sign(self, data: bytes, /) -> bytes:
        return bytes([len(data) % 256])


@pytest.fixture
def writer(tmp_path):
    with open_small(tmp_path) as tape:
        yield tape


def notary(writer):
    return Notary(writer.folder, clock=VirtualClock(9))


def test_only_what_is_durable_is_hashed(writer):
    """A record enters a block once it is below the mark."""
    stream = writer.stream("a", SAMPLE)
    stream.append(samples(1, 5))
    first = notary(writer).extend()
    assert [part.path for part in first.parts] == ["epochs.log"]
    writer.sync()
    second = notary(writer).extend()
    assert (second.number, second.upto, second.previous) == (2, 5, first.hash)
    assert [(part.start, part.stop) for part in second.parts] == [(0, 3584), (4096, 4096 + 5 * 64)]
    assert notary(writer).extend() is None


def test_blocks_continue_each_other(writer):
    """Every byte is covered once, by one notary or by many in turn."""
    stream = writer.stream("a", SAMPLE)
    standing = notary(writer)
    for turn in range(6):
        stream.append(samples(1, 30))
        writer.sync()
        (standing if turn % 2 else notary(writer)).extend()
        standing = notary(writer) if turn % 2 == 0 else standing
    blocks = read_chain(writer.folder)
    assert [block.digest() for block in blocks] == [block.hash for block in blocks]
    covered = np.zeros(4096 + 64 * 64, np.uint8)
    for block in blocks:
        for part in block.parts:
            if part.path == "streams/a/00000001.seg":
                covered[part.start : part.stop] += 1
    assert set(covered[:3584]) == set(covered[4096:]) == {1}
    assert set(covered[3584:4096]) == {0}


def test_checkpoints_are_hashed_with_their_records(writer):
    """A checkpoint is covered as soon as its sequence is durable."""
    writer.stream("a", SAMPLE).append(samples(1))
    writer.checkpoint({"x": np.zeros(3)})
    writer.sync()
    assert f"checkpoints/{1:020d}.ckpt" in [part.path for part in notary(writer).extend().parts]


def test_damage_is_not_hashed(writer):
    """A damaged record stops the notary: its hash must not vouch for it."""
    writer.stream("a", SAMPLE).append(samples(1, 3))
    writer.sync()
    path = writer.folder / "streams" / "a" / "00000001.seg"
    raw = bytearray(path.read_bytes())
    raw[4096 + 70] ^= 1
    path.write_bytes(raw)
    with pytest.raises(RecordCorrupt, match="record 1 "):
        notary(writer).extend()


def test_a_head_states_the_newest_block(writer, tmp_path):
    """A published head names tape, block and hash, and carries the signature of its statement."""
    heads = tmp_path / "elsewhere"
    empty = notary(writer)
    assert empty.publish(heads, Stamp()) is None
    block = empty.extend()
    head = empty.publish(heads, Stamp())
    assert (head.tape, head.block, head.hash, head.ts_ns) == (tape_name(writer.folder), 1, block.hash, 9)
    assert bytes.fromhex(head.signature) == Stamp().sign(head.statement())
    assert read_heads(heads) == [head]


def test_torn_lines_are_not_in_force(writer, tmp_path):
    """A block or head whose line was not finished does not count, and is written over."""
    one = notary(writer)
    one.extend()
    one.publish(tmp_path / "heads", Stamp())
    for path in (writer.folder / CHAIN, tmp_path / "heads" / HEADS):
        with path.open("ab") as file:
            file.write(b'{"number":2,"up')
    writer.stream("a", SAMPLE).append(samples(1))
    writer.sync()
    again = notary(writer)
    assert again.extend().number == 2
    again.publish(tmp_path / "heads", Stamp())
    assert [len(read_chain(writer.folder)), len(read_heads(tmp_path / "heads"))] == [2, 2]


@pytest.mark.parametrize(("line", "error"), [(b"[]\n", RecordCorrupt), (b"x\n", RecordCorrupt)])
def test_a_damaged_chain_is_refused(writer, line, error):
    """A notary does not build on a chain that it cannot read."""
    (writer.folder / CHAIN).write_bytes(line)
    with pytest.raises(error, match="not a block"):
        notary(writer)


def test_a_newer_chain_is_refused(writer):
    """Blocks of a higher format are refused."""
    notary(writer).extend()
    path = writer.folder / CHAIN
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(RecordNewer, match="format above 1"):
        read_chain(writer.folder)


def test_no_tape_has_no_name(tmp_path):
    """A folder that was never opened has no name."""
    assert tape_name(tmp_path / "nothing") == ""
