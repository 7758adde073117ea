"""The block chain of the tape: hashes of its durable bytes, each block naming the one before; signed, published heads.

Idea:   checksums find accidents; whoever can write the files can also write new checksums. So everything durable is
        hashed in blocks, a block carries the hash of the one before it, and a signed head (the last block's hash) is
        published outside the folder, where the one who could change the tape cannot reach it.
Shape:  `chain.log`, one JSON object a line, a block each. A block names its parts: file, byte range, SHA-256. Parts are
        segment headers (without the seal, which is written later), records, checkpoints, the logs of openings and
        of deletions.
Limits: a change after the last published head can be hidden together with its blocks; publish often.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from tradeworthy.core.errors import UNDECODABLE, RecordCorrupt, RecordNewer
from tradeworthy.core.time import Clock
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.deletions import DELETIONS, deletions_size
from tradeworthy.record.disk import Disk, append_line, whole_lines
from tradeworthy.record.epochs import EPOCHS, whole_size
from tradeworthy.record.mapped import MappedSegment
from tradeworthy.record.marks import durable_mark
from tradeworthy.record.reader import STREAMS
from tradeworthy.record.segment import SEAL_BYTES, segment_paths
from tradeworthy.record.signing import Signer

CHAIN = "chain.log"
HEADS = "heads.jsonl"
_FORMAT = 1
_GENESIS = "0" * 64
_READ_BYTES = 4 << 20


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A range of bytes of one file (path relative to the tape's folder) and its SHA-256."""

    path: str
    start: int
    stop: int
    sha256: str


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What became durable since the block before.

    Attributes
    ----------
    number : int
        From 1 without a gap.
    upto : int
        Every record up to this sequence is covered by this block or one before.
    ts_ns : int
        When it was made, UTC nanoseconds.
    parts : list of Part
        What it covers.
    previous, hash : str
        The hash before, and the SHA-256 of this block's JSON without `hash`.
    """

    number: int
    upto: int
    ts_ns: int
    parts: list[Part]
    previous: str
    format: int = _FORMAT
    hash: str = ""

    def digest(self) -> str:
        """Return the hash that the block should carry."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, hash=""))).hexdigest()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement: at `ts_ns`, block `block` of tape `tape` had this hash."""

    tape: str
    block: int
    upto: int
    hash: str
    ts_ns: int
    key_id: str
    signature: str = ""
    format: int = _FORMAT

    def statement(self) -> bytes:
        """Return the bytes that are signed."""
        fields = [self.format, self.tape, self.block, self.upto, self.hash, self.ts_ns, self.key_id]
        return msgspec.json.encode(["tradeworthy tape head", *fields])


def tape_name(folder: Path) -> str:
    """Return what tells this tape from any other: the SHA-256 of its first opening; empty if it was never opened."""
    path = folder / EPOCHS
    line = path.read_bytes().partition(b"\n")[0] if path.exists() else b""
    return hashlib.sha256(line).hexdigest() if line else ""


def read_chain(folder: Path) -> list[Block]:
    """Return every block, oldest first, without checking hashes.

    Raises
    ------
    RecordCorrupt
        A line is not a block.
    RecordNewer
        A newer release wrote it.
    """
    path = folder / CHAIN
    try:
        blocks = [msgspec.json.decode(line, type=Block) for line in whole_lines(path)]
    except UNDECODABLE as error:
        raise RecordCorrupt(f"{path}: a line is not a block: {error}. Restore the file from a copy") from error
    if any(block.format > _FORMAT for block in blocks):
        raise RecordNewer(f"{path}: blocks of a format above {_FORMAT}. Upgrade")
    return blocks


def read_heads(heads: Path) -> list[Head]:
    """Return every published head in a folder, in the order published.

    Raises
    ------
    RecordCorrupt
        A line is not a head.
    """
    try:
        return [msgspec.json.decode(line, type=Head) for line in whole_lines(heads / HEADS)]
    except UNDECODABLE as error:
        raise RecordCorrupt(f"{heads / HEADS}: a line is not a head: {error}") from error


def part_digest(folder: Path, path: str, start: int, stop: int) -> str:
    """Return the SHA-256 of a range of a file; shorter if the file is."""
    digest = hashlib.sha256()
    with (folder / path).open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0 and (data := file.read(min(left, _READ_BYTES))):
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


def covered_bytes(blocks: Iterable[Block]) -> dict[str, int]:
    """Return by file how far its bytes are covered by blocks."""
    return {part.path: part.stop for block in blocks for part in block.parts}


class Notary:
    """Hashes what is durable and publishes heads; one at a time for a tape.

    Parameters
    ----------
    folder : Path
        The tape's folder.
    clock : Clock
        Stamps blocks and heads.
    disk : Disk
        Where to write.

    Raises
    ------
    RecordCorrupt
        The chain's own file is damaged.
    """

    def __init__(self, folder: Path, *, clock: Clock, disk: Disk | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._disk = disk or Disk()
        blocks = read_chain(folder)
        self.last: Block | None = blocks[-1] if blocks else None
        """The newest block."""
        self._covered = covered_bytes(blocks)
        self._segments: dict[str, MappedSegment] = {}

    def extend(self) -> Block | None:
        """Hash everything durable that no block covers yet; None if there is nothing.

        Raises
        ------
        RecordCorrupt
            A record is damaged; it is not hashed.
        """
        upto = durable_mark(self._folder).sequence
        parts = [self._part(*new) for new in self._new(upto)]
        if not parts:
            return None
        number, previous = (1, _GENESIS) if self.last is None else (self.last.number + 1, self.last.hash)
        block = Block(number=number, upto=upto, ts_ns=self._clock.now_ns(), parts=parts, previous=previous)
        block = msgspec.structs.replace(block, hash=block.digest())
        append_line(self._disk, self._folder / CHAIN, msgspec.json.encode(block))
        self._covered.update({part.path: part.stop for part in parts})
        self.last = block
        return block

    def _part(self, path: str, start: int, stop: int) -> Part:
        return Part(path, start, stop, part_digest(self._folder, path, start, stop))

    def _new(self, upto: int) -> Iterable[tuple[str, int, int]]:
        """Yield path, start and stop of what is durable and not covered."""
        for name, size in ((EPOCHS, whole_size(self._folder)), (DELETIONS, deletions_size(self._folder))):
            if size > (covered := self._covered.get(name, 0)):
                yield name, covered, size
        for stream in sorted(path for path in (self._folder / STREAMS).iterdir() if path.is_dir()):
            for path in segment_paths(stream):
                with suppress(FileNotFoundError):  # archived meanwhile, and so covered before
                    yield from self._new_in_segment(path, upto)
        for path in checkpoint_paths(self._folder):
            name = str(path.relative_to(self._folder))
            if name not in self._covered and int(path.stem) <= upto:
                self._disk.sync_file(path)
                self._disk.sync_folder(path.parent)
                yield name, 0, path.stat().st_size

    def _new_in_segment(self, path: Path, upto: int) -> Iterable[tuple[str, int, int]]:
        name = str(path.relative_to(self._folder))
        covered = self._covered.get(name, 0)
        if covered == path.stat().st_size:
            return
        segment = self._segments.setdefault(name, MappedSegment(path))
        if segment.header.first_sequence > upto:
            return
        segment.check(upto)
        header = segment.header
        stop = header.header_bytes + segment.place_after(upto) * segment.dtype.itemsize
        if not covered:
            yield name, 0, header.header_bytes - SEAL_BYTES
        if stop > max(covered, header.header_bytes):
            yield name, max(covered, header.header_bytes), stop
        if segment.seal is not None or stop == header.size:
            del self._segments[name]

    def publish(self, heads: Path, signer: Signer) -> Head | None:
        """Sign the newest block and add it to the heads in another folder; None if there is no block."""
        if self.last is None:
            return None
        head = Head(
            tape=tape_name(self._folder),
            block=self.last.number,
            upto=self.last.upto,
            hash=self.last.hash,
            ts_ns=self._clock.now_ns(),
            key_id=signer.key_id,
        )
        head = msgspec.structs.replace(head, signature=signer.sign(head.statement()).hex())
        heads.mkdir(parents=True, exist_ok=True)
        append_line(self._disk, heads / HEADS, msgspec.json.encode(head))
        return head
