"""The dialect of Coinbase Advanced Trade's public streams.

Flow:   one subscribe message a channel; every message of a connection carries ``sequence_num``, without holes. A book
        comes whole on the stream first, and is changed after that. ``heartbeats`` come every second.
Bars:   of five minutes only, and never marked as closed: a bar is closed when a later one is seen.
Reference: Coinbase, "Advanced Trade WebSocket Channels".
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from tradeworthy.core.errors import DataInvalid, SettingsInvalid
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S
from tradeworthy.live.feeds.exchange.exact import DIGITS_MAX
from tradeworthy.live.feeds.exchange.messages import (
    INT64_MAX,
    UNREADABLE,
    Alive,
    BookChanged,
    BookShown,
    Candle,
    Hole,
    Message,
    Number,
    Numbered,
    Quoted,
    Refused,
    TextLevels,
    Traded,
    Unknown,
    Wanted,
    reading,
)

HISTORY_URL = "https://api.coinbase.com"
URL = "wss://advanced-trade-ws.coinbase.com"
PERIOD_NS = 5 * NS_PER_MINUTE
BARS_MAX = 350
TRADES_MAX = 1_000
_CHANNELS = {"bar": "candles", "trade": "market_trades", "quote": "ticker", "book": "level2"}


class _Envelope(msgspec.Struct):
    channel: str = ""
    timestamp: str = ""
    sequence_num: Number = -1
    events: msgspec.Raw = msgspec.Raw(b"[]")
    type: str = ""
    message: str = ""


class _Trade(msgspec.Struct):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: str  # the maker's
    time: str

    def said(self) -> Traded:
        side = -1.0 if self.side == "BUY" else 1.0
        return Traded(self.product_id, _ns(self.time), _whole(self.trade_id), self.price, self.size, side)


class _PastTrades(msgspec.Struct):
    trades: list[_Trade]


class _Trades(msgspec.Struct):
    type: str
    trades: list[_Trade]


class _Ticker(msgspec.Struct):
    product_id: str
    best_bid: str
    best_bid_quantity: str
    best_ask: str
    best_ask_quantity: str


class _Tickers(msgspec.Struct):
    tickers: list[_Ticker]


class _Candle(msgspec.Struct):
    start: str
    high: str
    low: str
    open: str
    close: str
    volume: str
    product_id: str


class _Past(msgspec.Struct):
    start: str
    high: str
    low: str
    open: str
    close: str
    volume: str


class _Answer(msgspec.Struct):
    candles: list[_Past]


class _Candles(msgspec.Struct):
    candles: list[_Candle]


class _Update(msgspec.Struct):
    side: str
    price_level: str
    new_quantity: str


class _Level2(msgspec.Struct):
    type: str
    product_id: str
    updates: list[_Update]


_envelope = msgspec.json.Decoder(_Envelope).decode
_trades = msgspec.json.Decoder(list[_Trades]).decode
_tickers = msgspec.json.Decoder(list[_Tickers]).decode
_candles = msgspec.json.Decoder(list[_Candles]).decode
_level2 = msgspec.json.Decoder(list[_Level2]).decode
_answer = msgspec.json.Decoder(_Answer).decode
_past_trades = msgspec.json.Decoder(_PastTrades).decode


class Coinbase:
    """Speaks it."""

    def greeting(self, wanted: Wanted) -> Sequence[bytes]:
        """Return one subscribe message a channel, and one for heartbeats."""
        if "bar" in wanted.channels and wanted.period_ns != PERIOD_NS:
            raise SettingsInvalid(f"[feed] period is {wanted.period_ns / NS_PER_S:g} s; this exchange offers 5m only")
        names = ["heartbeats", *(_CHANNELS[channel] for channel in wanted.channels)]
        symbols = list(wanted.symbols)
        return [
            msgspec.json.encode({"type": "subscribe", "product_ids": symbols, "channel": channel}) for channel in names
        ]

    def read(self, raw: bytes) -> Sequence[Message]:
        """Return what one message says, its place among all of the connection first."""
        try:
            envelope = _envelope(raw)
            if envelope.type == "error":
                return [Refused(envelope.message[:500])]
            if envelope.sequence_num < 0:
                raise DataInvalid("a message has no sequence_num")
            return [Numbered(envelope.sequence_num, _ns(envelope.timestamp)), *_said(envelope)]
        except UNREADABLE as error:
            raise DataInvalid(f"a message cannot be read: {error}") from None

    def trades_path(self, symbol: str, hole: Hole) -> str:
        """Return where trades are asked for by their time in whole seconds, the newest of a page first."""
        start, end = hole.after_ns // NS_PER_S, hole.before_ns // NS_PER_S + 1
        return f"/api/v3/brokerage/market/products/{symbol}/ticker?limit={TRADES_MAX}&start={start}&end={end}"

    def read_trades(self, symbol: str, raw: bytes) -> Sequence[Traded]:
        """Return the trades of an answer.

        Raises
        ------
        DataInvalid
            As `read`.
        """
        with reading(f"the trades of {symbol}"):
            return [each.said() for each in _past_trades(raw).trades]

    @property
    def bars_max(self) -> int:
        """The most bars of one answer."""
        return BARS_MAX

    def bars_path(self, symbol: str, period_ns: int, from_ns: int) -> str:
        """Return where bars of the past are asked for: a page of them, which comes the newest first."""
        start = -(-from_ns // NS_PER_S)
        end = start + BARS_MAX * period_ns // NS_PER_S - 1
        where = f"/api/v3/brokerage/market/products/{symbol}/candles"
        return f"{where}?start={start}&end={end}&granularity=FIVE_MINUTE&limit={BARS_MAX}"

    def read_bars(self, symbol: str, raw: bytes, period_ns: int) -> Sequence[Candle]:
        """Return the bars of an answer.

        Raises
        ------
        DataInvalid
            As `read`.
        """
        with reading(f"the bars of {symbol}"):
            shown = _answer(raw)
            opens = [_open_ns(each.start) for each in shown.candles]
        return [
            Candle(
                symbol,
                0,
                open_ns,
                open_ns + period_ns,
                True,
                each.open,
                each.high,
                each.low,
                each.close,
                each.volume,
            )
            for open_ns, each in zip(opens, shown.candles, strict=True)
        ]


def _said(envelope: _Envelope) -> Iterator[Message]:
    match envelope.channel:
        case "market_trades":
            for batch in _trades(envelope.events):
                for each in reversed(batch.trades):  # the newest is first
                    yield each.said()
        case "ticker":
            yield from _quotes(envelope)
        case "candles":
            yield from _bars(envelope)
        case "l2_data":
            yield from _books(envelope)
        case "heartbeats" | "subscriptions":
            yield Alive(_ns(envelope.timestamp))
        case other:
            yield Unknown(other[:100])


def _quotes(envelope: _Envelope) -> Iterator[Message]:
    ts_event_ns = _ns(envelope.timestamp)
    for batch in _tickers(envelope.events):
        for each in batch.tickers:
            best = (each.best_bid, each.best_ask, each.best_bid_quantity, each.best_ask_quantity)
            yield Quoted(each.product_id, ts_event_ns, envelope.sequence_num, *best)


def _bars(envelope: _Envelope) -> Iterator[Message]:
    candles = [each for batch in _candles(envelope.events) for each in batch.candles]
    sent_ns = _ns(envelope.timestamp)
    for each in sorted(candles, key=lambda candle: _whole(candle.start)):
        open_ns = _open_ns(each.start)
        prices = (each.open, each.high, each.low, each.close, each.volume)
        yield Candle(each.product_id, sent_ns, open_ns, open_ns + PERIOD_NS, None, *prices)


def _books(envelope: _Envelope) -> Iterator[Message]:
    ts_event_ns, number = _ns(envelope.timestamp), envelope.sequence_num
    for each in _level2(envelope.events):
        bids, asks = _sides(each.updates)
        if each.type == "snapshot":
            yield BookShown(each.product_id, ts_event_ns, number, bids, asks)
        else:
            yield BookChanged(each.product_id, ts_event_ns, 0, number, bids, asks)


def _sides(updates: Sequence[_Update]) -> tuple[TextLevels, TextLevels]:
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    for each in updates:
        (bids if each.side == "bid" else asks).append((each.price_level, each.new_quantity))
    return bids, asks


def _whole(text: str, most: int = INT64_MAX) -> int:
    """Return a number that is written as text."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX and int(text) <= most):
        raise DataInvalid(f"{text[:40]!r} is no whole number up to {most}")
    return int(text)


def _open_ns(start: str) -> int:
    """Return when a bar opened, whose start is given in seconds."""
    return _whole(start, (INT64_MAX - PERIOD_NS) // NS_PER_S) * NS_PER_S


def _ns(text: str) -> int:
    """Return an RFC 3339 time in UTC nanoseconds, to its last digit."""
    head, _, rest = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(head).replace(tzinfo=UTC)
    if not (rest.isdigit() or not rest) or not text.endswith("Z"):
        raise DataInvalid(f"time {text[:40]!r} is not written as 2023-02-09T20:19:35.39625135Z")
    ns = int(moment.timestamp()) * NS_PER_S + int(rest.ljust(9, "0")[:9])
    if not 0 <= ns <= INT64_MAX:
        raise DataInvalid(f"time {text[:40]!r} is not from 1970 to 2262")
    return ns
