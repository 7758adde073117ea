"""Attestation: the tape compared with its block chain and with the heads that were published.

Flow:   every block follows the one before and hashes to what it carries -> every part's bytes hash to what the block
        says -> every published head is signed by a known key and names a block with that hash.
Idea:   the first check finds an edit of the chain, the second an edit of the tape, the third a chain that was computed
        anew, or cut off together with the tape.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.record.chain import Block, Head, Part, part_digest, tape_name
from tradeworthy.record.problems import Problem
from tradeworthy.record.segment import SEAL_BYTES, Header, decode_header
from tradeworthy.record.signing import signed_by


def chain_problems(folder: Path, blocks: list[Block]) -> Iterator[Problem]:
    """Yield what is wrong with the chain itself and with the bytes that it covers."""
    previous, covered = "0" * 64, dict[str, int]()
    for place, block in enumerate(blocks, start=1):
        if block.number != place or block.previous != previous:
            yield Problem(what=f"block {block.number} of the chain does not follow the block before it")
        if block.hash != block.digest():
            yield Problem(what=f"block {block.number} of the chain was changed: its hash differs")
        for part in block.parts:
            yield from _part_problems(folder, block, part, covered.get(part.path, 0))
            covered[part.path] = part.stop
        previous = block.hash


def _part_problems(folder: Path, block: Block, part: Part, covered: int) -> Iterator[Problem]:
    path = folder / part.path
    if part.start not in {covered, covered + SEAL_BYTES}:
        yield Problem(what=f"block {block.number} does not go on where the one before ended, in {part.path}")
    if ".." in Path(part.path).parts or path.is_absolute() != folder.is_absolute() or not path.is_file():
        yield Problem(what=f"{part.path} is missing, block {block.number} covers it")
    elif part_digest(folder, part.path, part.start, part.stop) != part.sha256:
        yield _changed(path, block, part)


def _changed(path: Path, block: Block, part: Part) -> Problem:
    """Name the stream, segment and records of a part whose bytes differ."""
    text = f"bytes {part.start}-{part.stop} of {part.path} are not those of block {block.number}"
    header = _header(path) if path.suffix == ".seg" else None
    if header is None or part.stop <= header.header_bytes:
        return Problem(what=text, byte=part.start)
    width = header.description.itemsize
    first, last = ((offset - header.header_bytes) // width for offset in (part.start, part.stop - 1))
    return Problem(
        what=f"records {first}-{last} are not those of block {block.number}: someone changed them",
        stream=path.parent.name,
        segment=path.name,
        record=first,
        byte=part.start,
    )


def _header(path: Path) -> Header | None:
    try:
        with path.open("rb") as file:
            return decode_header(file.read(1 << 16), path.name)
    except (RecordCorrupt, RecordNewer):
        return None


def head_problems(
    folder: Path, heads: list[Head], blocks: list[Block], public_keys: Mapping[str, bytes]
) -> Iterator[Problem]:
    """Yield where published heads and the chain disagree."""
    name = tape_name(folder)
    own = [head for head in heads if head.tape == name]
    if not own:
        yield Problem(what=f"none of the {len(heads)} published heads is of this tape ({name[:16]})")
    for head in own:
        yield from _head_problems(head, blocks, public_keys)


def _head_problems(head: Head, blocks: list[Block], public_keys: Mapping[str, bytes]) -> Iterator[Problem]:
    key = public_keys.get(head.key_id)
    if key is None:
        yield Problem(what=f"the head of block {head.block} is signed with key {head.key_id}, not trusted here")
    elif not signed_by(key, bytes.fromhex(head.signature), head.statement()):
        yield Problem(what=f"the head of block {head.block} has a wrong signature")
    elif head.block > len(blocks):
        yield Problem(
            what=f"the tail was cut off: block {head.block} (up to record {head.upto}) was published, "
            f"the chain ends at block {len(blocks)}"
        )
    elif blocks[head.block - 1].hash != head.hash:
        yield Problem(what=f"the record was rewritten: block {head.block} is not the one that was published")
