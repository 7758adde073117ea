"""Bodies as they were before they were compressed, never larger than a body may be."""

import zlib

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.apps.server.routes import Headers

_WINDOWS = {b"gzip": 31, b"deflate": 15}


def unpacked(body: bytes, headers: Headers, allowed: int) -> bytes:
    """Return a body as it was before it was compressed.

    Raises
    ------
    RequestRefused
        It is larger than allowed, is not what it says, or is packed in a way that is not known.
    """
    encoding = headers.get(b"content-encoding", b"identity").lower()
    if encoding == b"identity":
        return body
    if encoding not in _WINDOWS:
        raise RequestRefused(415, f"content-encoding {encoding.decode('latin-1')!r}, allowed are gzip and deflate")
    machine = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = machine.decompress(body, allowed + 1)
    except zlib.error as problem:
        raise RequestRefused(400, f"the body is not {encoding.decode()}: {problem}") from problem
    if len(plain) > allowed:
        raise RequestRefused(413, f"a body over {allowed} bytes once it is decompressed")
    if not machine.eof:
        raise RequestRefused(400, f"the {encoding.decode()} body ends too early")
    return plain
