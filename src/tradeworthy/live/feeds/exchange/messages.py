"""What any exchange's messages say, in one vocabulary; a dialect translates into it.

Idea:   numbers stay text until the instrument's grid reads them exactly; sequence numbers keep the exchange's meaning.
Time:   `ts_event_ns` is the exchange's clock, UTC nanoseconds; 0 where the message does not say.
Errors: a message that is not what its exchange documents, or whose numbers no record can hold, is `DataInvalid`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

import msgspec

from tradeworthy.core.errors import UNDECODABLE, DataInvalid
from tradeworthy.core.time import NS_PER_MS

INT64_MAX = 2**63 - 1
"""The largest number, and the latest time in nanoseconds, that a record can hold."""

Number = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
"""An exchange's own number of a trade, a quote, a change or a message."""

Millis = Annotated[int, msgspec.Meta(ge=0, lt=INT64_MAX // NS_PER_MS)]
"""Milliseconds since 1970."""

UNREADABLE = (*UNDECODABLE, ValueError)
"""What reading a message raises that is not what its exchange documents."""

TextLevels = Sequence[tuple[str, str]]
"""Price and size, as the exchange wrote them."""


class Traded(msgspec.Struct, frozen=True, gc=False):
    """A trade; `number` counts the trades of a symbol without holes, `side` is the taker's (1 bought)."""

    symbol: str
    ts_event_ns: int
    number: int
    price: str
    size: str
    side: float


class Quoted(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask; `number` grows with each change of the symbol, with holes."""

    symbol: str
    ts_event_ns: int
    number: int
    bid: str
    ask: str
    bid_size: str
    ask_size: str


class Candle(msgspec.Struct, frozen=True, gc=False):
    """A bar from its open to its close, as it was at `sent_ns`.

    `is_closed` says whether it will not change any more; None where an exchange never says.
    """

    symbol: str
    sent_ns: int
    open_ns: int
    close_ns: int
    is_closed: bool | None
    open: str
    high: str
    low: str
    close: str
    volume: str


class BookChanged(msgspec.Struct, frozen=True):
    """Changes to a book, numbered from `first` to `last`; the next ones begin at ``last + 1``.

    `first` is 0 where the exchange counts all messages of a connection instead (`Numbered`).
    """

    symbol: str
    ts_event_ns: int
    first: int
    last: int
    bids: TextLevels
    asks: TextLevels


class BookShown(msgspec.Struct, frozen=True):
    """A whole book as it was after change `last`."""

    symbol: str
    ts_event_ns: int
    last: int
    bids: TextLevels
    asks: TextLevels


class Alive(msgspec.Struct, frozen=True, gc=False):
    """The exchange says that it is there, without news of the market."""

    ts_event_ns: int = 0


class Refused(msgspec.Struct, frozen=True):
    """The exchange refused what we asked for, in its words."""

    said: str


class Unknown(msgspec.Struct, frozen=True):
    """A message of a kind that we did not ask for."""

    kind: str


class Numbered(msgspec.Struct, frozen=True, gc=False):
    """The place of a message among all of its connection, counted without holes, and when it was sent."""

    number: int
    sent_ns: int


Message = Traded | Quoted | Candle | BookChanged | BookShown | Alive | Refused | Unknown | Numbered


def sent_ns(message: Message) -> int:
    """Return when the exchange says that a message was sent; 0 where it does not."""
    match message:
        case Candle() | Numbered():
            return message.sent_ns
        case Traded() | BookChanged() | Alive():
            return message.ts_event_ns
        case _:
            return 0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to subscribe to.

    Attributes
    ----------
    symbols : tuple of str
        The exchange's names.
    channels : tuple of str
        ``bar``, ``trade``, ``quote`` and ``book``.
    period_ns : int
        Of bars.
    """

    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    period_ns: int


class Dialect(Protocol):
    """How one exchange speaks."""

    def greeting(self, wanted: Wanted) -> Sequence[bytes]:
        """Return the messages that subscribe.

        Raises
        ------
        SettingsInvalid
            The exchange does not offer what is wanted.
        """

    def read(self, raw: bytes) -> Sequence[Message]:
        """Return what one message says.

        Raises
        ------
        DataInvalid
            It is not JSON, or lacks a field, or has one of another type.
        """


@runtime_checkable
class ShowsBooks(Protocol):
    """How an exchange whose streams only change books is asked for a whole one."""

    def snapshot_path(self, symbol: str) -> str:
        """Return the path and query of the request."""

    def read_snapshot(self, symbol: str, raw: bytes) -> BookShown:
        """Return the whole book of an answer.

        Raises
        ------
        DataInvalid
            As `Dialect.read`.
        """


class ShowsBars(Protocol):
    """How an exchange is asked for bars of the past."""

    @property
    def bars_max(self) -> int:
        """The most bars of one answer."""

    def bars_path(self, symbol: str, period_ns: int, from_ns: int) -> str:
        """Return the path and query that ask for the bars from one that opens at or after a moment."""

    def read_bars(self, symbol: str, raw: bytes, period_ns: int) -> Sequence[Candle]:
        """Return the bars of an answer, in any order, the growing one perhaps among them; each counts as closed.

        Raises
        ------
        DataInvalid
            As `Dialect.read`.
        """


class Hole(NamedTuple):
    """Trades that are missing: the numbers and times of the last one before them, and of the first one behind.

    Only what is between is wanted.
    """

    after: int
    after_ns: int
    before: int
    before_ns: int

    @property
    def missing(self) -> int:
        """How many there are."""
        return self.before - self.after - 1

    def without(self, found: Mapping[int, Traded]) -> "Hole":
        """Return the hole that is left where some of its trades were found."""
        after, after_ns, before, before_ns = self
        while after + 1 in found:
            after, after_ns = after + 1, found[after + 1].ts_event_ns
        while before - 1 in found and before - 1 > after:
            before, before_ns = before - 1, found[before - 1].ts_event_ns
        return Hole(after, after_ns, before, before_ns)


class ShowsTrades(Protocol):
    """How an exchange is asked for trades of the past."""

    def trades_path(self, symbol: str, hole: Hole) -> str:
        """Return the path and query that ask for trades of a hole, from either of its ends."""

    def read_trades(self, symbol: str, raw: bytes) -> Sequence[Traded]:
        """Return the trades of an answer, in any order, others than were missing perhaps among them.

        Raises
        ------
        DataInvalid
            As `Dialect.read`.
        """


@runtime_checkable
class ShowsPast(ShowsBars, ShowsTrades, Protocol):
    """How an exchange is asked for what was missed."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Tell of what an exchange has answered that it cannot be read."""
    try:
        yield
    except UNREADABLE as error:
        raise DataInvalid(f"{what} cannot be read: {error}") from None
