"""The head of a request that was read before, known again by its bytes.

Idea:   a caller sends the same head again and again; only its body, and so the body's length, differ. What was parsed
        and looked up for the first of them holds for all.
"""

import re
from typing import NamedTuple, Self

from tradeworthy.apps.server.routes import Request

HEAD_END = b"\r\n\r\n"
LINE_END = b"\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)(?=\r\n)", re.IGNORECASE)
_DIFFERENT = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"x-deadline-ns", b"content-encoding"))
"""Headers of requests that are always parsed."""


class Head(NamedTuple):
    """A head: its bytes around the body's length, and the request that was read with it.

    Attributes
    ----------
    bytes_max : int
        Of a whole request.
    """

    before: bytes
    after: bytes
    request: Request
    bytes_max: int

    @classmethod
    def of(cls, data: bytes, request: Request, body_bytes_max: int) -> Self | None:
        """Return the head of a whole request, if nothing but its body will differ the next time."""
        end = data.find(HEAD_END) + len(HEAD_END)
        length = _LENGTH.search(data, 0, end)
        if length is None or data[end:] != request.body or _DIFFERENT & request.headers.keys():
            return None
        return cls(data[: length.start(1)], data[length.end(1) : end], request, end + body_bytes_max)

    def again(self, data: bytes) -> Request | None:
        """Return the request that `data` is, if it is one whole request with this head.

        It is the one before with another body: that one was answered, so that nobody works at it any more.
        """
        before, after, request, bytes_max = self
        if not data.startswith(before):
            return None
        begin = len(before)
        end = data.find(LINE_END, begin)
        rest = end + len(after)
        if not data.startswith(after, end) or data[begin:end] != b"%d" % (len(data) - rest) or len(data) > bytes_max:
            return None
        request.body = data[rest:]
        return request
