"""What goes back over the wire: whole HTTP answers as bytes, and refusals as errors that become one."""

import math
from functools import lru_cache
from typing import Any

import msgspec

from tradeworthy.core.errors import TradeworthyError

REASONS = {
    101: b"Switching Protocols",
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
AGAIN_CHARS_MAX = 200
JSON = b"application/json"
_JSON_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
_encode = msgspec.json.Encoder().encode


class RequestRefused(TradeworthyError):
    """A request cannot be answered as asked.

    Parameters
    ----------
    status : int
        HTTP status.
    message : str
        What was found, what is allowed, what to do.
    retry_after_s : float
        When it may be worth trying again; 0 for never.
    """

    def __init__(self, status: int, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.retry_after_s = status, retry_after_s

    @property
    def reply(self) -> bytes:
        """The answer that says so; who has too much to do says the same again and again, and makes it once.

        A long one repeats what its caller sent, and is not kept.
        """
        message = str(self)
        made = _error_again if len(message) <= AGAIN_CHARS_MAX else error
        return made(self.status, message, math.ceil(self.retry_after_s))


def answer(body: bytes) -> bytes:
    """Return 200 with a JSON text."""
    return b"%s%d\r\n\r\n%s" % (_JSON_OK, len(body), body)


def answer_json(value: Any) -> bytes:
    """Return 200 with a value as JSON; NaN becomes null."""
    return answer(_encode(value))


def respond(status: int, body: bytes, headers: dict[bytes, bytes] | None = None, kind: bytes = JSON) -> bytes:
    """Return any whole answer."""
    head = [b"HTTP/1.1 %d %s" % (status, REASONS[status]), b"content-type: " + kind]
    head += [b"%s: %s" % pair for pair in (headers or {}).items()]
    head.append(b"content-length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def error(status: int, message: str, retry_after_s: float = 0.0) -> bytes:
    """Return a refusal: ``{"error": message}``, with Retry-After in whole seconds where waiting helps."""
    headers = {b"retry-after": b"%d" % math.ceil(retry_after_s)} if retry_after_s else {}
    if status == 401:
        headers[b"www-authenticate"] = b"Bearer"
    return respond(status, _encode({"error": message}), headers)


_error_again = lru_cache(64)(error)
