"""What the engine's process and its workers tell each other, through a pair of sockets, ten times a second.

Idea:   one process writes the tape. A worker sends it the rows that it scored; it tells every worker which versions
        serve. Both pass on what was spent and who failed at the door, so that limits hold for all of them together.
Format: four bytes of length, then MessagePack. Both ends are of one release.
"""

import asyncio
from struct import Struct

import msgspec

from tradeworthy.change.access.doorkeeper import Passed

_LENGTH = Struct("<I")


class Scored(msgspec.Struct, frozen=True, tag=True):
    """Records of a stream of scores: a row of `features` values, `scores` scores and `groups` groups each."""

    stream: str
    features: int
    scores: int
    records: bytes
    groups: int = 0


class Worked(msgspec.Struct, frozen=True, tag=True):
    """What a worker did: since it last told, at the door; since it started, requests by status.

    Attributes
    ----------
    ready : bool
        It listens.
    refused : dict of int to str
        Versions that serve and that it cannot load, with the reason.
    """

    passed: Passed
    ready: bool = False
    codes: dict[str, int] = {}
    refused: dict[int, str] = {}


class Standing(msgspec.Struct, frozen=True, tag=True):
    """Which versions serve, by number, the champion first, and how far the tape is; what the others let pass.

    Attributes
    ----------
    previous : int
        The champion before; 0 for none.
    failure : str or None
        Why the tape cannot be written.
    """

    versions: list[int]
    previous: int
    next_sequence: int
    failure: str | None
    passed: Passed


Message = Scored | Worked | Standing
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def framed(message: Message) -> bytes:
    """Return a message as it goes through the socket."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


async def heard(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message; None where the other process is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        message: Message = _decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return message
