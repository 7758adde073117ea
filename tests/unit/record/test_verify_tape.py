"""Verification names what is wrong, and where."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import VirtualClock
from tradeworthy.record.chain import CHAIN, HEADS, Block, Notary, read_chain
from tradeworthy.record.checksum import crc32c
from tradeworthy.record.problems import Problem
from tradeworthy.record.signing import key_id
from tradeworthy.record.verify import verify
from tradeworthy.testing.tapes import SAMPLE, open_small, samples, write_small

HEADER, WIDTH = 4096, 64


class Key:
    """Signs with a key of its own."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)
        self.trusted = {self.key_id: self.public}

    def sign(self, data: bytes, /) -> bytes:
        return self._key.sign(data)


KEY = Key(1)


@pytest.fixture
def tape(tmp_path):
    """A closed, chained and published tape of 150 records in two streams, blocks of 50."""
    folder = tmp_path / "tape"
    with open_small(folder) as writer:
        a, b = writer.stream("a", SAMPLE), writer.stream("b", SAMPLE)
        notary = Notary(folder, clock=VirtualClock(5))
        for _ in range(3):
            a.append(samples(writer.next_sequence, 45))
            b.append(samples(writer.next_sequence, 5))
            writer.checkpoint({"x": samples(0)})
            writer.sync()
            notary.extend()
            notary.publish(tmp_path / "heads", KEY)
    return folder


def check(folder, trusted=None):
    return verify(folder, heads=folder.parent / "heads", public_keys=KEY.trusted if trusted is None else trusted)


def flip(path, byte, mask=1):
    with path.open("r+b") as file:
        file.seek(byte)
        value = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([value ^ mask]))


def test_a_whole_tape_is_whole(tape):
    """Nothing is found where nothing is wrong, and everything was counted."""
    report = check(tape)
    assert (report.ok, report.problems, report.notes) == (True, [], [])
    assert (report.records, report.segments, report.checkpoints, report.blocks, report.heads) == (150, 4, 3, 3, 3)
    assert report.last_sequence == report.durable_sequence == report.chained_sequence == 150


def test_a_tape_may_be_verified_while_it_is_written(tmp_path):
    """A writer at work is no problem, with or without marks and chain."""
    with open_small(tmp_path) as writer:
        stream = writer.stream("a", SAMPLE)
        for _ in range(5):
            stream.append(samples(writer.next_sequence, 40))
            assert verify(tmp_path).problems == []
        writer.sync()
        assert verify(tmp_path).durable_sequence == 200


def test_what_could_not_be_checked_is_said(tmp_path):
    """A tape without chain and heads passes with notes that say so; one not closed is noted too."""
    write_small(tmp_path, close=False)
    (tmp_path / "lock").unlink()
    report = verify(tmp_path)
    assert report.ok
    assert [note.split(":")[0] for note in report.notes] == [
        "stream a, segment 00000001.seg is not sealed",
        "stream b, segment 00000001.seg is not sealed",
        "the tape has no block chain",
        "no published heads were given",
    ]


def test_no_tape_is_no_report(tmp_path):
    """A folder without a tape is an error of the caller."""
    with pytest.raises(NotFound, match="no tape"):
        verify(tmp_path)


def test_every_damaged_record_is_named(tape):
    """One run names all damaged records with stream, segment, record and byte."""
    for stream, record in (("a", 3), ("a", 60), ("b", 14)):
        flip(tape / "streams" / stream / "00000001.seg", HEADER + record * WIDTH + 40)
    found = [(p.stream, p.segment, p.record, p.byte) for p in check(tape).problems if p.stream and "checksum" in p.what]
    assert found == [
        ("a", "00000001.seg", 3, HEADER + 3 * WIDTH),
        ("a", "00000001.seg", 60, HEADER + 60 * WIDTH),
        ("b", "00000001.seg", 14, HEADER + 14 * WIDTH),
    ]


@pytest.mark.parametrize(
    ("path", "byte", "words"),
    [
        ("streams/a/00000001.seg", 3, "not the start of a tape segment"),
        ("streams/a/00000001.seg", 300, "header's checksum"),
        ("streams/a/00000001.seg", 4096 - 512 + 9, "seal is damaged"),
        ("streams/b/00000001.seg", 4096 + 15 * 64 + 5, "after the last record sealed"),
        ("streams/b/stream.json", 0, "cannot be read"),
        ("epochs.log", 20, "line is damaged"),
        ("checkpoints/00000000000000000050.ckpt", 60, "checksum differs"),
        ("chain.log", 40, "block"),
    ],
)
@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_damage_anywhere_else_is_named(tape, path, byte, words, mask):
    """Headers, seals, empty space, declarations, the log, checkpoints and the chain are checked too."""
    flip(tape / path, byte, mask)
    report = check(tape)
    assert not report.ok
    assert any(words in str(problem) for problem in report.problems)


def test_missing_segments_and_records_are_named(tape):
    """A whole file that is gone leaves a hole in the numbering and in the sequence."""
    (tape / "streams" / "a" / "00000001.seg").unlink()
    words = " / ".join(str(problem) for problem in check(tape).problems)
    assert "segments [1] are missing" in words
    assert "sequences 1-45, 51-69" in words


def test_a_stream_that_is_gone_is_noticed(tape):
    """Without its folder, the mark and the sequence still know of a stream."""
    stream = tape / "streams" / "b"
    for path in stream.iterdir():
        path.unlink()
    stream.rmdir()
    assert any("sequences 46-50, 96-100" in str(problem) for problem in verify(tape).problems)


def test_a_declaration_that_is_gone_is_named(tape):
    """A stream with records whose declaration is missing is told as that."""
    (tape / "streams" / "b" / "stream.json").unlink()
    assert "stream b: stream.json is missing" in [str(problem) for problem in check(tape).problems]


def test_a_segment_under_another_name_is_named(tape):
    """A file moved to another place or stream does not pass."""
    source = tape / "streams" / "a" / "00000001.seg"
    (tape / "streams" / "b" / "00000002.seg").write_bytes(source.read_bytes())
    words = " / ".join(str(problem) for problem in check(tape).problems)
    assert "the header says stream 'a', segment 1" in words
    assert "stand in two places" in words


def _forge(folder: Path, record: int) -> None:
    """Change a record and make its checksum right again, as someone with file access could."""
    path = folder / "streams" / "a" / "00000001.seg"
    raw = bytearray(path.read_bytes())
    start = HEADER + record * WIDTH
    raw[start + 16 : start + 24] = (123456).to_bytes(8, "little")
    seed = int.from_bytes(raw[16:20], "little")
    body = raw[start : start + 8] + bytes(4) + raw[start + 12 : start + WIDTH]
    raw[start + 8 : start + 12] = crc32c(bytes(body), seed).to_bytes(4, "little")
    path.write_bytes(raw)


def test_a_forged_record_is_found_by_the_chain(tape):
    """A record rewritten with a right checksum differs from its block."""
    _forge(tape, 50)
    (problem,) = check(tape).problems
    assert (problem.stream, problem.segment, problem.record) == ("a", "00000001.seg", 45)
    assert "records 45-63 are not those of block 2" in problem.what


def _rebuild_chain(folder: Path, keep: int) -> None:
    """Compute the chain anew over the first parts, as someone with file access could."""
    blocks, previous = [], "0" * 64
    for old in read_chain(folder)[:keep]:
        parts = []
        for part in old.parts:
            data = (folder / part.path).read_bytes()[part.start : part.stop]
            parts.append(msgspec.structs.replace(part, sha256=hashlib.sha256(data).hexdigest()))
        block: Block = msgspec.structs.replace(old, parts=parts, previous=previous, hash="")
        blocks.append(msgspec.structs.replace(block, hash=block.digest()))
        previous = blocks[-1].hash
    (folder / CHAIN).write_bytes(b"".join(msgspec.json.encode(block) + b"\n" for block in blocks))


def test_a_recomputed_chain_is_found_by_the_published_heads(tape):
    """A record rewritten together with the whole chain differs from what was published; without heads nobody knows."""
    _forge(tape, 50)
    _rebuild_chain(tape, 3)
    assert verify(tape).ok
    assert ["rewritten" in problem.what for problem in check(tape).problems] == [True, True]


def test_a_cut_tail_is_found_by_the_published_heads(tape, tmp_path):
    """A tape put back to an earlier state, chain and all, is shorter than what was published."""
    _rebuild_chain(tape, 2)
    assert any("the tail was cut off: block 3" in problem.what for problem in check(tape).problems)


def test_a_block_taken_out_or_changed_is_named(tape):
    """The chain's own links are checked."""
    path = tape / CHAIN
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    assert any("block 3 of the chain does not follow" in problem.what for problem in verify(tape).problems)
    path.write_bytes(b"".join(lines).replace(b'"upto":100', b'"upto":101'))
    assert any("block 2 of the chain was changed" in problem.what for problem in verify(tape).problems)


def test_heads_are_believed_only_from_trusted_keys(tape):
    """An unknown key, a wrong signature and heads of another tape are problems."""
    assert any("not trusted" in problem.what for problem in check(tape, {}).problems)
    assert any("wrong signature" in p.what for p in check(tape, {KEY.key_id: Key(2).public}).problems)
    heads = tape.parent / "heads" / HEADS
    heads.write_bytes(heads.read_bytes().replace(b'"tape":"', b'"tape":"0'))
    assert any("none of the 3 published heads" in problem.what for problem in check(tape).problems)


@pytest.mark.parametrize("damage", [b"{]", b'{"tape":"\xff"}', b"[" * 100_000])
def test_damaged_heads_are_named(tape, damage):
    """A file of heads that cannot be read is a problem, not a crash."""
    (tape.parent / "heads" / HEADS).write_bytes(damage + b"\n")
    assert any("not a head" in problem.what for problem in check(tape).problems)


def test_problems_say_their_place():
    """A problem in one line has its place first."""
    assert str(Problem(what="it is wrong", stream="a", record=3)) == "stream a, record 3: it is wrong"
    assert str(Problem(what="it is wrong")) == "it is wrong"
