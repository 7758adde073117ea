"""Every route of the port in one table: method, path, the scope that a key needs, and who answers.

Idea:   there is no route outside the table, and none in it without a scope or the word `OPEN`; a test walks it.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import unquote

from tradeworthy.apps.server.replies import RequestRefused
from tradeworthy.change.access.doorkeeper import Holder
from tradeworthy.core.errors import near

OPEN = ""
"""The scope of a route that needs no key: whether the process lives and is ready."""

KNOWN_MAX = 4_096
DIGITS_MAX = 30
Headers = dict[bytes, bytes]


@dataclass(slots=True)
class Request:
    """One request as it was read.

    Attributes
    ----------
    arguments : tuple of str
        What stood in the path's places, then nothing else.
    query : str
        After the question mark.
    headers : dict of bytes to bytes
        By lower-case name.
    body : bytes
        Decompressed.
    holder : Holder or None
        Who asks; None on an open route.
    deadline_ns : int
        After this UTC time nobody wants the answer any more; 0 for none.
    """

    method: bytes
    route: "Route"
    arguments: tuple[str, ...]
    query: str
    headers: Headers
    body: bytes
    holder: Holder | None = None
    deadline_ns: int = 0

    def count_rows(self, count: int) -> None:
        """Count rows or events against the caller's budget.

        Raises
        ------
        RequestRefused
            There are no more today.
        """
        refused = None if self.holder is None else self.holder.take_rows(count)
        if refused is not None:
            raise RequestRefused(refused.status, refused.message, refused.retry_after_s)


class Stream(Protocol):
    """What takes a connection over: an event stream or a WebSocket; `hello` is the answer to who asked for it."""

    @property
    def hello(self) -> bytes:
        """The answer with which it begins."""

    def begin(self, write: Callable[[bytes], None], close: Callable[[], None]) -> None:
        """Go on behind the answer; `write` and `close` are the connection's."""

    def receive(self, data: bytes) -> None:
        """Take what came."""

    def end(self) -> None:
        """Hear that the connection is gone."""


@runtime_checkable
class Pinged(Protocol):
    """A stream whose other end can be asked whether it is there."""

    def was_silent(self, silent_ns: int, allowed_ns: int) -> None:
        """Ask in time, and end where no answer came."""


Answer = bytes | Awaitable[bytes] | Stream
Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes
    ----------
    path : str
        With a word in braces for each argument.
    scope : str
        What a key needs, or `OPEN`.
    """

    method: str
    path: str
    scope: str
    handler: Handler = field(compare=False, repr=False)


class Routes:
    """Finds who answers.

    Parameters
    ----------
    routes : iterable of Route
    elsewhere : str
        Where else a path may be that is not here, said to who asks for it.
    """

    def __init__(self, routes: Iterable[Route], elsewhere: str = "") -> None:
        self.table, self._elsewhere = tuple(routes), elsewhere
        self._known: dict[tuple[bytes, bytes], tuple[Route, tuple[str, ...], str]] = {}
        self._parts = [(route, route.path.strip("/").split("/")) for route in self.table]

    def find(self, method: bytes, url: bytes) -> tuple[Route, tuple[str, ...], str]:
        """Return the route of a request, the arguments in its path, and its query.

        Raises
        ------
        RequestRefused
            There is none: 404, or 405 where the path has other methods.
        """
        found = self._known.get((method, url))
        if found is None:
            found = self._search(method, url)
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[method, url] = found
        return found

    def _search(self, method: bytes, url: bytes) -> tuple[Route, tuple[str, ...], str]:
        path, _, query = url.decode("latin-1").partition("?")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        fitting = [route for route, wanted in self._parts if _fits(wanted, parts)]
        for route in fitting:
            if route.method.encode() == method:
                wanted = route.path.strip("/").split("/")
                return route, tuple(part for word, part in zip(wanted, parts, strict=True) if word[0] == "{"), query
        if fitting:
            allowed = ", ".join(sorted({route.method for route in fitting}))
            raise RequestRefused(405, f"{path} takes {allowed}, found {method.decode('latin-1')}")
        hint = near(path, [route.path for route in self.table]) + self._elsewhere
        raise RequestRefused(404, f"there is no {path[:200]}{hint}")


def number_in(text: bytes | str) -> int | None:
    """Return the whole number that a header or a query holds, None where it holds none.

    >>> number_in(b"12"), number_in("-1"), number_in("\u00b2"), number_in("9" * 5_000)
    (12, None, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None


def _fits(wanted: list[str], parts: list[str]) -> bool:
    """Tell whether a path has a route's shape; its own words win over places for arguments by standing first."""
    return len(wanted) == len(parts) and all(
        (word[:1] == "{" and part != "") or word == part for word, part in zip(wanted, parts, strict=True)
    )
