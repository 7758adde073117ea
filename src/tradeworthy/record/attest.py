"""Attestation: the tape compared with its block chain and with the heads that were published.

Flow:   every block follows the one before and hashes to what it carries -> every part's bytes hash to what the block
        says -> every published head is signed by a known key and names a block with that hash.
Idea:   the first check finds an edit of the chain, the second an edit of the tape, the third a chain that was computed
        anew, or cut off together with the tape.
"""

import hashlib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from tradeworthy.core.errors import RecordCorrupt, RecordNewer
from tradeworthy.record.archived import archived_segments, open_segment
from tradeworthy.record.chain import Block, Head, Part, part_digest, tape_name
from tradeworthy.record.problems import Problem
from tradeworthy.record.segment import SEAL_BYTES, Header, decode_header
from tradeworthy.record.signing import signed_by

_HEADER_MAX = 1 << 16


def chain_problems(folder: Path, blocks: list[Block], deleted: Container[str] = ()) -> Iterator[Problem]:
    """Yield what is wrong with the chain itself and with the bytes that it covers.

    Of the files named in `deleted` (paths relative to the tape's folder) nothing is expected.
    """
    previous, covered = "0" * 64, dict[str, list[tuple[Block, Part]]]()
    for place, block in enumerate(blocks, start=1):
        if block.number != place or block.previous != previous:
            yield Problem(what=f"block {block.number} of the chain does not follow the block before it")
        if block.hash != block.digest():
            yield Problem(what=f"block {block.number} of the chain was changed: its hash differs")
        for part in block.parts:
            covered.setdefault(part.path, []).append((block, part))
        previous = block.hash
    for name, parts in covered.items():
        yield from _order_problems(parts)
        if name not in deleted:
            yield from _file_problems(folder, name, parts)


def _order_problems(parts: list[tuple[Block, Part]]) -> Iterator[Problem]:
    """Yield the parts of one file that do not go on where the one before ended."""
    covered = 0
    for block, part in parts:
        if part.start not in {covered, covered + SEAL_BYTES}:
            yield Problem(what=f"block {block.number} does not go on where the one before ended, in {part.path}")
        covered = part.stop


def _file_problems(folder: Path, name: str, parts: list[tuple[Block, Part]]) -> Iterator[Problem]:
    """Yield the parts of one file whose bytes are not those of the chain; an archived segment is rebuilt once."""
    path = folder / name
    outside = ".." in Path(name).parts or path.is_absolute() != folder.is_absolute()
    if outside or not (path.is_file() or _is_archived(path)):
        yield Problem(what=f"{name} is missing, block {parts[0][0].number} covers it")
        return
    try:
        content = None if path.is_file() else open_segment(path).content
        for block, part in parts:
            if _digest(folder, part, content) != part.sha256:
                yield _changed(path, block, part, content)
    except (RecordCorrupt, FileNotFoundError) as error:
        yield Problem(what=f"{name}, which block {parts[0][0].number} covers, cannot be rebuilt: {error}")


def _is_archived(path: Path) -> bool:
    return path.suffix == ".seg" and int(path.stem) in archived_segments(path.parent)


def _digest(folder: Path, part: Part, content: memoryview | None) -> str:
    if content is None:
        return part_digest(folder, part.path, part.start, part.stop)
    return hashlib.sha256(content[part.start : part.stop]).hexdigest()


def _changed(path: Path, block: Block, part: Part, content: memoryview | None) -> Problem:
    """Name the stream, segment and records of a part whose bytes differ."""
    text = f"bytes {part.start}-{part.stop} of {part.path} are not those of block {block.number}"
    header = _header(path, content) if path.suffix == ".seg" else None
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


def _header(path: Path, content: memoryview | None) -> Header | None:
    try:
        if content is not None:
            return decode_header(bytes(content[:_HEADER_MAX]), path.name)
        with path.open("rb") as file:
            return decode_header(file.read(_HEADER_MAX), path.name)
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
