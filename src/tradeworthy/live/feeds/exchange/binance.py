"""The dialect of Binance's public spot streams, which several exchanges speak.

Flow:   combined streams ``{"stream": name, "data": {...}}``; one SUBSCRIBE asks for all of them. A book is changed by
        ``depthUpdate`` messages; the whole book it starts from is asked for over HTTP.
Numbers: trades count without holes by ``t``; changes of a book span ``U`` to ``u`` without holes.
Reference: Binance, "WebSocket Streams" and "How to manage a local order book correctly".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from tradeworthy.live.feeds.exchange.messages import (
    UNREADABLE,
    Alive,
    BookChanged,
    BookShown,
    Candle,
    Hole,
    Message,
    Millis,
    Number,
    Quoted,
    Refused,
    Traded,
    Unknown,
    Wanted,
    reading,
)

URL = "wss://stream.binance.com:9443/stream"
SNAPSHOT_URL = "https://api.binance.com"
SNAPSHOT_LEVELS = 1_000
BARS_MAX = 1_000
TRADES_MAX = 1_000

PERIODS = {
    NS_PER_S: "1s",
    **{n * NS_PER_MINUTE: f"{n}m" for n in (1, 3, 5, 15, 30)},
    **{n * NS_PER_HOUR: f"{n}h" for n in (1, 2, 4, 6, 8, 12)},
    NS_PER_DAY: "1d",
}
"""Lengths of bars that the exchange offers, and what it calls them."""


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    error: dict[str, Any] | None = None
    id: int | None = None


class _Trade(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    number: Number = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    size: str = msgspec.field(name="q")
    time_ms: Millis = msgspec.field(name="T")
    maker_bought: bool = msgspec.field(name="m")

    def said(self) -> Message:
        side = -1.0 if self.maker_bought else 1.0
        return Traded(self.symbol, self.time_ms * NS_PER_MS, self.number, self.price, self.size, side)


class _Quote(msgspec.Struct):
    number: Number = msgspec.field(name="u")
    symbol: str = msgspec.field(name="s")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")

    def said(self) -> Message:
        return Quoted(self.symbol, 0, self.number, self.bid, self.ask, self.bid_size, self.ask_size)


class _Bar(msgspec.Struct):
    open_ms: Millis = msgspec.field(name="t")
    last_ms: Millis = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    open: str = msgspec.field(name="o")
    high: str = msgspec.field(name="h")
    low: str = msgspec.field(name="l")
    close: str = msgspec.field(name="c")
    volume: str = msgspec.field(name="v")
    is_closed: bool = msgspec.field(name="x")


class _Kline(msgspec.Struct):
    time_ms: Millis = msgspec.field(name="E")
    bar: _Bar = msgspec.field(name="k")

    def said(self) -> Message:
        bar = self.bar
        span = (bar.open_ms * NS_PER_MS, (bar.last_ms + 1) * NS_PER_MS)  # the last millisecond belongs to the bar
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        return Candle(bar.symbol, self.time_ms * NS_PER_MS, *span, bar.is_closed, *prices)


class _Depth(msgspec.Struct):
    time_ms: Millis = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    first: Number = msgspec.field(name="U")
    last: Number = msgspec.field(name="u")
    bids: list[tuple[str, str]] = msgspec.field(name="b")
    asks: list[tuple[str, str]] = msgspec.field(name="a")

    def said(self) -> Message:
        return BookChanged(self.symbol, self.time_ms * NS_PER_MS, self.first, self.last, self.bids, self.asks)


class _Snapshot(msgspec.Struct):
    last: Number = msgspec.field(name="lastUpdateId")
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Past(msgspec.Struct, array_like=True):
    """A bar of the past, a row of an answer; what follows is not read."""

    open_ms: Millis
    open: str
    high: str
    low: str
    close: str
    volume: str
    last_ms: Millis


class _PastTrade(msgspec.Struct):
    """A trade of the past."""

    id: Number
    price: str
    qty: str
    time: Millis
    isBuyerMaker: bool  # noqa: N815  # the exchange's word

    def said(self, symbol: str) -> Traded:
        side = -1.0 if self.isBuyerMaker else 1.0
        return Traded(symbol, self.time * NS_PER_MS, self.id, self.price, self.qty, side)


_past = msgspec.json.Decoder(list[_Past]).decode
_past_trades = msgspec.json.Decoder(list[_PastTrade]).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_snapshot = msgspec.json.Decoder(_Snapshot).decode
_Data = _Trade | _Quote | _Kline | _Depth
_decoders: Mapping[str, Callable[[bytes | msgspec.Raw], _Data]] = {
    "trade": msgspec.json.Decoder(_Trade).decode,
    "bookTicker": msgspec.json.Decoder(_Quote).decode,
    "kline": msgspec.json.Decoder(_Kline).decode,
    "depth": msgspec.json.Decoder(_Depth).decode,
}


class Binance:
    """Speaks it."""

    def greeting(self, wanted: Wanted) -> Sequence[bytes]:
        """Return one SUBSCRIBE."""
        period = PERIODS.get(wanted.period_ns)
        if period is None and "bar" in wanted.channels:
            raise SettingsInvalid(
                f"[feed] period is {wanted.period_ns / NS_PER_S:g} s; offered are {', '.join(PERIODS.values())}"
            )
        names = {"trade": "trade", "quote": "bookTicker", "bar": f"kline_{period}", "book": "depth@100ms"}
        streams = [f"{symbol.lower()}@{names[channel]}" for symbol in wanted.symbols for channel in wanted.channels]
        return [msgspec.json.encode({"method": "SUBSCRIBE", "params": streams, "id": 1})]

    def read(self, raw: bytes) -> Sequence[Message]:
        """Return what one message says."""
        try:
            envelope = _envelope(raw)
            if envelope.stream is None:
                return [Refused(str(envelope.error)[:500]) if envelope.error is not None else Alive()]
            name = envelope.stream.partition("@")[2]
            decode = _decoders.get(name.partition("_")[0].partition("@")[0])
            return [Unknown(envelope.stream[:100]) if decode is None else decode(envelope.data).said()]
        except UNREADABLE as error:
            raise DataInvalid(f"a message cannot be read: {error}") from None

    def snapshot_path(self, symbol: str) -> str:
        """Return where a whole book is asked for."""
        return f"/api/v3/depth?symbol={symbol}&limit={SNAPSHOT_LEVELS}"

    def read_snapshot(self, symbol: str, raw: bytes) -> BookShown:
        """Return the whole book of an answer.

        Raises
        ------
        DataInvalid
            As `read`.
        """
        with reading(f"the book of {symbol}"):
            shown = _snapshot(raw)
        return BookShown(symbol, 0, shown.last, shown.bids, shown.asks)

    def trades_path(self, symbol: str, hole: Hole) -> str:
        """Return where trades are asked for by their number, the first that is missing first."""
        limit = min(hole.missing, TRADES_MAX)
        return f"/api/v3/historicalTrades?symbol={symbol}&fromId={hole.after + 1}&limit={limit}"

    def read_trades(self, symbol: str, raw: bytes) -> Sequence[Traded]:
        """Return the trades of an answer.

        Raises
        ------
        DataInvalid
            As `read`.
        """
        with reading(f"the trades of {symbol}"):
            return [each.said(symbol) for each in _past_trades(raw)]

    @property
    def bars_max(self) -> int:
        """The most bars of one answer."""
        return BARS_MAX

    def bars_path(self, symbol: str, period_ns: int, from_ns: int) -> str:
        """Return where bars of the past are asked for, the oldest first."""
        start_ms = -(-from_ns // NS_PER_MS)
        return f"/api/v3/klines?symbol={symbol}&interval={PERIODS[period_ns]}&startTime={start_ms}&limit={BARS_MAX}"

    def read_bars(self, symbol: str, raw: bytes, period_ns: int) -> Sequence[Candle]:
        """Return the bars of an answer.

        Raises
        ------
        DataInvalid
            As `read`.
        """
        del period_ns  # each says its own end
        with reading(f"the bars of {symbol}"):
            rows = _past(raw)
        return [
            Candle(
                symbol,
                0,
                row.open_ms * NS_PER_MS,
                (row.last_ms + 1) * NS_PER_MS,
                True,  # gc=False structs of this speed take places
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
            )
            for row in rows
        ]
